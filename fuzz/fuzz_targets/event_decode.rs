//! Any bytes as an event: decoding yields an event whose parameters lie within it, or an error.

#![no_main]

use event::wire::Event;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(event) = Event::decode(bytes, 0) else { return };
    let sum: usize = (0..event.nparams()).map(|i| event.param(i).expect("each parameter is there").len()).sum();
    assert!(sum <= event.raw().len());
    assert_eq!(event.param(event.nparams()), None);
});
