//! `cover split | merge | export`: files to files.

use super::sidecars::{Sidecars, remember};
use super::{DEFAULT_PROFILE, report};
use crate::exit::{Exit, Failure, Outcome};
use anyhow::Context;
use clap::{Args, ValueEnum};
use coverage::profile::{Profile, proftext};
use std::fs;
use std::path::PathBuf;

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
    /// Which format
    #[arg(long, value_enum, default_value_t = Format::Proftext)]
    to: Format,
    /// Sidecars, or directories with sidecars
    #[arg(long, value_name = "FILE|DIR")]
    object: Vec<PathBuf>,
    /// Where it goes
    #[arg(short, long, value_name = "FILE", default_value = "hawkbell.proftext")]
    output: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Text, which every version of llvm-profdata reads
    Proftext,
}

pub fn export(args: &Export) -> Outcome {
    let profile = read_profiles(&args.profiles)?;
    let sidecars = Sidecars::search(&args.object)?;
    let mut text = String::new();
    for counters in profile.builds.values() {
        let (_, sidecar) = report::explained(&sidecars, counters.build)?;
        match args.to {
            Format::Proftext => text += &proftext(&sidecar, counters),
        }
    }
    fs::write(&args.output, text).with_context(|| format!("profile `{}`", args.output.display()))?;
    Ok(Exit::OK)
}
