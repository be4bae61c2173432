//! The command line of watch, replay and rules as users see it: names, lists, configuration precedence, validation, exit
//! statuses and error texts. Nothing here needs privilege or the kernel.

#![allow(clippy::print_stderr)] // a skipped test says why

mod common;

use common::{called, capture_with, hawkbell, lines_with, replay, rules_in, run};
use serde_json::Value;

#[test]
fn lists_need_no_configuration() {
    let list = |args: &[&str]| {
        let (out, err, code) = run(hawkbell().arg("watch").args(args));
        assert_eq!((code, err.as_str()), (Some(0), ""), "{args:?}");
        out
    };
    assert!(list(&["-i"]).starts_with("Ignored syscall(s):\n- pread64\n"));
    assert!(list(&["--list-events"]).starts_with("The events below are valid for Falco *Schema Version*: "));
    assert!(list(&["--list", "-N"]).lines().any(|line| line == "proc.name"));
    assert!(list(&["--list=syscall", "--format", "markdown"]).contains("`fd.name` | "));
    assert!(list(&["--version"]).contains("\nEngine: 0.63.0\n"));
    assert!(list(&["--list-plugins"]).starts_with("1 Plugins Loaded:\n\nName: container\n"));
    assert!(list(&["--plugin-info", "container"]).contains("Version: "));
    assert!(list(&["--page-size"]).contains(" bytes"));
    for schema in ["--config-schema", "--rule-schema"] {
        assert!(serde_json::from_str::<Value>(&list(&[schema])).is_ok_and(|schema| schema["$schema"].is_string()));
    }
    let version: Value = serde_json::from_str(&list(&["--version", "-o", "json_output=true"])).unwrap();
    assert_eq!(version["engine_version"], "63");
}

#[test]
fn wrong_words_are_refused_with_status_one() {
    for (args, want) in [
        (vec!["watch", "--nonsense"], "--nonsense"),
        (vec!["watch", "--list=nothing"], "Value for --list must be a valid source type"),
        (vec!["watch", "-c", "/no/falco.yaml"], "Could not find configuration file at /no/falco.yaml"),
        (
            vec!["watch", "-o", "abc"],
            "Error parsing config option \"abc\". Must be of the form key=val or key.subkey=val",
        ),
        (vec!["watch", "-o", "priority=foo"], "Unknown priority \"foo\"--must be one of emergency, alert, critical"),
        (vec!["watch", "-r", "/no/rules.yaml", "--dry-run"], "Could not open file /no/rules.yaml for reading"),
        (vec!["watch", "-l", "no such rule"], "Rule \"no such rule\" is not loaded"),
        (vec!["replay", "/no/file.scap"], "capture `/no/file.scap`: No such file or directory"),
        (
            vec!["watch", "--enable-source", "a", "--disable-source", "b", "--dry-run"],
            "You can not mix --enable-source and --disable-source",
        ),
        (
            vec!["watch", "--enable-source", "nonsense", "--dry-run"],
            "Attempted enabling an unknown event source: nonsense",
        ),
        (vec!["watch", "--disable-source", "syscall", "--dry-run"], "Must enable at least one event source"),
    ] {
        let (_, err, code) = run(hawkbell().args(&args));
        assert!(err.contains("error: ") && err.contains(want), "{args:?}: {err}");
        assert_eq!(code, Some(if args[0] == "replay" && args[1].starts_with('-') { 2 } else { 1 }), "{args:?}");
    }
}

#[test]
fn the_name_falco_needs_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("falco.yaml");
    std::fs::write(&config, "stdout_output: {enabled: true}\n").unwrap();
    let (_, err, code) = run(called("falco", dir.path()).args(["--dry-run", "-r"]).arg(rules_in(dir.path())));
    if std::path::Path::new("/etc/falco/falco.yaml").exists() {
        eprintln!("skipped: this machine has a configuration in the usual place");
    } else {
        assert!(
            err.contains("Error: You must create a config file at /etc/falco/falco.yaml or by passing -c"),
            "{err}"
        );
        assert_eq!(code, Some(1));
    }
    let (_, err, code) =
        run(called("falco", dir.path()).arg("-c").arg(&config).args(["--dry-run", "-r"]).arg(rules_in(dir.path())));
    assert_eq!(code, Some(0), "{err}");
    let (_, err, code) = run(called("falco", dir.path()).arg("-A"));
    assert_eq!((err.trim(), code), ("Error: Option 'A' does not exist", Some(1)));
    let (out, _, code) = run(called("falco", dir.path()).arg("--version"));
    assert!(out.contains("Falco version: ") && code == Some(0), "{out}");
    let (out, _, _) = run(called("falco", dir.path()).arg("--help"));
    assert!(out.contains("Usage: falco [OPTIONS]"), "{out}");
}

#[test]
fn options_beat_files_and_files_beat_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.yaml");
    std::fs::write(&config, "stdout_output: {enabled: true}\ntime_format_iso_8601: true\njson_output: ${JSON_WANTED}\nlog_stderr: true\nlog_syslog: false\n").unwrap();
    let with_file = |wanted: &str, options: &[&str]| {
        run(replay(dir.path(), 1, options).arg("-c").arg(&config).env("JSON_WANTED", wanted)).0
    };
    assert!(with_file("false", &[]).starts_with("2023-11-14T22:13:20.000000000+0000: Warning opened"));
    assert!(with_file("true", &[]).starts_with("{\"hostname\""));
    assert!(with_file("true", &["json_output=false"]).starts_with("2023-11-14T"));
    assert!(with_file("false", &["time_format_iso_8601=no"]).starts_with("22:13:20.000000000: Warning"));
}

#[test]
fn a_misfit_in_the_configuration_is_a_warning_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.yaml");
    std::fs::write(&config, "stdout_output:\n  enabeld: true\nlog_stderr: true\nlog_syslog: false\n").unwrap();
    let (_, err, code) = run(replay(dir.path(), 1, &["stdout_output.enabled=true"]).arg("-c").arg(&config));
    let place = format!("{}:2:", config.display());
    assert!(
        err.contains(
            "schema validation: failed for <root>[stdout_output]: unknown key `enabeld`, did you mean `enabled`?"
        ),
        "{err}"
    );
    assert!(err.contains(&place) && code == Some(0), "{err}");
    std::fs::write(&config, "a: [1\nb: 2\n").unwrap();
    let (_, err, code) = run(replay(dir.path(), 1, &[]).arg("-c").arg(&config));
    assert!(
        err.contains(&format!("error: configuration: {}:", config.display())) && err.contains("not valid YAML"),
        "{err}"
    );
    assert_eq!(code, Some(1));
}

#[test]
fn rules_are_selected_by_name_and_tag() {
    let dir = tempfile::tempdir().unwrap();
    let count = |options: &[&str]| lines_with(&run(&mut replay(dir.path(), 1, options)).0, "opened").len();
    assert_eq!(count(&[]), 1);
    assert_eq!(count(&["rules[].disable.rule=sha*"]), 0);
    assert_eq!(count(&["rules[].disable.tag=secrets"]), 0);
    assert_eq!(count(&["rules[].disable.rule=*", "rules[].enable.tag=secrets"]), 1);
    assert_eq!(count(&["priority=error"]), 0);
    assert_eq!(count(&["priority=error", "rules[].enable.rule=shadow"]), 1, "selection reaches below the threshold");
}

#[test]
fn validation_tells_each_file_apart() {
    let dir = tempfile::tempdir().unwrap();
    let good = rules_in(dir.path());
    let bad = dir.path().join("bad.yaml");
    std::fs::write(&bad, "- rule: x\n  desc: d\n  condition: proc.nme = a\n  output: o\n  priority: WARNING\n")
        .unwrap();
    let (out, _, code) = run(hawkbell().args(["watch", "-V"]).arg(&good));
    assert_eq!((out.trim_end(), code), (&*format!("{}: Ok", good.display()), Some(0)));
    let (out, err, code) = run(hawkbell().args(["watch", "-V"]).arg(&good).arg("-V").arg(&bad));
    assert!(
        out.contains("LOAD_ERR_COMPILE_CONDITION") && out.contains("proc.nme") && err.contains("error: "),
        "{out}{err}"
    );
    assert_eq!(code, Some(1));
    let (out, _, _) = run(hawkbell().args(["watch", "-o", "json_output=true", "-V"]).arg(&bad));
    let results: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(results["falco_load_results"][0]["errors"][0]["code"], "LOAD_ERR_COMPILE_CONDITION");
    let (out, _, code) = run(hawkbell().args(["rules", "validate"]).arg(&bad));
    assert!(out.contains("LOAD_ERR_COMPILE_CONDITION") && code == Some(1), "{out}");
}

#[test]
fn the_configuration_can_name_the_capture() {
    let dir = tempfile::tempdir().unwrap();
    let capture = format!("engine.replay.capture_file={}", capture_with(dir.path(), 2).display());
    let watch = |options: &[&str]| {
        let mut command = hawkbell();
        command.args(["watch", "-r"]).arg(rules_in(dir.path()));
        run(command.args(options.iter().flat_map(|option| ["-o", option])))
    };
    let (out, err, code) = watch(&["engine.kind=replay", &capture]);
    assert!(out.contains("Events detected: 2") && code == Some(0), "{out}{err}");
    let (_, err, code) = watch(&["engine.kind=replay"]);
    assert!(
        err.contains("engine.kind is 'replay' but no engine.replay.capture_file specified") && code == Some(1),
        "{err}"
    );
}

#[test]
fn no_driver_means_no_events_and_no_privilege() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = hawkbell();
    command.args(["watch", "-M", "1", "-o", "engine.kind=nodriver", "-r"]).arg(rules_in(dir.path()));
    let (out, err, code) = run(&mut command);
    assert!(err.contains("Opening 'syscall' source with no driver") && out.is_empty() && code == Some(0), "{out}{err}");
}

#[test]
fn shipped_rules_load_when_nothing_is_given() {
    let (out, err, code) = run(hawkbell().args(["rules", "list"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.lines().count() > 60, "{out}");
    let (out, _, _) = run(hawkbell().args(["rules", "list", "--json"]));
    let described: Value = serde_json::from_str(&out).unwrap();
    let (out, _, _) = run(hawkbell().args(["rules", "list", "--format", "markdown"]));
    assert!(
        out.starts_with("Rule | Priority | Tags | Description\n") && out.contains("\nPassword file read | Warning | "),
        "{out}"
    );
    assert!(described["rules"].as_array().is_some_and(|rules| rules.len() >= 30));
}

#[test]
fn cases_pass_fail_and_show_what_was_never_tried() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("r.yaml");
    std::fs::write(&rules, "- rule: shadow\n  desc: d\n  condition: >\n    evt.type = openat and fd.name = /etc/shadow and not proc.name in (login, su)\n  output: o\n  priority: WARNING\n").unwrap();
    let cases = dir.path().join("cases.yaml");
    capture_with(dir.path(), 1);
    std::fs::write(
        &cases,
        "
- test: a stranger reads
  processes: [{pid: 7, name: cat, exe: /bin/cat}]
  events: [{event: openat, pid: 7, fd: 3, name: /etc/shadow, flags: O_RDONLY}]
  alerts: [shadow]
- test: login may
  processes: [{pid: 7, name: login, exe: /bin/login}]
  events: [{event: openat, pid: 7, fd: 3, name: /etc/shadow, flags: O_RDONLY}]
  alerts: []
- test: recorded
  capture: opens.scap
  alerts: [shadow]
",
    )
    .unwrap();
    let test = |extra: &[&str]| run(hawkbell().args(["rules", "test"]).arg(&cases).arg("-r").arg(&rules).args(extra));
    let (out, err, code) = test(&["--coverage"]);
    assert!(out.contains("3 cases, 0 failed") && code == Some(0), "{out}{err}");
    assert!(
        out.contains("never false      evt.type = openat") || out.contains("never false    evt.type = openat"),
        "{out}"
    );
    assert!(
        out.contains("both             proc.name in (login, su)")
            || out.contains("both           proc.name in (login, su)"),
        "{out}"
    );
    let text = std::fs::read_to_string(&cases).unwrap().replace("alerts: []", "alerts: [shadow]");
    std::fs::write(&cases, text).unwrap();
    let (out, _, code) = test(&[]);
    assert!(out.contains("FAIL login may\n       did not fire: shadow") && code == Some(1), "{out}");
    std::fs::write(&cases, "- test: misspelt\n  capture: opens.scap\n  silent: [shadwo]\n").unwrap();
    let (out, _, code) = test(&[]);
    assert!(out.contains("FAIL misspelt\n       rule `shadwo` is not loaded") && code == Some(1), "{out}");
}

#[test]
fn why_shows_the_deciding_part() {
    let dir = tempfile::tempdir().unwrap();
    let (capture, rules) = (capture_with(dir.path(), 1), rules_in(dir.path()));
    let why = |event: &str| {
        run(hawkbell().args(["rules", "why", "shadow"]).arg(&capture).args(["--event", event, "-r"]).arg(&rules))
    };
    let (out, err, _) = why("1");
    assert!(
        out.starts_with("rule \"shadow\" matches event 1 (openat)\n") && out.contains("[fd.name = /etc/shadow]"),
        "{out}{err}"
    );
    let (_, err, code) = why("9");
    assert!(err.contains("has no event 9") && code == Some(1), "{err}");
}

#[test]
fn a_replay_can_record_and_summarise() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy.scap.gz");
    let (out, _, _) = run(replay(dir.path(), 5, &[]).arg("--record").arg(&copy).arg("--summary"));
    assert!(
        out.contains("5 events within 0.0 s") && out.contains("openat") && out.contains("Alerts by rule\n  shadow"),
        "{out}"
    );
    let again = run(hawkbell().arg("replay").arg(&copy).arg("-r").arg(rules_in(dir.path()))).0;
    assert_eq!(lines_with(&again, "opened /etc/shadow by cat").len(), 5);
}

#[test]
fn a_rule_starts_a_recording() {
    let dir = tempfile::tempdir().unwrap();
    let prefix = format!("capture.path_prefix={}/rec", dir.path().display());
    let (_, err, _) = run(&mut replay(
        dir.path(),
        5,
        &["capture.enabled=true", "capture.mode=all_rules", &prefix, "capture.default_duration=2"],
    ));
    let files: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.to_string_lossy().contains("/rec_"))
        .collect();
    assert_eq!(files.len(), 1, "{files:?} {err}");
    let again = run(hawkbell().arg("replay").arg(&files[0]).arg("-r").arg(rules_in(dir.path()))).0;
    assert!(lines_with(&again, "opened /etc/shadow by cat").len() >= 3, "processes are in the recording: {again}");
}

#[test]
fn repeated_alerts_are_held_back_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (out, err, _) = run(&mut replay(dir.path(), 50, &["noise[]={rule: shadow, window: 10ms, keys: [proc.name]}"]));
    let told = lines_with(&out, "Warning opened").len();
    let summaries = lines_with(&out, "repeated alerts of rule \"shadow\" held back");
    assert!((1..50).contains(&told) && !summaries.is_empty(), "{out}{err}");
    assert!(summaries[0].contains("proc.name=\"cat\""), "{}", summaries[0]);
    let held: usize = summaries
        .iter()
        .filter_map(|l| l.split("held_back=").nth(1)?.split([' ', ')']).next()?.parse::<usize>().ok())
        .sum();
    assert_eq!(held + told, 50, "nothing disappears: {out}");
    assert!(out.contains("Events detected: 50"), "matches are counted in any case");
}

#[test]
fn damaged_captures_yield_what_came_before() {
    let dir = tempfile::tempdir().unwrap();
    let capture = capture_with(dir.path(), 10);
    let bytes = std::fs::read(&capture).unwrap();
    std::fs::write(&capture, &bytes[..bytes.len() - 5]).unwrap();
    let (out, err, code) = run(hawkbell().arg("replay").arg(&capture).arg("-r").arg(rules_in(dir.path())));
    assert_eq!(lines_with(&out, "Warning opened").len(), 9);
    assert!(err.contains("cut short") && out.contains("Events detected: 9"), "{err}");
    assert_eq!(code, Some(1));
    std::fs::write(&capture, b"no capture at all").unwrap();
    let (_, err, code) = run(hawkbell().arg("replay").arg(&capture));
    assert!(err.contains("not a capture file") && code == Some(1), "{err}");
}

#[test]
fn learned_exceptions_silence_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let (capture, rules) = (capture_with(dir.path(), 4), rules_in(dir.path()));
    let (proposal, effect, code) = run(hawkbell().args(["rules", "learn"]).arg(&capture).arg("-r").arg(&rules));
    assert!(proposal.contains("values:\n    - [\"cat\", \"/etc/shadow\"]   # alerts: 4"), "{proposal}{effect}");
    assert!(effect.contains("       4        4        0  shadow") && code == Some(0), "{effect}");
    let learned = dir.path().join("learned.yaml");
    std::fs::write(&learned, proposal).unwrap();
    let (out, err, _) = run(hawkbell().arg("replay").arg(&capture).arg("-r").arg(&rules).arg("-r").arg(&learned));
    assert!(out.contains("Events detected: 0"), "{out}{err}");
}

#[test]
fn an_event_that_cannot_be_read_is_left_out_and_told() {
    let seed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/capture_read/two_sections.scap");
    let dir = tempfile::tempdir().unwrap();
    let (out, err, code) = run(hawkbell().args(["replay", seed, "--summary", "-r"]).arg(rules_in(dir.path())));
    assert!(out.contains("events within") && out.contains("close"), "{out}");
    assert!(
        err.contains("2 events could not be read, the first: event `PPME_SYSCALL_OPEN_X` with 1 parameters"),
        "{err}"
    );
    assert_eq!(code, Some(1));
}
