//! Broken environments for tests: in, words such as `drop-caps=bpf`, `seccomp=bpf:1`, `umount=/sys/fs/bpf`; out, this process
//! confined so, for good. Meant for a process that executes the program under test right after. Mounts happen in a mount
//! namespace of its own; nothing outlives the process.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::fs;
use std::path::Path;

/// Applies one word to this process.
///
/// # Errors
/// The word is unknown, or the kernel refuses it.
pub fn apply(word: &str) -> Result<(), String> {
    let (verb, object) = word.split_once('=').unwrap_or((word, ""));
    if MOUNTING.contains(&verb) && is_shared_with_the_machine() {
        return Err(format!("{word}: give `namespace=mount` before it"));
    }
    let done = match verb {
        "drop-caps" => drop_capabilities(object),
        "nobody" => become_nobody(CapabilitySet::empty()),
        "nobody-with" => become_nobody(named(object)?),
        "seccomp" => seccomp(object),
        "userns" => user_namespace(),
        "namespace" => namespace(object),
        "mount" => mount_at(object),
        "umount" => umount(object),
        "hide" => hide(object),
        "file" => file_over(object),
        "proc-subset" => remount_proc(),
        "memlock" => memlock(object),
        "no-new-privs" => rustix::thread::set_no_new_privs(true).map_err(|e| e.to_string()),
        _ => Err("no such confinement".into()),
    };
    done.map_err(|why| format!("{word}: {why}"))
}

/// Words that change mounts.
const MOUNTING: [&str; 5] = ["mount", "umount", "hide", "file", "proc-subset"];

/// Whether mounts made now would be seen by the first process.
fn is_shared_with_the_machine() -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    namespace("self").is_some_and(|own| Some(own) == namespace("1"))
}

/// Takes capabilities from every set, so that executing a program as root does not bring them back.
fn drop_capabilities(names: &str) -> Result<(), String> {
    let lost = if names == "all" { CapabilitySet::all() } else { named(names)? };
    for bit in 0..64u32 {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        if lost.contains(one) && rustix::thread::capability_is_in_bounding_set(one).unwrap_or(false) {
            rustix::thread::remove_capability_from_bounding_set(one).map_err(|e| e.to_string())?;
        }
    }
    let held = capabilities(None).map_err(|e| e.to_string())?;
    let kept = held.permitted - lost;
    set(CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() })
}

fn become_nobody(kept: CapabilitySet) -> Result<(), String> {
    if !kept.is_empty() {
        rustix::thread::set_keep_capabilities(true).map_err(|e| e.to_string())?;
    }
    let (user, group) = (Uid::from_raw(65534), Gid::from_raw(65534));
    setgroups(&[])
        .and_then(|()| setresgid(group, group, group))
        .and_then(|()| setresuid(user, user, user))
        .map_err(|e| e.to_string())?;
    set(CapabilitySets { effective: kept, permitted: kept, inheritable: kept })?;
    for bit in 0..64u32 {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        if kept.contains(one) {
            rustix::thread::configure_capability_in_ambient_set(one, true).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

fn set(sets: CapabilitySets) -> Result<(), String> {
    set_capabilities(None, sets).map_err(|e| e.to_string())
}

fn named(names: &str) -> Result<CapabilitySet, String> {
    names.split(',').try_fold(CapabilitySet::empty(), |all, name| {
        let bit = match name {
            "net_admin" => 12,
            "sys_admin" => 21,
            "syslog" => 34,
            "perfmon" => 38,
            "bpf" => 39,
            _ => return Err(format!("unknown capability {name}")),
        };
        Ok(all | CapabilitySet::from_bits_retain(1 << bit))
    })
}

/// `bpf:1,perf_event_open:38`: each fails with that errno; all words of one filter share the last errno.
fn seccomp(object: &str) -> Result<(), String> {
    for rule in object.split(',') {
        let (name, errno) = rule.split_once(':').ok_or("give call:errno")?;
        let errno = errno.parse().map_err(|_| "errno is not a number")?;
        let number = match name {
            "bpf" => libc_number::BPF,
            "perf_event_open" => libc_number::PERF_EVENT_OPEN,
            "seccomp" => libc_number::SECCOMP,
            _ => return Err(format!("unknown call {name}")),
        };
        sys::seccomp::deny(&[number], errno).map_err(sys::errno::words)?;
    }
    Ok(())
}

fn user_namespace() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|e| e.to_string())?;
    fs::write("/proc/self/setgroups", "deny").map_err(|e| e.to_string())?;
    fs::write("/proc/self/uid_map", "0 0 1").map_err(|e| e.to_string())?;
    fs::write("/proc/self/gid_map", "0 0 1").map_err(|e| e.to_string())
}

fn namespace(kind: &str) -> Result<(), String> {
    let flag = match kind {
        "mount" => CloneFlags::CLONE_NEWNS,
        "net" => CloneFlags::CLONE_NEWNET,
        "cgroup" => CloneFlags::CLONE_NEWCGROUP,
        "uts" => CloneFlags::CLONE_NEWUTS,
        _ => return Err("unknown namespace".into()),
    };
    unshare(flag).map_err(|e| e.to_string())?;
    if kind == "mount" {
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// `bpf:/sys/fs/bpf`.
fn mount_at(object: &str) -> Result<(), String> {
    let (fs, path) = object.split_once(':').ok_or("give fs:path")?;
    mount(Some(fs), path, Some(fs), MsFlags::empty(), None::<&str>).map_err(|e| e.to_string())
}

/// Also what is not mounted counts as unmounted.
fn umount(path: &str) -> Result<(), String> {
    match umount2(path, MntFlags::MNT_DETACH) {
        Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// An empty directory, or an empty file, over the path.
fn hide(path: &str) -> Result<(), String> {
    if Path::new(path).is_dir() {
        return mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some("size=64k"))
            .map_err(|e| e.to_string());
    }
    bind(Path::new("/dev/null"), path)
}

/// `/proc/sys/kernel/x:0`: a file with that text over the path; below a hidden directory it is made there.
fn file_over(object: &str) -> Result<(), String> {
    let (path, text) = object.split_once(':').ok_or("give path:text")?;
    let text = format!("{text}\n");
    if !Path::new(path).exists() {
        return fs::write(path, text).map_err(|e| e.to_string());
    }
    let scratch = Path::new("/dev/shm");
    mount(Some("tmpfs"), scratch, Some("tmpfs"), MsFlags::empty(), Some("size=64k")).map_err(|e| e.to_string())?;
    let source = scratch.join("file");
    fs::write(&source, text).map_err(|e| e.to_string())?;
    bind(&source, path)
}

fn bind(source: &Path, path: &str) -> Result<(), String> {
    mount(Some(source), path, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(|e| e.to_string())
}

fn remount_proc() -> Result<(), String> {
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), Some("subset=pid")).map_err(|e| e.to_string())
}

fn memlock(bytes: &str) -> Result<(), String> {
    let bytes = bytes.parse().map_err(|_| "not a number")?;
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_MEMLOCK, bytes, bytes).map_err(|e| e.to_string())
}

mod libc_number {
    //! System call numbers, which differ by architecture.
    #[cfg(target_arch = "x86_64")]
    pub const BPF: i64 = 321;
    #[cfg(target_arch = "x86_64")]
    pub const PERF_EVENT_OPEN: i64 = 298;
    #[cfg(target_arch = "x86_64")]
    pub const SECCOMP: i64 = 317;
    #[cfg(not(target_arch = "x86_64"))]
    pub const BPF: i64 = 280;
    #[cfg(not(target_arch = "x86_64"))]
    pub const PERF_EVENT_OPEN: i64 = 241;
    #[cfg(not(target_arch = "x86_64"))]
    pub const SECCOMP: i64 = 277;
}
