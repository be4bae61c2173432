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
    let root = explicit.map_or_else(visible, |path| Some(path.to_owned()).filter(|path| is_bpffs(path)))?;
    let folder = root.join("hawkbell").join("traffic");
    folder.is_dir().then_some(folder)
}

/// Whether pins could be there without being seen: no BPF file system is visible from mounts of this process's own.
pub fn are_hidden(explicit: Option<&Path>) -> bool {
    explicit.is_none() && visible().is_none() && !same_mounts_as_init()
}

fn root() -> Result<PathBuf, String> {
    if let Some(root) = visible() {
        return Ok(root);
    }
    if !same_mounts_as_init() {
        return Err("no BPF file system is visible and a mount made here would vanish".to_owned());
    }
    mount("bpf", BPFFS, "bpf", MountFlags::empty(), None)
        .map_err(|e| format!("no BPF file system at `{BPFFS}`, and mounting one: {e}"))?;
    Ok(PathBuf::from(BPFFS))
}

/// The machine's BPF file system: in its place, or, where `ip netns exec` and containers hide it, as process 1 or one of
/// the processes that led to this one see it.
fn visible() -> Option<PathBuf> {
    let outer = std::iter::once(1).chain(ancestors()).map(|pid| PathBuf::from(format!("/proc/{pid}/root{BPFFS}")));
    std::iter::once(PathBuf::from(BPFFS)).chain(outer).find(|path| is_bpffs(path))
}

fn ancestors() -> impl Iterator<Item = u32> {
    std::iter::successors(Some(std::process::id()), |pid| parent(*pid)).skip(1).take(MAX_ANCESTORS)
}

fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok().filter(|parent| *parent != 0)
}

fn same_mounts_as_init() -> bool {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    namespace("self").is_some() && namespace("self") == namespace("1")
}

fn is_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|stat| stat.f_type == BPF_FS_MAGIC)
}

const MAX_ANCESTORS: usize = 32;
const BPFFS: &str = "/sys/fs/bpf";
/// linux/magic.h
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
