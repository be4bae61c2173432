//! Turns `tables/conversions.csv` into a static table: per event kind the rules for the parameter counts that captures
//! of older versions carry. One row is one rule.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=tables");
    let mut by_kind: Vec<String> = vec![String::new(); EVENTS];
    let mut reader = csv::Reader::from_path("tables/conversions.csv").expect("open the table");
    for row in reader.records() {
        let row = row.expect("a well-formed row");
        let kind: usize = row[1].parse().expect("an event id");
        let action = action(&row[3], &row[4], &row[5]);
        write!(by_kind[kind], "Rule {{ nparams: {}, action: {action} }}, ", &row[2]).unwrap();
    }
    let mut out = String::from("static RULES: &[&[Rule]] = &[\n");
    for rules in by_kind {
        writeln!(out, "&[{rules}],").unwrap();
    }
    out.push_str("];\n");
    let dir = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&dir).join("conversions.rs"), out).expect("write the generated table");
}

fn action(action: &str, to: &str, params: &str) -> String {
    let params: Vec<_> = params.split_whitespace().map(source).collect();
    let params = params.join(", ");
    match action {
        "PASS" => "Action::Pass".to_owned(),
        "STORE" => "Action::Store".to_owned(),
        "STORE_AND_PASS" => "Action::StoreAndPass".to_owned(),
        "ADD_PARAMS" => format!("Action::Add(&[{params}])"),
        "CHANGE_TYPE" => format!("Action::Change(Kind::{}, &[{params}])", to.trim_start_matches("PPME_")),
        other => panic!("unknown action {other}"),
    }
}

/// `old[3]`, `enter[1]|default`, `empty`, `default`, `callback|empty`.
fn source(text: &str) -> String {
    let index = |prefix: &str| text.strip_prefix(prefix).and_then(|t| t.split(']').next()).map(str::to_owned);
    if let Some(index) = index("old[") {
        format!("Source::Old({index})")
    } else if let Some(index) = index("enter[") {
        format!(
            "Source::Enter({index}, {})",
            if text.ends_with("|default") { "Missing::Default" } else { "Missing::Empty" }
        )
    } else {
        match text {
            "empty" => "Source::New(Missing::Empty)".to_owned(),
            "default" => "Source::New(Missing::Default)".to_owned(),
            "callback|empty" => "Source::ContainerJson".to_owned(),
            other => panic!("unknown parameter source {other}"),
        }
    }
}

/// Rows of the event table.
const EVENTS: usize = 454;
