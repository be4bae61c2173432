//! Embeds the shipped rules: every `rules/*.yaml` of the workspace comes in, a table of name and text goes out, so that
//! the program watches something useful without any file installed. Tests beside the rules stay outside.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    println!("cargo:rerun-if-changed={}", directory.display());
    let mut files: Vec<PathBuf> = std::fs::read_dir(&directory)
        .map(|entries| entries.flatten().map(|entry| entry.path()).filter(|path| is_rules_file(path)).collect())
        .unwrap_or_default();
    files.sort();
    let mut table = String::from("/// Name and text of every shipped rules file, in load order.\n");
    table.push_str("pub static FILES: &[(&str, &str)] = &[\n");
    for file in &files {
        println!("cargo:rerun-if-changed={}", file.display());
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let path = file.canonicalize().unwrap_or_else(|_| file.clone());
        let _ = writeln!(table, "    ({name:?}, include_str!({path:?})),");
    }
    table.push_str("];\n");
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default().join("shipped_rules.rs");
    if let Err(error) = std::fs::write(&out, table) {
        println!("cargo::error=shipped rules `{}`: {error}", out.display());
    }
}

fn is_rules_file(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "yaml")
}
