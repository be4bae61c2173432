//! `cover report | show | out`: profiles and sidecars to figures, listings and files; the gates `--fail-under` and `--diff`.

use super::DEFAULT_PROFILE;
use super::collect::warn;
use super::convert::read_profiles;
use super::sidecars::Sidecars;
use crate::exit::{Exit, Failure, Outcome};
use anyhow::Context;
use clap::{Args, ValueEnum};
use coverage::report::summary::Summary;
use coverage::report::text::{LineKind, listing, table};
use coverage::report::{Builder, cobertura, html, json, lcov};
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What every report reads.
#[derive(Args)]
pub struct Input {
    /// Profiles that `cover run` or `cover collect` wrote
    #[arg(value_name = "PROFILE", default_value = DEFAULT_PROFILE)]
    profiles: Vec<PathBuf>,
    /// Sidecars, or directories with sidecars
    #[arg(long, value_name = "FILE|DIR")]
    object: Vec<PathBuf>,
    /// Leave out builds whose sidecar is nowhere, with a warning, instead of failing
    #[arg(long)]
    known_only: bool,
    /// Only files whose path contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Look for sources below NEW instead of OLD
    #[arg(long, value_name = "OLD=NEW")]
    map: Vec<String>,
    /// Only lines that differ from this commit or branch
    #[arg(long, value_name = "BASE")]
    diff: Option<String>,
    /// Exit with status 1 when below, in percent
    #[arg(long, value_name = "lines=90,branches=80", value_delimiter = ',', value_parser = limit)]
    fail_under: Vec<Limit>,
}

#[derive(Args)]
pub struct Report {
    #[command(flatten)]
    input: Input,
    /// Machine-readable
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    input: Input,
}

#[derive(Args)]
pub struct Out {
    #[command(flatten)]
    input: Input,
    #[arg(short, long, value_enum, default_value_t = Format::Html)]
    format: Format,
    /// File, or directory for html; `out.FORMAT` or `out_html` unless said
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_TITLE)]
    title: String,
}

impl Out {
    /// Everything of `profiles` in `format`, by its name.
    pub fn of(profiles: Vec<PathBuf>, object: Vec<PathBuf>, format: &str, output: Option<PathBuf>) -> Out {
        let input = Input {
            profiles,
            object,
            known_only: false,
            filter: None,
            map: Vec::new(),
            diff: None,
            fail_under: Vec::new(),
        };
        let format = Format::from_str(format, true).unwrap_or(Format::Html);
        Out { input, format, output, title: DEFAULT_TITLE.into() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Html,
    Json,
    Lcov,
    Cobertura,
    Text,
}

pub fn report(args: &Report) -> Outcome {
    let (report, _) = build(&args.input)?;
    let text = if args.json { format!("{}\n", json::render(&report)) } else { table(&report) };
    print(&text)?;
    gate(&args.input, &report)
}

pub fn show(args: &Show) -> Outcome {
    let (report, built) = build(&args.input)?;
    let mut out = anstream::stdout().lock();
    for (path, file) in &report.files {
        writeln!(out, "\u{1b}[1m{path}\u{1b}[0m")?;
        let Some(source) = source(&args.input, path, &built) else { continue };
        for (kind, line) in listing(file, &source) {
            let colour = match kind {
                LineKind::Plain => "\u{1b}[2m",
                LineKind::Ran => "\u{1b}[32m",
                LineKind::Missed => "\u{1b}[31m",
            };
            writeln!(out, "{colour}{line}\u{1b}[0m")?;
        }
    }
    gate(&args.input, &report)
}

pub fn out(args: &Out) -> Outcome {
    let (report, built) = build(&args.input)?;
    let default = match args.format {
        Format::Html => "out_html",
        Format::Json => "out.json",
        Format::Lcov => "out.lcov",
        Format::Cobertura => "out.xml",
        Format::Text => "out.txt",
    };
    let output = args.output.clone().unwrap_or_else(|| default.into());
    let write = |path: &Path, text: &str| fs::write(path, text).with_context(|| format!("report `{}`", path.display()));
    match args.format {
        Format::Html => {
            fs::create_dir_all(&output).with_context(|| format!("directory `{}`", output.display()))?;
            for page in html::render(&report, &args.title, &|path| source(&args.input, path, &built)) {
                write(&output.join(&page.name), &page.content)?;
            }
            print(&format!("look at {}\n", output.join("index.html").display()))?;
        }
        Format::Json => write(&output, &format!("{}\n", json::render(&report)))?,
        Format::Lcov => write(&output, &lcov::render(&report))?,
        Format::Cobertura => write(&output, &cobertura::render(&report, now_seconds()))?,
        Format::Text => write(&output, &table(&report))?,
    }
    gate(&args.input, &report)
}

/// Prints a result; output may be closed early by its reader.
pub fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).context("write to standard output")?;
    Ok(())
}

/// When the newest object was built that has code of a source.
type Built = HashMap<Rc<str>, SystemTime>;

fn build(input: &Input) -> Result<(coverage::report::Report, Built), Failure> {
    let profile = read_profiles(&input.profiles)?;
    if profile.builds.is_empty() {
        return Err(
            Failure::message("the profile holds no counters").help("run your loader under `hawkbell cover run`")
        );
    }
    let sidecars = Sidecars::search(&input.object)?;
    let (mut builder, mut built) = (Builder::default(), Built::new());
    for counters in profile.builds.values() {
        let (path, sidecar) = match sidecars.find(counters.build) {
            Err(_) if input.known_only => {
                warn(&format!("build {}: left out, its sidecar is not known", counters.build.tag()));
                continue;
            }
            known => known?,
        };
        builder.add(&sidecar, counters).with_context(|| format!("sidecar `{}`", path.display()))?;
        let when = fs::metadata(&path).and_then(|m| m.modified()).unwrap_or(UNIX_EPOCH);
        for file in sidecar.maps.iter().flat_map(|map| &map.files) {
            let known = built.entry(file.clone()).or_insert(when);
            *known = (*known).max(when);
        }
    }
    let mut report = builder.finish();
    if let Some(filter) = &input.filter {
        report.files.retain(|path, _| path.contains(filter.as_str()));
    }
    if let Some(base) = &input.diff {
        restrict(&mut report, base)?;
    }
    Ok((report, built))
}

/// Leaves only what lies on lines that differ from `base`, as git sees them.
fn restrict(report: &mut coverage::report::Report, base: &str) -> Result<(), Failure> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let diff = git(&["diff", "--unified=0", "--no-color", "--no-ext-diff", base, "--"])?;
    let changed = coverage::report::diff::changed_lines(&diff, top.trim_end());
    report.files.retain(|path, _| changed.contains_key(&**path));
    for (path, file) in &mut report.files {
        if let Some(lines) = changed.get(&**path) {
            coverage::report::diff::restrict(file, lines);
        }
    }
    Ok(())
}

fn git(args: &[&str]) -> Result<String, Failure> {
    let output = std::process::Command::new("git").args(args).output().context("run `git`")?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::message(format!("git {}: {reason}", args.join(" "))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A figure by its name and the percentage that it must not be below.
#[derive(Clone)]
struct Limit {
    figure: &'static str,
    percent: f64,
}

/// `lines=90`, or `90` for lines.
fn limit(text: &str) -> Result<Limit, String> {
    let (name, number) = text.split_once('=').unwrap_or(("lines", text));
    let known = Summary::default().named().map(|(known, _)| known);
    let Some(figure) = known.into_iter().find(|known| *known == name.trim()) else {
        return Err(format!("there are {}", known.join(", ")));
    };
    match number.trim().trim_end_matches('%').parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Limit { figure, percent }),
        _ => Err("write it as lines=90".into()),
    }
}

/// Compares the totals with what `--fail-under` asks for.
fn gate(input: &Input, report: &coverage::report::Report) -> Outcome {
    let figures = Summary::of(report).named();
    let below: Vec<_> = input
        .fail_under
        .iter()
        .filter_map(|limit| {
            let (name, ratio) = figures.iter().find(|(name, _)| *name == limit.figure)?;
            // What has nothing to cover cannot be below a limit.
            let percent = ratio.percent().filter(|percent| *percent < limit.percent)?;
            Some(format!("{name} {percent:.1} % < {} %", limit.percent))
        })
        .collect();
    if below.is_empty() {
        Ok(Exit::OK)
    } else {
        Err(Failure::message(format!("coverage is too low: {}", below.join(", "))))
    }
}

/// The text of a source; a warning when it is not there, or not any more what was built.
fn source(input: &Input, path: &str, built: &Built) -> Option<String> {
    let mapped = input
        .map
        .iter()
        .filter_map(|m| m.split_once('='))
        .find_map(|(old, new)| Some(format!("{new}{}", path.strip_prefix(old)?)));
    let place = mapped.as_deref().unwrap_or(path);
    let Ok(bytes) = fs::read(place) else {
        warn(&format!("source `{path}`: not found, there are counts only; point at it with --map OLD=NEW"));
        return None;
    };
    let changed = fs::metadata(place).and_then(|m| m.modified()).ok();
    if changed.zip(built.get(path)).is_some_and(|(changed, built)| changed > *built) {
        warn(&format!("source `{place}`: changed since it was built, counts may stand beside the wrong lines"));
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

const DEFAULT_TITLE: &str = "eBPF coverage";
