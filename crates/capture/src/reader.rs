//! Reads a capture as a stream. In comes any [`Read`]; out come the snapshot of each section and its events, converted
//! to current versions and borrowed from the reader's window. Memory stays constant however long the capture is. A cut
//! or damaged capture yields everything before the fault, then one error that says where.

use crate::block::{self, Block, EventBlock};
use crate::convert::{Converter, Failure, Fate, Verdict};
use crate::metadata::{Collector, Fields};
use crate::window::Window;
use crate::{Error, v1};
use event::Kind;
use event::snapshot::Snapshot;
use event::wire::{DecodeError, Event, HEADER_BYTES};
use std::io::Read;

/// A capture being read.
pub struct Reader<R> {
    window: Window<R>,
    converter: Converter,
    snapshot: Snapshot,
    counters: Counters,
    /// Version 1 events, rewritten.
    rewritten: Vec<u8>,
    is_over: bool,
}

/// What a capture consists of.
#[derive(Debug)]
pub enum Item<'a> {
    Event(Record<'a>),
    /// Another section begins: all state starts anew from this snapshot. The first section's is [`Reader::snapshot`].
    Section(&'a Snapshot),
}

/// One event of a capture.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub event: Event<'a>,
    /// Recorded for the state tables only: a filter had rejected it, rules must not see it.
    pub state_only: bool,
}

/// What was read, and everything that was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Event blocks.
    pub events: u64,
    /// Events that became newer versions.
    pub converted: u64,
    /// Events of kinds without news: unused ones, enter events whose data is in the exit event.
    pub superseded: u64,
    /// Events of kinds that this version does not know.
    pub unknown_events: u64,
    /// Blocks of types that this version does not know.
    pub unknown_blocks: u64,
    /// Open files of threads that the process list lacks.
    pub orphan_fds: u64,
    /// Enter events given up because too many waited for their exit.
    pub forgotten_enters: u64,
    pub sections: u64,
}

/// Where the next item lies.
enum Found {
    /// In the window, as recorded.
    Recorded(Span),
    /// In [`Reader::rewritten`].
    Rewritten(Span),
    /// In the converter.
    Converted(Span),
    Section,
    End,
}

/// An event within the window, behind block header, CPU number and flags.
#[derive(Clone, Copy)]
struct Span {
    at: usize,
    bytes: usize,
    cpu: u16,
    state_only: bool,
}

impl<R: Read> Reader<R> {
    /// Reads up to the first event: plain or gzip, recognised by the first bytes.
    ///
    /// # Errors
    /// No capture, a future version, damaged or cut tables.
    pub fn open(input: R) -> Result<Self, Error> {
        let window = Window::open(input).map_err(|source| Error::Input { at: 0, events: 0, source })?;
        let mut reader = Reader {
            window,
            converter: Converter::default(),
            snapshot: Snapshot::default(),
            counters: Counters::default(),
            rewritten: Vec::new(),
            is_over: false,
        };
        reader.section()?;
        Ok(reader)
    }

    /// What the current section says was there before its events.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Moves the snapshot out, so that it need not stay in memory while events are read.
    pub fn take_snapshot(&mut self) -> Snapshot {
        std::mem::take(&mut self.snapshot)
    }

    pub fn counters(&self) -> Counters {
        Counters { forgotten_enters: self.converter.forgotten(), ..self.counters }
    }

    /// Bytes taken from the input so far (compressed ones of a gzip capture), to compare with the size of a file.
    pub fn input_bytes(&self) -> u64 {
        self.window.input_bytes()
    }

    /// The next event or section; `None` at the end.
    ///
    /// # Errors
    /// After an error that [concerns one event](Error::concerns_one_event) reading goes on behind that event; after any
    /// other the capture is over.
    #[allow(clippy::should_implement_trait)] // items borrow from the reader
    #[inline]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, Error> {
        let (bytes, span) = match self.advance()? {
            Found::Recorded(span) => (self.window.at(span.at, span.bytes), span),
            Found::Rewritten(span) => (&self.rewritten[..], span),
            Found::Converted(span) => (self.converter.converted(), span),
            Found::Section => return Ok(Some(Item::Section(&self.snapshot))),
            Found::End => return Ok(None),
        };
        match Event::decode(bytes, span.cpu) {
            Ok(event) => Ok(Some(Item::Event(Record { event, state_only: span.state_only }))),
            Err(source) => Err(bad_event(self.window.offset(), self.counters.events, source)),
        }
    }

    fn advance(&mut self) -> Result<Found, Error> {
        while !self.is_over {
            let Some((ty, bytes)) = self.block_header()? else { break };
            match Block::of(ty) {
                Block::Event(shape) => {
                    if let Some(found) = self.event(shape, bytes)? {
                        return Ok(found);
                    }
                }
                Block::Section => {
                    self.section()?;
                    return Ok(Found::Section);
                }
                Block::Unknown => self.skip_unknown(bytes)?,
                _ => return Err(self.damaged("a table stands between events")),
            }
        }
        let is_first_end = !std::mem::replace(&mut self.is_over, true);
        if is_first_end && self.counters.events == 0 { Err(Error::NoEvents) } else { Ok(Found::End) }
    }

    /// Type and total length of the next block, which stays in the window; `None` at the end of the capture.
    #[inline]
    fn block_header(&mut self) -> Result<Option<(u32, usize)>, Error> {
        let there = self.window.want(block::HEADER_BYTES);
        if let Some(header) = self.window.bytes().first_chunk::<{ block::HEADER_BYTES }>() {
            let [a, b, c, d, e, f, g, h] = *header;
            let bytes = u32::from_le_bytes([e, f, g, h]) as usize;
            if bytes < block::FRAME_BYTES {
                return Err(self.damaged("a block is shorter than its frame"));
            }
            return Ok(Some((u32::from_le_bytes([a, b, c, d]), bytes)));
        }
        if there == 0 && self.window.ended_cleanly() { Ok(None) } else { Err(self.cut()) }
    }

    /// Reads one event block; `None` when it leads to no event.
    #[inline]
    fn event(&mut self, shape: EventBlock, block_bytes: usize) -> Result<Option<Found>, Error> {
        let span = self.span(shape, block_bytes)?;
        let event = self.window.at(span.at, span.bytes);
        let Some(kind) = kind_of(event) else { return Err(self.bad_event(DecodeError::Truncated)) };
        let Some(info) = kind.info() else {
            self.counters.unknown_events += 1;
            return Ok(None);
        };
        match Fate::of(info) {
            Fate::Drop => {
                self.counters.superseded += 1;
                Ok(None)
            }
            Fate::Keep if !shape.is_v1 => {
                if kind == Kind::PROCEXIT_1_E {
                    self.converter.end_thread(tid_of(event));
                }
                Ok(Some(Found::Recorded(span)))
            }
            Fate::Exit { nparams } if !shape.is_v1 && nparams_of(event) == nparams => Ok(Some(Found::Recorded(span))),
            _ => self.old_event(span, kind, shape.is_v1),
        }
    }

    /// Takes one event block out of the window.
    #[inline]
    fn span(&mut self, shape: EventBlock, block_bytes: usize) -> Result<Span, Error> {
        if block_bytes > if shape.is_large { block::MAX_LARGE_BYTES } else { block::MAX_BYTES } {
            return Err(self.damaged("an event block is too long"));
        }
        if self.window.want(block_bytes) < block_bytes {
            return Err(self.cut());
        }
        let at = self.window.consume(block_bytes) + block::HEADER_BYTES;
        self.counters.events += 1;
        let body = self.window.at(at, block_bytes - block::FRAME_BYTES);
        let (prefix_bytes, flags) = if shape.has_flags { (6, body.get(2).copied()) } else { (2, Some(0)) };
        match (body, flags) {
            ([a, b, ..], Some(flags)) if body.len() >= prefix_bytes => Ok(Span {
                at: at + prefix_bytes,
                bytes: body.len() - prefix_bytes,
                cpu: u16::from_le_bytes([*a, *b]),
                state_only: flags & block::STATE_ONLY != 0,
            }),
            _ => Err(self.bad_event(DecodeError::Truncated)),
        }
    }

    /// Brings an event of an old version up to date.
    fn old_event(&mut self, span: Span, kind: Kind, is_v1: bool) -> Result<Option<Found>, Error> {
        let (at, events) = (self.window.offset(), self.counters.events);
        let mut raw = self.window.at(span.at, span.bytes);
        if is_v1 {
            v1::upgrade(raw, &mut self.rewritten).map_err(|source| bad_event(at, events, source))?;
            raw = &self.rewritten;
        }
        match self.converter.convert(raw) {
            Ok(Verdict::Keep) if is_v1 => Ok(Some(Found::Rewritten(span))),
            Ok(Verdict::Keep) => Ok(Some(Found::Recorded(span))),
            Ok(Verdict::Drop) => {
                self.counters.superseded += 1;
                Ok(None)
            }
            Ok(Verdict::Converted) => {
                self.counters.converted += 1;
                Ok(Some(Found::Converted(span)))
            }
            Err(Failure::Malformed(source)) => Err(bad_event(at, events, source)),
            Err(Failure::NoRule(reason)) => {
                let nparams = if is_v1 { nparams_of(&self.rewritten) } else { nparams_of(raw) };
                Err(Error::Unconvertible { at, events, kind, nparams, reason })
            }
        }
    }

    /// Reads section header and tables up to the first event.
    fn section(&mut self) -> Result<(), Error> {
        self.converter.reset();
        self.section_header()?;
        self.counters.sections += 1;
        let mut collector = Collector::default();
        while let Some((ty, bytes)) = self.block_header()? {
            match Block::of(ty) {
                Block::Event(_) | Block::Section => break,
                Block::Unknown => self.skip_unknown(bytes)?,
                block => self.framed(bytes, |fields| collector.block(block, fields))?,
            }
        }
        let (snapshot, orphan_fds) = collector.finish();
        self.snapshot = snapshot;
        self.counters.orphan_fds += orphan_fds;
        Ok(())
    }

    fn section_header(&mut self) -> Result<(), Error> {
        self.window.want(block::FRAME_BYTES);
        let (ty, bytes) = match self.window.bytes() {
            [] if self.window.ended_cleanly() => return Err(Error::NotACapture("it is empty")),
            [a, b, c, d, e, f, g, h, ..] => {
                (u32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h]) as usize)
            }
            _ if self.window.ended_cleanly() => return Err(Error::NotACapture("it is shorter than a section header")),
            _ => return Err(self.cut()),
        };
        if ty != block::SECTION {
            return Err(Error::NotACapture("it does not begin with a section header"));
        }
        self.framed(bytes, |fields| {
            let (magic, major, minor) = (fields.u32()?, fields.u16()?, fields.u16()?);
            match (magic, major) {
                (block::SECTION_MAGIC, 0 | 1) => Ok(()),
                (block::SECTION_MAGIC, _) => Err(Error::FutureVersion { major, minor }),
                (BIG_ENDIAN_MAGIC, _) => Err(Error::NotACapture("it was recorded on a big-endian machine")),
                _ => Err(Error::NotACapture("its section header has another magic number")),
            }
        })
    }

    /// Takes the frame off a block of tables, lets `read` have its fields and skips what it leaves.
    fn framed(
        &mut self,
        block_bytes: usize,
        read: impl FnOnce(&mut Fields<'_, R>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let events = self.counters.events;
        self.window.consume(block::HEADER_BYTES);
        let mut fields = Fields::new(&mut self.window, block_bytes.saturating_sub(block::FRAME_BYTES) as u64);
        let result = read(&mut fields).and_then(|()| fields.end_entry());
        if let Err(error) = result {
            self.is_over = true;
            return Err(error.after(events));
        }
        let trailer_bytes = size_of::<u32>();
        if self.window.want(trailer_bytes) < trailer_bytes {
            return Err(self.cut());
        }
        let at = self.window.consume(trailer_bytes);
        let trailer = self.window.at(at, trailer_bytes).iter().rev().fold(0, |n, b| n << 8 | usize::from(*b));
        if trailer == block_bytes { Ok(()) } else { Err(self.damaged("the two lengths of a table disagree")) }
    }

    fn skip_unknown(&mut self, block_bytes: usize) -> Result<(), Error> {
        self.counters.unknown_blocks += 1;
        if self.window.skip(block_bytes as u64) { Ok(()) } else { Err(self.cut()) }
    }

    #[cold]
    fn bad_event(&self, source: DecodeError) -> Error {
        bad_event(self.window.offset(), self.counters.events, source)
    }

    /// The data ends where it must not.
    #[cold]
    fn cut(&mut self) -> Error {
        self.is_over = true;
        let (at, events) = (self.window.offset(), self.counters.events);
        match self.window.take_failure() {
            Some(source) => Error::Input { at, events, source },
            None => Error::Truncated { at, events },
        }
    }

    #[cold]
    fn damaged(&mut self, what: &'static str) -> Error {
        self.is_over = true;
        Error::Damaged { at: self.window.offset(), events: self.counters.events, what }
    }
}

#[cold]
fn bad_event(at: u64, events: u64, source: DecodeError) -> Error {
    Error::BadEvent { at, events, source }
}

/// The kind in an event header; version 1 and 2 agree on its place.
#[inline]
fn kind_of(event: &[u8]) -> Option<Kind> {
    let header = event.first_chunk::<{ v1::V1_HEADER_BYTES }>()?;
    Some(Kind(u16::from_le_bytes([header[20], header[21]])))
}

/// The thread in an event header; -1 when there is none.
fn tid_of(event: &[u8]) -> i64 {
    event.get(8..).and_then(<[u8]>::first_chunk).map_or(-1, |tid| i64::from_le_bytes(*tid))
}

/// The parameter count in a version 2 header; `usize::MAX` when there is none.
#[inline]
fn nparams_of(event: &[u8]) -> usize {
    match event.first_chunk::<HEADER_BYTES>() {
        Some(header) => u32::from_le_bytes([header[22], header[23], header[24], header[25]]) as usize,
        None => usize::MAX,
    }
}

const BIG_ENDIAN_MAGIC: u32 = block::SECTION_MAGIC.swap_bytes();
