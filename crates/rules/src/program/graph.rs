//! Conditions as one graph: equal nodes exist once. Knows how to fold what an event kind decides, and how to fuse many
//! text checks of one field into one. All rewriting keeps the truth of every condition: checks have no side effects,
//! and a check of an absent field is false, so `and` and `or` may be regrouped freely.

use crate::check::{Fused, How, Leaf, Test, Typed};
use std::collections::HashMap;
use std::sync::Arc;

pub type NodeId = u32;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Node {
    Const(bool),
    And(Vec<NodeId>),
    Or(Vec<NodeId>),
    Not(NodeId),
    /// Index of a leaf.
    Leaf(u32),
}

#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    ids: HashMap<Node, NodeId>,
    leaves: Vec<Arc<Leaf>>,
    /// By address; the graph keeps the leaves alive.
    leaf_ids: HashMap<usize, u32>,
    fused: HashMap<Vec<u32>, Option<u32>>,
    /// By address of the macro's body, which the rules keep alive.
    macros: HashMap<usize, NodeId>,
}

impl Graph {
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    pub fn leaf(&self, index: u32) -> &Arc<Leaf> {
        &self.leaves[index as usize]
    }

    pub fn leaves(&self) -> &[Arc<Leaf>] {
        &self.leaves
    }

    /// Adds a condition.
    pub fn add(&mut self, typed: &Typed) -> NodeId {
        match typed {
            Typed::And(children) => {
                let ids = children.iter().map(|c| self.add(c)).collect();
                self.intern(Node::And(ids))
            }
            Typed::Or(children) => {
                let ids = children.iter().map(|c| self.add(c)).collect();
                self.intern(Node::Or(ids))
            }
            Typed::Not(child) => {
                let id = self.add(child);
                self.intern(Node::Not(id))
            }
            Typed::Macro(_, body) => self.add_macro(body),
            Typed::Leaf(leaf) => {
                let index = self.leaf_index(leaf);
                self.intern(Node::Leaf(index))
            }
        }
    }

    fn add_macro(&mut self, body: &Arc<Typed>) -> NodeId {
        let address = Arc::as_ptr(body).addr();
        if let Some(id) = self.macros.get(&address) {
            return *id;
        }
        let id = self.add(body);
        self.macros.insert(address, id);
        id
    }

    fn intern(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.ids.get(&node) {
            return *id;
        }
        let id = index(self.nodes.len());
        self.nodes.push(node.clone());
        self.ids.insert(node, id);
        id
    }

    fn leaf_index(&mut self, leaf: &Arc<Leaf>) -> u32 {
        let address = Arc::as_ptr(leaf).addr();
        if let Some(found) = self.leaf_ids.get(&address) {
            return *found;
        }
        let new = index(self.leaves.len());
        self.leaves.push(Arc::clone(leaf));
        self.leaf_ids.insert(address, new);
        new
    }

    /// `id` with the leaves that `known` decides folded away. `memo` is for one `known`.
    pub fn fold(
        &mut self,
        id: NodeId,
        known: &dyn Fn(u32) -> Option<bool>,
        memo: &mut HashMap<NodeId, NodeId>,
    ) -> NodeId {
        if let Some(folded) = memo.get(&id) {
            return *folded;
        }
        let folded = match self.node(id).clone() {
            Node::Const(_) => id,
            Node::Leaf(leaf) => known(leaf).map_or(id, |value| self.intern(Node::Const(value))),
            Node::Not(child) => {
                let child = self.fold(child, known, memo);
                self.negate(child)
            }
            Node::And(children) => {
                let children = children.into_iter().map(|c| self.fold(c, known, memo)).collect();
                self.chain(children, true)
            }
            Node::Or(children) => {
                let children = children.into_iter().map(|c| self.fold(c, known, memo)).collect();
                self.chain(children, false)
            }
        };
        memo.insert(id, folded);
        folded
    }

    fn negate(&mut self, child: NodeId) -> NodeId {
        match *self.node(child) {
            Node::Const(value) => self.intern(Node::Const(!value)),
            Node::Not(inner) => inner,
            _ => self.intern(Node::Not(child)),
        }
    }

    /// An `and` (or an `or`) of folded children: constants and repetitions go, text checks fuse.
    fn chain(&mut self, children: Vec<NodeId>, is_and: bool) -> NodeId {
        let mut kept: Vec<NodeId> = Vec::new();
        for child in children {
            match self.node(child) {
                Node::Const(value) if *value != is_and => return child,
                Node::Const(_) => {}
                _ if kept.contains(&child) => {}
                _ => kept.push(child),
            }
        }
        let kept = self.fuse(kept, is_and);
        match kept.as_slice() {
            [] => self.intern(Node::Const(is_and)),
            [only] => *only,
            _ if is_and => self.intern(Node::And(kept)),
            _ => self.intern(Node::Or(kept)),
        }
    }

    /// Replaces text checks of one field in an `or`, or negated ones in an `and`, by one check at the first one's place.
    fn fuse(&mut self, children: Vec<NodeId>, is_and: bool) -> Vec<NodeId> {
        let mut groups: Vec<(String, Vec<(usize, u32)>)> = Vec::new();
        for (place, child) in children.iter().enumerate() {
            let Some(leaf) = self.fusable(*child, is_and) else { continue };
            let text = &self.leaf(leaf).left.text;
            match groups.iter_mut().find(|(t, _)| t == text) {
                Some((_, members)) => members.push((place, leaf)),
                None => groups.push((text.clone(), vec![(place, leaf)])),
            }
        }
        let mut children: Vec<Option<NodeId>> = children.into_iter().map(Some).collect();
        for (_, members) in groups.into_iter().filter(|(_, members)| members.len() > 1) {
            let Some(fused) = self.fused(members.iter().map(|(_, leaf)| *leaf).collect()) else { continue };
            let node = self.intern(Node::Leaf(fused));
            let node = if is_and { self.negate(node) } else { node };
            members.iter().for_each(|(place, _)| children[*place] = None);
            children[members[0].0] = Some(node);
        }
        children.into_iter().flatten().collect()
    }

    fn fusable(&self, id: NodeId, negated: bool) -> Option<u32> {
        let id = match (self.node(id), negated) {
            (Node::Not(child), true) => *child,
            (_, true) => return None,
            _ => id,
        };
        let Node::Leaf(leaf) = self.node(id) else { return None };
        matches!(&self.leaf(*leaf).how, How::Plain(test) if Fused::accepts(test)).then_some(*leaf)
    }

    fn fused(&mut self, members: Vec<u32>) -> Option<u32> {
        if let Some(known) = self.fused.get(&members) {
            return *known;
        }
        let leaves: Vec<Arc<Leaf>> = members.iter().map(|m| Arc::clone(self.leaf(*m))).collect();
        let tests = leaves.iter().filter_map(|leaf| match &leaf.how {
            How::Plain(test) => Some(test),
            _ => None,
        });
        let tests: Vec<&Test> = tests.collect();
        let text: Vec<&str> = leaves.iter().map(|l| l.text.as_str()).collect();
        let made = Fused::new(&tests).map(|fused| Leaf {
            text: text.join(" or "),
            left: leaves[0].left.clone(),
            how: How::Plain(Test::Fused(Box::new(fused))),
        });
        let made = made.map(|leaf| self.leaf_index(&Arc::new(leaf)));
        self.fused.insert(members, made);
        made
    }
}

/// Rule sets with four thousand million nodes do not fit into memory.
fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
