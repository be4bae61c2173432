//! Modified condition/decision coverage: the mapping's decisions and conditions and a function's bitmap come in; which
//! conditions were shown to decide on their own goes out. A bit of the bitmap stands for one way through the decision (a test
//! vector). Numbering of the bits as by clang 19 and later, or clang 18; hostile graphs end without an answer.

use crate::mapping::{Condition, Counter, FunctionMap, Region, RegionKind};
use std::collections::VecDeque;

/// A decision with its conditions, as regions of the function's mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Index of the decision in the mapping's regions.
    pub region: usize,
    pub conditions: Vec<ConditionCoverage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConditionCoverage {
    pub region: usize,
    /// Two ways that differ in this condition alone were gone and led to different outcomes.
    pub covered: bool,
    /// The compiler decided it.
    pub folded: bool,
}

/// How bits are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Numbering {
    /// clang 19 on: ways are counted through.
    #[default]
    Paths,
    /// clang 18: one bit for each combination of condition values.
    Combinations,
}

/// Evaluates every complete decision of `map` over the bitmap of its function.
pub fn evaluate(map: &FunctionMap, bitmap: &[u8], numbering: Numbering) -> Vec<Decision> {
    let mut found = Vec::new();
    for (index, group) in group(map) {
        let RegionKind::Decision { bitmap_bit, .. } = map.regions[index].kind else { continue };
        let graph: Vec<Condition> = group.iter().filter_map(|i| condition(&map.regions[*i])).collect();
        let Some(vectors) = vectors(&graph, numbering) else { continue };
        let base = match numbering {
            Numbering::Paths => (bitmap_bit as usize).checked_sub(vectors.len()),
            Numbering::Combinations => (bitmap_bit as usize).checked_mul(8),
        };
        let ran =
            |bit: usize| base.and_then(|b| bitmap.get((b + bit) / 8).map(|byte| byte >> ((b + bit) % 8) & 1 == 1));
        let gone: Vec<_> = vectors.into_iter().filter(|v| ran(v.bit) == Some(true)).collect();
        let independent = independent(&gone, graph.len());
        let conditions = group.iter().zip(independent).map(|(region, covered)| {
            let folded = matches!(map.regions[*region].kind, RegionKind::Branch { taken, not_taken, .. }
                if taken == Counter::Zero && not_taken == Counter::Zero);
            ConditionCoverage { region: *region, covered: covered && !folded, folded }
        });
        found.push(Decision { region: index, conditions: conditions.collect() });
    }
    found
}

/// Decisions with their conditions in the order of the conditions' ids; incomplete ones are left out.
fn group(map: &FunctionMap) -> Vec<(usize, Vec<usize>)> {
    let mut open: Vec<(usize, Vec<Option<usize>>)> = Vec::new();
    for (index, region) in map.regions.iter().enumerate() {
        if let RegionKind::Decision { conditions, .. } = region.kind {
            open.push((index, vec![None; (conditions as usize).min(MAX_CONDITIONS)]));
        }
    }
    for (index, region) in map.regions.iter().enumerate() {
        let Some(id) = condition(region).and_then(|c| (c.id as usize).checked_sub(1)) else { continue };
        // The innermost decision that still lacks this condition.
        let takes = |(decision, slots): &(usize, Vec<Option<usize>>)| {
            slots.get(id) == Some(&None) && contains(map, *decision, region)
        };
        let start = |decision: usize| map.regions[decision].start;
        if let Some((_, slots)) = open.iter_mut().filter(|d| takes(d)).max_by_key(|d| start(d.0)) {
            slots[id] = Some(index);
        }
    }
    open.into_iter().filter_map(|(d, slots)| Some((d, slots.into_iter().collect::<Option<Vec<_>>>()?))).collect()
}

/// Whether a condition lies in a decision, directly or through macros that are expanded in it.
fn contains(map: &FunctionMap, decision: usize, region: &Region) -> bool {
    let outer = &map.regions[decision];
    let mut region = region;
    for _ in 0..MAX_NESTING {
        if region.file == outer.file {
            return region.start >= outer.start && region.end <= outer.end;
        }
        let expands = |r: &&Region| r.kind == RegionKind::Expansion(region.file);
        let Some(expansion) = map.regions.iter().find(expands) else { return false };
        region = expansion;
    }
    false
}

fn condition(region: &Region) -> Option<Condition> {
    match region.kind {
        RegionKind::Branch { condition, .. } => condition,
        _ => None,
    }
}

/// One way through a decision: the value of each condition (`None` = not evaluated), the outcome, its bit.
struct Vector {
    values: Vec<Option<bool>>,
    outcome: bool,
    bit: usize,
}

/// All ways through a decision; `None` for graphs that no compiler makes.
fn vectors(graph: &[Condition], numbering: Numbering) -> Option<Vec<Vector>> {
    let indices = indices(graph)?;
    let mut found = Vec::new();
    let mut pending = vec![(0usize, vec![None; graph.len()], 0usize)];
    while let Some((at, values, bit)) = pending.pop() {
        for side in [false, true] {
            let mut values = values.clone();
            *values.get_mut(at)? = Some(side);
            let bit = match numbering {
                Numbering::Paths => bit + indices.get(at)?[usize::from(side)],
                Numbering::Combinations => bit | usize::from(side) << at,
            };
            match next(graph.get(at)?, side) {
                0 => found.push(Vector { values, outcome: side, bit }),
                id => pending.push((id - 1, values, bit)),
            }
            if found.len() + pending.len() > MAX_VECTORS {
                return None;
            }
        }
    }
    Some(found)
}

fn next(condition: &Condition, side: bool) -> usize {
    (if side { condition.if_true } else { condition.if_false }) as usize
}

/// What each side of each condition adds to the number of a way: as LLVM numbers them, breadth first, widest ends first.
fn indices(graph: &[Condition]) -> Option<Vec<[usize; 2]>> {
    let mut incoming = vec![0u32; graph.len()];
    for id in graph.iter().flat_map(|c| [c.if_false, c.if_true]).filter(|id| *id != 0) {
        *incoming.get_mut(id as usize - 1)? += 1;
    }
    let (mut widths, mut indices) = (vec![0usize; graph.len()], vec![[0usize; 2]; graph.len()]);
    *widths.first_mut()? = 1;
    let (mut queue, mut ends) = (VecDeque::from([0usize]), Vec::new());
    while let Some(at) = queue.pop_front() {
        for side in [0, 1] {
            match next(&graph[at], side == 1) {
                0 => ends.push((std::cmp::Reverse(widths[at]), ends.len(), at, side)),
                id => {
                    let to = id - 1;
                    indices[at][side] = widths[to];
                    widths[to] = widths[to].checked_add(widths[at]).filter(|w| *w <= MAX_VECTORS)?;
                    incoming[to] = incoming[to].checked_sub(1)?;
                    if incoming[to] == 0 {
                        queue.push_back(to);
                    }
                }
            }
        }
    }
    ends.sort_unstable();
    let mut number = 0;
    for (width, _, at, side) in ends {
        indices[at][side] = number;
        number += width.0;
    }
    // A node that was never reached hangs in a loop.
    widths.iter().all(|w| *w > 0).then_some(indices)
}

/// For each condition whether two of the ways gone show that it decides on its own.
fn independent(gone: &[Vector], conditions: usize) -> Vec<bool> {
    let mut shown = vec![false; conditions];
    for (index, one) in gone.iter().enumerate() {
        for other in gone[index + 1..].iter().filter(|other| other.outcome != one.outcome) {
            let differs = |(_, (a, b)): &(usize, (&Option<bool>, &Option<bool>))| a.is_some() && b.is_some() && a != b;
            let mut differing = one.values.iter().zip(&other.values).enumerate().filter(differs);
            if let (Some((condition, _)), None) = (differing.next(), differing.next()) {
                shown[condition] = true;
            }
        }
    }
    shown
}

/// clang's own limits are 6 (18) and, by default, 32767 vectors (19); a decision of more conditions is left out.
const MAX_CONDITIONS: usize = 64;
const MAX_VECTORS: usize = 4096;
const MAX_NESTING: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// `a && (b || c)`.
    fn graph() -> Vec<Condition> {
        let condition = |id, if_true, if_false| Condition { id, if_true, if_false };
        vec![condition(1, 2, 0), condition(2, 0, 3), condition(3, 0, 0)]
    }

    #[test]
    fn ways_are_numbered_without_gaps() {
        let vectors = vectors(&graph(), Numbering::Paths).expect("a decision");
        let mut bits: Vec<_> = vectors.iter().map(|v| v.bit).collect();
        bits.sort_unstable();
        assert_eq!(bits, [0, 1, 2, 3]);
    }

    #[test]
    fn a_pair_that_differs_in_one_condition_shows_it() {
        let ways = vectors(&graph(), Numbering::Paths).expect("a decision");
        let of =
            |a, b, c| ways.iter().find(|v| v.values == [a, b, c]).map(|v| Vector { values: v.values.clone(), ..*v });
        let gone: Vec<_> =
            [of(Some(false), None, None), of(Some(true), Some(true), None)].into_iter().flatten().collect();
        assert_eq!(independent(&gone, 3), [true, false, false]);
    }

    #[test]
    fn loops_have_no_answer() {
        let turn = Condition { id: 1, if_true: 2, if_false: 0 };
        let back = Condition { id: 2, if_true: 1, if_false: 0 };
        assert!(vectors(&[turn, back], Numbering::Paths).is_none());
    }
}
