//! Cost per event of evaluating a rule set: reads rules and events (one JSON object of field values per line), prints
//! nanoseconds per event and the most expensive event kinds. Values are looked up in an array, so what is measured is
//! the program, not the extraction.
//!
//! `cargo bench -p rules -- RULES.yaml EVENTS.jsonl`

#![allow(clippy::print_stdout, clippy::cast_precision_loss)]

use bumpalo::Bump;
use event::{Catalogue, FieldRef, FieldSource, Kind, ParamType, Value, tables};
use rules::{Loader, Matching, Program, Setup, SourceIndex};
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::time::Instant;

enum Stored {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Text(Vec<u8>),
    Ip(std::net::IpAddr),
}

struct Row {
    kind: Kind,
    plain: Vec<Option<Stored>>,
    with_argument: HashMap<String, Stored>,
}

impl Stored {
    fn view(&self) -> Value<'_> {
        match self {
            Stored::Bool(value) => Value::Bool(*value),
            Stored::Int(value) => Value::Int(*value),
            Stored::Uint(value) => Value::Uint(*value),
            Stored::Text(value) => Value::Str(value),
            Stored::Ip(value) => Value::Ip(*value),
        }
    }
}

impl FieldSource for Row {
    fn extract<'a>(&'a self, field: &FieldRef, _: &'a Bump) -> Option<Value<'a>> {
        match &field.arg {
            None => self.plain.get(usize::from(field.id.0))?.as_ref().map(Stored::view),
            Some(_) => self.with_argument.get(&field.text).map(Stored::view),
        }
    }

    fn candidates<'a>(&'a self, _: &FieldRef, _: &'a Bump) -> &'a [Value<'a>] {
        &[]
    }

    fn rendered<'a>(&'a self, _: &FieldRef, _: &'a Bump) -> Option<&'a [u8]> {
        None
    }
}

fn row(line: &str, catalogue: &Catalogue) -> Option<Row> {
    let json: serde_json::Value = serde_json::from_str(line).ok()?;
    let name = json["evt.type"].as_str()?;
    let kind = tables::events().iter().rfind(|e| e.name == name && !e.is_enter);
    let mut row = Row {
        kind: kind.map_or(Kind::GENERIC_X, |e| e.kind),
        plain: catalogue.iter().map(|_| None).collect(),
        with_argument: HashMap::new(),
    };
    for (key, value) in json.as_object()? {
        let info = catalogue.find(key, "syscall");
        let ty = info.map(|i| i.ty);
        let stored = match value {
            serde_json::Value::Bool(value) => Stored::Bool(*value),
            serde_json::Value::Number(n) if n.is_u64() && ty != Some(ParamType::Int64) => Stored::Uint(n.as_u64()?),
            serde_json::Value::Number(n) if n.is_i64() => Stored::Int(n.as_i64()?),
            serde_json::Value::String(text) if ty == Some(ParamType::Ipaddr) => Stored::Ip(text.parse().ok()?),
            serde_json::Value::String(text) => Stored::Text(text.clone().into_bytes()),
            _ => continue,
        };
        match info {
            Some(info) => row.plain[usize::from(info.id.0)] = Some(stored),
            None => {
                row.with_argument.insert(key.clone(), stored);
            }
        }
    }
    Some(row)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let [rules, events] = args.as_slice() else {
        println!("usage: cargo bench -p rules -- RULES.yaml EVENTS.jsonl");
        return;
    };
    let catalogue = Catalogue::builtin();
    let rules_text = std::fs::read_to_string(rules).expect("the rules file");
    let started = Instant::now();
    let mut loader = Loader::new(Setup::builtin());
    let result = loader.load(rules, &rules_text);
    let loaded = started.elapsed();
    assert!(result.successful(), "{}", result.verbose());
    let program = loader.rule_set().program(Matching::All);
    println!("loaded in {loaded:?}, program in {:?}", started.elapsed() - loaded);
    let text = std::fs::read_to_string(events).expect("the events file");
    let rows: Vec<Row> = text.lines().filter_map(|line| row(line, &catalogue)).collect();
    let source = program.source("syscall").expect("rules of source syscall");
    let best = (0..20).map(|_| pass(&program, source, &rows)).fold(f64::MAX, f64::min);
    println!("{} events, {best:.0} ns per event (best of 20 passes)", rows.len());
    let mut by_kind: BTreeMap<u16, Vec<&Row>> = BTreeMap::new();
    rows.iter().for_each(|r| by_kind.entry(r.kind.0).or_default().push(r));
    let mut costs: Vec<(f64, usize, &str)> = by_kind
        .iter()
        .map(|(kind, rows)| {
            let best = (0..20).map(|_| pass(&program, source, rows)).fold(f64::MAX, f64::min);
            (best, rows.len(), Kind(*kind).info().map_or("", |i| i.name))
        })
        .collect();
    costs.sort_by(|a, b| b.0.total_cmp(&a.0));
    costs.iter().take(12).for_each(|(ns, count, name)| println!("  {name:<16} {count:>6} events {ns:>7.0} ns"));
}

/// Nanoseconds per event of one pass over all events.
fn pass<R: std::borrow::Borrow<Row>>(program: &Program, source: SourceIndex, rows: &[R]) -> f64 {
    let mut arena = Bump::with_capacity(16 << 10);
    let mut matched = Vec::new();
    let started = Instant::now();
    for row in rows {
        let row = row.borrow();
        program.evaluate(source, row.kind, row, &arena, &mut matched);
        arena.reset();
    }
    black_box(&matched);
    started.elapsed().as_nanos() as f64 / rows.len() as f64
}
