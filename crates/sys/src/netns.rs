//! Network namespaces: who am I in, and run something in another one. A thread of its own enters, so that no other part
//! of the process changes place. Comes in: a path such as /run/netns/NAME or /proc/PID/ns/net.

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Inode of the calling thread's network namespace: its identity as long as it exists.
///
/// # Errors
/// Without /proc.
pub fn current_inode() -> std::io::Result<u64> {
    inode(Path::new("/proc/thread-self/ns/net"))
}

/// Inode of the namespace at `path`.
///
/// # Errors
/// ENOENT when it is gone.
pub fn inode(path: &Path) -> std::io::Result<u64> {
    Ok(std::fs::metadata(path)?.ino())
}

/// Runs `work` in the namespace at `path`, in a thread of its own.
///
/// # Errors
/// ENOENT when there is no such namespace, EINVAL when the path is something else, EPERM without CAP_SYS_ADMIN.
pub fn run<T: Send>(path: &Path, work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    let namespace = File::open(path)?;
    std::thread::scope(|scope| {
        let entered = scope.spawn(|| {
            setns(&namespace, CloneFlags::CLONE_NEWNET).map_err(std::io::Error::from)?;
            Ok(work())
        });
        entered.join().unwrap_or_else(|_| Err(Errno::EFAULT.into()))
    })
}
