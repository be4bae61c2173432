//! Sockets from making to accepting: socket, socketpair, bind, connect, accept, getsockopt. In: exit events, for
//! connect also the address copied at entry, which a second thread cannot have rewritten. Out: typed and named entries
//! with their role. Traffic over a socket is the business of `traffic`.

use super::file::add;
use super::{Step, fd, success, with_enter};
use crate::state::fds::O_CLOEXEC;
use crate::state::net::{self, Address, Tuple};
use crate::state::{FdEntry, FdFlags, Socket, State, Str};
use event::Event;
use event::snapshot::{FdType, L4};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) fn socket_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let Some(number) = success(event) else { return };
    let l4 = net::l4_of(event.u32(2).unwrap_or(0), event.u32(3).unwrap_or(0));
    let mut entry = match event.u32(1) {
        Some(AF_UNIX) => FdEntry::new(FdType::UnixSock),
        Some(AF_INET) => unconnected(FdType::Ipv4Sock, l4),
        Some(AF_INET6) => unconnected(FdType::Ipv6Sock, l4),
        Some(AF_NETLINK) => FdEntry::new(FdType::Netlink),
        _ => FdEntry::new(FdType::Unknown),
    };
    entry.open_flags = event.u32(4).unwrap_or(0) & O_CLOEXEC;
    add(state, step, number, entry);
}

const AF_UNIX: u32 = net::AF_UNIX as u32;
const AF_INET: u32 = net::AF_INET as u32;
const AF_INET6: u32 = net::AF_INET6 as u32;
const AF_NETLINK: u32 = net::AF_NETLINK as u32;

/// Bit of the type argument (socket(2)).
const SOCK_CLOEXEC: u32 = 0o200_0000;

/// An IP socket that has no address yet.
pub(super) fn unconnected(ty: FdType, l4: L4) -> FdEntry {
    let any: IpAddr = if ty == FdType::Ipv4Sock { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    FdEntry { socket: Socket::Inet { sip: any, sport: 0, dip: any, dport: 0, l4 }, ..FdEntry::new(ty) }
}

pub(super) fn socketpair_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(_), Some(one), Some(two)) = (success(event), event.i64(1), event.i64(2)) else { return };
    let (source, destination) = (event.u64(3).unwrap_or(0), event.u64(4).unwrap_or(0));
    let open_flags = if event.u32(6).unwrap_or(0) & SOCK_CLOEXEC != 0 { O_CLOEXEC } else { 0 };
    for (number, source, destination) in [(one, source, destination), (two, source, destination)] {
        let socket = Socket::Unix { source, destination };
        let name = Str::from(net::name(&socket, b""));
        let entry = FdEntry { socket, name, open_flags, ..FdEntry::new(FdType::UnixSock) };
        add(state, step, number, entry);
    }
}

pub(super) fn bind_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(_), Some(address)) = (success(event), event.param(1).and_then(net::address)) else { return };
    let Some(entry) = fd(state, step) else { return };
    match address {
        Address::Inet(ip, port) => bind_inet(entry, ip, port),
        Address::Unix(path) => entry.name = Str::from(path),
    }
    step.name_changed = true;
}

/// A port makes a server of the socket; without one only its name is known.
fn bind_inet(entry: &mut FdEntry, ip: IpAddr, port: u16) {
    let server = Socket::Server { ip, port, l4: entry.declared_l4() };
    if port > 0 {
        entry.ty = net::server_type(ip);
        entry.socket = server;
        entry.set_role(FdFlags::ROLE_SERVER);
    }
    entry.name = Str::from(net::name(&server, b""));
}

pub(super) fn connect_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let pending = event.i64(0) == Some(-EINPROGRESS);
    if success(event).is_none() && !pending {
        return;
    }
    let at_entry = with_enter(state, step, |enter| enter.param(1).and_then(net::address).map(Entered::from));
    let Some(entry) = fd(state, step) else { return };
    let tuple = event.param(1).and_then(net::tuple);
    let at_exit = event.param(3).and_then(net::address);
    let changed = match (tuple, &at_entry) {
        (Some(Tuple::Inet { sip, sport, dip, dport }), _) => {
            let trusted = at_entry.filter(|_| at_exit == Some(Address::Inet(dip, dport)));
            let destination = trusted.and_then(|e| e.inet).unwrap_or((dip, dport));
            connect_inet(entry, (sip, sport), destination);
            true
        }
        (Some(Tuple::Unix { source, destination, path }), _) => {
            connect_unix(entry, source, destination, path);
            true
        }
        (None, Some(Entered { inet: Some(destination), .. })) => {
            let any = if destination.0.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            connect_inet(entry, (any, 0), *destination);
            true
        }
        (None, _) => false,
    };
    entry.flags.set(FdFlags::SOCKET_CONNECTED, true);
    entry.flags.set(FdFlags::CONNECTION_FAILED, false);
    entry.flags.set(FdFlags::CONNECTION_PENDING, pending);
    step.name_changed |= changed;
}

/// Errno of a connection that goes on in the background (errno(3)).
const EINPROGRESS: i64 = 115;

/// The address that connect was called with, read before the kernel acted on it.
#[derive(Clone, Copy)]
struct Entered {
    inet: Option<(IpAddr, u16)>,
}

impl From<Address<'_>> for Entered {
    fn from(address: Address<'_>) -> Self {
        Entered { inet: if let Address::Inet(ip, port) = address { Some((ip, port)) } else { None } }
    }
}

fn connect_inet(entry: &mut FdEntry, source: (IpAddr, u16), destination: (IpAddr, u16)) {
    let l4 = match entry.declared_l4() {
        L4::Na => L4::Unknown,
        known => known,
    };
    let udp_server = l4 == L4::Udp && entry.flags.has(FdFlags::ROLE_SERVER);
    let ((sip, sport), (dip, dport)) = if udp_server { (destination, source) } else { (source, destination) };
    entry.ty = net::socket_type(dip);
    entry.socket = Socket::Inet { sip, sport, dip, dport, l4 };
    if !entry.has_role() {
        entry.set_role(FdFlags::ROLE_CLIENT);
    }
    entry.name = Str::from(net::name(&entry.socket, b""));
}

fn connect_unix(entry: &mut FdEntry, source: u64, destination: u64, path: &[u8]) {
    entry.ty = FdType::UnixSock;
    entry.socket = Socket::Unix { source, destination };
    if !entry.has_role() {
        entry.set_role(FdFlags::ROLE_CLIENT);
    }
    entry.name = Str::from(net::name(&entry.socket, path));
}

pub(super) fn accept_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let Some(number) = success(event) else { return };
    let mut entry = match event.param(1).and_then(net::tuple) {
        Some(Tuple::Inet { sip, sport, dip, dport }) => {
            let socket = Socket::Inet { sip, sport, dip, dport, l4: L4::Tcp };
            FdEntry { socket, name: Str::from(net::name(&socket, b"")), ..FdEntry::new(net::socket_type(dip)) }
        }
        Some(Tuple::Unix { source, destination, path }) => {
            let socket = Socket::Unix { source, destination };
            FdEntry { socket, name: Str::from(net::name(&socket, path)), ..FdEntry::new(FdType::UnixSock) }
        }
        None => return,
    };
    entry.set_role(FdFlags::ROLE_SERVER);
    entry.flags.set(FdFlags::SOCKET_CONNECTED, true);
    entry.open_flags = event.u32(5).unwrap_or(0) & O_CLOEXEC;
    add(state, step, number, entry);
}

/// SO_ERROR tells how a background connect ended.
pub(super) fn getsockopt_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    if success(event).is_none() || event.u64(2) != Some(SOL_SOCKET) || event.u64(3) != Some(SO_ERROR) {
        return;
    }
    let Some((&DYN_ERRNO, value)) = event.param(4).and_then(<[u8]>::split_first) else { return };
    let Some(errno) = value.first_chunk::<8>().map(|b| i64::from_le_bytes(*b)) else { return };
    if let Some(entry) = fd(state, step) {
        entry.flags.set(FdFlags::CONNECTION_PENDING, false);
        entry.flags.set(FdFlags::SOCKET_CONNECTED, errno == 0);
        entry.flags.set(FdFlags::CONNECTION_FAILED, errno != 0);
    }
}

/// Numbers of `sockopt_levels`, `sockopt_options` and of the variants of `sockopt_dynamic_param`.
const SOL_SOCKET: u64 = 1;
const SO_ERROR: u64 = 4;
const DYN_ERRNO: u8 = 1;
