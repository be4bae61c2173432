//! Losses are counted: what was seen is what was handed out plus what was dropped, to the last event.
//! Needs root; says so otherwise.

#![allow(clippy::print_stdout)] // a skipped test says why

use event::Sc;
use sensor::{Counter, Options, Sensor};
use std::collections::BTreeSet;

/// Generic events and closes of this process, far more than a ring of one page holds.
fn flood() {
    for _ in 0..5000 {
        std::hint::black_box(rustix::process::getpgrp());
    }
}

#[test]
fn what_does_not_fit_is_counted() {
    let options = Options {
        selected: BTreeSet::from([Sc::GETPGRP]),
        buffer_bytes: 4096,
        cpus_per_buffer: 0,
        enter_copies: false,
        ..Options::default()
    };
    let (mut sensor, blind) = match Sensor::open(options) {
        Ok(opened) => opened,
        Err(e) => return println!("skipped: {e}"),
    };
    assert!(blind.is_empty(), "{blind:?}");
    sensor.started();
    flood();
    // nothing more is recorded from here on, so the sums hold still
    sensor.select(&BTreeSet::new()).expect("the map of calls");
    let mut handed_out = 0;
    loop {
        let taken = sensor.poll(|_| handed_out += 1);
        sensor.rest(taken);
        let stats = sensor.stats().expect("counters");
        if stats.total(Counter::Events) == handed_out + stats.drops() {
            assert!(handed_out > 0 && stats.drops() > 1000, "{handed_out} handed out, {} dropped", stats.drops());
            assert_eq!((stats.drops(), stats.decode_errors), (stats.total(Counter::DropsBuffer), 0));
            return;
        }
        assert!(handed_out < 10_000, "{handed_out} handed out of {}", stats.total(Counter::Events));
    }
}
