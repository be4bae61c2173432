//! A running `hawkbell watch` for tests: started on chosen rules, its alerts read as JSON, stopped when dropped. Sentinel
//! actions tell when everything done so far has been judged. Never waits longer than [`PATIENCE`].

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::print_stdout, reason = "a skip says why")]

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// How long an alert may take before the test calls it missing.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `hawkbell watch` whose alerts arrive on a channel; stopped when dropped.
pub struct Watch {
    child: Child,
    alerts: Receiver<Value>,
    pub scratch: PathBuf,
    sentinels: u32,
}

impl Watch {
    /// `None`, with a printed reason, where watching is not possible.
    pub fn start(rules: &[PathBuf]) -> Option<Watch> {
        if !is_root() {
            assert!(std::env::var_os("HAWKBELL_REQUIRE_ROOT").is_none(), "this run requires root");
            println!("skipped: needs root");
            return None;
        }
        let scratch = std::env::temp_dir().join(format!(
            "hawkbell-rules-{}-{}",
            std::process::id(),
            rules.len() + rules[0].as_os_str().len()
        ));
        fs::create_dir_all(&scratch).expect("make the scratch directory");
        let sentinel = scratch.join("sentinel.yaml");
        fs::write(&sentinel, SENTINEL_RULE).expect("write the sentinel rule");
        let mut command = Command::new(env!("CARGO_BIN_EXE_hawkbell"));
        command.arg("watch").args(["-o", "json_output=true", "-o", "rule_matching=all"]);
        // A build without optimisation on a machine that runs every other test too falls behind now and then.
        command.args(["-o", "engine.modern_ebpf.buf_size_preset=7"]);
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

    /// Performs sentinel actions until one is seen: everything before it has then been judged.
    pub fn until_sentinel(&mut self) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while Instant::now() < deadline {
            self.sentinels += 1;
            let own = self.scratch.file_name().unwrap_or_default().to_string_lossy();
            let mark = format!("sentinel-{own}-{}", self.sentinels);
            Command::new("/bin/true").arg(&mark).status().expect("run the sentinel");
            let wait = Instant::now() + Duration::from_secs(2);
            while let Ok(alert) = self.alerts.recv_timeout(wait.saturating_duration_since(Instant::now())) {
                if alert["rule"] == "Sentinel" && alert["output_fields"]["proc.args"] == mark {
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
  condition: evt.type = execve and evt.rawres = 0 and proc.args startswith sentinel-hawkbell-
  output: sentinel %proc.args
  priority: INFO
";

pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0\n"))
}

/// The workspace's root directory.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace root")
}
