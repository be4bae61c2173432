//! Many text tests on one value at once: an `or` of equalities, prefixes, suffixes and needles costs one pass instead
//! of one look per alternative. Built by the optimiser from tests that are joined by `or`.

use super::set::ByteSet;
use super::test::Test;
use aho_corasick::{AhoCorasick, Anchored, Input};

/// True when any of its parts is.
#[derive(Clone, Debug, Default)]
pub struct Fused {
    equal: ByteSet,
    prefixes: Prefixes,
    /// Reversed, so that they are prefixes of the reversed value.
    suffixes: Vec<Box<[u8]>>,
    needles: Option<AhoCorasick>,
    folded: Option<AhoCorasick>,
}

/// Prefixes, grouped by their first byte.
#[derive(Clone, Debug, Default)]
struct Prefixes {
    any: bool,
    by_first: Vec<(u8, Vec<Box<[u8]>>)>,
}

impl Fused {
    /// Whether `test` can be a part.
    pub fn accepts(test: &Test) -> bool {
        matches!(
            test,
            Test::Eq(_)
                | Test::In(_)
                | Test::StartsWith(_)
                | Test::EndsWith(_)
                | Test::Contains(_)
                | Test::ContainsFolded(_)
        )
    }

    /// `None` when the needles are more than the automaton can hold.
    pub fn new(tests: &[&Test]) -> Option<Fused> {
        let equal = tests.iter().flat_map(|t| match t {
            Test::Eq(text) => vec![text.clone()],
            Test::In(set) => set.iter().map(Into::into).collect(),
            _ => Vec::new(),
        });
        let needles = tests.iter().filter_map(|t| match t {
            Test::Contains(needle) => Some(needle.needle().to_vec()),
            _ => None,
        });
        let folded = tests.iter().filter_map(|t| match t {
            Test::ContainsFolded(needle) => Some(needle.needle().to_vec()),
            _ => None,
        });
        let suffixes = tests.iter().filter_map(|t| match t {
            Test::EndsWith(suffix) => Some(suffix.clone()),
            _ => None,
        });
        Some(Fused {
            equal: equal.collect(),
            prefixes: Prefixes::new(tests),
            suffixes: suffixes.collect(),
            needles: automaton(needles.collect(), false)?,
            folded: automaton(folded.collect(), true)?,
        })
    }

    pub fn holds(&self, text: &[u8]) -> bool {
        self.equal.contains(text)
            || self.prefixes.cover(text)
            || self.suffixes.iter().any(|s| text.ends_with(s))
            || self.needles.as_ref().is_some_and(|n| finds(n, text))
            || self.folded.as_ref().is_some_and(|n| finds(n, text))
    }
}

impl Prefixes {
    fn new(tests: &[&Test]) -> Prefixes {
        let mut prefixes = Prefixes::default();
        for test in tests {
            if let Test::StartsWith(prefix) = test {
                prefixes.add(prefix);
            }
        }
        prefixes
    }

    fn add(&mut self, prefix: &[u8]) {
        let Some(first) = prefix.first() else {
            self.any = true;
            return;
        };
        match self.by_first.iter_mut().find(|(b, _)| b == first) {
            Some((_, group)) => group.push(prefix.into()),
            None => self.by_first.push((*first, vec![prefix.into()])),
        }
    }

    fn cover(&self, text: &[u8]) -> bool {
        let Some(first) = text.first() else { return self.any };
        self.any || self.by_first.iter().any(|(b, group)| b == first && group.iter().any(|p| text.starts_with(p)))
    }
}

fn finds(needles: &AhoCorasick, text: &[u8]) -> bool {
    needles.find(Input::new(text).anchored(Anchored::No).earliest(true)).is_some()
}

/// Outer `None`: cannot be built. Inner `None`: nothing to look for.
fn automaton(needles: Vec<Vec<u8>>, fold_case: bool) -> Option<Option<AhoCorasick>> {
    if needles.is_empty() {
        return Some(None);
    }
    AhoCorasick::builder().ascii_case_insensitive(fold_case).build(needles).ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use memchr::memmem::Finder;

    #[test]
    fn is_the_or_of_its_parts() {
        let tests = [
            Test::Eq(b"one"[..].into()),
            Test::In([&b"two"[..]].into_iter().collect()),
            Test::StartsWith(b"/etc/"[..].into()),
            Test::EndsWith(b".sh"[..].into()),
            Test::Contains(Finder::new(b"needle").into_owned()),
            Test::ContainsFolded(Finder::new(b"fold").into_owned()),
        ];
        let fused = Fused::new(&tests.iter().collect::<Vec<_>>()).expect("a small automaton");
        for text in ["one", "two", "three", "/etc/x", "x/etc/", "a.sh", "a.shx", "a needle!", "FoLd", "", "neEdle"] {
            let expected = tests.iter().any(|t| t.holds(event::Value::Str(text.as_bytes())));
            assert_eq!(fused.holds(text.as_bytes()), expected, "{text}");
        }
        let everything = Fused::new(&[&Test::Contains(Finder::new(b"").into_owned())]).expect("automaton");
        assert!(everything.holds(b"") && everything.holds(b"x"));
    }
}
