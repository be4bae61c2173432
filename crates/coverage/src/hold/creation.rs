//! One map creation of another process: the attributes that it passed come in, whether it may be a counter map is told, and
//! the map is made on its behalf. Attributes are bytes from outside: whatever they claim, nothing panics.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use sys::notify::{self, Listener, MapCreation};

/// Makes the map that the process asked for and gives it a copy.
pub fn create(listener: &Listener, creation: &MapCreation, attr: &[u8]) -> io::Result<OwnedFd> {
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
pub fn may_be_ours(attr: &[u8]) -> bool {
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

// Offsets in the map creation part of `union bpf_attr` (linux/bpf.h).
const MAP_TYPE: usize = 0;
const MAX_ENTRIES: usize = 12;
const MAP_FLAGS: usize = 16;
const MAP_NAME: usize = 28;
const BTF_FD: usize = 48;
const MAP_TYPE_ARRAY: u32 = 2;
/// `BPF_F_TOKEN_FD`.
const FLAG_TOKEN: u32 = 1 << 16;
