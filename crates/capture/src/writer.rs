//! Writes captures in the current version of the format. In come a [`Snapshot`] and events; out go blocks, plain or
//! gzip. The order is that of the reference: section header, machine, interfaces, users, processes, open files, events.
//! Texts longer than readers accept are clipped and counted; nothing else is left out silently.

use crate::block;
use crate::tables;
use event::snapshot::Snapshot;
use event::wire::Event;
use event::{EventFlags, Kind};
use flate2::write::GzEncoder;
use std::io::{self, BufWriter, Write};

/// A capture being written.
pub struct Writer<W: Write> {
    output: Output<Counting<W>>,
    scratch: Vec<u8>,
    clipped_texts: u64,
}

/// How a capture is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    Plain,
    #[default]
    Gzip,
}

enum Output<W: Write> {
    Plain(BufWriter<W>),
    Gzip(Box<BufWriter<GzEncoder<W>>>),
}

impl<W: Write> Writer<W> {
    /// Begins a capture with `snapshot`. `Proc::clone_ts` has no place in the format and reads back as unknown.
    ///
    /// # Errors
    /// Those of `output`.
    pub fn new(output: W, compression: Compression, snapshot: &Snapshot) -> io::Result<Self> {
        let output = Counting { inner: output, bytes: 0 };
        let output = match compression {
            Compression::Plain => Output::Plain(BufWriter::with_capacity(BUFFER_BYTES, output)),
            Compression::Gzip => {
                let encoder = GzEncoder::new(output, flate2::Compression::new(GZIP_LEVEL));
                Output::Gzip(Box::new(BufWriter::with_capacity(BUFFER_BYTES, encoder)))
            }
        };
        let mut writer = Writer { output, scratch: Vec::new(), clipped_texts: 0 };
        writer.section(snapshot)?;
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
        self.output.write_all(&self.scratch)
    }

    /// Bytes that arrived at the output so far, compressed ones with [`Compression::Gzip`].
    pub fn output_bytes(&self) -> u64 {
        match &self.output {
            Output::Plain(out) => out.get_ref().bytes,
            Output::Gzip(out) => out.get_ref().get_ref().bytes,
        }
    }

    /// Texts of processes and files that were too long and lost their end.
    pub fn clipped_texts(&self) -> u64 {
        self.clipped_texts
    }

    /// Completes the capture and hands the output back.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(self) -> io::Result<W> {
        let mut output = match self.output {
            Output::Plain(out) => out.into_inner().map_err(io::IntoInnerError::into_error)?,
            Output::Gzip(out) => out.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?,
        };
        output.flush()?;
        Ok(output.inner)
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Plain(out) => out.write(bytes),
            Output::Gzip(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Plain(out) => out.flush(),
            Output::Gzip(out) => out.flush(),
        }
    }
}

struct Counting<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cold]
fn too_long(kind: Kind, bytes: usize) -> io::Error {
    let symbol = kind.info().map_or("?", |i| i.symbol);
    io::Error::new(io::ErrorKind::InvalidInput, format!("event `{symbol}` has {bytes} bytes, too many for a capture"))
}

const BUFFER_BYTES: usize = 64 * 1024;
/// 0.5 microseconds per event against 2.0 of the usual level 6, for a file a third larger: a recording runs beside a
/// sensor that must not lose events.
const GZIP_LEVEL: u32 = 2;
/// Of an event block's 64 KiB, CPU number and flags take six.
const MAX_EVENT_BYTES: usize = 65_536 - 6;
const MAX_LARGE_EVENT_BYTES: usize = block::MAX_LARGE_BYTES - 64;
