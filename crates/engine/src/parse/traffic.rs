//! Traffic that tells who talks to whom: reads and writes that carry a tuple. In: exit events of the send and receive
//! families. Out: addresses, role and name of sockets that are not TCP or have no name yet. A tuple that says what is
//! known already costs no allocation.

use super::socket::unconnected;
use super::{Step, fd, success};
use crate::state::net::{self, Tuple};
use crate::state::{FdEntry, FdFlags, Socket, State, Str};
use event::snapshot::L4;
use event::{Event, Kind};
use std::net::IpAddr;

pub(super) fn receive_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    if success(event).is_none() {
        return;
    }
    if let Some(tuple) = event.param(tuple_param(event.kind)).and_then(net::tuple) {
        learn(state, step, tuple, true);
    }
    if matches!(event.kind, Kind::SOCKET_RECVMSG_X | Kind::SOCKET_RECVMMSG_X) {
        passed_fds(state, event, step);
    }
}

pub(super) fn send_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    if success(event).is_none() {
        return;
    }
    let Some(tuple) = event.param(tuple_param(event.kind)).and_then(net::tuple) else { return };
    if fd(state, step).is_none() {
        assume_udp(state, step, tuple);
    }
    learn(state, step, tuple, false);
}

fn tuple_param(kind: Kind) -> usize {
    match kind {
        Kind::SOCKET_RECVFROM_X => 2,
        Kind::SOCKET_RECVMSG_X => 3,
        _ => 4,
    }
}

fn control_param(kind: Kind) -> usize {
    if kind == Kind::SOCKET_RECVMSG_X { 4 } else { 5 }
}

/// Something was sent over a descriptor nobody saw being made: most likely a UDP socket.
fn assume_udp(state: &mut State, step: &Step<'_>, tuple: Tuple<'_>) {
    let (Some(tid), Some(number), Tuple::Inet { dip, .. }) = (step.tid, step.fd, tuple) else { return };
    state.add_fd(tid, number, unconnected(net::socket_type(dip), L4::Udp));
}

fn learn(state: &mut State, step: &mut Step<'_>, tuple: Tuple<'_>, incoming: bool) {
    let Some(entry) = fd(state, step).filter(|e| e.is_socket()) else { return };
    if entry.declared_l4() == L4::Tcp && !entry.name.is_empty() {
        return;
    }
    step.name_changed |= match tuple {
        Tuple::Unix { source, destination, path } => learn_unix(entry, source, destination, path),
        Tuple::Inet { sip, sport, dip, dport } if !entry.is_inet_server() || entry.declared_l4() != L4::Tcp => {
            learn_inet(state, step, Flow { sip, sport, dip, dport }, incoming)
        }
        Tuple::Inet { .. } => false,
    };
}

fn learn_unix(entry: &mut FdEntry, source: u64, destination: u64, path: &[u8]) -> bool {
    let socket = Socket::Unix { source, destination };
    if entry.socket == socket && !entry.name.is_empty() {
        return false;
    }
    entry.socket = socket;
    entry.name = Str::from(net::name(&socket, path));
    true
}

/// A tuple as the event carries it: from sender to receiver.
#[derive(Clone, Copy)]
struct Flow {
    sip: IpAddr,
    sport: u16,
    dip: IpAddr,
    dport: u16,
}

fn learn_inet(state: &mut State, step: &Step<'_>, mut flow: Flow, incoming: bool) -> bool {
    patch_source(state, &mut flow);
    let role = role_of(state, step, flow, incoming);
    let Some(entry) = fd(state, step) else { return false };
    let Some(role) = role else { return false };
    let client = role.has(FdFlags::ROLE_CLIENT);
    let Flow { sip, sport, dip, dport } = if incoming == client { swapped(flow) } else { flow };
    let l4 = match entry.declared_l4() {
        L4::Unknown | L4::Na => L4::Udp,
        known => known,
    };
    let socket = Socket::Inet { sip, sport, dip, dport, l4 };
    if entry.socket == socket && !entry.name.is_empty() {
        return false;
    }
    entry.ty = net::socket_type(dip);
    entry.socket = socket;
    entry.set_role(role);
    entry.name = Str::from(net::name(&socket, b""));
    true
}

/// A socket bound to no address sends from the machine's own.
fn patch_source(state: &State, flow: &mut Flow) {
    if flow.sip.is_ipv4() && flow.sip.is_unspecified() {
        flow.sip = state.interfaces.outward_v4().unwrap_or(flow.sip);
    }
}

fn swapped(flow: Flow) -> Flow {
    Flow { sip: flow.dip, sport: flow.dport, dip: flow.sip, dport: flow.sport }
}

/// The role known already, else a guess: who listens on the destination port is the server; when that says nothing, who
/// reads first is the server.
fn role_of(state: &State, step: &Step<'_>, flow: Flow, incoming: bool) -> Option<FdFlags> {
    let fds = state.fds_by_tid(step.tid?)?;
    let entry = fds.lookup(step.fd?)?;
    if entry.flags.has(FdFlags::ROLE_CLIENT) {
        return Some(FdFlags::ROLE_CLIENT);
    }
    if entry.flags.has(FdFlags::ROLE_SERVER) {
        return Some(FdFlags::ROLE_SERVER);
    }
    let bound = fds.iter().any(|(_, e)| matches!(e.socket, Socket::Server { port, .. } if port == flow.dport));
    let sends_from = fds.iter().any(|(_, e)| matches!(e.socket, Socket::Inet { sport, .. } if sport == flow.sport));
    Some(match (bound, sends_from) {
        (false, _) => FdFlags::ROLE_CLIENT,
        (true, false) => FdFlags::ROLE_SERVER,
        (true, true) if incoming => FdFlags::ROLE_SERVER,
        (true, true) => FdFlags::ROLE_CLIENT,
    })
}

/// Descriptors received over a unix socket: somebody who can look must say what they are.
fn passed_fds(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let is_unix = fd(state, step).is_some_and(|e| e.ty == event::snapshot::FdType::UnixSock);
    let (Some(tid), Some(control), true) = (step.tid, event.param(control_param(event.kind)), is_unix) else { return };
    let Some(source) = &mut step.source else { return };
    let Some(pid) = state.thread(tid).map(|t| t.pid) else { return };
    let found: Vec<_> = rights(control).filter_map(|fd| source.fd(pid, fd)).collect();
    for fd in &found {
        state.add_found_fd(tid, fd);
    }
}

/// Descriptor numbers in the SCM_RIGHTS messages of ancillary data (unix(7), cmsg(3), 64-bit layout).
fn rights(control: &[u8]) -> impl Iterator<Item = i64> {
    let mut rest = control;
    std::iter::from_fn(move || {
        let (header, _) = rest.split_first_chunk::<16>()?;
        let [l0, l1, l2, l3, l4, l5, l6, l7, v0, v1, v2, v3, t0, t1, t2, t3] = *header;
        let len = usize::try_from(u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7])).ok().filter(|l| *l >= 16)?;
        let data = rest.get(16..len)?;
        let is_rights = (i32::from_le_bytes([v0, v1, v2, v3]), i32::from_le_bytes([t0, t1, t2, t3])) == (1, 1);
        rest = rest.get(len.next_multiple_of(8)..).unwrap_or_default();
        Some(if is_rights { data } else { &[] })
    })
    .flat_map(|data| data.chunks_exact(4).map(|c| i64::from(i32::from_le_bytes([c[0], c[1], c[2], c[3]]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_passed_descriptors() {
        let mut control = Vec::new();
        control.extend(24u64.to_le_bytes());
        control.extend(1i32.to_le_bytes());
        control.extend(1i32.to_le_bytes());
        control.extend(7i32.to_le_bytes());
        control.extend(9i32.to_le_bytes());
        assert_eq!(rights(&control).collect::<Vec<_>>(), [7, 9]);
        assert_eq!(rights(&control[..20]).count(), 0);
        assert_eq!(rights(&[0; 40]).count(), 0);
    }
}
