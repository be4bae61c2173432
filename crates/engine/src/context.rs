//! One event together with everything conditions may ask about it. In: the engine fills it after the event changed the
//! state. Out: borrowed views for the fields. It lives for one event, owns nothing and changes nothing.

use crate::fields::Surroundings;
use crate::state::{FdEntry, State, Thread};
use event::Event;

/// An event seen after the state was updated with it. A closed descriptor and an exited thread are still visible.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub event: &'a Event<'a>,
    /// 1 for the first event that reached the engine.
    pub num: u64,
    /// `syscall`, or the event source of the plugin the event came from.
    pub source: &'a str,
    pub state: &'a State,
    pub around: &'a Surroundings,
    /// The thread the event happened in; `None` for events of no thread and for unknown threads that get no
    /// placeholder.
    pub thread: Option<&'a Thread>,
    /// The descriptor the event is about.
    pub fd_num: Option<i64>,
    /// The open file behind it: the event's, else the thread's last one.
    pub fd: Option<&'a FdEntry>,
    /// This event gave `fd` another name.
    pub fd_name_changed: bool,
    /// The enter event that belongs to this exit event.
    pub enter: Option<Event<'a>>,
    /// Errno (positive) of a failed call; 0 otherwise.
    pub errno: i64,
    /// Time of the first event of a thread, ns since the epoch; 0 while only tables and sensor messages were seen.
    pub first_ts: u64,
    /// Name of the machine, or what replaces it.
    pub hostname: &'a str,
}
