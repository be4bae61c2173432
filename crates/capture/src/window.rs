//! A sliding window over the uncompressed input. In comes any reader, plain or gzip (recognised by its first bytes);
//! out go slices of as many bytes as asked for. The window grows only with data that really arrived, never by a length
//! that the data claims.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

/// See the module.
pub struct Window<R> {
    input: Input<R>,
    buf: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `start` in the uncompressed stream.
    offset: u64,
    ending: Option<Ending>,
}

/// How the input ended.
enum Ending {
    Clean,
    /// The gzip stream stopped in the middle.
    Cut,
    Failed(io::Error),
}

enum Input<R> {
    Plain(Counting<R>),
    Gzip(Members<BufReader<Counting<R>>>),
}

/// One gzip member after the other. What follows the last one and is no member is left alone, as zlib does it.
enum Members<B> {
    Within(Box<GzDecoder<B>>),
    Between(Option<B>),
}

struct Counting<R> {
    inner: Chain<Cursor<Vec<u8>>, R>,
    bytes: u64,
}

impl<R: Read> Window<R> {
    pub fn open(mut input: R) -> io::Result<Self> {
        let mut head = Vec::with_capacity(GZIP_MAGIC.len());
        input.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut head)?;
        let is_gzip = head == GZIP_MAGIC;
        let input = Counting { inner: Cursor::new(head).chain(input), bytes: 0 };
        let input = if is_gzip {
            let input = BufReader::with_capacity(GZIP_CHUNK_BYTES, input);
            Input::Gzip(Members::within(input))
        } else {
            Input::Plain(input)
        };
        Ok(Window { input, buf: vec![0; WINDOW_BYTES], start: 0, end: 0, offset: 0, ending: None })
    }

    /// Tries to have `bytes` bytes in the window and says how many there are: fewer only at the end of the input.
    #[inline]
    pub fn want(&mut self, bytes: usize) -> usize {
        if self.end - self.start < bytes {
            self.fill(bytes);
        }
        self.end - self.start
    }

    /// What is in the window.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    /// Moves the window forward by `bytes` and says where those bytes lie; [`Window::at`] finds them until the next
    /// [`Window::want`].
    #[inline]
    pub fn consume(&mut self, bytes: usize) -> usize {
        let at = self.start;
        self.start = (self.start + bytes).min(self.end);
        self.offset += bytes as u64;
        at
    }

    #[inline]
    pub fn at(&self, start: usize, bytes: usize) -> &[u8] {
        self.buf.get(start..start + bytes).unwrap_or_default()
    }

    /// Skips `bytes` bytes, however many; false when the input ends before.
    pub fn skip(&mut self, mut bytes: u64) -> bool {
        while bytes > 0 {
            let there = self.want(1) as u64;
            if there == 0 {
                return false;
            }
            let step = there.min(bytes);
            self.consume(usize::try_from(step).unwrap_or(0));
            bytes -= step;
        }
        true
    }

    /// Offset in the uncompressed stream.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes taken from the input so far, compressed or not.
    pub fn input_bytes(&self) -> u64 {
        match &self.input {
            Input::Plain(input) => input.bytes,
            Input::Gzip(members) => members.input().map_or(0, |input| input.get_ref().bytes),
        }
    }

    /// Whether the end of the data is the end of the input and not of a gzip stream that was cut.
    pub fn ended_cleanly(&self) -> bool {
        matches!(self.ending, Some(Ending::Clean))
    }

    /// The failure that ended the input, once.
    pub fn take_failure(&mut self) -> Option<io::Error> {
        match self.ending.replace(Ending::Cut) {
            Some(Ending::Failed(error)) => Some(error),
            other => {
                self.ending = other;
                None
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn fill(&mut self, bytes: usize) {
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while self.end < bytes && self.ending.is_none() {
            if self.end == self.buf.len() {
                self.buf.resize(self.buf.len() * 2, 0);
            }
            let free = self.buf.get_mut(self.end..).unwrap_or_default();
            match self.input.read(free) {
                Ok(0) => self.ending = Some(Ending::Clean),
                Ok(n) => self.end += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => self.ending = Some(Ending::Cut),
                Err(e) => self.ending = Some(Ending::Failed(e)),
            }
        }
        if bytes <= WINDOW_BYTES && self.buf.len() > WINDOW_BYTES && self.end <= WINDOW_BYTES {
            self.buf.truncate(WINDOW_BYTES);
            self.buf.shrink_to_fit();
        }
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::Plain(input) => input.read(buf),
            Input::Gzip(members) => members.read(buf),
        }
    }
}

impl<B: BufRead> Members<B> {
    fn within(input: B) -> Self {
        Members::Within(Box::new(GzDecoder::new(input)))
    }

    fn input(&self) -> Option<&B> {
        match self {
            Members::Within(member) => Some(member.get_ref()),
            Members::Between(input) => input.as_ref(),
        }
    }
}

impl<B: BufRead> Read for Members<B> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while let Members::Within(member) = self {
            let n = member.read(buf)?;
            if n > 0 || buf.is_empty() {
                return Ok(n);
            }
            let Members::Within(member) = std::mem::replace(self, Members::Between(None)) else { break };
            let mut input = member.into_inner();
            let goes_on = input.fill_buf()?.first() == GZIP_MAGIC.first();
            *self = if goes_on { Members::within(input) } else { Members::Between(Some(input)) };
        }
        Ok(0)
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.bytes += n as u64;
        Ok(n)
    }
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Fits the second-level cache and still holds a thousand events.
const WINDOW_BYTES: usize = 256 * 1024;
const GZIP_CHUNK_BYTES: usize = 64 * 1024;
