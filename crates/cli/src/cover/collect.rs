//! `cover run | collect | ls`: counters out of the kernel into a profile file.

use super::{DEFAULT_PROFILE, report};
use crate::exit::{Exit, Failure, Outcome};
use anyhow::Context;
use clap::Args;
use coverage::collect as live;
use coverage::profile::Profile;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

#[derive(Args)]
pub struct Run {
    /// Where the counters go; an existing profile of the same name is added to with --append
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_PROFILE)]
    output: PathBuf,
    /// Add to the profile that is there
    #[arg(long)]
    append: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub fn run(args: &Run) -> Outcome {
    let Some((program, rest)) = args.command.split_first() else { return Err(Failure::message("no command given")) };
    let held = coverage::hold::run(Command::new(program).args(rest)).map_err(|e| {
        let text = sys::errno::of(&e);
        Failure::message(format!("run `{}`: {text}", program.to_string_lossy())).help(
            "holding counters needs Linux 5.14; on older kernels use `hawkbell cover collect` while the programs run",
        )
    })?;
    if let Some(reason) = &held.last_miss {
        warn(&format!(
            "{} maps could not be held ({reason}): their counters are missing if the loader has ended",
            held.missed
        ));
    }
    if held.profile.builds.is_empty() {
        warn("nothing that was loaded has coverage counters: build it with `hawkbell cover cc`");
    }
    save(&held.profile, &args.output, args.append)?;
    let status = held.status;
    let code = status.code().unwrap_or_else(|| SIGNAL_BASE + status.signal().unwrap_or(0));
    Ok(Exit(u8::try_from(code).unwrap_or(1)))
}

#[derive(Args)]
pub struct Collect {
    /// Where the counters go
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_PROFILE)]
    output: PathBuf,
    /// Add to the profile that is there
    #[arg(long)]
    append: bool,
    /// Set the counters to zero after reading them
    #[arg(long)]
    reset: bool,
    /// Only this map
    #[arg(long, value_name = "ID")]
    map: Vec<u32>,
    /// Print the figures again and again, this many seconds apart
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    watch: Option<u64>,
}

pub fn collect(args: &Collect) -> Outcome {
    loop {
        let found = found(&args.map)?;
        let profile = live::sum(&found)?;
        save(&profile, &args.output, args.append)?;
        if args.reset {
            for one in &found {
                live::reset(&one.map)?;
            }
        }
        let hit: usize = profile.builds.values().map(|c| c.counters.iter().filter(|n| **n > 0).count()).sum();
        let all: usize = profile.builds.values().map(|c| c.counters.len()).sum();
        report::print(&format!(
            "{} maps of {} builds, {hit} of {all} counters hit\n",
            found.len(),
            profile.builds.len()
        ))?;
        match args.watch {
            Some(seconds) => std::thread::sleep(Duration::from_secs(seconds.max(1))),
            None => return Ok(Exit::OK),
        }
    }
}

#[derive(Args)]
pub struct List {
    /// Machine-readable
    #[arg(long)]
    json: bool,
}

pub fn list(args: &List) -> Outcome {
    let found = found(&[])?;
    if args.json {
        let rows: Vec<_> = found.iter().map(|f| {
            let hit = f.counters.counters.iter().filter(|c| **c > 0).count();
            serde_json::json!({"id": f.map.id, "name": f.map.name, "tag": f.counters.build.tag(), "counters": f.counters.counters.len(), "hit": hit})
        });
        return report::print(&format!("{}\n", serde_json::Value::from(rows.collect::<Vec<_>>()))).map(|()| Exit::OK);
    }
    let mut text = format!("{:>8}  {:16}  {:8}  {:>8}  {:>8}\n", "MAP", "NAME", "TAG", "COUNTERS", "HIT");
    for one in &found {
        let hit = one.counters.counters.iter().filter(|c| **c > 0).count();
        text += &format!(
            "{:>8}  {:16}  {:8}  {:>8}  {hit:>8}\n",
            one.map.id,
            one.map.name,
            one.counters.build.tag(),
            one.counters.counters.len()
        );
    }
    if found.is_empty() {
        text = "no instrumented programs are loaded\n".into();
    }
    report::print(&text)?;
    Ok(Exit::OK)
}

/// The instrumented maps, all or those named.
fn found(ids: &[u32]) -> Result<Vec<live::Found>, Failure> {
    let (mut found, failed) = live::live();
    if let (Some(error), true) = (failed.into_iter().next(), found.is_empty()) {
        return Err(Failure::new(error).help("reading maps of other processes needs root (CAP_SYS_ADMIN)"));
    }
    found.retain(|f| ids.is_empty() || ids.contains(&f.map.id));
    Ok(found)
}

fn save(profile: &Profile, path: &Path, append: bool) -> Result<(), Failure> {
    let mut sum = profile.clone();
    if append && path.exists() {
        sum.merge(&super::convert::read_profiles(&[path.to_owned()])?)
            .with_context(|| format!("profile `{}`", path.display()))?;
    }
    fs::write(path, sum.encode()).with_context(|| format!("profile `{}`", path.display()))?;
    Ok(())
}

fn warn(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "\u{1b}[1;33mwarning\u{1b}[0m: {text}");
}

/// What a shell adds to the number of the signal that ended a command.
const SIGNAL_BASE: i32 = 128;
