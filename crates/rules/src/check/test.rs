//! A test of one value, ready to run: no parsing, no allocation, no look at types beyond the value's own. A value of an
//! unexpected kind satisfies nothing.

use super::glob::glob;
use super::pathset::PathSet;
use super::regex;
use super::set::ByteSet;
use event::Value;
use hashbrown::HashSet;
use ipnet::IpNet;
use memchr::memmem::Finder;
use std::cmp::Ordering;
use std::net::IpAddr;

/// What a check asks of a value that is not absent.
#[derive(Clone, Debug)]
pub enum Test {
    Exists,
    Never,
    Eq(Box<[u8]>),
    Ne(Box<[u8]>),
    Order(Comparison, Box<[u8]>),
    Contains(Finder<'static>),
    /// The needle in lower case.
    ContainsFolded(Finder<'static>),
    StartsWith(Box<[u8]>),
    EndsWith(Box<[u8]>),
    Glob {
        pattern: Box<[u8]>,
        fold_case: bool,
    },
    Regex(::regex::bytes::Regex),
    In(ByteSet),
    Below(PathSet),
    Number(Comparison, i128),
    NumberIn(Box<[i128]>),
    Bool {
        when_true: bool,
        when_false: bool,
    },
    Address {
        among: HashSet<IpAddr>,
        negated: bool,
    },
    Network {
        among: Box<[IpNet]>,
        negated: bool,
    },
    /// Every element of a list.
    Every(Box<Test>),
    /// At least one element of a list.
    Some(Box<Test>),
    OneOf(Box<[Test]>),
    AnyOf(Box<[Test]>),
    AllOf(Box<[Test]>),
    /// Any of many needles, prefixes, suffixes and texts at once; made by the optimiser.
    Fused(Box<super::fused::Fused>),
}

/// How two ordered things compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Comparison {
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Eq => order.is_eq(),
            Comparison::Ne => order.is_ne(),
            Comparison::Lt => order.is_lt(),
            Comparison::Le => order.is_le(),
            Comparison::Gt => order.is_gt(),
            Comparison::Ge => order.is_ge(),
        }
    }
}

impl Test {
    /// Whether `value` satisfies the test.
    pub fn holds(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Test::Exists, _) => true,
            (Test::Never, _) => false,
            (Test::OneOf(tests), _) => tests.iter().filter(|t| t.holds(value)).take(2).count() == 1,
            (Test::AnyOf(tests), _) => tests.iter().any(|t| t.holds(value)),
            (Test::AllOf(tests), _) => !tests.is_empty() && tests.iter().all(|t| t.holds(value)),
            (Test::Every(test), Value::List(items)) => items.iter().all(|v| test.holds(*v)),
            (Test::Some(test), Value::List(items)) => items.iter().any(|v| test.holds(*v)),
            (_, Value::Str(text) | Value::Bytes(text)) => self.holds_text(text),
            (Test::Bool { when_true, when_false }, Value::Bool(value)) => *if value { when_true } else { when_false },
            (Test::Address { among, negated }, Value::Ip(ip)) => among.contains(&ip) != *negated,
            (Test::Network { among, negated }, Value::Ip(ip)) => among.iter().any(|n| n.contains(&ip)) != *negated,
            _ => self.holds_number(value),
        }
    }

    #[inline]
    fn holds_text(&self, text: &[u8]) -> bool {
        match self {
            Test::Eq(wanted) => **wanted == *text,
            Test::Ne(wanted) => **wanted != *text,
            Test::Order(comparison, than) => comparison.holds(text.cmp(than)),
            Test::Contains(needle) => needle.find(text).is_some(),
            Test::ContainsFolded(needle) => contains_folded(text, needle),
            Test::StartsWith(prefix) => text.starts_with(prefix),
            Test::EndsWith(suffix) => text.ends_with(suffix),
            Test::Glob { pattern, fold_case } => glob(pattern, text, *fold_case),
            Test::Regex(regex) => regex::is_match(regex, text),
            Test::In(set) => set.contains(text),
            Test::Below(paths) => paths.covers(text),
            Test::Fused(fused) => fused.holds(text),
            _ => false,
        }
    }

    fn holds_number(&self, value: Value<'_>) -> bool {
        match (self, number_of(value)) {
            (Test::Number(comparison, than), Some(number)) => comparison.holds(number.cmp(than)),
            (Test::NumberIn(among), Some(number)) => among.contains(&number),
            (Test::Number(comparison, than), None) => match value {
                Value::Double(double) => comparison.holds(double.total_cmp(&approximate(*than))),
                _ => false,
            },
            (Test::NumberIn(among), None) => match value {
                Value::Double(double) => among.iter().any(|n| double.total_cmp(&approximate(*n)).is_eq()),
                _ => false,
            },
            _ => false,
        }
    }
}

/// Literals have at most 64 bits; doubles are compared with the nearest double.
#[allow(clippy::cast_precision_loss)]
fn approximate(number: i128) -> f64 {
    number as f64
}

/// The integer behind a value.
#[inline]
pub fn number_of(value: Value<'_>) -> Option<i128> {
    match value {
        Value::Int(number) => Some(i128::from(number)),
        Value::Uint(number) => Some(i128::from(number)),
        _ => None,
    }
}

/// Whether `text` holds the needle, which is in lower case, in any ASCII case.
pub fn contains_folded(text: &[u8], needle: &Finder<'_>) -> bool {
    let needle = needle.needle();
    let Some((first, rest)) = needle.split_first() else { return true };
    let upper = first.to_ascii_uppercase();
    memchr::memchr2_iter(*first, upper, text).any(|at| {
        let tail = text.get(at + 1..at + needle.len());
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(rest))
    })
}
