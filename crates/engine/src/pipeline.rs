//! The way of one event through the engine. In: events in the order of their source. Out: for each the context in which
//! rules judge it. What an event ends (a closed descriptor, an exited thread) is still visible for that event and goes
//! when the next one arrives. No allocation for events that change nothing, no I/O, no clock but the events'.

use crate::context::Context;
use crate::counters::{Counter, Counters};
use crate::fields::Surroundings;
use crate::parse::{After, Births, FdUse, RecentExits, Row, Step, ThreadUse, rows};
use crate::proc_source::ProcSource;
use crate::state::containers::{Container, Runtime};
use crate::state::{Containers, Limits, State, Str, Thread, ThreadFlags};
use event::snapshot::Snapshot;
use event::{Event, Kind};

/// How the engine is set up.
#[derive(Clone, Debug)]
pub struct Options {
    pub limits: Limits,
    /// Stands in for the machine's name.
    pub hostname: Option<String>,
    /// A thread idle for so long is removed if it does not exist any more, ns.
    pub thread_timeout_nanos: u64,
    /// Time between two looks for such threads, ns. Without a [`ProcSource`] nothing is removed.
    pub purge_interval_nanos: u64,
    /// Runtimes whose containers are told from the host.
    pub runtimes: Vec<Runtime>,
    /// See [`Containers::new`].
    pub any_controller: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            limits: Limits::default(),
            hostname: None,
            thread_timeout_nanos: 300_000_000_000,
            purge_interval_nanos: 300_000_000_000,
            runtimes: Runtime::ALL.to_vec(),
            any_controller: false,
        }
    }
}

/// State tables and the events that change them.
pub struct Engine {
    state: State,
    /// What fields ask that neither event nor state can tell.
    pub around: Surroundings,
    options: Options,
    rows: Box<[Row]>,
    recent: RecentExits,
    births: Births,
    source: Option<Box<dyn ProcSource>>,
    after: After,
    num: u64,
    first_ts: u64,
    next_purge_ts: u64,
    seen: Seen,
}

/// What the last event turned out to be about.
#[derive(Clone, Copy, Default)]
struct Seen {
    tid: Option<i64>,
    fd: Option<i64>,
    enter: bool,
    name_changed: bool,
    errno: i64,
}

impl Default for Engine {
    fn default() -> Self {
        Engine::new(Options::default())
    }
}

impl Engine {
    pub fn new(options: Options) -> Self {
        let mut state = State::with_limits(options.limits);
        state.containers = Containers::new(&options.runtimes, options.any_controller);
        Engine {
            state,
            around: Surroundings::default(),
            options,
            rows: rows(),
            recent: RecentExits::default(),
            births: Births::default(),
            source: None,
            after: After::Nothing,
            num: 0,
            first_ts: 0,
            next_purge_ts: 0,
            seen: Seen::default(),
        }
    }

    /// Gives the engine a way to ask about what it does not know, and asks about the containers it knows of.
    pub fn set_proc_source(&mut self, mut source: Box<dyn ProcSource>) {
        for tid in self.state.threads_in_containers() {
            crate::parse::meet(&mut self.state, &mut *source, tid);
        }
        self.source = Some(source);
    }

    /// Starts over with what was there before the first event.
    pub fn seed(&mut self, snapshot: Snapshot) {
        self.after = After::Nothing;
        (self.recent, self.births) = (RecentExits::default(), Births::default());
        self.state.reset();
        self.state.seed(snapshot);
    }

    /// Takes over a process that was told of while events already run, unless it is known.
    pub fn meet(&mut self, process: &event::snapshot::Proc) {
        if self.state.thread(process.tid).is_none() {
            self.state.take_in(process);
        }
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// Users, groups and interfaces may change from outside while events run.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// Number of events that reached the engine.
    pub fn events(&self) -> u64 {
        self.num
    }

    pub fn counters(&self) -> &Counters {
        &self.state.counters
    }

    /// Counters and gauges with their names.
    pub fn metrics(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let gauges = [("n_threads", self.state.thread_count() as u64), ("n_fds", self.state.fd_count() as u64)];
        gauges.into_iter().chain(self.state.counters.iter())
    }

    /// Updates the state with `event` and shows it in its context. `source` is the name of the event source.
    pub fn push<'a>(&'a mut self, event: &'a Event<'a>, source: &'a str) -> Context<'a> {
        self.begin(event);
        self.context(event, source)
    }

    /// The container in which the last event happened, with its short id, when more is known about it.
    pub fn described_container(&self) -> Option<(&Str, &Container)> {
        let id = &self.state.thread(self.seen.tid?)?.container_id;
        let container = self.state.containers.lookup(id)?;
        container.info.is_some().then_some((id, container))
    }

    /// Updates the state with `event`; [`Engine::context`] then shows it.
    pub fn begin(&mut self, event: &Event<'_>) {
        self.finish();
        self.number(event.ts);
        self.seen = Seen::default();
        let Some(row) = self.rows.get(usize::from(event.kind.0)).copied() else { return };
        if row.starts_clock && self.first_ts == 0 {
            self.first_ts = event.ts;
        }
        let mut step = Step {
            ts: event.ts,
            tid: None,
            fd: None,
            enter: false,
            name_changed: false,
            after: After::Nothing,
            source: self.source.as_deref_mut(),
            recent: &mut self.recent,
            births: &mut self.births,
        };
        associate(&mut self.state, event, row, &mut step);
        if let Some(parse) = row.parser {
            parse(&mut self.state, event, &mut step);
        }
        self.after = step.after;
        self.seen = Seen {
            tid: step.tid,
            fd: step.fd,
            enter: step.enter,
            name_changed: step.name_changed,
            errno: if row.returns { event.i64(0).filter(|r| *r < 0).map_or(0, i64::wrapping_neg) } else { 0 },
        };
        self.remember_fd();
    }

    /// The event given to [`Engine::begin`] last, in its context.
    pub fn context<'a>(&'a self, event: &'a Event<'a>, source: &'a str) -> Context<'a> {
        let thread = self.seen.tid.and_then(|tid| self.state.thread(tid));
        let fds = thread.and_then(|t| self.state.fds_of(t));
        let enter = thread.filter(|_| self.seen.enter).and_then(|t| Event::decode(&t.enter, event.cpu).ok());
        Context {
            event,
            num: self.num,
            source,
            state: &self.state,
            around: &self.around,
            thread,
            fd_num: self.seen.fd,
            fd: fds.zip(self.seen.fd).and_then(|(fds, fd)| fds.lookup(fd)),
            fd_name_changed: self.seen.name_changed,
            enter,
            errno: self.seen.errno,
            first_ts: self.first_ts,
            hostname: self.options.hostname.as_deref().unwrap_or(&self.state.machine.hostname),
        }
    }

    /// Removes what the last event ended. The next event does it too; a caller that stops should call it.
    pub fn finish(&mut self) {
        match std::mem::take(&mut self.after) {
            After::Nothing => {}
            After::RemoveFd { tid, fd } => self.state.remove_fd(tid, fd),
            After::RemoveThread { tid } => self.state.remove_thread(tid),
        }
    }

    fn number(&mut self, ts: u64) {
        self.num += 1;
        if self.num == 1 {
            self.next_purge_ts = ts.saturating_add(self.options.purge_interval_nanos);
        }
        if ts >= self.next_purge_ts {
            self.purge(ts);
        }
    }

    fn purge(&mut self, now: u64) {
        self.next_purge_ts = now.saturating_add(self.options.purge_interval_nanos);
        let Some(source) = &mut self.source else { return };
        let idle_since = now.saturating_sub(self.options.thread_timeout_nanos);
        self.state.purge(idle_since, |tid| source.is_alive(tid));
    }

    fn remember_fd(&mut self) {
        let (Some(fd), Some(tid)) = (self.seen.fd, self.seen.tid) else { return };
        let Some(thread) = self.state.thread_mut(tid) else { return };
        thread.lastevent_fd = fd;
        if fd >= 0 {
            let own = !thread.flags.has(ThreadFlags::CLONE_FILES);
            let fds = if own { Some(&thread.fds) } else { self.state.fds_by_tid(tid) };
            let known = fds.is_some_and(|fds| fds.lookup(fd).is_some());
            self.state.counters.bump(if known { Counter::NoncachedFdLookups } else { Counter::FailedFdLookups });
        }
    }
}

/// Finds thread and descriptor of an event and keeps enter events for their exit.
fn associate(state: &mut State, event: &Event<'_>, row: Row, step: &mut Step<'_>) {
    if row.thread == ThreadUse::Nobody {
        return;
    }
    state.counters.bump(Counter::NoncachedThreadLookups);
    let mut counter = state.thread_mut(event.tid).map(|thread| note(thread, event, row, step));
    if counter.is_none() && row.thread == ThreadUse::Any {
        state.find_or_invent(event.tid, step);
        counter = state.thread_mut(event.tid).map(|thread| note(thread, event, row, step));
    }
    if let Some(counter) = counter.flatten() {
        state.counters.bump(counter);
    }
}

/// What the event means for its thread, whatever its kind.
#[inline]
fn note(thread: &mut Thread, event: &Event<'_>, row: Row, step: &mut Step<'_>) -> Option<Counter> {
    step.tid = Some(event.tid);
    thread.lastaccess_ts = event.ts;
    step.fd = match row.fd {
        FdUse::None => None,
        FdUse::Unknown => Some(NO_FD),
        FdUse::Param(at) => event.i64(usize::from(at)).or(Some(NO_FD)),
    };
    if row.is_enter { keep_enter(thread, event) } else { match_enter(thread, event, step) }
}

/// The number of a descriptor that there is none of.
const NO_FD: i64 = -1;

/// Remembers an enter event that says more than its exit can be trusted with.
fn keep_enter(thread: &mut Thread, event: &Event<'_>) -> Option<Counter> {
    let wanted = matches!(
        event.kind,
        Kind::SYSCALL_OPEN_E
            | Kind::SYSCALL_CREAT_E
            | Kind::SYSCALL_OPENAT_2_E
            | Kind::SYSCALL_OPENAT2_E
            | Kind::SOCKET_CONNECT_E
            | Kind::SYSCALL_EXECVE_18_E
            | Kind::SYSCALL_EXECVE_19_E
            | Kind::SYSCALL_EXECVEAT_E
    );
    forget_enter(thread);
    thread.enter_used = false;
    if !wanted || event.param(0).is_none_or(<[u8]>::is_empty) {
        return None;
    }
    if event.raw().len() > MAX_ENTER_BYTES {
        return Some(Counter::StoreEventDrops);
    }
    thread.enter.extend_from_slice(event.raw());
    Some(Counter::StoredEvents)
}

/// Longest enter event that is kept.
const MAX_ENTER_BYTES: usize = 4096;

/// Keeps the buffer for the next enter event unless it is unusually large.
fn forget_enter(thread: &mut Thread) {
    if thread.enter.capacity() > KEPT_ENTER_BYTES {
        thread.enter = Vec::new();
    }
    thread.enter.clear();
}

const KEPT_ENTER_BYTES: usize = 512;

/// Whether the stored enter event belongs to this exit; anything else invalidates it.
fn match_enter(thread: &mut Thread, event: &Event<'_>, step: &mut Step<'_>) -> Option<Counter> {
    let stored = Kind(u16::from_le_bytes(*thread.enter.get(20..)?.first_chunk()?));
    let exits_execve = event.kind == Kind::SYSCALL_EXECVE_19_X || event.kind == Kind::SYSCALL_EXECVEAT_X;
    let enters_execve =
        matches!(stored, Kind::SYSCALL_EXECVE_18_E | Kind::SYSCALL_EXECVE_19_E | Kind::SYSCALL_EXECVEAT_E);
    let fits = stored.0.wrapping_add(1) == event.kind.0 || (exits_execve && enters_execve);
    let was_used = std::mem::replace(&mut thread.enter_used, true);
    step.enter = fits && !was_used;
    if step.enter {
        return Some(Counter::RetrievedEvents);
    }
    forget_enter(thread);
    (!was_used).then_some(Counter::RetrieveEventDrops)
}
