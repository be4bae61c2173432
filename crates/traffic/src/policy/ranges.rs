//! Sets of numbers as sorted, disjoint, closed ranges: ports, protocols, addresses of both families.
//! Pure arithmetic; every operation keeps the ranges sorted, disjoint and not adjacent.

use ipnet::IpNet;
use std::net::IpAddr;

/// Numbers that ranges are made of.
pub trait Number: Copy + Ord {
    const MIN: Self;
    const MAX: Self;
    fn next(self) -> Option<Self>;
    fn previous(self) -> Option<Self>;
}

macro_rules! number {
    ($($type:ty),+) => {$(
        impl Number for $type {
            const MIN: Self = <$type>::MIN;
            const MAX: Self = <$type>::MAX;
            fn next(self) -> Option<Self> { self.checked_add(1) }
            fn previous(self) -> Option<Self> { self.checked_sub(1) }
        }
    )+};
}
number!(u8, u16, u32, u128);

/// A set of numbers. The default, empty one means "any" where a condition may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges<T>(Vec<(T, T)>);

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Ranges(Vec::new())
    }
}

impl<T: Number> Ranges<T> {
    /// From ranges in any order, overlapping or not.
    pub fn new(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if end.next().is_none_or(|after| first <= after) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Ranges(merged)
    }

    pub fn one(number: T) -> Self {
        Ranges(vec![(number, number)])
    }

    pub fn all() -> Self {
        Ranges(vec![(T::MIN, T::MAX)])
    }

    /// No condition at all.
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_slice(&self) -> &[(T, T)] {
        &self.0
    }

    pub fn contains(&self, number: T) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, last)| number <= *last)
    }

    /// Whether the condition holds: "any" or among the numbers.
    pub fn admits(&self, number: T) -> bool {
        self.is_any() || self.contains(number)
    }

    /// What is in `self` and not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        for &(first, last) in &self.0 {
            cut(first, last, &other.0, &mut rest);
        }
        Ranges(rest)
    }
}

/// Pushes the parts of `first..=last` that no range of `holes` covers.
fn cut<T: Number>(mut first: T, last: T, holes: &[(T, T)], rest: &mut Vec<(T, T)>) {
    let begin = holes.partition_point(|(_, end)| *end < first);
    for &(hole_first, hole_last) in holes.get(begin..).unwrap_or_default() {
        if hole_first > last {
            break;
        }
        if let Some(before) = hole_first.previous().filter(|before| *before >= first) {
            rest.push((first, before));
        }
        match hole_last.next() {
            Some(after) => first = after,
            None => return,
        }
    }
    if first <= last {
        rest.push((first, last));
    }
}

/// Addresses of both families; a family without ranges holds none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    pub v4: Ranges<u32>,
    pub v6: Ranges<u128>,
}

impl Addresses {
    pub fn of(nets: &[IpNet]) -> Self {
        let v4 = nets.iter().filter_map(|net| match net {
            IpNet::V4(net) => Some((u32::from(net.network()), u32::from(net.broadcast()))),
            IpNet::V6(_) => None,
        });
        let v6 = nets.iter().filter_map(|net| match net {
            IpNet::V6(net) => Some((u128::from(net.network()), u128::from(net.broadcast()))),
            IpNet::V4(_) => None,
        });
        Addresses { v4: Ranges::new(v4.collect()), v6: Ranges::new(v6.collect()) }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(address.into()),
            IpAddr::V6(address) => self.v6.contains(address.into()),
        }
    }

    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Addresses { v4: self.v4.without(&other.v4), v6: self.v6.without(&other.v6) }
    }

    pub fn is_empty(&self) -> bool {
        self.v4.is_any() && self.v6.is_any()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn merges_and_cuts() {
        let ranges = Ranges::new(vec![(5u8, 9), (1, 3), (4, 4), (200, 255)]);
        assert_eq!(ranges.as_slice(), [(1, 9), (200, 255)]);
        let rest = ranges.without(&Ranges::new(vec![(0, 1), (3, 3), (250, 255)]));
        assert_eq!(rest.as_slice(), [(2, 2), (4, 9), (200, 249)]);
    }

    proptest! {
        #[test]
        fn difference_is_pointwise(a in prop::collection::vec(any::<(u8, u8)>(), 0..6), b in prop::collection::vec(any::<(u8, u8)>(), 0..6)) {
            let order = |v: Vec<(u8, u8)>| Ranges::new(v.into_iter().map(|(x, y)| (x.min(y), x.max(y))).collect());
            let (a, b) = (order(a), order(b));
            let rest = a.without(&b);
            for n in 0..=u8::MAX {
                prop_assert_eq!(rest.contains(n), a.contains(n) && !b.contains(n));
            }
            prop_assert!(rest.as_slice().windows(2).all(|w| w[0].1 < w[1].0));
        }
    }
}
