//! What the tests of this crate share: a capture run through the engine. Nothing here asserts; tests do.

#![allow(dead_code)] // every test binary uses its part

use capture::{Item, Reader};
use engine::state::Containers;
use engine::{Context, Engine, Options, is_judged};
use std::path::Path;

/// Calls `see` for every event that reaches the rules, after the state took it in. No host name, and containers are not
/// recognised: the recorded values were made without either.
pub fn replay(path: &Path, see: &mut dyn FnMut(&Context<'_>)) {
    let mut engine = Engine::new(Options { hostname: Some(String::new()), ..Options::default() });
    engine.state_mut().containers = Containers::new(&[]);
    run(engine, path, see);
}

/// The same with containers, as the recorded alerts were made.
pub fn replay_with_containers(path: &Path, see: &mut dyn FnMut(&Context<'_>)) {
    run(Engine::new(Options::default()), path, see);
}

fn run(mut engine: Engine, path: &Path, see: &mut dyn FnMut(&Context<'_>)) {
    let mut reader = Reader::open(std::fs::File::open(path).expect("a capture")).expect("a readable capture");
    engine.seed(reader.take_snapshot());
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
