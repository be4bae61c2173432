//! The pages of docs/reference are what the program itself says: a stale page fails here. `HAWKBELL_BLESS=1` (or `make docs`)
//! writes them anew.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

#[test]
fn pages_say_what_the_program_says() {
    let pages = [
        ("fields.md", titled("Fields", FIELDS, &hawkbell(&["rules", "fields", "--format", "markdown"]))),
        ("events.md", titled("Events", EVENTS, &hawkbell(&["rules", "events", "--format", "markdown"]))),
        (
            "configuration.md",
            titled("Configuration", CONFIGURATION, &hawkbell(&["watch", "--config-schema", "--format", "markdown"])),
        ),
        ("rules.md", rules()),
        ("commands.md", commands()),
    ];
    for (name, text) in pages {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
        if env::var_os("HAWKBELL_BLESS").is_some() {
            fs::write(&path, &text).expect("write the page");
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "docs/reference/{name} is stale: run `make docs`");
    }
}

fn hawkbell(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hawkbell")).args(args).output().expect("run hawkbell");
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8(text).expect("UTF-8")
}

fn titled(title: &str, intro: &str, body: &str) -> String {
    format!("# {title}\n\n{intro}\n\n{}\n", body.trim())
}

/// The shipped rules with priority, tags and purpose.
fn rules() -> String {
    let listing: serde_json::Value = serde_json::from_str(&hawkbell(&["rules", "list", "--json"])).expect("JSON");
    let mut out = format!("# Shipped rules\n\n{RULES}\n");
    for rule in listing["rules"].as_array().expect("rules") {
        let info = &rule["info"];
        let text = |key: &str| info[key].as_str().unwrap_or_default().trim().to_owned();
        let tags: Vec<_> = info["tags"].as_array().into_iter().flatten().filter_map(|t| t.as_str()).collect();
        let _ = write!(
            out,
            "\n## {}\n\n{}\n\n*{}* · {}\n",
            text("name"),
            text("description"),
            text("priority"),
            tags.join(", ")
        );
    }
    out
}

/// The help of every command.
fn commands() -> String {
    let mut out = String::from("# Commands\n\nEvery command as its `--help` shows it.\n");
    let top = hawkbell(&["--help"]);
    section(&mut out, "hawkbell", &top);
    for tool in subcommands(&top) {
        let help = hawkbell(&[tool, "--help"]);
        section(&mut out, &format!("hawkbell {tool}"), &help);
        for action in subcommands(&help) {
            section(&mut out, &format!("hawkbell {tool} {action}"), &hawkbell(&[tool, action, "--help"]));
        }
    }
    out
}

fn section(out: &mut String, title: &str, help: &str) {
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    let _ = write!(out, "\n## {title}\n\n```\n{}\n```\n", lines.join("\n").trim());
}

/// Names below `Commands:`, without `help`.
fn subcommands(help: &str) -> Vec<&str> {
    let list = help.split("Commands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default();
    let names = list
        .lines()
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next());
    names.filter(|name| *name != "help").collect()
}

const FIELDS: &str = "What conditions and outputs of rules can name. `hawkbell rules fields` prints the same.";
const EVENTS: &str = "What rules can see. `hawkbell rules events` prints the same.";
const CONFIGURATION: &str = "Every key of a configuration file (`-c`) and of `-o`. `[]` stands for the elements of a list.\n\
                             `hawkbell watch --config-schema` prints a JSON schema.";
const RULES: &str = "What `hawkbell watch` looks for when it is given no rules. Each rule is performed, and narrowly missed, by a\n\
                     live test. `hawkbell rules list` prints names and descriptions.";
