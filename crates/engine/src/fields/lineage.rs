//! Ancestors and leaders of a process. In: a thread. Out: its parent, its n-th ancestor, all of them, its session or
//! group leader. Only the thread table is asked; a loop in it ends the walk.

use super::builtin::Builtin;
use super::proc::environment;
use super::text::{Text, valid};
use crate::context::Context;
use crate::state::{State, Thread};
use bumpalo::Bump;
use bumpalo::collections::Vec;
use event::{FieldArg, Value};

/// Whose leader is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leader {
    Session,
    VirtualGroup,
    Group,
}

/// The main thread of the parent process.
pub(super) fn parent<'a>(state: &'a State, thread: &'a Thread) -> Option<&'a Thread> {
    state.ancestors(thread).next()
}

/// The leader of `thread`'s session or group: by id where the id is the host's, else (and when that thread is gone) the
/// eldest of the unbroken line of ancestors that share it.
pub(super) fn leader<'a>(state: &'a State, thread: &'a Thread, of: Leader) -> Option<&'a Thread> {
    let id = |t: &Thread| match of {
        Leader::Session => t.sid,
        Leader::VirtualGroup => t.vpgid,
        Leader::Group => t.pgid,
    };
    let own = Some(id(thread)).filter(|own| *own >= 0)?;
    if of == Leader::Group {
        return state.thread(own);
    }
    let by_id = (!thread.in_pidns()).then(|| state.thread(own)).flatten();
    by_id.or_else(|| state.ancestors(thread).take_while(|t| id(t) == own).last())
}

/// The pid of the eldest of thread and ancestors whose name ends like a shell's.
pub(super) fn login_shell(state: &State, thread: &Thread) -> Option<i64> {
    let shells = std::iter::once(thread).chain(state.ancestors(thread)).filter(|t| t.comm.ends_with(b"sh"));
    shells.last().map(|shell| shell.pid)
}

/// `proc.aname` and its like: `[0]` is the process itself, `[1]` its parent; without an index all ancestors.
pub(super) fn extract<'a>(
    ctx: &'a Context<'a>,
    thread: &'a Thread,
    field: Builtin,
    arg: Option<&FieldArg>,
    arena: &'a Bump,
) -> Option<Value<'a>> {
    match (field, arg) {
        (Builtin::ProcAenv, Some(FieldArg::Key(_))) => inherited(ctx.state, thread, arg, arena),
        (Builtin::ProcApid | Builtin::ProcAenv, None) => of_ancestor(ctx.state, thread, 0, field, arena),
        (_, Some(FieldArg::Index(index))) => of_ancestor(ctx.state, thread, *index, field, arena),
        _ => all_joined(ctx.state, thread, field, arena),
    }
}

/// The values of all ancestors, nearest first, for fields that compare with any of them.
pub(super) fn candidates<'a>(
    ctx: &'a Context<'a>,
    field: Builtin,
    arg: Option<&FieldArg>,
    arena: &'a Bump,
) -> &'a [Value<'a>] {
    let Some(thread) = ctx.thread else { return &[] };
    let mut values = Vec::new_in(arena);
    if let (Builtin::ProcAenv, Some(FieldArg::Key(_))) = (field, arg) {
        values.extend(inherited(ctx.state, thread, arg, arena));
    } else {
        values.extend(ctx.state.ancestors(thread).map(|t| value(ctx.state, t, field, arena)));
    }
    values.into_bump_slice()
}

fn of_ancestor<'a>(
    state: &'a State,
    thread: &'a Thread,
    index: u64,
    field: Builtin,
    arena: &'a Bump,
) -> Option<Value<'a>> {
    let ancestor = match index.checked_sub(1) {
        None if field == Builtin::ProcAenv => Some(thread),
        None => state.main_thread(thread),
        Some(before) => state.ancestors(thread).nth(usize::try_from(before).ok()?),
    };
    Some(value(state, ancestor?, field, arena))
}

fn all_joined<'a>(state: &'a State, thread: &'a Thread, field: Builtin, arena: &'a Bump) -> Option<Value<'a>> {
    let mut text = Text::new(arena);
    for ancestor in state.ancestors(thread) {
        text.separate(0, b" ");
        if let Value::Str(bytes) = value(state, ancestor, field, arena) {
            text.push(bytes);
        }
    }
    (!text.is_empty()).then(|| Value::Str(text.finish()))
}

fn value<'a>(state: &'a State, thread: &'a Thread, field: Builtin, arena: &'a Bump) -> Value<'a> {
    Value::Str(match field {
        Builtin::ProcApid => return Value::Int(thread.pid),
        Builtin::ProcAenv => environment(state, thread, None, arena),
        Builtin::ProcAexe => valid(&thread.exe, arena),
        Builtin::ProcAexepath => valid(&thread.exepath, arena),
        Builtin::ProcAargs => valid(thread.args_joined(), arena),
        Builtin::ProcAcmdline => valid(&thread.cmdline, arena),
        _ => valid(&thread.comm, arena),
    })
}

/// The variable's first value that is not empty, from the parent upwards.
fn inherited<'a>(state: &'a State, thread: &'a Thread, arg: Option<&FieldArg>, arena: &'a Bump) -> Option<Value<'a>> {
    let mut values = state.ancestors(thread).take(ENV_DEPTH).map(|t| environment(state, t, arg, arena));
    values.find(|value| !value.is_empty()).map(Value::Str)
}

/// How many ancestors are searched for a variable.
const ENV_DEPTH: usize = 20;
