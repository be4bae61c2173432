//! `cover check | cost`: objects come in, what this kernel's verifier and a test run say of their programs goes out. Programs
//! are loaded and never attached; nothing stays behind.

use super::report::print;
use crate::exit::{Exit, Failure, Outcome};
use anyhow::Context;
use clap::Args;
use load::live::{Figures, figures, test_run};
use load::{Cause, Loader, Object, Refused};
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Check {
    /// Objects to load for a moment
    #[arg(required = true, value_name = "OBJECT")]
    objects: Vec<PathBuf>,
}

pub fn check(args: &Check) -> Outcome {
    let (mut text, mut refused_any) = (String::new(), false);
    for path in &args.objects {
        let (object, refused) = load_what_loads(path)?;
        for program in object.programs() {
            let verified = of(&object, &program).map_or(0, |f| f.verified);
            let _ = writeln!(text, "{}: `{program}` loads, {verified} instructions verified", path.display());
        }
        for refusal in &refused {
            let _ = writeln!(text, "{}: `{}` is refused: {}", path.display(), refusal.program, reason(refusal));
        }
        refused_any |= !refused.is_empty();
    }
    print(&text)?;
    Ok(if refused_any { Exit::FAILED } else { Exit::OK })
}

#[derive(Args)]
pub struct Cost {
    /// The object without counters
    #[arg(value_name = "PLAIN")]
    plain: PathBuf,
    /// The same with counters
    #[arg(value_name = "INSTRUMENTED")]
    instrumented: PathBuf,
    /// Runs of each program for the time of one
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    repeat: u32,
    /// Machine-readable
    #[arg(long)]
    json: bool,
}

/// What a program costs.
struct Price {
    figures: Figures,
    /// Nanoseconds a run, where the kernel can run it for a test.
    nanos: Option<u32>,
}

pub fn cost(args: &Cost) -> Outcome {
    let plain = load_what_loads(&args.plain)?;
    let instrumented = load_what_loads(&args.instrumented)?;
    let mut rows = Vec::new();
    for program in plain.0.programs() {
        let price = |object: &Object| {
            Some(Price { figures: of(object, &program)?, nanos: time(object, &program, args.repeat) })
        };
        rows.push((program.clone(), price(&plain.0), price(&instrumented.0)));
    }
    let refused: Vec<_> = instrumented.1.iter().map(|r| (r.program.clone(), reason(r))).collect();
    print(&if args.json { as_json(&rows, &refused) } else { as_table(&rows, &refused) })?;
    Ok(Exit::OK)
}

type Row = (String, Option<Price>, Option<Price>);

fn as_table(rows: &[Row], refused: &[(String, String)]) -> String {
    let mut text = format!("{:24}  {:>21}  {:>23}  {:>17}\n", "PROGRAM", "INSTRUCTIONS", "VERIFIED", "NS A RUN");
    for (program, plain, instrumented) in rows {
        let Some(plain) = plain else { continue };
        let pair = |of: fn(&Price) -> Option<u32>| {
            let shown = |price: Option<&Price>| price.and_then(of).map_or("-".to_owned(), |n| n.to_string());
            format!("{} -> {}", shown(Some(plain)), shown(instrumented.as_ref()))
        };
        let (size, verified) = (pair(|p| Some(p.figures.instructions)), pair(|p| Some(p.figures.verified)));
        let _ = writeln!(text, "{program:24}  {size:>21}  {verified:>23}  {:>17}", pair(|p| p.nanos));
    }
    for (program, reason) in refused {
        let _ = writeln!(text, "`{program}` is refused with counters: {reason}");
    }
    text
}

fn as_json(rows: &[Row], refused: &[(String, String)]) -> String {
    let price = |p: &Option<Price>| {
        p.as_ref().map(|p| json!({"instructions": p.figures.instructions, "jited_bytes": p.figures.jited_bytes, "verified": p.figures.verified, "nanos": p.nanos}))
    };
    let rows: Vec<_> =
        rows.iter().map(|(n, a, b)| json!({"program": n, "plain": price(a), "instrumented": price(b)})).collect();
    let refused: Vec<_> = refused.iter().map(|(n, why)| json!({"program": n, "reason": why})).collect();
    format!("{}\n", json!({"programs": rows, "refused": refused}))
}

/// Loads an object, leaving out what is refused.
pub fn load_what_loads(path: &Path) -> Result<(Object, Vec<Refused>), Failure> {
    let bytes = fs::read(path).with_context(|| format!("object `{}`", path.display()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Loader::new(&name, &bytes)
        .load_what_loads()
        .map_err(|e| Failure::new(e).help("loading programs needs root (CAP_BPF)"))
}

/// The verifier's own last words, or the errno.
pub fn reason(refused: &Refused) -> String {
    let said = refused.reason().filter(|_| refused.cause == Cause::Verifier);
    said.map_or_else(|| std::io::Error::from_raw_os_error(refused.errno).to_string(), str::to_owned)
}

fn of(object: &Object, program: &str) -> Option<Figures> {
    figures(object.program_descriptor(program).ok()?.as_fd()).ok()
}

fn time(object: &Object, program: &str, repeat: u32) -> Option<u32> {
    let descriptor = object.program_descriptor(program).ok()?;
    (0..ROUNDS).filter_map(|_| test_run(descriptor.as_fd(), &[0; 64], repeat).ok().map(|(_, nanos)| nanos)).min()
}

/// The best of so many: the machine does other things as well.
const ROUNDS: usize = 7;
