//! The optimised program and the plain condition say the same: random conditions over a few fields, as several rules at
//! once, on random events of several kinds, where fields may be absent.

mod fake;

use bumpalo::Bump;
use event::Kind;
use fake::{FakeEvent, Owned};
use proptest::prelude::*;
use rules::{Coverage, Loader, Matching, Setup};

const TEXTS: &[&str] = &["", "a", "ab", "abc", "/a", "/a/b", "xyz"];

fn text() -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(TEXTS)
}

fn check() -> impl Strategy<Value = String> {
    let field = prop::sample::select(&["proc.name", "fd.name", "proc.aname[2]", "tolower(proc.name)"][..]);
    let op = prop::sample::select(&["=", "!=", "startswith", "endswith", "contains", "icontains", "glob"][..]);
    let list = prop::collection::vec(text(), 0..4).prop_map(|v| format!("('{}')", v.join("', '")));
    let modifier = prop::sample::select(&["oneof", "anyof", "allof"][..]);
    prop_oneof![
        5 => (field.clone(), op.clone(), text()).prop_map(|(f, o, t)| format!("{f} {o} '{t}'")),
        3 => (field.clone(), list.clone()).prop_map(|(f, l)| format!("{f} in {l}")),
        1 => (field.clone(), list.clone()).prop_map(|(f, l)| format!("{f} pmatch {l}")),
        1 => (field.clone(), op, modifier, list.clone()).prop_map(|(f, o, m, l)| format!("{f} {o} {m} {l}")),
        1 => field.clone().prop_map(|f| format!("{f} exists")),
        1 => (prop::sample::select(&["=", "!=", "<", ">="][..]), 0..4i32).prop_map(|(o, n)| format!("fd.num {o} {n}")),
        1 => list.prop_map(|l| format!("proc.aname in {l}")),
        1 => Just("fd.name = val(proc.name)".to_owned()),
        1 => prop::sample::select(&["open", "openat", "close", "madvise"][..]).prop_map(|t| format!("evt.type = {t}")),
        1 => prop::sample::select(&["evt.type in (open, openat)", "evt.type != close", "evt.num = 0", "evt.num > 0", "evt.dir = <"][..])
            .prop_map(str::to_owned),
    ]
}

/// What many rules have in common.
fn demand() -> impl Strategy<Value = String> {
    let field = prop::sample::select(&["proc.name", "fd.name", "proc.aname[2]"][..]);
    prop_oneof![
        4 => (field.clone(), text()).prop_map(|(f, t)| format!("{f} = '{t}'")),
        2 => (field, text(), text()).prop_map(|(f, a, b)| format!("{f} in ('{a}', '{b}')")),
        1 => Just("(fd.num >= 1 and proc.name startswith a)".to_owned()),
        1 => check(),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    check().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..5).prop_map(|c| format!("({})", c.join(" and "))),
            prop::collection::vec(inner.clone(), 2..5).prop_map(|c| format!("({})", c.join(" or "))),
            inner.prop_map(|c| format!("not ({c})")),
        ]
    })
}

const KINDS: &[(&str, Kind)] = &[
    ("open", Kind::SYSCALL_OPEN_X),
    ("openat", Kind::SYSCALL_OPENAT_2_X),
    ("close", Kind::SYSCALL_CLOSE_X),
    ("madvise", Kind::GENERIC_X),
];

fn event() -> impl Strategy<Value = (Kind, FakeEvent)> {
    let value = || prop::option::of(text());
    (
        prop::sample::select(KINDS),
        value(),
        value(),
        value(),
        prop::option::of(0..4i64),
        prop::collection::vec(text(), 0..3),
    )
        .prop_map(|((name, kind), proc_name, fd_name, ancestor, fd, ancestors)| {
            let mut event = FakeEvent::default();
            let owned = |text: &str| Owned::Str(text.as_bytes().to_vec());
            let mut set = |field: &str, value: Option<Owned>| {
                if let Some(value) = value {
                    event.values.insert(field.to_owned(), value);
                }
            };
            set("evt.type", Some(owned(name)));
            set("evt.dir", Some(owned("<")));
            set("evt.num", Some(Owned::Uint(5)));
            set("proc.name", proc_name.map(owned));
            set("fd.name", fd_name.map(owned));
            set("proc.aname[2]", ancestor.map(owned));
            set("fd.num", fd.map(Owned::Int));
            event.candidates.insert("proc.aname".to_owned(), ancestors.into_iter().map(owned).collect());
            (kind, event)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn programs_keep_the_meaning(
        conditions in prop::collection::vec(condition(), 1..5), events in prop::collection::vec(event(), 1..6),
    ) {
        compare(&conditions, &events)?;
    }

    /// So many rules that they are looked up by what they demand.
    #[test]
    fn many_rules_keep_the_meaning(
        conditions in prop::collection::vec((demand(), check(), condition()), 20..60),
        events in prop::collection::vec(event(), 1..6),
    ) {
        let conditions: Vec<String> = conditions.into_iter().map(|(a, b, c)| format!("{a} and {b} and {c}")).collect();
        compare(&conditions, &events)?;
    }
}

fn compare(conditions: &[String], events: &[(Kind, FakeEvent)]) -> Result<(), TestCaseError> {
    let mut loader = Loader::new(Setup::builtin());
    let text: String = conditions
        .iter()
        .enumerate()
        .map(|(i, condition)| {
            let condition = serde_json::to_string(condition).expect("JSON");
            format!("- rule: r{i}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n")
        })
        .collect();
    let result = loader.load("x.yaml", &text);
    prop_assert!(result.successful(), "{}", result.verbose());
    let rules = loader.rule_set();
    let (all, first) = (rules.program(Matching::All), rules.program(Matching::First));
    for (kind, event) in events {
        let arena = Bump::new();
        let mut expected = Vec::new();
        for rule in rules.rules() {
            let trace = rules.explain(rule.id, event, &arena).expect("a rule");
            let mut coverage = Coverage::new(rule);
            prop_assert_eq!(coverage.record(rule, event, &arena), trace.value);
            // Where a condition is true, the analysis of event types must not have ruled its kind out.
            prop_assert!(!trace.value || rule.runs_on(*kind), "{} on {:?}", rule.condition, kind);
            if trace.value {
                expected.push(rule.id);
            }
        }
        let run = |program: &rules::Program| {
            let mut matched = Vec::new();
            if let Some(source) = program.source("syscall") {
                program.evaluate(source, *kind, event, &Bump::new(), &mut matched);
            }
            matched
        };
        prop_assert_eq!(run(&first).first().copied(), expected.first().copied());
        prop_assert_eq!(run(&all), expected);
    }
    Ok(())
}
