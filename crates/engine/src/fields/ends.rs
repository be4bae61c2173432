//! Ends of IP connections: addresses and ports of client and server, and which of them is this machine. In: the open
//! file of an event or of a poll list. Out: the values of `fd.cip` and its like, of `fdlist.*`, and what `fd.ip` and its
//! like compare with. A connection whose role is unknown has no ends.

use super::address::poll_list;
use super::builtin::Builtin;
use super::fd::is_fd_event;
use super::param::Param;
use super::text::{format, join};
use crate::context::Context;
use crate::state::{FdEntry, FdFlags, Socket};
use bumpalo::Bump;
use bumpalo::collections::Vec;
use event::{ParamType, Value};
use std::net::IpAddr;

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) ip: IpAddr,
    pub(super) port: u16,
}

/// What `fd.ip`, `fd.net`, `fd.port` and `fd.proto` compare with, and the ends that a `.name` field resolves.
pub(super) fn candidates<'a>(ctx: &'a Context<'a>, field: Builtin, arena: &'a Bump) -> &'a [Value<'a>] {
    use Builtin as B;
    if !is_fd_event(ctx) {
        return &[];
    }
    let one = |end: Option<End>| match end {
        Some(end) => arena.alloc_slice_copy(&[host_name(ctx, end).unwrap_or(ip(end))]),
        None => &[][..],
    };
    match field {
        B::FdIp | B::FdNet => both(ctx, ip, arena),
        B::FdPort | B::FdProto => both(ctx, port, arena),
        B::FdCipName => one(client(ctx)),
        B::FdSipName => one(server(ctx)),
        B::FdLipName => one(local(ctx)),
        B::FdRipName => one(remote(ctx)),
        _ => &[],
    }
}

/// `fdlist.*`: what the descriptors of a poll list are.
pub(super) fn extract_list<'a>(ctx: &'a Context<'a>, field: Builtin, arena: &'a Bump) -> Option<Value<'a>> {
    let bytes = Param::named(ctx, "fds").filter(|p| p.ty() == ParamType::Fdlist)?.bytes();
    let entry = |fd| ctx.thread.and_then(|t| ctx.state.fd(t, fd));
    let ends = |fd| entry(fd).map(ends_of).unwrap_or_default();
    let mut items = Vec::new_in(arena);
    for (fd, _) in poll_list(bytes) {
        let (client, server) = ends(fd);
        items.extend(match field {
            Builtin::FdlistNums => Some(format(arena, format_args!("{fd}"))),
            Builtin::FdlistNames => entry(fd).map(|e| &*e.name),
            Builtin::FdlistCips => client.map(|end| format(arena, format_args!("{}", end.ip))),
            Builtin::FdlistSips => server.map(|end| format(arena, format_args!("{}", end.ip))),
            Builtin::FdlistCports => client.map(|end| format(arena, format_args!("{}", end.port))),
            Builtin::FdlistSports => server.map(|end| format(arena, format_args!("{}", end.port))),
            _ => None,
        });
    }
    (!items.is_empty()).then(|| Value::Str(join(arena, items.into_iter(), b",")))
}

/// The side that opened the connection.
pub(super) fn client(ctx: &Context<'_>) -> Option<End> {
    ends_of(ctx.fd?).0
}

/// The side that waits for connections.
pub(super) fn server(ctx: &Context<'_>) -> Option<End> {
    ends_of(ctx.fd?).1
}

/// The side on this machine.
pub(super) fn local(ctx: &Context<'_>) -> Option<End> {
    let (client, server) = ends_of(ctx.fd?);
    let client = client?;
    if is_local(ctx, client.ip) { Some(client) } else { server }
}

/// The other side.
pub(super) fn remote(ctx: &Context<'_>) -> Option<End> {
    let (client, server) = ends_of(ctx.fd?);
    let client = client?;
    if is_local(ctx, client.ip) { server } else { Some(client) }
}

pub(super) fn ip<'a>(end: End) -> Value<'a> {
    Value::Ip(end.ip)
}

pub(super) fn port<'a>(end: End) -> Value<'a> {
    Value::Uint(end.port.into())
}

pub(super) fn port_text<'a>(end: End, arena: &'a Bump) -> Value<'a> {
    Value::Str(format(arena, format_args!("{}", end.port)))
}

/// `fd.cproto`: the client's port; no service for sockets with a role but without a client of their own, which are
/// listening ones and unix sockets.
pub(super) fn client_service<'a>(ctx: &Context<'_>, arena: &'a Bump) -> Option<Value<'a>> {
    match client(ctx) {
        Some(end) => Some(port_text(end, arena)),
        None => has_role(ctx.fd?).then_some(NO_SERVICE),
    }
}

/// `fd.sproto`: the server's port; a listening socket serves nobody yet and has no service.
pub(super) fn server_service<'a>(ctx: &Context<'_>, arena: &'a Bump) -> Option<Value<'a>> {
    match ctx.fd?.socket {
        Socket::Server { .. } => Some(NO_SERVICE),
        _ => server(ctx).map(|end| port_text(end, arena)),
    }
}

const NO_SERVICE: Value<'static> = Value::Str(b"");

/// Client and server end of an IP connection.
fn ends_of(entry: &FdEntry) -> (Option<End>, Option<End>) {
    match entry.socket {
        Socket::Inet { sip, sport, dip, dport, .. } if has_role(entry) => {
            (Some(End { ip: sip, port: sport }), Some(End { ip: dip, port: dport }))
        }
        Socket::Server { ip, port, .. } => (None, Some(End { ip, port })),
        _ => (None, None),
    }
}

fn is_local(ctx: &Context<'_>, ip: IpAddr) -> bool {
    ctx.state.interfaces.is_local(ip)
}

/// Whether this machine is the side that waits for connections.
pub(super) fn is_server(ctx: &Context<'_>, entry: &FdEntry) -> bool {
    match entry.socket {
        Socket::Server { .. } => true,
        Socket::Inet { dip, .. } => is_local(ctx, dip),
        Socket::None | Socket::Unix { .. } => false,
    }
}

fn has_role(entry: &FdEntry) -> bool {
    entry.flags.has(FdFlags(FdFlags::ROLE_CLIENT.0 | FdFlags::ROLE_SERVER.0))
}

/// Both ends of a connection, the one end of a server.
fn both<'a>(ctx: &Context<'a>, show: fn(End) -> Value<'a>, arena: &'a Bump) -> &'a [Value<'a>] {
    match ctx.fd.map(|entry| entry.socket) {
        Some(Socket::Inet { sip, sport, dip, dport, .. }) => {
            arena.alloc_slice_copy(&[show(End { ip: sip, port: sport }), show(End { ip: dip, port: dport })])
        }
        Some(Socket::Server { ip, port, .. }) => arena.alloc_slice_copy(&[show(End { ip, port })]),
        _ => &[],
    }
}

/// A name that was resolved to the address before, if any.
pub(super) fn host_name<'a>(ctx: &Context<'a>, end: End) -> Option<Value<'a>> {
    let known = ctx.around.addresses.iter().filter(|(_, ips)| ips.contains(&end.ip));
    known.map(|(name, _)| &**name).min().map(Value::Str)
}
