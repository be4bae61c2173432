//! Whether a file system of a kind is mounted at a path: in, a path and a superblock magic; out, a three-valued answer. The
//! directory that a mount would cover proves nothing, so only statfs(2) decides.

use crate::answer::{Answer, Cause};
use crate::machine::Machine;

/// `fs` is the name that mount(8) takes and that messages show.
pub fn is_mounted(machine: &Machine, path: &str, fs: &str, magic: u32) -> Answer {
    let label = if fs == "bpf" { "bpffs" } else { fs };
    let remedy = format!("mount it: mount -t {fs} {fs} {path}");
    match magic_at(machine, path) {
        Ok(found) if found == magic => Answer::Supported,
        Ok(found) => {
            Answer::no(Cause::NotMounted, format!("{label} is not mounted at {path} (found {})", name_of(found)))
                .fix(remedy)
        }
        Err(rustix::io::Errno::NOENT) if !machine.root.exists("/sys/kernel") && path.starts_with("/sys/") => {
            Answer::no(Cause::NotMounted, format!("{label} is not mounted at {path}: sysfs is not mounted either"))
                .fix(format!("mount -t sysfs sysfs /sys, then {remedy}"))
        }
        Err(rustix::io::Errno::NOENT) => {
            Answer::no(Cause::NotMounted, format!("{label} is not mounted: {path} does not exist"))
                .fix(format!("use a kernel with {label}; {remedy}"))
        }
        Err(error) => Answer::unknown(
            Cause::Unreadable,
            format!("{label} at {path}: {}", sys::errno::words(error.raw_os_error())),
        )
        .fix("run as root"),
    }
}

/// A mount requirement in the reference's words.
pub fn requirement(machine: &Machine, path: &str, magic: u32) -> Answer {
    match magic_at(machine, path) {
        Ok(found) if found == magic => Answer::Supported,
        Ok(found) => Answer::no(
            Cause::NotMounted,
            format!("{path}: not mounted with expected filesystem (got 0x{found:x}, want 0x{magic:x})"),
        ),
        Err(rustix::io::Errno::NOENT) => Answer::no(Cause::NotMounted, format!("{path}: not found")),
        Err(error) => {
            Answer::unknown(Cause::Unreadable, format!("statfs {path}: {}", sys::errno::words(error.raw_os_error())))
        }
    }
}

fn magic_at(machine: &Machine, path: &str) -> rustix::io::Result<u32> {
    rustix::fs::statfs(machine.root.at(path)).map(|stat| stat.f_type as u32)
}

/// Magic of a file system by the name that mount(8) takes.
pub fn magic_of(fs: &str) -> Option<u32> {
    MAGICS.iter().find(|(name, _)| *name == fs).map(|(_, magic)| *magic)
}

fn name_of(magic: u32) -> String {
    MAGICS
        .iter()
        .find(|(_, known)| *known == magic)
        .map_or_else(|| format!("0x{magic:x}"), |(name, _)| (*name).to_owned())
}

/// `include/uapi/linux/magic.h`.
const MAGICS: &[(&str, u32)] = &[
    ("bpf", 0xcafe_4a11),
    ("tracefs", 0x7472_6163),
    ("debugfs", 0x6462_6720),
    ("securityfs", 0x7363_6673),
    ("sysfs", 0x6265_6572),
    ("proc", 0x9fa0),
    ("cgroup", 0x0027_e0eb),
    ("cgroup2", 0x6367_7270),
    ("tmpfs", 0x0102_1994),
    ("ext4", 0xef53),
    ("overlay", 0x794c_7630),
    ("ramfs", 0x8584_58f6),
];
