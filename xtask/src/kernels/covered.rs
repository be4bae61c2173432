//! What a guest needs to measure coverage of programs that need a trampoline: an instrumented object, its sidecar, and a loader
//! that attaches its programs and makes the kernel call them. Built on this machine, the object with `hawkbell cover cc`.

use crate::cpio::Archive;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Adds all of it below `cover/`.
pub fn add(archive: &mut Archive, hawkbell: &Path, scratch: &Path) -> Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernels/trampolines.bpf.c");
    let object = scratch.join("trampolines.bpf.o");
    let built = Command::new(hawkbell)
        .args(["cover", "cc", "-O2", "-g", "-target", "bpf", "-c"])
        .args([source.as_path(), Path::new("-o"), &object])
        .env("XDG_STATE_HOME", scratch)
        .status()
        .context("start hawkbell")?;
    ensure!(built.success(), "the covered programs do not build");
    archive.directory("cover");
    for file in [object.clone(), object.with_extension("covobj")] {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        archive.file(&format!("cover/{name}"), 0o644, &fs::read(&file)?);
    }
    let loader = hawkbell.with_file_name("examples/attach");
    archive.file("cover/attach", 0o755, &fs::read(&loader)?);
    for library in super::libraries(&loader)? {
        archive.file(library.trim_start_matches('/'), 0o755, &fs::read(&library)?);
    }
    Ok(())
}
