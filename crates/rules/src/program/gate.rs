//! Keeps the cost of an event apart from the number of rules. Many rules demand that one field equals one of a few
//! texts: looking the field's value up once leaves the rules for which that holds. Many rules share a demand (a macro,
//! say): where it is false, all of them are out. What remains is a set of rules, tried in order. Conditions have no side
//! effects, so looking at their parts in another order changes no verdict.

use super::graph::{Graph, Node, NodeId};
use crate::check::{How, Leaf, Test};
use bumpalo::Bump;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Which rules of a kind are worth trying for an event.
#[derive(Debug)]
pub struct Gates {
    /// Rules that no table decides.
    open: RuleBits,
    tables: Box<[Table]>,
    demands: Box<[Demand]>,
}

/// Rules by the text that one value has to equal.
#[derive(Debug)]
struct Table {
    input: u32,
    by_text: HashMap<Box<[u8]>, Box<[u32]>, FixedState>,
}

/// A node that has to be true for all rules of a set.
#[derive(Debug)]
struct Demand {
    place: u32,
    rules: RuleBits,
}

type RuleBits = Box<[u64]>;

/// What gates need to know about the layout of a program.
pub trait Places {
    /// The slot of the left-hand side of a leaf.
    fn input_of(&mut self, leaf: &Leaf) -> u32;
    fn place_of(&mut self, node: NodeId) -> u32;
}

/// Fewer rules than this are tried one after the other.
const MIN_RULES: usize = 16;
/// A table or demand for fewer rules costs more than it saves.
const MIN_SHARED: usize = 8;
/// Demands looked at per event, at most.
const MAX_DEMANDS: usize = 16;

impl Gates {
    /// `None` when there are too few rules, or they have nothing in common.
    pub fn new(graph: &Graph, roots: &[NodeId], places: &mut impl Places) -> Option<Gates> {
        if roots.len() < MIN_RULES {
            return None;
        }
        let demands: Vec<Vec<NodeId>> = roots.iter().map(|root| conjuncts(graph, *root)).collect();
        let mut open: RuleBits = bits_of(0..roots.len(), roots.len());
        let tables = tables(graph, &demands, &mut open, places);
        let demands = shared_demands(&demands, roots.len(), places);
        (!tables.is_empty() || !demands.is_empty()).then(|| Gates { open, tables: tables.into(), demands })
    }

    /// The rules to try, as bits. `text` yields the text in a slot, `holds` the truth of a node.
    pub fn live<'a>(
        &self,
        arena: &'a Bump,
        text: impl Fn(u32) -> Option<&'a [u8]>,
        holds: impl Fn(u32) -> bool,
    ) -> &'a [u64] {
        let live = arena.alloc_slice_copy(&self.open);
        for table in &self.tables {
            let found = text(table.input).and_then(|text| table.by_text.get(text));
            found.into_iter().flatten().for_each(|rule| set(live, *rule as usize));
        }
        for demand in &self.demands {
            let concerns_any = live.iter().zip(&demand.rules).any(|(live, rules)| live & rules != 0);
            if concerns_any && !holds(demand.place) {
                live.iter_mut().zip(&demand.rules).for_each(|(live, rules)| *live &= !rules);
            }
        }
        live
    }
}

/// The positions of the bits that are set.
pub fn positions(bits: &[u64]) -> impl Iterator<Item = usize> {
    bits.iter().enumerate().flat_map(|(word, bits)| {
        let mut rest = *bits;
        std::iter::from_fn(move || {
            let bit = rest.trailing_zeros();
            rest &= rest.checked_sub(1)?;
            Some(64 * word + bit as usize)
        })
    })
}

fn set(bits: &mut [u64], position: usize) {
    if let Some(word) = bits.get_mut(position / 64) {
        *word |= 1 << (position % 64);
    }
}

fn clear(bits: &mut [u64], position: usize) {
    if let Some(word) = bits.get_mut(position / 64) {
        *word &= !(1 << (position % 64));
    }
}

fn bits_of(positions: impl Iterator<Item = usize>, len: usize) -> RuleBits {
    let mut bits: RuleBits = vec![0; len.div_ceil(64)].into();
    positions.for_each(|p| set(&mut bits, p));
    bits
}

/// What all has to be true for `root` to be true.
fn conjuncts(graph: &Graph, root: NodeId) -> Vec<NodeId> {
    let mut out = Vec::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        out.push(id);
        if let Node::And(children) = graph.node(id) {
            open.extend(children);
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// The texts that a leaf demands its value to equal.
fn demanded_texts(leaf: &Leaf) -> Option<Vec<&[u8]>> {
    match &leaf.how {
        How::Plain(Test::Eq(text)) => Some(vec![text]),
        How::Plain(Test::In(set)) => Some(set.iter().collect()),
        _ => None,
    }
}

/// Moves rules from `open` into tables, the field that most rules demand first.
fn tables(graph: &Graph, demands: &[Vec<NodeId>], open: &mut RuleBits, places: &mut impl Places) -> Vec<Table> {
    let mut by_value: BTreeMap<&str, Vec<(usize, u32)>> = BTreeMap::new();
    for (rule, nodes) in demands.iter().enumerate() {
        for node in nodes {
            if let Node::Leaf(leaf) = graph.node(*node)
                && demanded_texts(graph.leaf(*leaf)).is_some()
            {
                by_value.entry(&graph.leaf(*leaf).left.text).or_default().push((rule, *leaf));
            }
        }
    }
    let mut values: Vec<Vec<(usize, u32)>> = by_value.into_values().collect();
    values.sort_by_key(|members| std::cmp::Reverse(members.len()));
    let mut tables = Vec::new();
    for mut members in values {
        members.retain(|(rule, _)| open.get(rule / 64).is_some_and(|word| word >> (rule % 64) & 1 == 1));
        members.dedup_by_key(|(rule, _)| *rule);
        if members.len() >= MIN_SHARED {
            members.iter().for_each(|(rule, _)| clear(open, *rule));
            tables.push(table(graph, &members, places));
        }
    }
    tables
}

fn table(graph: &Graph, members: &[(usize, u32)], places: &mut impl Places) -> Table {
    let mut by_text: HashMap<Box<[u8]>, Vec<u32>, FixedState> = HashMap::default();
    for (rule, leaf) in members {
        for text in demanded_texts(graph.leaf(*leaf)).unwrap_or_default() {
            by_text.entry(text.into()).or_default().push(u32::try_from(*rule).unwrap_or(u32::MAX));
        }
    }
    let input = members.first().map_or(0, |(_, leaf)| places.input_of(graph.leaf(*leaf)));
    Table { input, by_text: by_text.into_iter().map(|(text, rules)| (text, rules.into())).collect() }
}

fn shared_demands(demands: &[Vec<NodeId>], rules: usize, places: &mut impl Places) -> Box<[Demand]> {
    let mut by_node: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
    for (rule, nodes) in demands.iter().enumerate() {
        nodes.iter().for_each(|node| by_node.entry(*node).or_default().push(rule));
    }
    let mut shared: Vec<(NodeId, Vec<usize>)> = by_node.into_iter().filter(|(_, m)| m.len() >= MIN_SHARED).collect();
    shared.sort_by_key(|(node, members)| (std::cmp::Reverse(members.len()), *node));
    shared.truncate(MAX_DEMANDS);
    let demand = |(node, members): (NodeId, Vec<usize>)| Demand {
        place: places.place_of(node),
        rules: bits_of(members.into_iter(), rules),
    };
    shared.into_iter().map(demand).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_keep_their_order() {
        let bits = bits_of([3, 0, 64, 129].into_iter(), 130);
        assert_eq!(positions(&bits).collect::<Vec<_>>(), [0, 3, 64, 129]);
        assert_eq!(positions(&[]).count(), 0);
    }
}
