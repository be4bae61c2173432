//! Answering for a system call of another process (seccomp user notification, Linux 5.9): a command is started under a
//! filter that stops its bpf(2) map creations, and only those, until a supervisor has answered. Everything else runs at full
//! speed. The filter compares a register, so no other thread can change what was judged; the attributes are copied once.

use nix::sys::signal::SigSet;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// The supervisor's end of the filter.
#[derive(Debug)]
pub struct Listener(OwnedFd);

/// A stopped map creation.
#[derive(Debug)]
pub struct MapCreation {
    /// Names this stop; an answer to a process that died meanwhile fails with ENOENT.
    pub id: u64,
    /// The thread that asked.
    pub tid: u32,
    /// `union bpf_attr` as the process passed it, at most [`MAX_ATTR_BYTES`]; EPERM where its memory may not be read.
    pub attr: io::Result<Vec<u8>>,
}

/// More than any kernel's map creation attributes take.
pub const MAX_ATTR_BYTES: usize = 256;

/// How map creations of a command are stopped.
#[derive(Debug)]
pub enum Grip {
    Notified(Listener),
    /// By ptrace(2), see [`crate::trace`]; the errno is why not by notification, 0 where that was asked for.
    Traced(i32),
    /// Not at all; errnos of both.
    None(i32, i32),
}

/// Starts `command` under the filter, with `unblocked` signals let through again. Children inherit the filter. Where the
/// kernel refuses it, or `by_trace` asks for it, the command is followed by ptrace instead: ENOSYS where the kernel cannot be
/// answered with a descriptor, EBUSY under another supervisor, EACCES in some containers.
///
/// # Errors
/// As spawning.
pub fn spawn(command: &mut Command, unblocked: SigSet, by_trace: bool) -> io::Result<(Child, Grip)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let mask: SigSet = SigSet::thread_get_mask()?.into_iter().filter(|signal| !unblocked.contains(*signal)).collect();
    let excluded = match by_trace {
        true => Some(0),
        // A filter cannot be taken back once it shows that its notices cannot be answered.
        false => (!answers_with_descriptors()).then_some(libc::ENOSYS),
    };
    let prepare = move || {
        mask.thread_set_mask()?;
        let refused = match excluded.map_or_else(install_filter, |errno| Err(io::Error::from_raw_os_error(errno))) {
            Ok(listener) => return send_descriptor(theirs.as_fd(), listener.as_fd()),
            Err(error) => error,
        };
        let followed = crate::trace::ask_to_be_followed().and_then(|()| install_trace_filter());
        refuse(theirs.as_fd(), &refused, followed.err().as_ref())
    };
    // SAFETY: between fork and exec the closure makes system calls on memory of its own stack only: it allocates nothing
    // and takes no lock, as `CommandExt::pre_exec` demands.
    unsafe { command.pre_exec(prepare) };
    let child = command.spawn()?;
    let grip = receive_grip(ours.as_fd())?;
    if matches!(grip, Grip::Traced(_)) {
        crate::trace::follow(child.id(), &mask)?;
    }
    Ok((child, grip))
}

/// `SECCOMP_ADDFD_FLAG_SEND` came with Linux 5.14.
fn answers_with_descriptors() -> bool {
    let uname = rustix::system::uname();
    let mut numbers =
        uname.release().to_str().unwrap_or_default().split(['.', '-']).map_while(|n| n.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 14)
}

/// Starts `command` without a filter, with `unblocked` signals let through again.
///
/// # Errors
/// As spawning.
pub fn spawn_unfiltered(command: &mut Command, unblocked: SigSet) -> io::Result<Child> {
    // SAFETY: as in `spawn`.
    unsafe { command.pre_exec(move || Ok(unblocked.thread_unblock()?)) };
    command.spawn()
}

impl AsFd for Listener {
    /// Readable when a creation is stopped; hung up when no process is left under the filter (Linux 5.8).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Listener {
    /// The map creation that waits; `None` when its process was killed meanwhile. Blocks when none waits.
    ///
    /// # Errors
    /// Other than interruptions, none is expected.
    pub fn receive(&self) -> io::Result<Option<MapCreation>> {
        let mut notice = Notice::default();
        match self.ioctl(NOTIF_RECV, &raw mut notice as usize) {
            Ok(()) => {}
            // The caller was killed between poll and receive.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
            Err(error) => return Err(error),
        }
        let size = usize::try_from(notice.args[2]).unwrap_or(0).min(MAX_ATTR_BYTES);
        let attr = read_memory(notice.pid, notice.args[1], size);
        // The process id may have been used again while we read: only an id that is still valid vouches for the bytes.
        if self.ioctl(NOTIF_ID_VALID, &raw const notice.id as usize).is_err() {
            return Ok(None);
        }
        Ok(Some(MapCreation { id: notice.id, tid: notice.pid, attr }))
    }

    /// Lets the kernel carry out the call as if nobody had looked.
    ///
    /// # Errors
    /// ENOENT when the process is gone.
    pub fn let_through(&self, id: u64) -> io::Result<()> {
        let response = Response { id, val: 0, error: 0, flags: libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32 };
        self.ioctl(NOTIF_SEND, &raw const response as usize)
    }

    /// Gives the process a copy of `fd` (close-on-exec, as bpf(2) does) as the result of its call.
    ///
    /// # Errors
    /// ENOENT when the process is gone; EINVAL before Linux 5.14; EMFILE when its table is full.
    pub fn answer_with(&self, id: u64, fd: BorrowedFd<'_>) -> io::Result<()> {
        let srcfd = fd.as_raw_fd().cast_unsigned();
        let add = AddFd { id, flags: ADDFD_SEND, srcfd, newfd: 0, newfd_flags: libc::O_CLOEXEC.cast_unsigned() };
        self.ioctl(NOTIF_ADDFD, &raw const add as usize)
    }

    fn ioctl(&self, request: libc::c_ulong, argument: usize) -> io::Result<()> {
        // SAFETY: `argument` is the address of the structure that `request` names in linux/seccomp.h, alive for the call.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), request as _, argument) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// Creates a map from a private copy of another process's attributes.
///
/// # Errors
/// What bpf(2) says.
pub fn create_map(attr: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: bpf(BPF_MAP_CREATE) reads `attr.len()` bytes and follows no pointer in them for array maps.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_CREATE, attr.as_ptr(), attr.len()) };
    owned(fd)
}

/// A copy of a descriptor of the process that the thread `tid` belongs to (Linux 5.6; needs to be allowed to trace it).
///
/// # Errors
/// What pidfd_open(2) and pidfd_getfd(2) say.
pub fn copy_descriptor(tid: u32, fd: RawFd) -> io::Result<OwnedFd> {
    // Only the leader of a thread group has a pidfd before Linux 6.9.
    let leader = thread_group(tid).unwrap_or(tid);
    // SAFETY: both calls take plain numbers.
    let process = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, leader, 0) })?;
    // SAFETY: as above.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) })
}

/// `Tgid` of proc_pid_status(5).
fn thread_group(tid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(fd) {
        // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `action` for `bpf(BPF_MAP_CREATE, ...)` of the native architecture; allows everything else.
fn program(action: u32) -> [libc::sock_filter; 8] {
    let allow = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    let unless = |k, skip| libc::sock_filter { code: JUMP_EQUAL, jt: 0, jf: skip, k };
    [
        allow(LOAD_WORD, OFFSET_ARCH),
        unless(AUDIT_ARCH, 5),
        allow(LOAD_WORD, OFFSET_NR),
        unless(libc::SYS_bpf as u32, 3),
        allow(LOAD_WORD, OFFSET_ARG0),
        unless(BPF_MAP_CREATE, 1),
        allow(RETURN, action),
        allow(RETURN, libc::SECCOMP_RET_ALLOW),
    ]
}

/// Stops calls for a tracer. By prctl(2), which is also there where seccomp(2) is missing or refused.
fn install_trace_filter() -> io::Result<()> {
    let mut program = program(libc::SECCOMP_RET_TRACE);
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the kernel copies `len` instructions during the call; the array outlives it.
    let install = || unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    if install() == 0 {
        return Ok(());
    }
    // SAFETY: prctl with plain numbers. Without CAP_SYS_ADMIN a filter needs this promise first.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if install() == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Stops calls for a listener.
fn install_filter() -> io::Result<OwnedFd> {
    let mut program = program(libc::SECCOMP_RET_USER_NOTIF);
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let wanted = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32;
    // Being killable while waiting came with Linux 5.19; without it a signal restarts the call.
    for flags in [wanted | FLAG_WAIT_KILLABLE, wanted] {
        // SAFETY: the kernel copies `len` instructions during the call; the array outlives it.
        let fd = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter) };
        if fd >= 0 {
            return owned(fd);
        }
        if io::Error::last_os_error().raw_os_error() == Some(libc::EACCES) {
            // SAFETY: prctl with plain numbers. Without CAP_SYS_ADMIN a filter needs this promise first.
            unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        }
    }
    // SAFETY: as above.
    owned(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, wanted, &raw const filter) })
}

pub(crate) fn read_memory(pid: u32, address: u64, size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0u8; size];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: size };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: size };
    // SAFETY: the kernel writes at most `size` bytes into `bytes`; the remote address is never touched by us.
    let read = unsafe { libc::process_vm_readv(pid.cast_signed(), &raw const local, 1, &raw const remote, 1, 0) };
    if usize::try_from(read) == Ok(size) { Ok(bytes) } else { Err(io::Error::last_os_error()) }
}

fn send_descriptor(channel: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(channel, &[io::IoSlice::new(&[0])], &mut control, SendFlags::empty())?;
    Ok(())
}

/// Tells the other side the reasons instead of a descriptor: against notification, and against tracing if any.
fn refuse(channel: BorrowedFd<'_>, refused: &io::Error, not_followed: Option<&io::Error>) -> io::Result<()> {
    let errno = |error: &io::Error| error.raw_os_error().unwrap_or(libc::EINVAL).to_le_bytes()[0];
    let mut control = SendAncillaryBuffer::new(&mut []);
    let text = [errno(refused), not_followed.map_or(0, errno)];
    sendmsg(channel, &[io::IoSlice::new(&text)], &mut control, SendFlags::empty())?;
    Ok(())
}

fn receive_grip(channel: BorrowedFd<'_>) -> io::Result<Grip> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut reasons = [0; 2];
    recvmsg(channel, &mut [io::IoSliceMut::new(&mut reasons)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let received = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let [refused, not_followed] = reasons.map(i32::from);
    Ok(match received {
        Some(listener) => Grip::Notified(Listener(listener)),
        None if not_followed == 0 => Grip::Traced(refused),
        None => Grip::None(refused, not_followed),
    })
}

/// `struct seccomp_notif` with its `struct seccomp_data` (linux/seccomp.h).
#[repr(C)]
#[derive(Default)]
struct Notice {
    id: u64,
    pid: u32,
    flags: u32,
    nr: i32,
    arch: u32,
    instruction_pointer: u64,
    args: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
struct Response {
    id: u64,
    val: i64,
    error: i32,
    flags: u32,
}

/// `struct seccomp_notif_addfd`.
#[repr(C)]
struct AddFd {
    id: u64,
    flags: u32,
    srcfd: u32,
    newfd: u32,
    newfd_flags: u32,
}

const BPF_MAP_CREATE: u32 = 0;
/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`.
const FLAG_WAIT_KILLABLE: u32 = 1 << 5;
/// `SECCOMP_ADDFD_FLAG_SEND`: add and answer in one step.
const ADDFD_SEND: u32 = 1 << 1;
// ioctl numbers of linux/seccomp.h: direction, size, '!', number.
const NOTIF_RECV: libc::c_ulong = 0xc050_2100;
const NOTIF_SEND: libc::c_ulong = 0xc018_2101;
const NOTIF_ID_VALID: libc::c_ulong = 0x4008_2102;
const NOTIF_ADDFD: libc::c_ulong = 0x4018_2103;
// Offsets in `struct seccomp_data`.
const OFFSET_NR: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const OFFSET_ARG0: u32 = 16;
const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;
