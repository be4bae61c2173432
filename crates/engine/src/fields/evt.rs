//! Event fields: number, time, type, category, parameters and result. In: the event and its place in the stream. Out:
//! values of `evt.*` and `syscall.type`. Fields of a result exist only for events that carry one.

use super::builtin::Builtin;
use super::fd::{name as fd_name, type_name};
use super::param::Param;
use super::text::{Text, c_string, valid};
use super::{open, paths, time};
use crate::context::Context;
use bumpalo::Bump;
use event::snapshot::FdType;
use event::tables::{EventFlags, EventInfo, Sc, syscalls};
use event::{Event, FieldArg, Kind, ParamType, Value};

/// The value of event field `field`.
#[allow(clippy::too_many_lines)] // a table
pub(super) fn extract<'a>(
    ctx: &'a Context<'a>,
    field: Builtin,
    arg: Option<&FieldArg>,
    arena: &'a Bump,
) -> Option<Value<'a>> {
    use Builtin as B;
    let ts = ctx.event.ts;
    let zone = &ctx.around.zone;
    let text = |bytes: &'a [u8]| Some(Value::Str(bytes));
    let uint = |value: u64| Some(Value::Uint(value));
    let one_if = |yes: bool| Some(Value::Uint(u64::from(yes)));
    let has = |flag| Some(Value::Bool(ctx.event.kind.has(flag)));
    match field {
        B::EvtNum => uint(ctx.num),
        B::EvtTime | B::EvtOutputtime => text(time::clock(ts, zone, arena)),
        B::EvtTimeS => text(time::clock_seconds(ts, zone, arena)),
        B::EvtTimeIso8601 => text(time::iso8601(ts, arena)),
        B::EvtDatetime => text(time::date_clock(ts, zone, arena)),
        B::EvtDatetimeS => text(time::date_clock_seconds(ts, zone, arena)),
        B::EvtRawtime => uint(ts),
        B::EvtRawtimeS => uint(ts / time::SECOND),
        B::EvtRawtimeNs => uint(ts % time::SECOND),
        B::EvtReltime => uint(relative(ctx)),
        B::EvtReltimeS => uint(relative(ctx) / time::SECOND),
        B::EvtReltimeNs => uint(relative(ctx) % time::SECOND),
        B::EvtDeltatime => uint(delta(ctx, 0)),
        B::EvtDeltatimeS => uint(delta(ctx, 1) / time::SECOND),
        B::EvtDeltatimeNs => uint(delta(ctx, 2) % time::SECOND),
        B::EvtAround => uint(ts), // the comparison has the other time
        B::EvtPluginname => text(ctx.around.plugins.as_ref()?.name_of(ctx.event)?.as_bytes()),
        B::EvtPlugininfo => text(ctx.around.plugins.as_ref()?.describe(ctx.event, arena)?),
        B::EvtSource => text(ctx.source.as_bytes()),
        B::EvtIsAsync => Some(Value::Bool(is_meta(ctx))),
        B::EvtAsynctype => is_meta(ctx).then(|| Value::Str(type_of(ctx, arena))),
        B::EvtHostname => text(ctx.hostname.as_bytes()),
        // Calls are seen once, at their exit, so nothing has a latency.
        B::EvtLatency | B::EvtLatencyS | B::EvtLatencyNs | B::EvtLatencyQuantized | B::EvtWaitLatency => uint(0),
        B::EvtLatencyHuman => text(b"0ns"),
        B::EvtDir => text(if info(ctx)?.is_enter { b">" } else { b"<" }),
        B::EvtType => text(type_of(ctx, arena)),
        B::EvtTypeIs => one_if(is_type(ctx, arg?, arena)),
        B::SyscallType => (info(ctx)?.origin == "SYSCALL").then(|| Value::Str(type_of(ctx, arena))),
        B::EvtCategory => text(category(ctx).as_bytes()),
        B::EvtCpu => Some(Value::Int(ctx.event.cpu.into())),
        B::EvtArgs | B::EvtInfo => text(all_params(ctx, arena)),
        B::EvtArg => text(param(ctx, arg?)?.text(arena)),
        B::EvtRawarg => param(ctx, arg?)?.value(arena),
        B::EvtBuffer => Some(Value::Bytes(buffer(ctx)?)),
        B::EvtRes => text(result_text(ctx, arena)?),
        B::EvtRawres => Some(Value::Int(result(ctx)?)),
        B::EvtFailed => Some(Value::Bool(result(ctx)? < 0)),
        B::EvtIsIo => has(EventFlags(EventFlags::READS_FROM_FD.0 | EventFlags::WRITES_TO_FD.0)),
        B::EvtIsIoRead => has(EventFlags::READS_FROM_FD),
        B::EvtIsIoWrite => has(EventFlags::WRITES_TO_FD),
        B::EvtIoDir => text(io_direction(ctx)?),
        B::EvtIsWait => has(EventFlags::WAITS),
        B::EvtIsSyslog => Some(Value::Bool(is_syslog(ctx, arena))),
        B::EvtCount => uint(1),
        B::EvtCountExit => (!info(ctx)?.is_enter).then_some(Value::Uint(1)),
        B::EvtCountProcinfo => is_procinfo(ctx, true).then_some(Value::Uint(1)),
        B::EvtCountThreadinfo => is_procinfo(ctx, false).then_some(Value::Uint(1)),
        B::EvtCountError => one_if(result(ctx)? < 0),
        B::EvtCountErrorFile => (failure_class(ctx).file).then(|| result(ctx)).flatten().and_then(|r| one_if(r < 0)),
        B::EvtCountErrorNet => (failure_class(ctx).net).then(|| result(ctx)).flatten().and_then(|r| one_if(r < 0)),
        B::EvtCountErrorMemory => {
            (failure_class(ctx).memory).then(|| result(ctx)).flatten().and_then(|r| one_if(r < 0))
        }
        B::EvtCountErrorOther => (failure_class(ctx).other).then(|| result(ctx)).flatten().and_then(|r| one_if(r < 0)),
        B::EvtAbspath => paths::absolute(ctx, arg, arena),
        B::EvtBuflen => io_bytes(ctx, Io::Any, true, true),
        B::EvtBuflenIn => io_bytes(ctx, Io::Any, true, false),
        B::EvtBuflenOut => io_bytes(ctx, Io::Any, false, true),
        B::EvtBuflenFile => io_bytes(ctx, Io::File, true, true),
        B::EvtBuflenFileIn => io_bytes(ctx, Io::File, true, false),
        B::EvtBuflenFileOut => io_bytes(ctx, Io::File, false, true),
        B::EvtBuflenNet => io_bytes(ctx, Io::Net, true, true),
        B::EvtBuflenNetIn => io_bytes(ctx, Io::Net, true, false),
        B::EvtBuflenNetOut => io_bytes(ctx, Io::Net, false, true),
        B::EvtIsOpenRead => Some(Value::Bool(open::reads(ctx.event))),
        B::EvtIsOpenWrite => Some(Value::Bool(open::writes(ctx.event))),
        B::EvtIsOpenExec => Some(Value::Bool(open::makes_executable(ctx.event))),
        B::EvtIsOpenCreate => Some(Value::Bool(open::creates(ctx.event))),
        B::EvtInfraDockerName => infrastructure(ctx, 1, arena),
        _ => None, // the other infrastructure fields: nothing reports them any more
    }
}

/// Text of a raw parameter, where the type alone would print differently.
pub(super) fn rendered<'a>(ctx: &'a Context<'a>, arg: &FieldArg, arena: &'a Bump) -> Option<&'a [u8]> {
    let param = param(ctx, arg).filter(|p| !p.bytes().is_empty())?;
    let mut out = Text::new(arena);
    param.push_raw(&mut out);
    Some(out.finish())
}

/// The return value of the event; `None` for events that have none.
pub(super) fn result(ctx: &Context<'_>) -> Option<i64> {
    let info = info(ctx)?;
    let first = info.params.first()?;
    let is_result = !info.is_enter && matches!(first.name, "res" | "fd");
    is_result.then(|| ctx.event.i64(0)).flatten()
}

fn info(ctx: &Context<'_>) -> Option<&'static EventInfo> {
    ctx.event.kind.info()
}

fn relative(ctx: &Context<'_>) -> u64 {
    ctx.event.ts.saturating_sub(ctx.first_ts)
}

/// Time since the last event that this field, one of three, was asked about: conditions before it may have kept others
/// from it.
fn delta(ctx: &Context<'_>, field: usize) -> u64 {
    ctx.around.deltas.get(field).map_or(0, |last| last.delta(ctx.num, ctx.event.ts))
}

fn is_meta(ctx: &Context<'_>) -> bool {
    info(ctx).is_some_and(|i| i.origin == "META")
}

/// The name of what happened: for generic events the system call, for asynchronous ones the name they carry.
pub(crate) fn type_of<'a>(ctx: &Context<'a>, arena: &'a Bump) -> &'a [u8] {
    match ctx.event.kind {
        Kind::GENERIC_X | Kind::GENERIC_E => generic_call(ctx.event).unwrap_or("unknown").as_bytes(),
        Kind::ASYNCEVENT_E => valid(c_string(ctx.event.param(1).unwrap_or_default()), arena),
        kind => kind.info().map_or("NA", |i| i.name).as_bytes(),
    }
}

/// The call behind a generic event; by its number on x86-64 where its code was not known when it was recorded.
fn generic_call(event: &Event<'_>) -> Option<&'static str> {
    let code = Sc(u16::try_from(event.u64(0)?).ok()?);
    code.name().filter(|name| *name != "unknown").or_else(|| {
        let number = event.u64(1)?;
        syscalls().iter().find(|call| u64::from(call.nr) == number)?.sc.name()
    })
}

fn is_type(ctx: &Context<'_>, arg: &FieldArg, arena: &Bump) -> bool {
    match arg {
        FieldArg::Index(kind) => u64::from(ctx.event.kind.0) == *kind,
        FieldArg::Key(name) => {
            let kind = name.parse::<u16>();
            kind.map_or_else(|_| type_of(ctx, arena) == name.as_bytes(), |kind| kind == ctx.event.kind.0)
        }
    }
}

/// The category of the event; calls that work on any descriptor take that of the descriptor.
fn category(ctx: &Context<'_>) -> &'static str {
    match info(ctx).map_or("unknown", |i| i.category) {
        "io_read" | "io_write" | "io_other" => ctx.fd.map_or("unknown", |entry| fd_category(entry.ty)),
        "ipc" => "IPC",
        other => other,
    }
}

fn fd_category(ty: FdType) -> &'static str {
    match ty {
        FdType::File | FdType::FileV2 | FdType::Directory => "file",
        FdType::Ipv4Sock | FdType::Ipv6Sock | FdType::Ipv4ServSock | FdType::Ipv6ServSock => "net",
        FdType::Fifo | FdType::UnixSock | FdType::Event | FdType::Signalfd | FdType::Inotify => "ipc",
        _ => "unknown",
    }
}

/// `name=value name=value(resolved) ...`; empty for generic events.
fn all_params<'a>(ctx: &'a Context<'a>, arena: &'a Bump) -> &'a [u8] {
    if matches!(ctx.event.kind, Kind::GENERIC_X | Kind::GENERIC_E) {
        return b"";
    }
    let mut out = Text::new(arena);
    for param in (0..ctx.event.nparams()).filter_map(|index| Param::at(ctx, index)) {
        out.separate(0, b" ");
        param.push_labelled(&mut out, arena);
    }
    out.finish()
}

fn param<'a>(ctx: &'a Context<'a>, arg: &FieldArg) -> Option<Param<'a>> {
    match arg {
        FieldArg::Index(index) => Param::at(ctx, usize::try_from(*index).ok()?),
        FieldArg::Key(name) => Param::named(ctx, name),
    }
}

fn buffer<'a>(ctx: &'a Context<'a>) -> Option<&'a [u8]> {
    Param::named(ctx, "data").filter(|p| p.ty() == ParamType::Bytebuf).map(|p| p.bytes())
}

fn result_text<'a>(ctx: &'a Context<'a>, arena: &'a Bump) -> Option<&'a [u8]> {
    if result(ctx)? >= 0 {
        return Some(b"SUCCESS");
    }
    Some(Param::at(ctx, 0)?.text(arena))
}

fn io_direction(ctx: &Context<'_>) -> Option<&'static [u8]> {
    match ctx.event.kind {
        kind if kind.has(EventFlags::READS_FROM_FD) => Some(b"read"),
        kind if kind.has(EventFlags::WRITES_TO_FD) => Some(b"write"),
        _ => None,
    }
}

fn is_syslog<'a>(ctx: &'a Context<'a>, arena: &'a Bump) -> bool {
    ctx.event.kind.has(EventFlags::WRITES_TO_FD) && memchr::memmem::find(fd_name(ctx, arena), b"/dev/log").is_some()
}

fn is_procinfo(ctx: &Context<'_>, main_only: bool) -> bool {
    ctx.event.kind == Kind::PROCINFO_E && (!main_only || ctx.thread.is_some_and(crate::state::Thread::is_main))
}

/// What kind of thing an event that may fail is about. One event may be of two kinds.
#[derive(Clone, Copy, Debug, Default)]
struct FailureClass {
    file: bool,
    net: bool,
    memory: bool,
    other: bool,
}

fn failure_class(ctx: &Context<'_>) -> FailureClass {
    let memory = info(ctx).is_some_and(|i| i.category == "memory");
    let Some(entry) = ctx.fd.filter(|_| super::fd::is_fd_event(ctx)) else {
        let (file, net) = (opens_file(ctx.event.kind), connects(ctx.event.kind));
        return FailureClass { file, net, memory, other: !file && !net && !memory };
    };
    let net = entry.is_socket();
    let file = type_name(entry.ty) == b"file" || entry.ty == FdType::Directory;
    FailureClass { file, net, memory, other: !file && !net }
}

fn opens_file(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::SYSCALL_OPEN_X
            | Kind::SYSCALL_CREAT_X
            | Kind::SYSCALL_OPENAT_2_X
            | Kind::SYSCALL_OPENAT2_X
            | Kind::SYSCALL_OPEN_BY_HANDLE_AT_X
    )
}

fn connects(kind: Kind) -> bool {
    matches!(kind, Kind::SOCKET_ACCEPT4_6_X | Kind::SOCKET_CONNECT_X)
}

/// On what kind of descriptor bytes were moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Io {
    Any,
    File,
    Net,
}

/// How much a successful input or output call on a known descriptor moved.
fn io_bytes<'a>(ctx: &Context<'_>, on: Io, reads: bool, writes: bool) -> Option<Value<'a>> {
    let entry = ctx.fd?;
    let (is_in, is_out) = match info(ctx)?.category {
        "io_read" => (true, false),
        "io_write" => (false, true),
        "io_other" => (true, true),
        _ => return None,
    };
    let direction =
        if reads && writes { is_in || is_out } else { (reads && is_in && !is_out) || (writes && is_out && !is_in) };
    let kind = match on {
        Io::Any => true,
        Io::File => matches!(entry.ty, FdType::File | FdType::FileV2),
        Io::Net => entry.is_socket(),
    };
    let bytes = u64::try_from(result(ctx)?).ok()?;
    (direction && kind).then_some(Value::Uint(bytes))
}

fn infrastructure<'a>(ctx: &'a Context<'a>, index: usize, arena: &'a Bump) -> Option<Value<'a>> {
    let text = (ctx.event.kind == Kind::INFRASTRUCTURE_EVENT_E).then(|| ctx.event.text(index)).flatten()?;
    Some(Value::Str(valid(text, arena)))
}
