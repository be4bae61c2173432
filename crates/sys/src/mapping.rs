//! A file of sysfs mapped read-only. Comes in: an opened file; goes out: its bytes without a copy. Only for sysfs, whose binary
//! attributes never shrink while they are open: any other file could be cut under the mapping.

use std::fs::File;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd};

/// Mapped bytes.
#[derive(Debug)]
pub struct Mapping {
    address: *const u8,
    len: usize,
}

impl Mapping {
    /// Maps a whole sysfs file. BTF of the kernel can be mapped since Linux 6.16.
    ///
    /// # Errors
    /// EINVAL for a file of another file system, else the errno of mmap(2).
    pub fn sysfs(file: &File) -> Result<Mapping, i32> {
        let code = |error: rustix::io::Errno| error.raw_os_error();
        if rustix::fs::fstatfs(file.as_fd()).map_err(code)?.f_type as u32 != SYSFS_MAGIC {
            return Err(libc::EINVAL);
        }
        let len = usize::try_from(rustix::fs::fstat(file.as_fd()).map_err(code)?.st_size).map_err(|_| libc::EFBIG)?;
        // SAFETY: a new private read-only mapping of `len` bytes; the file is a sysfs attribute, which keeps its size.
        let address =
            unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
        if address == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO));
        }
        Ok(Mapping { address: address.cast(), len })
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is `len` bytes long, readable, unchanging and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.address, self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `address` and `len` are those of the mapping made in `sysfs`, unmapped once.
        unsafe { libc::munmap(self.address.cast_mut().cast(), self.len) };
    }
}

/// `SYSFS_MAGIC` of `include/uapi/linux/magic.h`.
const SYSFS_MAGIC: u32 = 0x6265_6572;

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "says what was skipped")]
mod tests {
    use super::*;

    #[test]
    fn only_sysfs_is_mapped() {
        assert_eq!(Mapping::sysfs(&File::open("/proc/self/exe").unwrap()).unwrap_err(), libc::EINVAL);
        let Ok(file) = File::open("/sys/kernel/btf/vmlinux") else {
            println!("skipped: no kernel BTF here");
            return;
        };
        match Mapping::sysfs(&file) {
            Ok(mapping) => assert_eq!(mapping.len() as u64, file.metadata().unwrap().len()),
            Err(errno) => println!("this kernel does not map its BTF: errno {errno}"),
        }
    }
}
