//! Descriptor fields. In: the descriptor that the event is about and the open file behind it. Out: its kind, name,
//! addresses and numbers. Events that use no descriptor have none of these fields.

use super::builtin::Builtin;
use super::ends;
use super::param::Param;
use super::text::{Text, c_string, format, valid};
use super::{paths, text};
use crate::context::Context;
use crate::state::{FdEntry, FdFlags};
use bumpalo::Bump;
use bumpalo::collections::Vec;
use event::snapshot::{FdType, L4};
use event::tables::EventFlags;
use event::{FieldArg, Kind, Value};

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
        B::FdCip | B::FdCnet => ends::client(ctx).map(ends::ip),
        B::FdSip | B::FdSnet => ends::server(ctx).map(ends::ip),
        B::FdLip | B::FdLnet => ends::local(ctx).map(ends::ip),
        B::FdRip | B::FdRnet => ends::remote(ctx).map(ends::ip),
        B::FdCport => ends::client(ctx).map(ends::port),
        B::FdSport => ends::server(ctx).map(ends::port),
        B::FdLport => ends::local(ctx).map(ends::port),
        B::FdRport => ends::remote(ctx).map(ends::port),
        B::FdCproto => ends::client_service(ctx, arena),
        B::FdSproto => ends::server_service(ctx, arena),
        B::FdLproto => ends::local(ctx).map(|end| ends::port_text(end, arena)),
        B::FdRproto => ends::remote(ctx).map(|end| ends::port_text(end, arena)),
        B::FdCipName => ends::host_name(ctx, ends::client(ctx)?),
        B::FdSipName => ends::host_name(ctx, ends::server(ctx)?),
        B::FdLipName => ends::host_name(ctx, ends::local(ctx)?),
        B::FdRipName => ends::host_name(ctx, ends::remote(ctx)?),
        B::FdL4proto => text(l4_name(ctx.fd?.l4())),
        B::FdSockfamily => text(sock_family(ctx.fd?)?),
        B::FdIsServer => Some(Value::Bool(ends::is_server(ctx, ctx.fd?))),
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

/// The descriptor; -1 for a call that failed to create one.
fn number(ctx: &Context<'_>) -> i64 {
    let creates = ctx.event.kind.has(EventFlags::CREATES_FD);
    ctx.fd_num.filter(|fd| *fd >= 0 || !creates).unwrap_or(-1)
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
        (Some(entry), _) => typechar(entry.ty),
        (None, Kind::SYSCALL_OPENAT_2_X | Kind::SYSCALL_OPENAT2_X | Kind::SYSCALL_OPEN_BY_HANDLE_AT_X) => b"f",
        (None, _) => b"o",
    }
}

/// One character for the kind of a descriptor.
pub(crate) fn typechar(ty: FdType) -> &'static [u8; 1] {
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

/// `proc.stdin.type` and its like: kind or name of descriptor `fd` of the event's process.
pub(super) fn standard<'a>(ctx: &'a Context<'a>, fd: i64, named: bool, arena: &'a Bump) -> Option<Value<'a>> {
    let entry = ctx.state.fd(ctx.thread?, fd)?;
    Some(Value::Str(if named { text::valid(&entry.name, arena) } else { type_name(entry.ty) }))
}
