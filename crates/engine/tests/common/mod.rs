//! What the tests of this crate share: a capture run through the engine. Nothing here asserts; tests do.

use capture::{Item, Reader};
use engine::state::Containers;
use engine::{Context, Engine, Options, is_judged};
use std::path::Path;

/// Calls `see` for every event that reaches the rules, after the state took it in. No host name, and containers are not
/// recognised: the recorded values were made without either.
pub fn replay(path: &Path, see: &mut dyn FnMut(&Context<'_>)) {
    let mut reader = Reader::open(std::fs::File::open(path).expect("a capture")).expect("a readable capture");
    let mut engine = Engine::new(Options { hostname: Some(String::new()), ..Options::default() });
    engine.state_mut().containers = Containers::new(&[]);
    engine.seed(reader.snapshot().clone());
    while let Some(item) = reader.next().expect("a good capture") {
        match item {
            Item::Section(snapshot) => engine.seed(snapshot.clone()),
            Item::Event(record) => {
                let context = engine.push(&record.event, "syscall");
                if !record.state_only && is_judged(record.event.kind) {
                    see(&context);
                }
            }
        }
    }
}
