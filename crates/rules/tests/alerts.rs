//! Recorded alerts, written again: the fields of each recorded JSON alert become an event, and the alert of the same
//! rule for that event has to be the recorded line, byte for byte. Skips with a printed reason without the corpus.

#![allow(clippy::print_stderr)] // a skipped test says why

mod fake;

use bumpalo::Bump;
use event::{Catalogue, ParamType};
use fake::{FakeEvent, Owned};
use rules::{AlertStyle, AlertWriter, AppendOutput, Loader, Setup};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus");

fn official(append_output: Vec<AppendOutput>) -> Option<Loader> {
    let path = PathBuf::from(CORPUS).join("rules/official/falco_rules.yaml");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: no {}", path.display());
        return None;
    };
    let mut loader = Loader::new(Setup { append_output, ..Setup::builtin() });
    assert!(loader.load("falco_rules.yaml", &text).successful());
    Some(loader)
}

fn event_of(alert: &Value, catalogue: &Catalogue) -> FakeEvent {
    let mut event = FakeEvent::default();
    let fields = alert["output_fields"].as_object().expect("fields");
    for (name, value) in fields {
        let base = name.split('[').next().unwrap_or(name);
        let ty = catalogue.find(base, "syscall").map(|f| f.ty);
        let owned = match value {
            Value::Null => continue,
            Value::Bool(value) => Owned::Bool(*value),
            Value::Number(number) if number.is_i64() && ty == Some(ParamType::Int64) => {
                Owned::Int(number.as_i64().expect("a number"))
            }
            Value::Number(number) => Owned::Uint(number.as_u64().expect("a number")),
            Value::String(text) if ty == Some(ParamType::Ipaddr) => Owned::Ip(text.parse().expect("an address")),
            Value::String(text) => Owned::Str(text.clone().into_bytes()),
            other => panic!("{name}: {other}"),
        };
        event.values.insert(name.clone(), owned);
    }
    let nanos = fields["evt.time"].as_u64().expect("a time");
    let time = alert["output"].as_str().and_then(|o| o.split(": ").next()).expect("a time");
    event.values.insert("evt.rawtime".to_owned(), Owned::Uint(nanos));
    event.values.insert("evt.time".to_owned(), Owned::Str(time.as_bytes().to_vec()));
    event
}

#[test]
fn recorded_alerts_are_written_again() {
    let suggested = AppendOutput { suggested_output: true, ..AppendOutput::default() };
    let Some(loader) = official(vec![suggested]) else { return };
    let catalogue = Arc::clone(&loader.setup().catalogue);
    let style = AlertStyle { json_output: true, hostname: "vm".to_owned(), ..AlertStyle::default() };
    let mut writer = AlertWriter::new(style, Arc::clone(&catalogue));
    let mut count = 0;
    for name in ["actions.official.all.jsonl", "busy_200k.official.all.jsonl"] {
        let path = PathBuf::from(CORPUS).join("captures/alerts").join(name);
        for line in std::fs::read_to_string(path).expect("recorded alerts").lines() {
            let alert: Value = serde_json::from_str(line).expect("JSON");
            let event = event_of(&alert, &catalogue);
            let rule = loader.rule_set().by_name(alert["rule"].as_str().expect("a rule")).expect("a loaded rule");
            let mut out = String::new();
            writer.line(rule, &event, &Bump::new(), &mut out);
            assert_eq!(out, line);
            count += 1;
        }
    }
    assert!(count > 40, "only {count} alerts");
}

#[test]
fn styles_change_what_they_name() {
    let extra = AppendOutput {
        extra_output: "[%proc.pid]".to_owned(),
        extra_fields: vec![("proc.pid".to_owned(), None), ("who".to_owned(), Some("%user.name/%user.uid".to_owned()))],
        ..AppendOutput::default()
    };
    let mut loader = Loader::new(Setup { append_output: vec![extra], ..Setup::builtin() });
    let text = "- rule: r\n  desc: d\n  condition: evt.type=open\n  output: |\n    a \"%5proc.name|\" %proc.pname\n  priority: WARNING\n  tags: [b, a, b]\n";
    let result = loader.load("r.yaml", text);
    assert!(result.successful(), "{}", result.verbose());
    let mut event = FakeEvent::default();
    for (name, value) in
        [("proc.name", "cat"), ("evt.time", "10:00:00.000000001"), ("evt.time.iso8601", "ISO"), ("user.name", "me")]
    {
        event.values.insert(name.to_owned(), Owned::Str(value.as_bytes().to_vec()));
    }
    event.values.insert("proc.pid".to_owned(), Owned::Int(7));
    event.values.insert("user.uid".to_owned(), Owned::Uint(0));
    event.values.insert("evt.rawtime".to_owned(), Owned::Uint(1));
    let line = |style: AlertStyle| {
        let mut out = String::new();
        let mut writer = AlertWriter::new(style, Arc::clone(&loader.setup().catalogue));
        writer.line(&loader.rule_set().rules()[0], &event, &Bump::new(), &mut out);
        out
    };
    assert_eq!(line(AlertStyle::default()), r#"10:00:00.000000001: Warning a \"cat  |\" <NA> [7]"#);
    let style = AlertStyle {
        json_output: true,
        json_include_message_property: true,
        json_include_output_property: false,
        time_format_iso_8601: true,
        hostname: "h".to_owned(),
        ..AlertStyle::default()
    };
    assert_eq!(
        line(style),
        r#"{"hostname":"h","message":"a \"cat  |\" <NA> [7]","output_fields":{"evt.time.iso8601":1,"proc.name":"cat","proc.pid":7,"proc.pname":null,"who":"me/0"},"priority":"Warning","rule":"r","source":"syscall","tags":["a","b"],"time":"1970-01-01T00:00:00.000000001Z"}"#
    );
}
