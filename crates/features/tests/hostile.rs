//! Bytes from anywhere never panic: truncated and mutated objects and BTF, on top of the sample corpus when it is present.

#![allow(clippy::print_stdout, reason = "says what was skipped or answered")]

use elf::Spec;
use elf::btf::{Btf, Kind};
use proptest::prelude::*;
use std::path::PathBuf;

fn samples() -> Vec<Vec<u8>> {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/elf"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "o"));
    files.sort();
    let mut all: Vec<Vec<u8>> = files.iter().filter_map(|path| std::fs::read(path).ok()).collect();
    if all.is_empty() {
        println!("no corpus here: only made-up bytes are tried");
        all.push(b"\x7fELF\x02\x01\x01".to_vec());
    }
    all
}

/// Walks everything that a parsed object offers.
fn walk(bytes: &[u8]) {
    let Ok(spec) = Spec::parse(bytes) else { return };
    let _ = (spec.program_types(), spec.map_types(), spec.helpers(), features::object::derived(&spec));
    for program in &spec.programs {
        let _ = spec.source_line(program, u32::MAX);
    }
    if let Some(btf) = &spec.btf {
        walk_btf(btf);
        let accesses: Vec<_> = spec.programs.iter().flat_map(|p| p.accesses.iter().copied()).collect();
        let names = elf::core_relo::names(btf, &accesses);
        let candidates = elf::core_relo::Candidates::find(btf, &names);
        for access in &accesses {
            let _ = elf::core_relo::resolve(btf, btf, &candidates, access);
        }
    }
}

fn walk_btf(btf: &Btf<'_>) {
    for id in btf.ids() {
        let Some(ty) = btf.get(id) else { continue };
        let _ =
            (btf.name(&ty), btf.size_of(id), btf.skip_modifiers(id), ty.members().count(), ty.enumerators().count());
        let _ = (ty.params().count(), ty.placed().count(), ty.array(), ty.linkage(), ty.int_bits(), ty.tag_component());
    }
    let _ = btf.find(Kind::Func, "nothing");
}

#[test]
fn every_truncation_is_an_error_or_an_answer() {
    for sample in samples() {
        for end in (0..sample.len()).step_by(7) {
            walk(&sample[..end]);
        }
    }
}

/// Files of a directory of kept fuzz inputs.
fn kept(target: &str) -> Vec<Vec<u8>> {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds")).join(target);
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn what_fuzzing_found_worth_keeping_is_walked() {
    let (objects, types) = (kept("elf_spec"), kept("btf_types"));
    assert!(objects.len() >= 20 && types.len() >= 20);
    objects.iter().for_each(|bytes| walk(bytes));
    let understood = types.iter().filter_map(|bytes| Btf::parse(bytes).ok()).map(|btf| walk_btf(&btf)).count();
    assert!(understood > 0 && objects.iter().any(|bytes| Spec::parse(bytes).is_ok()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_objects_never_panic(which in any::<prop::sample::Index>(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24)) {
        let samples = samples();
        let mut bytes = which.get(&samples).clone();
        if !bytes.is_empty() {
            for (place, value) in edits {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            walk(&bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        walk(&bytes);
        let mut btf = vec![0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0];
        btf.extend((bytes.len() as u32 / 2).to_le_bytes());
        btf.extend((bytes.len() as u32 / 2).to_le_bytes());
        btf.extend((bytes.len() as u32 / 2).to_le_bytes());
        btf.extend(&bytes);
        if let Ok(btf) = Btf::parse(&btf) {
            walk_btf(&btf);
        }
    }
}
