//! Descriptors of everything but sockets: opening, duplicating, closing, and the calls that make special files. In:
//! exit events. Out: entries of the process's descriptor table. Names are joined by text alone, no file is looked at.

use super::{After, Step, fd, success};
use crate::state::fds::O_CLOEXEC;
use crate::state::seed::{FD_LOWER_LAYER, FD_UPPER_LAYER};
use crate::state::{FdEntry, FdFlags, State, Str, ThreadFlags, path};
use event::snapshot::FdType;
use event::{Event, Kind};

/// What an open call says, wherever the parameters come from.
#[derive(Clone, Copy)]
struct Opened<'a> {
    dirfd: i64,
    name: &'a [u8],
    flags: u32,
}

/// Bits from here on are the kernel's findings, not the caller's wishes; they always come from the exit event.
const EXIT_FLAG_BITS: u32 = !0 << 14;
const O_DIRECTORY: u32 = 1 << 10;

pub(super) fn open_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let exit = Layout { dirfd: None, name: 1, flags: 2, dev: 4, ino: 5 };
    opened(state, event, step, exit, Layout { dirfd: None, name: 0, flags: 1, ..exit });
}

pub(super) fn openat_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let exit = Layout { dirfd: Some(1), name: 2, flags: 3, dev: 5, ino: 6 };
    opened(state, event, step, exit, Layout { dirfd: Some(0), name: 1, flags: 2, ..exit });
}

pub(super) fn openat2_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let exit = Layout { dirfd: Some(1), name: 2, flags: 3, dev: 6, ino: 7 };
    opened(state, event, step, exit, Layout { dirfd: Some(0), name: 1, flags: 2, ..exit });
}

/// Where an event of the open family keeps its parameters; device and inode are the exit's alone.
#[derive(Clone, Copy)]
struct Layout {
    dirfd: Option<usize>,
    name: usize,
    flags: usize,
    dev: usize,
    ino: usize,
}

impl Layout {
    /// `None` when the event could not read the name.
    fn read<'a>(self, event: &Event<'a>) -> Option<Opened<'a>> {
        let dirfd = self.dirfd.map_or(Some(path::AT_FDCWD), |at| event.i64(at));
        let name = event.text(self.name).filter(|name| *name != b"<NA>")?;
        Some(Opened { dirfd: dirfd?, name, flags: event.u32(self.flags)? })
    }
}

fn opened(state: &mut State, event: &Event<'_>, step: &mut Step<'_>, exit: Layout, enter: Layout) {
    let Some(number) = success(event) else { return };
    let exit_flags = event.u32(exit.flags).unwrap_or(0);
    let seen_at_exit = Opened {
        dirfd: exit.dirfd.and_then(|at| event.i64(at)).unwrap_or(path::AT_FDCWD),
        name: event.text(exit.name).unwrap_or_default(),
        flags: exit_flags,
    };
    let stored = take_enter(state, step);
    let at_entry = Event::decode(&stored, 0).ok().and_then(|event| enter.read(&event));
    let at_entry = at_entry.map(|call| Opened { flags: call.flags | exit_flags & EXIT_FLAG_BITS, ..call });
    let call = at_entry.unwrap_or(seen_at_exit);
    if let Some(name) = resolved(state, step, call.dirfd, call.name) {
        let mut entry = file_entry(event, call.flags, (exit.dev, exit.ino));
        entry.name_raw = without_double_slashes(call.name, &name);
        entry.name = name;
        add(state, step, number, entry);
    }
    put_enter(state, step, stored);
}

/// The enter event that belongs to this exit, for reading while the state changes; empty = none.
fn take_enter(state: &mut State, step: &Step<'_>) -> Vec<u8> {
    let thread = step.tid.filter(|_| step.enter).and_then(|tid| state.thread_mut(tid));
    thread.map(|t| std::mem::take(&mut t.enter)).unwrap_or_default()
}

fn put_enter(state: &mut State, step: &Step<'_>, stored: Vec<u8>) {
    if let Some(thread) = step.tid.filter(|_| step.enter).and_then(|tid| state.thread_mut(tid)) {
        thread.enter = stored;
    }
}

pub(super) fn creat_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let Some(number) = success(event) else { return };
    let stored = take_enter(state, step);
    let at_entry = Event::decode(&stored, 0).ok().and_then(|enter| enter.text(0));
    let raw = at_entry.filter(|name| *name != b"<NA>").or(event.text(1)).unwrap_or_default();
    if let Some(name) = resolved(state, step, path::AT_FDCWD, raw) {
        let mut entry = file_entry(event, 0, (3, 4));
        let layers = event.u32(5).unwrap_or(0);
        entry.flags.set(FdFlags::OVERLAY_UPPER, layers & FD_UPPER_LAYER_CREAT != 0);
        entry.flags.set(FdFlags::OVERLAY_LOWER, layers & FD_LOWER_LAYER_CREAT != 0);
        entry.name_raw = without_double_slashes(raw, &name);
        entry.name = name;
        add(state, step, number, entry);
    }
    put_enter(state, step, stored);
}

/// Bits of `creat_flags`.
const FD_UPPER_LAYER_CREAT: u32 = 1;
const FD_LOWER_LAYER_CREAT: u32 = 2;

pub(super) fn open_by_handle_at_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(number), Some(name)) = (success(event), event.text(3)) else { return };
    let mut entry = file_entry(event, event.u32(2).unwrap_or(0), (4, 5));
    entry.name = state.joined(b"", name);
    entry.name_raw = without_double_slashes(name, &entry.name);
    add(state, step, number, entry);
}

fn file_entry(event: &Event<'_>, flags: u32, (dev, ino): (usize, usize)) -> FdEntry {
    let ty = if flags & O_DIRECTORY != 0 { FdType::Directory } else { FdType::FileV2 };
    let mut entry = FdEntry {
        open_flags: flags,
        dev: event.u32(dev).unwrap_or(0),
        ino: event.u64(ino).unwrap_or(0),
        ..FdEntry::new(ty)
    };
    entry.flags.set(FdFlags::OVERLAY_UPPER, flags & FD_UPPER_LAYER != 0);
    entry.flags.set(FdFlags::OVERLAY_LOWER, flags & FD_LOWER_LAYER != 0);
    entry
}

fn resolved(state: &mut State, step: &Step<'_>, dirfd: i64, name: &[u8]) -> Option<Str> {
    let mut buffer = std::mem::take(&mut state.scratch);
    let thread = state.thread(step.tid?)?;
    path::join_into(&mut buffer, &state.dir_of(thread, dirfd, name), name);
    let name = Str::from(buffer.as_slice());
    state.scratch = buffer;
    Some(name)
}

/// `raw` with runs of slashes collapsed; shares `name` when that is the same text.
fn without_double_slashes(raw: &[u8], name: &Str) -> Str {
    if raw == &**name {
        return name.clone();
    }
    if memchr::memmem::find(raw, b"//").is_none() {
        return Str::from(raw);
    }
    let mut out = raw.to_vec();
    out.dedup_by(|a, b| *a == b'/' && *b == b'/');
    Str::from(out)
}

/// The event is about a new descriptor.
pub(super) fn add(state: &mut State, step: &mut Step<'_>, number: i64, entry: FdEntry) {
    step.fd = Some(number);
    step.name_changed |= !entry.name.is_empty();
    if let Some(tid) = step.tid {
        state.add_fd(tid, number, entry);
    }
}

pub(super) fn close_exit(_: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    if let (Some(_), Some(tid), Some(fd)) = (success(event), step.tid, step.fd) {
        step.after = After::RemoveFd { tid, fd };
    }
}

pub(super) fn close_range_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(_), Some(tid)) = (success(event), step.tid) else { return };
    let (first, last) = (i64::from(event.u32(1).unwrap_or(0)), i64::from(event.u32(2).unwrap_or(0)));
    if event.u32(3).unwrap_or(0) & CLOSE_RANGE_CLOEXEC == 0 {
        state.remove_fds(tid, |fd, _| (first..=last).contains(&fd));
        return;
    }
    let range = |fd: &i64| (first..=last).contains(fd);
    let fds: Vec<i64> =
        state.fds_by_tid(tid).map(|t| t.iter().map(|(fd, _)| fd).filter(range).collect()).unwrap_or_default();
    for fd in fds {
        if let Some(entry) = state.fd_mut(tid, fd) {
            entry.set_closes_on_exec(true);
        }
    }
}

/// Bit of `close_range_flags`.
const CLOSE_RANGE_CLOEXEC: u32 = 4;

pub(super) fn dup_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let cloexec = event.kind == Kind::SYSCALL_DUP3_X && event.u32(3).unwrap_or(0) & O_CLOEXEC != 0;
    if let Some(old) = event.i64(1) {
        duplicate(state, event, step, old, cloexec);
    }
}

pub(super) fn fcntl_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let Some(old) = step.fd else { return };
    match event.u64(2) {
        Some(F_DUPFD) => duplicate(state, event, step, old, false),
        Some(F_DUPFD_CLOEXEC) => duplicate(state, event, step, old, true),
        Some(F_SETFD) if success(event).is_some() => {
            if let (Some(arg), Some(entry)) = (event.u64(3), fd(state, step)) {
                entry.set_closes_on_exec(arg & FD_CLOEXEC != 0);
            }
        }
        _ => {}
    }
}

/// Numbers of `fcntl_commands`.
const F_DUPFD: u64 = 1;
const F_SETFD: u64 = 3;
const F_DUPFD_CLOEXEC: u64 = 26;
/// The only descriptor flag that Linux knows (fcntl(2)).
const FD_CLOEXEC: u64 = 1;

fn duplicate(state: &mut State, event: &Event<'_>, step: &mut Step<'_>, old: i64, cloexec: bool) {
    let (Some(new), Some(tid)) = (success(event), step.tid) else { return };
    let Some(shared) = state.fds_by_tid(tid).and_then(|fds| fds.shared(old)).cloned() else { return };
    mark_pipe_end(state, tid, new);
    if shared.closes_on_exec() == cloexec {
        state.add_shared_fd(tid, new, shared);
    } else {
        let mut entry = (*shared).clone();
        entry.set_closes_on_exec(cloexec);
        state.add_fd(tid, new, entry);
    }
    step.fd = Some(new);
}

/// Something was put on standard input or output.
fn mark_pipe_end(state: &mut State, tid: i64, new: i64) {
    let Some(thread) = state.thread_mut(tid) else { return };
    match new {
        0 => thread.flags.set(ThreadFlags::PIPE_DST, true),
        1 => thread.flags.set(ThreadFlags::PIPE_SRC, true),
        _ => {}
    }
}

pub(super) fn pipe_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(_), Some(one), Some(two)) = (success(event), event.i64(1), event.i64(2)) else { return };
    let flags = event.u32(4).unwrap_or(0);
    let entry = FdEntry { ino: event.u64(3).unwrap_or(0), open_flags: flags, ..FdEntry::new(FdType::Fifo) };
    add(state, step, one, entry.clone());
    add(state, step, two, entry);
}

/// eventfd, signalfd, timerfd, inotify, bpf, userfaultfd, io_uring and epoll: a typed entry without a name.
pub(super) fn special_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(number), Some((ty, flags))) = (success(event), special(event)) else { return };
    add(state, step, number, FdEntry { open_flags: flags, ..FdEntry::new(ty) });
}

fn special(event: &Event<'_>) -> Option<(FdType, u32)> {
    let flags = |at: usize| event.u32(at).unwrap_or(0) & O_CLOEXEC;
    Some(match event.kind {
        Kind::SYSCALL_EVENTFD_X => (FdType::Event, 0),
        Kind::SYSCALL_EVENTFD2_X => (FdType::Event, flags(1)),
        Kind::SYSCALL_SIGNALFD_X => (FdType::Signalfd, 0),
        Kind::SYSCALL_SIGNALFD4_X => (FdType::Signalfd, flags(1)),
        Kind::SYSCALL_TIMERFD_CREATE_X => (FdType::Timerfd, 0),
        Kind::SYSCALL_INOTIFY_INIT_X => (FdType::Inotify, 0),
        Kind::SYSCALL_INOTIFY_INIT1_X => (FdType::Inotify, flags(1)),
        Kind::SYSCALL_BPF_2_X if BPF_COMMANDS_WITH_FD.contains(&event.u32(1)?) => (FdType::Bpf, 0),
        Kind::SYSCALL_USERFAULTFD_X => (FdType::Userfaultfd, flags(1)),
        Kind::SYSCALL_IO_URING_SETUP_X => (FdType::IoUring, 0),
        Kind::SYSCALL_EPOLL_CREATE_X => (FdType::Eventpoll, 0),
        Kind::SYSCALL_EPOLL_CREATE1_X => (FdType::Eventpoll, if event.u32(1)? != 0 { O_CLOEXEC } else { 0 }),
        _ => return None,
    })
}

/// Commands of bpf(2) that return a descriptor (linux/bpf.h): MAP_CREATE, PROG_LOAD, OBJ_GET, PROG_GET_FD_BY_ID,
/// MAP_GET_FD_BY_ID, RAW_TRACEPOINT_OPEN, BTF_LOAD, BTF_GET_FD_BY_ID, LINK_CREATE, LINK_GET_FD_BY_ID, ENABLE_STATS,
/// ITER_CREATE, TOKEN_CREATE.
const BPF_COMMANDS_WITH_FD: [u32; 13] = [0, 5, 7, 13, 14, 17, 18, 19, 28, 30, 32, 33, 36];

pub(super) fn memfd_create_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let Some(number) = success(event) else { return };
    let flags = if event.u32(2).unwrap_or(0) & MFD_CLOEXEC != 0 { O_CLOEXEC } else { 0 };
    let name = Str::from(event.text(1).unwrap_or_default());
    add(state, step, number, FdEntry { open_flags: flags, name, ..FdEntry::new(FdType::Memfd) });
}

/// Bit of `memfd_create_flags`.
const MFD_CLOEXEC: u32 = 1;

pub(super) fn pidfd_open_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(number), Some(pid)) = (success(event), event.i64(1)) else { return };
    let name = Str::from(format!("{PROC_DIR}{pid}").as_bytes());
    add(state, step, number, FdEntry { open_flags: O_CLOEXEC, name, ..FdEntry::new(FdType::Pidfd) });
}

const PROC_DIR: &str = "/proc/";

/// The new descriptor is what the other process has at its descriptor.
pub(super) fn pidfd_getfd_exit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let (Some(number), Some(pidfd), Some(target)) = (success(event), event.i64(1), event.i64(2)) else { return };
    let Some(tid) = step.tid else { return };
    let Some(pid) = state.fds_by_tid(tid).and_then(|fds| fds.lookup(pidfd)).and_then(pid_of) else { return };
    let Some(entry) = state.fds_by_tid(pid).and_then(|fds| fds.shared(target)).cloned() else { return };
    state.add_shared_fd(tid, number, entry);
    step.fd = Some(number);
}

fn pid_of(entry: &FdEntry) -> Option<i64> {
    let digits = entry.name.strip_prefix(PROC_DIR.as_bytes()).filter(|_| entry.ty == FdType::Pidfd)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
