//! Any bytes as a capture and as a frame: both are read or refused, and nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic::packet;
use traffic::pcap::Frames;

fuzz_target!(|bytes: &[u8]| {
    let _ = packet::read(bytes);
    if let Ok(frames) = Frames::open(bytes) {
        for frame in frames.flatten() {
            let _ = packet::read(frame.bytes);
        }
    }
});
