//! Following a command by ptrace(2) from one bpf(2) map creation to the next: what [`crate::notify`] falls back to where the
//! kernel has no seccomp notification or refuses it. A filter picks the calls, so that all others run at full speed. Children
//! and threads are followed, signals and stops of the terminal pass through. Only one tracer can follow a process: no debugger
//! can attach meanwhile.

use crate::notify::{MAX_ATTR_BYTES, read_memory};
use nix::sys::signal::{SigSet, Signal};
use std::io;
use std::os::fd::RawFd;

/// What happened to a followed process. After [`Change::Creating`] and [`Change::Created`] it waits for an answer.
#[derive(Debug)]
pub enum Change {
    /// A process or thread exited with a code.
    Exited { pid: u32, code: i32 },
    /// A signal ended it.
    Killed { pid: u32, signal: i32 },
    /// About to create a map from these attributes (`union bpf_attr`).
    Creating { tid: u32, attr: io::Result<Vec<u8>> },
    /// The call that it was about to make gave it this descriptor.
    Created { tid: u32, fd: RawFd },
    /// There is nobody left to follow.
    AllGone,
}

/// Takes over a child that has executed its program after [`ask_to_be_followed`], and lets the signals through that `mask`
/// does not block.
///
/// # Errors
/// The child was killed before, or may not be followed.
pub(crate) fn follow(child: u32, mask: &SigSet) -> io::Result<()> {
    let pid = child.cast_signed();
    stopped(pid)?;
    // SAFETY: the kernel reads as many bytes of the mask as the third argument says.
    unsafe { libc::ptrace(libc::PTRACE_SETSIGMASK, pid, SIGNAL_MASK_BYTES, std::ptr::from_ref(mask.as_ref())) };
    // Seizing anew, out of a stop, lets later stops of the terminal pass through; what asks to be traced cannot be stopped.
    request(libc::PTRACE_DETACH, pid, libc::SIGSTOP as usize)?;
    stopped(pid)?;
    let options = libc::PTRACE_O_TRACESECCOMP
        | libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEEXEC;
    request(libc::PTRACE_SEIZE, pid, options as usize)?;
    // SAFETY: kill takes plain numbers.
    if unsafe { libc::kill(pid, libc::SIGCONT) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Called by the child itself before it executes its program. Until [`follow`] nothing may stop it but that: who started it
/// waits for the execution and could not let it go on.
pub(crate) fn ask_to_be_followed() -> io::Result<()> {
    let mut all = SigSet::all();
    all.remove(Signal::SIGTRAP);
    let before = all.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)?;
    request(libc::PTRACE_TRACEME, 0, 0).or_else(|error| {
        before.thread_set_mask()?;
        Err(error)
    })
}

/// The next change worth telling; `None` when nothing has happened. Does not wait.
///
/// # Errors
/// None is expected.
pub fn next_change() -> io::Result<Option<Change>> {
    loop {
        let mut status = 0;
        // SAFETY: waitpid writes one int.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::WNOHANG) };
        match pid {
            0 => return Ok(None),
            1.. => {}
            _ => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(Some(Change::AllGone)),
                error if error.raw_os_error() == Some(libc::EINTR) => continue,
                error => return Err(error),
            },
        }
        if let Some(change) = change(pid, status) {
            return Ok(Some(change));
        }
    }
}

/// Lets a stopped thread go on.
pub fn let_go(tid: u32) {
    go_on(tid.cast_signed(), libc::PTRACE_CONT, 0);
}

/// Lets a stopped thread make its call; the result comes as [`Change::Created`], unless there is none.
pub fn let_create(tid: u32) {
    go_on(tid.cast_signed(), libc::PTRACE_SYSCALL, 0);
}

/// Ends and map creations are worth telling; everything else goes on at once.
fn change(pid: i32, status: i32) -> Option<Change> {
    let id = pid.cast_unsigned();
    if libc::WIFEXITED(status) {
        return Some(Change::Exited { pid: id, code: libc::WEXITSTATUS(status) });
    }
    if libc::WIFSIGNALED(status) {
        return Some(Change::Killed { pid: id, signal: libc::WTERMSIG(status) });
    }
    let signal = libc::WSTOPSIG(status);
    match status >> 16 {
        libc::PTRACE_EVENT_SECCOMP => return Some(Change::Creating { tid: id, attr: attributes(pid) }),
        libc::PTRACE_EVENT_STOP if STOPPING.contains(&signal) => go_on(pid, libc::PTRACE_LISTEN, 0),
        0 if signal == libc::SIGTRAP | SYSCALL_STOP => match returned(pid) {
            Ok(fd) => return Some(Change::Created { tid: id, fd }),
            Err(_) => go_on(pid, libc::PTRACE_CONT, 0),
        },
        0 => go_on(pid, libc::PTRACE_CONT, signal),
        _ => go_on(pid, libc::PTRACE_CONT, 0),
    }
    None
}

/// The attributes of the map creation that a thread is about to make, copied once.
fn attributes(tid: i32) -> io::Result<Vec<u8>> {
    let info = syscall_info(tid)?;
    let size = usize::try_from(info.word(ARGUMENTS + 16)).unwrap_or(0).min(MAX_ATTR_BYTES);
    read_memory(tid.cast_unsigned(), info.word(ARGUMENTS + 8), size)
}

/// The descriptor that a call returned.
fn returned(tid: i32) -> io::Result<RawFd> {
    let info = syscall_info(tid)?;
    RawFd::try_from(info.word(RESULT).cast_signed())
        .ok()
        .filter(|fd| *fd >= 0 && info.0[0] == libc::PTRACE_SYSCALL_INFO_EXIT)
        .ok_or(io::ErrorKind::InvalidData.into())
}

/// `struct ptrace_syscall_info` of linux/ptrace.h.
struct SyscallInfo([u8; 88]);

impl SyscallInfo {
    fn word(&self, at: usize) -> u64 {
        let bytes = self.0.get(at..at + 8).and_then(|b| b.try_into().ok());
        bytes.map_or(0, u64::from_ne_bytes)
    }
}

/// Linux 5.3.
fn syscall_info(tid: i32) -> io::Result<SyscallInfo> {
    let mut info = SyscallInfo([0; 88]);
    // SAFETY: the kernel writes at most as many bytes as the third argument says.
    let size = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, tid, info.0.len(), info.0.as_mut_ptr()) };
    if size > 0 { Ok(info) } else { Err(io::Error::last_os_error()) }
}

/// A thread that was killed meanwhile is gone, and its end is told next.
fn go_on(pid: i32, how: libc::c_uint, signal: i32) {
    let _ = request(how, pid, signal.cast_unsigned() as usize);
}

fn request(what: libc::c_uint, pid: i32, data: usize) -> io::Result<()> {
    // SAFETY: none of the requests made here takes a pointer; `data` is a signal or a set of options.
    let done = unsafe { libc::ptrace(what, pid, 0usize, data) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits for a child to stop.
fn stopped(pid: i32) -> io::Result<()> {
    let mut status = 0;
    // SAFETY: waitpid writes one int.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED) };
    match waited == pid && libc::WIFSTOPPED(status) {
        true => Ok(()),
        false if waited < 0 => Err(io::Error::last_os_error()),
        false => Err(io::Error::from_raw_os_error(libc::ESRCH)),
    }
}

/// What stops a process by default.
const STOPPING: [i32; 4] = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
/// Set in the signal of stops at system calls (`PTRACE_O_TRACESYSGOOD`).
const SYSCALL_STOP: i32 = 0x80;
/// Of the kernel's `sigset_t`.
const SIGNAL_MASK_BYTES: usize = 8;
/// Where a call's arguments follow its number, and where its result stands.
const ARGUMENTS: usize = 32;
const RESULT: usize = 24;
