//! How an event lies in memory, the same in the sensor's ring buffers, in capture files (version 2 events) and in the
//! plugin interface. Little-endian, packed:
//!
//! `u64 ts_ns (wall clock) · u64 tid · u32 len (whole event) · u16 kind · u32 nparams · lengths[nparams] · parameters`
//!
//! Lengths are u16, or u32 for kinds with [`EventFlags::LARGE_PAYLOAD`]. A length of 0 means "empty": the value was not
//! available. Integers have the width of their type (errno, fd and pid: i64; uid, gid, mode, bool: u32); text carries
//! its terminating NUL; arrays of text are NUL-terminated strings one after the other;
//! socket address = family u8, then (2: ip 4 bytes in network order, port u16) | (10: ip 16, port u16) | (1: path);
//! socket tuple = family u8, then (2: sip, sport, dip, dport) | (10: the same) | (1: u64 source, u64 destination, path);
//! fd list = u16 count, then count times (i64 fd, i16 flags); dynamic = u8 variant, then the value of that variant.

use crate::tables::{EventFlags, Kind};

/// Bytes before the parameter lengths.
pub const HEADER_BYTES: usize = 26;
/// More parameters than any event of the table has.
pub const MAX_PARAMS: usize = 32;

/// One decoded event: a view into the bytes, nothing copied.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Wall clock, ns since the epoch.
    pub ts: u64,
    pub tid: i64,
    pub kind: Kind,
    /// CPU (or ring) it was seen on.
    pub cpu: u16,
    raw: &'a [u8],
    nparams: u8,
    /// End of parameter i within `raw`; the start of parameter 0 is `data_start`.
    ends: [u32; MAX_PARAMS],
    data_start: u32,
}

/// Why bytes are not an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// Fewer bytes than the header, the lengths or the parameters need.
    Truncated,
    /// A kind that this version does not know.
    UnknownKind(u16),
    /// More parameters than any known event has.
    TooManyParams(u32),
    /// The length in the header disagrees with lengths and parameters.
    LengthMismatch,
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DecodeError::Truncated => f.write_str("event is cut short"),
            DecodeError::UnknownKind(kind) => write!(f, "unknown event kind {kind}"),
            DecodeError::TooManyParams(n) => write!(f, "event claims {n} parameters, more than {MAX_PARAMS}"),
            DecodeError::LengthMismatch => f.write_str("event length disagrees with its parameters"),
        }
    }
}

impl std::error::Error for DecodeError {}

fn kind_of(bytes: &[u8]) -> Result<Kind, DecodeError> {
    let header = bytes.first_chunk::<HEADER_BYTES>().ok_or(DecodeError::Truncated)?;
    Ok(Kind(u16::from_le_bytes([header[20], header[21]])))
}

impl<'a> Event<'a> {
    /// Reads one event from the start of `bytes`; bytes behind its length are ignored.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &'a [u8], cpu: u16) -> Result<Event<'a>, DecodeError> {
        let kind = kind_of(bytes)?;
        let large = kind.info().ok_or(DecodeError::UnknownKind(kind.0))?.flags.has(EventFlags::LARGE_PAYLOAD);
        Event::lay_out(bytes, cpu, large)
    }

    /// Reads a record that is laid out as an event (with lengths of 16 bits) but whose kind is in no table.
    ///
    /// # Errors
    /// See [`DecodeError`]; never [`DecodeError::UnknownKind`].
    pub fn decode_record(bytes: &'a [u8], cpu: u16) -> Result<Event<'a>, DecodeError> {
        Event::lay_out(bytes, cpu, false)
    }

    fn lay_out(bytes: &'a [u8], cpu: u16, large: bool) -> Result<Event<'a>, DecodeError> {
        let header = bytes.first_chunk::<HEADER_BYTES>().ok_or(DecodeError::Truncated)?;
        let len = u32_at(header, 16) as usize;
        let nparams = u32_at(header, 22);
        if nparams as usize > MAX_PARAMS {
            return Err(DecodeError::TooManyParams(nparams));
        }
        let raw = bytes.get(..len).ok_or(DecodeError::Truncated)?;
        let width = if large { 4 } else { 2 };
        let data_start = HEADER_BYTES + width * nparams as usize;
        let lengths = raw.get(HEADER_BYTES..data_start).ok_or(DecodeError::Truncated)?;
        let mut ends = [0u32; MAX_PARAMS];
        let mut end = data_start as u64;
        for (slot, length) in ends.iter_mut().zip(lengths.chunks_exact(width)) {
            end += match length {
                [a, b] => u64::from(u16::from_le_bytes([*a, *b])),
                [a, b, c, d] => u64::from(u32::from_le_bytes([*a, *b, *c, *d])),
                _ => 0,
            };
            *slot = u32::try_from(end).map_err(|_| DecodeError::LengthMismatch)?;
        }
        if end != len as u64 {
            return Err(DecodeError::LengthMismatch);
        }
        Ok(Event {
            ts: u64_at(header, 0),
            tid: u64_at(header, 8).cast_signed(),
            kind: kind_of(bytes)?,
            cpu,
            raw,
            nparams: u8::try_from(nparams).unwrap_or(0),
            ends,
            data_start: u32::try_from(data_start).unwrap_or(0),
        })
    }

    /// The whole event as it lies in memory.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    pub fn nparams(&self) -> usize {
        usize::from(self.nparams)
    }

    /// The bytes of parameter `index`: `None` when the event has fewer, empty when the value was not available.
    #[inline]
    pub fn param(&self, index: usize) -> Option<&'a [u8]> {
        if index >= self.nparams() {
            return None;
        }
        let start = if index == 0 { self.data_start } else { *self.ends.get(index - 1)? };
        self.raw.get(start as usize..*self.ends.get(index)? as usize)
    }

    /// Parameter `index` as text without its terminating NUL; `None` when missing or empty.
    pub fn text(&self, index: usize) -> Option<&'a [u8]> {
        let bytes = self.param(index)?;
        let (last, text) = bytes.split_last()?;
        Some(if *last == 0 { text } else { bytes })
    }

    /// A signed 64-bit parameter (errno, fd, pid, int64); 32-bit ones are widened. `None` when missing or empty.
    pub fn i64(&self, index: usize) -> Option<i64> {
        let bytes = self.param(index)?;
        match bytes.len() {
            8 => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
            4 => Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
            2 => Some(i64::from(i16::from_le_bytes(bytes.try_into().ok()?))),
            1 => Some(i64::from(bytes[0].cast_signed())),
            _ => None,
        }
    }

    /// An unsigned parameter of any width. `None` when missing or empty.
    pub fn u64(&self, index: usize) -> Option<u64> {
        let bytes = self.param(index)?;
        match bytes.len() {
            8 => Some(u64::from_le_bytes(bytes.try_into().ok()?)),
            4 => Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?))),
            2 => Some(u64::from(u16::from_le_bytes(bytes.try_into().ok()?))),
            1 => Some(u64::from(bytes[0])),
            _ => None,
        }
    }

    /// An unsigned parameter, cut to 32 bits.
    pub fn u32(&self, index: usize) -> Option<u32> {
        self.u64(index).map(|v| u32::try_from(v & 0xffff_ffff).unwrap_or(u32::MAX))
    }
}

fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Appends one event to `out`. The inverse of [`Event::decode`]; used by the capture converter and by tests.
pub fn encode(out: &mut Vec<u8>, ts: u64, tid: i64, kind: Kind, params: &[&[u8]]) {
    let large = kind.has(EventFlags::LARGE_PAYLOAD);
    let width = if large { 4 } else { 2 };
    let data: usize = params.iter().map(|p| p.len()).sum();
    let len = HEADER_BYTES + width * params.len() + data;
    out.reserve(len);
    out.extend_from_slice(&ts.to_le_bytes());
    out.extend_from_slice(&tid.to_le_bytes());
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&kind.0.to_le_bytes());
    out.extend_from_slice(&u32::try_from(params.len()).unwrap_or(u32::MAX).to_le_bytes());
    for param in params {
        if large {
            out.extend_from_slice(&u32::try_from(param.len()).unwrap_or(u32::MAX).to_le_bytes());
        } else {
            out.extend_from_slice(&u16::try_from(param.len()).unwrap_or(u16::MAX).to_le_bytes());
        }
    }
    for param in params {
        out.extend_from_slice(param);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_the_same() {
        let mut bytes = Vec::new();
        let fd = 3i64.to_le_bytes();
        encode(&mut bytes, 7, 42, Kind::SYSCALL_CLOSE_X, &[&0i64.to_le_bytes(), &fd]);
        let event = Event::decode(&bytes, 1).expect("a good event");
        assert_eq!((event.ts, event.tid, event.kind, event.nparams()), (7, 42, Kind::SYSCALL_CLOSE_X, 2));
        assert_eq!(event.i64(1), Some(3));
        assert_eq!(event.param(2), None);
    }

    #[test]
    fn every_cut_is_an_error() {
        let mut bytes = Vec::new();
        encode(&mut bytes, 7, 42, Kind::SYSCALL_OPEN_X, &[&3i64.to_le_bytes(), b"/etc/passwd\0", b"", b"", b"", b""]);
        for end in 0..bytes.len() {
            assert!(Event::decode(&bytes[..end], 0).is_err(), "cut at {end}");
        }
    }
}
