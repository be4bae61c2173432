//! Any bytes as a profile or as the value of a counter map: read or refused; what is read comes back when it is written.

#![no_main]

use coverage::profile::{Counters, Profile, sealed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Counters::from_map_value(bytes);
    let _ = Profile::decode(bytes);
    // Behind a seal that holds, so that the reading itself is reached.
    if let Ok(profile) = Profile::decode(&sealed(bytes.to_vec())) {
        assert_eq!(Profile::decode(&profile.encode()).ok(), Some(profile));
    }
});
