//! Conformance: rules over recorded captures raise the alerts that the reference raised. In come
//! `shared/corpus/captures/alerts`, the official rules and the public regression tests; without them the tests say so
//! and pass. Alerts of the official rules are compared byte for byte, the others by rule and priority.

#![allow(clippy::print_stdout)]

mod common;

use bumpalo::Bump;
use common::{replay_with_containers, tell};
use rules::{AlertStyle, AlertWriter, AppendOutput, Loader, Matching, Setup};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[test]
fn official_rules() {
    let alerts = corpus().join("captures/alerts");
    if !alerts.exists() {
        println!("skipped: no recorded alerts beside the checkout");
        return;
    }
    for (stem, variant, matching) in [
        ("actions", "first", Matching::First),
        ("actions", "all", Matching::All),
        ("busy_200k", "first", Matching::First),
        ("busy_200k", "all", Matching::All),
    ] {
        let expected = std::fs::read_to_string(alerts.join(format!("{stem}.official.{variant}.jsonl"))).unwrap();
        let loader = load(&[corpus().join("rules/official/falco_rules.yaml")]);
        let found = alerts_of(&loader, &corpus().join(format!("captures/{stem}.scap.gz")), matching, &json_style());
        compare(&format!("{stem} {variant}"), &expected, &found);
        tell(&format!("{} alerts of {stem}, {variant} match, agree byte for byte", found.len()));
    }
}

#[test]
fn detections_of_the_public_regression_tests() {
    let dir = corpus().join("rules/tests");
    let Ok(text) = std::fs::read_to_string(dir.join("expected.json")) else {
        println!("skipped: no public regression tests beside the checkout");
        return;
    };
    let cases: Vec<Json> = serde_json::from_str(&text).expect("a list of cases");
    let mut compared = 0;
    for case in cases.iter().filter(|c| c["detections"].is_object()) {
        let name = case["name"].as_str().unwrap_or("?");
        let files: Vec<_> = strings(&case["rules"]).map(|f| dir.join(f)).collect();
        let loader = load(&files);
        let capture = strings(&case["captures"]).next().expect("a capture");
        let alerts = alerts_of(&loader, &corpus().join("captures").join(capture), Matching::First, &json_style());
        assert_eq!(count(&alerts), expected_counts(&case["detections"]), "{name}");
        compared += 1;
    }
    assert!(compared > 20, "{compared} cases");
    tell(&format!("{compared} of {compared} rule files detect the same, rule by rule and severity by severity"));
}

fn corpus() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus"))
}

fn strings(list: &Json) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str)
}

/// The recorded alerts were made with the container fields that the shipped configuration appends.
fn load(files: &[PathBuf]) -> Loader {
    let suggested = AppendOutput { suggested_output: true, ..AppendOutput::default() };
    let mut loader = Loader::new(Setup { append_output: vec![suggested], ..Setup::builtin() });
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let result = loader.load(&name, &std::fs::read_to_string(file).expect("a rules file"));
        assert!(result.successful(), "{}", result.verbose());
    }
    loader
}

fn json_style() -> AlertStyle {
    AlertStyle { json_output: true, hostname: "vm".to_owned(), ..AlertStyle::default() }
}

/// Every alert that `loader`'s rules raise over `capture`, one line each.
fn alerts_of(loader: &Loader, capture: &Path, matching: Matching, style: &AlertStyle) -> Vec<String> {
    let rule_set = loader.rule_set();
    let program = rule_set.program(matching);
    let mut alerts = Vec::new();
    let Some(source) = program.source("syscall") else { return alerts };
    let mut writer = AlertWriter::new(style.clone(), rule_set.catalogue().clone());
    let (mut arena, mut matched) = (Bump::new(), Vec::new());
    let bytes = std::fs::read(capture).expect("a capture");
    replay_with_containers(&bytes, &mut |context| {
        program.evaluate(source, context.event.kind, context, &arena, &mut matched);
        for id in matched.drain(..) {
            let mut line = String::new();
            writer.line(rule_set.rule(id).expect("a rule of the set"), context, &arena, &mut line);
            alerts.push(line);
        }
        arena.reset();
    });
    alerts
}

fn compare(what: &str, expected: &str, found: &[String]) {
    for (number, (want, have)) in expected.lines().zip(found).enumerate() {
        assert_eq!(have, want, "{what}: alert {}", number + 1);
    }
    assert_eq!(found.len(), expected.lines().count(), "{what}: number of alerts");
}

/// Alerts by rule and by priority, and their total.
fn count(alerts: &[String]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::from([("total".to_owned(), alerts.len() as u64)]);
    for alert in alerts {
        let alert: Json = serde_json::from_str(alert).expect("an alert is JSON");
        let text = |key: &str| alert[key].as_str().unwrap_or("?").to_owned();
        let priority = text("priority").to_uppercase().replace("INFORMATIONAL", "INFO");
        *counts.entry(priority).or_default() += 1;
        *counts.entry(text("rule")).or_default() += 1;
    }
    counts
}

fn expected_counts(detections: &Json) -> BTreeMap<String, u64> {
    let counts = detections.as_object().into_iter().flatten();
    counts.map(|(key, n)| (key.clone(), n.as_u64().unwrap_or(0))).collect()
}
