//! lsm_list_modules(2), Linux 6.8: the active security modules without any file system. Goes out: their names in order, or
//! the errno (ENOSYS on older kernels). Numbers follow the kernel's `include/uapi/linux/lsm.h`.

/// Names of the active security modules, in the order the kernel asks them.
pub fn active() -> Result<Vec<String>, i32> {
    let mut ids = [0u64; 64];
    let mut bytes = std::mem::size_of_val(&ids) as u32;
    // SAFETY: `ids` is writable for `bytes` bytes and `bytes` is a valid in-out pointer, as the call wants.
    let count = unsafe { libc::syscall(SYS_LSM_LIST_MODULES, ids.as_mut_ptr(), &raw mut bytes, 0u32) };
    match usize::try_from(count) {
        Ok(count) => Ok(ids.iter().take(count).map(|id| name(*id)).collect()),
        Err(_) => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)),
    }
}

fn name(id: u64) -> String {
    let known = id.checked_sub(FIRST_ID).and_then(|at| NAMES.get(usize::try_from(at).ok()?));
    known.map_or_else(|| format!("lsm-{id}"), ToString::to_string)
}

const SYS_LSM_LIST_MODULES: libc::c_long = 461;
const FIRST_ID: u64 = 100;
const NAMES: &[&str] = &[
    "capability",
    "selinux",
    "smack",
    "tomoyo",
    "apparmor",
    "yama",
    "loadpin",
    "safesetid",
    "lockdown",
    "bpf",
    "landlock",
    "ima",
    "evm",
    "ipe",
];

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_become_names() {
        assert_eq!(super::name(109), "bpf");
        assert_eq!(super::name(99), "lsm-99");
        assert_eq!(super::name(999), "lsm-999");
    }
}
