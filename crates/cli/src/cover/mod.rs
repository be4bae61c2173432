//! `hawkbell cover`: arguments come in, the `coverage` crate does the work, files and tables go out. The subcommands `run`,
//! `gen` and `out` also take the arguments that users of `bpfcov` know. Results go to standard output or named files;
//! what went wrong goes to standard error.

mod cc;
mod collect;
mod compat;
mod convert;
mod cost;
mod report;
mod sidecars;

use crate::exit::Outcome;
use crate::kernel::needs::ready;
use crate::tools::Invocation;
use clap::{CommandFactory, Parser, Subcommand};
use features::{Need, need};

/// Which lines, regions and branches of your eBPF code really ran in the kernel
#[derive(Parser)]
#[command(after_help = "Examples:
  CLANG=\"hawkbell cover cc\" make            build with coverage; X.bpf.o loads, X.bpf.covobj explains it
  hawkbell cover run -- ./my-loader         count everything that it and its children load
  hawkbell cover report                     the figures, file by file
  hawkbell cover out -f html -o coverage    the same to look at
  hawkbell cover collect                    read counters of programs that are running now")]
struct Cover {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Compile like clang, with coverage: `cover cc -O2 -g -target bpf -c X.bpf.c -o X.bpf.o`
    #[command(disable_help_flag = true)]
    Cc {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CLANG ARGUMENTS")]
        args: Vec<std::ffi::OsString>,
    },
    /// Split an object that clang compiled with coverage flags into one that loads and its sidecar
    Split(convert::Split),
    /// Run a command and keep the counters of everything that it and its children load
    Run(collect::Run),
    /// Read the counters of programs that are running now
    Collect(collect::Collect),
    /// List instrumented maps that are in the kernel now
    Ls(collect::List),
    /// Load objects for a moment and say which programs the verifier takes
    Check(cost::Check),
    /// Compare an object with its instrumented twin: instructions, verifier effort, time of a run
    Cost(cost::Cost),
    /// Add up profiles
    Merge(convert::Merge),
    /// Show functions, lines, regions and branches per file
    Report(report::Report),
    /// Show sources with counts beside them
    Show(report::Show),
    /// Write a report: html, json, lcov, cobertura or text
    Out(report::Out),
    /// Write a profile for LLVM's tools
    Export(convert::Export),
    /// Write a raw profile in the version that the llvm-profdata on the PATH reads
    Gen(convert::Export),
}

pub fn command() -> clap::Command {
    Cover::command()
}

pub fn run(invocation: &Invocation) -> Outcome {
    if invocation.program == OLD_NAME
        && let Some(outcome) = compat::run_old(invocation)
    {
        return outcome;
    }
    if invocation.args.is_empty() {
        let mut help = crate::tools::named(command(), &invocation.program);
        report::print(&help.render_help().to_string())?;
        return Ok(crate::exit::Exit::OK);
    }
    let cover: Cover = invocation.parse_into()?;
    match cover.action {
        Action::Cc { args } => cc::run(&args),
        Action::Split(args) => convert::split(&args),
        Action::Run(args) => collect::run(&args),
        Action::Collect(args) => ready(LISTING).and_then(|()| collect::collect(&args)),
        Action::Ls(args) => ready(LISTING).and_then(|()| collect::list(&args)),
        Action::Check(args) => ready(LOADING).and_then(|()| cost::check(&args)),
        Action::Cost(args) => ready(LOADING).and_then(|()| cost::cost(&args)),
        Action::Merge(args) => convert::merge(&args),
        Action::Report(args) => report::report(&args),
        Action::Show(args) => report::show(&args),
        Action::Out(args) => report::out(&args),
        Action::Export(args) => convert::export(&args, convert::Format::Proftext),
        Action::Gen(args) => convert::export(&args, convert::Format::Profraw),
    }
}

/// What instrumented programs need, wherever they are loaded from.
pub const NEEDS: &[Need] = &[
    need("bpf-syscall", "loading programs"),
    need("map:array", "keeping counters"),
    need("kernel>=5.2", "counters in global data"),
];

/// For loading objects, to try them.
const LOADING: &[Need] = NEEDS;

/// For reading counters of what others loaded.
const LISTING: &[Need] = &[need("bpf-syscall", "reading counters"), need("cap-sys-admin", "opening maps of others")];

/// Where profiles go and come from when nothing else is said.
const DEFAULT_PROFILE: &str = "hawkbell.cover";

/// Under this name the old forms of `run`, `gen` and `out` are understood.
const OLD_NAME: &str = "bpfcov";
