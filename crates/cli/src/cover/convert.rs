//! `cover split | merge | export`: files to files.

use super::sidecars::{Sidecars, remember};
use super::{DEFAULT_PROFILE, report};
use crate::exit::{Exit, Failure, Outcome};
use anyhow::Context;
use clap::{Args, ValueEnum};
use coverage::profile::{Profile, RawVersion, profraw, proftext};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Args)]
pub struct Split {
    /// Object compiled with -fprofile-instr-generate -fcoverage-mapping -fprofile-update=atomic
    #[arg(value_name = "OBJECT")]
    input: PathBuf,
    /// Where the loadable object goes
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Name of the counter section, for loaders that know only `.data`
    #[arg(long, value_name = "NAME")]
    section: Option<String>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

pub fn split(args: &Split) -> Outcome {
    let bytes = fs::read(&args.input).with_context(|| format!("object `{}`", args.input.display()))?;
    let split = coverage::split::split(&bytes, args.section.as_deref())
        .with_context(|| format!("object `{}`", args.input.display()))?;
    fs::write(&args.output, &split.object).with_context(|| format!("object `{}`", args.output.display()))?;
    remember(split.build, &args.input);
    let counters = split.header.map_or(0, |h| h.counter_bytes / 8);
    let line = if args.json {
        serde_json::json!({"object": args.output, "sidecar": args.input, "tag": split.build.tag(), "counters": counters,
            "references": split.references})
        .to_string()
    } else if counters == 0 {
        format!("{}: no counters; metadata that loaders refuse was removed", args.output.display())
    } else {
        format!("{}: {counters} counters, tag {}", args.output.display(), split.build.tag())
    };
    report::print(&format!("{line}\n"))?;
    Ok(Exit::OK)
}

#[derive(Args)]
pub struct Merge {
    /// Profiles to add up
    #[arg(required = true, value_name = "PROFILE")]
    profiles: Vec<PathBuf>,
    /// Where the sum goes
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_PROFILE)]
    output: PathBuf,
}

pub fn merge(args: &Merge) -> Outcome {
    let profile = read_profiles(&args.profiles)?;
    fs::write(&args.output, profile.encode()).with_context(|| format!("profile `{}`", args.output.display()))?;
    Ok(Exit::OK)
}

/// Reads and adds up profile files.
pub fn read_profiles(paths: &[PathBuf]) -> Result<Profile, Failure> {
    let mut sum = Profile::default();
    for path in paths {
        let bytes = fs::read(path).with_context(|| format!("profile `{}`", path.display()))?;
        let profile = Profile::decode(&bytes).with_context(|| format!("profile `{}`", path.display()))?;
        sum.merge(&profile).with_context(|| format!("profile `{}`", path.display()))?;
    }
    Ok(sum)
}

#[derive(Args)]
pub struct Export {
    /// Profiles to write
    #[arg(value_name = "PROFILE", default_value = DEFAULT_PROFILE)]
    profiles: Vec<PathBuf>,
    /// Which format: proftext unless said, profraw for `gen`
    #[arg(long, value_enum)]
    to: Option<Format>,
    /// The LLVM release that shall read a raw profile, unless it is the one that `llvm-profdata` belongs to
    #[arg(long, value_name = "N")]
    llvm: Option<u32>,
    /// Sidecars, or directories with sidecars
    #[arg(long, value_name = "FILE|DIR")]
    object: Vec<PathBuf>,
    /// Where it goes; `hawkbell.FORMAT` unless said
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// Text, which every version of llvm-profdata reads
    Proftext,
    /// What the profile runtime writes; each LLVM release reads only its own version
    Profraw,
    /// Indexed, for llvm-cov; made by the llvm-profdata on the PATH
    Profdata,
}

/// Writes a profile in the format asked for.
pub fn export(args: &Export, unless_said: Format) -> Outcome {
    let profile = read_profiles(&args.profiles)?;
    let output = |extension| args.output.clone().unwrap_or_else(|| Path::new("hawkbell").with_extension(extension));
    match args.to.unwrap_or(unless_said) {
        Format::Proftext => write(&output("proftext"), text(&profile, &args.object)?.as_bytes())?,
        Format::Profraw => write_profraw(&profile, &args.object, args.llvm, &output("profraw"))?,
        Format::Profdata => write_profdata(&text(&profile, &args.object)?, args.llvm, &output("profdata"))?,
    }
    Ok(Exit::OK)
}

fn text(profile: &Profile, objects: &[PathBuf]) -> Result<String, Failure> {
    let sidecars = Sidecars::search(objects)?;
    let mut text = String::new();
    for counters in profile.builds.values() {
        text += &proftext(&sidecars.find(counters.build)?.1, counters);
    }
    Ok(text)
}

/// Writes raw profiles of all builds one after the other, in the version that release `llvm` reads, or else the
/// llvm-profdata on the PATH, or else the newest.
pub fn write_profraw(profile: &Profile, objects: &[PathBuf], llvm: Option<u32>, path: &Path) -> Result<(), Failure> {
    let sidecars = Sidecars::search(objects)?;
    let version = RawVersion::of_llvm(llvm.or_else(|| major_of("llvm-profdata")).unwrap_or(u32::MAX));
    let mut bytes = Vec::new();
    for counters in profile.builds.values() {
        bytes.extend(profraw(&sidecars.find(counters.build)?.1, counters, version));
    }
    write(path, &bytes)
}

fn write_profdata(text: &str, llvm: Option<u32>, path: &Path) -> Result<(), Failure> {
    let versions = (FIRST_LLVM..=NEWEST_LLVM).rev().map(|v| format!("llvm-profdata-{v}"));
    let named = llvm.map(|v| format!("llvm-profdata-{v}"));
    let candidates = named.into_iter().chain(["llvm-profdata".to_owned()]).chain(versions.filter(|_| llvm.is_none()));
    let tool = candidates.into_iter().find(|tool| major_of(tool).is_some()).ok_or_else(|| {
        Failure::message("llvm-profdata: not found on the PATH")
            .help("install llvm, or export proftext, which it reads later")
    })?;
    let between = path.with_extension("proftext.tmp");
    write(&between, text.as_bytes())?;
    let merged = Command::new(&tool).args(["merge", "-sparse", "-o"]).arg(path).arg(&between).output();
    let _ = fs::remove_file(&between);
    let merged = merged.with_context(|| format!("run `{tool}`"))?;
    if merged.status.success() {
        return Ok(());
    }
    Err(Failure::message(format!("{tool}: {}", String::from_utf8_lossy(&merged.stderr).trim())))
}

/// `LLVM version 19.1.7` of an LLVM tool; `None` when it is not there.
fn major_of(tool: &str) -> Option<u32> {
    let output = Command::new(tool).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split("version ").nth(1)?.split('.').next()?.parse().ok()
}

/// The directory of a file, where sidecars may lie.
pub fn beside(path: &Path) -> Vec<PathBuf> {
    path.parent().map(|p| if p.as_os_str().is_empty() { ".".into() } else { p.to_owned() }).into_iter().collect()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).with_context(|| format!("profile `{}`", path.display()))?;
    Ok(())
}

const FIRST_LLVM: u32 = 13;
const NEWEST_LLVM: u32 = 22;
