//! Raw profiles as LLVM's runtime writes them, for `llvm-profdata merge`: a sidecar and counters come in, the bytes of one
//! raw version go out. Each `llvm-profdata` reads exactly its own version (compiler-rt's InstrProfData.inc of that release).

use super::Counters;
use crate::sidecar::{Function, Sidecar};

/// Raw versions that are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RawVersion {
    V5 = 5,
    V7 = 7,
    V8 = 8,
    V9 = 9,
    V10 = 10,
}

impl RawVersion {
    /// The version that the tools of an LLVM release read.
    pub fn of_llvm(major: u32) -> RawVersion {
        match major {
            0..=12 => RawVersion::V5,
            13 => RawVersion::V7,
            14..=17 => RawVersion::V8,
            18 => RawVersion::V9,
            _ => RawVersion::V10,
        }
    }

    fn has_bitmaps(self) -> bool {
        matches!(self, RawVersion::V9 | RawVersion::V10)
    }

    fn record_bytes(self) -> usize {
        if self.has_bitmaps() { 64 } else { 48 }
    }
}

/// One raw profile; several may follow each other in a file.
pub fn profraw(sidecar: &Sidecar, counters: &Counters, version: RawVersion) -> Vec<u8> {
    let functions: Vec<&Function> = sidecar.functions.iter().filter(|f| sidecar.name(f.name_ref).is_some()).collect();
    let body = Body::of(&functions, counters);
    let names = names(sidecar, &functions);
    let bitmaps = if version.has_bitmaps() { body.bitmaps.as_slice() } else { &[] };
    let data_bytes = functions.len() * version.record_bytes();
    let layout = Layout { version, data_bytes, bitmaps_at: data_bytes + body.counters.len() * 8 };
    let mut out = layout.header(functions.len(), &body, bitmaps.len(), names.len());
    for (index, function) in functions.iter().enumerate() {
        layout.record(&mut out, index, function, body.places[index]);
    }
    body.counters.iter().for_each(|c| out.extend_from_slice(&c.to_le_bytes()));
    out.extend_from_slice(bitmaps);
    pad(&mut out);
    out.extend_from_slice(&names);
    pad(&mut out);
    out
}

/// Counters and bitmaps of the functions one after the other.
struct Body {
    counters: Vec<u64>,
    bitmaps: Vec<u8>,
    /// Byte offsets of each function's counters and bitmap.
    places: Vec<(usize, usize)>,
}

impl Body {
    fn of(functions: &[&Function], source: &Counters) -> Body {
        let mut body = Body { counters: Vec::new(), bitmaps: Vec::new(), places: Vec::new() };
        for function in functions {
            body.places.push((body.counters.len() * 8, body.bitmaps.len()));
            body.counters.extend_from_slice(source.of(function));
            body.bitmaps.extend_from_slice(source.bitmap_of(function));
        }
        body
    }
}

struct Layout {
    version: RawVersion,
    data_bytes: usize,
    /// From the start of the records.
    bitmaps_at: usize,
}

impl Layout {
    fn header(&self, records: usize, body: &Body, bitmap_bytes: usize, name_bytes: usize) -> Vec<u8> {
        let padding = |bytes: usize| bytes.next_multiple_of(8) - bytes;
        let relative = !matches!(self.version, RawVersion::V5 | RawVersion::V7);
        let counters_delta = if relative { self.data_bytes } else { 0 };
        let counters = body.counters.len();
        let fields: Vec<usize> = match self.version {
            RawVersion::V5 => vec![records, 0, counters, 0, name_bytes, counters_delta, 0, 1],
            RawVersion::V7 | RawVersion::V8 => vec![0, records, 0, counters, 0, name_bytes, counters_delta, 0, 1],
            RawVersion::V9 | RawVersion::V10 => {
                let deltas = [counters_delta, self.bitmaps_at, 0];
                let head = [0, records, 0, counters, 0, bitmap_bytes, padding(bitmap_bytes), name_bytes];
                let tail: &[usize] = if self.version == RawVersion::V9 { &[1] } else { &[0, 0, 2] };
                [&head[..], &deltas, tail].concat()
            }
        };
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&(self.version as u64).to_le_bytes());
        fields.iter().for_each(|f| out.extend_from_slice(&(*f as u64).to_le_bytes()));
        out
    }

    /// Pointers are offsets in the counters up to version 7, differences to the record from version 8 on.
    fn record(&self, out: &mut Vec<u8>, index: usize, function: &Function, place: (usize, usize)) {
        let here = index * self.version.record_bytes();
        let relative = |area: usize, offset: usize| ((area + offset) as u64).wrapping_sub(here as u64);
        let counter = match self.version {
            RawVersion::V5 | RawVersion::V7 => place.0 as u64,
            _ => relative(self.data_bytes, place.0),
        };
        let start = out.len();
        let mut word = |value: u64| out.extend_from_slice(&value.to_le_bytes());
        word(function.name_ref);
        word(function.hash);
        word(counter);
        if self.version.has_bitmaps() {
            word(relative(self.bitmaps_at, place.1));
        }
        word(0);
        word(0);
        let half = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
        out.extend_from_slice(&half(function.counters));
        out.resize(start + self.version.record_bytes(), 0);
        let bitmap_at = match self.version {
            RawVersion::V9 => 56,
            RawVersion::V10 => 60,
            _ => return,
        };
        out[start + bitmap_at..start + bitmap_at + 4].copy_from_slice(&half(function.bitmap_bytes));
    }
}

/// One chunk, stored: size, 0, names joined by 0x01.
fn names(sidecar: &Sidecar, functions: &[&Function]) -> Vec<u8> {
    let names: Vec<&str> = functions.iter().filter_map(|f| sidecar.name(f.name_ref)).collect();
    let text = names.join("\u{1}");
    let mut out = uleb(text.len());
    out.push(0);
    out.extend_from_slice(text.as_bytes());
    out
}

fn uleb(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

/// `\xff lprofr \x81` read as a little-endian number.
const MAGIC: &[u8; 8] = b"\x81rforpl\xff";
