//! Open files of a process. In: what open, socket, dup, connect and their like report. Out: the entry behind a
//! descriptor number. Tables are copy-on-write: a fork shares the parent's table until one of them changes it, and an
//! entry is shared until somebody changes the entry. A table never holds more entries than its limit.

use super::strings::Str;
use event::snapshot::{FdType, L4};
use std::net::IpAddr;
use std::sync::Arc;

/// One open file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FdEntry {
    pub ty: FdType,
    pub flags: FdFlags,
    /// `file_flags` bits of the flag tables.
    pub open_flags: u32,
    /// `minor & 0xff | major << 8 | (minor & !0xff) << 12`.
    pub dev: u32,
    pub ino: u64,
    pub name: Str,
    /// As the program passed it, duplicate slashes removed.
    pub name_raw: Str,
    pub socket: Socket,
}

/// What only sockets have. Ports are in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Socket {
    #[default]
    None,
    /// A connection or flow, oriented from client (source) to server (destination) once the role is known.
    Inet { sip: IpAddr, sport: u16, dip: IpAddr, dport: u16, l4: L4 },
    /// A listening or bound socket.
    Server { ip: IpAddr, port: u16, l4: L4 },
    /// Kernel addresses of both ends.
    Unix { source: u64, destination: u64 },
}

/// Properties of an open file, as bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FdFlags(pub u16);

#[allow(missing_docs)]
impl FdFlags {
    pub const ROLE_CLIENT: FdFlags = FdFlags(1);
    pub const ROLE_SERVER: FdFlags = FdFlags(1 << 1);
    pub const ROLE_NONE: FdFlags = FdFlags(0);
    pub const SOCKET_CONNECTED: FdFlags = FdFlags(1 << 2);
    pub const CONNECTION_PENDING: FdFlags = FdFlags(1 << 3);
    pub const CONNECTION_FAILED: FdFlags = FdFlags(1 << 4);
    pub const OVERLAY_UPPER: FdFlags = FdFlags(1 << 5);
    pub const OVERLAY_LOWER: FdFlags = FdFlags(1 << 6);
    /// Found when events began, not opened by an event.
    pub const FROM_PROC: FdFlags = FdFlags(1 << 7);

    /// Whether any bit of `other` is set.
    pub const fn has(self, other: FdFlags) -> bool {
        self.0 & other.0 != 0
    }

    pub fn set(&mut self, other: FdFlags, on: bool) {
        self.0 = if on { self.0 | other.0 } else { self.0 & !other.0 };
    }
}

impl Default for FdEntry {
    fn default() -> Self {
        FdEntry {
            ty: FdType::Unknown,
            flags: FdFlags::default(),
            open_flags: 0,
            dev: 0,
            ino: 0,
            name: Str::default(),
            name_raw: Str::default(),
            socket: Socket::None,
        }
    }
}

impl FdEntry {
    pub fn new(ty: FdType) -> Self {
        FdEntry { ty, ..FdEntry::default() }
    }

    /// Whether an execve closes it.
    pub fn closes_on_exec(&self) -> bool {
        self.open_flags & O_CLOEXEC != 0
    }

    pub(crate) fn set_closes_on_exec(&mut self, on: bool) {
        self.open_flags = if on { self.open_flags | O_CLOEXEC } else { self.open_flags & !O_CLOEXEC };
    }

    pub fn is_inet(&self) -> bool {
        matches!(self.ty, FdType::Ipv4Sock | FdType::Ipv6Sock)
    }

    pub fn is_inet_server(&self) -> bool {
        matches!(self.ty, FdType::Ipv4ServSock | FdType::Ipv6ServSock)
    }

    pub fn is_socket(&self) -> bool {
        self.is_inet() || self.is_inet_server() || self.ty == FdType::UnixSock
    }

    /// Transport protocol; `Na` for anything that is not an IP socket and for connections whose role is not known yet.
    pub fn l4(&self) -> L4 {
        match self.socket {
            Socket::Inet { .. } if !self.has_role() => L4::Na,
            _ => self.declared_l4(),
        }
    }

    /// Transport protocol as the socket was made, whatever its role.
    pub(crate) fn declared_l4(&self) -> L4 {
        match self.socket {
            Socket::Inet { l4, .. } | Socket::Server { l4, .. } => l4,
            Socket::None | Socket::Unix { .. } => L4::Na,
        }
    }

    /// Whether it is known who is client and who is server.
    pub fn has_role(&self) -> bool {
        self.flags.has(FdFlags(FdFlags::ROLE_CLIENT.0 | FdFlags::ROLE_SERVER.0))
    }

    pub(crate) fn set_role(&mut self, role: FdFlags) {
        self.flags.set(FdFlags(FdFlags::ROLE_CLIENT.0 | FdFlags::ROLE_SERVER.0), false);
        self.flags.set(role, true);
    }
}

/// The open files of one process, by descriptor.
#[derive(Clone, Debug, Default)]
pub struct FdTable {
    /// Sorted by descriptor.
    entries: Arc<Vec<(i64, Arc<FdEntry>)>>,
}

impl FdTable {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    pub fn lookup(&self, fd: i64) -> Option<&FdEntry> {
        let at = self.position(fd).ok()?;
        self.entries.get(at).map(|(_, entry)| &**entry)
    }

    /// The shared entry behind `fd`, for copying it to another descriptor.
    pub fn shared(&self, fd: i64) -> Option<&Arc<FdEntry>> {
        let at = self.position(fd).ok()?;
        self.entries.get(at).map(|(_, entry)| entry)
    }

    /// A changeable entry; unshares table and entry first.
    pub fn lookup_mut(&mut self, fd: i64) -> Option<&mut FdEntry> {
        let at = self.position(fd).ok()?;
        Arc::make_mut(&mut self.entries).get_mut(at).map(|(_, entry)| Arc::make_mut(entry))
    }

    /// Puts `entry` at `fd` and returns what was there. `Err` gives the entry back when the table holds `limit`
    /// entries already.
    pub fn insert(&mut self, fd: i64, entry: Arc<FdEntry>, limit: usize) -> Result<Option<Arc<FdEntry>>, Arc<FdEntry>> {
        match self.position(fd) {
            Ok(at) => match Arc::make_mut(&mut self.entries).get_mut(at) {
                Some((_, slot)) => Ok(Some(std::mem::replace(slot, entry))),
                None => Err(entry),
            },
            Err(_) if self.entries.len() >= limit => Err(entry),
            Err(at) => {
                let entries = Arc::make_mut(&mut self.entries);
                if entries.len() == entries.capacity() {
                    entries.reserve_exact(SPARE_ENTRIES.max(entries.len() / 4));
                }
                entries.insert(at, (fd, entry));
                Ok(None)
            }
        }
    }

    pub fn remove(&mut self, fd: i64) -> Option<Arc<FdEntry>> {
        let at = self.position(fd).ok()?;
        Some(Arc::make_mut(&mut self.entries).remove(at).1)
    }

    /// Keeps only the entries for which `keep` holds and returns how many went.
    pub fn retain(&mut self, mut keep: impl FnMut(i64, &FdEntry) -> bool) -> usize {
        let before = self.entries.len();
        if self.entries.iter().any(|(fd, entry)| !keep(*fd, entry)) {
            Arc::make_mut(&mut self.entries).retain(|(fd, entry)| keep(*fd, entry));
        }
        before - self.entries.len()
    }

    /// Descriptors with their entries, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &FdEntry)> {
        self.entries.iter().map(|(fd, entry)| (*fd, &**entry))
    }

    fn position(&self, fd: i64) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&fd, |(n, _)| *n)
    }
}

/// Room made when a table is full: there are many tables, and most stay small.
const SPARE_ENTRIES: usize = 4;

/// Bit of `file_flags`.
pub(crate) const O_CLOEXEC: u32 = 1 << 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &[u8]) -> Arc<FdEntry> {
        Arc::new(FdEntry { name: Str::from(name), ..FdEntry::new(FdType::FileV2) })
    }

    #[test]
    fn a_copy_is_shared_until_it_changes() {
        let mut parent = FdTable::default();
        parent.insert(3, named(b"/a"), 10).expect("room");
        let mut child = parent.clone();
        child.insert(1, named(b"/b"), 10).expect("room");
        assert!(child.lookup_mut(3).is_some_and(|e| {
            e.ino = 7;
            true
        }));
        assert_eq!(parent.lookup(3).map(|e| e.ino), Some(0));
        assert_eq!(child.iter().map(|(fd, _)| fd).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(parent.len(), 1);
    }

    #[test]
    fn a_full_table_refuses_new_descriptors_only() {
        let mut table = FdTable::default();
        table.insert(3, named(b"/a"), 1).expect("room");
        assert!(table.insert(4, named(b"/b"), 1).is_err());
        assert!(table.insert(3, named(b"/c"), 1).is_ok_and(|old| old.is_some()));
        assert_eq!(table.retain(|_, e| &*e.name != b"/c"), 1);
        assert!(table.is_empty());
    }
}
