//! How long opening the sensor and reading existing processes by iterators take, beside `host`'s example `scan`, which
//! reads /proc: `cargo run --release -p sensor --example existing`.

#![allow(clippy::print_stdout)]

use event::Sc;
use sensor::{Options, Sensor};
use std::collections::BTreeSet;
use std::time::Instant;

fn main() -> Result<(), sensor::Error> {
    for iterators in [false, true] {
        let start = Instant::now();
        let selected = BTreeSet::from([Sc::OPENAT, Sc::EXECVE, Sc::CLONE]);
        let (mut sensor, blind) = Sensor::open(Options { selected, iterators, ..Options::default() })?;
        println!("opened in {:?} (iterators: {iterators}, refused: {})", start.elapsed(), blind.len());
        if iterators {
            let start = Instant::now();
            let existing = sensor.existing()?;
            println!("{} tasks, {} open files in {:?}", existing.tasks.len(), existing.files.len(), start.elapsed());
        }
    }
    Ok(())
}
