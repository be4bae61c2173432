//! The machine being asked: facts are read when first needed and kept for the life of the value. In: a root to read files
//! under; out: privilege, namespaces, security modules, lockdown, configuration. Nothing is changed: a file system that is
//! not mounted is at most read through a private mount that vanishes with its descriptor.

use crate::answer::{Answer, Cause};
use crate::kernel_btf::KernelBtf;
use host::Root;
use host::kconfig::{Config, NotFound};
use host::mounts::Mount;
use host::status::Status;
use std::cell::OnceCell;

/// One kernel and the rights of this process on it.
#[derive(Debug)]
pub struct Machine {
    pub root: Root,
    /// `uname -r`.
    pub release: String,
    pub(crate) btf: KernelBtf,
    config: OnceCell<Result<Config, NotFound>>,
    status: OnceCell<Status>,
    lsms: OnceCell<Result<Lsms, String>>,
    lockdown: OnceCell<Option<String>>,
    mounts: OnceCell<Vec<Mount>>,
    bpf_errno: OnceCell<i32>,
    pub(crate) programs: crate::program::Cache,
}

/// The active security modules and how they were learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lsms {
    pub names: Vec<String>,
    pub source: &'static str,
}

impl Machine {
    /// The running machine.
    pub fn here() -> Self {
        Self::at(Root::default())
    }

    /// Reads files under `root`; system calls still go to the running kernel.
    pub fn at(root: Root) -> Self {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        Machine {
            btf: KernelBtf::new(&root),
            root,
            release,
            config: OnceCell::new(),
            status: OnceCell::new(),
            lsms: OnceCell::new(),
            lockdown: OnceCell::new(),
            mounts: OnceCell::new(),
            bpf_errno: OnceCell::new(),
            programs: crate::program::Cache::default(),
        }
    }

    pub fn config(&self) -> Result<&Config, &NotFound> {
        self.config.get_or_init(|| Config::find(&self.root, &self.release)).as_ref()
    }

    /// Whether an option is on; `None` without a readable configuration.
    pub fn option(&self, key: &str) -> Option<bool> {
        self.config().ok().map(|config| config.enabled(key))
    }

    /// Privilege from the kernel itself, with what only `/proc/self/status` tells.
    pub fn status(&self) -> Status {
        *self.status.get_or_init(|| {
            let mut status =
                self.root.text("/proc/self/status").map(|text| host::status::parse(&text)).unwrap_or_default();
            if let Ok(sets) = rustix::thread::capabilities(None) {
                status.effective = Some(sets.effective.bits());
                status.permitted = Some(sets.permitted.bits());
            }
            status
        })
    }

    /// Whether the effective set holds a capability, or CAP_SYS_ADMIN which implies the BPF ones.
    pub fn holds(&self, capability: u32) -> bool {
        self.status().effective.is_some_and(|set| set >> capability & 1 != 0)
    }

    /// Release as numbers; missing parts are 0.
    pub fn version(&self) -> Version {
        Version::parse(&self.release).unwrap_or_default()
    }

    pub fn is_at_least(&self, since: &str) -> bool {
        Version::parse(since).is_some_and(|since| self.version() >= since)
    }

    /// The active security modules: from securityfs, else by lsm_list_modules(2) (6.8).
    pub fn lsms(&self) -> Result<&Lsms, &str> {
        let read = || {
            let listed = match self.root.value(LSM_FILE) {
                Ok(text) => return Ok(Lsms { names: split_list(&text), source: LSM_FILE }),
                Err(error) => sys::errno::of(&error),
            };
            if !self.root.is_real() {
                return Err(listed);
            }
            sys::lsm::active().map(|names| Lsms { names, source: "lsm_list_modules(2)" }).map_err(|_| listed)
        };
        self.lsms.get_or_init(read).as_ref().map_err(String::as_str)
    }

    /// `none`, `integrity` or `confidentiality`; `None` when it cannot be read.
    pub fn lockdown(&self) -> Option<&str> {
        let read = || {
            let text = self.root.value("/sys/kernel/security/lockdown").ok().or_else(|| self.private_lockdown());
            text.and_then(|text| chosen(&text).map(ToOwned::to_owned)).or_else(|| self.booted_lockdown())
        };
        self.lockdown.get_or_init(read).as_deref()
    }

    pub fn mounts(&self) -> &[Mount] {
        self.mounts.get_or_init(|| host::mounts::mounts(&self.root).unwrap_or_default())
    }

    /// The errno of bpf(2) with an argument that no kernel accepts.
    pub fn bpf_errno(&self) -> i32 {
        *self.bpf_errno.get_or_init(|| sys::bpf::ask_command(UNKNOWN_COMMAND).err().unwrap_or(0))
    }

    /// Whether this process is in the first user namespace: its inode number is fixed since Linux 3.8.
    pub fn initial_user_namespace(&self) -> Answer {
        self.namespace("user", INITIAL_USER_NS)
    }

    pub fn initial_pid_namespace(&self) -> Answer {
        self.namespace("pid", INITIAL_PID_NS)
    }

    /// Whether a namespace is the first one, by `PROC_*_INIT_INO` of the kernel's `include/linux/proc_ns.h`.
    pub fn namespace(&self, kind: &str, initial: u64) -> Answer {
        let path = format!("/proc/self/ns/{kind}");
        match std::fs::read_link(self.root.at(&path)) {
            Ok(target) => match inode_of(&target.to_string_lossy()) {
                Some(inode) if inode == initial => Answer::Supported,
                Some(inode) => Answer::no(
                    Cause::UserNamespace,
                    format!("not in initial {kind} namespace (inode {inode}, the initial one is {initial})"),
                )
                .fix(format!("run outside the container or without unshare, in the host's {kind} namespace")),
                None => Answer::unknown(Cause::Unreadable, format!("{path} has an unexpected form")),
            },
            Err(error) => Answer::unknown(Cause::Unreadable, format!("{path}: {}", sys::errno::of(&error)))
                .fix("mount procfs: mount -t proc proc /proc"),
        }
    }

    /// A word of the kernel command line, for example the value of `lsm=`.
    pub fn boot_parameter(&self, key: &str) -> Option<String> {
        let line = self.root.text("/proc/cmdline").ok()?;
        let mut words = line.split_whitespace().rev();
        words.find_map(|word| word.strip_prefix(key)?.strip_prefix('=').map(ToOwned::to_owned))
    }

    fn booted_lockdown(&self) -> Option<String> {
        if let Some(mode) = self.boot_parameter("lockdown") {
            return Some(mode);
        }
        let config = self.config().ok()?;
        let forced = |key: &str| config.enabled(key);
        match () {
            () if !forced("SECURITY_LOCKDOWN_LSM") => Some("none".into()),
            () if forced("LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY") => Some("confidentiality".into()),
            () if forced("LOCK_DOWN_KERNEL_FORCE_INTEGRITY") => Some("integrity".into()),
            () => None,
        }
    }

    /// securityfs is one file system for the whole kernel: a private mount reads it where it is mounted nowhere.
    fn private_lockdown(&self) -> Option<String> {
        use rustix::fs::{Mode, OFlags, openat};
        use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
        if !self.root.is_real() {
            return None;
        }
        let context = fsopen("securityfs", FsOpenFlags::FSOPEN_CLOEXEC).ok()?;
        fsconfig_create(&context).ok()?;
        let attributes =
            MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).ok()?;
        let file = openat(&mount, "lockdown", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        std::io::read_to_string(std::fs::File::from(file)).ok()
    }
}

/// A kernel release as numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl Version {
    /// `6.18.44-fc` is 6.18.44, `5.10` is 5.10.0; `None` without a leading number.
    pub fn parse(text: &str) -> Option<Version> {
        let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
        let mut parts = text.get(..end)?.split('.');
        let major = parts.next()?.parse().ok()?;
        let mut next = || parts.next().and_then(|p| p.parse().ok()).unwrap_or(0);
        Some(Version { major, minor: next(), patch: next() })
    }

    /// `LINUX_VERSION_CODE`; the patch level is capped at 255 as the kernel does.
    pub fn code(self) -> u32 {
        self.major << 16 | (self.minor & 0xff) << 8 | self.patch.min(255)
    }
}

/// The bracketed choice of `none [integrity] confidentiality`.
fn chosen(text: &str) -> Option<&str> {
    text.split_once('[')?.1.split_once(']').map(|(word, _)| word)
}

fn split_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
}

fn inode_of(target: &str) -> Option<u64> {
    target.split_once('[')?.1.strip_suffix(']')?.parse().ok()
}

pub(crate) const LSM_FILE: &str = "/sys/kernel/security/lsm";
pub const INITIAL_USER_NS: u64 = 0xEFFF_FFFD;
pub const INITIAL_PID_NS: u64 = 0xEFFF_FFFC;
pub const INITIAL_CGROUP_NS: u64 = 0xEFFF_FFFB;
/// A command number far above any that exists.
const UNKNOWN_COMMAND: u32 = 9999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_by_number() {
        let parsed = Version::parse("6.18.44-fc-v657").unwrap();
        assert_eq!(parsed, Version { major: 6, minor: 18, patch: 44 });
        assert!(parsed > Version::parse("6.9").unwrap() && Version::parse("rc").is_none());
        assert_eq!(Version::parse("5.10").unwrap().code(), 0x050a00);
    }

    #[test]
    fn brackets_and_inodes() {
        assert_eq!(chosen("none [integrity] confidentiality"), Some("integrity"));
        assert_eq!(inode_of("user:[4026531837]"), Some(INITIAL_USER_NS));
        assert_eq!(inode_of("user"), None);
    }
}
