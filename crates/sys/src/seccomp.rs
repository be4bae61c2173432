//! A minimal seccomp filter for the calling thread: a list of system calls that fail with an errno. Comes in: numbers;
//! goes out: an installed filter that nothing can remove again. Used to build broken environments for tests.

/// Makes the given system calls fail with `errno` from now on, in this thread and everything it starts. Sets
/// `no_new_privs` first, so no privilege is needed.
pub fn deny(syscalls: &[i64], errno: u16) -> Result<(), i32> {
    let mut program = vec![statement(LOAD_WORD, 0)];
    for (index, number) in syscalls.iter().enumerate() {
        let to_deny = u8::try_from(syscalls.len() - index).map_err(|_| libc::E2BIG)?;
        let number = u32::try_from(*number).map_err(|_| libc::EINVAL)?;
        program.push(libc::sock_filter { code: JUMP_EQUAL, jt: to_deny, jf: 0, k: number });
    }
    program.push(statement(RETURN, libc::SECCOMP_RET_ALLOW));
    program.push(statement(RETURN, libc::SECCOMP_RET_ERRNO | u32::from(errno)));
    let len = u16::try_from(program.len()).map_err(|_| libc::E2BIG)?;
    let filter = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    // SAFETY: prctl with PR_SET_NO_NEW_PRIVS takes plain numbers.
    let granted = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: `filter` points to `len` instructions that live until the call returns; the kernel copies them.
    let installed = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    if granted == 0 && installed == 0 {
        return Ok(());
    }
    Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

fn statement(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

/// `BPF_LD | BPF_W | BPF_ABS` of offset 0 of `struct seccomp_data`: the system call number.
const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
