//! execve and execveat: a process becomes another program. In: the exit event. Out: the renewed row, the other threads
//! of the process and the close-on-exec descriptors gone. A failed call changes nothing.

use super::{Step, success, with_enter};
use crate::state::{State, Thread, ThreadFlags, path};
use event::{Event, Kind};

pub(super) fn execve_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    if success(event).is_none() {
        return;
    }
    let Some(tid) = step.tid else { return };
    state.revive(tid);
    let exepath = exe_path(state, event, step);
    let Some(mut thread) = state.take_thread(tid) else { return };
    let was_unknown = thread.is_invalid();
    let moves = event.i64(param::PID).is_some_and(|pid| pid != thread.pid);
    if was_unknown {
        repair(event, &mut thread);
    } else if moves {
        state.leave_group(&thread);
    }
    take_command(state, event, &mut thread);
    take_numbers(event, &mut thread);
    thread.exepath = state.text(&exepath, usize::MAX);
    state.put_thread(thread);
    if was_unknown || moves {
        state.link(tid);
    }
    take_environment(state, event, step, tid);
    finish(state, event, step, tid);
}

/// Parameters of execve and execveat.
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
    pub const ENV: usize = 15;
    pub const TTY: usize = 16;
    pub const VPGID: usize = 17;
    pub const LOGINUID: usize = 18;
    pub const FLAGS: usize = 19;
    pub const CAP_INHERITABLE: usize = 20;
    pub const CAP_PERMITTED: usize = 21;
    pub const CAP_EFFECTIVE: usize = 22;
    pub const EXE_INO: usize = 23;
    pub const EXE_INO_CTIME: usize = 24;
    pub const EXE_INO_MTIME: usize = 25;
    pub const UID: usize = 26;
    pub const TRUSTED_EXEPATH: usize = 27;
    pub const PGID: usize = 28;
    pub const GID: usize = 29;
    /// execve only.
    pub const FILENAME: usize = 30;
}

/// Bits of `execve_flags`.
const EXE_WRITABLE: u32 = 1;
const EXE_UPPER_LAYER: u32 = 1 << 1;
const EXE_FROM_MEMFD: u32 = 1 << 2;
const EXE_LOWER_LAYER: u32 = 1 << 3;

/// The sensor captures at most this much environment; exactly as much means that there may be more.
const CAPTURED_ENV_BYTES: usize = 4096;

/// What a path parameter contains when it could not be read.
const UNKNOWN_PATH: &[u8] = b"<NA>";

fn repair(event: &Event<'_>, thread: &mut Thread) {
    thread.pid = event.i64(param::PID).unwrap_or(thread.tid);
    thread.ptid = event.i64(param::PTID).unwrap_or(-1);
    thread.vtid = thread.tid;
    thread.vpid = thread.pid;
    let main = thread.pid == thread.tid;
    thread.flags.set(ThreadFlags::IS_MAIN_THREAD, main);
    thread.flags.set(ThreadFlags::CLONE_FILES, !main);
}

fn take_command(state: &mut State, event: &Event<'_>, thread: &mut Thread) {
    let exe = event.text(param::EXE).unwrap_or_default();
    thread.exe = state.text(exe, usize::MAX);
    state.set_command(thread, event.text(param::COMM).unwrap_or(exe), event.param(param::ARGS).unwrap_or_default());
    if let Some(cgroups) = event.param(param::CGROUPS).filter(|c| !c.is_empty()) {
        state.set_cgroups(thread, cgroups);
    }
}

fn take_numbers(event: &Event<'_>, thread: &mut Thread) {
    thread.pid = event.i64(param::PID).unwrap_or(thread.pid);
    thread.fdlimit = event.i64(param::FDLIMIT).unwrap_or(thread.fdlimit);
    thread.pfmajor = event.u64(param::PGFT_MAJ).unwrap_or(0);
    thread.pfminor = event.u64(param::PGFT_MIN).unwrap_or(0);
    thread.vmsize_kb = event.u32(param::VM_SIZE).unwrap_or(0);
    thread.vmrss_kb = event.u32(param::VM_RSS).unwrap_or(0);
    thread.vmswap_kb = event.u32(param::VM_SWAP).unwrap_or(0);
    thread.tty = event.u32(param::TTY).unwrap_or(0);
    thread.vpgid = event.i64(param::VPGID).unwrap_or(thread.vpgid);
    thread.loginuid = event.u32(param::LOGINUID).unwrap_or(u32::MAX);
    thread.uid = event.u32(param::UID).unwrap_or(thread.uid);
    thread.pgid = event.i64(param::PGID).unwrap_or(-1);
    thread.gid = event.u32(param::GID).unwrap_or(thread.gid);
    thread.cap_inheritable = event.u64(param::CAP_INHERITABLE).unwrap_or(0);
    thread.cap_permitted = event.u64(param::CAP_PERMITTED).unwrap_or(0);
    thread.cap_effective = event.u64(param::CAP_EFFECTIVE).unwrap_or(0);
    thread.keeps_caps = false;
    take_file(event, thread);
}

fn take_file(event: &Event<'_>, thread: &mut Thread) {
    let flags = event.u32(param::FLAGS).unwrap_or(0);
    thread.exe_writable = flags & EXE_WRITABLE != 0;
    thread.exe_upper_layer = flags & EXE_UPPER_LAYER != 0;
    thread.exe_from_memfd = flags & EXE_FROM_MEMFD != 0;
    thread.exe_lower_layer = flags & EXE_LOWER_LAYER != 0;
    thread.exe_ino = event.u64(param::EXE_INO).unwrap_or(0);
    thread.exe_ino_ctime = event.u64(param::EXE_INO_CTIME).unwrap_or(0);
    thread.exe_ino_mtime = event.u64(param::EXE_INO_MTIME).unwrap_or(0);
    thread.measure_exe_age();
}

fn take_environment(state: &mut State, event: &Event<'_>, step: &mut Step<'_>, tid: i64) {
    let Some(captured) = event.param(param::ENV) else { return };
    let whole = match (&mut step.source, captured.len() >= CAPTURED_ENV_BYTES && state.limits.large_env) {
        (Some(source), true) => source.environment(tid),
        _ => None,
    };
    let env = state.text(whole.as_deref().unwrap_or(captured), state.limits.env_bytes);
    if let Some(thread) = state.thread_mut(tid) {
        thread.env = env;
    }
}

fn finish(state: &mut State, event: &Event<'_>, step: &mut Step<'_>, tid: i64) {
    state.remove_fds(tid, |_, entry| entry.closes_on_exec());
    let Some(thread) = state.thread_mut(tid) else { return };
    let kept = ThreadFlags::PIPE_SRC.0
        | ThreadFlags::PIPE_DST.0
        | ThreadFlags::IS_MAIN_THREAD.0
        | ThreadFlags::CLONE_INVERTED.0;
    thread.flags = ThreadFlags(thread.flags.0 & kept | ThreadFlags::ACTIVE.0 | ThreadFlags::NAME_CHANGED.0);
    thread.lastexec_ts = event.ts;
    let pid = thread.pid;
    state.remove_siblings(pid, tid);
    step.meet_container(state, tid);
}

/// The executable's path: what the kernel says, else what the arguments let conclude, which old captures keep in the
/// enter event. Empty when nobody can tell, `<NA>` when somebody tried.
fn exe_path(state: &State, event: &Event<'_>, step: &Step<'_>) -> Vec<u8> {
    if let Some(trusted) = event.text(param::TRUSTED_EXEPATH) {
        return trusted.to_vec();
    }
    if let Some(name) = event.text(param::FILENAME) {
        let path = step.tid.and_then(|tid| absolute(state, state.thread(tid)?, name));
        return path.unwrap_or_else(|| UNKNOWN_PATH.to_vec());
    }
    if !step.enter {
        return Vec::new();
    }
    with_enter(state, step, |enter| {
        let thread = state.thread(enter.tid)?;
        match enter.kind {
            Kind::SYSCALL_EXECVE_18_E | Kind::SYSCALL_EXECVE_19_E => absolute(state, thread, enter.text(0)?),
            Kind::SYSCALL_EXECVEAT_E => path_at(state, thread, enter),
            _ => None,
        }
    })
    .unwrap_or_else(|| UNKNOWN_PATH.to_vec())
}

fn absolute(state: &State, thread: &Thread, name: &[u8]) -> Option<Vec<u8>> {
    (name != UNKNOWN_PATH).then(|| path::join(state.cwd_of(thread), name))
}

fn path_at(state: &State, thread: &Thread, enter: &Event<'_>) -> Option<Vec<u8>> {
    let dirfd = enter.i64(0)?;
    let name = enter.text(1).unwrap_or_default();
    if name == UNKNOWN_PATH {
        return None;
    }
    if name.is_empty() && enter.u32(2)? & AT_EMPTY_PATH != 0 {
        return state.fd(thread, dirfd).map(|entry| entry.name.to_vec());
    }
    if dirfd != path::AT_FDCWD && name.first() != Some(&b'/') {
        state.fd(thread, dirfd)?;
    }
    Some(state.resolve(thread, dirfd, name))
}

/// Bit of `execveat_flags`.
const AT_EMPTY_PATH: u32 = 1;
