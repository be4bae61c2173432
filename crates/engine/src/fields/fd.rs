//! Descriptor fields. In: the descriptor that the event is about and the open file behind it. Out: its kind, name,
//! addresses and numbers. Events that use no descriptor have none of these fields.

use super::builtin::Builtin;
use super::param::Param;
use super::text::{Text, c_string, format, join, valid};
use super::{paths, text};
use crate::context::Context;
use crate::state::{FdEntry, FdFlags, Socket};
use bumpalo::Bump;
use bumpalo::collections::Vec;
use event::snapshot::{FdType, L4};
use event::tables::EventFlags;
use event::{FieldArg, Kind, Value};
use std::net::IpAddr;

/// The value of descriptor field `field`.
#[allow(clippy::too_many_lines)] // a table
pub(super) fn extract<'a>(
    ctx: &'a Context<'a>,
    field: Builtin,
    arg: Option<&FieldArg>,
    arena: &'a Bump,
) -> Option<Value<'a>> {
    use Builtin as B;
    if !is_fd_event(ctx) {
        return None;
    }
    let text = |bytes: &'a [u8]| Some(Value::Str(bytes));
    let flag = |flag| ctx.fd.map(|entry| Value::Bool(entry.flags.has(flag)));
    match field {
        B::FdNum => Some(Value::Int(number(ctx))),
        B::FdType => text(type_name(ctx.fd?.ty)),
        B::FdTypechar => text(typechar_text(ctx)),
        B::FdName => text(name(ctx, arena)),
        B::FdNameraw => text(name_raw(ctx, arena)),
        B::FdDirectory => text(directory(ctx, arena)?),
        B::FdFilename => text(file_name(ctx.fd?, arena)?),
        B::FdCip | B::FdCnet => client(ctx).map(ip),
        B::FdSip | B::FdSnet => server(ctx).map(ip),
        B::FdLip | B::FdLnet => local(ctx).map(ip),
        B::FdRip | B::FdRnet => remote(ctx).map(ip),
        B::FdCport => client(ctx).map(port),
        B::FdSport => server(ctx).map(port),
        B::FdLport => local(ctx).map(port),
        B::FdRport => remote(ctx).map(port),
        B::FdCproto => client(ctx).map(|end| port_text(end, arena)),
        B::FdSproto => server(ctx).map(|end| port_text(end, arena)),
        B::FdLproto => local(ctx).map(|end| port_text(end, arena)),
        B::FdRproto => remote(ctx).map(|end| port_text(end, arena)),
        B::FdCipName => host_name(ctx, client(ctx)?),
        B::FdSipName => host_name(ctx, server(ctx)?),
        B::FdLipName => host_name(ctx, local(ctx)?),
        B::FdRipName => host_name(ctx, remote(ctx)?),
        B::FdL4proto => text(l4_name(ctx.fd?.l4())),
        B::FdSockfamily => text(sock_family(ctx.fd?)?),
        B::FdIsServer => Some(Value::Bool(is_server(ctx, ctx.fd?))),
        B::FdUid => text(format(arena, format_args!("{}{}", ctx.event.tid, number(ctx)))),
        B::FdContainername => text(in_container(ctx, name(ctx, arena), arena)),
        B::FdContainerdirectory => text(in_container(ctx, directory(ctx, arena)?, arena)),
        B::FdConnected => flag(FdFlags::SOCKET_CONNECTED),
        B::FdNameChanged => ctx.fd.map(|_| Value::Bool(ctx.fd_name_changed)),
        B::FdDev => Some(Value::Int(ctx.fd?.dev.into())),
        B::FdDevMajor => Some(Value::Int((ctx.fd?.dev >> 8 & 0xfff).into())),
        B::FdDevMinor => Some(Value::Int((ctx.fd?.dev & 0xff | ctx.fd?.dev >> 12 & !0xff).into())),
        B::FdIno => Some(Value::Int(ctx.fd?.ino.cast_signed())),
        B::FdTypes => types(ctx, arg, arena),
        B::FdIsUpperLayer => flag(FdFlags::OVERLAY_UPPER),
        B::FdIsLowerLayer => flag(FdFlags::OVERLAY_LOWER),
        _ => None, // `fd.ip`, `fd.port`, `fd.proto` and `fd.net` only compare
    }
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

/// One character for the kind of a descriptor.
pub(crate) fn typechar(ty: FdType) -> char {
    char::from(typechar_bytes(ty)[0])
}

/// The kind of a descriptor as rules name it.
pub(crate) fn type_name(ty: FdType) -> &'static [u8] {
    match ty {
        FdType::File | FdType::FileV2 => b"file",
        FdType::Directory => b"directory",
        FdType::Ipv4Sock | FdType::Ipv4ServSock => b"ipv4",
        FdType::Ipv6Sock | FdType::Ipv6ServSock => b"ipv6",
        FdType::Fifo => b"pipe",
        FdType::UnixSock => b"unix",
        FdType::Event => b"event",
        FdType::Signalfd => b"signalfd",
        FdType::Eventpoll => b"eventpoll",
        FdType::Inotify => b"inotify",
        FdType::Timerfd => b"timerfd",
        FdType::Netlink => b"netlink",
        FdType::Bpf => b"bpf",
        FdType::Userfaultfd => b"userfaultfd",
        FdType::IoUring => b"io_uring",
        FdType::Memfd => b"memfd",
        FdType::Pidfd => b"pidfd",
        FdType::Unsupported => b"unsupported",
        FdType::Unknown => b"<NA>",
    }
}

/// Whether the event creates, uses or closes a descriptor.
pub(crate) fn is_fd_event(ctx: &Context<'_>) -> bool {
    ctx.event.kind.has(EventFlags(EventFlags::CREATES_FD.0 | EventFlags::USES_FD.0 | EventFlags::DESTROYS_FD.0))
}

/// The name of the descriptor; what the call asked for when it failed; empty when neither is known.
pub(crate) fn name<'a>(ctx: &'a Context<'a>, arena: &'a Bump) -> &'a [u8] {
    match ctx.fd {
        Some(entry) => valid(&entry.name, arena),
        None => asked_name(ctx, arena).unwrap_or_default(),
    }
}

/// Client and server end of an IP connection, and which side is this machine, for `fd.*` and `fdlist.*`.
pub(super) fn ends_of(entry: &FdEntry) -> (Option<End>, Option<End>) {
    match entry.socket {
        Socket::Inet { sip, sport, dip, dport, .. } if has_role(entry) => {
            (Some(End { ip: sip, port: sport }), Some(End { ip: dip, port: dport }))
        }
        Socket::Server { ip, port, .. } => (None, Some(End { ip, port })),
        _ => (None, None),
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) ip: IpAddr,
    pub(super) port: u16,
}

/// The descriptor; -1 for a call that failed to create one.
fn number(ctx: &Context<'_>) -> i64 {
    let creates = ctx.event.kind.has(EventFlags::CREATES_FD);
    ctx.fd_num.filter(|fd| *fd >= 0 || !creates).unwrap_or(-1)
}

fn ip<'a>(end: End) -> Value<'a> {
    Value::Ip(end.ip)
}

fn port<'a>(end: End) -> Value<'a> {
    Value::Uint(end.port.into())
}

fn port_text<'a>(end: End, arena: &'a Bump) -> Value<'a> {
    Value::Str(format(arena, format_args!("{}", end.port)))
}

fn client(ctx: &Context<'_>) -> Option<End> {
    ends_of(ctx.fd?).0
}

fn server(ctx: &Context<'_>) -> Option<End> {
    ends_of(ctx.fd?).1
}

fn local(ctx: &Context<'_>) -> Option<End> {
    let (client, server) = ends_of(ctx.fd?);
    let client = client?;
    if is_local(ctx, client.ip) { Some(client) } else { server }
}

fn remote(ctx: &Context<'_>) -> Option<End> {
    let (client, server) = ends_of(ctx.fd?);
    let client = client?;
    if is_local(ctx, client.ip) { server } else { Some(client) }
}

fn is_local(ctx: &Context<'_>, ip: IpAddr) -> bool {
    ctx.state.interfaces.is_local(ip)
}

fn is_server(ctx: &Context<'_>, entry: &FdEntry) -> bool {
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

/// The name that was resolved to the address before, if any.
fn host_name<'a>(ctx: &Context<'a>, end: End) -> Option<Value<'a>> {
    let known = ctx.around.addresses.iter().find(|(_, ips)| ips.contains(&end.ip));
    known.map(|(name, _)| Value::Str(name))
}

fn l4_name(l4: L4) -> &'static [u8] {
    match l4 {
        L4::Tcp => b"tcp",
        L4::Udp => b"udp",
        L4::Icmp => b"icmp",
        L4::Raw => b"raw",
        L4::Unknown | L4::Na => b"<NA>",
    }
}

fn sock_family(entry: &FdEntry) -> Option<&'static [u8]> {
    match entry.ty {
        FdType::UnixSock => Some(b"unix"),
        _ if entry.is_socket() => Some(b"ip"),
        _ => None,
    }
}

fn typechar_text(ctx: &Context<'_>) -> &'static [u8] {
    match (ctx.fd, ctx.event.kind) {
        (Some(entry), _) => typechar_bytes(entry.ty),
        (None, Kind::SYSCALL_OPENAT_2_X | Kind::SYSCALL_OPENAT2_X | Kind::SYSCALL_OPEN_BY_HANDLE_AT_X) => b"f",
        (None, _) => b"o",
    }
}

fn typechar_bytes(ty: FdType) -> &'static [u8; 1] {
    match ty {
        FdType::File | FdType::FileV2 => b"f",
        FdType::Directory => b"d",
        FdType::Ipv4Sock | FdType::Ipv4ServSock => b"4",
        FdType::Ipv6Sock | FdType::Ipv6ServSock => b"6",
        FdType::Fifo => b"p",
        FdType::UnixSock | FdType::Userfaultfd => b"u",
        FdType::Event => b"e",
        FdType::Signalfd => b"s",
        FdType::Eventpoll => b"l",
        FdType::Inotify => b"i",
        FdType::Timerfd => b"t",
        FdType::Netlink => b"n",
        FdType::Bpf => b"b",
        FdType::IoUring => b"r",
        FdType::Memfd => b"m",
        FdType::Pidfd => b"P",
        FdType::Unsupported => b"X",
        FdType::Unknown => b"o",
    }
}

/// What a call that yielded no descriptor was about.
fn asked_name<'a>(ctx: &'a Context<'a>, arena: &'a Bump) -> Option<&'a [u8]> {
    match ctx.event.kind {
        Kind::SYSCALL_OPEN_X | Kind::SYSCALL_CREAT_X => {
            Some(paths::resolve(ctx, paths::CWD, c_string(ctx.event.param(1)?), arena))
        }
        Kind::SYSCALL_OPENAT_2_X | Kind::SYSCALL_OPENAT2_X => {
            Some(paths::resolve(ctx, ctx.event.i64(1)?, c_string(ctx.event.param(2)?), arena))
        }
        Kind::SYSCALL_OPEN_BY_HANDLE_AT_X => Some(valid(c_string(ctx.event.param(3)?), arena)),
        Kind::SOCKET_ACCEPT4_6_X | Kind::SOCKET_CONNECT_X => {
            Param::at(ctx, 1).filter(|p| !p.bytes().is_empty()).map(|p| p.text(arena))
        }
        _ => None,
    }
}

fn name_raw<'a>(ctx: &'a Context<'a>, arena: &'a Bump) -> &'a [u8] {
    if let Some(entry) = ctx.fd {
        return valid(&entry.name_raw, arena);
    }
    let index = match ctx.event.kind {
        Kind::SYSCALL_OPEN_X | Kind::SYSCALL_CREAT_X => 1,
        Kind::SYSCALL_OPENAT_2_X | Kind::SYSCALL_OPENAT2_X => 2,
        Kind::SYSCALL_OPEN_BY_HANDLE_AT_X => 3,
        _ => return b"",
    };
    paths::without_double_slashes(c_string(ctx.event.param(index).unwrap_or_default()), arena)
}

/// Directory part of the name: files up to the last slash, directories as a whole.
fn directory<'a>(ctx: &'a Context<'a>, arena: &'a Bump) -> Option<&'a [u8]> {
    let name = name(ctx, arena);
    match ctx.fd.map(|entry| entry.ty) {
        Some(FdType::Directory) => Some(name),
        None | Some(FdType::File | FdType::FileV2) => Some(paths::directory(name)),
        Some(_) => None,
    }
}

/// Last component of the name of a file.
fn file_name<'a>(entry: &'a FdEntry, arena: &'a Bump) -> Option<&'a [u8]> {
    let name = valid(&entry.name, arena);
    matches!(entry.ty, FdType::File | FdType::FileV2).then(|| match memchr::memrchr(b'/', name) {
        Some(slash) => name.get(slash + 1..).unwrap_or_default(),
        None => b"/",
    })
}

fn in_container<'a>(ctx: &Context<'_>, name: &[u8], arena: &'a Bump) -> &'a [u8] {
    let mut text = Text::new(arena);
    text.push(ctx.thread.map_or(b"", |t| &t.container_id));
    text.push(b":");
    text.push(name);
    text.finish()
}

/// The kind of one descriptor, or the different kinds of all that the process has open.
fn types<'a>(ctx: &'a Context<'a>, arg: Option<&FieldArg>, arena: &'a Bump) -> Option<Value<'a>> {
    let fds = ctx.state.fds_of(ctx.thread?)?;
    let mut list = Vec::new_in(arena);
    match arg {
        Some(FieldArg::Index(fd)) => list.push(Value::Str(type_name(fds.lookup(i64::try_from(*fd).ok()?)?.ty))),
        _ => fds.iter().map(|(_, entry)| Value::Str(type_name(entry.ty))).for_each(|ty| {
            if !list.contains(&ty) {
                list.push(ty);
            }
        }),
    }
    (!list.is_empty()).then(|| Value::List(list.into_bump_slice()))
}

/// `fdlist.*`: what the descriptors of a poll list are.
pub(super) fn extract_list<'a>(ctx: &'a Context<'a>, field: Builtin, arena: &'a Bump) -> Option<Value<'a>> {
    let bytes = Param::named(ctx, "fds").filter(|p| p.ty() == event::ParamType::Fdlist)?.bytes();
    let entry = |fd| ctx.thread.and_then(|t| ctx.state.fd(t, fd));
    let ends = |fd| entry(fd).map(ends_of).unwrap_or_default();
    let mut items = Vec::new_in(arena);
    for (fd, _) in super::address::poll_list(bytes) {
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

/// `proc.stdin.type` and its like: kind or name of descriptor `fd` of the event's process.
pub(super) fn standard<'a>(ctx: &'a Context<'a>, fd: i64, named: bool, arena: &'a Bump) -> Option<Value<'a>> {
    let entry = ctx.state.fd(ctx.thread?, fd)?;
    Some(Value::Str(if named { text::valid(&entry.name, arena) } else { type_name(entry.ty) }))
}
