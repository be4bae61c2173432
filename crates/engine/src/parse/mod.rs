//! Parsers: what each kind of event changes in the state. In: one event whose thread and descriptor are already
//! associated. Out: the changed tables, and in the step what must happen after the event was judged. A parameter that
//! is missing or malformed leaves the state as it is; nothing panics on any bytes.

mod births;
mod clone;
mod container;
mod exec;
mod exit;
mod file;
mod process;
mod socket;
mod table;
mod traffic;
mod users;

pub(crate) use births::Births;
pub(crate) use container::meet;
pub use container::to_json as container_json;
pub(crate) use exit::RecentExits;
pub(crate) use table::{FdUse, Row, ThreadUse, rows};

use crate::proc_source::ProcSource;
use crate::state::{FdEntry, State, Thread};
use event::Event;

/// What is known about the event in hand while its parser runs.
pub(crate) struct Step<'s> {
    /// Time of the event.
    pub ts: u64,
    /// Thread the event happened in, when it is in the table.
    pub tid: Option<i64>,
    /// Descriptor that the event is about.
    pub fd: Option<i64>,
    /// The thread's stored enter event belongs to this exit.
    pub enter: bool,
    /// The parser gave the descriptor another name.
    pub name_changed: bool,
    pub after: After,
    /// Where to look up what events do not tell; absent in replay.
    pub source: Option<&'s mut (dyn ProcSource + 'static)>,
    pub recent: &'s mut RecentExits,
    pub births: &'s mut Births,
}

impl Step<'_> {
    fn meet_container(&mut self, state: &mut State, tid: i64) {
        if let Some(source) = &mut self.source {
            container::meet(state, *source, tid);
        }
    }
}

/// What happens to the tables once the event was judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum After {
    #[default]
    Nothing,
    RemoveFd {
        tid: i64,
        fd: i64,
    },
    RemoveThread {
        tid: i64,
    },
}

pub(crate) type Parser = fn(&mut State, &Event<'_>, &mut Step<'_>);

/// The return value when the call succeeded.
fn success(event: &Event<'_>) -> Option<i64> {
    event.i64(0).filter(|res| *res >= 0)
}

/// The event's thread.
fn thread<'s>(state: &'s mut State, step: &Step<'_>) -> Option<&'s mut Thread> {
    state.thread_mut(step.tid?)
}

/// The descriptor that the event is about, for changing.
fn fd<'s>(state: &'s mut State, step: &Step<'_>) -> Option<&'s mut FdEntry> {
    state.fd_mut(step.tid?, step.fd?)
}

/// The stored enter event when it belongs to this exit; a copy of its bytes is not made.
fn with_enter<R>(state: &State, step: &Step<'_>, read: impl FnOnce(&Event<'_>) -> Option<R>) -> Option<R> {
    let thread = state.thread(step.tid.filter(|_| step.enter)?)?;
    read(&Event::decode(&thread.enter, 0).ok()?)
}
