//! Writes captures in the current version of the format. In come a [`Snapshot`] and events; out go blocks, plain or
//! gzip. The order is that of the reference: section header, machine, interfaces, users, processes, open files, events.
//! Texts longer than readers accept are clipped and counted; nothing else is left out silently. The output gets whole
//! blocks and whole gzip members only, so that what it holds at any time is a capture, however the writing ends.

use crate::block;
use crate::tables;
use event::snapshot::Snapshot;
use event::wire::Event;
use event::{EventFlags, Kind};
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// A capture being written.
pub struct Writer<W: Write> {
    output: Output<W>,
    scratch: Vec<u8>,
    events: u64,
    whole: Whole,
    clipped_texts: u64,
}

/// How a capture is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    Plain,
    #[default]
    Gzip,
}

/// The part of an output that is a capture by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Whole {
    pub bytes: u64,
    /// Without events it is none that readers accept.
    pub events: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a capture with `snapshot`. `Proc::clone_ts` has no place in the format and reads back as unknown.
    ///
    /// # Errors
    /// Those of `output`.
    pub fn new(output: W, compression: Compression, snapshot: &Snapshot) -> io::Result<Self> {
        let output = Output { inner: output, bytes: 0, held: Held::new(compression), held_bytes: 0 };
        let (scratch, whole) = (Vec::new(), Whole::default());
        let mut writer = Writer { output, scratch, events: 0, whole, clipped_texts: 0 };
        writer.section(snapshot)?;
        writer.output.settle()?;
        Ok(writer)
    }

    /// Begins another section: readers start anew from `snapshot`.
    ///
    /// # Errors
    /// Those of the output.
    pub fn section(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.clipped_texts += tables::write(snapshot, &mut self.output)?;
        Ok(())
    }

    /// Appends one event; `state_only` marks one that rules must not see on replay.
    ///
    /// # Errors
    /// Those of the output; an event of more than 64 KiB of a kind that may not be that long.
    #[inline]
    pub fn event(&mut self, event: &Event<'_>, state_only: bool) -> io::Result<()> {
        let raw = event.raw();
        let is_large = event.kind.has(EventFlags::LARGE_PAYLOAD);
        if raw.len() > if is_large { MAX_LARGE_EVENT_BYTES } else { MAX_EVENT_BYTES } {
            return Err(too_long(event.kind, raw.len()));
        }
        let (ty, flags): (u32, &[u8]) = match (is_large, state_only) {
            (false, false) => (block::EVENT, &[]),
            (false, true) => (block::EVENT_FLAGS, &[block::STATE_ONLY, 0, 0, 0]),
            (true, false) => (block::EVENT_LARGE, &[]),
            (true, true) => (block::EVENT_LARGE_FLAGS, &[block::STATE_ONLY, 0, 0, 0]),
        };
        self.scratch.clear();
        let start = block::begin(&mut self.scratch, ty);
        self.scratch.extend_from_slice(&event.cpu.to_le_bytes());
        self.scratch.extend_from_slice(flags);
        self.scratch.extend_from_slice(raw);
        block::end(&mut self.scratch, start);
        self.output.hold(&self.scratch)?;
        self.events += 1;
        if self.output.is_full() { self.settle() } else { Ok(()) }
    }

    /// Hands everything so far to the output.
    ///
    /// # Errors
    /// Those of the output.
    pub fn settle(&mut self) -> io::Result<()> {
        self.output.settle()?;
        self.whole = Whole { bytes: self.output.bytes, events: self.events };
        Ok(())
    }

    /// What the output holds for certain, also after an error.
    pub fn whole(&self) -> Whole {
        self.whole
    }

    /// Bytes of the capture so far, compressed ones with [`Compression::Gzip`].
    pub fn output_bytes(&self) -> u64 {
        self.output.bytes + self.output.held.bytes() as u64
    }

    /// Texts of processes and files that were too long and lost their end.
    pub fn clipped_texts(&self) -> u64 {
        self.clipped_texts
    }

    /// Completes the capture and hands the output back.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.settle()?;
        self.output.inner.flush()?;
        Ok(self.output.inner)
    }
}

/// An output behind a buffer of whole blocks.
struct Output<W> {
    inner: W,
    /// Bytes that arrived at `inner`.
    bytes: u64,
    held: Held,
    /// Bytes of blocks in `held`, before compression.
    held_bytes: usize,
}

/// Blocks that are not handed on yet.
enum Held {
    Plain(Vec<u8>),
    /// One gzip member.
    Gzip(Box<GzEncoder<Vec<u8>>>),
}

impl<W: Write> Output<W> {
    fn hold(&mut self, blocks: &[u8]) -> io::Result<()> {
        self.held_bytes += blocks.len();
        match &mut self.held {
            Held::Plain(held) => held.write_all(blocks),
            Held::Gzip(member) => member.write_all(blocks),
        }
    }

    #[inline]
    fn is_full(&self) -> bool {
        let most = if matches!(self.held, Held::Plain(_)) { MAX_HELD_BYTES } else { MAX_MEMBER_BYTES };
        self.held_bytes >= most
    }

    fn settle(&mut self) -> io::Result<()> {
        if self.held_bytes == 0 {
            return Ok(());
        }
        self.held_bytes = 0;
        match &mut self.held {
            Held::Plain(held) => {
                self.inner.write_all(held)?;
                self.bytes += held.len() as u64;
                held.clear();
            }
            Held::Gzip(member) => {
                let bytes = std::mem::replace(member, new_member()).finish()?;
                self.inner.write_all(&bytes)?;
                self.bytes += bytes.len() as u64;
            }
        }
        Ok(())
    }
}

/// Whole blocks only, as the tables are written.
impl<W: Write> Write for Output<W> {
    fn write(&mut self, blocks: &[u8]) -> io::Result<usize> {
        self.hold(blocks)?;
        if self.is_full() {
            self.settle()?;
        }
        Ok(blocks.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.settle()
    }
}

impl Held {
    fn new(compression: Compression) -> Held {
        match compression {
            Compression::Plain => Held::Plain(Vec::with_capacity(MAX_HELD_BYTES)),
            Compression::Gzip => Held::Gzip(new_member()),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Held::Plain(held) => held.len(),
            Held::Gzip(member) => member.get_ref().len(),
        }
    }
}

fn new_member() -> Box<GzEncoder<Vec<u8>>> {
    Box::new(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL)))
}

#[cold]
fn too_long(kind: Kind, bytes: usize) -> io::Error {
    let symbol = kind.info().map_or("?", |i| i.symbol);
    io::Error::new(io::ErrorKind::InvalidInput, format!("event `{symbol}` has {bytes} bytes, too many for a capture"))
}

const MAX_HELD_BYTES: usize = 64 << 10;
/// A member has a dictionary of its own, so short ones compress worse; at this length it makes 1 %.
const MAX_MEMBER_BYTES: usize = 1 << 20;
/// 0.5 microseconds per event against 2.0 of the usual level 6, for a file a third larger: a recording runs beside a
/// sensor that must not lose events.
const GZIP_LEVEL: u32 = 2;
/// Of an event block's 64 KiB, CPU number and flags take six.
const MAX_EVENT_BYTES: usize = 65_536 - 6;
const MAX_LARGE_EVENT_BYTES: usize = block::MAX_LARGE_BYTES - 64;
