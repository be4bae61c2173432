//! Nothing panics, overflows or hangs on text from outside: random bytes, random token soup, deep nesting, lists and
//! macros that multiply each other.

use proptest::prelude::*;
use rules::{Loader, Setup};

fn load(text: &str) -> rules::LoadResult {
    let mut loader = Loader::new(Setup::builtin());
    let result = loader.load("fuzz.yaml", text);
    let shown = (result.verbose(), result.summary(), result.to_json());
    assert!(!shown.0.is_empty() && !shown.1.is_empty() && shown.2.is_object());
    let _ = (loader.describe(), loader.describe_text(None), loader.check_providers());
    result
}

/// What runs of the fuzz target `rules_load` kept.
#[test]
fn what_fuzzing_kept_ends_in_a_result() {
    let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/rules_load")).expect("seeds");
    let texts: Vec<String> = seeds.flatten().filter_map(|seed| std::fs::read_to_string(seed.path()).ok()).collect();
    assert!(texts.len() > 20);
    texts.iter().for_each(|text| drop(load(text)));
}

fn rule(condition: &str, output: &str) -> String {
    let quote = |text: &str| serde_json::to_string(text).expect("JSON");
    let (condition, output) = (quote(condition), quote(output));
    format!("- rule: r\n  desc: d\n  condition: {condition}\n  output: {output}\n  priority: INFO\n")
}

/// Words that conditions are made of, and some that they are not.
const TOKENS: &[&str] = &[
    "and",
    "or",
    "not",
    "(",
    ")",
    " ",
    " ",
    " ",
    "proc.name",
    "fd.num",
    "evt.type",
    "evt.arg.flags",
    "proc.aname[2]",
    "fd.net",
    "=",
    "!=",
    "<",
    ">=",
    "in",
    "contains",
    "startswith",
    "regex",
    "glob",
    "pmatch",
    "intersects",
    "exists",
    "oneof",
    "(a, b)",
    "\"q\"",
    "'",
    "\"",
    "\\",
    "x",
    "1",
    "-5",
    "0x1",
    "val(",
    "tolower(",
    "len(",
    ",",
    "[",
    "]",
    "10.0.0.0/8",
    "é",
    "\u{8}",
    "\n",
    "open",
    "m",
    "concat(",
    "getopt(",
    "%",
    "*",
    "{1,2}",
    "[[:alpha:]]",
];

const YAML: &[&str] = &[
    "- ",
    "\n",
    "  ",
    ": ",
    "rule",
    "macro",
    "list",
    "condition",
    "items",
    "[",
    "]",
    "{",
    "}",
    ",",
    "override",
    "append",
    "true",
    "replace",
    "exceptions",
    "name",
    "fields",
    "comps",
    "values",
    "a",
    "\"",
    "'",
    "|",
    ">",
    "#",
    "&x",
    "*x",
    "---",
    "tags",
    "priority",
    "INFO",
    "output",
    "desc",
    "enabled",
    "evt.type=open",
    "~",
    "1",
    "required_engine_version",
    "required_plugin_versions",
    "version",
    "0.1.0",
    "!!str",
    "é",
    "\t",
    "?",
];

fn soup(words: &'static [&'static str], len: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(words), 0..len).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_condition(condition in soup(TOKENS, 30), output in soup(TOKENS, 12)) {
        load(&rule(&condition, &output));
    }

    #[test]
    fn any_text_as_condition(condition in "\\PC{0,60}", output in "\\PC{0,40}") {
        load(&rule(&condition, &output));
    }

    #[test]
    fn any_yaml(text in soup(YAML, 40)) {
        load(&text);
    }

    #[test]
    fn any_text_as_file(text in "(?s).{0,80}") {
        load(&text);
    }

    #[test]
    fn any_regex(pattern in "[a-c.*+?|(){}\\[\\]\\\\^$0-9,:-]{0,16}") {
        load(&rule(&format!("evt.type = open and fd.name regex '{pattern}'"), "o"));
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = |n: usize| format!("{}proc.name = a{}", "(".repeat(n), ")".repeat(n));
    assert!(load(&rule(&format!("evt.type = open and {}", deep(900)), "o")).successful());
    let result = load(&rule(&deep(5000), "o"));
    assert!(result.errors[0].message.contains("exceeded max depth limit of 1000"), "{}", result.verbose());
    let not =
        format!("evt.type = open and {}", "not (proc.name = a and ".repeat(250) + "proc.name = b" + &")".repeat(250));
    assert!(load(&rule(&not, "o")).successful());
    let too_deep = "not (proc.name = a and ".repeat(900) + "proc.name = b" + &")".repeat(900);
    assert!(load(&rule(&too_deep, "o")).errors[0].message.contains("exceeded max depth limit"));
    let calls = format!("{}proc.name{} = a", "tolower(".repeat(3000), ")".repeat(3000));
    assert!(load(&rule(&calls, "o")).errors[0].message.contains("exceeded max depth limit"));
    assert!(!load(&"- ".repeat(100_000)).successful());
}

#[test]
fn macros_that_multiply_each_other_are_refused() {
    let mut text = String::from("- macro: m0\n  condition: evt.type = open\n");
    for i in 1..64 {
        text += &format!("- macro: m{i}\n  condition: (m{p} and m{p} or m{p})\n", p = i - 1);
    }
    let result = load(&(text + &rule("m63", "o")));
    assert!(result.errors[0].message.contains("with macros expanded"), "{}", result.verbose());
}

#[test]
fn lists_that_multiply_each_other_are_refused() {
    let mut text = String::new();
    for i in 0..12 {
        let items = vec![format!("l{}", i + 1); 20].join(", ");
        text += &format!("- list: l{i}\n  items: [{items}]\n");
    }
    let result = load(&(text + &rule("evt.type = open and proc.name in (l0)", "o")));
    assert!(result.errors[0].message.contains("too long"), "{}", result.verbose());
}
