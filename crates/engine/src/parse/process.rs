//! What a process changes about itself: directories, ids, capabilities, limits, name, session. In: successful exit
//! events. Out: the fields of its row. The result of a failed call changes nothing.

use super::{Step, success, thread};
use crate::state::{State, Thread, ThreadFlags, path};
use event::Event;

pub(super) fn chdir_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    if let (Some(_), Some(tid), Some(dir)) = (success(event), step.tid, event.text(1)) {
        state.set_cwd(tid, dir);
    }
}

pub(super) fn fchdir_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(_), Some(tid), Some(fd)) = (success(event), step.tid, step.fd) else { return };
    let name = state.thread(tid).and_then(|t| state.fd(t, fd)).map(|entry| entry.name.clone());
    if let Some(name) = name {
        state.set_cwd(tid, &name);
    }
}

pub(super) fn chroot_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(_), Some(tid), Some(dir)) = (success(event), step.tid, event.text(1)) else { return };
    let Some(root) = state.thread(tid).map(|t| state.resolve(t, path::AT_FDCWD, dir)) else { return };
    let root = state.text(&root, usize::MAX);
    if let Some(thread) = state.thread_mut(tid) {
        thread.root = root;
    }
}

pub(super) fn setsid_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    if let (Some(sid), Some(thread)) = (success(event), thread(state, step)) {
        thread.sid = sid;
    }
}

/// setuid: the id is parameter 1, and for a privileged caller it is every user id from then on.
pub(super) fn setuid_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    set_uid(state, event, step, 1, &[1]);
}

/// setreuid: the effective id is parameter 2; a new real id makes the saved one follow the effective one.
pub(super) fn setreuid_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    set_uid(state, event, step, 2, &[1, 2]);
}

/// setresuid: real, effective and saved id are parameters 1 to 3.
pub(super) fn setresuid_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    set_uid(state, event, step, 2, &[1, 2, 3]);
}

/// Sets the effective id. When the parameters `all` show that no user id is 0 any more, nothing is permitted either.
fn set_uid(state: &mut State, event: &Event<'_>, step: &Step<'_>, at: usize, all: &[usize]) {
    let (Some(_), Some(uid), Some(thread)) = (success(event), set_to(event, at), thread(state, step)) else { return };
    let drops_all = all.iter().all(|at| set_to(event, *at).is_some_and(|id| id != 0));
    let old = std::mem::replace(&mut thread.uid, uid);
    follow_uid(thread, old, drops_all);
}

/// An id parameter; -1 leaves the id as it is.
fn set_to(event: &Event<'_>, at: usize) -> Option<u32> {
    event.u32(at).filter(|id| *id != u32::MAX)
}

/// What a change of user ids does to capabilities (capabilities(7)): without root nothing is effective, and once no id
/// is root's nothing is permitted unless the thread asked to keep it.
fn follow_uid(thread: &mut Thread, old: u32, drops_all: bool) {
    match (old, thread.uid) {
        (0, 0) => {}
        (0, _) => {
            thread.cap_effective = 0;
            if drops_all && !thread.keeps_caps {
                thread.cap_permitted = 0;
            }
        }
        (_, 0) => thread.cap_effective = thread.cap_permitted,
        _ => {}
    }
}

/// setgid: the id is parameter 1.
pub(super) fn setgid_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    set_gid(state, event, step, 1);
}

/// setregid, setresgid: the effective id is parameter 2.
pub(super) fn setegid_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    set_gid(state, event, step, 2);
}

fn set_gid(state: &mut State, event: &Event<'_>, step: &Step<'_>, at: usize) {
    if let (Some(_), Some(gid), Some(thread)) = (success(event), set_to(event, at), thread(state, step)) {
        thread.gid = gid;
    }
}

pub(super) fn capset_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(_), Some(thread)) = (success(event), thread(state, step)) else { return };
    thread.cap_inheritable = event.u64(1).unwrap_or(thread.cap_inheritable);
    thread.cap_permitted = event.u64(2).unwrap_or(thread.cap_permitted);
    thread.cap_effective = event.u64(3).unwrap_or(thread.cap_effective);
}

pub(super) fn unshare_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    enter_user_namespace(state, event, step, 1);
}

pub(super) fn setns_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    enter_user_namespace(state, event, step, 2);
}

/// In a user namespace of its own a process holds every capability.
fn enter_user_namespace(state: &mut State, event: &Event<'_>, step: &Step<'_>, flags: usize) {
    let enters = ThreadFlags(event.u32(flags).unwrap_or(0)).has(ThreadFlags::CLONE_NEWUSER);
    if let (Some(_), true, Some(thread)) = (success(event), enters, thread(state, step)) {
        thread.cap_inheritable = ALL_CAPABILITIES;
        thread.cap_permitted = ALL_CAPABILITIES;
        thread.cap_effective = ALL_CAPABILITIES;
    }
}

/// Bits 0 to 40, CAP_CHECKPOINT_RESTORE being the last (linux/capability.h, Linux 5.9).
const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

/// getrlimit, setrlimit: soft limit in parameter 1, resource in parameter 3.
pub(super) fn rlimit_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(_), Some(RLIMIT_NOFILE), Some(tid)) = (success(event), event.u64(3), step.tid) else { return };
    set_fdlimit(state, tid, event.i64(1));
}

pub(super) fn prlimit_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(_), Some(RLIMIT_NOFILE), Some(tid)) = (success(event), event.u64(6), step.tid) else { return };
    let target = event.i64(5).filter(|pid| *pid > 0).unwrap_or(tid);
    let limit = event.i64(1).filter(|new| *new != -1).or_else(|| event.i64(3));
    set_fdlimit(state, target, limit);
}

fn set_fdlimit(state: &mut State, tid: i64, limit: Option<i64>) {
    if let (Some(limit), Some(main)) = (limit.filter(|l| *l != -1), state.main_mut(tid)) {
        main.fdlimit = limit;
    }
}

/// Number of the resource in `rlimit_resources`.
const RLIMIT_NOFILE: u64 = 7;

pub(super) fn prctl_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(_), Some(tid)) = (success(event), step.tid) else { return };
    match event.u32(1) {
        Some(PR_SET_NAME) => set_name(state, event, tid),
        Some(PR_SET_KEEPCAPS) => {
            if let Some(thread) = state.thread_mut(tid) {
                thread.keeps_caps = event.i64(3).unwrap_or(0) != 0;
            }
        }
        Some(PR_SET_CHILD_SUBREAPER) => state.set_reaper(tid, event.i64(3).unwrap_or(0) != 0),
        _ => {}
    }
}

/// Numbers of `prctl_options`.
const PR_SET_KEEPCAPS: u32 = 8;
const PR_SET_NAME: u32 = 15;
const PR_SET_CHILD_SUBREAPER: u32 = 36;

fn set_name(state: &mut State, event: &Event<'_>, tid: i64) {
    let Some(name) = event.text(2).map(|name| state.text(name, usize::MAX)) else { return };
    if let Some(thread) = state.thread_mut(tid) {
        thread.comm = name;
    }
}

/// brk, mmap, munmap: what the process's memory amounts to afterwards, in parameters 1 to 3.
pub(super) fn memory_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    set_memory(state, event, step, 1);
}

/// A thread leaves the CPU and reports what it used so far.
pub(super) fn switch(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let Some(thread) = thread(state, step) else { return };
    thread.pfmajor = event.u64(1).unwrap_or(thread.pfmajor);
    thread.pfminor = event.u64(2).unwrap_or(thread.pfminor);
    set_memory(state, event, step, 3);
}

/// Memory belongs to the process; the thread that reports remembers it too.
fn set_memory(state: &mut State, event: &Event<'_>, step: &Step<'_>, first: usize) {
    let Some(tid) = step.tid else { return };
    let set = |thread: &mut Thread| {
        thread.vmsize_kb = event.u32(first).unwrap_or(thread.vmsize_kb);
        thread.vmrss_kb = event.u32(first + 1).unwrap_or(thread.vmrss_kb);
        thread.vmswap_kb = event.u32(first + 2).unwrap_or(thread.vmswap_kb);
    };
    state.thread_mut(tid).map(set);
    if let Some(main) = state.main_tid(tid).filter(|main| *main != tid) {
        state.thread_mut(main).map(set);
    }
}
