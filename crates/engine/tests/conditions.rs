//! Conformance: a condition is true for exactly those recorded events whose recorded value it describes. In come the
//! captures of `shared/corpus` and the field values that the reference recorded; conditions are made from these values,
//! one for every operator that the type of the field takes, and counted over all events. Without the corpus the test
//! says so and passes.

#![allow(clippy::print_stdout)]

mod common;

use bumpalo::Bump;
use common::{replay, tell};
use event::{Catalogue, ParamType};
use rules::{Loader, Matching, Setup};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

type Event = Map<String, Json>;

/// The text of a condition and what it says of a present value of its field.
struct Case {
    condition: String,
    field: String,
    holds: Box<dyn Fn(&Json) -> bool>,
    /// An absent value makes the check false, and `not` makes that true.
    negated: bool,
}

#[test]
fn conditions_hold_where_the_recorded_values_say_so() {
    if !corpus("captures/golden").exists() {
        println!("skipped: no recorded field values beside the checkout");
        return;
    }
    for (stem, file, fields) in [("actions", "actions.scap.gz", ""), ("curl_google", "curl_google.scap", "fd.")] {
        let events = recorded(stem);
        let cases = cases(&events, fields);
        let found = count_matches(&cases, &std::fs::read(corpus("captures").join(file)).expect("a capture"));
        let wrong: Vec<_> = cases
            .iter()
            .zip(&found)
            .map(|(case, found)| (case, case.count(&events), *found))
            .filter(|(_, wanted, found)| wanted != found)
            .map(|(case, wanted, found)| format!("{}: {found} events, not {wanted}", case.condition))
            .collect();
        assert!(cases.len() > 200, "only {} conditions", cases.len());
        assert!(wrong.is_empty(), "{stem}: {} of {} conditions\n{}", wrong.len(), cases.len(), wrong.join("\n"));
        tell(&format!("{} conditions over {} events of {stem} agree", cases.len(), events.len()));
    }
}

impl Case {
    fn count(&self, events: &[Event]) -> usize {
        events.iter().filter(|e| e.get(&self.field).is_some_and(&self.holds) != self.negated).count()
    }
}

fn corpus(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus")).join(path)
}

fn recorded(stem: &str) -> Vec<Event> {
    let file =
        std::fs::File::open(corpus("captures/golden").join(format!("{stem}.jsonl.gz"))).expect("recorded values");
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).expect("readable values");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

/// How often each condition is true over `capture`.
fn count_matches(cases: &[Case], capture: &[u8]) -> Vec<usize> {
    let rule = |(number, case): (usize, &Case)| {
        let condition = serde_json::to_string(&case.condition).expect("text");
        format!("- rule: r{number}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n")
    };
    let mut loader = Loader::new(Setup::builtin());
    let result = loader.load("conditions.yaml", &cases.iter().enumerate().map(rule).collect::<String>());
    assert!(result.successful(), "{:?}", result.errors.iter().map(|e| &e.message).collect::<Vec<_>>());
    let rule_set = loader.rule_set();
    let program = rule_set.program(Matching::All);
    let source = program.source("syscall").expect("rules for system calls");
    let (mut arena, mut matched, mut counts) = (Bump::new(), Vec::new(), vec![0; cases.len()]);
    replay(capture, &mut |context| {
        program.evaluate(source, context.event.kind, context, &arena, &mut matched);
        for id in matched.drain(..) {
            let name = &rule_set.rule(id).expect("a rule of the set").name;
            counts[name[1..].parse::<usize>().expect("a number")] += 1;
        }
        arena.reset();
    });
    counts
}

/// Conditions on the most frequent value of every field whose name begins with `prefix`.
fn cases(events: &[Event], prefix: &str) -> Vec<Case> {
    let mut values: BTreeMap<&str, BTreeMap<String, (usize, &Json)>> = BTreeMap::new();
    let is_wanted = |field: &str| field.starts_with(prefix) && !LEFT_OUT.contains(&field);
    for (field, value) in events.iter().flatten().filter(|(field, _)| is_wanted(field)) {
        values.entry(field).or_default().entry(value.to_string()).or_insert((0, value)).0 += 1;
    }
    let catalogue = Catalogue::builtin();
    let mut cases = Vec::new();
    for (field, values) in &values {
        let Some(info) = catalogue.find(field.split('[').next().unwrap_or(field), "syscall") else { continue };
        add(&mut cases, field, "exists", "", |_| true);
        if let Some((_, value)) = values.values().max_by_key(|(n, _)| n) {
            match value {
                Json::String(text) if info.ty == ParamType::Charbuf => {
                    of_text(&mut cases, field, text, info.no_transformer);
                }
                Json::Number(number) if info.ty != ParamType::Charbuf => of_number(&mut cases, field, number),
                Json::Bool(on) => of_bool(&mut cases, field, *on),
                _ => {}
            }
        }
    }
    cases
}

fn add(cases: &mut Vec<Case>, field: &str, check: &str, value: &str, holds: impl Fn(&Json) -> bool + Clone + 'static) {
    for negated in [false, true] {
        let not = if negated { "not " } else { "" };
        let condition = format!("{not}{field} {check} {value}");
        cases.push(Case { condition, field: field.to_owned(), holds: Box::new(holds.clone()), negated });
    }
}

fn of_text(cases: &mut Vec<Case>, field: &str, text: &str, is_opaque: bool) {
    let is_simple = text.bytes().all(|b| (b' '..=b'~').contains(&b) && !b"\"\\*?[".contains(&b));
    if !is_simple {
        return;
    }
    let quoted = |text: &str| format!("\"{text}\"");
    let (third, owned) = (text.len() / 3, text.to_owned());
    let (start, middle, end) =
        (text[..third].to_owned(), text[third..2 * third].to_owned(), text[2 * third..].to_owned());
    let str_of = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let same = {
        let owned = owned.clone();
        move |v: &Json| str_of(v) == owned
    };
    add(cases, field, "=", &quoted(text), same.clone());
    add(cases, field, "!=", &quoted(text), {
        let same = same.clone();
        move |v| !same(v)
    });
    add(cases, field, "in", &format!("({}, \"x y\")", quoted(text)), same);
    add(cases, field, "startswith", &quoted(&start), {
        let s = start.clone();
        move |v| str_of(v).starts_with(&s)
    });
    add(cases, field, "endswith", &quoted(&end), {
        let e = end.clone();
        move |v| str_of(v).ends_with(&e)
    });
    add(cases, field, "contains", &quoted(&middle), {
        let m = middle.clone();
        move |v| str_of(v).contains(&m)
    });
    let upper = middle.to_ascii_uppercase();
    add(cases, field, "icontains", &quoted(&upper), move |v| str_of(v).to_ascii_uppercase().contains(&upper));
    let both = {
        let (s, e) = (start.clone(), end.clone());
        move |v: &Json| str_of(v).starts_with(&s) && str_of(v).ends_with(&e)
    };
    let longer = text.len() - middle.len();
    add(cases, field, "glob", &quoted(&format!("{start}*{end}")), move |v| both(v) && str_of(v).len() >= longer);
    if !is_opaque {
        let lower = owned.to_ascii_lowercase();
        let (len, name) = (text.len(), owned.rsplit('/').next().unwrap_or_default().to_owned());
        call(cases, field, "tolower", &quoted(&lower), {
            let l = lower.clone();
            move |v| str_of(v).to_ascii_lowercase() == l
        });
        call(cases, field, "len", &len.to_string(), move |v| str_of(v).len() == len);
        call(cases, field, "basename", &quoted(&name), move |v| str_of(v).rsplit('/').next() == Some(&name));
    }
}

/// `function(field) = value`.
fn call(cases: &mut Vec<Case>, field: &str, function: &str, value: &str, holds: impl Fn(&Json) -> bool + 'static) {
    let condition = format!("{function}({field}) = {value}");
    cases.push(Case { condition, field: field.to_owned(), holds: Box::new(holds), negated: false });
}

fn of_number(cases: &mut Vec<Case>, field: &str, number: &serde_json::Number) {
    let Some(wanted) = number.as_i128() else { return };
    let text = wanted.to_string();
    let test = |compare: fn(&i128, &i128) -> bool| {
        move |value: &Json| {
            value.as_number().and_then(serde_json::Number::as_i128).is_some_and(|n| compare(&n, &wanted))
        }
    };
    add(cases, field, "=", &text, test(i128::eq));
    add(cases, field, "!=", &text, test(i128::ne));
    add(cases, field, "<", &text, test(i128::lt));
    add(cases, field, "<=", &text, test(i128::le));
    add(cases, field, ">", &text, test(i128::gt));
    add(cases, field, ">=", &text, test(i128::ge));
    add(cases, field, "in", &format!("({text}, 77777)"), test(i128::eq));
}

fn of_bool(cases: &mut Vec<Case>, field: &str, on: bool) {
    add(cases, field, "=", &on.to_string(), move |v| v.as_bool() == Some(on));
    add(cases, field, "!=", &on.to_string(), move |v| v.as_bool() != Some(on));
}

/// Event types decide whether a rule is tried at all; ancestors are compared one by one; the others are the deviations
/// that `golden.rs` gives reasons for.
const LEFT_OUT: &[&str] = &[
    "evt.type",
    "syscall.type",
    "proc.aname",
    "proc.aexe",
    "proc.aexepath",
    "proc.acmdline",
    "proc.apid",
    "proc.aenv",
    "evt.deltatime",
    "evt.deltatime.s",
    "evt.deltatime.ns",
    "evt.type.is.openat",
    "evt.buffer",
    "evt.hostname",
    "proc.ppid.duration",
    "fs.path.name",
    "fd.name",
    "user.uid",
    "user.name",
    "user.homedir",
    "user.shell",
    "thread.cap_effective",
];
