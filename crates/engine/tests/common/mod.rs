//! What the tests of this crate share: a capture run through the engine. Nothing here asserts; tests do.

use capture::{Item, Reader};
use engine::{Context, State, Surroundings};
use std::path::Path;

/// Calls `see` for every event that reaches the rules, after the state took it in.
pub fn replay(path: &Path, see: &mut dyn FnMut(&Context<'_>)) {
    let mut reader = Reader::open(std::fs::File::open(path).expect("a capture")).expect("a readable capture");
    let (state, around) = (State::default(), Surroundings::default());
    let mut num = 0;
    let (mut first_ts, mut previous_ts) = (0, 0);
    while let Some(item) = reader.next().expect("a good capture") {
        let Item::Event(record) = item else { continue };
        num += 1;
        let ts = record.event.ts;
        if num == 1 {
            (first_ts, previous_ts) = (ts, ts);
        }
        let context = Context {
            event: &record.event,
            num,
            source: "syscall",
            state: &state,
            around: &around,
            thread: None,
            fd_num: None,
            fd: None,
            fd_name_changed: false,
            enter: None,
            errno: 0,
            first_ts,
            previous_ts,
            hostname: "",
        };
        see(&context);
        previous_ts = ts;
    }
}
