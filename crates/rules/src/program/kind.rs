//! The program of one event kind, laid out for evaluation: nodes in one array, a memo byte for every node that several
//! others share, a slot for every distinct value. Memos and slots live in the per-event arena; nothing else is written.

use super::Matching;
use super::gate::{Gates, Places, positions};
use super::graph::{Graph, Node, NodeId};
use crate::check::{How, Inputs, Leaf, ValueExpr};
use crate::ruleset::RuleId;
use bumpalo::Bump;
use event::{FieldRef, FieldSource, Value};
use std::cell::Cell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Debug)]
pub struct KindProgram {
    rules: Box<[(RuleId, u32)]>,
    nodes: Box<[Step]>,
    children: Box<[u32]>,
    checks: Box<[Check]>,
    inputs: Box<[Input]>,
    memos: usize,
    /// Only where there are many rules.
    gates: Option<Gates>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    what: What,
    /// `NO_MEMO` when only one other node uses this one.
    memo: u32,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Const(bool),
    /// Range of `children`.
    And(u32, u32),
    Or(u32, u32),
    Not(u32),
    Check(u32),
}

#[derive(Debug)]
struct Check {
    leaf: Arc<Leaf>,
    left: u32,
    right: u32,
    candidates: u32,
}

/// Something to extract.
#[derive(Clone, PartialEq, Debug)]
enum Input {
    Value(ValueExpr),
    Candidates(FieldRef),
}

const NO_MEMO: u32 = u32::MAX;
const NO_INPUT: u32 = u32::MAX;

impl KindProgram {
    /// Lays out what `roots` reach.
    pub fn new(graph: &Graph, roots: &[(RuleId, NodeId)]) -> Self {
        let mut layout = Layout { graph, uses: HashMap::new(), places: HashMap::new(), out: Parts::default() };
        roots.iter().for_each(|(_, root)| layout.count(*root));
        let rules = roots.iter().map(|(rule, root)| (*rule, layout.place(*root))).collect();
        let nodes: Vec<NodeId> = roots.iter().map(|(_, root)| *root).collect();
        let gates = Gates::new(graph, &nodes, &mut layout);
        let Parts { nodes, children, checks, inputs, memos } = layout.out;
        KindProgram {
            rules,
            nodes: nodes.into(),
            children: children.into(),
            checks: checks.into(),
            inputs: inputs.into(),
            memos: memos as usize,
            gates,
        }
    }

    pub fn evaluate<S: FieldSource>(&self, event: &S, arena: &Bump, matching: Matching, matched: &mut Vec<RuleId>) {
        let run = Run {
            program: self,
            event,
            arena,
            memos: arena.alloc_slice_fill_with(self.memos, |_| Cell::new(Memo::Unknown)),
            slots: arena.alloc_slice_fill_with(self.inputs.len(), |_| Cell::new(Slot::Unknown)),
        };
        match &self.gates {
            None => run.try_rules(&mut self.rules.iter(), matching, matched),
            Some(gates) => {
                let live = gates.live(arena, |input| run.text(input), |place| run.eval(place));
                run.try_rules(&mut positions(live).filter_map(|at| self.rules.get(at)), matching, matched);
            }
        }
    }
}

struct Layout<'g> {
    graph: &'g Graph,
    uses: HashMap<NodeId, u32>,
    places: HashMap<NodeId, u32>,
    out: Parts,
}

#[derive(Default)]
struct Parts {
    nodes: Vec<Step>,
    children: Vec<u32>,
    checks: Vec<Check>,
    inputs: Vec<Input>,
    memos: u32,
}

impl Places for Layout<'_> {
    fn input_of(&mut self, leaf: &Leaf) -> u32 {
        self.input(Input::Value(leaf.left.clone()))
    }

    fn place_of(&mut self, node: NodeId) -> u32 {
        self.place(node)
    }
}

impl Layout<'_> {
    fn count(&mut self, id: NodeId) {
        let uses = self.uses.entry(id).or_default();
        *uses += 1;
        if *uses > 1 {
            return;
        }
        match self.graph.node(id) {
            Node::Const(_) | Node::Leaf(_) => {}
            Node::Not(child) => self.count(*child),
            Node::And(children) | Node::Or(children) => children.iter().for_each(|c| self.count(*c)),
        }
    }

    fn place(&mut self, id: NodeId) -> u32 {
        if let Some(place) = self.places.get(&id) {
            return *place;
        }
        let what = match self.graph.node(id) {
            Node::Const(value) => What::Const(*value),
            Node::Not(child) => What::Not(self.place(*child)),
            Node::And(children) => self.range(children, What::And),
            Node::Or(children) => self.range(children, What::Or),
            Node::Leaf(leaf) => What::Check(self.check(self.graph.leaf(*leaf))),
        };
        let is_shared = self.uses.get(&id).is_some_and(|uses| *uses > 1);
        let worth_it = is_shared && !matches!(what, What::Const(_) | What::Not(_));
        let memo = if worth_it { self.out.memos } else { NO_MEMO };
        self.out.memos += u32::from(worth_it);
        let place = position(self.out.nodes.len());
        self.out.nodes.push(Step { what, memo });
        self.places.insert(id, place);
        place
    }

    fn range(&mut self, children: &[NodeId], make: fn(u32, u32) -> What) -> What {
        let places: Vec<u32> = children.iter().map(|c| self.place(*c)).collect();
        let start = position(self.out.children.len());
        self.out.children.extend(places);
        make(start, position(self.out.children.len()))
    }

    fn check(&mut self, leaf: &Arc<Leaf>) -> u32 {
        let left = match &leaf.how {
            How::Any(_) | How::All(_) => NO_INPUT,
            _ => self.input(Input::Value(leaf.left.clone())),
        };
        let right = match &leaf.how {
            How::Against(_, right) => self.input(Input::Value(right.clone())),
            _ => NO_INPUT,
        };
        let candidates = match leaf.left.as_field().filter(|_| leaf.needs_candidates()) {
            Some(field) => self.input(Input::Candidates(field.clone())),
            None => NO_INPUT,
        };
        self.out.checks.push(Check { leaf: Arc::clone(leaf), left, right, candidates });
        position(self.out.checks.len() - 1)
    }

    fn input(&mut self, input: Input) -> u32 {
        let known = self.out.inputs.iter().position(|i| *i == input);
        position(known.unwrap_or_else(|| {
            self.out.inputs.push(input);
            self.out.inputs.len() - 1
        }))
    }
}

/// One rule set does not reach four thousand million nodes.
fn position(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Memo {
    Unknown,
    False,
    True,
}

#[derive(Clone, Copy)]
enum Slot<'a> {
    Unknown,
    Absent,
    Present(Value<'a>),
}

/// One evaluation.
struct Run<'p, 'a, S> {
    program: &'p KindProgram,
    event: &'a S,
    arena: &'a Bump,
    memos: &'a [Cell<Memo>],
    slots: &'a [Cell<Slot<'a>>],
}

impl<'a, S: FieldSource> Run<'_, 'a, S> {
    fn try_rules(
        &self,
        rules: &mut dyn Iterator<Item = &(RuleId, u32)>,
        matching: Matching,
        matched: &mut Vec<RuleId>,
    ) {
        for (rule, root) in rules {
            if self.eval(*root) {
                matched.push(*rule);
                if matching == Matching::First {
                    return;
                }
            }
        }
    }

    fn text(&self, input: u32) -> Option<&'a [u8]> {
        match self.input(input)? {
            Value::Str(text) | Value::Bytes(text) => Some(text),
            _ => None,
        }
    }

    fn eval(&self, at: u32) -> bool {
        let Some(step) = self.program.nodes.get(at as usize) else { return false };
        if step.memo == NO_MEMO {
            return self.compute(step.what);
        }
        let Some(memo) = self.memos.get(step.memo as usize) else { return self.compute(step.what) };
        match memo.get() {
            Memo::Unknown => {
                let value = self.compute(step.what);
                memo.set(if value { Memo::True } else { Memo::False });
                value
            }
            known => known == Memo::True,
        }
    }

    fn compute(&self, what: What) -> bool {
        match what {
            What::Const(value) => value,
            What::And(start, end) => self.children(start, end).iter().all(|c| self.eval(*c)),
            What::Or(start, end) => self.children(start, end).iter().any(|c| self.eval(*c)),
            What::Not(child) => !self.eval(child),
            What::Check(check) => {
                let check = self.program.checks.get(check as usize);
                check.is_some_and(|check| check.leaf.holds(&Extracted { run: self, check }))
            }
        }
    }

    fn children(&self, start: u32, end: u32) -> &[u32] {
        self.program.children.get(start as usize..end as usize).unwrap_or_default()
    }

    fn input(&self, at: u32) -> Option<Value<'a>> {
        let slot = self.slots.get(at as usize)?;
        match slot.get() {
            Slot::Present(value) => Some(value),
            Slot::Absent => None,
            Slot::Unknown => {
                let value = self.extract(at);
                slot.set(value.map_or(Slot::Absent, Slot::Present));
                value
            }
        }
    }

    fn extract(&self, at: u32) -> Option<Value<'a>> {
        match self.program.inputs.get(at as usize)? {
            Input::Value(value) => value.eval(self.event, self.arena),
            Input::Candidates(field) => Some(Value::List(self.event.candidates(field, self.arena))),
        }
    }
}

/// The inputs of one check, each extracted at most once per event.
struct Extracted<'r, 'p, 'a, S> {
    run: &'r Run<'p, 'a, S>,
    check: &'r Check,
}

impl<'a, S: FieldSource> Inputs<'a> for Extracted<'_, '_, 'a, S> {
    fn left(&self) -> Option<Value<'a>> {
        self.run.input(self.check.left)
    }

    fn right(&self) -> Option<Value<'a>> {
        self.run.input(self.check.right)
    }

    fn candidates(&self) -> &'a [Value<'a>] {
        match self.run.input(self.check.candidates) {
            Some(Value::List(values)) => values,
            _ => &[],
        }
    }

    fn resolves(&self, host_name: &[u8], address: IpAddr) -> bool {
        self.run.event.addresses_of(host_name).contains(&address)
    }
}
