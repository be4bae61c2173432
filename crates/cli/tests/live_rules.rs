//! Every shipped rule, and the public stable rules where they are at hand, judged live: the real binary watches the real
//! kernel while a case performs the behaviour (an alert must come) and a near miss (none may come). Needs root; a case
//! works in namespaces and on a scratch file system of its own.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// How long an alert may take before the test calls it missing.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn shipped_rules_fire_and_stay_silent() {
    let Some(mut watch) = Watch::start(&[root().join("rules")]) else { return };
    let topics = fs::read_dir(root().join("rules/tests")).expect("the rule tests").flatten().map(|e| e.path());
    let cases: Vec<_> = topics.filter(|p| p.extension().is_some_and(|e| e == "yaml")).flat_map(|p| cases(&p)).collect();
    let outcome = watch.judge(&cases);
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
    let outcome = watch.judge(&cases(&root().join("crates/cli/tests/data/official-actions.yaml")));
    println!("{} of 25 public stable rules seen firing", outcome.fired);
    assert!(outcome.fired >= 20, "{}", outcome.wrong.join("\n"));
    assert!(outcome.wrong.is_empty(), "{}", outcome.wrong.join("\n"));
}

/// A running `hawkbell watch` whose alerts arrive on a channel; stopped when dropped.
struct Watch {
    child: Child,
    alerts: Receiver<Value>,
    scratch: PathBuf,
    sentinels: u32,
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

impl Watch {
    /// `None`, with a printed reason, where watching is not possible.
    fn start(rules: &[PathBuf]) -> Option<Watch> {
        if !is_root() {
            assert!(std::env::var_os("HAWKBELL_REQUIRE_ROOT").is_none(), "this run requires root");
            println!("skipped: needs root");
            return None;
        }
        let scratch = std::env::temp_dir().join(format!("hawkbell-rules-{}-{}", std::process::id(), rules.len() + rules[0].as_os_str().len()));
        fs::create_dir_all(&scratch).expect("make the scratch directory");
        let sentinel = scratch.join("sentinel.yaml");
        fs::write(&sentinel, SENTINEL_RULE).expect("write the sentinel rule");
        let mut command = Command::new(env!("CARGO_BIN_EXE_hawkbell"));
        command.arg("watch").args(["-o", "json_output=true", "-o", "rule_matching=all"]);
        command.args(["-o", r#"append_output[]={"extra_fields": ["proc.cwd"]}"#]);
        for file in rules.iter().chain([&sentinel]) {
            command.arg("-r").arg(file);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("start hawkbell");
        let (sender, alerts) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("a piped stdout"));
        thread::spawn(move || {
            let lines = stdout.lines().map_while(Result::ok);
            for alert in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                let _ = sender.send(alert);
            }
        });
        let mut watch = Watch { child, alerts, scratch, sentinels: 0 };
        watch.until_sentinel();
        Some(watch)
    }

    fn judge(&mut self, cases: &[Case]) -> Outcome {
        let mut outcome = Outcome::default();
        for (number, case) in cases.iter().enumerate() {
            let fired = self.perform(&case.alert, number, "alert").contains(&case.rule);
            let silent = !self.perform(&case.silent, number, "silent").contains(&case.rule);
            outcome.fired += usize::from(fired);
            if !fired {
                outcome.wrong.push(format!("rule `{}` did not fire", case.rule));
            }
            if !silent {
                outcome.wrong.push(format!("rule `{}` fired on the near miss", case.rule));
            }
        }
        outcome
    }

    /// Runs a script and returns the rules that fired on what it did.
    fn perform(&mut self, script: &str, number: usize, half: &str) -> Vec<String> {
        let home = self.scratch.join(format!("{number}-{half}"));
        fs::create_dir_all(&home).expect("make the case's directory");
        let prelude = root().join("rules/tests/prelude.sh");
        let text = format!(". {}\nmount -t tmpfs none \"$SCRATCH\"\ncd \"$SCRATCH\"\n{script}", prelude.display());
        let status = Command::new("timeout")
            .args(["30", "setsid", "--wait", "unshare", "--mount", "--net", "--ipc", "--propagation", "private", "sh", "-euc", &text])
            .env("SCRATCH", &home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("run the case");
        assert!(status.success(), "{half} script of case {number} ended with {status}:\n{script}");
        let home = home.to_string_lossy().into_owned();
        let cwd = |alert: &Value| alert["output_fields"]["proc.cwd"].as_str().unwrap_or_default().to_owned();
        let alerts = self.until_sentinel();
        alerts.iter().filter(|a| cwd(a).starts_with(&home)).filter_map(|a| a["rule"].as_str().map(str::to_owned)).collect()
    }

    /// Performs sentinel actions until one is seen: everything before it has then been judged.
    fn until_sentinel(&mut self) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while Instant::now() < deadline {
            self.sentinels += 1;
            let mark = format!("hawkbell-sentinel-{}", self.sentinels);
            Command::new("/bin/true").arg(&mark).status().expect("run the sentinel");
            let wait = Instant::now() + Duration::from_secs(2);
            while let Ok(alert) = self.alerts.recv_timeout(wait.saturating_duration_since(Instant::now())) {
                if alert["rule"] == "Sentinel" && alert["output"].as_str().is_some_and(|o| o.ends_with(&mark)) {
                    return seen;
                }
                seen.push(alert);
            }
            let ended = self.child.try_wait().expect("ask for the state of hawkbell");
            assert!(ended.is_none(), "hawkbell ended early: {ended:?}");
        }
        panic!("no sentinel was seen within {PATIENCE:?}");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

const SENTINEL_RULE: &str = "
- rule: Sentinel
  desc: Marks the end of a case
  condition: evt.type = execve and evt.rawres = 0 and proc.args startswith hawkbell-sentinel-
  output: sentinel %proc.args
  priority: INFO
";

/// Reads cases from the small YAML subset that the case files are written in.
fn cases(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).expect("read the cases");
    let blocks = text.split("- rule: ").skip(1);
    blocks.map(|block| Case { rule: line(block), alert: script(block, "alert"), silent: script(block, "silent") }).collect()
}

fn line(block: &str) -> String {
    block.lines().next().unwrap_or_default().trim().to_owned()
}

fn script(block: &str, key: &str) -> String {
    let body = block.split(&format!("  {key}: |\n")).nth(1).unwrap_or_default();
    let lines = body.lines().take_while(|l| l.is_empty() || l.starts_with("    "));
    lines.map(|l| l.get(4..).unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0\n"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace root")
}
