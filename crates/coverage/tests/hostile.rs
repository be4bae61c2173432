//! Bytes from outside never panic, hang or grow without bound: real objects with bytes changed or cut off, through splitting,
//! reading, counting and every renderer; profiles and map values of any content. Objects need a clang; without one only
//! the rest is tested.

#![allow(clippy::print_stdout)] // a test says why it skips

mod support;

use coverage::layout::Header;
use coverage::profile::{Counters, Profile, RawVersion, profraw, proftext, sealed};
use coverage::report::summary::Summary;
use coverage::report::{Builder, cobertura, html, json, lcov, text};
use coverage::sidecar::Sidecar;
use coverage::split::split;
use object::{Object, ObjectSection};
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use support::{CLANGS, compile, data, runs};

/// Objects of the oldest and the newest clang, the latter with bitmaps where it can.
fn objects() -> &'static [Vec<u8>] {
    static OBJECTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    OBJECTS.get_or_init(|| {
        let home = tempfile::tempdir().expect("a scratch directory");
        let present: Vec<_> = CLANGS.iter().copied().filter(|c| runs(c)).collect();
        let chosen = present.first().into_iter().chain(present.last().filter(|_| present.len() > 1));
        let compiled = chosen.map(|clang| {
            let object = home.path().join("object.covobj");
            let recent = clang.rsplit('-').next().and_then(|v| v.parse().ok()).unwrap_or(0) >= 18;
            let flags = if recent { "-fcoverage-mcdc" } else { "-fprofile-update=atomic" };
            compile(clang, &data("constructs.bpf.c"), &object, &[flags]);
            fs::read(object).expect("an object")
        });
        compiled.collect()
    })
}

/// Everything that is ever done with a sidecar.
fn use_up(bytes: &[u8]) {
    let _ = split(bytes, None);
    let _ = split(bytes, Some(".data"));
    let Ok(sidecar) = Sidecar::parse(bytes) else { return };
    // Sizes in a damaged object may claim anything; no counters are as good as many.
    let size = sidecar.counter_bytes.min(1 << 16);
    let counters = Counters {
        build: sidecar.build,
        counters: vec![3; size / 8],
        bitmaps: vec![0x5a; sidecar.bitmap_bytes.min(4096)],
        instances: 1,
    };
    let _ = proftext(&sidecar, &counters);
    let _ = profraw(&sidecar, &counters, RawVersion::V10);
    let mut builder = Builder::default();
    if builder.add(&sidecar, &counters).is_err() {
        return;
    }
    let report = builder.finish();
    let _ = (
        Summary::of(&report),
        text::table(&report),
        lcov::render(&report),
        json::render(&report),
        cobertura::render(&report, 0),
    );
    let lines = report.files.values().filter_map(|f| f.lines.keys().next_back().copied()).max().unwrap_or(0);
    if lines < 10_000 {
        let _ = html::render(&report, "hostile", &|_| Some("int a;\n\u{e9}\u{e9}\tb;\n".repeat(20)));
        let _ = html::render(&report, "hostile", &|_| None);
    }
}

/// Where the bytes lie that only coverage reads.
fn coverage_bytes(bytes: &[u8]) -> Vec<usize> {
    let file = object::File::parse(bytes).expect("an object");
    let ours = file.sections().filter(|s| s.name().is_ok_and(|n| n.contains("__llvm_")));
    ours.filter_map(|s| s.file_range()).flat_map(|(at, size)| at as usize..(at + size) as usize).collect()
}

/// The bytes that the fuzz targets start from, and those that they found to go new ways, in every `make test`.
#[test]
fn what_fuzzing_starts_from_and_found_is_read_or_refused() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/coverage");
    let (mut read, mut refused) = (0, 0);
    for path in fs::read_dir(seeds).expect("the seeds").flatten().map(|entry| entry.path()) {
        let bytes = fs::read(&path).expect("a file");
        use_up(&bytes);
        let _ = Counters::from_map_value(&bytes);
        let usable = Sidecar::parse(&bytes).is_ok() || Profile::decode(&bytes).is_ok();
        let _ = Profile::decode(&sealed(bytes));
        *(if usable { &mut read } else { &mut refused }) += 1;
    }
    assert!(read >= 4 && refused >= 4, "{read} read, {refused} refused");
}

/// Found by fuzzing: padding of such sections was asked for from the allocator, which ends the process; 0 means 1.
#[test]
fn sections_aligned_beyond_memory_are_refused() {
    for object in objects() {
        let table = u64::from_le_bytes(object[40..48].try_into().expect("8 bytes")) as usize;
        let rows = usize::from(u16::from_le_bytes([object[60], object[61]]));
        for row in 1..rows {
            for (alignment, refused) in [(1u64 << 57, true), (3, true), (0, false)] {
                let mut bytes = object.clone();
                bytes[table + row * 64 + 48..table + row * 64 + 56].copy_from_slice(&alignment.to_le_bytes());
                assert_eq!(split(&bytes, None).is_err(), refused, "section {row} aligned to {alignment}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn objects_with_changed_bytes(changes in proptest::collection::vec((any::<u32>(), any::<u8>()), 1..24), which in any::<usize>()) {
        let Some(object) = objects().get(which % objects().len().max(1)) else { return Ok(()) };
        let mut bytes = object.clone();
        for (at, value) in changes {
            let at = at as usize % bytes.len();
            bytes[at] = value;
        }
        use_up(&bytes);
    }

    #[test]
    fn coverage_sections_with_changed_bytes(changes in proptest::collection::vec((any::<u32>(), any::<u8>()), 1..8), which in any::<usize>()) {
        let Some(object) = objects().get(which % objects().len().max(1)) else { return Ok(()) };
        let places = coverage_bytes(object);
        let mut bytes = object.clone();
        for (at, value) in changes {
            bytes[places[at as usize % places.len()]] = value;
        }
        use_up(&bytes);
    }

    #[test]
    fn objects_cut_short(keep in any::<u32>(), which in any::<usize>()) {
        let Some(object) = objects().get(which % objects().len().max(1)) else { return Ok(()) };
        use_up(&object[..keep as usize % object.len()]);
    }

    #[test]
    fn section_tables_with_changed_numbers(row in 0usize..80, field in 0usize..8, value in any::<u64>(), which in any::<usize>()) {
        let Some(object) = objects().get(which % objects().len().max(1)) else { return Ok(()) };
        let mut bytes = object.clone();
        let table = u64::from_le_bytes(bytes[40..48].try_into().expect("8 bytes")) as usize;
        let at = table + row * 64 + field * 8;
        if let Some(place) = bytes.get_mut(at..at + 8) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        use_up(&bytes);
    }

    #[test]
    fn profiles_of_any_content(bytes in proptest::collection::vec(any::<u8>(), 0..400), magic in any::<bool>()) {
        let head: &[u8] = if magic { b"HBPROF\x00\x02" } else { b"" };
        let _ = Profile::decode(&[head, &bytes].concat());
        let _ = Profile::decode(&sealed([head, &bytes].concat()));
        let _ = Header::decode(&bytes);
        let _ = Counters::from_map_value(&[b"HBCOVER\x01", &bytes[..]].concat());
    }

    #[test]
    fn profiles_come_back_as_they_were(counters in proptest::collection::vec(any::<u64>(), 0..40), bitmaps in proptest::collection::vec(any::<u8>(), 0..20), instances in 1u64..9) {
        let build = coverage::layout::BuildId::of(b"some sidecar");
        let mut profile = Profile::default();
        profile.add(&Counters { build, counters, bitmaps, instances }).expect("a first build");
        prop_assert_eq!(Profile::decode(&profile.encode()).expect("what was written"), profile);
    }
}
