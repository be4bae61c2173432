//! Static linking of BPF objects at run time: the bytes of objects come in, those of one object that holds them all go
//! out, or why they do not fit together. Nothing reaches the kernel here, nothing is left on disk.

use crate::error::Error;
use crate::ffi;
use crate::loader::{listen, take_said};
use rustix::fs::{MemfdFlags, memfd_create};
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;

/// Links objects as `bpftool gen object` does: an `extern` function of one is found in another.
///
/// # Errors
/// [`Error::Link`]: some bytes are no BPF object, a symbol is missing or defined twice.
pub fn link(name: &str, objects: &[&[u8]]) -> Result<Vec<u8>, Error> {
    listen();
    take_said();
    let failed = |errno: i32| Error::Link { object: name.to_owned(), errno, said: take_said().join("; ") };
    let io = |e: std::io::Error| failed(e.raw_os_error().unwrap_or(EIO));
    let mut output = File::from(memfd_create(name, MemfdFlags::CLOEXEC).map_err(|e| io(e.into()))?);
    let path = CString::new(format!("/proc/self/fd/{}", output.as_raw_fd())).unwrap_or_default();
    ffi::link_objects(&path, objects).map_err(failed)?;
    let mut linked = Vec::new();
    output.read_to_end(&mut linked).map_err(io)?;
    Ok(linked)
}

const EIO: i32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk_is_refused_with_what_the_library_said() {
        let error = link("junk", &[b"no object"]).expect_err("no object");
        assert!(error.to_string().starts_with("link object `junk`: "), "{error}");
    }
}
