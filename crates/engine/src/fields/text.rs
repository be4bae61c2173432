//! Text built inside the per-event arena. In: pieces of bytes and numbers. Out: one borrowed slice. It must never touch
//! the heap behind the arena's back, and it never decides what to write: that is the callers' business.

use bumpalo::Bump;
use bumpalo::collections::Vec;
use std::fmt::{self, Write};

/// A byte string under construction.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    bytes: Vec<'a, u8>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(arena: &'a Bump) -> Self {
        Text { bytes: Vec::with_capacity_in(FIRST_BYTES, arena) }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice_copy(bytes);
    }

    /// Writes formatted text; an arena never refuses.
    pub(crate) fn put(&mut self, args: fmt::Arguments<'_>) {
        let _ = self.write_fmt(args);
    }

    /// Writes a decimal number.
    pub(crate) fn push_number(&mut self, number: u64) {
        let mut digits = [0; MAX_DIGITS];
        let (mut at, mut left) = (MAX_DIGITS, number);
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
            (at, left) = (at - 1, left / 10);
            if left == 0 {
                break;
            }
        }
        self.push(digits.get(at..).unwrap_or_default());
    }

    /// Writes a decimal number with its sign.
    pub(crate) fn push_signed(&mut self, number: i64) {
        if number < 0 {
            self.push(b"-");
        }
        self.push_number(number.unsigned_abs());
    }

    /// A separator unless nothing was written since `start`.
    pub(crate) fn separate(&mut self, start: usize, separator: &[u8]) {
        if self.len() > start {
            self.push(separator);
        }
    }

    /// Printable ASCII as it is, every other byte as a dot.
    pub(crate) fn push_dotted(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes.iter().map(|b| if (0x20..0x7f).contains(b) { *b } else { b'.' }));
    }

    /// Bytes as UTF-8: every byte that is not part of a valid sequence becomes U+FFFD.
    pub(crate) fn push_valid(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            self.push(chunk.valid().as_bytes());
            for _ in chunk.invalid() {
                self.push("\u{fffd}".as_bytes());
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    pub(crate) fn finish(self) -> &'a [u8] {
        self.bytes.into_bump_slice()
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.push(s.as_bytes());
        Ok(())
    }
}

/// Room for most texts, so that they do not have to move while they grow.
const FIRST_BYTES: usize = 64;
/// Digits of the largest u64.
const MAX_DIGITS: usize = 20;

/// `bytes` as valid UTF-8: borrowed when they already are, else rewritten in the arena.
pub(crate) fn valid<'a>(bytes: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    if std::str::from_utf8(bytes).is_ok() {
        return bytes;
    }
    let mut text = Text::new(arena);
    text.push_valid(bytes);
    text.finish()
}

/// `bytes` up to the first NUL.
pub(crate) fn c_string(bytes: &[u8]) -> &[u8] {
    memchr::memchr(0, bytes).and_then(|end| bytes.get(..end)).unwrap_or(bytes)
}

/// Formats into a fresh arena string.
pub(crate) fn format<'a>(arena: &'a Bump, args: fmt::Arguments<'_>) -> &'a [u8] {
    let mut text = Text::new(arena);
    text.put(args);
    text.finish()
}

/// `items` joined by `separator`.
pub(crate) fn join<'a, 'i>(arena: &'a Bump, items: impl Iterator<Item = &'i [u8]>, separator: &[u8]) -> &'a [u8] {
    let mut text = Text::new(arena);
    for (index, item) in items.enumerate() {
        if index > 0 {
            text.push(separator);
        }
        text.push_valid(item);
    }
    text.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_bytes_become_replacement_characters_one_each() {
        let arena = Bump::new();
        assert_eq!(valid(b"ok", &arena), b"ok");
        assert_eq!(valid(b"a\xe2\x82/\xff", &arena), "a\u{fffd}\u{fffd}/\u{fffd}".as_bytes());
    }

    #[test]
    fn unprintable_bytes_print_as_dots() {
        let arena = Bump::new();
        let mut text = Text::new(&arena);
        text.push_dotted(b"-c\0id\n\xff~");
        assert_eq!(text.finish(), b"-c.id..~");
    }

    #[test]
    fn numbers_print_in_decimal() {
        let arena = Bump::new();
        for number in [0, 9, 10, -1, -100, i64::MAX, i64::MIN] {
            let mut text = Text::new(&arena);
            text.push_signed(number);
            assert_eq!(text.finish(), number.to_string().as_bytes());
        }
        let mut text = Text::new(&arena);
        text.push_number(u64::MAX);
        assert_eq!(text.finish(), u64::MAX.to_string().as_bytes());
    }

    #[test]
    fn items_are_joined_also_when_empty() {
        let arena = Bump::new();
        assert_eq!(join(&arena, [&b""[..], b"", b"-D"].into_iter(), b" "), b"  -D");
    }
}
