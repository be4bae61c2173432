//! Bounds-checked reading of little-endian numbers and LEB128 out of one section. Every failure names the section and the
//! byte; nothing is ever read past the end.

use crate::Error;

#[derive(Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    section: &'static str,
}

impl<'a> Cursor<'a> {
    pub fn new(section: &'static str, bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0, section }
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.damaged("cut short"))?;
        let slice = &self.bytes[self.at..end];
        self.at = end;
        Ok(slice)
    }

    pub fn u32(&mut self) -> Result<u32, Error> {
        Ok(self.bytes(4)?.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    pub fn u64(&mut self) -> Result<u64, Error> {
        Ok(self.bytes(8)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// Unsigned LEB128 of at most 64 bits.
    pub fn uleb(&mut self) -> Result<u64, Error> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.bytes(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.damaged("number longer than 64 bits"))
    }

    /// A LEB128 number that counts things of at least `unit` bytes each: more than fit is damage, not an allocation.
    pub fn count(&mut self, unit: usize) -> Result<usize, Error> {
        let value = self.uleb()?;
        let fits =
            usize::try_from(value).ok().filter(|n| n.checked_mul(unit.max(1)).is_some_and(|b| b <= self.remaining()));
        fits.ok_or_else(|| self.damaged("count larger than the data"))
    }

    /// A LEB128 number that fits 32 bits (lines, columns, ids).
    pub fn uleb32(&mut self) -> Result<u32, Error> {
        u32::try_from(self.uleb()?).map_err(|_| self.damaged("number longer than 32 bits"))
    }

    /// Moves on to the next multiple of `alignment`, or to the end.
    pub fn align(&mut self, alignment: usize) {
        self.at = self.at.next_multiple_of(alignment).min(self.bytes.len());
    }

    pub fn damaged(&self, what: &'static str) -> Error {
        Error::Damaged { section: self.section, what, at: self.at }
    }
}
