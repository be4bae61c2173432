//! Every shipped rule, and the public stable rules where they are at hand, judged live: the real binary watches the real
//! kernel while a case performs the behaviour (an alert must come) and a near miss (none may come). Needs root; a case
//! works in namespaces and on a scratch file system of its own.

#![allow(clippy::print_stdout, reason = "a skip says why, a run says how much it saw")]

mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use support::{Watch, root};

#[test]
fn shipped_rules_fire_and_stay_silent() {
    let Some(mut watch) = Watch::start(&[root().join("rules")]) else { return };
    let topics = fs::read_dir(root().join("rules/tests")).expect("the rule tests").flatten().map(|e| e.path());
    let cases: Vec<_> = topics.filter(|p| p.extension().is_some_and(|e| e == "yaml")).flat_map(|p| cases(&p)).collect();
    let outcome = judge(&mut watch, &cases);
    println!("{} shipped rules seen firing and staying silent", outcome.fired);
    assert!(outcome.wrong.is_empty(), "{}", outcome.wrong.join("\n"));
    assert!(outcome.fired >= 30);
}

#[test]
fn public_stable_rules_fire() {
    let rules = root().join("../shared/corpus/rules/official/falco_rules.yaml");
    if !rules.exists() {
        println!("skipped: the public stable rules are not at hand");
        return;
    }
    let Some(mut watch) = Watch::start(&[rules]) else { return };
    let outcome = judge(&mut watch, &cases(&root().join("crates/cli/tests/data/official-actions.yaml")));
    println!("{} of 25 public stable rules seen firing", outcome.fired);
    assert!(outcome.fired >= 20, "{}", outcome.wrong.join("\n"));
    assert!(outcome.wrong.is_empty(), "{}", outcome.wrong.join("\n"));
}

struct Case {
    rule: String,
    alert: String,
    silent: String,
}

#[derive(Default)]
struct Outcome {
    fired: usize,
    wrong: Vec<String>,
}

fn judge(watch: &mut Watch, cases: &[Case]) -> Outcome {
    let mut outcome = Outcome::default();
    for (number, case) in cases.iter().enumerate() {
        let (fired_rules, seen) = perform(watch, &case.alert, number, "alert");
        let fired = fired_rules.contains(&case.rule);
        let silent = !perform(watch, &case.silent, number, "silent").0.contains(&case.rule);
        outcome.fired += usize::from(fired);
        if !fired {
            outcome.wrong.push(format!("rule `{}` did not fire; seen meanwhile: {seen}", case.rule));
        }
        if !silent {
            outcome.wrong.push(format!("rule `{}` fired on the near miss", case.rule));
        }
    }
    outcome
}

/// Runs a script and returns the rules that fired on what it did, and all alerts of that time in words.
fn perform(watch: &mut Watch, script: &str, number: usize, half: &str) -> (Vec<String>, String) {
    let home = watch.scratch.join(format!("{number}-{half}"));
    fs::create_dir_all(&home).expect("make the case's directory");
    let prelude = root().join("rules/tests/prelude.sh");
    let text = format!(". {}\nmount -t tmpfs none \"$SCRATCH\"\ncd \"$SCRATCH\"\n{script}", prelude.display());
    let status = Command::new("timeout")
        .args("30 setsid --wait unshare --mount --net --ipc --propagation private sh -euc".split(' '))
        .arg(&text)
        .env("SCRATCH", &home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .expect("run the case");
    assert!(status.success(), "{half} script of case {number} ended with {status}:\n{script}");
    let home = home.to_string_lossy().into_owned();
    let cwd = |alert: &Value| alert["output_fields"]["proc.cwd"].as_str().unwrap_or_default().to_owned();
    let alerts = watch.until_sentinel();
    let seen: Vec<String> = alerts.iter().map(|a| format!("{} in `{}`", a["output"], cwd(a))).collect();
    let ours = alerts.iter().filter(|a| cwd(a).starts_with(&home));
    (ours.filter_map(|a| a["rule"].as_str().map(str::to_owned)).collect(), seen.join("\n  "))
}

/// Reads cases from the small YAML subset that the case files are written in.
fn cases(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).expect("read the cases");
    let blocks = text.split("- rule: ").skip(1);
    blocks
        .map(|block| Case { rule: line(block), alert: script(block, "alert"), silent: script(block, "silent") })
        .collect()
}

fn line(block: &str) -> String {
    block.lines().next().unwrap_or_default().trim().to_owned()
}

fn script(block: &str, key: &str) -> String {
    let body = block.split(&format!("  {key}: |\n")).nth(1).unwrap_or_default();
    let lines = body.lines().take_while(|l| l.is_empty() || l.starts_with("    "));
    lines.map(|l| l.get(4..).unwrap_or_default()).collect::<Vec<_>>().join("\n")
}
