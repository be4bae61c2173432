//! Why a capture cannot be read (any further). Every message says where: `at` is the offset in the uncompressed stream,
//! `events` how many events came before.

use event::Kind;
use event::wire::DecodeError;
use std::io;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The first bytes are not a section header.
    #[error("not a capture file: {0}")]
    NotACapture(&'static str),
    /// A format of the future.
    #[error(
        "capture format {major}.{minor} is newer than 1.x, the newest that this version reads; use a newer hawkbell or \
         record the capture again"
    )]
    FutureVersion { major: u16, minor: u16 },
    /// Machine, process and other tables, but then the end.
    #[error("no events in capture")]
    NoEvents,
    /// The input ended inside a block.
    #[error("capture is cut short at byte {at}, after {events} events")]
    Truncated { at: u64, events: u64 },
    /// Lengths or numbers that cannot be.
    #[error("capture is damaged at byte {at}, after {events} events: {what}")]
    Damaged { at: u64, events: u64, what: &'static str },
    /// One event that cannot be decoded. The reader can go on behind it.
    #[error("event at byte {at}, after {events} events: {source}")]
    BadEvent { at: u64, events: u64, source: DecodeError },
    /// One event for which no conversion exists. The reader can go on behind it.
    #[error(
        "event `{}` with {nparams} parameters at byte {at}, after {events} events: {reason}",
        .kind.info().map_or("?", |i| i.symbol)
    )]
    Unconvertible { at: u64, events: u64, kind: Kind, nparams: usize, reason: &'static str },
    /// The input itself failed, including damaged gzip data.
    #[error("capture at byte {at}, after {events} events: {source}")]
    Input { at: u64, events: u64, source: io::Error },
}

impl Error {
    /// Whether reading can go on behind the event that failed.
    pub fn concerns_one_event(&self) -> bool {
        matches!(self, Error::BadEvent { .. } | Error::Unconvertible { .. })
    }

    /// The same error, knowing how many events came before.
    pub(crate) fn after(mut self, count: u64) -> Self {
        if let Error::Truncated { events, .. } | Error::Damaged { events, .. } | Error::Input { events, .. } = &mut self
        {
            *events = count;
        }
        self
    }
}
