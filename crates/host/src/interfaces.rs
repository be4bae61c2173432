//! Addresses of the network interfaces, as getifaddrs(3) tells them; speeds from /sys.

use event::snapshot::Interface;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// Every interface address of this network namespace, IPv4 and IPv6. `sys` is the mounted sysfs. Empty when the
/// kernel does not tell.
pub fn interfaces(sys: &Path) -> Vec<Interface> {
    let addresses = getifaddrs().into_iter().flatten();
    let one = |a: nix::ifaddrs::InterfaceAddress| {
        let addr = ip(a.address.as_ref()?)?;
        let none = if addr.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        let or_none = |s: Option<SockaddrStorage>| s.as_ref().and_then(ip).unwrap_or(none);
        Some(Interface {
            linkspeed: speed(sys, &a.interface_name),
            name: a.interface_name.into_bytes(),
            addr,
            netmask: or_none(a.netmask),
            broadcast: or_none(a.broadcast),
        })
    };
    addresses.filter_map(one).collect()
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
}

/// Bits per second; 0 = unknown, as for virtual links.
fn speed(sys: &Path, name: &str) -> u64 {
    let megabits = fs::read_to_string(sys.join("class/net").join(name).join("speed")).unwrap_or_default();
    megabits.trim().parse::<u64>().unwrap_or(0) * 1_000_000
}

#[cfg(test)]
#[allow(clippy::print_stdout)] // a skipped test says why
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_there() {
        let found = interfaces(Path::new("/sys"));
        if !found.iter().any(|i| i.name == b"lo") {
            return println!("skipped: no loopback address in this network namespace");
        }
        let lo = found.iter().find(|i| i.name == b"lo" && i.addr.is_ipv4()).expect("an IPv4 loopback");
        assert_eq!((lo.addr, lo.netmask), (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::new(255, 0, 0, 0))));
    }
}
