//! Any text as a condition and an output, any bytes as events behind them: what compiles can be evaluated and told about
//! every event, an alert is one line of JSON, and nothing panics. Input: condition, NUL, output, NUL, events.

#![no_main]

use bumpalo::Bump;
use engine::{Engine, Options};
use event::wire::Event;
use libfuzzer_sys::fuzz_target;
use rules::{AlertStyle, AlertWriter, Loader, Matching, Setup};

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |b| *b == 0);
    let (Some(condition), Some(output), Some(events)) = (parts.next(), parts.next(), parts.next()) else { return };
    let (Ok(condition), Ok(output)) = (std::str::from_utf8(condition), std::str::from_utf8(output)) else { return };
    // JSON is YAML, and quotes whatever is in the texts.
    let rule = serde_json::json!([{
        "rule": "r", "desc": "d", "condition": condition, "output": output, "priority": "INFO"
    }]);
    let mut loader = Loader::new(Setup::builtin());
    if !loader.load("rules.yaml", &rule.to_string()).successful() {
        return;
    }
    let rules = loader.rule_set();
    let program = rules.program(Matching::All);
    let Some(source) = program.source("syscall") else { return };
    let style = AlertStyle { json_output: true, ..AlertStyle::default() };
    let mut writer = AlertWriter::new(style, rules.catalogue().clone());
    let (mut engine, mut arena, mut matched) = (Engine::new(Options::default()), Bump::new(), Vec::new());
    let mut rest = events;
    while let Ok(event) = Event::decode(rest, 0) {
        let context = engine.push(&event, "syscall");
        program.evaluate(source, event.kind, &context, &arena, &mut matched);
        for rule in matched.drain(..).filter_map(|id| rules.rule(id)) {
            let mut line = String::new();
            writer.line(rule, &context, &arena, &mut line);
            let alert: serde_json::Value = serde_json::from_str(&line).expect("an alert is JSON");
            assert!(alert.is_object() && !line.contains('\n'));
        }
        arena.reset();
        rest = &rest[event.raw().len()..];
    }
});
