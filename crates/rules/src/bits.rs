//! Sets of small numbers (event kinds, system call codes) as fixed bit arrays. Numbers beyond the capacity are ignored
//! by `insert` and absent from every set.

/// A set of numbers below 512.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Bits([u64; 8]);

impl Bits {
    pub fn of(numbers: impl IntoIterator<Item = u16>) -> Bits {
        let mut bits = Bits::default();
        numbers.into_iter().for_each(|n| bits.insert(n));
        bits
    }

    pub fn insert(&mut self, number: u16) {
        if let Some(word) = self.0.get_mut(usize::from(number / 64)) {
            *word |= 1 << (number % 64);
        }
    }

    pub fn contains(&self, number: u16) -> bool {
        self.0.get(usize::from(number / 64)).is_some_and(|w| w >> (number % 64) & 1 == 1)
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    #[must_use]
    pub fn union(self, other: Bits) -> Bits {
        self.zip(other, |a, b| a | b)
    }

    #[must_use]
    pub fn intersection(self, other: Bits) -> Bits {
        self.zip(other, |a, b| a & b)
    }

    #[must_use]
    pub fn difference(self, other: Bits) -> Bits {
        self.zip(other, |a, b| a & !b)
    }

    pub fn iter(&self) -> impl Iterator<Item = u16> {
        (0..512).filter(|n| self.contains(*n))
    }

    fn zip(self, other: Bits, combine: impl Fn(u64, u64) -> u64) -> Bits {
        let mut out = self;
        out.0.iter_mut().zip(other.0).for_each(|(a, b)| *a = combine(*a, b));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_set() {
        let set = Bits::of([0, 3, 63, 64, 453, 9999]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 3, 63, 64, 453]);
        assert_eq!(set.len(), 5);
        assert!(!set.contains(9999) && !set.contains(1));
        let other = Bits::of([3, 4]);
        assert_eq!(set.intersection(other), Bits::of([3]));
        assert_eq!(set.difference(other).union(other).len(), 6);
        assert_eq!(Bits::default().len(), 0);
    }
}
