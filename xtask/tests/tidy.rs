//! The house rules as tests: who may depend on whom, where unsafe code may live, which files explain themselves, which
//! names belong together. They read the tree as text; a failure names every place at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which crates a crate may depend on. The picture with its reasons is in ARCHITECTURE.md.
const ARROWS: &[(&str, &[&str])] = &[
    ("hawkbell", &["features", "traffic", "coverage", "watch", "diag", "rules", "capture", "load"]),
    ("watch", &["engine", "sensor", "capture", "features", "diag", "rules", "event", "host"]),
    ("features", &["elf", "sys", "host", "diag"]),
    ("traffic", &["load", "features", "diag", "sys"]),
    ("coverage", &["load", "elf", "diag", "sys"]),
    ("engine", &["rules", "event", "host"]),
    ("rules", &["event", "diag"]),
    ("capture", &["event"]),
    ("sensor", &["load", "event", "host", "sys"]),
    ("load", &["elf", "sys"]),
    ("diag", &[]),
    ("elf", &[]),
    ("sys", &[]),
    ("host", &["event"]),
    ("event", &[]),
    ("bpf-build", &[]),
    ("testkit", &["sys"]),
    ("xtask", &[]),
];

/// Paths below which `unsafe` is allowed; the last one makes the raw system calls that the sensor is tested with.
const UNSAFE_ROOMS: &[&str] = &["crates/sys/src", "crates/load/src/ffi", "crates/sensor/tests/exit_events"];

#[test]
fn crates_depend_only_along_the_arrows() {
    let allowed: BTreeMap<_, BTreeSet<_>> =
        ARROWS.iter().map(|(from, to)| (*from, to.iter().copied().collect())).collect();
    let ours: BTreeSet<_> = ARROWS.iter().map(|(name, _)| *name).collect();
    let mut wrong = Vec::new();
    for manifest in manifests() {
        let text = read(&manifest);
        let name = value_of(&text, "name").unwrap_or_default();
        let Some(targets) = allowed.get(name.as_str()) else {
            wrong.push(format!("{}: crate `{name}` is missing in the arrow table", manifest.display()));
            continue;
        };
        for dependency in dependencies(&text) {
            if ours.contains(dependency.as_str()) && !targets.contains(dependency.as_str()) {
                wrong.push(format!("{name} -> {dependency} is not an arrow"));
            }
        }
    }
    report(&wrong);
}

#[test]
fn every_source_file_opens_with_its_purpose() {
    let undocumented = |path: &PathBuf| {
        let text = read(path);
        let first =
            text.lines().find(|l| !l.trim().is_empty() && !l.contains("SPDX-License-Identifier")).unwrap_or_default();
        let documented =
            if is(path, "rs") { first.starts_with("//!") } else { first.starts_with("//") || first.starts_with("/*") };
        !documented
    };
    let wrong: Vec<_> =
        sources().into_iter().filter(undocumented).map(|p| format!("{}: no opening comment", p.display())).collect();
    report(&wrong);
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    let mut wrong = Vec::new();
    for path in sources().into_iter().filter(|p| is(p, "rs")) {
        let relative = relative(&path);
        if UNSAFE_ROOMS.iter().any(|room| relative.starts_with(room)) || relative.starts_with("xtask/tests") {
            continue;
        }
        for (number, line) in read(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].iter().any(|word| code.contains(word)) {
                wrong.push(format!("{relative}:{}: unsafe outside its rooms", number + 1));
            }
        }
    }
    report(&wrong);
}

#[test]
fn unsafe_blocks_say_why_they_are_sound() {
    let mut wrong = Vec::new();
    for path in sources().into_iter().filter(|p| UNSAFE_ROOMS.iter().any(|room| relative(p).starts_with(room))) {
        let text = read(&path);
        let lines: Vec<_> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains("unsafe {") || code.contains("unsafe impl") {
                let above = &lines[index.saturating_sub(6)..=index];
                if !above.iter().any(|l| l.contains("SAFETY")) {
                    wrong.push(format!("{}:{}: no SAFETY note", relative(&path), index + 1));
                }
            }
        }
    }
    report(&wrong);
}

#[test]
fn every_bpf_file_has_its_rust_stem_and_licence() {
    let mut wrong = Vec::new();
    let stems: BTreeSet<_> = sources()
        .iter()
        .filter(|p| is(p, "rs"))
        .filter_map(|p| Some((crate_of(p)?, p.file_stem()?.to_owned())))
        .collect();
    for path in
        sources().into_iter().filter(|p| p.to_string_lossy().ends_with(".bpf.c") && relative(p).contains("/bpf/"))
    {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = name.trim_end_matches(".bpf.c").replace('-', "_");
        if !crate_of(&path).is_some_and(|c| stems.contains(&(c, stem.clone().into()))) {
            wrong.push(format!("{}: no Rust module called `{stem}` in its crate", relative(&path)));
        }
        if !read(&path).contains("SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause") {
            wrong.push(format!("{}: no licence line", relative(&path)));
        }
    }
    report(&wrong);
}

#[test]
fn every_shipped_rule_is_tested_both_ways() {
    let mut wrong = Vec::new();
    for topic in files(&root().join("rules"))
        .into_iter()
        .filter(|p| is(p, "yaml") && p.parent().is_some_and(|d| d.ends_with("rules")))
    {
        let tests = root().join("rules/tests").join(topic.file_name().unwrap_or_default());
        let tests = fs::read_to_string(tests).unwrap_or_default();
        for rule in read(&topic).lines().filter_map(|l| l.strip_prefix("- rule: ")) {
            let case = tests.split("- rule: ").find(|case| case.lines().next() == Some(rule)).unwrap_or_default();
            for half in ["  alert: |", "  silent: |"] {
                if !case.contains(half) {
                    wrong.push(format!("{}: rule `{rule}` has no {} case", relative(&topic), half.trim()));
                }
            }
        }
    }
    report(&wrong);
}

#[test]
fn nothing_is_left_unfinished_and_no_machine_shows_through() {
    let words = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["/work", "/"], ["/root/.ca", "rgo"]].map(|w| w.concat());
    let mut wrong = Vec::new();
    for path in
        files(&root()).into_iter().filter(|p| ["rs", "c", "h", "md", "sh", "yaml", "toml"].iter().any(|e| is(p, e)))
    {
        for (number, line) in read(&path).lines().enumerate() {
            for word in words
                .iter()
                .filter(|w| line.contains(w.as_str()) && !(w.starts_with("XX") && line.contains(&"X".repeat(4))))
            {
                wrong.push(format!("{}:{}: `{word}`", relative(&path), number + 1));
            }
        }
    }
    report(&wrong);
}

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} places:\n  {}", wrong.len(), wrong.join("\n  "));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e == extension)
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned()
}

/// `crates/NAME` of a path.
fn crate_of(path: &Path) -> Option<String> {
    relative(path).split('/').nth(1).map(str::to_owned)
}

fn manifests() -> Vec<PathBuf> {
    let all = files(&root());
    all.into_iter()
        .filter(|p| {
            p.ends_with("Cargo.toml")
                && p.parent() != Some(&root())
                && !relative(p).starts_with("fuzz")
                && !relative(p).starts_with("examples")
        })
        .collect()
}

fn sources() -> Vec<PathBuf> {
    files(&root()).into_iter().filter(|p| is(p, "rs") || p.to_string_lossy().ends_with(".bpf.c")).collect()
}

/// Every file below `dir` except build output and hidden directories.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !name.starts_with('.') && !name.starts_with("target") {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn value_of(toml: &str, key: &str) -> Option<String> {
    let line = toml.lines().find(|l| l.starts_with(&format!("{key} =")))?;
    Some(line.split('"').nth(1)?.to_owned())
}

/// Names in `[dependencies]`; build and dev dependencies are free.
fn dependencies(toml: &str) -> Vec<String> {
    let section = toml.split("\n[").find(|s| s.starts_with("dependencies]")).unwrap_or_default();
    let name = |line: &str| line.split(['.', '=', ' ']).next().unwrap_or_default().to_owned();
    section.lines().skip(1).filter(|l| !l.starts_with('#') && l.contains('=')).map(name).collect()
}
