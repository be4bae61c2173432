//! Socket addresses: decoding what events carry and naming what entries hold. In: address and tuple parameters (see
//! `event::wire`), foreign bytes. Out: typed ends and the text rules compare. IPv4 inside IPv6 becomes IPv4. A bad
//! parameter is `None`, never a guess.

use super::fds::Socket;
use event::snapshot::{FdType, L4};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Address families as they lie in a parameter.
pub const AF_UNIX: u8 = 1;
pub const AF_INET: u8 = 2;
pub const AF_INET6: u8 = 10;
pub const AF_NETLINK: u8 = 16;

/// One end of a connection. Ports are in host order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Address<'a> {
    Inet(IpAddr, u16),
    Unix(&'a [u8]),
}

/// Both ends of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tuple<'a> {
    Inet { sip: IpAddr, sport: u16, dip: IpAddr, dport: u16 },
    Unix { source: u64, destination: u64, path: &'a [u8] },
}

/// An address parameter; v4-mapped addresses come out as IPv4.
pub fn address(bytes: &[u8]) -> Option<Address<'_>> {
    let (family, rest) = bytes.split_first()?;
    match *family {
        AF_INET | AF_INET6 => {
            let (ip, rest) = ip(*family, rest)?;
            let (port, _) = port(rest)?;
            Some(Address::Inet(unmapped(ip), port))
        }
        AF_UNIX => Some(Address::Unix(text(rest))),
        _ => None,
    }
}

/// A tuple parameter; when both ends are v4-mapped (or all zero) they come out as IPv4.
pub fn tuple(bytes: &[u8]) -> Option<Tuple<'_>> {
    let (family, rest) = bytes.split_first()?;
    match *family {
        AF_INET | AF_INET6 => {
            let (sip, rest) = ip(*family, rest)?;
            let (sport, rest) = port(rest)?;
            let (dip, rest) = ip(*family, rest)?;
            let (dport, _) = port(rest)?;
            let (sip, dip) = unmapped_pair(sip, dip);
            Some(Tuple::Inet { sip, sport, dip, dport })
        }
        AF_UNIX => {
            let (source, rest) = rest.split_first_chunk::<8>()?;
            let (destination, path) = rest.split_first_chunk::<8>()?;
            Some(Tuple::Unix {
                source: u64::from_le_bytes(*source),
                destination: u64::from_le_bytes(*destination),
                path: text(path),
            })
        }
        _ => None,
    }
}

/// The descriptor type of a connection whose ends are `ip`.
pub fn socket_type(ip: IpAddr) -> FdType {
    if ip.is_ipv4() { FdType::Ipv4Sock } else { FdType::Ipv6Sock }
}

/// The descriptor type of a listening or bound socket at `ip`.
pub fn server_type(ip: IpAddr) -> FdType {
    if ip.is_ipv4() { FdType::Ipv4ServSock } else { FdType::Ipv6ServSock }
}

/// `ip:port->ip:port`, `ip:port` for a server, `source->destination path` for a unix socket; empty for no socket.
pub fn name(socket: &Socket, path: &[u8]) -> Vec<u8> {
    let mut out = String::with_capacity(48);
    match socket {
        Socket::None => {}
        Socket::Inet { sip, sport, dip, dport, .. } => {
            write_end(&mut out, *sip, *sport);
            out.push_str("->");
            write_end(&mut out, *dip, *dport);
        }
        Socket::Server { ip, port, .. } => write_end(&mut out, *ip, *port),
        Socket::Unix { source, destination } => {
            let _ = write!(out, "{source:x}->{destination:x}");
            if !path.is_empty() {
                out.push(' ');
            }
        }
    }
    let mut out = out.into_bytes();
    out.extend_from_slice(path);
    out
}

/// `ip` as `inet_ntop` writes it, which shows the last four bytes of IPv4-compatible addresses dotted.
pub fn write_ip(out: &mut String, ip: IpAddr) {
    let _ = match ip {
        IpAddr::V6(v6) if is_v4_compatible(v6) => {
            let [.., a, b, c, d] = v6.octets();
            write!(out, "::{a}.{b}.{c}.{d}")
        }
        ip => write!(out, "{ip}"),
    };
}

fn write_end(out: &mut String, ip: IpAddr, port: u16) {
    write_ip(out, ip);
    let _ = write!(out, ":{port}");
}

fn is_v4_compatible(ip: Ipv6Addr) -> bool {
    let words = ip.segments();
    words[..6].iter().all(|w| *w == 0) && words[6] != 0
}

/// The transport protocol of `socket(domain, type, protocol)`.
pub fn l4_of(kind: u32, protocol: u32) -> L4 {
    match (protocol, kind & SOCK_TYPE_MASK) {
        (6, _) | (0, SOCK_STREAM) => L4::Tcp,
        (17, _) | (0, SOCK_DGRAM) => L4::Udp,
        (1, SOCK_RAW) | (255, _) => L4::Raw,
        (1, _) => L4::Icmp,
        _ => L4::Unknown,
    }
}

const SOCK_TYPE_MASK: u32 = 0xff;
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;

fn ip(family: u8, bytes: &[u8]) -> Option<(IpAddr, &[u8])> {
    if family == AF_INET {
        let (ip, rest) = bytes.split_first_chunk::<4>()?;
        return Some((IpAddr::V4(Ipv4Addr::from(*ip)), rest));
    }
    let (ip, rest) = bytes.split_first_chunk::<16>()?;
    Some((IpAddr::V6(Ipv6Addr::from(*ip)), rest))
}

fn port(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (port, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_le_bytes(*port), rest))
}

/// The IPv4 address inside an IPv6 one.
pub(crate) fn unmapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

/// Both ends as IPv4 when both are.
pub(crate) fn unmapped_pair(a: IpAddr, b: IpAddr) -> (IpAddr, IpAddr) {
    match (as_v4(a), as_v4(b)) {
        (Some(x), Some(y)) => (x, y),
        _ => (a, b),
    }
}

/// The IPv4 reading of a mapped or all-zero IPv6 address.
fn as_v4(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V6(v6) if v6.is_unspecified() => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map(IpAddr::V4),
        IpAddr::V4(_) => Some(ip),
    }
}

fn text(bytes: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_and_names_both_families() {
        let v4 = [2, 127, 0, 0, 1, 0x39, 0x30, 10, 0, 0, 1, 80, 0];
        let Some(Tuple::Inet { sip, sport, dip, dport }) = tuple(&v4) else { panic!("an inet tuple") };
        let socket = Socket::Inet { sip, sport, dip, dport, l4: L4::Tcp };
        assert_eq!(name(&socket, b""), b"127.0.0.1:12345->10.0.0.1:80");
        let mut v6 = vec![10];
        v6.extend(Ipv6Addr::LOCALHOST.octets());
        v6.extend([53, 0]);
        let Some(Address::Inet(ip, port)) = address(&v6) else { panic!("an inet address") };
        assert_eq!(name(&Socket::Server { ip, port, l4: L4::Udp }, b""), b"::1:53");
    }

    #[test]
    fn mapped_addresses_become_v4() {
        let mut v6 = vec![10];
        v6.extend(Ipv4Addr::new(1, 2, 3, 4).to_ipv6_mapped().octets());
        v6.extend([1, 0]);
        v6.extend([0; 16]);
        v6.extend([2, 0]);
        let Some(Tuple::Inet { sip, dip, .. }) = tuple(&v6) else { panic!("an inet tuple") };
        assert_eq!((sip, dip), (IpAddr::from([1, 2, 3, 4]), IpAddr::from([0, 0, 0, 0])));
    }

    #[test]
    fn unix_ends_and_cut_parameters() {
        let mut unix = vec![1];
        unix.extend(0xabu64.to_le_bytes());
        unix.extend(0xcdu64.to_le_bytes());
        unix.extend(b"/run/x.sock\0");
        let Some(Tuple::Unix { source, destination, path }) = tuple(&unix) else { panic!("a unix tuple") };
        assert_eq!(name(&Socket::Unix { source, destination }, path), b"ab->cd /run/x.sock");
        assert_eq!(tuple(&unix[..9]), None);
        assert_eq!(tuple(b""), None);
        assert_eq!(address(&[2, 1, 1]), None);
    }

    #[test]
    fn v6_text_is_that_of_inet_ntop() {
        let text = |ip: &str| {
            let mut out = String::new();
            write_ip(&mut out, ip.parse().expect("an address"));
            out
        };
        assert_eq!(text("::1.2.3.4"), "::1.2.3.4");
        assert_eq!(text("::1"), "::1");
        assert_eq!(text("2001:db8::1"), "2001:db8::1");
    }
}
