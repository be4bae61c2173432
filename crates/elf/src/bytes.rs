//! Bounds-checked reading of fixed-width integers in either byte order. In: a slice and an offset; out: a number or `None`.
//! Nothing here indexes unchecked or panics.

/// Byte order of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endian {
    Little,
    Big,
}

/// A slice with a byte order.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    pub data: &'a [u8],
    pub endian: Endian,
}

impl<'a> Reader<'a> {
    pub fn new(data: &'a [u8], endian: Endian) -> Self {
        Reader { data, endian }
    }

    pub fn bytes(&self, at: usize, len: usize) -> Option<&'a [u8]> {
        self.data.get(at..at.checked_add(len)?)
    }

    pub fn u8(&self, at: usize) -> Option<u8> {
        self.data.get(at).copied()
    }

    pub fn u16(&self, at: usize) -> Option<u16> {
        let raw = self.bytes(at, 2)?.try_into().ok()?;
        Some(if self.endian == Endian::Little { u16::from_le_bytes(raw) } else { u16::from_be_bytes(raw) })
    }

    pub fn u32(&self, at: usize) -> Option<u32> {
        let raw = self.bytes(at, 4)?.try_into().ok()?;
        Some(if self.endian == Endian::Little { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) })
    }

    pub fn u64(&self, at: usize) -> Option<u64> {
        let raw = self.bytes(at, 8)?.try_into().ok()?;
        Some(if self.endian == Endian::Little { u64::from_le_bytes(raw) } else { u64::from_be_bytes(raw) })
    }

    /// An offset or size field as an index; `None` where it does not fit this machine.
    pub fn offset64(&self, at: usize) -> Option<usize> {
        usize::try_from(self.u64(at)?).ok()
    }

    pub fn offset32(&self, at: usize) -> Option<usize> {
        usize::try_from(self.u32(at)?).ok()
    }

    /// The NUL-terminated text at `at`, `None` without a terminator or with broken UTF-8.
    pub fn text(&self, at: usize) -> Option<&'a str> {
        let rest = self.data.get(at..)?;
        let end = rest.iter().position(|b| *b == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    }
}
