//! Writes `kinds.h` (numbers of events and system calls, the 32-bit map) from the event tables and compiles the BPF
//! objects. One row of a table stays the one place where a number is defined.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=tables");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("kinds.h"), header()).expect("write kinds.h");
    fs::write(out.join("only32.rs"), only32()).expect("write only32.rs");
    for source in ["bpf/sensor.bpf.c", "bpf/iter.bpf.c"] {
        if !PathBuf::from(source).exists() {
            continue;
        }
        let object = bpf_build::Object::new(source).include(&out).include("bpf").flag("-Wno-initializer-overrides");
        if object.build() != ExitCode::SUCCESS {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn header() -> String {
    let mut text = String::from("/* generated from the event tables */\nenum {\n");
    for event in event::tables::events() {
        let short = event.symbol.trim_start_matches("PPME_");
        writeln!(text, "\t{short} = {}, {short}_PARAMS = {},", event.kind.0, event.params.len()).unwrap();
    }
    let mut numbers: HashMap<&str, u16> = HashMap::new();
    let mut codes = String::new();
    for call in event::tables::syscalls() {
        let name = call.sc.name().expect("every call has a name");
        writeln!(text, "\tNR_{name} = {},", call.nr).unwrap();
        write!(codes, "[{}] = {}, ", call.nr, call.sc.0).unwrap();
        numbers.insert(name, call.nr);
    }
    for row in rows("tables/only32.csv") {
        let [name, number] = &row[..] else { panic!("only32.csv has 2 columns") };
        let sc = event::Sc::by_name(name).unwrap_or_else(|| panic!("no system call `{name}`"));
        writeln!(text, "\tNR_{name} = {number},").unwrap();
        write!(codes, "[{number}] = {}, ", sc.0).unwrap();
        numbers.insert(name.clone().leak(), number.parse().expect("a number"));
    }
    writeln!(text, "}};\n#define SC_CODES {codes}").unwrap();
    writeln!(text, "#define IA32_MAP {}", ia32(&numbers)).unwrap();
    text
}

/// The same numbers for the Rust side.
fn only32() -> String {
    let entry = |row: Vec<String>| format!("({:?}, {})", row[0], row[1]);
    format!("&[{}]", rows("tables/only32.csv").into_iter().map(entry).collect::<Vec<_>>().join(", "))
}

/// 32-bit number to 64-bit number, by name; calls of 32-bit time or ids map to the one that took their place.
fn ia32(numbers: &HashMap<&str, u16>) -> String {
    let aliases: HashMap<String, String> =
        rows("tables/ia32_aliases.csv").into_iter().map(|r| (r[0].clone(), r[1].clone())).collect();
    let mut text = String::new();
    for row in rows("tables/ia32.csv") {
        let name = aliases.get(&row[1]).unwrap_or(&row[1]);
        if let Some(number) = numbers.get(name.as_str()) {
            write!(text, "[{}] = {}, ", row[0], number + 1).unwrap();
        }
    }
    text
}

fn rows(path: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("read {path}: {e}"));
    text.lines().skip(1).map(|l| l.split(',').map(str::to_owned).collect()).collect()
}
