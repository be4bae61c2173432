//! The reference's view of a machine: in, a [`Machine`]; out, the fields of its `probe` report by name. Fields that no feature
//! covers (directories, mitigations, preemption model) are decided here.

use crate::answer::{Answer, Cause};
use crate::machine::Machine;
use crate::{feature, sysctl};
use host::kconfig::Config;

/// How the kernel was built to preempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preempt {
    Unknown,
    None,
    Voluntary,
    Full,
    Dynamic,
}

impl Preempt {
    pub fn name(self) -> &'static str {
        ["unknown", "none", "voluntary", "full", "dynamic"][self as usize]
    }
}

pub fn preempt_mode(config: &Config) -> Preempt {
    let on = |key: &str| config.value(key) == Some("y");
    match () {
        () if on("PREEMPT_DYNAMIC") => Preempt::Dynamic,
        () if on("PREEMPT") => Preempt::Full,
        () if on("PREEMPT_VOLUNTARY") => Preempt::Voluntary,
        () if on("PREEMPT_NONE") => Preempt::None,
        () => Preempt::Unknown,
    }
}

/// 0 not set, 1 module, 2 built in.
pub fn config_number(config: &Config, key: &str) -> u8 {
    match config.value(key) {
        Some("y") => 2,
        Some("m") => 1,
        _ => 0,
    }
}

/// Whether a file system really is where its directory is; the bare directory of sysfs proves nothing.
pub fn file_system(machine: &Machine, path: &str, fs: &str) -> Answer {
    match crate::mount::magic_of(fs) {
        Some(magic) => crate::mount::is_mounted(machine, path, fs, magic),
        None => Answer::unknown(Cause::Inconclusive, format!("no magic of {fs} is known")),
    }
}

pub fn ima_directory(machine: &Machine) -> Answer {
    if machine.root.exists("/sys/kernel/security/ima") {
        return Answer::Supported;
    }
    Answer::no(Cause::Absent, "/sys/kernel/security/ima does not exist")
}

pub fn jit_kallsyms(machine: &Machine) -> Answer {
    sysctl::on(
        machine,
        "net.core.bpf_jit_kallsyms",
        "JIT symbols are not exported",
        "set net.core.bpf_jit_kallsyms to 1",
    )
}

/// Bytes, 0 when unreadable.
pub fn jit_limit_bytes(machine: &Machine) -> i64 {
    let text = sysctl::value(machine, "net.core.bpf_jit_limit").ok().flatten();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Trimmed text of a file below `/sys/devices/system/cpu/vulnerabilities`, empty when missing.
pub fn mitigation(machine: &Machine, name: &str) -> String {
    machine.root.value(&format!("/sys/devices/system/cpu/vulnerabilities/{name}")).unwrap_or_default()
}

/// The LSM program type alone, without the active list.
pub fn lsm_program_type(machine: &Machine) -> Answer {
    machine.program_type(29)
}

/// One of the 21 features by name.
pub fn named(machine: &Machine, name: &str) -> Answer {
    match feature::find(name) {
        Some(feature) => feature.on(machine),
        None => Answer::unknown(Cause::Inconclusive, format!("no feature `{name}`")),
    }
}
