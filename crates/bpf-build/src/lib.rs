//! Compiles BPF C while cargo builds a crate: finds clang, compiles with BTF and a dependency file, strips DWARF when
//! llvm-strip is there, and writes an 8-byte aligned embedding expression next to the object.
//! Comes in: a `.bpf.c` file. Goes out: `$OUT_DIR/STEM.bpf.o` and `$OUT_DIR/STEM.bpf.rs` for
//! `static OBJECT: &[u8] = include!(concat!(env!("OUT_DIR"), "/STEM.bpf.rs"));`
//! Must never happen here: a look at the running kernel, a download, an object that depends on where it was built.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)] // a build script speaks to cargo on standard output

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

/// One BPF object to compile from the build script of the crate that embeds it.
#[derive(Debug)]
pub struct Object {
    source: PathBuf,
    flags: Vec<OsString>,
}

impl Object {
    /// `source` is relative to the crate's folder: `bpf/filter.bpf.c`.
    pub fn new(source: impl Into<PathBuf>) -> Object {
        Object { source: source.into(), flags: Vec::new() }
    }

    /// Adds a folder for `#include`, relative to the crate's folder or absolute.
    #[must_use]
    pub fn include(mut self, folder: impl AsRef<Path>) -> Object {
        self.flags.push("-I".into());
        self.flags.push(folder.as_ref().into());
        self
    }

    /// Adds any other flag for clang.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<OsString>) -> Object {
        self.flags.push(flag.into());
        self
    }

    /// Compiles. A failure is told to cargo (`cargo::error=`) and comes back as a failing exit code for `main`.
    pub fn build(self) -> ExitCode {
        match self.compile() {
            Ok(()) => ExitCode::SUCCESS,
            Err(lines) => {
                lines.lines().for_each(|line| println!("cargo::error={line}"));
                ExitCode::FAILURE
            }
        }
    }

    fn compile(&self) -> Result<(), String> {
        let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR for build scripts only")?);
        let file = self.source.file_name().ok_or("the source has no file name")?;
        let object = out.join(Path::new(file).with_extension("o"));
        let clang = find_clang()?;
        self.run_clang(&clang, &object)?;
        strip(&clang, &object);
        tell_dependencies(&object.with_extension("d"));
        let embedding = embed(&object)?;
        let path = object.with_extension("rs");
        fs::write(&path, embedding).map_err(|e| format!("write `{}`: {e}", path.display()))
    }

    fn run_clang(&self, clang: &OsStr, object: &Path) -> Result<(), String> {
        let measured = env::var_os(COVERAGE).filter(|hawkbell| !hawkbell.is_empty());
        let mut command = compiler(clang, measured.as_deref());
        command.args(FLAGS).arg("-I").arg(INCLUDE);
        if let Some(libbpf) = env::var_os("DEP_HAWKBELL_LOAD_INCLUDE") {
            command.arg("-isystem").arg(libbpf);
        }
        // Coverage reports look for the sources where they are.
        let folders = [(env::var_os("CARGO_MANIFEST_DIR"), "."), (Some(INCLUDE.into()), "include")];
        for (folder, name) in folders.into_iter().filter(|_| measured.is_none()) {
            let mut map = OsString::from("-ffile-prefix-map=");
            map.push(folder.unwrap_or_default());
            map.push(format!("={name}"));
            command.arg(map);
        }
        command.args(&self.flags).arg("-MD").arg("-MF").arg(object.with_extension("d"));
        let output = command.arg("-c").arg(&self.source).arg("-o").arg(object).output();
        let output = output.map_err(|e| format!("run `{}`: {e}", clang.to_string_lossy()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("compile `{}`:\n{said}", self.source.display()));
        }
        said.lines().for_each(|line| println!("cargo::warning={line}"));
        Ok(())
    }
}

/// Folder with `kernel.h` and `common.h`, on the include path of every object.
pub fn include_folder() -> &'static Path {
    Path::new(INCLUDE)
}

/// clang, or for `make coverage` the coverage compiler of the `hawkbell` that the environment names, which runs that clang.
fn compiler(clang: &OsStr, measured: Option<&OsStr>) -> Command {
    println!("cargo::rerun-if-env-changed={COVERAGE}");
    let Some(hawkbell) = measured else { return Command::new(clang) };
    let mut command = Command::new(hawkbell);
    command.args(["cover", "cc", "--"]).env("HAWKBELL_CLANG", clang);
    command
}

/// The first clang that can compile for BPF: `$BPF_CLANG`, `clang`, then versions from new to old.
fn find_clang() -> Result<OsString, String> {
    println!("cargo::rerun-if-env-changed=BPF_CLANG");
    println!("cargo::rerun-if-env-changed=PATH");
    let wished = env::var_os("BPF_CLANG").filter(|c| !c.is_empty());
    let candidates: Vec<OsString> = match wished {
        Some(clang) => vec![clang],
        None => std::iter::once("clang".into()).chain((13..=22).rev().map(|v| format!("clang-{v}").into())).collect(),
    };
    candidates.into_iter().find(|c| targets_bpf(c)).ok_or_else(|| NO_CLANG.to_owned())
}

fn targets_bpf(clang: &OsStr) -> bool {
    let output = Command::new(clang).arg("--print-targets").output();
    output.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains("bpfel"))
}

/// DWARF is five sixths of an object and nobody reads it from here; BTF stays. Without llvm-strip the object is larger.
fn strip(clang: &OsStr, object: &Path) {
    let clang = PathBuf::from(clang);
    let name = clang.file_name().unwrap_or_default().to_string_lossy().replace("clang", "llvm-strip");
    let beside = clang.with_file_name(&name);
    for tool in [beside.as_os_str(), OsStr::new("llvm-strip"), OsStr::new("llvm-strip-14")] {
        if Command::new(tool).arg("-g").arg(object).output().is_ok_and(|o| o.status.success()) {
            return;
        }
    }
}

/// Repeats what clang read (a Makefile rule) to cargo. What the build script itself wrote is left out: it is always newer
/// than the start of the build, and cargo would build anew each time.
fn tell_dependencies(depfile: &Path) {
    let out = env::var("OUT_DIR").unwrap_or_default();
    let text = fs::read_to_string(depfile).unwrap_or_default().replace("\\\n", " ");
    let (_, inputs) = text.split_once(": ").unwrap_or_default();
    let sources = inputs.split_whitespace().filter(|input| out.is_empty() || !Path::new(input).starts_with(&out));
    sources.for_each(|input| println!("cargo::rerun-if-changed={input}"));
}

/// Object parsers refuse bytes that are not 8-byte aligned, and `include_bytes!` promises no alignment.
fn embed(object: &Path) -> Result<String, String> {
    let bytes = fs::metadata(object).map_err(|e| format!("read `{}`: {e}", object.display()))?.len();
    Ok(format!(
        "{{ #[repr(C, align(8))] struct Aligned([u8; {bytes}]); static OBJECT: Aligned = Aligned(*include_bytes!({object:?})); &OBJECT.0 }}\n"
    ))
}

/// Names the `hawkbell` whose `cover cc` compiles instead of clang; sidecars go where HAWKBELL_COVER_DIR says.
const COVERAGE: &str = "HAWKBELL_BPF_COVERAGE";

const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/include");

/// `-mcpu=v3` (32-bit jumps and arithmetic) needs kernel 5.1; ring buffers need 5.8 anyway.
const FLAGS: &[&str] = &[
    "-target",
    "bpf",
    "-mcpu=v3",
    "-g",
    "-O2",
    "-std=gnu11",
    "-nostdinc",
    "-Wall",
    "-Werror",
    "-Wno-unused-function",
    "-Wno-missing-declarations",
    "-Wno-compare-distinct-pointer-types",
    "-fno-addrsig",
    "-fno-stack-protector",
];

const NO_CLANG: &str = "no clang that can compile for BPF was found\n\
    install it: `apt install clang`, `dnf install clang` or `apk add clang` (13 or newer)\n\
    or name one in the environment: BPF_CLANG=/path/to/clang";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_without_bpf_is_not_taken() {
        assert!(!targets_bpf(OsStr::new("/bin/true")));
        assert!(!targets_bpf(OsStr::new("/no/such/clang")));
    }

    #[test]
    fn the_embedding_names_size_and_file() {
        let folder = env::temp_dir().join(format!("bpf-build-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let object = folder.join("a.bpf.o");
        fs::write(&object, [1, 2, 3]).expect("a file");
        let text = embed(&object).expect("an embedding");
        fs::remove_dir_all(&folder).expect("clean up");
        assert!(text.contains("[u8; 3]") && text.contains("align(8)") && text.contains("a.bpf.o"), "{text}");
    }
}
