//! What decoding and state cost per event: replays a capture several times and prints nanoseconds per event and the
//! memory the tables need. In: the path of a capture. `cargo run --release -p engine --example replay_cost -- FILE`

#![allow(clippy::print_stdout)]

use capture::{Item, Reader};
use engine::{Engine, Options};
use event::{Event, wire};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which capture?")?;
    let mut reader = Reader::open(std::fs::File::open(path)?)?;
    let snapshot = reader.snapshot().clone();
    let mut bytes = Vec::new();
    let mut events = 0u32;
    while let Some(item) = reader.next()? {
        if let Item::Event(record) = item {
            let event = &record.event;
            let params: Vec<&[u8]> = (0..event.nparams()).filter_map(|i| event.param(i)).collect();
            wire::encode(&mut bytes, event.ts, event.tid, event.kind, &params);
            events += 1;
        }
    }
    drop(reader);
    let before = resident_kb();
    let mut engine = Engine::new(Options::default());
    for round in 0..6 {
        if round > 0 {
            engine.seed(snapshot.clone());
        }
        let start = Instant::now();
        let sum = if round == 0 { decode_only(&bytes) } else { replay(&mut engine, &bytes) };
        let nanos = start.elapsed().as_nanos() as f64 / f64::from(events);
        let what = if round == 0 { "decode" } else { "decode and state" };
        println!("{what}: {nanos:.0} ns per event ({events} events, check {sum})");
    }
    println!("tables: {} kB for {} threads", resident_kb().saturating_sub(before), engine.state().thread_count());
    engine.metrics().filter(|(_, value)| *value > 0).for_each(|(name, value)| println!("{name} {value}"));
    Ok(())
}

fn decode_only(mut bytes: &[u8]) -> u64 {
    let mut sum = 0;
    while let Ok(event) = Event::decode(bytes, 0) {
        sum += event.nparams() as u64;
        bytes = &bytes[event.raw().len()..];
    }
    sum
}

fn replay(engine: &mut Engine, mut bytes: &[u8]) -> u64 {
    let mut sum = 0;
    while let Ok(event) = Event::decode(bytes, 0) {
        let context = engine.push(&event, "syscall");
        sum += u64::from(context.fd.is_some()) + u64::from(context.thread.is_some());
        bytes = &bytes[event.raw().len()..];
    }
    sum
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}
