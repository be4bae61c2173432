//! Alerts to the standard input of a program that `sh` runs, one line each. With `keep_alive` one program gets all lines
//! and is started again when it ends; without, every alert starts its own. A program that does not read blocks only this
//! output.

use super::lines::Lines;
use super::{Channel, Delivery, Message, Trouble};
use crate::config::ProgramOutput;
use std::collections::VecDeque;
use std::io;
use std::process::{Child, Command, Stdio};
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
        if error.is_some() || !self.config.keep_alive {
            self.lines.restart();
            finish(child, PATIENCE);
        } else {
            self.child = Some(child);
        }
        (done, error)
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
fn finish(mut child: Child, patience: Duration) {
    drop(child.stdin.take());
    let deadline = Instant::now() + patience;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
}

const PATIENCE: Duration = Duration::from_secs(2);
