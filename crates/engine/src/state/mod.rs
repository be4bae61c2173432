//! The state tables: threads, process groups, open files, users and addresses. In: changes that the parsers of
//! `crate::parse` make event by event. Out: lookups for conditions and outputs. No I/O and no clock: time is the
//! event's, and an unknown thread stays unknown unless a source for /proc is given.

pub mod containers;
mod edit;
mod export;
pub mod fds;
pub mod net;
pub mod path;
pub(crate) mod seed;
pub mod strings;
mod table;
pub mod thread;
pub mod users;

pub use containers::{ContainerInfo, Containers};
pub use fds::{FdEntry, FdFlags, FdTable, Socket};
pub use strings::{Interner, Str};
pub use thread::{Thread, ThreadFlags};
pub use users::{Accounts, Interfaces};

use crate::counters::{Counter, Counters};
use event::snapshot::Machine;
use hashbrown::HashMap;
use std::borrow::Cow;

/// Everything the engine remembers between events.
#[derive(Debug, Default)]
pub struct State {
    pub machine: Machine,
    pub accounts: Accounts,
    pub interfaces: Interfaces,
    pub containers: Containers,
    pub counters: Counters,
    pub(crate) limits: Limits,
    pub(crate) strings: Interner,
    /// Buffer for text under construction; its content means nothing between calls.
    pub(crate) scratch: Vec<u8>,
    fd_count: usize,
    threads: HashMap<i64, Box<Thread>, foldhash::fast::RandomState>,
    groups: HashMap<i64, ThreadGroup, foldhash::fast::RandomState>,
}

/// How much the tables may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows of the thread table.
    pub threads: usize,
    /// Open files of one process.
    pub fds: usize,
    /// Bytes of the arguments of one thread.
    pub args_bytes: usize,
    /// Bytes of the environment of one process.
    pub env_bytes: usize,
    /// Ask for the whole environment of a program when an event could not carry it.
    pub large_env: bool,
    /// Looks into /proc for unknown threads; `None` = no limit.
    pub proc_lookups: Option<u64>,
    /// The process that watches; it always gets its rows. -1 = not in the stream.
    pub own_pid: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            threads: 262_144,
            fds: 4096,
            args_bytes: 4096,
            env_bytes: 4096,
            large_env: false,
            proc_lookups: None,
            own_pid: -1,
        }
    }
}

/// The threads of one process.
#[derive(Clone, Debug, Default)]
pub struct ThreadGroup {
    /// Thread ids in the table, the main thread first.
    pub tids: Vec<i64>,
    /// How many of them did not exit.
    pub alive: u32,
    /// Takes over orphans of its descendants.
    pub reaper: bool,
}

impl State {
    /// The thread `tid`.
    #[inline]
    pub fn thread(&self, tid: i64) -> Option<&Thread> {
        self.threads.get(&tid).map(|t| &**t)
    }

    pub fn threads(&self) -> impl Iterator<Item = &Thread> {
        self.threads.values().map(|t| &**t)
    }

    pub fn thread_count(&self) -> usize {
        self.threads.len()
    }

    pub(crate) fn with_limits(limits: Limits) -> State {
        State { limits, ..State::default() }
    }

    /// Forgets threads and accounts; limits and counters stay.
    pub(crate) fn reset(&mut self) {
        self.threads.clear();
        self.groups.clear();
        self.fd_count = 0;
    }

    /// Open files of all processes together.
    pub fn fd_count(&self) -> usize {
        self.fd_count
    }

    /// The main thread of `thread`'s process, itself if it is one; `None` when it is not in the table.
    pub fn main_thread<'a>(&'a self, thread: &'a Thread) -> Option<&'a Thread> {
        if thread.is_main() { Some(thread) } else { self.thread(thread.pid) }
    }

    /// The process group table entry of `thread`; `None` for placeholders.
    pub fn group_of(&self, thread: &Thread) -> Option<&ThreadGroup> {
        self.groups.get(&thread.pid)
    }

    /// The main thread of the parent process: what the first step of [`State::ancestors`] yields.
    pub fn parent<'a>(&'a self, thread: &'a Thread) -> Option<&'a Thread> {
        self.ancestors(thread).next()
    }

    /// Parent, grandparent and so on of `thread`'s main thread, nearest first. Ends at a missing link, a placeholder or
    /// a loop.
    pub fn ancestors<'a>(&'a self, thread: &'a Thread) -> Ancestors<'a> {
        let start = self.main_thread(thread);
        Ancestors { state: self, at: start, slow: start, odd: false }
    }

    /// The threads whose parent link names `thread`, as far as it was known when they began.
    pub fn children<'a>(&'a self, thread: &'a Thread) -> impl Iterator<Item = &'a Thread> {
        thread.children.iter().filter_map(|tid| self.thread(*tid))
    }

    /// The open files of `thread`'s process.
    pub fn fds_of<'a>(&'a self, thread: &'a Thread) -> Option<&'a FdTable> {
        if thread.flags.has(ThreadFlags::CLONE_FILES) {
            return self.main_thread(thread).map(|t| &t.fds);
        }
        Some(&thread.fds)
    }

    /// The open file `fd` of `thread`'s process.
    pub fn fd<'a>(&'a self, thread: &'a Thread, fd: i64) -> Option<&'a FdEntry> {
        self.fds_of(thread)?.lookup(fd)
    }

    /// Working directory of `thread`'s process with a trailing slash; `./` when its main thread is unknown.
    pub fn cwd_of<'a>(&'a self, thread: &'a Thread) -> &'a [u8] {
        self.main_thread(thread).map_or(b"./", |main| &main.cwd)
    }

    /// Environment of `thread`'s process, `NAME=value` items with a terminating NUL each.
    pub fn env_of<'a>(&'a self, thread: &'a Thread) -> &'a [u8] {
        self.main_thread(thread).map_or(b"", |main| &main.env)
    }

    /// The directory that `name` is relative to when a call passed `dirfd`, with a trailing slash.
    pub fn dir_of<'a>(&'a self, thread: &'a Thread, dirfd: i64, name: &[u8]) -> Cow<'a, [u8]> {
        if name.first() == Some(&b'/') {
            return Cow::Borrowed(b".");
        }
        if dirfd == path::AT_FDCWD {
            return Cow::Borrowed(self.cwd_of(thread));
        }
        match self.fd(thread, dirfd) {
            Some(entry) => path::with_slash(&entry.name),
            None => Cow::Borrowed(path::UNKNOWN_DIR),
        }
    }

    /// `name` made absolute and normalised, as a call of `thread` with `dirfd` means it.
    pub fn resolve(&self, thread: &Thread, dirfd: i64, name: &[u8]) -> Vec<u8> {
        path::join(&self.dir_of(thread, dirfd, name), name)
    }
}

/// See [`State::ancestors`].
#[derive(Clone, Debug)]
pub struct Ancestors<'a> {
    state: &'a State,
    at: Option<&'a Thread>,
    slow: Option<&'a Thread>,
    odd: bool,
}

impl<'a> Iterator for Ancestors<'a> {
    type Item = &'a Thread;

    fn next(&mut self) -> Option<&'a Thread> {
        let next = self.step(self.at?);
        self.at = next;
        if self.odd {
            self.slow = self.slow.and_then(|slow| self.step(slow));
        }
        self.odd = !self.odd;
        if let (Some(fast), Some(slow)) = (next, self.slow)
            && std::ptr::eq(fast, slow)
        {
            self.at = None;
            return None;
        }
        next
    }
}

impl<'a> Ancestors<'a> {
    fn step(&self, thread: &Thread) -> Option<&'a Thread> {
        let parent = self.state.thread(thread.ptid)?;
        self.state.main_thread(parent).filter(|t| t.tid >= 0)
    }
}
