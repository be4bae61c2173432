//! Block types of the capture format and what each holds. Numbers are those of the format; the 0x80xx_abcd ones are
//! from before it had any of its own.

/// Bytes of type and length in front of every body.
pub const HEADER_BYTES: usize = 8;
/// Type, length and repeated length.
pub const FRAME_BYTES: usize = 12;
pub const SECTION_MAGIC: u32 = 0x1a2b_3c4d;

// Types of the current versions, which the writer uses.
pub const SECTION: u32 = 0x0a0d_0d0a;
pub const MACHINE: u32 = 0x201;
pub const PROCS_V9: u32 = 0x215;
pub const FDS: u32 = 0x218;
pub const INTERFACES: u32 = 0x219;
pub const USERS: u32 = 0x220;
pub const EVENT: u32 = 0x216;
pub const EVENT_FLAGS: u32 = 0x217;
pub const EVENT_LARGE: u32 = 0x221;
pub const EVENT_LARGE_FLAGS: u32 = 0x222;

pub const HOSTNAME_BYTES: usize = 128;
/// An event has at most 64 KiB, plus its frame, CPU number, flags and padding.
pub const MAX_BYTES: usize = 65_536 + 64;
/// Events with large payloads (plugins, container descriptions); the format sets no limit, memory does.
pub const MAX_LARGE_BYTES: usize = 64 << 20;
/// Dump flag of events that a filter had rejected.
pub const STATE_ONLY: u8 = 1;

/// What a block holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Block {
    Section,
    Machine,
    /// Process list and its version, 1 to 9.
    Procs(u8),
    /// Open files of one thread; whether entries carry their length.
    Fds {
        sized: bool,
    },
    Interfaces {
        sized: bool,
    },
    Users {
        sized: bool,
    },
    Event(EventBlock),
    Unknown,
}

/// The shape of an event block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventBlock {
    /// Whether dump flags follow the CPU number.
    pub has_flags: bool,
    /// Version 1 events lack the parameter count.
    pub is_v1: bool,
    /// Not limited to 64 KiB.
    pub is_large: bool,
}

impl Block {
    #[inline]
    pub fn of(ty: u32) -> Block {
        match ty {
            EVENT => event(false, false, false),
            EVENT_FLAGS => event(true, false, false),
            EVENT_LARGE => event(false, false, true),
            EVENT_LARGE_FLAGS => event(true, false, true),
            0x204 | 0x8010_abcd => event(false, true, false),
            0x208 => event(true, true, false),
            SECTION => Block::Section,
            MACHINE | 0x8002_abcd => Block::Machine,
            0x202 | 0x8000_abcd => Block::Procs(1),
            0x207 | 0x8013_abcd => Block::Procs(2),
            0x209 | 0x8014_abcd => Block::Procs(3),
            0x210..=0x215 => Block::Procs(u8::try_from(ty - 0x210).unwrap_or(0) + 4),
            0x203 | 0x8001_abcd => Block::Fds { sized: false },
            FDS => Block::Fds { sized: true },
            0x205 | 0x8011_abcd => Block::Interfaces { sized: false },
            INTERFACES => Block::Interfaces { sized: true },
            0x206 | 0x8012_abcd => Block::Users { sized: false },
            USERS => Block::Users { sized: true },
            _ => Block::Unknown,
        }
    }
}

const fn event(has_flags: bool, is_v1: bool, is_large: bool) -> Block {
    Block::Event(EventBlock { has_flags, is_v1, is_large })
}

/// Opens a block at the end of `out`; [`end`] closes it.
#[inline]
pub fn begin(out: &mut Vec<u8>, ty: u32) -> usize {
    let start = out.len();
    out.extend_from_slice(&ty.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    start
}

/// Pads the body that follows [`begin`] and sets both lengths.
#[inline]
pub fn end(out: &mut Vec<u8>, start: usize) {
    let padded = (out.len() - start).next_multiple_of(4);
    out.resize(start + padded, 0);
    let bytes = u32::try_from(padded + 4).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&bytes);
    if let Some(slot) = out.get_mut(start + 4..start + 8) {
        slot.copy_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_list_versions() {
        let versions = [0x202, 0x207, 0x209, 0x210, 0x211, 0x212, 0x213, 0x214, 0x215].map(Block::of);
        assert_eq!(versions, [1, 2, 3, 4, 5, 6, 7, 8, 9].map(Block::Procs));
    }
}
