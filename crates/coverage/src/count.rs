//! Counters + mapping -> a count for every region. Sums are taken in wide signed arithmetic: a negative result can only
//! come from lost updates of non-atomic counters and is reported as such, never shown as a huge number.

use crate::mapping::{Counter, FunctionMap, RegionKind};

/// Counts of one function's regions, in the order of its mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    pub regions: Vec<RegionCount>,
    /// How often the function was entered.
    pub entries: u64,
    /// Expressions came out negative: updates were lost.
    pub lost_updates: bool,
}

/// The count of one region; for a branch `count` = taken and `not_taken` is its opposite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegionCount {
    pub count: u64,
    pub not_taken: u64,
}

/// Evaluates `map` over the counters of its function; counters that are missing count as 0.
pub fn count(map: &FunctionMap, counters: &[u64]) -> Counted {
    let expressions = map.expressions.len();
    let (memo, open) = (vec![None; expressions], vec![false; expressions]);
    let mut evaluation = Evaluation { map, counters, memo, open, negative: false };
    let mut regions: Vec<_> = map.regions.iter().map(|region| evaluation.region(region.kind)).collect();
    let lost_updates = evaluation.negative;
    fill_expansions(map, &mut regions);
    let main = main_file(map);
    let entry = map.regions.iter().position(|r| r.file == main && is_executable(r.kind));
    let entries = entry.map_or(0, |index| regions[index].count);
    Counted { regions, entries, lost_updates }
}

/// The file id that holds the function's body: the one that no expansion leads to.
pub fn main_file(map: &FunctionMap) -> u32 {
    let expanded = |file: u32| map.regions.iter().any(|r| r.kind == RegionKind::Expansion(file));
    (0..u32::try_from(map.files.len()).unwrap_or(u32::MAX)).find(|file| !expanded(*file)).unwrap_or(0)
}

/// Whether control flow passes through a region of this kind.
pub fn is_executable(kind: RegionKind) -> bool {
    matches!(kind, RegionKind::Code(_) | RegionKind::Expansion(_) | RegionKind::Gap(_))
}

struct Evaluation<'a> {
    map: &'a FunctionMap,
    counters: &'a [u64],
    memo: Vec<Option<i128>>,
    /// Expressions that were looked into: a second time means a loop.
    open: Vec<bool>,
    negative: bool,
}

impl Evaluation<'_> {
    fn region(&mut self, kind: RegionKind) -> RegionCount {
        match kind {
            RegionKind::Code(counter) | RegionKind::Gap(counter) => {
                RegionCount { count: self.clamped(counter), not_taken: 0 }
            }
            RegionKind::Branch { taken, not_taken, .. } => {
                RegionCount { count: self.clamped(taken), not_taken: self.clamped(not_taken) }
            }
            RegionKind::Expansion(_) | RegionKind::Skipped | RegionKind::Decision { .. } => RegionCount::default(),
        }
    }

    fn clamped(&mut self, counter: Counter) -> u64 {
        let value = self.value(counter);
        self.negative |= value < 0;
        u64::try_from(value.max(0)).unwrap_or(u64::MAX)
    }

    /// Iterative: a hostile mapping may chain or even loop its expressions. A loop counts as 0.
    fn value(&mut self, counter: Counter) -> i128 {
        if let Some(known) = self.known(counter) {
            return known;
        }
        let mut pending = vec![counter];
        while let Some(next) = pending.last().copied() {
            let (id, subtract) = match next {
                Counter::Add(id) => (id as usize, false),
                Counter::Subtract(id) => (id as usize, true),
                Counter::Zero | Counter::Reference(_) => {
                    pending.pop();
                    continue;
                }
            };
            let (left, right) = self.map.expressions[id];
            let unknown: Vec<_> = [left, right].into_iter().filter(|c| self.known(*c).is_none()).collect();
            if self.memo[id].is_none() && !unknown.is_empty() && !self.open[id] {
                self.open[id] = true;
                pending.extend(unknown);
                continue;
            }
            let (left, right) = (self.known(left).unwrap_or(0), self.known(right).unwrap_or(0));
            self.memo[id].get_or_insert(if subtract { left - right } else { left.saturating_add(right) });
            pending.pop();
        }
        self.known(counter).unwrap_or(0)
    }

    fn known(&self, counter: Counter) -> Option<i128> {
        match counter {
            Counter::Zero => Some(0),
            Counter::Reference(id) => Some(self.counters.get(id as usize).map_or(0, |c| i128::from(*c))),
            Counter::Add(id) | Counter::Subtract(id) => self.memo[id as usize],
        }
    }
}

/// An expansion ran as often as the first region of what it expands to; expansions nest a few levels.
fn fill_expansions(map: &FunctionMap, regions: &mut [RegionCount]) {
    let first_of = |file: u32| map.regions.iter().position(|r| r.file == file && is_executable(r.kind));
    let links: Vec<_> = map
        .regions
        .iter()
        .enumerate()
        .filter_map(|(index, region)| match region.kind {
            RegionKind::Expansion(file) => Some((index, first_of(file)?)),
            _ => None,
        })
        .collect();
    for _ in 0..MAX_EXPANSION_DEPTH {
        for (expansion, first) in &links {
            regions[*expansion].count = regions[*first].count;
        }
    }
}

const MAX_EXPANSION_DEPTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{Position, Region};

    fn map(expressions: Vec<(Counter, Counter)>, counter: Counter) -> FunctionMap {
        let at = Position { line: 1, column: 1 };
        let region = Region { file: 0, kind: RegionKind::Code(counter), start: at, end: at };
        FunctionMap { name_ref: 0, hash: 0, files: vec!["a.c".into()], expressions, regions: vec![region] }
    }

    #[test]
    fn sums_and_differences() {
        use Counter::{Add, Reference, Subtract};
        // (c0 - c1) + c2; an expression's operation is in its use.
        let map = map(vec![(Reference(0), Reference(1)), (Subtract(0), Reference(2))], Add(1));
        assert_eq!(count(&map, &[10, 3, 5]).entries, 12);
        let negative = count(&map, &[1, 3, 0]);
        assert_eq!((negative.entries, negative.lost_updates), (0, true));
    }

    #[test]
    fn a_loop_of_expressions_ends() {
        let map = map(vec![(Counter::Add(0), Counter::Reference(0))], Counter::Add(0));
        assert_eq!(count(&map, &[7]).entries, 7);
    }
}
