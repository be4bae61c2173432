//! Process and thread fields. In: the thread of the event and, through the state, its process, parents and leaders.
//! Out: values of `proc.*` and `thread.*`. Without a thread all are absent but `thread.tid`. A thread of which nothing
//! is known still has values: name `<NA>`, pid -1.

use super::builtin::Builtin;
use super::lineage::{self, Leader};
use super::text::{Text, join, valid};
use super::{fd, names};
use crate::context::Context;
use crate::state::{State, Thread};
use bumpalo::Bump;
use event::{FieldArg, Kind, Value};

/// The value of process field `field`.
#[allow(clippy::too_many_lines)] // a table
pub(super) fn extract<'a>(
    ctx: &'a Context<'a>,
    field: Builtin,
    arg: Option<&FieldArg>,
    arena: &'a Bump,
) -> Option<Value<'a>> {
    use Builtin as B;
    match field {
        B::ThreadTid => return Some(Value::Int(ctx.event.tid)),
        B::ThreadExectime => return Some(Value::Uint(0)), // nothing accounts time slices any more
        _ => {}
    }
    let thread = ctx.thread?;
    let state = ctx.state;
    let parent = || lineage::parent(state, thread);
    let text = |bytes: &'a [u8]| Some(Value::Str(valid(bytes, arena)));
    let made = |bytes: &'a [u8]| Some(Value::Str(bytes));
    let int = |value: i64| Some(Value::Int(value));
    let uint = |value: u64| Some(Value::Uint(value));
    let known = |value: u64| (value != 0).then_some(Value::Uint(value));
    let flag = |value: bool| Some(Value::Bool(value));
    let leader = |of: Leader| lineage::leader(state, thread, of);
    let leader_name = |of| text(leader(of).map_or(b"", |t| &t.comm));
    let leader_exe = |of| text(leader(of).map_or(b"", |t| &t.exe));
    let leader_exepath = |of| text(leader(of).map_or(b"", |t| &t.exepath));
    let own_kb = |kb: u32| if thread.is_main() { u64::from(kb) } else { 0 };
    match field {
        B::ProcExe => text(&thread.exe),
        B::ProcPexe => text(&parent()?.exe),
        B::ProcExepath => text(&thread.exepath),
        B::ProcPexepath => text(&parent()?.exepath),
        B::ProcName => text(&thread.comm),
        B::ProcPname => text(&parent()?.comm),
        B::ProcArgs => text(args(thread, arg)),
        B::ProcCmdline => text(&thread.cmdline),
        B::ProcPcmdline => text(&parent()?.cmdline),
        B::ProcAexe | B::ProcAexepath | B::ProcAname | B::ProcAargs | B::ProcAcmdline | B::ProcApid | B::ProcAenv => {
            lineage::extract(ctx, thread, field, arg, arena)
        }
        B::ProcCmdnargs => uint(thread.args().count() as u64),
        B::ProcCmdlenargs => uint(thread.args().map(<[u8]>::len).sum::<usize>() as u64),
        B::ProcExeline => made(exe_line(thread, arena)),
        B::ProcEnv => made(environment(state, thread, arg, arena)),
        B::ProcCwd => text(state.cwd_of(thread)),
        B::ProcLoginshellid => lineage::login_shell(state, thread).map(Value::Int),
        B::ProcTty => uint(thread.tty.into()),
        B::ProcPid => (-1..=i64::from(u32::MAX)).contains(&thread.pid).then_some(Value::Int(thread.pid)),
        B::ProcPpid => int(parent()?.pid),
        B::ProcVpid => (thread.vpid != -1).then_some(Value::Int(thread.vpid)),
        B::ProcPvpid => int(state.parent(thread)?.vpid),
        B::ProcSid => int(thread.sid),
        B::ProcSname => leader_name(Leader::Session),
        B::ProcSidExe => leader_exe(Leader::Session),
        B::ProcSidExepath => leader_exepath(Leader::Session),
        B::ProcVpgid => int(thread.vpgid),
        B::ProcVpgidName => leader_name(Leader::VirtualGroup),
        B::ProcVpgidExe => leader_exe(Leader::VirtualGroup),
        B::ProcVpgidExepath => leader_exepath(Leader::VirtualGroup),
        B::ProcPgid => int(thread.pgid),
        B::ProcPgidName => leader_name(Leader::Group),
        B::ProcPgidExe => leader_exe(Leader::Group),
        B::ProcPgidExepath => leader_exepath(Leader::Group),
        B::ProcDuration => since(ctx, thread.clone_ts),
        B::ProcPpidDuration => since(ctx, parent()?.clone_ts),
        B::ProcPidTs => known(thread.clone_ts),
        B::ProcPpidTs => uint(parent()?.clone_ts),
        B::ProcIsExeWritable => flag(thread.exe_writable),
        B::ProcIsExeUpperLayer => flag(thread.exe_upper_layer),
        B::ProcIsExeLowerLayer => flag(thread.exe_lower_layer),
        B::ProcIsExeFromMemfd => flag(thread.exe_from_memfd),
        B::ProcIsSidLeader => flag(thread.sid == thread.vpid),
        B::ProcIsVpgidLeader => flag(thread.vpgid == thread.vpid),
        B::ProcIsPgidLeader => flag(thread.pgid == thread.pid),
        B::ProcExeIno => (thread.exe_ino != 0).then(|| Value::Int(thread.exe_ino.cast_signed())),
        B::ProcExeInoCtime => known(thread.exe_ino_ctime),
        B::ProcExeInoMtime => known(thread.exe_ino_mtime),
        B::ProcExeInoCtimeDurationProcStart => known(thread.exe_ino_ctime_duration_clone_ts),
        B::ProcExeInoCtimeDurationPidnsStart => known(thread.exe_ino_ctime_duration_pidns_start),
        B::ProcPidnsInitStartTs => known(thread.pidns_init_start_ts),
        B::ThreadCapPermitted => made(capabilities(thread.cap_permitted, arena)),
        B::ThreadCapInheritable => made(capabilities(thread.cap_inheritable, arena)),
        B::ThreadCapEffective => made(capabilities(thread.cap_effective, arena)),
        B::ProcFdopencount => uint(open_count(state, thread)),
        B::ProcFdlimit => int(fd_limit(state, thread)),
        B::ProcFdusage => Some(Value::Double(fd_usage(state, thread))),
        B::ProcVmsize => uint(thread.vmsize_kb.into()),
        B::ProcVmrss => uint(thread.vmrss_kb.into()),
        B::ProcVmswap => uint(thread.vmswap_kb.into()),
        B::ThreadPfmajor => uint(thread.pfmajor),
        B::ThreadPfminor => uint(thread.pfminor),
        B::ThreadIsmain => flag(thread.is_main()),
        B::ThreadVtid => (thread.vtid != -1).then_some(Value::Int(thread.vtid)),
        B::ThreadNametid => made(name_and_tid(thread, arena)),
        B::ThreadTotexectime => uint(0),
        B::ThreadCgroups => made(cgroups(thread, arena)?),
        B::ThreadCgroup => text(cgroup(thread, arg?)?),
        B::ProcNthreads => uint(alive(state, thread)),
        B::ProcNchilds => uint(alive(state, thread).saturating_sub(1)),
        B::ThreadCpu | B::ThreadCpuUser | B::ThreadCpuSystem => {
            (ctx.event.kind == Kind::PROCINFO_E).then_some(Value::Double(0.0)) // accounted by no event any more
        }
        B::ThreadVmsize => uint(own_kb(thread.vmsize_kb)),
        B::ThreadVmrss => uint(own_kb(thread.vmrss_kb)),
        B::ThreadVmsizeB => uint(own_kb(thread.vmsize_kb) * BYTES_PER_KB),
        B::ThreadVmrssB => uint(own_kb(thread.vmrss_kb) * BYTES_PER_KB),
        B::ProcStdinType => fd::standard(ctx, 0, false, arena),
        B::ProcStdoutType => fd::standard(ctx, 1, false, arena),
        B::ProcStderrType => fd::standard(ctx, 2, false, arena),
        B::ProcStdinName => fd::standard(ctx, 0, true, arena),
        B::ProcStdoutName => fd::standard(ctx, 1, true, arena),
        B::ProcStderrName => fd::standard(ctx, 2, true, arena),
        _ => None,
    }
}

/// The environment of `thread`'s process: one variable's value without surrounding blanks, empty if unset; or all
/// `NAME=value` items joined by blanks.
pub(super) fn environment<'a>(
    state: &'a State,
    thread: &'a Thread,
    arg: Option<&FieldArg>,
    arena: &'a Bump,
) -> &'a [u8] {
    let items = || crate::state::thread::items(state.env_of(thread));
    match arg {
        Some(FieldArg::Key(name)) => valid(variable(items(), name.as_bytes()).unwrap_or_default(), arena),
        Some(FieldArg::Index(_)) | None => join(arena, items(), b" "),
    }
}

fn variable<'a>(mut items: impl Iterator<Item = &'a [u8]>, name: &[u8]) -> Option<&'a [u8]> {
    items.find_map(|item| item.strip_prefix(name)?.strip_prefix(b"=")).map(<[u8]>::trim_ascii)
}

fn args<'a>(thread: &'a Thread, arg: Option<&FieldArg>) -> &'a [u8] {
    match arg {
        Some(FieldArg::Index(index)) => {
            usize::try_from(*index).ok().and_then(|index| thread.args().nth(index)).unwrap_or_default()
        }
        _ => thread.args_joined(),
    }
}

fn exe_line<'a>(thread: &Thread, arena: &'a Bump) -> &'a [u8] {
    let mut text = Text::new(arena);
    text.push_valid(&thread.exe);
    text.push(b" ");
    text.push_valid(thread.args_joined());
    text.finish()
}

fn name_and_tid<'a>(thread: &Thread, arena: &'a Bump) -> &'a [u8] {
    let mut text = Text::new(arena);
    text.push_valid(&thread.comm);
    text.put(format_args!("{}", thread.tid));
    text.finish()
}

fn since<'a>(ctx: &Context<'_>, start_ts: u64) -> Option<Value<'a>> {
    (start_ts != 0).then(|| Value::Uint(ctx.event.ts.saturating_sub(start_ts)))
}

fn capabilities(set: u64, arena: &Bump) -> &[u8] {
    let mut text = Text::new(arena);
    for name in names::capabilities(set) {
        text.separate(0, b" ");
        text.push(name.as_bytes());
    }
    text.finish()
}

fn cgroups<'a>(thread: &'a Thread, arena: &'a Bump) -> Option<&'a [u8]> {
    let joined = join(arena, crate::state::thread::items(&thread.cgroups), b" ");
    (!joined.is_empty()).then_some(joined)
}

fn cgroup<'a>(thread: &'a Thread, arg: &FieldArg) -> Option<&'a [u8]> {
    let FieldArg::Key(subsystem) = arg else { return None };
    thread.cgroups().find(|(name, _)| *name == subsystem.as_bytes()).map(|(_, path)| path)
}

fn open_count(state: &State, thread: &Thread) -> u64 {
    state.main_thread(thread).and_then(|main| state.fds_of(main)).map_or(0, |fds| fds.len() as u64)
}

fn fd_limit(state: &State, thread: &Thread) -> i64 {
    state.main_thread(thread).map_or(0, |main| main.fdlimit)
}

/// Open descriptors in percent of the limit; 0 without a limit.
#[allow(clippy::cast_precision_loss)] // both are small numbers
fn fd_usage(state: &State, thread: &Thread) -> f64 {
    match fd_limit(state, thread) {
        limit if limit > 0 => open_count(state, thread) as f64 * 100.0 / limit as f64,
        _ => 0.0,
    }
}

fn alive(state: &State, thread: &Thread) -> u64 {
    state.group_of(thread).map_or(0, |group| group.alive.into())
}

const BYTES_PER_KB: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_by_their_whole_name() {
        let items = || [&b"PATHS=x"[..], b"PATH= /bin ", b"EMPTY=", b"noise"].into_iter();
        assert_eq!(variable(items(), b"PATH"), Some(&b"/bin"[..]));
        assert_eq!(variable(items(), b"EMPTY"), Some(&b""[..]));
        assert_eq!(variable(items(), b"PAT"), None);
        assert_eq!(variable(items(), b"noise"), None);
    }
}
