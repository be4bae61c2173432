//! Sets of texts with one hash look-up and no allocation per query. Immutable once built.

use foldhash::fast::FixedState;
use hashbrown::HashSet;

/// A set of byte strings. The lengths that occur are kept as bits, which turns most values away without hashing.
#[derive(Clone, Debug, Default)]
pub struct ByteSet {
    items: HashSet<Box<[u8]>, FixedState>,
    lengths: u64,
}

impl ByteSet {
    pub fn contains(&self, value: &[u8]) -> bool {
        self.lengths & length_bit(value) != 0 && self.items.contains(value)
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.items.iter().map(AsRef::as_ref)
    }
}

impl<B: Into<Box<[u8]>>> FromIterator<B> for ByteSet {
    fn from_iter<I: IntoIterator<Item = B>>(items: I) -> Self {
        let items: HashSet<Box<[u8]>, FixedState> = items.into_iter().map(Into::into).collect();
        let lengths = items.iter().fold(0, |bits, item| bits | length_bit(item));
        ByteSet { items, lengths }
    }
}

/// Lengths from 63 up share the last bit.
fn length_bit(value: &[u8]) -> u64 {
    1 << value.len().min(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let long = [b'x'; 100];
        let set: ByteSet = [&b"ab"[..], b"", &long].into_iter().collect();
        assert!(set.contains(b"ab") && set.contains(b"") && set.contains(&long));
        assert!(!set.contains(b"ba") && !set.contains(b"abc") && !set.contains(&long[1..]));
        assert_eq!(set.iter().count(), 3);
    }
}
