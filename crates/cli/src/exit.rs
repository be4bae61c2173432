//! How a run ends: an [`Outcome`] comes in, a message on standard error (or none) and an exit status go out. Errors read
//! `error: object: cause`, followed by `help:` lines. A reader that closed our output early is not an error worth words.
//! Nothing here prints results, and nothing here may panic.

use anyhow::Error;
use std::io::Write;
use std::process::ExitCode;

/// What a tool returns: the status it ended with, or why it could not do its work.
pub type Outcome = Result<Exit, Failure>;

/// An exit status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit(pub u8);

impl Exit {
    pub const OK: Exit = Exit(0);
    pub const FAILED: Exit = Exit(1);
    /// Like a program killed by SIGPIPE, as a shell shows it.
    pub const BROKEN_PIPE: Exit = Exit(141);
}

/// Why a tool could not do its work. Any `std::error::Error` and [`anyhow::Error`] turn into one with status 1.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong, or asked for help or the version (which then is no failure at all).
    Usage { error: Box<clap::Error>, exit: Exit },
    /// An operation failed. `help` are steps that fix it or commands to try.
    Operation { error: Error, exit: Exit, help: Vec<String>, label: &'static str },
}

impl Failure {
    pub fn new(error: impl Into<Error>) -> Self {
        Failure::Operation { error: error.into(), exit: Exit::FAILED, help: Vec::new(), label: "error" }
    }

    pub fn message(text: impl Into<String>) -> Self {
        Failure::new(anyhow::anyhow!(text.into()))
    }

    /// The status to end with instead of 1.
    #[must_use]
    pub fn exit(self, code: Exit) -> Self {
        match self {
            Failure::Usage { error, .. } => Failure::Usage { error, exit: code },
            Failure::Operation { error, help, label, .. } => Failure::Operation { error, exit: code, help, label },
        }
    }

    /// The word before the message, where the re-created system has another than `error`.
    #[must_use]
    pub fn label(mut self, word: &'static str) -> Self {
        if let Failure::Operation { label, .. } = &mut self {
            *label = word;
        }
        self
    }

    /// Adds a line that says how to fix it, or an example to try.
    #[must_use]
    pub fn help(mut self, line: impl Into<String>) -> Self {
        if let Failure::Operation { help, .. } = &mut self {
            help.push(line.into());
        }
        self
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::new(error)
    }
}

/// Tells what went wrong and yields the status for the shell.
pub fn conclude(outcome: Outcome) -> ExitCode {
    let Exit(code) = match outcome {
        Ok(exit) => exit,
        Err(Failure::Usage { error, exit }) => usage(&error, exit),
        Err(Failure::Operation { error, exit, help, label }) => operation(&error, exit, &help, label),
    };
    ExitCode::from(code)
}

fn usage(error: &clap::Error, exit: Exit) -> Exit {
    match error.print() {
        Err(cause) if cause.kind() == std::io::ErrorKind::BrokenPipe => Exit::BROKEN_PIPE,
        _ if error.use_stderr() => exit,
        _ => Exit::OK,
    }
}

fn operation(error: &Error, exit: Exit, help: &[String], label: &str) -> Exit {
    if is_broken_pipe(error) {
        return Exit::BROKEN_PIPE;
    }
    // Standard error is the last place to complain to: when it is gone, the status alone has to say it.
    let mut err = anstream::stderr().lock();
    let text = watch::without_numbers(&format!("{error:#}"));
    let _ = writeln!(err, "\u{1b}[1;31m{label}\u{1b}[0m: {text}");
    for line in help {
        let _ = writeln!(err, "\u{1b}[1;36mhelp\u{1b}[0m: {line}");
    }
    exit
}

fn is_broken_pipe(error: &Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_pipe_is_found_below_context() {
        let io = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let error = Error::from(io).context("write report");
        assert_eq!(operation(&error, Exit::FAILED, &[], "error"), Exit::BROKEN_PIPE);
    }

    #[test]
    fn help_and_status_stay_with_the_failure() {
        let failure = Failure::message("policy `a`: not found").exit(Exit(3)).help("try `hawkbell traffic list`");
        assert!(matches!(failure, Failure::Operation { exit: Exit(3), ref help, .. } if help.len() == 1));
    }
}
