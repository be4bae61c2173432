//! The compiled form of all enabled rules: one dense program per event source and event kind.

use crate::ruleset::{RuleId, RuleSet};
use bumpalo::Bump;
use event::{FieldSource, Kind, Sc};
use std::collections::BTreeSet;

/// Whether the first matching rule wins or every matching rule is reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Matching {
    #[default]
    First,
    All,
}

/// An event source of a [`Program`]: `syscall` or that of a plugin.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SourceIndex(pub(crate) u16);

/// All enabled rules, ready to be evaluated. Immutable; shared between threads.
#[derive(Clone, Debug)]
pub struct Program {
    matching: Matching,
    needed_syscalls: BTreeSet<Sc>,
}

impl Program {
    pub(crate) fn build(_rules: &RuleSet, matching: Matching) -> Self {
        Program { matching, needed_syscalls: BTreeSet::new() }
    }

    pub fn matching(&self) -> Matching {
        self.matching
    }

    /// The source called `name`; `None` when no enabled rule belongs to it.
    pub fn source(&self, _name: &str) -> Option<SourceIndex> {
        None
    }

    /// Whether any rule of `source` has to see events of `kind`.
    pub fn wants(&self, _source: SourceIndex, _kind: Kind) -> bool {
        false
    }

    /// The event kinds that rules of source `syscall` run on.
    pub fn needed_kinds(&self) -> impl Iterator<Item = Kind> {
        std::iter::empty()
    }

    /// The system calls that rules of source `syscall` need to see, including those without an event of their own.
    pub fn needed_syscalls(&self) -> &BTreeSet<Sc> {
        &self.needed_syscalls
    }

    /// Host names that conditions compare addresses with (`fd.sip.name`): to be resolved ahead of time.
    pub fn host_names(&self) -> &[String] {
        &[]
    }

    /// Appends to `matched` the rules that match `event`: at most one with [`Matching::First`]. Allocates only in
    /// `arena`, and in `matched` when a rule matches.
    pub fn evaluate<S: FieldSource>(
        &self, _source: SourceIndex, _kind: Kind, _event: &S, _arena: &Bump, _matched: &mut Vec<RuleId>,
    ) {
    }
}
