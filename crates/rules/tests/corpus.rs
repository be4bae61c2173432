//! Load results over the recorded rules files: for each case what the re-created system answers has to be what the
//! loader answers. Skips with a printed reason where the corpus is absent.

#![allow(clippy::print_stderr)] // a skipped test says why

use rules::{Loader, Setup};
use serde_json::{Value, json};
use std::path::PathBuf;

fn corpus() -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/rules"));
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no corpus at {}", path.display());
    None
}

/// The same shape as the recorded answers.
fn observed(result: &rules::LoadResult) -> Value {
    let mut codes: Vec<&str> = result.warnings.iter().map(|w| w.code.code()).collect();
    codes.sort_unstable();
    let groups = codes.chunk_by(|a, b| a == b).map(|group| json!([group[0], group.len()]));
    let schema = match result.schema_status().as_str() {
        "none" => Value::Null,
        status => json!(status == "ok"),
    };
    json!({
        "ok": result.successful(),
        "schema": schema,
        "errors": result.errors.iter().map(|e| json!([e.code.code(), e.message])).collect::<Vec<_>>(),
        "warnings": groups.collect::<Vec<_>>(),
    })
}

#[test]
fn load_results_are_as_recorded() {
    let Some(corpus) = corpus() else { return };
    let read = |name: &str| std::fs::read_to_string(corpus.join("tests").join(name)).expect("a file of the corpus");
    let cases: Vec<Value> = serde_json::from_str(&read("expected.json")).expect("JSON");
    let mut wrong = Vec::new();
    for case in &cases {
        let mut loader = Loader::new(Setup::builtin());
        let files = case["rules"].as_array().expect("files").iter().filter_map(Value::as_str);
        let results: Vec<Value> = files.map(|name| observed(&loader.load(name, &read(name)))).collect();
        if json!(results) != case["load"] {
            wrong.push(format!("{}: {} instead of {}", case["name"], json!(results), case["load"]));
        }
    }
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    tell(&format!("{} of {} load results agree (codes, warnings, schema)", cases.len() - wrong.len(), cases.len()));
    assert!(wrong.is_empty(), "{} of {} cases differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// One line of the summary of conformance: written past the test runner, which would keep it from whoever runs all tests.
fn tell(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "\nconformance: {line}");
}

#[test]
fn official_rules_load() {
    let Some(corpus) = corpus() else { return };
    let text = std::fs::read_to_string(corpus.join("official/falco_rules.yaml")).expect("the official rules");
    let mut loader = Loader::new(Setup::builtin());
    let result = loader.load("falco_rules.yaml", &text);
    assert!(result.successful(), "{}", result.verbose());
    assert_eq!(result.schema_status(), "ok");
    assert_eq!(loader.check_providers(), Ok(()));
    assert_eq!(loader.rule_set().rules().len(), 25);
    assert_eq!(loader.rule_set().enabled().count(), 25);
    eprintln!("{}", result.summary());
}
