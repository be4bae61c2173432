//! What `check --elf` says of an object without loading it, and what the kernel says when it is loaded, agree for every sample.
//! Needs root and the shared samples; says so and passes without them. Nothing may stay loaded.

#![allow(clippy::print_stdout, reason = "says what was skipped or answered")]

use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

fn samples() -> Vec<PathBuf> {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/elf"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "o"));
    files.sort();
    files
}

fn check(args: &[&str]) -> (Option<i32>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_hawkbell")).arg("check").args(args).arg("--json").output().unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

#[test]
fn static_verdict_and_real_load_agree() {
    if !rustix::process::geteuid().is_root() || samples().is_empty() {
        println!("skipped: needs root and the sample objects");
        return;
    }
    let mut compared = 0;
    for path in samples() {
        let (status, value) = check(&["--elf", path.to_str().unwrap(), "--load"]);
        let object = &value["objects"][0];
        let loaded = object["loaded"]["ok"].as_bool().unwrap();
        match object["report"]["verdict"].as_str() {
            Some("loads") => assert!(loaded, "{}: {object}", path.display()),
            Some("fails") | None => assert!(!loaded, "{}: {object}", path.display()),
            _ => continue,
        }
        assert_eq!(status, Some(i32::from(!loaded)), "{}", path.display());
        compared += 1;
    }
    assert!(compared >= 25, "only {compared} objects were decided");
}

#[test]
fn a_saved_report_answers_like_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let saved = Command::new(env!("CARGO_BIN_EXE_hawkbell")).args(["probe", "--save"]).arg(&report).output().unwrap();
    assert!(saved.status.success());
    let asked = "btf,bpf-syscall,program:xdp,map:hash,fentry,kernel>=4.0,CONFIG_BPF,ability:isa-v3";
    let (_, here) = check(&["-r", asked]);
    let (_, there) = check(&["-r", asked, "--against", report.to_str().unwrap()]);
    let words = |value: &Value| -> Vec<(String, String)> {
        let rows = value["requirements"].as_array().unwrap();
        rows.iter().map(|r| (r["requirement"].to_string(), r["answer"].to_string())).collect()
    };
    assert_eq!(words(&here), words(&there));
    let diff = Command::new(env!("CARGO_BIN_EXE_hawkbell"))
        .args(["probe", "--diff"])
        .args([&report, &report])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&diff.stdout).lines().count(), 1);
}

#[test]
fn a_file_of_requirements_is_read_with_groups_and_objects() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("needs.yaml");
    std::fs::write(
        &file,
        "requirements:\n  - kernel>=4.0\n  - any: [kernel>=99.0, kernel>=4.1]\n  - optional: kernel>=99.0\n",
    )
    .unwrap();
    let (status, value) = check(&["--requirements", file.to_str().unwrap()]);
    assert_eq!((status, value["ok"].as_bool()), (Some(0), Some(true)));
    std::fs::write(&file, "[kernel>=4.0, {elf: missing.o}]").unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_hawkbell")).args(["check", "--requirements"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(1) && said.contains("missing.o") && said.contains("no such file or directory"),
        "{said}"
    );
    std::fs::write(&file, "- 5\n").unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_hawkbell")).args(["check", "--requirements"]).arg(&file).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("entry 1"));
}

#[test]
fn every_form_of_output_is_well_formed() {
    for (format, begins) in [("json", "{"), ("sarif", "{"), ("junit", "<?xml")] {
        let output = Command::new(env!("CARGO_BIN_EXE_hawkbell"))
            .args(["check", "-r", "kernel>=99.0,kernel>=4.0", "--format", format])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stdout).starts_with(begins), "{format}");
    }
    let bad =
        Command::new(env!("CARGO_BIN_EXE_hawkbell")).args(["check", "-r", "btf", "--format", "xml"]).output().unwrap();
    assert_eq!(bad.status.code(), Some(11));
}

/// The rows of the command list in `hawkbell --help`.
fn visible_subcommands() -> Vec<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_hawkbell")).arg("--help").output().unwrap();
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    let rows = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let rows = rows.filter(|row| !row.starts_with("   "));
    let names: Vec<String> = rows.filter_map(|row| row.split_whitespace().next().map(ToOwned::to_owned)).collect();
    assert!(names.len() > 8, "{text}");
    names.into_iter().filter(|name| name != "help").collect()
}

#[test]
fn mcp_offers_the_subcommands_of_hawkbell() {
    use std::io::Write;
    let mut server = Command::new(env!("CARGO_BIN_EXE_hawkbell"))
        .arg("mcp")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let requests = concat!(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\"}}\n",
        "broken\n",
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/call\",\"params\":{\"name\":\"check\",\"arguments\":{\"require\":\"kernel>=4.0\",\"json\":true}}}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/call\",\"params\":{\"name\":\"check\",\"arguments\":{\"require\":[\"kernel>=99.0\"]}}}\n",
    );
    server.stdin.take().unwrap().write_all(requests.as_bytes()).unwrap();
    let said = server.wait_with_output().unwrap();
    let lines: Vec<Value> =
        String::from_utf8_lossy(&said.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[1]["error"]["code"], -32700);
    let tools = lines[2]["result"]["tools"].as_array().unwrap();
    assert!(tools.iter().any(|t| t["name"] == "probe" && t["annotations"]["readOnlyHint"] == true));
    assert!(tools.iter().any(|t| t["name"] == "watch" && t["annotations"]["readOnlyHint"] == false));
    assert!(tools.iter().all(|t| t["inputSchema"]["type"] == "object" && t["outputSchema"]["type"] == "object"));
    let named: Vec<&str> = tools.iter().filter_map(|t| t["name"].as_str()).collect();
    for subcommand in visible_subcommands() {
        assert!(subcommand == "mcp" || named.contains(&subcommand.as_str()), "`{subcommand}` is no tool");
    }
    let check = tools.iter().find(|t| t["name"] == "check").unwrap();
    assert_eq!(check["outputSchema"]["properties"]["ok"]["type"], "boolean");
    assert_eq!(lines[3]["result"]["structuredContent"]["ok"], true);
    assert_eq!(lines[4]["result"]["isError"], true);
}
