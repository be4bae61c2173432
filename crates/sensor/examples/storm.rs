//! What watching costs the watched: nanoseconds per getppid(2) and per failing open(2) with nothing attached, with
//! programs that do nothing, and with the sensor. Interleaved rounds, minima. Needs root and a quiet machine:
//! `cargo run --release -p sensor --example storm`.

#![allow(clippy::print_stdout)]

use event::Sc;
use load::Object;
use sensor::{Options, Sensor, empty_programs};
use std::collections::BTreeSet;
use std::time::Instant;

const CALLS: u32 = 200_000;
const ROUNDS: usize = 9;

fn main() {
    let mut best: Vec<(&str, f64, f64)> = Vec::new();
    for _ in 0..ROUNDS {
        for (i, (name, make)) in VARIANTS.iter().enumerate() {
            let held = make();
            let (quiet, open) = (per_call(getppid), per_call(open_nothing));
            drop(held);
            match best.get_mut(i) {
                Some(b) => *b = (*name, b.1.min(quiet), b.2.min(open)),
                None => best.push((*name, quiet, open)),
            }
        }
    }
    for (name, quiet, open) in best {
        println!("{name:32} {quiet:7.1} ns/getppid {open:8.1} ns/open");
    }
}

type Make = fn() -> Box<dyn std::any::Any>;

const VARIANTS: &[(&str, Make)] = &[
    ("nothing attached", || Box::new(())),
    ("empty sys_exit", || Box::new(empty(&["empty_exit"]))),
    ("empty sys_enter and sys_exit", || Box::new(empty(&["empty_exit", "empty_enter"]))),
    ("sensor, close selected", || Box::new(sensor(&[Sc::CLOSE], false))),
    ("sensor, openat at exit", || Box::new(sensor(&[Sc::OPENAT], false))),
    ("sensor, openat at entry and exit", || Box::new(sensor(&[Sc::OPENAT], true))),
];

fn empty(programs: &[&str]) -> (Object, Vec<load::Link>) {
    let object = empty_programs().only(programs).load().expect("root and BTF");
    let links = programs.iter().map(|p| object.attach(p).expect("attach")).collect();
    (object, links)
}

fn sensor(calls: &[Sc], enter_copies: bool) -> Sensor {
    let selected: BTreeSet<Sc> = calls.iter().copied().collect();
    let options = Options { selected, enter_copies, buffer_bytes: 64 << 20, ..Options::default() };
    let (mut sensor, blind) = Sensor::open(options).expect("root and BTF");
    sensor.started(); // hooks that only the start needs are gone while watching
    assert!(blind.is_empty(), "{blind:?}");
    sensor
}

fn per_call(call: fn()) -> f64 {
    let start = Instant::now();
    (0..CALLS).for_each(|_| call());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

fn getppid() {
    std::hint::black_box(rustix::process::getppid());
}

fn open_nothing() {
    std::hint::black_box(
        rustix::fs::openat(rustix::fs::CWD, "/nonexistent", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())
            .is_ok(),
    );
}
