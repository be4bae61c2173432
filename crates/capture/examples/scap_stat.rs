//! Reads captures and prints what they hold: tables, events by kind, counters, time per event. For people who debug the
//! reader. In come file names, `-k` (count kinds) and `-l` (list events with their parameters in hexadecimal); nothing is
//! written but the report.

#![allow(clippy::print_stdout)]

use capture::{Item, Reader, Record};
use std::collections::BTreeMap;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let by_kind = args.iter().any(|a| a == "-k");
    let list = args.iter().any(|a| a == "-l");
    for path in args.iter().filter(|a| !a.starts_with('-')) {
        let begin = Instant::now();
        let mut reader = Reader::open(std::fs::File::open(path)?)?;
        let snapshot = reader.take_snapshot();
        let fds: usize = snapshot.procs.iter().map(|p| p.fds.len()).sum();
        println!(
            "{path}: {} threads, {fds} files, {} users, {} groups, {} interfaces on `{}`",
            snapshot.procs.len(),
            snapshot.users.len(),
            snapshot.groups.len(),
            snapshot.interfaces.len(),
            snapshot.machine.hostname
        );
        let mut kinds: BTreeMap<u16, u64> = BTreeMap::new();
        let mut events = 0u64;
        loop {
            match reader.next() {
                Ok(Some(Item::Event(record))) => {
                    events += 1;
                    if list {
                        print_event(events, &record);
                    }
                    if by_kind {
                        *kinds.entry(record.event.kind.0).or_default() += 1;
                    }
                }
                Ok(Some(Item::Section(_))) => println!("  another section"),
                Ok(None) => break,
                Err(error) => println!("  {error}"),
            }
        }
        let nanos = begin.elapsed().as_nanos() / u128::from(events.max(1));
        println!("  {events} events, {nanos} ns each, {:?}", reader.counters());
        for (kind, n) in kinds {
            println!("  {n:8} {}", event::Kind(kind).info().map_or("?", |i| i.symbol));
        }
    }
    Ok(())
}

fn print_event(num: u64, record: &Record<'_>) {
    let event = &record.event;
    let info = event.kind.info();
    let flag = if record.state_only { " (state only)" } else { "" };
    println!("{num} {} tid {} {}{flag}", event.ts, event.tid, info.map_or("?", |i| i.symbol));
    for index in 0..event.nparams() {
        let name = info.and_then(|i| i.params.get(index)).map_or("?", |p| p.name);
        println!("    {name} = {:?}", event.param(index).unwrap_or_default().escape_ascii().to_string());
    }
}
