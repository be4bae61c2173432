//! Rules applied to events. In: a compiled program and events in their context. Out: the rules that match. The program
//! can be exchanged between two events without touching the state; while no rule matches nothing is allocated. Events
//! that only feed the state tables must never match a rule: a call would raise its alert twice, once as it begins and
//! once as it ends.

use crate::context::Context;
use bumpalo::Bump;
use event::{EventFlags, EventInfo, Kind, tables};
use rules::{Program, RuleId, SourceIndex};
use std::sync::{Arc, LazyLock};

/// The rules in force.
pub struct Judge {
    program: Arc<Program>,
    /// Where the program keeps the source that events came from last.
    source: (String, Option<SourceIndex>),
    arena: Bump,
    matched: Vec<RuleId>,
}

impl Judge {
    pub fn new(program: Arc<Program>) -> Self {
        Judge { program, source: (String::new(), None), arena: Bump::new(), matched: Vec::new() }
    }

    /// Puts other rules in force and gives back the ones before.
    pub fn swap(&mut self, program: Arc<Program>) -> Arc<Program> {
        self.source = (String::new(), None);
        std::mem::replace(&mut self.program, program)
    }

    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// The rules that match the event, in the order in which the program reports them.
    pub fn judge(&mut self, context: &Context<'_>) -> &[RuleId] {
        self.matched.clear();
        let kind = context.event.kind;
        if !is_judged(kind) {
            return &self.matched;
        }
        if self.source.0 != context.source {
            self.source = (context.source.to_owned(), self.program.source(context.source));
        }
        if let Some(source) = self.source.1
            && self.program.wants(source, kind)
        {
            self.arena.reset();
            self.program.evaluate(source, kind, context, &self.arena, &mut self.matched);
        }
        &self.matched
    }
}

/// Whether rules see events of `kind`. Enter events exist to remember arguments for the exit event; accounts, container
/// descriptions and the rows of iterators come without anything having happened.
#[inline]
pub fn is_judged(kind: Kind) -> bool {
    JUDGED.get(usize::from(kind.0)).copied().unwrap_or(false)
}

static JUDGED: LazyLock<Vec<bool>> = LazyLock::new(|| tables::events().iter().map(judge).collect());

fn judge(info: &EventInfo) -> bool {
    let is_enter_of_call = info.is_enter && info.origin.ends_with("SYSCALL");
    let is_account =
        matches!(info.kind, Kind::USER_ADDED_E | Kind::USER_DELETED_E | Kind::GROUP_ADDED_E | Kind::GROUP_DELETED_E);
    let is_container = matches!(info.kind, Kind::CONTAINER_E | Kind::CONTAINER_JSON_E | Kind::CONTAINER_JSON_2_E);
    !is_enter_of_call && !is_account && !is_container && info.origin != "ITER" && !info.flags.has(EventFlags::UNUSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_and_tracepoints_are_judged_and_enters_are_not() {
        let judged = [Kind::SYSCALL_OPEN_X, Kind::PROCEXIT_1_E, Kind::SCHEDSWITCH_6_E, Kind::ASYNCEVENT_E];
        let silent = [Kind::SYSCALL_OPEN_E, Kind::SOCKET_CONNECT_E, Kind::USER_ADDED_E, Kind::ITER_TASK_E];
        assert!(judged.into_iter().all(is_judged));
        assert!(!silent.into_iter().any(is_judged));
    }
}
