//! Version 1 events, which lack the parameter count. In comes `ts u64 · tid u64 · len u32 · kind u16 · lengths ·
//! parameters`; out goes a version 2 event with the count that makes lengths and parameters meet `len`.

use event::wire::{DecodeError, HEADER_BYTES};
use event::{EventFlags, Kind};

/// Bytes of a version 1 header.
pub const V1_HEADER_BYTES: usize = 22;

/// Rewrites the event at the start of `old` into `out` as version 2.
pub fn upgrade(old: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let header = old.first_chunk::<V1_HEADER_BYTES>().ok_or(DecodeError::Truncated)?;
    let len = u32::from_le_bytes([header[16], header[17], header[18], header[19]]) as usize;
    let kind = Kind(u16::from_le_bytes([header[20], header[21]]));
    let info = kind.info().ok_or(DecodeError::UnknownKind(kind.0))?;
    let is_large = info.flags.has(EventFlags::LARGE_PAYLOAD);
    let body = |len: usize| old.get(V1_HEADER_BYTES..len).ok_or(DecodeError::Truncated);
    let mut found = None;
    if has_excess_length(kind) && len >= EXCESS_BYTES {
        found = Some(body(len - EXCESS_BYTES)?).and_then(|b| Some((b, count(b, info.params.len(), is_large)?)));
    }
    if found.is_none() {
        let whole = body(len)?;
        found = count(whole, info.params.len(), is_large).map(|n| (whole, n));
    }
    let (rest, nparams) = found.ok_or(DecodeError::LengthMismatch)?;
    out.clear();
    out.extend_from_slice(header.get(..16).unwrap_or_default());
    let len = u32::try_from(HEADER_BYTES + rest.len()).map_err(|_| DecodeError::LengthMismatch)?;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&kind.0.to_le_bytes());
    out.extend_from_slice(&u32::try_from(nparams).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(rest);
    Ok(())
}

/// The largest count, at most `most`, for which lengths and parameters fill `body` exactly.
fn count(body: &[u8], most: usize, is_large: bool) -> Option<usize> {
    let width = if is_large { 4 } else { 2 };
    (0..=most).rev().find(|n| {
        let Some(lengths) = body.get(..n * width) else { return false };
        let sum: u64 = lengths.chunks_exact(width).map(little_endian).sum();
        sum + lengths.len() as u64 == body.len() as u64
    })
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// Two kinds were once written with three bytes too many in their length.
fn has_excess_length(kind: Kind) -> bool {
    kind == Kind::NOTIFICATION_E || kind == Kind::INFRASTRUCTURE_EVENT_E
}

const EXCESS_BYTES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use event::wire::{Event, encode};

    fn v1(kind: Kind, params: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, 1, 2, kind, params);
        let len = u32::try_from(bytes.len() - 4).unwrap();
        bytes[16..20].copy_from_slice(&len.to_le_bytes());
        bytes.drain(22..26);
        bytes
    }

    #[test]
    fn counts_are_found_again() {
        let fd = 3i64.to_le_bytes();
        for n in 0..=6 {
            let params = [&fd[..], b"/tmp\0", b"\x01\0\0\0", b"", b"", b""];
            let old = v1(Kind::SYSCALL_OPEN_X, &params[..n]);
            let mut out = Vec::new();
            upgrade(&old, &mut out).unwrap();
            let event = Event::decode(&out, 0).unwrap();
            assert_eq!(event.i64(0), (n > 0).then_some(3), "{n} parameters");
        }
    }

    #[test]
    fn no_count_fits() {
        let mut old = v1(Kind::SYSCALL_CLOSE_X, &[b"\0\0\0\0\0\0\0\0"]);
        old[22] = 9;
        assert_eq!(upgrade(&old, &mut Vec::new()), Err(DecodeError::LengthMismatch));
    }

    #[test]
    fn three_bytes_too_many_are_forgiven() {
        let mut old = v1(Kind::NOTIFICATION_E, &[b"id\0", b"text\0"]);
        let len = u32::try_from(old.len() + 3).unwrap();
        old[16..20].copy_from_slice(&len.to_le_bytes());
        let mut out = Vec::new();
        upgrade(&old, &mut out).unwrap();
        assert_eq!(Event::decode(&out, 0).unwrap().text(1), Some(&b"text"[..]));
    }
}
