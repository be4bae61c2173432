//! Own counting against llvm-cov: for every clang present, objects with random counters must give the same records of lines,
//! functions and branches, the same totals, and the same conditions. Skips, with a reason, what is not installed.

#![allow(clippy::print_stdout)] // a test says why it skips

mod support;

use coverage::profile::{Counters, RawVersion, profraw, proftext};
use coverage::report::summary::Summary;
use coverage::report::{Builder, lcov};
use coverage::sidecar::Sidecar;
use coverage::split::split;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{CLANGS, compile, data, runs};

#[test]
fn lcov_and_totals_agree_with_llvm_cov() {
    if !runs("llvm-cov-19") || !runs("llvm-profdata-19") {
        println!("skipped: needs llvm-cov-19 and llvm-profdata-19");
        return;
    }
    let home = tempfile::tempdir().expect("a scratch directory");
    let mut compared = 0;
    for (clang, source, flags) in corpus() {
        let object = home.path().join("corpus.covobj");
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        compile(clang, &source, &object, &[&flags[..], &["-fprofile-update=atomic"]].concat());
        let bytes = fs::read(&object).expect("read the object");
        let sidecar = Sidecar::parse(&bytes).expect("a sidecar");
        for seed in 0..4 {
            let counters = random_counters(&bytes, &sidecar, seed);
            let mut builder = Builder::default();
            builder.add(&sidecar, &counters).expect("matching counters");
            let report = builder.finish();
            let theirs = |format| oracle(home.path(), &object, &proftext(&sidecar, &counters), &[format]);
            let (ours, lcov) = (records(&lcov::render(&report)), records(&theirs("-format=lcov")));
            for (ours, theirs) in ours.iter().zip(&lcov) {
                assert_eq!(ours, theirs, "{clang}, {}, seed {seed}", source.display());
            }
            assert_eq!(ours.len(), lcov.len(), "{clang}, {}, seed {seed}", source.display());
            let totals: serde_json::Value = serde_json::from_str(&theirs("-summary-only")).expect("JSON");
            for (name, ratio) in Summary::of(&report).named().into_iter().take(4) {
                let theirs = &totals["data"][0]["totals"][name];
                let theirs = (theirs["count"].as_u64(), theirs["covered"].as_u64());
                assert_eq!((Some(ratio.total), Some(ratio.covered)), theirs, "{name}: {clang}, {}", source.display());
            }
        }
        compared += 1;
    }
    println!("{compared} objects are reported as by llvm-cov");
}

/// Each source of the tests with each clang present, and the policy program of `traffic`, which is large.
fn corpus() -> Vec<(&'static str, PathBuf, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace");
    let include = |folder: &Path| format!("-I{}", folder.display());
    let mut corpus = Vec::new();
    for clang in CLANGS.iter().copied().filter(|c| runs(c)) {
        corpus.push((clang, data("constructs.bpf.c"), Vec::new()));
        corpus.push((clang, data("golden/golden.bpf.c"), vec![include(&data("golden/bpf"))]));
        corpus.push((clang, root.join("examples/covered/guard.bpf.c"), Vec::new()));
    }
    // cargo leaves the headers of libbpf beside the tests.
    let built = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.join("build")));
    let built = built.and_then(|build| fs::read_dir(build).ok()).into_iter().flatten().flatten();
    let libbpf = built.map(|e| e.path().join("out/include")).find(|p| p.join("bpf/bpf_helpers.h").is_file());
    if let (Some(libbpf), Some((clang, ..))) = (libbpf, corpus.last()) {
        let traffic = root.join("crates/traffic/bpf");
        let folders = [libbpf, traffic.clone(), root.join("crates/bpf-build/include")];
        corpus.push((clang, traffic.join("policy.bpf.c"), folders.iter().map(|f| include(f)).collect()));
    }
    corpus
}

#[test]
fn conditions_agree_with_llvm_cov() {
    let clangs: Vec<_> = ["clang-19", "clang-20", "clang-21", "clang-22"].into_iter().filter(|c| runs(c)).collect();
    if clangs.is_empty() || !runs("llvm-cov-19") {
        println!("skipped: needs clang 19 or newer and llvm-cov-19");
        return;
    }
    let home = tempfile::tempdir().expect("a scratch directory");
    for clang in clangs {
        let object = home.path().join("mcdc.covobj");
        compile(clang, &data("constructs.bpf.c"), &object, &["-fcoverage-mcdc", "-mllvm", "-disable-licm-promotion"]);
        let bytes = fs::read(&object).expect("read the object");
        let sidecar = Sidecar::parse(&bytes).expect("a sidecar");
        assert!(sidecar.bitmap_bytes > 0, "bitmaps");
        for seed in 0..20 {
            let mut counters = random_counters(&bytes, &sidecar, seed);
            let mut state = seed + 1;
            for byte in &mut counters.bitmaps {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (state >> 40) as u8 & (state >> 48) as u8;
            }
            let mut builder = Builder::default();
            builder.add(&sidecar, &counters).expect("matching counters");
            let ours = Summary::of(&builder.finish()).conditions;
            let theirs = oracle(home.path(), &object, &proftext(&sidecar, &counters), &["-summary-only"]);
            let theirs: serde_json::Value = serde_json::from_str(&theirs).expect("JSON");
            let theirs = &theirs["data"][0]["totals"]["mcdc"];
            assert_eq!(
                (Some(ours.total), Some(ours.covered)),
                (theirs["count"].as_u64(), theirs["covered"].as_u64()),
                "seed {seed}"
            );
        }
    }
}

#[test]
fn raw_profiles_say_the_same_as_text() {
    let (Some(clang), true) = (CLANGS.iter().find(|c| runs(c)), runs("llvm-profdata-19")) else {
        println!("skipped: needs a clang and llvm-profdata-19");
        return;
    };
    let home = tempfile::tempdir().expect("a scratch directory");
    let object = home.path().join("raw.covobj");
    compile(clang, &data("constructs.bpf.c"), &object, &["-fprofile-update=atomic"]);
    let bytes = fs::read(&object).expect("read the object");
    let sidecar = Sidecar::parse(&bytes).expect("a sidecar");
    let counters = random_counters(&bytes, &sidecar, 3);
    let merged = |name: &str, content: &[u8]| {
        let path = home.path().join(name);
        fs::write(&path, content).expect("write a profile");
        let text =
            Command::new("llvm-profdata-19").args(["merge", "-text", "-o", "-"]).arg(path).output().expect("merge");
        assert!(text.status.success(), "{name}: {}", String::from_utf8_lossy(&text.stderr));
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        let mut functions: Vec<_> = text.split("\n\n").map(|f| f.trim().to_owned()).filter(|f| !f.is_empty()).collect();
        functions.sort();
        functions
    };
    let one = profraw(&sidecar, &counters, RawVersion::of_llvm(19));
    assert_eq!(merged("one.profraw", &one), merged("one.proftext", proftext(&sidecar, &counters).as_bytes()));
    // Several builds follow each other in one file: twice the same is the double.
    let double = proftext(&sidecar, &counters).repeat(2);
    assert_eq!(merged("two.profraw", &one.repeat(2)), merged("two.proftext", double.as_bytes()));
    let sizes = [12, 13, 14, 18, 19].map(|llvm| profraw(&sidecar, &counters, RawVersion::of_llvm(llvm)).len());
    assert!(sizes[0] + 8 == sizes[1] && sizes[1] == sizes[2] && sizes[3] + 16 == sizes[4], "{sizes:?}");
}

/// Counters that an execution could have left: in a function, outer regions (lower numbers) ran more often than all inner
/// ones together, so that no difference is negative; from a random one on, nothing ran.
fn random_counters(object: &[u8], sidecar: &Sidecar, seed: u64) -> Counters {
    let header = split(object, None).expect("a split").header.expect("counters");
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut counters = vec![0; sidecar.counter_bytes / 8];
    for function in &sidecar.functions {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let ran = (state >> 33) as usize % (function.counters + 1);
        for index in 0..ran {
            counters[function.counters_at / 8 + index] = (1 << (2 * (ran - index))) + (state >> 60);
        }
    }
    Counters { build: header.build, counters, bitmaps: vec![0; sidecar.bitmap_bytes], instances: 1 }
}

fn oracle(home: &Path, object: &Path, text: &str, format: &[&str]) -> String {
    let (profile, merged) = (home.join("p.proftext"), home.join("p.profdata"));
    fs::write(&profile, text).expect("write the profile");
    let status = Command::new("llvm-profdata-19").args(["merge", "-o"]).arg(&merged).arg(&profile).status();
    assert!(status.is_ok_and(|s| s.success()), "llvm-profdata reads the profile:\n{text}");
    let export = Command::new("llvm-cov-19")
        .arg("export")
        .args(format)
        .arg("-instr-profile")
        .arg(&merged)
        .arg(object)
        .output()
        .expect("run llvm-cov");
    String::from_utf8_lossy(&export.stdout).into_owned()
}

/// All records with the file they belong to, in a comparable order. Derived counts that would be negative print as huge
/// numbers in llvm-cov; they are 0 here. Counts of branches keep 32 bits there,
/// and those of one line are numbered in no certain order.
fn records(lcov: &str) -> Vec<String> {
    let mut file = String::new();
    let mut found = Vec::new();
    for line in lcov.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file = path.to_owned();
        }
        found.push(format!("{file} {}", clamp(line)));
    }
    found.sort();
    found
}

fn clamp(line: &str) -> String {
    let (kind, rest) = line.split_once(':').unwrap_or_default();
    let fields = rest.split(',').enumerate().map(|(index, field)| match (kind, index, field.parse::<u64>()) {
        ("BRDA", 1, _) => "pair".to_owned(),
        ("BRDA", 2, Ok(side)) => (side % 2).to_string(),
        ("BRDA", 3, Ok(count)) => (count & u64::from(u32::MAX)).to_string(),
        (_, _, Ok(count)) if count > u64::MAX / 2 => "0".to_owned(),
        _ => field.to_owned(),
    });
    format!("{kind}:{}", fields.collect::<Vec<_>>().join(","))
}
