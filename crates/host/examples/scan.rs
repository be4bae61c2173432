//! How long the process table takes to read: `cargo run --release -p host --example scan`.

#![allow(clippy::print_stdout)]

use host::procs::Procs;
use std::time::Instant;

fn main() {
    let start = Instant::now();
    let found = Procs::new("/proc", 0).scan();
    let fds: usize = found.iter().map(|p| p.fds.len()).sum();
    println!("{} threads, {fds} open files in {:?}", found.len(), start.elapsed());
}
