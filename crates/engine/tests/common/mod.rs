//! What the tests of this crate share: a capture run through the engine, and how to report what agreed. Nothing here
//! asserts; tests do.

#![allow(dead_code)] // every test binary uses its part

use capture::{Item, Reader};
use engine::{Context, Engine, Options, is_judged};

/// Calls `see` for every event that reaches the rules, after the state took it in. No host name, and containers are not
/// recognised: the recorded values were made without either.
pub fn replay(capture: &[u8], see: &mut dyn FnMut(&Context<'_>)) {
    let options = Options { hostname: Some(String::new()), runtimes: Vec::new(), ..Options::default() };
    run(Engine::new(options), capture, see);
}

/// The same with containers, as the recorded alerts were made: on a machine whose host has two folders in one controller.
pub fn replay_with_containers(capture: &[u8], see: &mut dyn FnMut(&Context<'_>)) {
    run(Engine::new(Options { any_controller: true, ..Options::default() }), capture, see);
}

fn run(mut engine: Engine, capture: &[u8], see: &mut dyn FnMut(&Context<'_>)) {
    let mut reader = Reader::open(capture).expect("a readable capture");
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

/// One line of the summary of conformance: written past the test runner, which would keep it from whoever runs all tests.
pub fn tell(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "\nconformance: {line}");
}
