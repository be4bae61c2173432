//! Runs a command and keeps hold of the counters of everything that it and its children load, also when a loader exits
//! or is killed. Each creation of a map that may hold counters is carried out here instead, and the process gets a copy of the
//! descriptor; the map lives on until it has been read. The command's exit status is its own.

use crate::profile::{Counters, Profile};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, ExitStatus};
use sys::notify::{self, Listener, MapCreation};

/// What a run left behind.
#[derive(Debug)]
pub struct Held {
    pub status: ExitStatus,
    pub profile: Profile,
    /// Maps that were held, whether or not they turned out to be ours.
    pub maps: usize,
    /// Map creations that could not be taken over and went past us, with the reason of the last one.
    pub missed: usize,
    pub last_miss: Option<String>,
}

/// Runs `command` to its end, and everything that it started and left running.
///
/// # Errors
/// The command cannot be started, or the kernel refuses the filter.
pub fn run(command: &mut Command) -> io::Result<Held> {
    let (mut child, listener) = notify::spawn(command)?;
    let mut holder = Holder { listener, maps: Vec::new(), missed: 0, last_miss: None };
    let mut status = None;
    while let Some(creation) = holder.listener.next(POLL_MS)? {
        match creation {
            Some(creation) => holder.take(&creation),
            None => status = status.or(child.try_wait()?),
        }
    }
    let status = status.map_or_else(|| child.wait(), Ok)?;
    let maps = holder.maps.len();
    let mut profile = Profile::default();
    for counters in holder.maps.into_iter().filter_map(counters) {
        // Two builds never share an identity; sizes that differ mean damage, which the report will name.
        if profile.add(&counters).is_err() {
            holder.missed += 1;
        }
    }
    Ok(Held { status, profile, maps, missed: holder.missed, last_miss: holder.last_miss })
}

struct Holder {
    listener: Listener,
    maps: Vec<OwnedFd>,
    missed: usize,
    last_miss: Option<String>,
}

impl Holder {
    fn take(&mut self, creation: &MapCreation) {
        if !may_be_ours(&creation.attr) {
            return self.pass(creation);
        }
        match self.create(creation) {
            Ok(map) => self.maps.push(map),
            Err(error) => {
                self.missed += 1;
                self.last_miss = Some(error.to_string());
                self.pass(creation);
            }
        }
    }

    /// The process may have died meanwhile; then there is nobody to answer.
    fn pass(&self, creation: &MapCreation) {
        let _ = self.listener.let_through(creation.id);
    }

    /// Makes the map that the process asked for and gives it a copy.
    fn create(&self, creation: &MapCreation) -> io::Result<OwnedFd> {
        let mut attr = creation.attr.clone();
        let btf = number(&attr, BTF_FD).filter(|fd| *fd != 0);
        let btf = btf.map(|fd| notify::copy_descriptor(creation.pid, fd.cast_signed())).transpose()?;
        if let (Some(btf), Some(field)) = (&btf, attr.get_mut(BTF_FD..BTF_FD + 4)) {
            field.copy_from_slice(&btf.as_raw_fd().to_le_bytes());
        }
        let map = notify::create_map(&attr)?;
        self.listener.answer_with(creation.id, map.as_fd())?;
        Ok(map)
    }
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

fn counters(map: OwnedFd) -> Option<Counters> {
    let map = load::Map::from_descriptor(map.as_fd()).ok()?;
    Counters::from_map_value(&map.lookup(&[0; 4]).ok()??)
}

/// How often the command's end is looked for while nothing is created.
const POLL_MS: i32 = 50;
// Offsets in the map creation part of `union bpf_attr` (linux/bpf.h).
const MAP_TYPE: usize = 0;
const MAX_ENTRIES: usize = 12;
const MAP_FLAGS: usize = 16;
const MAP_NAME: usize = 28;
const BTF_FD: usize = 48;
const MAP_TYPE_ARRAY: u32 = 2;
/// `BPF_F_TOKEN_FD`.
const FLAG_TOKEN: u32 = 1 << 16;
