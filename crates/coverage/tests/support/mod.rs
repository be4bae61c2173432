//! What the tests share: compilers, test sources, and whether this machine lets us load programs.

#![allow(dead_code)] // each test uses its part

use std::path::{Path, PathBuf};
use std::process::Command;

pub const CLANGS: &[&str] = &[
    "clang-13", "clang-14", "clang-15", "clang-16", "clang-17", "clang-18", "clang-19", "clang-20", "clang-21",
    "clang-22",
];

pub fn runs(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok_and(|o| o.status.success())
}

pub fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

/// Compiles for eBPF with coverage.
pub fn compile(clang: &str, source: &Path, object: &Path, flags: &[&str]) {
    let status = Command::new(clang)
        .args(["-target", "bpf-unknown-linux-gnu", "-O2", "-g", "-mcpu=v3"])
        .args(["-fprofile-instr-generate", "-fcoverage-mapping"])
        .args(flags)
        .args([Path::new("-c"), source, Path::new("-o"), object])
        .status();
    assert!(status.is_ok_and(|s| s.success()), "{clang} compiles {}", source.display());
}

/// Says why not.
pub fn may_load() -> bool {
    let made = load::Map::create(load::MapType::Array, "try", 4, 8, 1);
    if let Err(error) = &made {
        assert!(std::env::var_os("HAWKBELL_REQUIRE_ROOT").is_none(), "{error}");
        println!("skipped: {error}");
    }
    made.is_ok()
}
