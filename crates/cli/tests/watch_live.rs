//! Watching this machine: the built program loads its programs, real actions happen, alerts arrive. Reload, signals,
//! metrics, web server and recording are tried while it runs. Needs root and a kernel with BTF; says so when skipped.

mod common;

use common::{hawkbell, lines_with, may_watch, run, wait_for};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

#[test]
fn a_file_that_is_opened_raises_an_alert() {
    let Some(watch) = Watch::start(&[]) else { return };
    watch.touch("bait");
    watch.wait_for_alert("opened bait");
    let log = watch.stop("INT");
    assert!(log.contains("SIGINT received, exiting..."), "{log}");
}

#[test]
fn good_rules_replace_the_old_ones_and_state_stays() {
    let Some(watch) = Watch::start(&[]) else { return };
    // A process that existed before the reload keeps its ancestry after it.
    let mut shell =
        Command::new("sh").arg("-c").arg("read line; exec cat \"$line\"").stdin(Stdio::piped()).spawn().unwrap();
    watch.touch("bait");
    watch.wait_for_alert("opened bait");
    fs::write(&watch.rules, rules(&watch.dir, "second", "by %proc.name child of %proc.pname")).unwrap();
    watch.wait_for_log("rules and configuration reloaded");
    watch.touch("second");
    watch.wait_for_alert("opened second");
    let path = watch.dir.join("second");
    writeln!(shell.stdin.take().unwrap(), "{}", path.display()).unwrap();
    shell.wait().unwrap();
    watch.wait_for_alert("opened second by cat child of");
    assert!(!watch.alerts().contains("<NA>"), "the parent is known: {}", watch.alerts());
}

#[test]
fn processes_from_before_are_known_by_iterators_and_by_proc() {
    if !may_watch() {
        return;
    }
    for option in ["engine.modern_ebpf.disable_iterators=false", "engine.modern_ebpf.disable_iterators=true"] {
        let script = "read line; cat \"$line\"; true";
        let mut shell = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
        let watch = Watch::start(&[option]).expect("it may watch");
        fs::write(&watch.rules, rules(&watch.dir, "second", "by child of %proc.pname %proc.pexepath %proc.ppid."))
            .unwrap();
        watch.wait_for_log("rules and configuration reloaded");
        let path = watch.dir.join("second");
        fs::write(&path, "").unwrap();
        writeln!(shell.stdin.take().unwrap(), "{}", path.display()).unwrap();
        let exe = fs::read_link(format!("/proc/{}/exe", shell.id())).unwrap();
        watch.wait_for_alert(&format!("opened second by child of sh {} {}.", exe.display(), shell.id()));
        shell.wait().unwrap();
    }
}

/// Whoever lives and dies between the attaching of the first hook and the end of the look at existing processes.
#[test]
fn processes_that_end_during_the_start_are_known() {
    if !may_watch() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules.yaml");
    let condition =
        "evt.type in (open, openat, execve, connect, close) and (proc.name = \"<NA>\" or not proc.name exists)";
    let rule = format!(
        "- rule: nobody\n  desc: d\n  condition: {condition}\n  output: nobody %evt.type %thread.tid\n  priority: WARNING\n"
    );
    fs::write(&rules, rule).unwrap();
    let burst = || Command::new("sh").args(["-c", "while :; do /bin/true; (: </etc/passwd); done"]).spawn().unwrap();
    let mut bursts = [burst(), burst()];
    let starts: Vec<_> = (0..4).map(|_| run(hawkbell().args(["watch", "-M", "1", "-r"]).arg(&rules))).collect();
    bursts.iter_mut().for_each(|b| b.kill().and_then(|()| b.wait().map(|_| ())).unwrap());
    for (alerts, log, status) in starts {
        assert_eq!(status, Some(0), "{log}");
        let lost_some = !alerts.contains("event drop detected: 0") && !log.contains("event drop detected: 0");
        assert!(lost_some || !alerts.contains("nobody "), "{alerts}");
    }
}

#[test]
fn bad_rules_leave_the_old_ones_in_force() {
    let Some(watch) = Watch::start(&["watch_config_files=false"]) else { return };
    fs::write(&watch.rules, "- rule: broken\n  condition: nonsense.field = 1\n").unwrap();
    watch.signal("HUP");
    watch.wait_for_alert("Falco internal: hot restart failure");
    watch.touch("bait");
    watch.wait_for_alert("opened bait");
    fs::write(&watch.rules, rules(&watch.dir, "third", "")).unwrap();
    watch.signal("HUP");
    watch.wait_for_log("rules and configuration reloaded");
    watch.touch("third");
    watch.wait_for_alert("opened third");
}

#[test]
fn a_rules_file_that_was_away_is_loaded_when_it_is_back() {
    let Some(watch) = Watch::start(&[]) else { return };
    fs::remove_file(&watch.rules).unwrap();
    watch.wait_for_alert("Falco internal: hot restart failure");
    let fresh = watch.dir.join("fresh");
    fs::write(&fresh, rules(&watch.dir, "fourth", "")).unwrap();
    fs::rename(&fresh, &watch.rules).unwrap();
    watch.wait_for_log("rules and configuration reloaded");
    watch.touch("fourth");
    watch.wait_for_alert("opened fourth");
}

#[test]
fn outputs_follow_a_reloaded_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let (config, first, second) = (dir.path().join("c.yaml"), dir.path().join("first"), dir.path().join("second"));
    let write = |file: &Path| {
        let text = "log_stderr: true\nlog_syslog: false\nstdout_output: {enabled: true}\nfile_output: {enabled: true, keep_alive: true, filename: ";
        fs::write(&config, format!("{text}{}}}\n", file.display())).unwrap();
    };
    write(&first);
    let Some(watch) = Watch::start_with(&[], &["-c", &config.display().to_string()]) else { return };
    watch.touch("bait");
    wait_for("an alert in the first file", || read(&first).contains("opened bait"));
    write(&second);
    watch.wait_for_log("rules and configuration reloaded");
    let before = read(&first);
    watch.touch("bait");
    wait_for("an alert in the second file", || read(&second).contains("opened bait"));
    assert_eq!(read(&first), before, "the first file is left alone");
}

#[test]
fn a_rotated_file_is_reopened() {
    let dir = tempfile::tempdir().unwrap();
    let (file, old) = (dir.path().join("alerts"), dir.path().join("alerts.1"));
    let filename = format!("file_output.filename={}", file.display());
    let Some(watch) = Watch::start(&["file_output.enabled=true", "file_output.keep_alive=true", &filename]) else {
        return;
    };
    watch.touch("bait");
    wait_for("the first alert", || read(&file).contains("opened bait"));
    fs::rename(&file, &old).unwrap();
    watch.signal("USR1");
    wait_for("the new file", || file.exists());
    watch.touch("bait");
    wait_for("an alert in the new file", || read(&file).contains("opened bait"));
}

#[test]
fn health_versions_and_metrics_are_served() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap().port();
    let metrics = tempfile::NamedTempFile::new().unwrap();
    let options = [
        "webserver.enabled=true".to_owned(),
        "webserver.listen_address=127.0.0.1".into(),
        format!("webserver.listen_port={port}"),
        "webserver.prometheus_metrics_enabled=true".into(),
        "metrics.enabled=true".into(),
        "metrics.interval=100ms".into(),
        "metrics.output_rule=true".into(),
        format!("metrics.output_file={}", metrics.path().display()),
    ];
    let Some(watch) = Watch::start(&options.each_ref().map(String::as_str)) else { return };
    watch.touch("bait");
    watch.wait_for_alert("opened bait");
    assert!(get(port, "/healthz").ends_with("{\"status\": \"ok\"}"));
    assert!(get(port, "/versions").contains("\"engine_version\":\"63\""));
    let text = get(port, "/metrics");
    for series in [
        "falcosecurity_scap_n_evts_total ",
        "falcosecurity_falco_memory_rss_bytes ",
        "falcosecurity_falco_rules_matches_total{priority=\"4\",rule_name=\"bait\",source=\"syscall\",tag_test=\"true\"} ",
        "falcosecurity_scap_n_drops_buffer_total{dir=\"exit\",drop=\"open\"} ",
        "falcosecurity_falco_sha256_rules_files_info{file_name=\"rules.yaml\",sha256=\"",
    ] {
        assert!(text.contains(series), "{series}: {text}");
    }
    watch.wait_for_alert("Falco metrics snapshot");
    wait_for("metrics in the file", || {
        let text = read(metrics.path());
        let line = text.lines().next().and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        line.is_some_and(|l| l["sample"] == 1 && l["output_fields"]["scap.n_evts"].as_u64() > Some(0))
    });
    let second = run(hawkbell()
        .args(["watch", "-M", "1", "-o", "webserver.enabled=true", "-o", "webserver.listen_address=127.0.0.1", "-o"])
        .arg(format!("webserver.listen_port={port}")));
    assert!(
        second.1.contains(&format!("error: web server address `127.0.0.1:{port}`: Address already in use")),
        "{}",
        second.1
    );
    assert_eq!(second.2, Some(1));
}

#[test]
fn what_was_recorded_replays_to_the_same_alert() {
    let dir = tempfile::tempdir().unwrap();
    let scap = dir.path().join("r.scap.gz");
    let Some(watch) = Watch::start_with(&[], &["--record", &scap.display().to_string()]) else { return };
    watch.touch("bait");
    watch.wait_for_alert("opened bait");
    let (live, rules) = (watch.alerts(), watch.rules.clone());
    let kept = dir.path().join("rules.yaml");
    fs::copy(&rules, &kept).unwrap();
    let log = watch.stop("TERM");
    assert!(log.contains("SIGTERM received") && log.contains("Recorded "), "{log}");
    let (out, err, _) = run(hawkbell().arg("replay").arg(&scap).arg("-r").arg(&kept));
    let alert = lines_with(&live, "opened bait")[0];
    assert!(out.contains(alert), "live: {alert}\nreplayed: {out}{err}");
}

#[test]
fn time_limit_pidfile_and_verbose_counts() {
    if !may_watch() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let pidfile = dir.path().join("pid");
    let mut child = hawkbell()
        .args(["watch", "-v", "-M", "1", "-P"])
        .arg(&pidfile)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the pid file", || read(&pidfile) == child.id().to_string());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(
        child.wait().unwrap().success() && err.contains("Driver Events:") && err.contains("Driver Drops:"),
        "{err}"
    );
    assert!(!pidfile.exists());
    let (_, err, code) = run(hawkbell().args(["watch", "-M", "1", "-P", "/no/such/dir/pid"]));
    assert!(err.contains("Could not write pid to pidfile /no/such/dir/pid. Exiting.") && code == Some(255), "{err}");
}

#[test]
fn lost_events_raise_the_known_alert() {
    let options = [
        "syscall_event_drops.simulate_drops=true",
        "syscall_event_drops.actions[]=alert",
        "syscall_event_drops.rate=10",
    ];
    let Some(watch) = Watch::start(&options) else { return };
    watch.wait_for_alert("Debug Falco internal: syscall event drop.");
    let alert = watch.alerts();
    let alert = lines_with(&alert, "syscall event drop")[0].to_owned();
    assert!(alert.contains(" system calls dropped in last second. (ebpf_enabled=\"1\" n_drops=\""), "{alert}");
    let kinds = ["clone_fork", "execve", "connect", "open", "dir_file", "other_interest", "close", "proc"];
    let by_kind = kinds.map(|kind| format!("n_drops_buffer_{kind}_exit"));
    let others = ["n_evts", "n_drops_buffer_total", "n_drops_scratch_map", "n_drops_page_faults", "n_drops_bug"];
    for field in by_kind.iter().map(String::as_str).chain(others) {
        assert!(alert.contains(&format!(" {field}=\"")), "{field}: {alert}");
    }
    let log = watch.stop("TERM");
    assert!(log.contains("- event drop detected: ") && !log.contains("detected: 0 occurrences"), "{log}");
}

#[test]
fn the_service_manager_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    let Some(watch) = Watch::start_in(&[], &[], &[("NOTIFY_SOCKET", &path.display().to_string())]) else { return };
    let next = || {
        let mut buffer = [0; 300];
        let len = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    };
    assert!(next().starts_with("READY=1\nSTATUS="));
    watch.signal("HUP");
    assert!(next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert!(next().starts_with("READY=1"));
    watch.stop("TERM");
    assert_eq!(next(), "STOPPING=1");
}

/// A running `watch` with one rule about files in its own directory.
struct Watch {
    child: Child,
    dir: PathBuf,
    rules: PathBuf,
    _guard: tempfile::TempDir,
}

impl Watch {
    fn start(options: &[&str]) -> Option<Watch> {
        Watch::start_with(options, &[])
    }

    fn start_with(options: &[&str], flags: &[&str]) -> Option<Watch> {
        Watch::start_in(options, flags, &[])
    }

    fn start_in(options: &[&str], flags: &[&str], environment: &[(&str, &str)]) -> Option<Watch> {
        if !may_watch() {
            return None;
        }
        let guard = tempfile::tempdir().unwrap();
        let dir = guard.path().to_owned();
        let rules_path = dir.join("rules.yaml");
        fs::write(&rules_path, rules(&dir, "bait", "")).unwrap();
        let file = |name: &str| fs::File::create(dir.join(name)).unwrap();
        let mut command = hawkbell();
        command.envs(environment.iter().copied());
        command.args(["watch", "-r"]).arg(&rules_path).args(flags).args(["-o", "append_output={}"]);
        for option in options {
            command.args(["-o", option]);
        }
        let child = command.stdout(file("alerts")).stderr(file("log")).spawn().unwrap();
        let watch = Watch { child, dir, rules: rules_path, _guard: guard };
        // The sensor is open once a first action is seen.
        wait_for("the first alert", || {
            watch.touch("hello");
            watch.alerts().contains("opened hello")
        });
        Some(watch)
    }

    /// Opens a file of the watched directory.
    fn touch(&self, name: &str) {
        fs::write(self.dir.join(name), "x").unwrap();
    }

    fn alerts(&self) -> String {
        read(&self.dir.join("alerts"))
    }

    fn log(&self) -> String {
        read(&self.dir.join("log"))
    }

    fn wait_for_alert(&self, text: &str) {
        wait_for(&format!("alert `{text}` ({})", self.log()), || self.alerts().contains(text));
    }

    fn wait_for_log(&self, text: &str) {
        wait_for(&format!("log line `{text}`"), || self.log().contains(text));
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Sends a signal, waits for the end and returns the log.
    fn stop(mut self, signal: &str) -> String {
        self.signal(signal);
        assert!(self.child.wait().unwrap().success());
        self.log()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal("TERM");
            let _ = self.child.wait();
        }
    }
}

/// One rule about `name` and one about `hello` in `dir`.
fn rules(dir: &Path, name: &str, more: &str) -> String {
    let rule = |name: &str| {
        format!(
            "- rule: {name}\n  desc: d\n  condition: evt.type in (open, openat, creat) and fd.name = {}/{name}\n  output: opened {name} {more}\n  priority: WARNING\n  tags: [test]\n",
            dir.display()
        )
    };
    format!("{}{}", rule("hello"), rule(name))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
