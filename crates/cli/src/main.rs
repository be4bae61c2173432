//! The `hawkbell` command. Arguments come in; the tool they name runs; its exit status goes out. Which tools exist and
//! under which names the binary may be called is said once, in `tools::TOOLS`. Nothing here knows a tool's own flags,
//! and nothing here decides what a status means: that is the tool's contract.

#![forbid(unsafe_code)]

mod completions;
mod cover;
mod dispatch;
mod exit;
mod kernel;
mod rules;
mod tools;
mod traffic;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    let argv: Vec<_> = std::env::args_os().collect();
    exit::conclude(dispatch::run(&argv))
}
