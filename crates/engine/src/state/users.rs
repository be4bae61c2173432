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

    /// Forgets everything known about a container.
    pub fn remove_container(&mut self, container: &[u8]) {
        self.users.remove(container);
        self.groups.remove(container);
    }
}

/// Addresses of the machine's own interfaces.
#[derive(Debug, Default)]
pub struct Interfaces {
    all: Vec<Interface>,
}

impl Interfaces {
    pub fn new(all: Vec<Interface>) -> Self {
        Interfaces { all }
    }

    /// Whether `ip` belongs to this machine: an interface has it, or it is a loopback or unspecified address.
    pub fn is_local(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(v4) if v4.is_unspecified() || v4.is_loopback() => true,
            _ => self.all.iter().any(|i| i.addr == ip),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.all.iter()
    }
}
