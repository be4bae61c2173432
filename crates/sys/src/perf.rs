//! perf_event_open(2), only as far as asking whether it is there. Goes out: the errno of a call that the kernel must refuse,
//! so that no counter is ever opened.

/// The errno of a call with a flag that does not exist: EINVAL where the system call is there, ENOSYS where it is not,
/// EPERM or EACCES where a policy answers first.
pub fn ask_perf_event_open() -> i32 {
    let attr = [0u64; 16];
    // SAFETY: `attr` is readable for its whole length; the kernel rejects the unknown flag before it looks at it, and a
    // negative answer opens nothing. A positive answer cannot happen for an invalid flag, and is closed if it does.
    let answer = unsafe { libc::syscall(libc::SYS_perf_event_open, attr.as_ptr(), 0, -1, -1, UNKNOWN_FLAG) };
    if answer < 0 {
        return std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    }
    // SAFETY: the number is a file descriptor that the call above just made.
    unsafe { libc::close(answer as i32) };
    0
}

/// Far above `PERF_FLAG_FD_CLOEXEC` (8), the highest flag.
const UNKNOWN_FLAG: libc::c_ulong = 1 << 62;
