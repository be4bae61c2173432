//! What was there before the first event, and what events alone cannot tell: the sensor's iterators and /proc come in, a
//! snapshot and answers about single processes go out. Users and groups come from the account files of the host.

use crate::log::Log;
use engine::ProcSource;
use event::snapshot::{Group, Interface, Machine, Proc, Snapshot, User};
use sensor::Sensor;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// Everything known before the first event.
pub fn snapshot(_sensor: &Sensor, _without_iterators: bool, _log: &Log) -> Snapshot {
    Snapshot { machine: machine(), procs: Vec::new(), users: users(), groups: groups(), interfaces: interfaces() }
}

/// Answers about single processes, from /proc.
#[derive(Debug, Default)]
pub struct Lookup;

impl ProcSource for Lookup {
    fn process(&mut self, _tid: i64) -> Option<Proc> {
        None
    }

    fn is_alive(&mut self, tid: i64) -> bool {
        Path::new("/proc").join(tid.to_string()).exists()
    }
}

fn machine() -> Machine {
    let number = |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total_kb =
        meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    let hostname = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Machine {
        num_cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        memory_bytes: total_kb.unwrap_or(0) * 1024,
        max_pid: number("/proc/sys/kernel/pid_max").unwrap_or(0),
        hostname,
        boot_ts: 0,
    }
}

/// `/etc/passwd`: name, password, uid, gid, comment, home, shell.
fn users() -> Vec<User> {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = |line: &str| {
        let parts: Vec<&str> = line.split(':').collect();
        let text = |at: usize| parts.get(at).map(|part| part.as_bytes().to_vec());
        Some(User {
            uid: parts.get(2)?.parse().ok()?,
            gid: parts.get(3)?.parse().ok()?,
            name: text(0)?,
            homedir: text(5)?,
            shell: text(6)?,
        })
    };
    text.lines().filter_map(user).collect()
}

/// `/etc/group`: name, password, gid, members.
fn groups() -> Vec<Group> {
    let text = fs::read_to_string("/etc/group").unwrap_or_default();
    let group = |line: &str| {
        let mut parts = line.split(':');
        Some(Group { name: parts.next()?.as_bytes().to_vec(), gid: parts.nth(1)?.parse().ok()? })
    };
    text.lines().filter_map(group).collect()
}

fn interfaces() -> Vec<Interface> {
    nix::ifaddrs::getifaddrs().into_iter().flatten().filter_map(interface).collect()
}

fn interface(entry: nix::ifaddrs::InterfaceAddress) -> Option<Interface> {
    let ip = |address: Option<nix::sys::socket::SockaddrStorage>| -> Option<IpAddr> {
        let address = address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    let addr = ip(entry.address)?;
    let none = if addr.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    Some(Interface {
        name: entry.interface_name.into_bytes(),
        addr,
        netmask: ip(entry.netmask).unwrap_or(none),
        broadcast: ip(entry.broadcast).unwrap_or(none),
        linkspeed: 0,
    })
}
