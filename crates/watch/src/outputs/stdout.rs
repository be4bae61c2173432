//! Alerts on standard output, one line each. A reader that went away closes this output for good; a non-blocking pipe
//! that is full is tried again.

use super::lines::Lines;
use super::{Channel, Delivery, Message, Trouble};
use crate::log::Log;
use rules::Priority;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

pub(super) struct StdoutChannel {
    lines: Lines,
    colour: bool,
    log: Log,
}

impl StdoutChannel {
    pub fn new(colour: bool, log: &Log) -> Self {
        StdoutChannel { lines: Lines::default(), colour, log: log.clone() }
    }
}

impl Channel for StdoutChannel {
    fn name(&self) -> &'static str {
        "stdout"
    }

    fn deliver(&mut self, batch: &VecDeque<Arc<Message>>) -> Delivery {
        let StdoutChannel { lines, colour, log } = self;
        let put = |message: &Message, out: &mut Vec<u8>| {
            let (on, off) = if *colour { paint(message.priority) } else { ("", "") };
            for part in [on, &message.line, off] {
                out.extend_from_slice(part.as_bytes());
            }
        };
        let (mut done, mut error) = (0, None);
        log.aside(&mut || (done, error) = lines.write_with(batch, &mut io::stdout().lock(), put));
        let trouble = error.map(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Trouble::Closed("the reader of standard output is gone (broken pipe)".into()),
            _ => Trouble::Again(format!("standard output: {error}")),
        });
        Delivery { done, trouble }
    }

    fn give_up(&mut self) {
        self.lines.give_up();
    }
}

fn paint(priority: Priority) -> (&'static str, &'static str) {
    match priority {
        Priority::Emergency | Priority::Alert | Priority::Critical | Priority::Error => ("\u{1b}[31m", "\u{1b}[0m"),
        Priority::Warning => ("\u{1b}[33m", "\u{1b}[0m"),
        Priority::Notice => ("\u{1b}[36m", "\u{1b}[0m"),
        Priority::Informational | Priority::Debug => ("", ""),
    }
}
