//! Prints live events, one per line: `cargo run -p sensor --example live -- 5 openat close`. The first argument is how
//! many seconds to watch, the others are system calls (default: all). Needs root.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use event::{Event, Sc};
use sensor::{Options, Sensor};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

fn main() {
    let mut args = std::env::args().skip(1);
    let seconds = args.next().and_then(|a| a.parse().ok()).unwrap_or(5);
    let named: BTreeSet<Sc> = args.filter_map(|a| Sc::by_name(&a)).collect();
    let quiet = std::env::var_os("QUIET").is_some();
    let selected = if named.is_empty() && std::env::args().count() < 3 { Sc::all().collect() } else { named };
    let start = Instant::now();
    let (mut sensor, blind) = match Sensor::open(Options { selected, ..Options::default() }) {
        Ok(opened) => opened,
        Err(e) => return eprintln!("error: {e}"),
    };
    eprintln!("open took {:?}", start.elapsed());
    for b in &blind {
        eprintln!("blind: {}: {}: {}", b.program, b.events, b.cause);
    }
    let own = i64::from(std::process::id());
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let taken = sensor.poll(|e| {
            if e.tid != own && !quiet {
                println!("{}", line(&e));
            }
        });
        sensor.rest(taken);
    }
    match sensor.stats() {
        Ok(stats) => eprintln!("{stats:?}"),
        Err(e) => eprintln!("error: {e}"),
    }
}

fn line(event: &Event<'_>) -> String {
    let info = event.kind.info();
    let name = info.map_or("?", |i| i.symbol);
    let mut text = format!("{} {} {} {name}", event.ts, event.cpu, event.tid);
    for (i, param) in info.map(|i| i.params).unwrap_or_default().iter().enumerate() {
        let bytes = event.param(i).unwrap_or_default();
        let shown = match format!("{:?}", param.ty).as_str() {
            "Charbuf" | "Fspath" | "Fsrelpath" | "Bytebuf" => format!("{:?}", String::from_utf8_lossy(bytes)),
            _ => event.i64(i).map_or_else(|| format!("{bytes:?}"), |v| v.to_string()),
        };
        text.push_str(&format!(" {}={shown}", param.name));
    }
    text
}
