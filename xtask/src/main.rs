//! Chores of the project that are too long for a make target: `bench`, `docs`, `kernels`. Depends on nothing of ours: it drives
//! the built programs from outside.

mod bench;
mod bench_live;
mod cpio;
mod debian;
mod kernels;

use anyhow::{Context, Result, bail};
use std::process::Command;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("bench") if args.next().as_deref() == Some("live") => bench::live(),
        Some("bench") => bench::run(),
        // A storm is a child of the benchmark.
        Some("storm") => {
            let (kind, count) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
            bench_live::storm(&kind, count.parse().context("number of calls")?)
        }
        Some("docs") => docs(),
        Some("kernels") => kernels::run(&args.collect::<Vec<_>>()),
        Some(other) => bail!("unknown chore `{other}`: there are bench, docs, kernels"),
        None => bail!("name a chore: bench, docs, kernels"),
    }
}

/// Writes docs/reference anew from the tables that the code uses: the tests that find stale pages also write them.
fn docs() -> Result<()> {
    let bless =
        |args: &[&str]| run(Command::new("cargo").arg("test").arg("--quiet").args(args).env("HAWKBELL_BLESS", "1"));
    bless(&["--package", "features", "--test", "reference"])?;
    bless(&["--package", "hawkbell", "--test", "reference"])
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
