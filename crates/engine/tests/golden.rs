//! Conformance: every field of every event of the recorded captures has the value that the reference recorded. In come
//! `shared/corpus/captures/golden` and the captures beside it; without them the test says so and passes. A mismatch is
//! only allowed by a row of `DEVIATIONS`, which must name its reason and must still be needed.
//!
//! While working on fields, narrow and lengthen the report through the environment:
//! `GOLDEN_CAPTURE=sample GOLDEN_FIELD=fd.name GOLDEN_SHOW=50 cargo test -p engine --test golden -- --nocapture`
//! (a field that ends in `*` is a prefix).

#![allow(clippy::print_stdout)]

mod common;

use bumpalo::Bump;
use capture::{Compression, Item, Reader, Writer};
use common::{replay, tell};
use engine::Context;
use event::{Catalogue, FieldArg, FieldRef};
use rules::output::write_json_value;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;

#[test]
fn fields_of_recorded_events() {
    let Some(fields) = Fields::read() else {
        println!("skipped: no recorded field values beside the checkout");
        return;
    };
    let report = compare_captures(&fields, <[u8]>::to_vec);
    report.print();
    assert!(report.values > 0, "nothing was compared");
    assert!(report.mismatches.is_empty(), "{} fields have unexpected values", report.mismatches.len());
    if std::env::var_os("GOLDEN_CAPTURE").is_none() && std::env::var_os("GOLDEN_FIELD").is_none() {
        let idle: Vec<_> = DEVIATIONS.iter().filter(|d| !report.deviations.contains_key(d.reason)).collect();
        assert!(idle.is_empty(), "deviations that no longer occur: {idle:?}");
    }
}

/// What the writer makes of a capture leads to the same values as the original, whatever its version was.
#[test]
fn fields_of_rewritten_events() {
    let Some(fields) = Fields::read() else {
        println!("skipped: no recorded field values beside the checkout");
        return;
    };
    let report = compare_captures(&fields, rewritten);
    report.print();
    assert!(report.mismatches.is_empty(), "{} fields have unexpected values", report.mismatches.len());
}

fn rewritten(bytes: &[u8]) -> Vec<u8> {
    let mut reader = Reader::open(bytes).expect("a readable capture");
    let mut writer = Writer::new(Vec::new(), Compression::Gzip, reader.snapshot()).expect("memory takes it");
    while let Some(item) = reader.next().expect("a good capture") {
        if let Item::Event(record) = item {
            writer.event(&record.event, record.state_only).expect("memory takes it");
        }
    }
    writer.finish().expect("memory takes it")
}

/// A mismatch that is meant to be.
#[derive(Debug)]
struct Deviation {
    capture: &'static str,
    field: &'static str,
    /// Event type, or `*`.
    evt_type: &'static str,
    /// How the recorded value begins, as JSON; empty = any, also none.
    want: &'static str,
    reason: &'static str,
}

const DEVIATIONS: &[Deviation] = &[
    any("evt.deltatime", DELTA),
    any("evt.deltatime.s", DELTA),
    any("evt.deltatime.ns", DELTA),
    any("evt.type.is.openat", TYPE_IS),
    any("proc.ppid.duration", PARENT_AGE),
    when("evt.buffer", "ptrace", "\"", STALE_BUFFER),
    when("evt.buffer", "*", "\"NULL", STALE_BUFFER),
    when("fs.path.name", "unlinkat", "\"<UNKNOWN>", UNLINKAT),
    when("fd.name", "openat", "\"/tmp/kf_trig\"", DIRFD_NAME),
    when("user.uid", "setreuid", "4294967295", SETREUID),
    when("user.name", "setreuid", "\"<NA>", SETREUID),
    when("user.homedir", "setreuid", "\"<NA>", SETREUID),
    when("user.shell", "setreuid", "\"<NA>", SETREUID),
    when("thread.cap_effective", "setresuid", "\"CAP_CHOWN", DROPPED),
];

const PARENT_AGE: &str =
    "with an unknown start of the parent the reference yields its number of descriptors, not nothing";
const STALE_BUFFER: &str = "without bytes the reference prints what an earlier parameter left behind";
const UNLINKAT: &str = "the reference takes the result of the call for the directory descriptor";
const DIRFD_NAME: &str = "after `evt.abspath` was asked for, the reference takes the directory for the file";
const SETREUID: &str = "-1 leaves an id as it is; the reference takes it for the new id";

const DROPPED: &str = "without root nothing is effective; the reference forgets that until the next execve";

const fn any(field: &'static str, reason: &'static str) -> Deviation {
    when(field, "*", "", reason)
}

const fn when(field: &'static str, evt_type: &'static str, want: &'static str, reason: &'static str) -> Deviation {
    Deviation { capture: "*", field, evt_type, want, reason }
}

const DELTA: &str = "the reference takes the time twice per event when it writes JSON, so that it always writes 0";
const TYPE_IS: &str = "the reference never writes this field into JSON; conditions see the same number";

const CAPTURES: &[&str] = &[
    "actions.scap.gz",
    "cat_write.scap",
    "connect_localhost.scap",
    "curl_google.scap",
    "open-multiple-files.scap",
    "run_as_user_65534_container.scap",
    "sample.scap",
];

fn corpus() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/captures"))
}

/// Whether the environment variable is unset or names `what`.
fn is_chosen(variable: &str, what: &str) -> bool {
    match std::env::var(variable) {
        Err(_) => true,
        Ok(wanted) => match wanted.strip_suffix('*') {
            Some(prefix) => what.starts_with(prefix),
            None => what == wanted || what.split('.').next() == Some(&wanted),
        },
    }
}

fn compare_captures(fields: &Fields, prepare: impl Fn(&[u8]) -> Vec<u8>) -> Report {
    let mut report = Report::default();
    for name in CAPTURES.iter().filter(|n| is_chosen("GOLDEN_CAPTURE", n)) {
        let bytes = prepare(&std::fs::read(corpus().join(name)).expect("a capture"));
        compare_capture(name.split('.').next().unwrap_or(name), &bytes, fields, &mut report);
    }
    report
}

fn compare_capture(stem: &str, bytes: &[u8], fields: &Fields, report: &mut Report) {
    let mut golden = Golden::open(stem);
    let mut expected = golden.next();
    let mut arena = Bump::new();
    replay(bytes, &mut |context| {
        while let Some((num, _)) = expected.as_ref().filter(|(num, _)| *num < context.num) {
            report.event(stem, *num, "missing: did not reach the rules");
            expected = golden.next();
        }
        match expected.as_ref().filter(|(num, _)| *num == context.num) {
            Some((_, values)) => {
                report.events += 1;
                for field in &fields.refs {
                    let found = json_of(context, field, &fields.catalogue, &arena);
                    report.field(stem, context, field, (values.get(&field.text), found.as_ref()));
                }
                expected = golden.next();
            }
            None => report.event(stem, context.num, "extra: must not reach the rules"),
        }
        arena.reset();
    });
    while let Some((num, _)) = expected {
        report.event(stem, num, "missing: did not reach the rules");
        expected = golden.next();
    }
}

/// The recorded values of one capture, event by event.
struct Golden(Lines<BufReader<flate2::read::MultiGzDecoder<std::fs::File>>>);

impl Golden {
    fn open(stem: &str) -> Self {
        let path = corpus().join("golden").join(format!("{stem}.jsonl.gz"));
        let file = std::fs::File::open(path).expect("recorded values of the capture");
        Golden(BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines())
    }
}

impl Iterator for Golden {
    type Item = (u64, Map<String, Json>);

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.0.next()?.expect("a readable line");
        let values: Map<String, Json> = serde_json::from_str(&line).expect("a JSON object");
        let num = values["evt.num"].as_u64().expect("an event number");
        Some((num, values))
    }
}

/// The fields to compare.
struct Fields {
    refs: Vec<FieldRef>,
    catalogue: Catalogue,
}

impl Fields {
    fn read() -> Option<Fields> {
        let text = std::fs::read_to_string(corpus().join("golden/FIELDS.txt")).ok()?;
        let catalogue = Catalogue::builtin();
        let names = text.split_whitespace().filter(|n| is_chosen("GOLDEN_FIELD", n));
        let refs: Vec<_> = names.map(|name| field_ref(&catalogue, name)).collect();
        Some(Fields { refs, catalogue })
    }
}

/// `proc.aname[2]`, `proc.env[PATH]`, `evt.arg.flags`: the longest name that is a field, then the argument.
fn field_ref(catalogue: &Catalogue, text: &str) -> FieldRef {
    let (name, arg) = match text.split_once('[') {
        Some((name, arg)) => (name, Some(arg.trim_end_matches(']'))),
        None if catalogue.find(text, "syscall").is_some() => (text, None),
        None => text.rsplit_once('.').map(|(name, arg)| (name, Some(arg))).expect("a name with a dot"),
    };
    let info = catalogue.find(name, "syscall").unwrap_or_else(|| panic!("`{name}` is no field"));
    let arg = arg.map(|a| a.parse().map_or_else(|_| FieldArg::Key(a.to_owned()), FieldArg::Index));
    FieldRef { id: info.id, arg, text: text.to_owned() }
}

/// What was compared and what differed.
#[derive(Default)]
struct Report {
    events: u64,
    values: u64,
    agreed: u64,
    mismatches: BTreeMap<String, Mismatch>,
    /// Events that reached the rules and should not have, or the other way round.
    deviations: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct Mismatch {
    count: u64,
    examples: Vec<String>,
}

impl Report {
    /// Compares the value that was recorded with the one that was found.
    fn field(
        &mut self,
        capture: &str,
        context: &Context<'_>,
        field: &FieldRef,
        values: (Option<&Json>, Option<&Json>),
    ) {
        let (expected, found) = values;
        self.values += 1;
        if same(expected, found) {
            self.agreed += 1;
            return;
        }
        let evt_type = context.event.kind.info().map_or("?", |i| i.name);
        let matches = |pattern: &str, text: &str| pattern == "*" || pattern == text;
        let wanted = expected.map_or(String::new(), ToString::to_string);
        let accepted = DEVIATIONS.iter().find(|d| {
            let here = matches(d.capture, capture) && matches(d.field, &field.text) && matches(d.evt_type, evt_type);
            here && wanted.starts_with(d.want)
        });
        if let Some(deviation) = accepted {
            *self.deviations.entry(deviation.reason).or_default() += 1;
            return;
        }
        let show = |value: Option<&Json>| value.map_or("absent".to_owned(), ToString::to_string);
        let tid = context.event.tid;
        self.mismatch(&field.text, || {
            format!(
                "{capture} {} {evt_type} (tid {tid})\n      want {}\n      have {}",
                context.num,
                show(expected),
                show(found)
            )
        });
    }

    fn event(&mut self, capture: &str, num: u64, what: &str) {
        self.mismatch("(events)", || format!("{capture} {num} {what}"));
    }

    fn mismatch(&mut self, key: &str, example: impl FnOnce() -> String) {
        let most = std::env::var("GOLDEN_SHOW").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
        let entry = self.mismatches.entry(key.to_owned()).or_default();
        entry.count += 1;
        if entry.examples.len() < most {
            entry.examples.push(example());
        }
    }

    fn print(&self) {
        let mut by_count: Vec<_> = self.mismatches.iter().collect();
        by_count.sort_by_key(|(_, m)| std::cmp::Reverse(m.count));
        for (field, mismatch) in by_count {
            println!("{field}: {} mismatches", mismatch.count);
            mismatch.examples.iter().for_each(|e| println!("    {e}"));
        }
        for (reason, count) in &self.deviations {
            println!("accepted {count} times: {reason}");
        }
        let accepted: u64 = self.deviations.values().sum();
        tell(&format!(
            "{} events, {} of {} field values agree, {accepted} deviate for documented reasons",
            self.events, self.agreed, self.values
        ));
    }
}

/// The value as alerts carry it; `null` is absent.
fn json_of(context: &Context<'_>, field: &FieldRef, catalogue: &Catalogue, arena: &Bump) -> Option<Json> {
    let mut text = String::new();
    write_json_value(catalogue, field, context, arena, &mut text);
    let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {text}: {e}", field.text));
    Some(value).filter(|v| *v != Json::Null)
}

fn same(expected: Option<&Json>, found: Option<&Json>) -> bool {
    match (expected, found) {
        (Some(Json::Number(a)), Some(Json::Number(b))) => a.as_i128() == b.as_i128() && a.as_f64() == b.as_f64(),
        (Some(Json::Array(a)), Some(Json::Array(b))) => {
            a.len() == b.len() && a.iter().all(|item| b.contains(item)) // the reference lists them in no fixed order
        }
        (a, b) => a == b,
    }
}
