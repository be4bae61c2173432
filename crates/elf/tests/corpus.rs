//! The requirements of the sample objects against the reference's answers, apart from the answers known to be wrong.
//! Reads the shared corpus when it is present and says so when it is not.

#![allow(clippy::print_stdout, reason = "says what was skipped or answered")]

use elf::{Spec, uapi};
use std::path::PathBuf;

#[test]
fn requirements_are_the_references_or_better() {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/elf"));
    let Ok(expected) = std::fs::read_to_string(dir.join("expected.jsonl")) else {
        println!("skipped: no corpus at {}", dir.display());
        return;
    };
    let mut seen = 0;
    for line in expected.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let file = row["file"].as_str().unwrap();
        let Ok(bytes) = std::fs::read(dir.join(file)) else { continue };
        let got = Spec::parse(&bytes).map(|spec| requirements(&spec)).map_err(|e| e.to_string());
        match better(file) {
            Some(ours) => assert_eq!(got.as_deref(), Ok(ours.as_slice()), "{file}"),
            None => compare(file, &row, &got),
        }
        seen += 1;
    }
    assert!(seen >= 31, "only {seen} objects found");
}

/// Where the reference is wrong: `numa_node` is a valid member; the inner map's type is needed too.
fn better(file: &str) -> Option<Vec<String>> {
    let rows: &[&str] = match file {
        "extrafield.o" => &["prog:6:XDP", "map:1:Hash"],
        "mapinmap_anon.o" => &["prog:6:XDP", "map:11:LPMTrie", "map:13:HashOfMaps", "helper:6:1:FnMapLookupElem"],
        _ => return None,
    };
    Some(rows.iter().map(ToString::to_string).collect())
}

fn compare(file: &str, row: &serde_json::Value, got: &Result<Vec<String>, String>) {
    match (row["error"].as_str(), got) {
        (None, Ok(got)) => {
            let want: Vec<&str> = row["reqs"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
            assert_eq!(got, &want, "{file}");
        }
        (Some(want), Err(got)) => {
            let cause = [
                "unknown helper 9999",
                "unknown map type 999",
                "missing BTF",
                "unsupported/unspecified program type",
                "unsupported/unspecified map type",
                "erroneous static qualifier",
            ];
            if let Some(cause) = cause.iter().find(|cause| want.contains(**cause)) {
                assert!(got.contains(cause), "{file}: {got}");
            }
        }
        (want, got) => panic!("{file}: reference says {want:?}, here {got:?}"),
    }
}

fn requirements(spec: &Spec<'_>) -> Vec<String> {
    let programs =
        spec.program_types().into_iter().map(|id| format!("prog:{id}:{}", uapi::program_type(id).unwrap().title));
    let maps = spec.map_types().into_iter().map(|id| format!("map:{id}:{}", uapi::map_type(id).unwrap().title));
    let helpers = spec
        .helpers()
        .into_iter()
        .map(|(p, h)| format!("helper:{p}:{h}:{}", uapi::go_name(uapi::helper(h).unwrap().0)));
    programs.chain(maps).chain(helpers).collect()
}
