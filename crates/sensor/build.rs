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
    let only32: Vec<(String, u16)> =
        rows("tables/only32.csv").into_iter().map(|r| (r[0].clone(), r[1].parse().expect("a number"))).collect();
    let named = |c: &event::tables::SyscallInfo| (c.sc.name().expect("every call has a name").to_owned(), c.nr);
    let numbers: HashMap<String, u16> = event::tables::syscalls().iter().map(named).chain(only32.clone()).collect();
    let ia32 = ia32(&numbers);
    fs::write(out.join("kinds.h"), header(&numbers, &ia32)).expect("write kinds.h");
    fs::write(out.join("tables.rs"), rust_tables(&only32, &ia32)).expect("write tables.rs");
    for source in ["bpf/sensor.bpf.c", "bpf/empty.bpf.c"] {
        let object = bpf_build::Object::new(source).include(&out).include("bpf").flag("-Wno-initializer-overrides");
        if object.build() != ExitCode::SUCCESS {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn header(numbers: &HashMap<String, u16>, ia32: &[(u16, u16)]) -> String {
    let mut text = String::from("/* generated from the event tables */\nenum {\n");
    for event in event::tables::events() {
        let short = event.symbol.trim_start_matches("PPME_");
        writeln!(text, "\t{short} = {}, {short}_PARAMS = {},", event.kind.0, event.params.len()).unwrap();
    }
    let mut codes = String::new();
    for (name, nr) in numbers {
        let sc = event::Sc::by_name(name).unwrap_or_else(|| panic!("no system call `{name}`"));
        writeln!(text, "\tNR_{name} = {nr},").unwrap();
        write!(codes, "[{nr}] = {}, ", sc.0).unwrap();
    }
    let map: Vec<String> = ia32.iter().map(|(from, to)| format!("[{from}] = {}", to + 1)).collect();
    writeln!(text, "}};\n#define SC_CODES {codes}\n#define IA32_MAP {}", map.join(", ")).unwrap();
    text
}

/// Pairs of 32-bit and 64-bit number, by name; calls of 32-bit time or ids map to the one that took their place.
fn ia32(numbers: &HashMap<String, u16>) -> Vec<(u16, u16)> {
    let aliases: HashMap<String, String> =
        rows("tables/ia32_aliases.csv").into_iter().map(|r| (r[0].clone(), r[1].clone())).collect();
    let pair = |row: Vec<String>| {
        let name = aliases.get(&row[1]).unwrap_or(&row[1]);
        Some((row[0].parse().expect("a number"), *numbers.get(name)?))
    };
    rows("tables/ia32.csv").into_iter().filter_map(pair).collect()
}

/// The same numbers for the Rust side.
fn rust_tables(only32: &[(String, u16)], ia32: &[(u16, u16)]) -> String {
    format!("const ONLY_32: &[(&str, u16)] = &{only32:?};\nconst IA32: &[(u16, u16)] = &{ia32:?};\n")
}

fn rows(path: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("read {path}: {e}"));
    text.lines().skip(1).map(|l| l.split(',').map(str::to_owned).collect()).collect()
}
