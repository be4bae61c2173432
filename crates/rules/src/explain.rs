//! Why a rule did or did not match: the condition as a tree with the truth of every part and the values it saw, and
//! counts of how often each part was true and false over many events. Works on the condition as written, macros named,
//! not on the optimised program; tests hold both to the same verdicts.

use crate::check::{Direct, How, Leaf, Typed};
use crate::output::print_field;
use crate::ruleset::{Rule, RuleId, RuleSet};
use bumpalo::Bump;
use event::{Catalogue, FieldRef, FieldSource};
use std::fmt::Write as _;

/// What a part of a condition is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    And,
    Or,
    Not,
    Macro(String),
    /// A comparison, as conditions print it.
    Check(String),
}

/// One part of a condition for one event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    pub part: Part,
    pub value: bool,
    /// False when an earlier part had decided already; `value` is what it would have been.
    pub reached: bool,
    /// The fields of a check with their texts; `None` = absent.
    pub fields: Vec<(String, Option<String>)>,
    pub children: Vec<Trace>,
}

impl RuleSet {
    /// Evaluates the condition of rule `id` part by part; `None` when there is no such rule. Which events the rule is
    /// tried on at all is told by [`Rule::runs_on`].
    pub fn explain<S: FieldSource>(&self, id: RuleId, event: &S, arena: &Bump) -> Option<Trace> {
        let explainer = Explainer { catalogue: self.catalogue(), event, arena };
        Some(explainer.trace(&self.rule(id)?.typed, true))
    }
}

struct Explainer<'a, S> {
    catalogue: &'a Catalogue,
    event: &'a S,
    arena: &'a Bump,
}

impl<S: FieldSource> Explainer<'_, S> {
    fn trace(&self, typed: &Typed, reached: bool) -> Trace {
        let leaf = |part, value, children| Trace { part, value, reached, fields: Vec::new(), children };
        match typed {
            Typed::And(parts) => {
                let children = self.chain(parts, reached, false);
                leaf(Part::And, children.iter().all(|c| c.value), children)
            }
            Typed::Or(parts) => {
                let children = self.chain(parts, reached, true);
                leaf(Part::Or, children.iter().any(|c| c.value), children)
            }
            Typed::Not(part) => {
                let child = self.trace(part, reached);
                leaf(Part::Not, !child.value, vec![child])
            }
            Typed::Macro(name, body) => {
                let child = self.trace(body, reached);
                leaf(Part::Macro(name.clone()), child.value, vec![child])
            }
            Typed::Leaf(check) => Trace {
                part: Part::Check(check.text.clone()),
                value: holds(check, self.event, self.arena),
                reached,
                fields: self.fields(check),
                children: Vec::new(),
            },
        }
    }

    fn chain(&self, parts: &[Typed], mut reached: bool, decisive: bool) -> Vec<Trace> {
        let step = |part| {
            let trace = self.trace(part, reached);
            reached &= trace.value != decisive;
            trace
        };
        parts.iter().map(step).collect()
    }

    fn fields(&self, leaf: &Leaf) -> Vec<(String, Option<String>)> {
        let mut fields: Vec<&FieldRef> = Vec::new();
        leaf.left.each_field(&mut |field| fields.push(field));
        if let How::Against(_, right) = &leaf.how {
            right.each_field(&mut |field| fields.push(field));
        }
        fields.into_iter().map(|field| (field.text.clone(), self.text_of(field, leaf))).collect()
    }

    fn text_of(&self, field: &FieldRef, leaf: &Leaf) -> Option<String> {
        let is_absent = self.event.extract(field, self.arena).is_none();
        let no_candidates = !leaf.needs_candidates() || self.event.candidates(field, self.arena).is_empty();
        if is_absent && no_candidates {
            return None;
        }
        let mut text = Vec::new();
        print_field(self.catalogue, field, self.event, self.arena, &mut text);
        Some(String::from_utf8_lossy(&text).into_owned())
    }
}

fn holds<S: FieldSource>(leaf: &Leaf, event: &S, arena: &Bump) -> bool {
    leaf.holds(&Direct { leaf, event, arena })
}

impl Trace {
    /// The tree as indented text, one part per line.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(0, &mut out);
        out
    }

    fn write(&self, depth: usize, out: &mut String) {
        let verdict = match (self.reached, self.value) {
            (false, _) => "-",
            (true, true) => "true",
            (true, false) => "false",
        };
        let what = match &self.part {
            Part::And => "and",
            Part::Or => "or",
            Part::Not => "not",
            Part::Macro(name) => name,
            Part::Check(text) => text,
        };
        let _ = write!(out, "{verdict:<6}{:indent$}{what}", "", indent = 2 * depth);
        for (i, (field, value)) in self.fields.iter().enumerate() {
            out.push_str(if i == 0 { "   [" } else { ", " });
            let _ = match value {
                Some(value) => write!(out, "{field} = {value}"),
                None => write!(out, "{field} absent"),
            };
        }
        out.push_str(if self.fields.is_empty() { "\n" } else { "]\n" });
        self.children.iter().for_each(|c| c.write(depth + 1, out));
    }
}

/// How often each part of a rule's condition was true and false.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Coverage {
    parts: Vec<PartCount>,
}

/// Counts of one part. Only evaluations that were reached count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartCount {
    pub part: Part,
    /// 0 for the whole condition.
    pub depth: usize,
    pub times_true: u64,
    pub times_false: u64,
}

impl Coverage {
    pub fn new(rule: &Rule) -> Self {
        let mut parts = Vec::new();
        list_parts(&rule.typed, 0, &mut parts);
        Coverage { parts }
    }

    /// Parts in the order in which the condition names them.
    pub fn parts(&self) -> &[PartCount] {
        &self.parts
    }

    /// Evaluates `rule`, the one this was made for, on one more event, and returns its verdict.
    pub fn record<S: FieldSource>(&mut self, rule: &Rule, event: &S, arena: &Bump) -> bool {
        let mut next = 0;
        self.visit(&rule.typed, event, arena, &mut next)
    }

    fn visit<S: FieldSource>(&mut self, typed: &Typed, event: &S, arena: &Bump, next: &mut usize) -> bool {
        let own = *next;
        *next += 1;
        let value = match typed {
            Typed::And(parts) => self.chain(parts, false, (event, arena), next),
            Typed::Or(parts) => self.chain(parts, true, (event, arena), next),
            Typed::Not(part) => !self.visit(part, event, arena, next),
            Typed::Macro(_, body) => self.visit(body, event, arena, next),
            Typed::Leaf(leaf) => holds(leaf, event, arena),
        };
        if let Some(count) = self.parts.get_mut(own) {
            *(if value { &mut count.times_true } else { &mut count.times_false }) += 1;
        }
        value
    }

    fn chain<S: FieldSource>(
        &mut self,
        parts: &[Typed],
        decisive: bool,
        (event, arena): (&S, &Bump),
        next: &mut usize,
    ) -> bool {
        let mut decided = false;
        for part in parts {
            if decided {
                *next += size_of_tree(part);
            } else {
                decided = self.visit(part, event, arena, next) == decisive;
            }
        }
        decided == decisive
    }
}

fn size_of_tree(typed: &Typed) -> usize {
    1 + match typed {
        Typed::And(parts) | Typed::Or(parts) => parts.iter().map(size_of_tree).sum(),
        Typed::Not(part) => size_of_tree(part),
        Typed::Macro(_, body) => size_of_tree(body),
        Typed::Leaf(_) => 0,
    }
}

fn list_parts(typed: &Typed, depth: usize, out: &mut Vec<PartCount>) {
    let part = match typed {
        Typed::And(_) => Part::And,
        Typed::Or(_) => Part::Or,
        Typed::Not(_) => Part::Not,
        Typed::Macro(name, _) => Part::Macro(name.clone()),
        Typed::Leaf(leaf) => Part::Check(leaf.text.clone()),
    };
    out.push(PartCount { part, depth, times_true: 0, times_false: 0 });
    match typed {
        Typed::And(parts) | Typed::Or(parts) => parts.iter().for_each(|p| list_parts(p, depth + 1, out)),
        Typed::Not(part) => list_parts(part, depth + 1, out),
        Typed::Macro(_, body) => list_parts(body, depth + 1, out),
        Typed::Leaf(_) => {}
    }
}
