//! Alerts to the standard input of a program that `sh` runs, one line each. With `keep_alive` one program gets all lines
//! and is started again when it ends; without, every alert starts its own. A program that does not read blocks only this
//! output.

use super::lines::Lines;
use super::{Channel, Delivery, Message, Trouble};
use crate::config::ProgramOutput;
use std::collections::VecDeque;
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct ProgramChannel {
    config: ProgramOutput,
    child: Option<Child>,
    lines: Lines,
}

impl ProgramChannel {
    pub fn new(config: &ProgramOutput) -> Self {
        ProgramChannel { config: config.clone(), child: None, lines: Lines::default() }
    }

    fn write(&mut self, batch: &VecDeque<Arc<Message>>) -> (usize, Option<io::Error>) {
        let mut child = match self.child.take().map_or_else(|| start(&self.config.program), Ok) {
            Ok(child) => child,
            Err(error) => return (0, Some(error)),
        };
        let Some(stdin) = child.stdin.as_mut() else { return (0, Some(io::ErrorKind::BrokenPipe.into())) };
        let (done, error) = self.lines.write(batch, stdin);
        if error.is_none() && self.config.keep_alive {
            self.child = Some(child);
            return (done, None);
        }
        self.lines.restart();
        match finish(child, PATIENCE).and_then(never_run) {
            Some(cause) if !self.config.keep_alive => (0, Some(cause)),
            _ => (done, error),
        }
    }

    /// One program per alert.
    fn one_each(&mut self, batch: &VecDeque<Arc<Message>>) -> (usize, Option<io::Error>) {
        for (done, message) in batch.iter().enumerate() {
            if let (0, error) = self.write(&VecDeque::from([message.clone()])) {
                return (done, error);
            }
        }
        (batch.len(), None)
    }
}

impl Channel for ProgramChannel {
    fn name(&self) -> &'static str {
        "program"
    }

    fn deliver(&mut self, batch: &VecDeque<Arc<Message>>) -> Delivery {
        let (done, error) = if self.config.keep_alive { self.write(batch) } else { self.one_each(batch) };
        let trouble = error.map(|error| Trouble::Again(format!("program `{}`: {error}", self.config.program)));
        Delivery { done, trouble }
    }

    fn give_up(&mut self) {
        self.lines.give_up();
    }

    fn reopen(&mut self) {
        self.close();
        self.lines.restart();
    }

    fn close(&mut self) {
        if let Some(child) = self.child.take() {
            finish(child, PATIENCE);
        }
    }
}

fn start(program: &str) -> io::Result<Child> {
    Command::new("sh").arg("-c").arg(program).stdin(Stdio::piped()).spawn()
}

/// Closes the program's input and waits for its end; one that does not end within `patience` is left to itself.
fn finish(mut child: Child, patience: Duration) -> Option<ExitStatus> {
    drop(child.stdin.take());
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
            end => return end.ok().flatten(),
        }
    }
}

/// The cause when the shell could not start what it was told to: its pipe took the alert, nobody read it.
fn never_run(status: ExitStatus) -> Option<io::Error> {
    match status.code()? {
        126 => Some(io::Error::other("not executable (exit status 126)")),
        127 => Some(io::Error::other("command not found (exit status 127)")),
        _ => None,
    }
}

const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use rules::Priority;

    fn deliver(program: &str) -> Delivery {
        let config = ProgramOutput { program: program.into(), keep_alive: false };
        let line = Message { priority: Priority::Debug, rule: "r".into(), line: "alert".into() };
        ProgramChannel::new(&config).deliver(&VecDeque::from([Arc::new(line)]))
    }

    #[test]
    fn a_program_that_cannot_run_took_nothing() {
        let missing = deliver("/nonexistent/program 2>/dev/null");
        assert_eq!(missing.done, 0);
        assert!(matches!(missing.trouble, Some(Trouble::Again(text)) if text.contains("command not found")));
        let read = deliver("grep -q alert");
        assert!(read.done == 1 && read.trouble.is_none());
        assert_eq!(deliver("cat >/dev/null; exit 3").done, 1, "what a program says about itself is its own affair");
    }
}
