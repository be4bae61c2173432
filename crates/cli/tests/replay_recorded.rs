//! The whole way from recorded captures to lines on standard output, with the options and the configuration that users of
//! the replaced tool have: alerts are byte for byte those of the reference. Cut captures deliver what they hold. Without
//! the recordings the tests say so and pass.

mod common;

use common::{called, corpus, run};
use std::path::Path;

#[test]
fn alerts_of_the_official_rules() {
    let Some(corpus) = corpus("") else { return };
    for (capture, matching) in [("actions", "first"), ("actions", "all"), ("busy_200k", "first")] {
        let alerts = corpus.join(format!("captures/alerts/{capture}.official.{matching}.jsonl"));
        let (out, err, code) = replay(&corpus, &corpus.join(format!("captures/{capture}.scap.gz")), matching);
        assert_eq!(code, Some(0), "{err}");
        let found: Vec<&str> = out.lines().filter(|line| line.starts_with('{')).collect();
        let recorded = std::fs::read_to_string(alerts).expect("recorded alerts").replace("\"vm\"", "\"test-host\"");
        assert!(found.iter().copied().eq(recorded.lines()), "{capture} {matching}: {found:#?}");
        assert!(out.contains(&format!("Events detected: {}\n", found.len())), "{out}");
    }
}

#[test]
fn a_cut_capture_tells_what_it_holds_and_where_it_ends() {
    let Some(corpus) = corpus("") else { return };
    let dir = tempfile::tempdir().unwrap();
    let whole = std::fs::read(corpus.join("captures/actions.scap.gz")).unwrap();
    let cut = dir.path().join("cut.scap.gz");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let (out, err, code) = replay(&corpus, &cut, "first");
    assert_eq!(code, Some(1), "{err}");
    assert!(out.lines().filter(|line| line.starts_with('{')).count() > 3, "{out}");
    assert!(err.contains("cut.scap.gz`: capture is cut short at byte "), "{err}");
}

#[test]
fn a_second_section_begins_anew() {
    let Some(corpus) = corpus("") else { return };
    let dir = tempfile::tempdir().unwrap();
    let once = std::fs::read(corpus.join("captures/actions.scap.gz")).unwrap();
    let twice = dir.path().join("twice.scap.gz");
    std::fs::write(&twice, once.repeat(2)).unwrap();
    let (out, err, _) = replay(&corpus, &twice, "first");
    let alerts: Vec<&str> = out.lines().filter(|line| line.starts_with('{')).collect();
    let (first, second) = alerts.split_at(alerts.len() / 2);
    assert!(!first.is_empty() && first == second, "{err}");
}

#[test]
fn standard_input_can_be_replayed() {
    let Some(corpus) = corpus("") else { return };
    let capture = std::fs::File::open(corpus.join("captures/actions.scap.gz")).unwrap();
    let rules = corpus.join("rules/official/falco_rules.yaml");
    let (out, err, code) = run(common::hawkbell().args(["replay", "-", "-r"]).arg(rules).stdin(capture));
    assert!(code == Some(0) && out.contains("Triggered rules by rule name:"), "{err}");
}

#[test]
fn what_is_learned_can_come_again_and_silences_what_it_names() {
    let Some(corpus) = corpus("") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (rules, proposal) = (dir.path().join("net.yaml"), dir.path().join("learned.yaml"));
    let text = "- rule: net\n  desc: d\n  condition: evt.type in (connect, accept, accept4) and fd.typechar in (4, 6)\n  \
                output: net %fd.name %proc.name\n  priority: INFO\n";
    std::fs::write(&rules, text).unwrap();
    let capture = corpus.join("captures/busy_200k.scap.gz");
    let learn = |capture: &Path| run(common::hawkbell().args(["rules", "learn", "-r"]).arg(&rules).arg(capture));
    let (out, err, code) = learn(&capture);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("fields: [proc.name, proc.pname, fd.sip]") && !out.contains("->"), "{out}");
    std::fs::write(&proposal, out).unwrap();
    let events = |files: &[&Path]| {
        let mut command = common::hawkbell();
        command.arg("replay").arg(&capture);
        files.iter().for_each(|file| _ = command.arg("-r").arg(file));
        let (out, err, _) = run(&mut command);
        let line = out.lines().find_map(|line| line.strip_prefix("Events detected: ")).map(str::to_owned);
        line.unwrap_or(err).parse::<u64>().unwrap()
    };
    let (before, after) = (events(&[&rules]), events(&[&rules, &proposal]));
    assert!(before > 2_000 && after < before / 100, "{before} became {after}");
    let cut = dir.path().join("cut.scap.gz");
    let whole = std::fs::read(&capture).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let (out, err, code) = learn(&cut);
    assert!(
        code == Some(0) && out.contains("- rule: \"net\"") && err.contains("learned from what came before"),
        "{err}"
    );
}

/// Standard output, standard error and status of the tool that is replaced, with the configuration it is shipped with, and
/// containers recognised as it does (the recording machine's host looks like a container of containerd).
fn replay(corpus: &Path, capture: &Path, matching: &str) -> (String, String, Option<i32>) {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("falco.yaml");
    std::fs::write(
        &config,
        "json_output: true\nstdout_output: {enabled: true}\nappend_output: [{suggested_output: true}]\n\
         plugins: [{name: container, library_path: libcontainer.so, init_config: {engines: {containerd: {any_controller: true}}}}]\n",
    )
    .unwrap();
    let set = |key: &str, value: &Path| format!("{key}={}", value.display());
    run(called("falco", dir.path())
        .arg("-c")
        .arg(&config)
        .arg("-r")
        .arg(corpus.join("rules/official/falco_rules.yaml"))
        .args(["-o", "engine.kind=replay", "-o", &set("engine.replay.capture_file", capture)])
        .args(["-o", &format!("rule_matching={matching}")]))
}
