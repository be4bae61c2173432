//! Where pins live: a BPF file system that outlives this process. Comes in: an explicit folder or nothing. Goes out: the
//! folder for our pins, or why there is none. A mount is only made where the whole machine sees it.

use rustix::fs::statfs;
use rustix::mount::{MountFlags, mount};
use std::path::{Path, PathBuf};

/// The folder for pins, made when it is missing.
///
/// # Errors
/// Why no place is persistent, in words.
pub fn folder(explicit: Option<&Path>) -> Result<PathBuf, String> {
    let root = match explicit {
        Some(path) if is_bpffs(path) => path.to_owned(),
        Some(path) => return Err(format!("`{}` is no BPF file system", path.display())),
        None => root()?,
    };
    let folder = root.join("hawkbell").join("traffic");
    std::fs::create_dir_all(&folder).map_err(|e| format!("`{}`: {e}", folder.display()))?;
    Ok(folder)
}

/// The folder, only if it is there already.
pub fn existing_folder(explicit: Option<&Path>) -> Option<PathBuf> {
    let roots = explicit.map_or_else(|| vec![PathBuf::from(BPFFS), outer_bpffs()], |path| vec![path.to_owned()]);
    let root = roots.into_iter().find(|path| is_bpffs(path))?;
    let folder = root.join("hawkbell").join("traffic");
    folder.is_dir().then_some(folder)
}

fn root() -> Result<PathBuf, String> {
    let usual = Path::new(BPFFS);
    if is_bpffs(usual) {
        return Ok(usual.to_owned());
    }
    // `ip netns exec` and containers hide it, but it is there for process 1
    if is_bpffs(&outer_bpffs()) {
        return Ok(outer_bpffs());
    }
    if !same_mounts_as_init() {
        return Err("no BPF file system is visible and a mount made here would vanish".to_owned());
    }
    mount("bpf", usual, "bpf", MountFlags::empty(), None)
        .map_err(|e| format!("no BPF file system at `{BPFFS}`, and mounting one: {e}"))?;
    Ok(usual.to_owned())
}

fn outer_bpffs() -> PathBuf {
    PathBuf::from(format!("/proc/1/root{BPFFS}"))
}

fn same_mounts_as_init() -> bool {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    namespace("self").is_some() && namespace("self") == namespace("1")
}

fn is_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|stat| stat.f_type == BPF_FS_MAGIC)
}

const BPFFS: &str = "/sys/fs/bpf";
/// linux/magic.h
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
