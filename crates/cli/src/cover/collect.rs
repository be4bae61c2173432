//! `cover run | collect | ls`: counters out of the kernel into a profile file.

use super::{DEFAULT_PROFILE, NEEDS, report};
use crate::exit::{Exit, Failure, Outcome};
use crate::kernel::needs::missing;
use anyhow::Context;
use clap::{Args, ValueEnum};
use coverage::collect as live;
use coverage::hold;
use coverage::layout::BuildId;
use coverage::profile::Profile;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{ErrorKind, Write};
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
    /// End with the command; processes that it left running can make no more maps
    #[arg(long)]
    no_wait: bool,
    /// How counters are kept hold of
    #[arg(long, value_enum, default_value_t = Hold::Notify)]
    hold: Hold,
    /// Also pin the counter maps of what is still loaded at the end below this directory of a BPF file system
    #[arg(long, value_name = "DIR")]
    pin: Option<PathBuf>,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Run {
    /// The plain case: one program, one profile.
    pub fn of(output: PathBuf, program: OsString, rest: &[OsString]) -> Run {
        let command = std::iter::once(program).chain(rest.iter().cloned()).collect();
        Run { output, append: false, no_wait: false, hold: Hold::Notify, pin: None, command }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Hold {
    /// Stop map creations for a moment (seccomp, Linux 5.14); nothing gets lost
    Notify,
    /// Follow the processes (ptrace, Linux 5.6); nothing gets lost, but no debugger can attach meanwhile
    Ptrace,
    /// Watch the machine's list of maps: what lives less than a few milliseconds may be missing, what others load is included
    Watch,
}

pub fn run(args: &Run) -> Outcome {
    let Some((program, rest)) = args.command.split_first() else { return Err(Failure::message("no command given")) };
    // The command may have rights that we lack, or load nothing at all: what is missing here is a word, not an end.
    missing(NEEDS).iter().for_each(|line| warn(line));
    let options = hold::Options {
        how: match args.hold {
            Hold::Notify => hold::How::Notify,
            Hold::Ptrace => hold::How::Trace,
            Hold::Watch => hold::How::Watch,
        },
        end_with_command: args.no_wait,
        waiting: || warn("waiting for processes that the command left running; Ctrl-C ends the wait"),
    };
    let held = match hold::run(Command::new(program).args(rest), options) {
        Ok(held) => held,
        Err(error) => return Err(not_started(program, &error)),
    };
    report_losses(&held, args.hold == Hold::Watch);
    save(&held.profile, &args.output, args.append)?;
    if let Some(directory) = &args.pin {
        pin(&held.maps, directory)?;
    }
    Ok(Exit(match held.end {
        hold::End::Exited(code) => u8::try_from(code).unwrap_or(1),
        hold::End::Signalled(signal) => u8::try_from(SIGNAL_BASE + signal).unwrap_or(1),
    }))
}

/// `DIR/TAG`, `DIR/TAG-2`, ... one pin for each load.
fn pin(maps: &[(BuildId, load::Map)], directory: &Path) -> Result<(), Failure> {
    fs::create_dir_all(directory).with_context(|| format!("directory `{}`", directory.display()))?;
    for (build, map) in maps {
        let names = (1..).map(|n| if n == 1 { build.tag() } else { format!("{}-{n}", build.tag()) });
        let free = names.map(|name| directory.join(name)).find(|path| !path.exists());
        map.pin(&free.unwrap_or_default()).map_err(|e| Failure::new(e).help("--pin takes a directory on a bpffs"))?;
    }
    Ok(())
}

fn not_started(program: &OsStr, error: &std::io::Error) -> Failure {
    let failure = Failure::message(format!("run `{}`: {}", program.to_string_lossy(), hold::words(error)));
    match error.kind() {
        ErrorKind::NotFound => failure.exit(NOT_FOUND),
        ErrorKind::PermissionDenied => failure.exit(NOT_EXECUTABLE),
        _ => failure,
    }
}

fn report_losses(held: &hold::Held, asked_to_watch: bool) {
    if let Some(reason) = &held.traced_because {
        warn(&format!("seccomp notification is refused ({reason}): processes were followed by ptrace instead"));
    }
    if let (Some(reason), false) = (&held.watched_because, asked_to_watch) {
        warn(&format!(
            "map creations could not be stopped ({reason}): the list of maps was watched instead, \
             programs that lived less than a few milliseconds may be missing"
        ));
    }
    if let Some(reason) = &held.last_miss {
        warn(&format!(
            "{} maps could not be held ({reason}): their counters are missing if the loader has ended",
            held.missed
        ));
    }
    if held.profile.builds.is_empty() {
        warn("nothing that was loaded has coverage counters: build it with `hawkbell cover cc`");
    }
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
        let rows = found.iter().map(|f| {
            let hit = f.counters.counters.iter().filter(|c| **c > 0).count();
            serde_json::json!({"id": f.about.id, "name": f.about.name, "tag": f.counters.build.tag(), "counters": f.counters.counters.len(), "hit": hit})
        });
        return report::print(&format!("{}\n", serde_json::Value::from(rows.collect::<Vec<_>>()))).map(|()| Exit::OK);
    }
    let mut text = format!("{:>8}  {:16}  {:8}  {:>8}  {:>8}\n", "MAP", "NAME", "TAG", "COUNTERS", "HIT");
    for one in &found {
        let hit = one.counters.counters.iter().filter(|c| **c > 0).count();
        text += &format!(
            "{:>8}  {:16}  {:8}  {:>8}  {hit:>8}\n",
            one.about.id,
            one.about.name,
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
    let (mut found, failed) = live::live()?;
    for error in failed {
        warn(&error.to_string());
    }
    found.retain(|f| ids.is_empty() || ids.contains(&f.about.id));
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

pub fn warn(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "\u{1b}[1;33mwarning\u{1b}[0m: {text}");
}

/// What a shell adds to the number of the signal that ended a command.
const SIGNAL_BASE: i32 = 128;
/// What a shell says of a command that does not exist, and of one that cannot be executed.
const NOT_FOUND: Exit = Exit(127);
const NOT_EXECUTABLE: Exit = Exit(126);
