//! Lines into a byte stream: a batch of alerts comes in, each goes out with a newline, as few writes as possible. A write
//! that ends half-way through a line is continued there next time, so no line is ever written twice or torn.

use super::Message;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;

/// The state of a stream of lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Bytes of the first message of the batch that were written already.
    partial: usize,
    /// A line was begun and given up: a newline has to come before the next one.
    torn: bool,
}

impl Lines {
    /// Writes `batch` to `to`. Returns how many whole lines are written, and the error that ended it early.
    pub fn write(&mut self, batch: &VecDeque<Arc<Message>>, to: &mut dyn Write) -> (usize, Option<io::Error>) {
        self.write_with(batch, to, |message, out| out.extend_from_slice(message.line.as_bytes()))
    }

    /// As `write`, with the caller's way of putting a message into the buffer (which must always yield the same bytes).
    pub fn write_with(
        &mut self,
        batch: &VecDeque<Arc<Message>>,
        to: &mut dyn Write,
        put: impl Fn(&Message, &mut Vec<u8>),
    ) -> (usize, Option<io::Error>) {
        self.buffer.clear();
        if self.torn {
            self.buffer.push(b'\n');
        }
        let lead = self.buffer.len();
        let mut ends = Vec::with_capacity(batch.len());
        for message in batch {
            put(message, &mut self.buffer);
            self.buffer.push(b'\n');
            ends.push(self.buffer.len() - lead);
        }
        let (written, error) = write_from(self.buffer.get(self.partial..).unwrap_or_default(), to);
        self.torn &= written == 0;
        let position = self.partial + written.saturating_sub(lead);
        let done = ends.iter().take_while(|end| **end <= position).count();
        let line_start = done.checked_sub(1).and_then(|last| ends.get(last)).copied().unwrap_or(0);
        self.partial = position - line_start;
        (done, error)
    }

    /// The first message of the batch is given up, perhaps half written.
    pub fn give_up(&mut self) {
        self.torn |= self.partial > 0;
        self.partial = 0;
    }

    /// Forgets a line that was begun: the stream it went to is gone.
    pub fn restart(&mut self) {
        self.partial = 0;
        self.torn = false;
    }
}

/// Writes as much of `bytes` as possible and flushes.
fn write_from(bytes: &[u8], to: &mut dyn Write) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match to.write(rest) {
            Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Some(error)),
        }
    }
    (written, to.flush().err())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::Priority;

    /// Takes 5 bytes, then fails, then takes the rest.
    struct Hiccup(Vec<u8>, bool);

    impl Write for Hiccup {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match (self.0.len(), self.1) {
                (5, false) => {
                    self.1 = true;
                    Err(io::ErrorKind::StorageFull.into())
                }
                (0, _) => {
                    self.0.extend_from_slice(&bytes[..5]);
                    Ok(5)
                }
                _ => {
                    self.0.extend_from_slice(bytes);
                    Ok(bytes.len())
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_given_up_half_way_is_ended() {
        let message = |line: &str| Arc::new(Message { priority: Priority::Debug, rule: "r".into(), line: line.into() });
        let mut batch = VecDeque::from([message("abcdefgh"), message("next")]);
        let (mut lines, mut to) = (Lines::default(), Hiccup(Vec::new(), false));
        assert!(matches!(lines.write(&batch, &mut to), (0, Some(_))));
        lines.give_up();
        batch.pop_front();
        assert!(matches!(lines.write(&batch, &mut to), (1, None)));
        assert_eq!(to.0, b"abcde\nnext\n");
        assert!(matches!(lines.write(&batch, &mut to), (1, None)));
        assert_eq!(to.0, b"abcde\nnext\nnext\n");
    }

    #[test]
    fn a_torn_line_is_continued() {
        let message = |line: &str| Arc::new(Message { priority: Priority::Debug, rule: "r".into(), line: line.into() });
        let mut batch = VecDeque::from([message("abc"), message("defg"), message("h")]);
        let (mut lines, mut to) = (Lines::default(), Hiccup(Vec::new(), false));
        let (done, error) = lines.write(&batch, &mut to);
        assert_eq!((done, error.map(|e| e.kind())), (1, Some(io::ErrorKind::StorageFull)));
        batch.drain(..done);
        assert!(matches!(lines.write(&batch, &mut to), (2, None)));
        assert_eq!(to.0, b"abc\ndefg\nh\n");
    }
}
