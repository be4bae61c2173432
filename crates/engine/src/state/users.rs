//! Users, groups and local addresses. In: what a snapshot or the user and group events report. Out: names by id, per
//! container (the empty id is the host). Looking up never falls back to another container; printing fallbacks such as
//! `root` for 0 are the caller's.

use event::snapshot::{Group, Interface, User};
use hashbrown::HashMap;
use std::net::IpAddr;

/// Users and groups of the host and of containers.
#[derive(Debug, Default)]
pub struct Accounts {
    users: HashMap<Vec<u8>, HashMap<u32, User>>,
    groups: HashMap<Vec<u8>, HashMap<u32, Group>>,
    sweep_at: usize,
}

impl Accounts {
    /// The user `uid` inside `container` (empty = host).
    pub fn user(&self, container: &[u8], uid: u32) -> Option<&User> {
        self.users.get(container)?.get(&uid)
    }

    /// The group `gid` inside `container` (empty = host).
    pub fn group(&self, container: &[u8], gid: u32) -> Option<&Group> {
        self.groups.get(container)?.get(&gid)
    }

    /// Every user of `container` (empty = host).
    pub fn users_of(&self, container: &[u8]) -> impl Iterator<Item = &User> {
        self.users.get(container).into_iter().flat_map(HashMap::values)
    }

    /// Every group of `container` (empty = host).
    pub fn groups_of(&self, container: &[u8]) -> impl Iterator<Item = &Group> {
        self.groups.get(container).into_iter().flat_map(HashMap::values)
    }

    pub fn add_user(&mut self, container: &[u8], user: User) {
        self.users.entry_ref(container).or_default().insert(user.uid, user);
    }

    pub fn remove_user(&mut self, container: &[u8], uid: u32) {
        if let Some(users) = self.users.get_mut(container) {
            users.remove(&uid);
        }
    }

    pub fn add_group(&mut self, container: &[u8], group: Group) {
        self.groups.entry_ref(container).or_default().insert(group.gid, group);
    }

    pub fn remove_group(&mut self, container: &[u8], gid: u32) {
        if let Some(groups) = self.groups.get_mut(container) {
            groups.remove(&gid);
        }
    }

    /// Whether somebody was asked about this container already.
    pub(crate) fn knows(&self, container: &[u8]) -> bool {
        self.users.contains_key(container)
    }

    /// Takes over what is known about a container; nothing is remembered as nothing, so that nobody asks again.
    pub(crate) fn learn(&mut self, container: &[u8], users: Vec<User>, groups: Vec<Group>) {
        let known = self.users.entry_ref(container).or_default();
        known.extend(users.into_iter().map(|u| (u.uid, u)));
        let known = self.groups.entry_ref(container).or_default();
        known.extend(groups.into_iter().map(|g| (g.gid, g)));
    }

    /// Whether the accounts of so many containers gathered that those of gone ones should be dropped.
    pub(crate) fn is_due_for_sweep(&self) -> bool {
        self.users.len() >= self.sweep_at.max(SWEEP_FIRST)
    }

    /// Forgets the accounts of containers for which `keep` does not hold; the host's stay.
    pub(crate) fn sweep(&mut self, keep: impl Fn(&[u8]) -> bool) {
        self.users.retain(|id, _| id.is_empty() || keep(id));
        self.groups.retain(|id, _| id.is_empty() || keep(id));
        self.sweep_at = self.users.len() * 2;
    }
}

/// Containers whose accounts may gather before the first sweep; later sweeps come whenever the number has doubled.
const SWEEP_FIRST: usize = 256;

/// Addresses of the machine's own interfaces.
#[derive(Debug, Default)]
pub struct Interfaces {
    all: Vec<Interface>,
}

impl Interfaces {
    pub fn new(all: Vec<Interface>) -> Self {
        Interfaces { all }
    }

    /// Whether `ip` belongs to this machine: an interface has it. The unspecified IPv6 address counts as local, the
    /// IPv4 one does not.
    pub fn is_local(&self, ip: IpAddr) -> bool {
        (ip.is_ipv6() && ip.is_unspecified()) || self.all.iter().any(|i| i.addr == ip)
    }

    /// An address for `0.0.0.0`: that of the first IPv4 interface which is not loopback.
    pub(crate) fn outward_v4(&self) -> Option<IpAddr> {
        self.all.iter().map(|i| i.addr).find(|ip| ip.is_ipv4() && !ip.is_loopback() && !ip.is_unspecified())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.all.iter()
    }
}
