//! clone, clone3, fork, vfork: new threads and processes. In: the exit event in the caller (result = child) or in the
//! child (result 0); both report and either may come first or alone. Out: one row for the child with what it inherits.
//! A child that is already known from its own event is never overwritten by its caller's.

use super::{Step, success};
use crate::state::{State, Thread, ThreadFlags};
use event::Event;

pub(super) fn clone_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    match success(event) {
        Some(0) => child_side(state, event, step),
        Some(child) => caller_side(state, event, step, child),
        None => {}
    }
}

/// Parameters of the clone family.
mod param {
    pub const EXE: usize = 1;
    pub const ARGS: usize = 2;
    pub const PID: usize = 4;
    pub const PTID: usize = 5;
    pub const FDLIMIT: usize = 7;
    pub const PGFT_MAJ: usize = 8;
    pub const PGFT_MIN: usize = 9;
    pub const VM_SIZE: usize = 10;
    pub const VM_RSS: usize = 11;
    pub const VM_SWAP: usize = 12;
    pub const COMM: usize = 13;
    pub const CGROUPS: usize = 14;
    pub const FLAGS: usize = 15;
    pub const UID: usize = 16;
    pub const GID: usize = 17;
    pub const VTID: usize = 18;
    pub const VPID: usize = 19;
    pub const PIDNS_INIT_START_TS: usize = 20;
}

/// A row younger than this belongs to the thread of the event; an older one is a leftover of an earlier thread.
const SAME_THREAD_NS: u64 = 2_000_000_000;

fn caller_side(state: &mut State, event: &Event<'_>, step: &mut Step<'_>, child_tid: i64) {
    let caller_tid = event.tid;
    let caller_was_unknown = state.find_or_invent(caller_tid, step).is_none_or(Thread::is_invalid);
    if caller_was_unknown {
        repair_caller(state, event, caller_tid);
    }
    step.tid = state.thread(caller_tid).map(|t| t.tid);
    if leaves_child_to_itself(event, caller_tid) {
        announce(state, event, step, child_tid);
        return;
    }
    let Some(caller_pid) = state.thread(caller_tid).map(|t| t.pid) else { return };
    if step.recent.is_child(child_tid, (caller_tid, caller_pid), event.ts) {
        return;
    }
    if state.thread(child_tid).is_some_and(|t| t.flags.has(ThreadFlags::CLONE_INVERTED)) {
        return;
    }
    let Some(caller) = state.copy_of(caller_tid) else { return };
    let mut child = inherit(state, &caller, child_tid, flags(event));
    child.vtid = child_tid;
    child.vpid = if is_thread(event) { caller.vpid } else { child_tid };
    take_own(state, event, &mut child);
    child.pidns_init_start_ts = caller.pidns_init_start_ts;
    if caller_was_unknown {
        lend_name(state, caller_tid, &child);
    }
    add_child(state, child, step);
}

/// Whether the caller's event says too little about the child, so that only the child's own event may create it.
fn leaves_child_to_itself(event: &Event<'_>, caller_tid: i64) -> bool {
    let unsure = ThreadFlags::CHILD_IN_PIDNS.0
        | ThreadFlags::CLONE_NEWPID.0
        | ThreadFlags::CLONE_PARENT.0
        | ThreadFlags::CLONE_VFORK.0;
    flags(event).has(ThreadFlags(unsure))
        || event.kind == event::Kind::SYSCALL_VFORK_20_X
        || event.i64(param::VTID).is_some_and(|vtid| vtid != caller_tid)
}

/// Keeps what a child will inherit, since its own event may come when its parent went on already. A vfork stops its
/// parent, and threads share what their process has.
fn announce(state: &mut State, event: &Event<'_>, step: &mut Step<'_>, child_tid: i64) {
    let flags = flags(event);
    if is_thread(event) || flags.has(ThreadFlags::CLONE_VFORK) || event.kind == event::Kind::SYSCALL_VFORK_20_X {
        return;
    }
    let Some(caller) = state.copy_of(event.tid).filter(|c| !c.is_invalid()) else { return };
    let sibling = flags.has(ThreadFlags::CLONE_PARENT);
    let parent = if sibling { state.thread(caller.ptid).map_or(caller.ptid, |p| p.pid) } else { caller.pid };
    let inherited = inherit(state, &caller, child_tid, flags);
    step.births.announce(parent, child_tid, event.ts, inherited);
}

fn child_side(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let tid = event.tid;
    let fresh = |t: &Thread| !t.is_invalid() && event.ts.saturating_sub(t.clone_ts) < SAME_THREAD_NS && t.clone_ts != 0;
    if step.recent.is_late(tid, event.ts) {
        return;
    }
    if state.thread(tid).is_some_and(fresh) {
        step.tid = Some(tid);
        return;
    }
    if state.thread(tid).is_some() {
        state.remove_thread_now(tid);
    }
    let origin_param = if is_thread(event) { param::PID } else { param::PTID };
    let Some(origin) = event.i64(origin_param).filter(|t| *t >= 0) else { return };
    state.find_or_invent(origin, step);
    let Some(origin) = state.copy_of(origin) else { return };
    let ids = (tid, event.i64(param::VTID).unwrap_or(-1));
    let announced = step.births.take(origin.pid, ids, event.ts).filter(|_| !is_thread(event));
    let mut child = announced.map_or_else(|| inherit(state, &origin, tid, flags(event)), |child| *child);
    child.tid = tid;
    child.pid = event.i64(param::PID).unwrap_or(child.pid);
    child.ptid = event.i64(param::PTID).unwrap_or(child.ptid);
    child.flags.set(ThreadFlags::CLONE_INVERTED, true);
    child.vtid = event.i64(param::VTID).unwrap_or(-1);
    child.vpid = event.i64(param::VPID).unwrap_or(-1);
    take_own(state, event, &mut child);
    child.pidns_init_start_ts = pidns_start(state, event, &child, origin.pidns_init_start_ts);
    add_child(state, child, step);
    step.tid = state.thread(tid).map(|t| t.tid);
}

/// Inside a pid namespace the event tells when it began; on the host it is what the origin has.
fn pidns_start(state: &State, event: &Event<'_>, child: &Thread, inherited: u64) -> u64 {
    if child.tid == child.vtid {
        return inherited;
    }
    event.u64(param::PIDNS_INIT_START_TS).map_or(0, |since_boot| since_boot.saturating_add(state.machine.boot_ts))
}

fn add_child(state: &mut State, mut child: Thread, step: &mut Step<'_>) {
    child.measure_exe_age();
    let tid = child.tid;
    if state.add_thread(child) {
        step.meet_container(state, tid);
    }
}

fn flags(event: &Event<'_>) -> ThreadFlags {
    ThreadFlags(event.u32(param::FLAGS).unwrap_or(0))
}

fn is_thread(event: &Event<'_>) -> bool {
    flags(event).has(ThreadFlags::CLONE_THREAD)
}

/// A new row with what a child has from `origin`: its process for a thread, its parent for a process.
fn inherit(state: &State, origin: &Thread, tid: i64, flags: ThreadFlags) -> Thread {
    let mut child = Thread {
        exepath: origin.exepath.clone(),
        root: origin.root.clone(),
        sid: origin.sid,
        vpgid: origin.vpgid,
        pgid: origin.pgid,
        tty: origin.tty,
        loginuid: origin.loginuid,
        cap_permitted: origin.cap_permitted,
        cap_effective: origin.cap_effective,
        cap_inheritable: origin.cap_inheritable,
        keeps_caps: origin.keeps_caps,
        exe_ino: origin.exe_ino,
        exe_ino_ctime: origin.exe_ino_ctime,
        exe_ino_mtime: origin.exe_ino_mtime,
        exe_writable: origin.exe_writable,
        exe_upper_layer: origin.exe_upper_layer,
        exe_lower_layer: origin.exe_lower_layer,
        exe_from_memfd: origin.exe_from_memfd,
        comm: origin.comm.clone(),
        args: origin.args.clone(),
        cmdline: origin.cmdline.clone(),
        cmdline_comm_len: origin.cmdline_comm_len,
        cgroups: origin.cgroups.clone(),
        container_id: origin.container_id.clone(),
        flags,
        ..Thread::new(tid)
    };
    child.flags.set(ThreadFlags::ACTIVE, true);
    if flags.has(ThreadFlags::CLONE_THREAD) {
        inherit_as_thread(&mut child, origin);
    } else {
        inherit_as_process(state, &mut child, origin);
    }
    child
}

fn inherit_as_thread(child: &mut Thread, origin: &Thread) {
    child.pid = origin.pid;
    child.ptid = origin.ptid;
    child.lastexec_ts = origin.lastexec_ts;
    child.flags.set(ThreadFlags::CLONE_FILES, true);
}

fn inherit_as_process(state: &State, child: &mut Thread, origin: &Thread) {
    child.pid = child.tid;
    child.ptid = origin.tid;
    State::mark_main(child);
    child.fds = state.fds_of(origin).cloned().unwrap_or_default();
    child.cwd = state.main_thread(origin).map(|main| main.cwd.clone()).unwrap_or_default();
    child.env = state.main_thread(origin).map(|main| main.env.clone()).unwrap_or_default();
}

/// What the event itself says about the child.
fn take_own(state: &mut State, event: &Event<'_>, child: &mut Thread) {
    let exe = event.text(param::EXE).unwrap_or_default();
    let comm = event.text(param::COMM).unwrap_or(exe);
    child.exe = state.text(exe, usize::MAX);
    state.set_command(child, comm, event.param(param::ARGS).unwrap_or_default());
    if let Some(cgroups) = event.param(param::CGROUPS).filter(|c| !c.is_empty()) {
        state.set_cgroups(child, cgroups);
    }
    child.fdlimit = event.i64(param::FDLIMIT).unwrap_or(-1);
    child.pfmajor = event.u64(param::PGFT_MAJ).unwrap_or(0);
    child.pfminor = event.u64(param::PGFT_MIN).unwrap_or(0);
    child.vmsize_kb = event.u32(param::VM_SIZE).unwrap_or(0);
    child.vmrss_kb = event.u32(param::VM_RSS).unwrap_or(0);
    child.vmswap_kb = event.u32(param::VM_SWAP).unwrap_or(0);
    child.uid = event.u32(param::UID).unwrap_or(u32::MAX);
    child.gid = event.u32(param::GID).unwrap_or(u32::MAX);
    child.clone_ts = event.ts;
    child.lastaccess_ts = event.ts;
}

/// A placeholder that turns out to be the caller of this event learns its ids.
fn repair_caller(state: &mut State, event: &Event<'_>, tid: i64) {
    let Some(caller) = state.thread_mut(tid) else { return };
    caller.pid = event.i64(param::PID).unwrap_or(caller.pid);
    caller.ptid = event.i64(param::PTID).unwrap_or(caller.ptid);
    caller.vtid = event.i64(param::VTID).unwrap_or(caller.vtid);
    caller.vpid = event.i64(param::VPID).unwrap_or(caller.vpid);
    let main = caller.tid == caller.pid;
    caller.flags.set(ThreadFlags::IS_MAIN_THREAD, main);
    caller.flags.set(ThreadFlags::CLONE_FILES, !main);
    state.link(tid);
}

/// A repaired caller is called what its child is called: a fork does not change names.
fn lend_name(state: &mut State, tid: i64, child: &Thread) {
    let Some(caller) = state.thread_mut(tid) else { return };
    caller.exe = child.exe.clone();
    caller.comm = child.comm.clone();
    caller.args = child.args.clone();
    caller.cmdline = child.cmdline.clone();
    caller.cmdline_comm_len = child.cmdline_comm_len;
}
