//! Runs a command and keeps hold of the counters of everything that it and its children load, also when a loader exits
//! or is killed. Each creation of a map that may hold counters is carried out here instead, and the process gets a copy of
//! the descriptor; the map lives on until it has been read. Signals are passed on; the command's end is its own. Where the
//! kernel refuses that, the processes are traced and their new maps copied; where it refuses both, the list of maps is
//! watched instead, and the result says so.

mod children;
mod creation;

use crate::layout::BuildId;
use crate::profile::{Counters, Profile};
pub use children::End;
use children::{Children, Happening};
use creation::{create, may_be_ours};
use load::live;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};
use sys::notify::{self, Grip, Listener, MapCreation};
use sys::trace::{self, Change};

/// How to learn of new maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// Stop their creations (seccomp user notification); trace where that is refused, watch where both are.
    Notify,
    /// Follow the processes (ptrace); watch where that is refused.
    Trace,
    /// Look at the machine's list of maps again and again.
    Watch,
}

/// How to keep hold.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub how: How,
    /// End with the command, even if processes that it started go on. Their map creations fail from then on.
    pub end_with_command: bool,
    /// Called once when the command has ended and others still run.
    pub waiting: fn(),
}

/// What a run left behind.
#[derive(Debug)]
pub struct Held {
    pub end: End,
    pub profile: Profile,
    /// The counter maps, still open.
    pub maps: Vec<(BuildId, load::Map)>,
    /// Map creations that could not be taken over and went past us, with the reason of the last one.
    pub missed: usize,
    pub last_miss: Option<String>,
    /// Why the processes had to be traced.
    pub traced_because: Option<String>,
    /// Why creations could not be stopped at all: maps that lived less than a few milliseconds may be missing.
    pub watched_because: Option<String>,
}

/// Runs `command` to its end, and everything that it started and left running.
///
/// # Errors
/// The command cannot be started.
pub fn run(command: &mut Command, options: Options) -> io::Result<Held> {
    let mut children = Children::prepare()?;
    let mut holder = Holder { newest_seen: newest_map(), ..Holder::default() };
    if options.how == How::Watch {
        let child = notify::spawn_unfiltered(command, children.signals())?;
        children.follow(&child);
        holder.watched_because = Some("asked for".into());
    } else {
        let (child, grip) = notify::spawn(command, children.signals(), options.how == How::Trace)?;
        children.follow(&child);
        match grip {
            Grip::Notified(listener) => holder.supervise(&listener, &mut children, options)?,
            Grip::Traced(refused) => {
                holder.traced_because = (refused != 0).then(|| sys::errno::words(refused));
                // Who supervises already may answer creations before our filter sees them; then only the list tells.
                holder.trace(&mut children, options, refused == EBUSY)?;
            }
            Grip::None(refused, untraced) => {
                let reasons = [refused, untraced].into_iter().filter(|errno| *errno != 0).map(sys::errno::words);
                holder.watched_because = Some(reasons.collect::<Vec<_>>().join("; ptrace: "));
            }
        }
    }
    if holder.watched_because.is_some() {
        holder.watch(&mut children)?;
    }
    holder.conclude(children.end())
}

/// Why a command could not be started, in words.
pub fn words(error: &io::Error) -> String {
    sys::errno::of(error)
}

#[derive(Default)]
struct Holder {
    maps: Vec<OwnedFd>,
    missed: usize,
    last_miss: Option<String>,
    traced_because: Option<String>,
    watched_because: Option<String>,
    /// The highest map id that was looked at, at first the last one before the command began.
    newest_seen: u32,
}

impl Holder {
    /// Answers map creations until no process is left that could make one.
    fn supervise(&mut self, listener: &Listener, children: &mut Children, options: Options) -> io::Result<()> {
        let mut patience = Patience { since: None, told: false, tell: options.waiting };
        loop {
            let (stopped, all_gone) = wait(listener, children, WAIT_MS)?;
            if stopped && let Some(creation) = listener.receive()? {
                self.take(listener, &creation);
            }
            let interrupted = children.happenings()? == Happening::Interrupted;
            if all_gone || (children.has_ended() && (interrupted || options.end_with_command)) {
                return children.wait_for_end();
            }
            if children.has_ended() {
                patience.lose();
            }
        }
    }

    fn take(&mut self, listener: &Listener, creation: &MapCreation) {
        let taken = match &creation.attr {
            Ok(attr) if !may_be_ours(attr) => return pass(listener, creation),
            Ok(attr) => create(listener, creation, attr),
            Err(error) => Err(io::Error::new(error.kind(), format!("read its attributes: {}", sys::errno::of(error)))),
        };
        if !self.keep(taken) {
            pass(listener, creation);
        }
    }

    /// Keeps a map, or notes why not.
    fn keep(&mut self, taken: io::Result<OwnedFd>) -> bool {
        match taken {
            Ok(map) => self.maps.push(map),
            Err(error) => {
                self.missed += 1;
                self.last_miss = Some(sys::errno::of(&error));
                return false;
            }
        }
        true
    }

    /// Copies maps as traced processes make them, until none of the processes is left.
    fn trace(&mut self, children: &mut Children, options: Options, watch_too: bool) -> io::Result<()> {
        let mut patience = Patience { since: None, told: false, tell: options.waiting };
        loop {
            children.wait(if watch_too { INTERVAL_MS } else { WAIT_MS })?;
            let interrupted = children.pass_signals()? == Happening::Interrupted;
            let all_gone = self.take_traced(children)?;
            if watch_too {
                self.look_at_list()?;
            }
            if all_gone || (children.has_ended() && (interrupted || options.end_with_command)) {
                return Ok(());
            }
            if children.has_ended() {
                patience.lose();
            }
        }
    }

    /// Says whether nobody is left.
    fn take_traced(&mut self, children: &mut Children) -> io::Result<bool> {
        while let Some(change) = trace::next_change()? {
            match change {
                Change::Exited { pid, code } => children.ended(Pid::from_raw(pid.cast_signed()), End::Exited(code)),
                Change::Killed { pid, signal } => {
                    children.ended(Pid::from_raw(pid.cast_signed()), End::Signalled(signal));
                }
                Change::Creating { tid, attr: Ok(attr) } if !may_be_ours(&attr) => trace::let_go(tid),
                Change::Creating { tid, .. } => trace::let_create(tid),
                Change::Created { tid, fd } => {
                    self.keep(notify::copy_descriptor(tid, fd));
                    trace::let_go(tid);
                }
                Change::AllGone => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Opens new maps as they appear, until the command has ended.
    fn watch(&mut self, children: &mut Children) -> io::Result<()> {
        loop {
            children.wait(INTERVAL_MS)?;
            children.happenings()?;
            let ended = children.has_ended();
            self.look_at_list()?;
            if ended {
                return Ok(());
            }
        }
    }

    fn look_at_list(&mut self) -> io::Result<()> {
        while let Ok(Some(id)) = live::next_id(self.newest_seen) {
            self.newest_seen = id;
            if let Ok((about, map)) = live::open(id)
                && crate::collect::may_be_ours(&about)
            {
                self.maps.push(map.as_fd().try_clone_to_owned()?);
            }
        }
        Ok(())
    }

    fn conclude(self, end: End) -> io::Result<Held> {
        let mut profile = Profile::default();
        let (mut missed, mut last_miss) = (self.missed, self.last_miss);
        let (mut maps, mut seen) = (Vec::new(), HashSet::new());
        // A map may have come to us in two ways.
        let once = |(_, map): &(Counters, load::Map)| map.id().map_or(true, |id| seen.insert(id));
        for (counters, map) in self.maps.iter().filter_map(counters).filter(once) {
            maps.push((counters.build, map));
            // Two builds never share an identity; sizes that differ mean damage.
            if let Err(error) = profile.add(&counters) {
                missed += 1;
                last_miss = Some(error.to_string());
            }
        }
        Ok(Held {
            end,
            profile,
            maps,
            missed,
            last_miss,
            traced_because: self.traced_because,
            watched_because: self.watched_because,
        })
    }
}

/// Says once that others outlive the command.
struct Patience {
    since: Option<Instant>,
    told: bool,
    tell: fn(),
}

impl Patience {
    fn lose(&mut self) {
        let since = *self.since.get_or_insert_with(Instant::now);
        if !self.told && since.elapsed() > PATIENCE {
            self.told = true;
            (self.tell)();
        }
    }
}

/// Waits for a stopped creation, a signal or the time. Says whether one is stopped, and whether nobody is left.
fn wait(listener: &Listener, children: &Children, timeout_ms: u16) -> io::Result<(bool, bool)> {
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN), PollFd::new(children.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::from(timeout_ms)) {
        Ok(_) => {}
        Err(nix::Error::EINTR) => return Ok((false, false)),
        Err(error) => return Err(error.into()),
    }
    let said = fds[0].revents().unwrap_or(PollFlags::empty());
    let stopped = said.contains(PollFlags::POLLIN);
    Ok((stopped, !stopped && said.intersects(PollFlags::POLLHUP | PollFlags::POLLERR)))
}

/// The process may have died meanwhile; then there is nobody to answer.
fn pass(listener: &Listener, creation: &MapCreation) {
    let _ = listener.let_through(creation.id);
}

/// `None` for a map that was never filled or is not ours after all.
fn counters(map: &OwnedFd) -> Option<(Counters, load::Map)> {
    let map = load::Map::from_descriptor(map.as_fd()).ok()?;
    let counters = Counters::from_map_value(&map.lookup(&[0; 4]).ok()??)?;
    Some((counters, map))
}

/// The highest map id now: what comes later is the command's.
fn newest_map() -> u32 {
    let mut last = 0;
    while let Ok(Some(id)) = live::next_id(last) {
        last = id;
    }
    last
}

/// How long to sleep when nothing happens at all.
const WAIT_MS: u16 = 500;
/// How often the list of maps is looked at where creations cannot be stopped.
const INTERVAL_MS: u16 = 1;
/// How long processes may outlive the command before it is worth a word.
const PATIENCE: Duration = Duration::from_secs(1);
/// Under another supervisor.
const EBUSY: i32 = 16;
