//! Any bytes as a sidecar: names, records and mapping are read or refused; what is read can be counted and rendered.

#![no_main]

use coverage::profile::Counters;
use coverage::report::{Builder, lcov, text};
use coverage::sidecar::Sidecar;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(sidecar) = Sidecar::parse(bytes) else { return };
    let counters = vec![1; sidecar.counter_bytes.min(1 << 16) / 8];
    let bitmaps = vec![0xa5; sidecar.bitmap_bytes.min(1 << 12)];
    let counters = Counters { build: sidecar.build, counters, bitmaps, instances: 1 };
    let mut builder = Builder::default();
    if builder.add(&sidecar, &counters).is_ok() {
        let report = builder.finish();
        let _ = (lcov::render(&report), text::table(&report));
    }
});
