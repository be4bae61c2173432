//! Which rules run on which event kinds, and what a kind decides ahead of time. Kinds that decide the same share their
//! program.

use super::graph::{Graph, Node, NodeId};
use super::kind::KindProgram;
use crate::check::{Comparison, How, Leaf, Test};
use crate::ruleset::Rule;
use event::{Kind, Value, tables};
use std::collections::HashMap;
use std::sync::Arc;

/// The programs of one source's rules, in evaluation order, indexed by kind.
pub fn programs<'r>(rules: impl Iterator<Item = &'r Rule>) -> Vec<Option<Arc<KindProgram>>> {
    let mut graph = Graph::default();
    let rules: Vec<(&Rule, NodeId)> = rules.map(|rule| (rule, graph.add(&rule.typed))).collect();
    let decidable: Vec<u32> = (0..).zip(graph.leaves()).filter(|(_, l)| is_decidable(l)).map(|(i, _)| i).collect();
    let mut shared: HashMap<Signature, Option<Arc<KindProgram>>> = HashMap::new();
    tables::events()
        .iter()
        .map(|info| {
            let members: Vec<usize> = (0..rules.len()).filter(|i| rules[*i].0.runs_on(info.kind)).collect();
            if members.is_empty() {
                return None;
            }
            let facts: Vec<Option<bool>> = decidable.iter().map(|l| decide(graph.leaf(*l), info.kind)).collect();
            let key = (members, facts);
            if let Some(program) = shared.get(&key) {
                return program.clone();
            }
            let known = |leaf: u32| decidable.binary_search(&leaf).ok().and_then(|at| key.1[at]);
            let program = specialised(&mut graph, key.0.iter().map(|i| rules[*i]), &known);
            shared.insert(key, program.clone());
            program
        })
        .collect()
}

/// Rules that run on a kind, and what the kind says about the decidable checks.
type Signature = (Vec<usize>, Vec<Option<bool>>);

fn specialised<'r>(
    graph: &mut Graph,
    rules: impl Iterator<Item = (&'r Rule, NodeId)>,
    known: &dyn Fn(u32) -> Option<bool>,
) -> Option<Arc<KindProgram>> {
    let mut memo = HashMap::new();
    let mut roots = Vec::new();
    for (rule, node) in rules {
        let root = graph.fold(node, known, &mut memo);
        if *graph.node(root) != Node::Const(false) {
            roots.push((rule.id, root));
        }
    }
    (!roots.is_empty()).then(|| Arc::new(KindProgram::new(graph, &roots)))
}

/// Whether some kinds decide the check.
fn is_decidable(leaf: &Leaf) -> bool {
    matches!(leaf.left.text.as_str(), "evt.type" | "evt.dir" | "evt.num") && matches!(leaf.how, How::Plain(_))
}

/// What the kind alone says about a check; `None` when it takes the event.
fn decide(leaf: &Leaf, kind: Kind) -> Option<bool> {
    let How::Plain(test) = &leaf.how else { return None };
    let info = kind.info()?;
    match leaf.left.text.as_str() {
        "evt.type" if names_itself(kind) => Some(test.holds(Value::Str(info.name.as_bytes()))),
        "evt.dir" => Some(test.holds(Value::Str(if info.is_enter { b">" } else { b"<" }))),
        "evt.num" => never_or_always(test),
        _ => None,
    }
}

/// Generic, asynchronous and plugin events are called what they carry.
fn names_itself(kind: Kind) -> bool {
    !matches!(kind, Kind::GENERIC_E | Kind::GENERIC_X | Kind::ASYNCEVENT_E | Kind::PLUGINEVENT_E)
}

/// Event numbers start at 1.
fn never_or_always(test: &Test) -> Option<bool> {
    match test {
        Test::Number(Comparison::Eq | Comparison::Le, 0) | Test::Number(Comparison::Lt, 0 | 1) => Some(false),
        Test::Number(Comparison::Ne | Comparison::Gt, 0) | Test::Number(Comparison::Ge, 0 | 1) => Some(true),
        _ => None,
    }
}
