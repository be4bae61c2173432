//! How counters lie in the map that the kernel holds: a header that identifies the build, then all counters, then all
//! MC/DC bitmaps. `split` writes it into the object; the collector and the reports read it with the same numbers.

use sha2::{Digest, Sha256};

/// Starts every counter map of ours.
pub const MAGIC: [u8; 8] = *b"HBCOVER\x01";
/// Magic, 16 bytes of the sidecar's hash, counter bytes (u32), bitmap bytes (u32).
pub const HEADER_BYTES: usize = 32;

/// Identity of one build: the start of the SHA-256 of its sidecar.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BuildId(pub [u8; 16]);

impl BuildId {
    pub fn of(sidecar: &[u8]) -> BuildId {
        let mut id = [0; 16];
        id.copy_from_slice(&Sha256::digest(sidecar)[..16]);
        BuildId(id)
    }

    /// Eight hexadecimal digits: names the map and the sidecar file.
    pub fn tag(&self) -> String {
        self.0[..4].iter().map(|b| format!("{b:02x}")).collect()
    }

    /// `.data.c` + tag: 15 characters, which the kernel keeps whole and every loader accepts as a data section.
    pub fn section(&self) -> String {
        format!(".data.c{}", self.tag())
    }
}

/// The identifying start of a counter map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub build: BuildId,
    pub counter_bytes: u32,
    pub bitmap_bytes: u32,
}

impl Header {
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..24].copy_from_slice(&self.build.0);
        bytes[24..28].copy_from_slice(&self.counter_bytes.to_le_bytes());
        bytes[28..].copy_from_slice(&self.bitmap_bytes.to_le_bytes());
        bytes
    }

    /// `None` when `value` is not a counter map of ours or is shorter than it claims.
    pub fn decode(value: &[u8]) -> Option<Header> {
        let head = value.first_chunk::<HEADER_BYTES>().filter(|h| h.starts_with(&MAGIC))?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let mut build = [0; 16];
        build.copy_from_slice(&head[8..24]);
        let header = Header { build: BuildId(build), counter_bytes: number(24), bitmap_bytes: number(28) };
        let end = HEADER_BYTES as u64 + u64::from(header.counter_bytes) + u64::from(header.bitmap_bytes);
        (end <= value.len() as u64).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trips_and_refuses_strangers() {
        let header = Header { build: BuildId::of(b"sidecar"), counter_bytes: 16, bitmap_bytes: 8 };
        let mut value = header.encode().to_vec();
        assert_eq!(Header::decode(&value), None, "shorter than it claims");
        value.resize(HEADER_BYTES + 24, 0);
        assert_eq!(Header::decode(&value), Some(header));
        assert_eq!(Header::decode(&[0; 64]), None);
        assert_eq!(header.build.section().len(), 15);
    }
}
