//! `bpfcov run | gen | out` as its users type them: the old arguments come in, the same files go out. No pins are needed: `run`
//! leaves the profile beside the program (`PROGRAM.cover`), where `gen` and `out` look for it. Other words are not ours.

use super::collect::{Run, run};
use super::convert::{self, read_profiles};
use super::report;
use crate::exit::{Exit, Failure, Outcome};
use crate::tools::Invocation;
use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

/// Runs an old command line; `None` when it is not one.
pub fn run_old(invocation: &Invocation) -> Option<Outcome> {
    let mut rest = invocation.args.as_slice();
    let mut bpffs = None;
    while let Some((first, after)) = rest.split_first() {
        let text = first.to_string_lossy();
        if let Some(path) = text.strip_prefix("--bpffs=") {
            bpffs = Some(PathBuf::from(path));
        } else if text == "--bpffs" {
            bpffs = after.first().map(PathBuf::from);
            rest = after;
        } else if !text.starts_with("-v") && !text.starts_with("--verbose") {
            break;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    let (word, args) = rest.split_first()?;
    if word == "-?" || word == "--usage" {
        let mut help = crate::tools::named(super::command(), &invocation.program);
        return Some(report::print(&help.render_help().to_string()).map(|()| Exit::OK));
    }
    let action: fn(&Invocation, &[OsString]) -> Outcome = match word.to_str()?.get(..3)? {
        "run" => old_run,
        "gen" => generate,
        "out" => out,
        _ => return None,
    };
    Some(match bpffs.filter(|path| !path.is_dir()) {
        Some(path) => Err(Failure::message(format!("BPF file system `{}`: no such directory", path.display()))),
        None => action(invocation, args),
    })
}

fn old_run(invocation: &Invocation, args: &[OsString]) -> Outcome {
    let args = args.strip_prefix(&[OsString::from("--")]).unwrap_or(args);
    let Some(program) = args.first().filter(|p| !p.to_string_lossy().starts_with('-')) else {
        return Err(usage(invocation, "run <PROGRAM> [ARGUMENTS]"));
    };
    if !Path::new(program).exists() {
        return Err(Failure::message(format!("program `{}`: no such file", program.to_string_lossy())));
    }
    let output = profile_of(Path::new(program));
    run(&Run::of(output, absolute(program), args.get(1..).unwrap_or_default()))
}

/// A file in this directory is meant even if its name has no slash.
fn absolute(program: &OsStr) -> OsString {
    Path::new(program).canonicalize().map_or_else(|_| program.to_owned(), PathBuf::into_os_string)
}

/// Write the profile of a program for LLVM's tools
#[derive(Parser)]
struct Generate {
    /// Where the profile goes; PROGRAM.profraw unless said
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Forget the counters afterwards
    #[arg(long)]
    unpin: bool,
    /// The program that was run
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,
}

fn generate(invocation: &Invocation, args: &[OsString]) -> Outcome {
    let args: Generate = parse(invocation, "gen", args)?;
    let kept = profile_of(&args.program);
    if !kept.exists() {
        return Err(Failure::message(format!("profile `{}`: no such file", kept.display()))
            .help(format!("run `bpfcov run {}` first", args.program.display())));
    }
    let output = args.output.unwrap_or_else(|| with_suffix(&args.program, ".profraw"));
    let profile = read_profiles(std::slice::from_ref(&kept))?;
    convert::write_profraw(&profile, &convert::beside(&args.program), None, &output)?;
    if args.unpin {
        fs::remove_file(&kept).with_context(|| format!("profile `{}`", kept.display()))?;
    }
    Ok(Exit::OK)
}

/// Write a report of programs that were run
#[derive(Parser)]
struct Report {
    /// File, or directory for html; out_html, out.json or out.lcov unless said
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// html, json or lcov
    #[arg(short, long, value_name = "FORMAT", default_value = "html")]
    format: String,
    /// What `gen` wrote
    #[arg(required = true, value_name = "PROFRAW")]
    profiles: Vec<PathBuf>,
}

fn out(invocation: &Invocation, args: &[OsString]) -> Outcome {
    let args: Report = parse(invocation, "out", args)?;
    let known = ["html", "json", "lcov"];
    let Some(format) = known.into_iter().find(|f| f.starts_with(&args.format) && !args.format.is_empty()) else {
        return Err(Failure::message(format!("format `{}`: there are html, json and lcov", args.format)));
    };
    let mut profiles = Vec::new();
    for profile in &args.profiles {
        let kept = profile.with_extension("cover");
        if !kept.exists() {
            return Err(Failure::message(format!(
                "profile `{}`: `{}` is not beside it",
                profile.display(),
                kept.display()
            ))
            .help("`bpfcov run PROGRAM` leaves it there; keep it until the report is made"));
        }
        profiles.push(kept);
    }
    let objects = profiles.iter().flat_map(|p| convert::beside(p)).collect();
    report::out(&report::Out::of(profiles, objects, format, args.output))
}

fn parse<T: CommandFactory + FromArgMatches>(
    invocation: &Invocation,
    word: &str,
    args: &[OsString],
) -> Result<T, Failure> {
    let program = format!("{} {word}", invocation.program);
    Invocation { program, args: args.to_vec(), usage_exit: invocation.usage_exit }.parse(T::command()).and_then(
        |matches| {
            T::from_arg_matches(&matches)
                .map_err(|e| Failure::Usage { error: Box::new(e), exit: Exit(invocation.usage_exit) })
        },
    )
}

fn usage(invocation: &Invocation, form: &str) -> Failure {
    Failure::message(format!("usage: {} {form}", invocation.program)).exit(Exit(invocation.usage_exit))
}

/// `cov/P` -> `cov/P.cover`.
fn profile_of(program: &Path) -> PathBuf {
    with_suffix(program, ".cover")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
