//! The surroundings of the kernel's answers: who we are, what guards the kernel, how the host is set up. In: a [`Machine`]; out,
//! one value for reports. Facts only; what cannot be read is absent, never guessed.

use crate::answer::Answer;
use crate::machine::{INITIAL_CGROUP_NS, INITIAL_PID_NS, INITIAL_USER_NS, Machine};
use crate::{legacy, sysctl};
use host::status::CAPABILITIES;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Host and security context.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    pub release: String,
    pub architecture: String,
    /// Names of effective capabilities.
    pub effective: Vec<String>,
    pub permitted: Vec<String>,
    pub bounding: Vec<String>,
    /// `initial`, `child` or `unknown` by namespace kind.
    pub namespaces: BTreeMap<String, String>,
    /// Hints of a container runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// `none`, `integrity`, `confidentiality`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lockdown: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lsms: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lsm_label: Option<String>,
    /// `none`, `strict` or `filter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_new_privs: Option<bool>,
    /// Settings by dotted name; those that cannot be read are left out.
    pub sysctls: BTreeMap<String, String>,
    /// Bytes; `None` is unlimited.
    pub memlock_bytes: Option<u64>,
    /// Mount point by file system, for those that matter to BPF.
    pub mounts: BTreeMap<String, String>,
    pub cgroups: String,
    pub preemption: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_source: Option<String>,
    pub mitigations: BTreeMap<String, String>,
    /// Words of the kernel command line that change what BPF may do.
    pub boot: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub btf_bytes: Option<u64>,
}

impl Context {
    pub fn of(machine: &Machine) -> Self {
        let status = machine.status();
        let config = machine.config().ok();
        Context {
            release: machine.release.clone(),
            architecture: std::env::consts::ARCH.into(),
            effective: names(status.effective),
            permitted: names(status.permitted),
            bounding: names(status.bounding),
            namespaces: namespaces(machine),
            container: container(machine),
            lockdown: machine.lockdown().map(ToOwned::to_owned),
            lsms: machine.lsms().ok().map(|lsms| lsms.names.clone()),
            lsm_label: machine
                .root
                .value("/proc/self/attr/current")
                .ok()
                .map(|t| t.trim_matches('\0').to_owned())
                .filter(|t| !t.is_empty()),
            seccomp: status
                .seccomp
                .map(|mode| ["none", "strict", "filter"].get(mode as usize).copied().unwrap_or("unknown").to_owned()),
            no_new_privs: status.no_new_privs,
            sysctls: sysctls(machine),
            memlock_bytes: rustix::process::getrlimit(rustix::process::Resource::Memlock).current,
            mounts: mounts(machine),
            cgroups: host::mounts::cgroups(machine.mounts()).name().into(),
            preemption: preemption(machine),
            config_source: config.map(|config| config.source.clone()),
            mitigations: mitigations(machine),
            boot: BOOT_WORDS.iter().filter_map(|key| Some(((*key).to_owned(), machine.boot_parameter(key)?))).collect(),
            btf_bytes: machine.btf.header().ok(),
        }
    }

    /// Everything but the given capabilities is held.
    pub fn missing_capabilities(&self) -> Vec<&'static str> {
        CAPABILITIES.iter().copied().filter(|name| !self.effective.iter().any(|held| held == name)).collect()
    }
}

fn names(set: Option<u64>) -> Vec<String> {
    let set = set.unwrap_or(0);
    CAPABILITIES.iter().enumerate().filter(|(at, _)| set >> at & 1 != 0).map(|(_, name)| (*name).to_owned()).collect()
}

fn namespaces(machine: &Machine) -> BTreeMap<String, String> {
    let kinds = [
        ("user", INITIAL_USER_NS),
        ("pid", INITIAL_PID_NS),
        ("cgroup", INITIAL_CGROUP_NS),
        ("ipc", 0xEFFF_FFFF),
        ("uts", 0xEFFF_FFFE),
        ("time", 0xEFFF_FFFA),
    ];
    let word = |kind: &str, inode| match machine.namespace(kind, inode) {
        Answer::Supported => "initial",
        Answer::Unsupported(_) => "child",
        Answer::Unknown(_) => "unknown",
    };
    kinds.into_iter().map(|(kind, inode)| (kind.to_owned(), word(kind, inode).to_owned())).collect()
}

/// A mark file alone proves nothing: images keep it when they become virtual machines.
fn container(machine: &Machine) -> Option<String> {
    if !namespaces(machine).values().any(|word| word == "child") {
        return None;
    }
    let marks =
        [("/.dockerenv", "docker"), ("/run/.containerenv", "podman"), ("/run/systemd/container", "systemd-nspawn")];
    let marked = marks.iter().find(|(path, _)| machine.root.exists(path)).map(|(_, name)| (*name).to_owned());
    let kubernetes = machine.root.exists("/var/run/secrets/kubernetes.io").then(|| "kubernetes".to_owned());
    kubernetes.or(marked)
}

fn sysctls(machine: &Machine) -> BTreeMap<String, String> {
    let read = |name: &&str| Some(((*name).to_owned(), sysctl::value(machine, name).ok().flatten()?));
    SYSCTLS.iter().filter_map(read).collect()
}

fn mounts(machine: &Machine) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for mount in machine.mounts().iter().filter(|mount| FILE_SYSTEMS.contains(&mount.fs.as_str())) {
        found.entry(mount.fs.clone()).or_insert_with(|| mount.point.clone());
    }
    found
}

/// The mode at run time where debugfs tells it, else how the kernel was built.
fn preemption(machine: &Machine) -> String {
    // A locked down kernel refuses debugfs and writes a line into its log.
    if matches!(machine.lockdown(), Some("none"))
        && let Ok(text) = machine.root.text("/sys/kernel/debug/sched/preempt")
        && let Some((_, rest)) = text.split_once('(')
        && let Some((mode, _)) = rest.split_once(')')
    {
        return mode.to_owned();
    }
    machine.config().map_or("unknown", |config| legacy::preempt_mode(config).name()).to_owned()
}

fn mitigations(machine: &Machine) -> BTreeMap<String, String> {
    let dir = machine.root.at("/sys/devices/system/cpu/vulnerabilities");
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|e| e.file_name().into_string().ok())
        .map(|name| (name.clone(), legacy::mitigation(machine, &name)))
        .collect()
}

const SYSCTLS: &[&str] = &[
    "kernel.unprivileged_bpf_disabled",
    "kernel.bpf_stats_enabled",
    "kernel.perf_event_paranoid",
    "kernel.kptr_restrict",
    "kernel.yama.ptrace_scope",
    "kernel.modules_disabled",
    "net.core.bpf_jit_enable",
    "net.core.bpf_jit_harden",
    "net.core.bpf_jit_kallsyms",
    "net.core.bpf_jit_limit",
    "user.max_user_namespaces",
    "kernel.unprivileged_userns_clone",
];
const FILE_SYSTEMS: &[&str] = &["bpf", "tracefs", "debugfs", "securityfs", "cgroup", "cgroup2"];
const BOOT_WORDS: &[&str] = &[
    "lsm",
    "security",
    "lockdown",
    "mitigations",
    "preempt",
    "module.sig_enforce",
    "ima_policy",
    "selinux",
    "apparmor",
];
