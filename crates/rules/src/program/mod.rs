//! The compiled form of all enabled rules. Equal sub-expressions of all rules are one node, computed at most once per
//! event; fields are extracted lazily and at most once; rules are indexed by event source and kind, and each kind has
//! its own program in which everything that the kind decides is folded away.

mod build;
mod gate;
mod graph;
mod kind;

use crate::check::How;
use crate::ruleset::{RuleId, RuleSet};
use bumpalo::Bump;
use event::{FieldSource, Kind, Sc};
use kind::KindProgram;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whether the first matching rule wins or every matching rule is reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Matching {
    #[default]
    First,
    All,
}

/// An event source of a [`Program`]: `syscall` or that of a plugin.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SourceIndex(u16);

/// All enabled rules, ready to be evaluated. Immutable; shared between threads.
#[derive(Clone, Debug)]
pub struct Program {
    matching: Matching,
    sources: Vec<Source>,
    needed_syscalls: BTreeSet<Sc>,
    host_names: Vec<String>,
}

/// The rules of one event source by kind.
#[derive(Clone, Debug)]
struct Source {
    name: String,
    by_kind: Vec<Option<Arc<KindProgram>>>,
}

impl Program {
    pub(crate) fn build(rules: &RuleSet, matching: Matching) -> Self {
        let mut names: Vec<&str> = rules.enabled().map(|r| r.source.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let sources = names.into_iter().map(|name| Source {
            name: name.to_owned(),
            by_kind: build::programs(rules.enabled().filter(|r| r.source == name)),
        });
        let syscall_rules = rules.enabled().filter(|r| r.source == SYSCALL);
        let needed_syscalls = syscall_rules.flat_map(crate::Rule::needed_syscalls);
        Program {
            matching,
            sources: sources.collect(),
            needed_syscalls: needed_syscalls.collect(),
            host_names: host_names(rules),
        }
    }

    pub fn matching(&self) -> Matching {
        self.matching
    }

    /// The source called `name`; `None` when no enabled rule belongs to it.
    pub fn source(&self, name: &str) -> Option<SourceIndex> {
        let index = self.sources.iter().position(|s| s.name == name)?;
        u16::try_from(index).ok().map(SourceIndex)
    }

    /// Whether any rule of `source` has to see events of `kind`.
    pub fn wants(&self, source: SourceIndex, kind: Kind) -> bool {
        self.program(source, kind).is_some()
    }

    fn program(&self, source: SourceIndex, kind: Kind) -> Option<&KindProgram> {
        self.sources.get(usize::from(source.0))?.by_kind.get(usize::from(kind.0))?.as_deref()
    }

    /// The event kinds that rules of source `syscall` run on.
    pub fn needed_kinds(&self) -> impl Iterator<Item = Kind> {
        let syscall = self.sources.iter().filter(|s| s.name == SYSCALL);
        let kinds = syscall.flat_map(|s| s.by_kind.iter().enumerate().filter(|(_, p)| p.is_some()));
        kinds.filter_map(|(kind, _)| u16::try_from(kind).ok().map(Kind))
    }

    /// The system calls that rules of source `syscall` need to see, including those without an event of their own.
    pub fn needed_syscalls(&self) -> &BTreeSet<Sc> {
        &self.needed_syscalls
    }

    /// Host names that conditions compare addresses with (`fd.sip.name`): to be resolved ahead of time.
    pub fn host_names(&self) -> &[String] {
        &self.host_names
    }

    /// Appends to `matched` the rules that match `event`: at most one with [`Matching::First`]. Allocates only in
    /// `arena`, and in `matched` when a rule matches.
    pub fn evaluate<S: FieldSource>(
        &self,
        source: SourceIndex,
        kind: Kind,
        event: &S,
        arena: &Bump,
        matched: &mut Vec<RuleId>,
    ) {
        if let Some(program) = self.program(source, kind) {
            program.evaluate(event, arena, self.matching, matched);
        }
    }
}

fn host_names(rules: &RuleSet) -> Vec<String> {
    let mut found = BTreeSet::new();
    for rule in rules.enabled() {
        rule.typed.each_leaf(&mut |leaf| {
            if let How::Host { names, .. } = &leaf.how {
                found.extend(names.iter().map(|n| String::from_utf8_lossy(n).into_owned()));
            }
        });
    }
    found.into_iter().collect()
}

const SYSCALL: &str = "syscall";
