//! What `/proc/self/status` says about privilege: capability sets, seccomp, no_new_privs. In: its text (proc(5)); out: numbers,
//! each absent when the kernel does not print it.

/// Privilege of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    pub effective: Option<u64>,
    pub permitted: Option<u64>,
    pub bounding: Option<u64>,
    pub ambient: Option<u64>,
    /// 0 none, 1 strict, 2 filter.
    pub seccomp: Option<u32>,
    pub no_new_privs: Option<bool>,
}

pub fn parse(text: &str) -> Status {
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| *name == key).map(|(_, value)| value.trim())
    };
    let set = |key: &str| value(key).and_then(|v| u64::from_str_radix(v, 16).ok());
    Status {
        effective: set("CapEff"),
        permitted: set("CapPrm"),
        bounding: set("CapBnd"),
        ambient: set("CapAmb"),
        seccomp: value("Seccomp").and_then(|v| v.parse().ok()),
        no_new_privs: value("NoNewPrivs").map(|v| v == "1"),
    }
}

/// Numbers of `include/uapi/linux/capability.h`, in order.
pub const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Number of a capability by name, with or without `CAP_`, in any case.
pub fn capability(name: &str) -> Option<u32> {
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    CAPABILITIES.iter().position(|known| *known == full).and_then(|at| u32::try_from(at).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_modes() {
        let status = parse("Name:\tx\nCapEff:\t000001fffeffffff\nCapBnd:\t0\nNoNewPrivs:\t1\nSeccomp:\t2\n");
        assert_eq!(status.effective.map(|set| set >> 24 & 1), Some(0));
        assert_eq!((status.bounding, status.permitted, status.seccomp), (Some(0), None, Some(2)));
        assert_eq!(status.no_new_privs, Some(true));
        assert_eq!((capability("bpf"), capability("CAP_SYS_ADMIN"), capability("nope")), (Some(39), Some(21), None));
    }
}
