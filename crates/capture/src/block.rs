//! Block types of the capture format and what each holds. Numbers are those of the format; the 0x80xx_abcd ones are
//! from before it had any of its own.

/// Bytes of type and length in front of every body.
pub const HEADER_BYTES: usize = 8;
/// Type, length and repeated length.
pub const FRAME_BYTES: usize = 12;
pub const SECTION_MAGIC: u32 = 0x1a2b_3c4d;

pub const SECTION: u32 = 0x0a0d_0d0a;
pub const MACHINE: u32 = 0x201;

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
            0x216 => event(false, false, false),
            0x217 => event(true, false, false),
            0x221 => event(false, false, true),
            0x222 => event(true, false, true),
            0x204 | 0x8010_abcd => event(false, true, false),
            0x208 => event(true, true, false),
            SECTION => Block::Section,
            MACHINE | 0x8002_abcd => Block::Machine,
            0x202 | 0x8000_abcd => Block::Procs(1),
            0x207 | 0x8013_abcd => Block::Procs(2),
            0x209 | 0x8014_abcd => Block::Procs(3),
            0x210..=0x215 => Block::Procs(u8::try_from(ty - 0x210).unwrap_or(0) + 4),
            0x203 | 0x8001_abcd => Block::Fds { sized: false },
            0x218 => Block::Fds { sized: true },
            0x205 | 0x8011_abcd => Block::Interfaces { sized: false },
            0x219 => Block::Interfaces { sized: true },
            0x206 | 0x8012_abcd => Block::Users { sized: false },
            0x220 => Block::Users { sized: true },
            _ => Block::Unknown,
        }
    }
}

const fn event(has_flags: bool, is_v1: bool, is_large: bool) -> Block {
    Block::Event(EventBlock { has_flags, is_v1, is_large })
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
