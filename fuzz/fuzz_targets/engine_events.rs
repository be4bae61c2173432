//! Any bytes as events back to back: the engine takes in those that decode, every field answers or is absent, and
//! nothing panics.

#![no_main]

use bumpalo::Bump;
use engine::{Engine, Options};
use event::wire::Event;
use event::{Catalogue, FieldArg, FieldRef, FieldSource};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static FIELDS: LazyLock<Vec<FieldRef>> = LazyLock::new(|| {
    let mut fields = Vec::new();
    for info in Catalogue::builtin().iter() {
        let with = |arg| FieldRef { id: info.id, arg, text: info.name.clone() };
        if !info.arg_required {
            fields.push(with(None));
        }
        if info.arg_allowed {
            fields.extend([FieldArg::Index(1), FieldArg::Key("name".to_owned())].map(|arg| with(Some(arg))));
        }
    }
    fields
});

fuzz_target!(|bytes: &[u8]| {
    let mut engine = Engine::new(Options::default());
    let mut arena = Bump::new();
    let mut rest = bytes;
    while let Ok(event) = Event::decode(rest, 0) {
        let context = engine.push(&event, "syscall");
        for field in FIELDS.iter() {
            let _ =
                (context.extract(field, &arena), context.candidates(field, &arena), context.rendered(field, &arena));
        }
        arena.reset();
        rest = &rest[event.raw().len()..];
    }
    engine.finish();
});
