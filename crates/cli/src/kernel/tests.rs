//! The commands as the reference's users call them: words in, output compared. Runs on any machine; what depends on the kernel is
//! compared only with itself.

use super::*;

const STYLE: Style<'_> = Style { program: "kfeatures", native: false, compact: false };

fn of(words: &[&str]) -> Output {
    run(STYLE, &words.iter().map(ToString::to_string).collect::<Vec<_>>())
}

#[test]
fn help_keeps_the_words_that_scripts_look_for() {
    let root = of(&[]);
    assert!(root.stdout.contains("kfeatures probes kernel capabilities") && root.stdout.contains("--mcp"));
    assert!(root.stdout.contains("serve MCP over stdio"));
    let check = of(&["check", "--help"]).stdout;
    assert_eq!(check.lines().filter(|line| *line == "Available features:").count(), 1);
    assert_eq!(check.matches("bpf-lsm").count(), 1);
    let require = check.lines().find(|line| line.trim_start().starts_with("-r, --require feature")).unwrap();
    assert!(!require.contains('{') && require.contains("Required features (see available features above)"));
    assert!(check.contains("Check that the kernel supports all required features"));
    assert!(of(&["help", "probe"]).stdout.contains("Probe all kernel features"));
    assert_eq!(of(&["help", "wat"]).status, 0);
}

#[test]
fn envelopes_are_one_line_of_json() {
    for (words, code) in
        [(&["check"][..], 10), (&["check", "-r", "bpffs"], 11), (&["probe", "--bogus"], 12), (&["wat"], 14)]
    {
        let output = of(words);
        assert_eq!((output.status, output.stdout.as_str()), (code, ""));
        let value: serde_json::Value = serde_json::from_str(&output.stderr).unwrap();
        assert_eq!(value["exit_code"], code);
    }
    assert!(of(&["check"]).stderr.starts_with("{\"error\":\"missing_required_flag\",\"exit_code\":10,\"message\":"));
    let none = of(&["check", "-r", " , "]);
    assert!(none.status == 1 && none.stderr.contains("no features specified"));
}

#[test]
fn schemas_are_complete() {
    let tree: serde_json::Value = serde_json::from_str(&of(&["--jsonschema=tree"]).stdout).unwrap();
    let titles: Vec<&str> = tree.as_array().unwrap().iter().map(|node| node["title"].as_str().unwrap()).collect();
    assert_eq!(titles.len(), 11);
    assert!(titles.contains(&"kfeatures completion zsh"));
    let check: serde_json::Value = serde_json::from_str(&of(&["check", "--jsonschema"]).stdout).unwrap();
    assert_eq!(check["properties"]["require"]["type"], "string");
    assert!(of(&["--jsonschema"]).stdout.contains("\"title\": \"kfeatures\""));
    let bad = of(&["--jsonschema=xml"]);
    assert!(bad.status == 1 && bad.stderr.contains("unknown --jsonschema value"));
    assert_eq!(of(&["--jsonschema", "tree"]).status, 14);
}

#[test]
fn completion_continues_the_list() {
    let output = of(&["__complete", "check", "--require", "BPF-SYSCALL,tr"]);
    assert_eq!(output.stdout, "BPF-SYSCALL,tracepoint\nBPF-SYSCALL,trace-fs\n:6\n");
    assert_eq!(of(&["__complete", "check", "--"]).stdout.lines().next().unwrap().split('\t').next(), Some("--require"));
    assert!(of(&["__complete", ""]).stdout.starts_with("check\t"));
    assert!(of(&["completion", "bash"]).stdout.contains("__complete"));
}

#[test]
fn mcp_answers_everything_and_remembers_nothing() {
    let input = concat!(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\"}}\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"ping\"}\n",
        "not json\n",
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/call\",\"params\":{\"name\":\"check\",\"arguments\":{\"require\":\"nope\"}}}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/call\",\"params\":{\"name\":\"config\",\"arguments\":{\"json\":false}}}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/call\",\"params\":{\"name\":\"version\"}}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"wat\"}\n",
        "{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"ping\"}\n",
    );
    let mut said = Vec::new();
    assert_eq!(mcp::serve(STYLE, input.as_bytes(), &mut said).status, 0);
    let lines: Vec<serde_json::Value> =
        String::from_utf8(said).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 9);
    assert_eq!(lines[0]["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(lines[1]["result"], serde_json::json!({}));
    assert_eq!(lines[2]["error"]["code"], -32700);
    let names: Vec<&str> =
        lines[3]["result"]["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["check", "config", "probe"]);
    assert_eq!(lines[4]["result"]["isError"], true);
    assert!(lines[4]["result"]["content"][0]["text"].as_str().unwrap().contains("\"exit_code\":11"));
    assert_eq!(lines[6]["error"]["message"], "unknown tool");
    assert_eq!(lines[7]["error"]["code"], -32601);
    assert_eq!(lines[8]["error"]["code"], -32600);
}

#[test]
fn mcp_speaks_what_the_client_speaks() {
    for (asked, answered, hints, structured) in [
        ("2024-11-05", "2024-11-05", false, false),
        ("2025-03-26", "2025-03-26", true, false),
        ("2025-06-18", "2025-06-18", true, true),
        ("2025-11-25", "2025-11-25", true, true),
        ("2999-01-01", "2025-11-25", true, true),
    ] {
        let input = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{{\"protocolVersion\":\"{asked}\"}}}}\n{{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}}\n"
        );
        let mut said = Vec::new();
        mcp::serve(STYLE, input.as_bytes(), &mut said);
        let lines: Vec<serde_json::Value> =
            String::from_utf8(said).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines[0]["result"]["protocolVersion"], answered);
        let tool = &lines[1]["result"]["tools"][0];
        assert_eq!(
            (tool.get("annotations").is_some(), tool.get("outputSchema").is_some()),
            (hints, structured),
            "{asked}"
        );
    }
}

#[test]
fn mcp_calls_do_not_know_of_each_other() {
    let call = |id: u32, requirement: &str| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"check\",\"arguments\":{{\"require\":\"{requirement}\",\"json\":true}}}}}}\n"
        )
    };
    let input = call(1, "jit-hardened,ima") + &call(2, "perf-event-open") + &call(3, "jit-hardened,ima");
    let mut said = Vec::new();
    mcp::serve(STYLE, input.as_bytes(), &mut said);
    let lines: Vec<serde_json::Value> =
        String::from_utf8(said).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let text = |at: usize| lines[at]["result"]["content"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(text(0), text(2));
    assert!(!text(1).contains("ima") && !text(1).contains("jit-hardened"), "{}", text(1));
}

#[test]
fn probe_has_every_key_in_order() {
    let output = of(&["probe", "--json"]);
    let keys = [
        "\"BPFSyscall\"",
        "\"KprobeMulti\"",
        "\"ActiveLSMs\"",
        "\"JITLimit\"",
        "\"KernelConfig\"",
        "\"KernelVersion\"",
    ];
    let places: Vec<usize> = keys.iter().map(|key| output.stdout.find(key).unwrap()).collect();
    assert!(places.is_sorted());
    let text = of(&["probe"]).stdout;
    assert!(text.starts_with("Kernel: ") && text.contains("  bpf(): ") && !text.contains("Usage:"));
}
