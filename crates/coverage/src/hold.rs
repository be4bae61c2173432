//! Runs a command and keeps hold of the counters of everything that it and its children load, also when a loader exits
//! or is killed. Each creation of a map that may hold counters is carried out here instead, and the process gets a copy of
//! the descriptor; the map lives on until it has been read. Signals are passed on; the command's end is its own. Where the
//! kernel refuses to stop creations, the list of maps is watched instead, and the result says so.

mod children;

use crate::layout::BuildId;
use crate::profile::{Counters, Profile};
pub use children::End;
use children::{Children, Happening};
use load::live;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};
use sys::notify::{self, Listener, MapCreation};

/// How to keep hold.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Watch the list of maps even where creations could be stopped.
    pub watch_only: bool,
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
    /// Why creations could not be stopped: maps that lived less than a few milliseconds may be missing.
    pub watched_because: Option<String>,
}

/// Runs `command` to its end, and everything that it started and left running.
///
/// # Errors
/// The command cannot be started.
pub fn run(command: &mut Command, options: Options) -> io::Result<Held> {
    let mut children = Children::prepare()?;
    let mut holder = Holder { newest_before: newest_map(), ..Holder::default() };
    if options.watch_only {
        let child = notify::spawn_unfiltered(command, children.signals())?;
        children.follow(&child);
        holder.watched_because = Some("asked for".into());
    } else {
        let (child, listener) = notify::spawn(command, children.signals())?;
        children.follow(&child);
        match listener {
            Ok(listener) => holder.supervise(&listener, &mut children, options)?,
            Err(error) => holder.watched_because = Some(sys::errno::of(&error)),
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
    watched_because: Option<String>,
    /// The highest map id before the command began.
    newest_before: u32,
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
        match taken {
            Ok(map) => self.maps.push(map),
            Err(error) => {
                self.missed += 1;
                self.last_miss = Some(sys::errno::of(&error));
                pass(listener, creation);
            }
        }
    }

    /// Opens new maps as they appear, until the command has ended.
    fn watch(&mut self, children: &mut Children) -> io::Result<()> {
        let mut last = self.newest_before;
        loop {
            children.wait(INTERVAL_MS)?;
            children.happenings()?;
            let ended = children.has_ended();
            while let Ok(Some(id)) = live::next_id(last) {
                last = id;
                if let Ok((about, map)) = live::open(id)
                    && crate::collect::may_be_ours(&about)
                {
                    self.maps.push(map.as_fd().try_clone_to_owned()?);
                }
            }
            if ended {
                return Ok(());
            }
        }
    }

    fn conclude(self, end: End) -> io::Result<Held> {
        let mut profile = Profile::default();
        let (mut missed, mut last_miss) = (self.missed, self.last_miss);
        let mut maps = Vec::new();
        for (counters, map) in self.maps.iter().filter_map(counters) {
            maps.push((counters.build, map));
            // Two builds never share an identity; sizes that differ mean damage.
            if let Err(error) = profile.add(&counters) {
                missed += 1;
                last_miss = Some(error.to_string());
            }
        }
        Ok(Held { end, profile, maps, missed, last_miss, watched_because: self.watched_because })
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

/// Makes the map that the process asked for and gives it a copy.
fn create(listener: &Listener, creation: &MapCreation, attr: &[u8]) -> io::Result<OwnedFd> {
    let mut attr = attr.to_vec();
    let btf = number(&attr, BTF_FD).filter(|fd| *fd != 0);
    let btf = btf.map(|fd| notify::copy_descriptor(creation.tid, fd.cast_signed())).transpose()?;
    if let (Some(btf), Some(field)) = (&btf, attr.get_mut(BTF_FD..BTF_FD + 4)) {
        field.copy_from_slice(&btf.as_raw_fd().to_le_bytes());
    }
    let map = notify::create_map(&attr)?;
    listener.answer_with(creation.id, map.as_fd())?;
    Ok(map)
}

/// An array of one value that is named like a data section of ours. Delegated creations (BPF tokens) are left alone: the
/// rights they rest on are not ours.
fn may_be_ours(attr: &[u8]) -> bool {
    let name = attr.get(MAP_NAME..MAP_NAME + 16).unwrap_or_default();
    let name = name.split(|b| *b == 0).next().unwrap_or_default();
    number(attr, MAP_TYPE) == Some(MAP_TYPE_ARRAY)
        && number(attr, MAX_ENTRIES) == Some(1)
        && number(attr, MAP_FLAGS).is_some_and(|flags| flags & FLAG_TOKEN == 0)
        && (name.starts_with(b".data.c") || name.ends_with(b".data"))
}

fn number(attr: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(attr.get(at..at + 4)?.try_into().ok()?))
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
// Offsets in the map creation part of `union bpf_attr` (linux/bpf.h).
const MAP_TYPE: usize = 0;
const MAX_ENTRIES: usize = 12;
const MAP_FLAGS: usize = 16;
const MAP_NAME: usize = 28;
const BTF_FD: usize = 48;
const MAP_TYPE_ARRAY: u32 = 2;
/// `BPF_F_TOKEN_FD`.
const FLAG_TOKEN: u32 = 1 << 16;
