//! What decoding, state and rules cost per event: replays a capture several times and prints nanoseconds per event and
//! the memory the tables need. In: the paths of a capture and, for the third figure, of a rules file:
//! `cargo run --release -p engine --example replay_cost -- CAPTURE [RULES]`

#![allow(clippy::print_stdout)]

use capture::{Item, Reader};
use engine::{Engine, Judge, Options};
use event::{Event, wire};
use rules::{Loader, Matching, Setup};
use std::sync::Arc;
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
    let mut judge = match std::env::args().nth(2) {
        Some(rules) => Some(judge_of(&rules)?),
        None => None,
    };
    for _ in 0..ROUNDS {
        measure("decode", events, || decode_only(&bytes));
        engine.seed(snapshot.clone());
        measure("decode and state", events, || replay(&mut engine, &bytes));
        if let Some(judge) = &mut judge {
            engine.seed(snapshot.clone());
            measure("decode, state and rules", events, || replay_judged(&mut engine, judge, &bytes));
        }
    }
    println!("tables: {} kB for {} threads", resident_kb().saturating_sub(before), engine.state().thread_count());
    engine.metrics().filter(|(_, value)| *value > 0).for_each(|(name, value)| println!("{name} {value}"));
    Ok(())
}

const ROUNDS: usize = 5;

fn judge_of(path: &str) -> Result<Judge, Box<dyn std::error::Error>> {
    let mut loader = Loader::new(Setup::builtin());
    let result = loader.load(path, &std::fs::read_to_string(path)?);
    println!("rules loaded: {}", result.successful());
    Ok(Judge::new(Arc::new(loader.rule_set().program(Matching::First))))
}

fn measure(what: &str, events: u32, run: impl FnOnce() -> u64) {
    let start = Instant::now();
    let sum = run();
    let nanos = start.elapsed().as_nanos() as f64 / f64::from(events);
    println!("{what}: {nanos:.0} ns per event ({events} events, check {sum})");
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

fn replay_judged(engine: &mut Engine, judge: &mut Judge, mut bytes: &[u8]) -> u64 {
    let mut matches = 0;
    while let Ok(event) = Event::decode(bytes, 0) {
        matches += judge.judge(&engine.push(&event, "syscall")).len() as u64;
        bytes = &bytes[event.raw().len()..];
    }
    matches
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}
