//! The 21 named features: in, a name; out, what decides it on this machine as a three-valued answer. The table is the one place
//! where a feature is defined: its name, help, documentation, completion and JSON come from here.

use crate::answer::{Answer, Cause, Reason};
use crate::denial::{self, CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, capability_name, libc_errno as errno};
use crate::kernel_btf::Missing;
use crate::machine::{LSM_FILE, Machine};
use crate::program;
use crate::sysctl;

/// One row of the feature table.
#[derive(Debug)]
pub struct Feature {
    /// Name on the command line.
    pub name: &'static str,
    pub title: &'static str,
    /// First kernel release that can have it.
    pub since: &'static str,
    /// How it is decided.
    pub probed: &'static str,
    pub remedy: &'static str,
    answer: fn(&Machine) -> Answer,
}

impl Feature {
    pub fn on(&self, machine: &Machine) -> Answer {
        (self.answer)(machine)
    }
}

/// The feature of that name, whatever its case, without surrounding white space.
pub fn find(name: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.name.eq_ignore_ascii_case(name.trim()))
}

fn bpf_lsm(machine: &Machine) -> Answer {
    let loads = machine.program_type(LSM);
    match (&loads, machine.lsms()) {
        (Answer::Unsupported(reason), _)
            if matches!(reason.cause, Cause::CompiledOut | Cause::TooOld | Cause::NoBtf) =>
        {
            let text = format!("LSM programs are not supported: {}", reason.text);
            Answer::no(reason.cause, text).fix("use a kernel with CONFIG_BPF_LSM=y")
        }
        (Answer::Unsupported(_) | Answer::Unknown(_), Ok(lsms)) if !has(&lsms.names, "bpf") && is_denied(&loads) => {
            loads
        }
        (Answer::Unsupported(_) | Answer::Unknown(_), _) => loads,
        (Answer::Supported, Ok(lsms)) if has(&lsms.names, "bpf") => Answer::Supported,
        (Answer::Supported, Ok(_)) => lsm_not_listed(machine),
        (Answer::Supported, Err(why)) => lsm_unreadable(why),
    }
}

fn is_denied(answer: &Answer) -> bool {
    matches!(answer.cause(), Some(Cause::Policy | Cause::MissingCapability | Cause::Seccomp | Cause::UserNamespace))
}

fn lsm_not_listed(machine: &Machine) -> Answer {
    match machine.option("BPF_LSM") {
        Some(false) => {
            Answer::no(Cause::CompiledOut, "CONFIG_BPF_LSM is not set").fix("rebuild the kernel with CONFIG_BPF_LSM=y")
        }
        Some(true) => Answer::no(Cause::NotEnabled, "CONFIG_BPF_LSM=y but 'bpf' not in active LSM list")
            .fix("add lsm=...,bpf to kernel boot params"),
        None => Answer::no(Cause::NotEnabled, "not supported: 'bpf' is not in the active LSM list")
            .fix("add bpf to the lsm= boot parameter"),
    }
}

fn lsm_unreadable(why: &str) -> Answer {
    Answer::unknown(Cause::Unreadable, format!("cannot read {LSM_FILE}: {why}"))
        .fix("mount securityfs: mount -t securityfs securityfs /sys/kernel/security")
}

fn btf(machine: &Machine) -> Answer {
    match machine.btf.header() {
        Ok(_) => Answer::Supported,
        Err(Missing::Unreadable { absent: true, .. }) if machine.option("DEBUG_INFO_BTF") == Some(false) => {
            Answer::no(Cause::CompiledOut, "kernel BTF is not there: CONFIG_DEBUG_INFO_BTF is not set")
                .fix("use a kernel built with CONFIG_DEBUG_INFO_BTF=y")
        }
        Err(missing @ Missing::Unreadable { absent: true, .. }) if machine.root.exists("/sys/kernel") => {
            Answer::no(Cause::NoBtf, missing.to_string()).fix("use a kernel built with CONFIG_DEBUG_INFO_BTF=y")
        }
        Err(missing) => Answer::unknown(Cause::Unreadable, missing.to_string())
            .fix("mount sysfs at /sys and make its btf directory readable"),
    }
}

fn ima(machine: &Machine) -> Answer {
    let listed = machine.lsms();
    if listed.is_ok_and(|lsms| has(&lsms.names, "ima")) || machine.root.exists(IMA_DIR) {
        return Answer::Supported;
    }
    if machine.option("IMA") == Some(false) {
        let note = if listed.is_ok_and(|lsms| lsms.source == LSM_FILE) {
            ""
        } else {
            " (securityfs is not mounted; not needed to tell)"
        };
        return Answer::no(Cause::CompiledOut, format!("IMA is not in this kernel: CONFIG_IMA is not set{note}"))
            .fix("use a kernel built with CONFIG_IMA=y");
    }
    match listed {
        // Linux 6.9 made IMA a listed module; before, only its directory in securityfs tells.
        Ok(_) if machine.is_at_least("6.9") || machine.root.exists(LSM_FILE) => {
            Answer::no(Cause::NotEnabled, "not supported: IMA is not active")
                .fix("use a kernel with CONFIG_IMA=y and ima in its lsm= boot parameter")
        }
        Ok(_) => lsm_unreadable("securityfs is not mounted, and before Linux 6.9 only its ima directory tells"),
        Err(why) => lsm_unreadable(why),
    }
}

fn ima_measures(machine: &Machine) -> Answer {
    match ima(machine) {
        Answer::Supported => {}
        Answer::Unsupported(reason) => {
            let text = format!("IMA is not active, so nothing is measured: {}", reason.text);
            return Answer::no(reason.cause, text).fix("enable IMA first");
        }
        unknown @ Answer::Unknown(_) => return unknown,
    }
    match machine.root.value(IMA_COUNT).map(|text| text.parse::<u64>()) {
        Ok(Ok(count)) if count > 1 => Answer::Supported,
        Ok(Ok(_)) => Answer::no(Cause::NotEnabled, "IMA is active but has measured nothing beyond the boot aggregate")
            .fix("write a measure rule to the IMA policy, for example: measure func=BPRM_CHECK"),
        Ok(Err(_)) => Answer::unknown(Cause::Unreadable, format!("{IMA_COUNT} is not a number")),
        Err(error) => {
            Answer::unknown(Cause::Unreadable, format!("cannot read {IMA_COUNT}: {}", sys::errno::of(&error)))
                .fix("mount securityfs and run as root")
        }
    }
}

fn kprobe(machine: &Machine) -> Answer {
    let loads = machine.loads_named("kprobe");
    if !loads.is_supported() {
        return named("kprobe programs cannot be loaded", loads);
    }
    kprobe_events(machine)
}

/// Loading does not need kprobes in the kernel; attaching does. The perf event source is made by CONFIG_KPROBE_EVENTS (4.17).
pub(crate) fn kprobe_events(machine: &Machine) -> Answer {
    if machine.root.exists("/sys/bus/event_source/devices/kprobe")
        || machine.root.exists("/sys/kernel/tracing/kprobe_events")
    {
        return Answer::Supported;
    }
    if machine.option("KPROBE_EVENTS") == Some(true) && !machine.root.exists("/sys/bus/event_source") {
        return Answer::Supported;
    }
    if machine.option("KPROBE_EVENTS").is_none() && !machine.root.exists("/sys/bus/event_source") {
        return Answer::unknown(Cause::Unreadable, "kprobe programs load, but without /sys/bus/event_source and kernel config it cannot be told whether they can attach")
            .fix("mount sysfs at /sys");
    }
    Answer::no(Cause::CompiledOut, "kprobe programs load but cannot attach: this kernel has no kprobe events (CONFIG_KPROBE_EVENTS is off)")
        .fix("use a kernel built with CONFIG_KPROBES=y and CONFIG_KPROBE_EVENTS=y, or use a tracepoint or raw_tracepoint program instead")
}

fn kprobe_multi(machine: &Machine) -> Answer {
    let loads = machine.loads_named("kprobe");
    if !loads.is_supported() {
        return named("kprobe programs cannot be loaded", loads);
    }
    match machine.attach("kprobe_multi") {
        Answer::Unsupported(reason) if matches!(reason.cause, Cause::CompiledOut | Cause::TooOld | Cause::Absent) => {
            Answer::Unsupported(Reason {
                text: format!("kprobe.multi needs Linux 5.18 and CONFIG_FPROBE=y: {}", reason.text),
                ..reason
            })
        }
        answer => answer,
    }
}

fn fentry(machine: &Machine) -> Answer {
    let loads = machine.loads_named("tracing/fentry");
    match loads.cause() {
        Some(Cause::Policy) => {
            let works: Vec<&str> =
                ALTERNATIVES.iter().copied().filter(|name| machine.loads_named(name).is_supported()).collect();
            loads.fix(format!("use one of the tracing programs that load here instead: {}", works.join(", ")))
        }
        Some(Cause::CompiledOut | Cause::TooOld | Cause::Absent) => {
            named("fentry needs the BPF trampoline and BTF (x86-64 5.5, arm64 6.0)", loads)
        }
        _ => loads,
    }
}

fn tracepoint(machine: &Machine) -> Answer {
    named("tracepoint programs (perf events and tracepoints) cannot be loaded", machine.loads_named("tracepoint"))
}

/// Whether a capability is in the effective set and counts for the kernel.
pub fn capability(machine: &Machine, number: u32) -> Answer {
    let name = capability_name(number);
    let Some(effective) = machine.status().effective else {
        return Answer::unknown(Cause::Unreadable, "the capabilities of this process cannot be read");
    };
    if effective >> number & 1 == 0 {
        let bounded = machine.status().bounding.is_some_and(|set| set >> number & 1 == 0);
        let note = if bounded { ", and its bounding set forbids it" } else { "" };
        return Answer::no(Cause::MissingCapability, format!("missing {name}: it is not in the effective set{note}"))
            .fix(format!("run as root or grant {name} (setcap, AmbientCapabilities=, --cap-add)"));
    }
    match machine.initial_user_namespace() {
        Answer::Unsupported(_) => Answer::no(
            Cause::UserNamespace,
            format!("{name} is held only in a child user namespace, where the kernel does not count it"),
        )
        .fix("run as root of the host"),
        _ => Answer::Supported,
    }
}

fn cap_bpf(machine: &Machine) -> Answer {
    capability(machine, CAP_BPF)
}

fn cap_sys_admin(machine: &Machine) -> Answer {
    capability(machine, CAP_SYS_ADMIN)
}

fn cap_perfmon(machine: &Machine) -> Answer {
    capability(machine, CAP_PERFMON)
}

fn jit_enabled(machine: &Machine) -> Answer {
    if machine.option("BPF_JIT_ALWAYS_ON") == Some(true)
        && !machine.root.exists(sysctl::path("net.core.bpf_jit_enable").as_str())
    {
        return Answer::Supported;
    }
    sysctl::on(machine, "net.core.bpf_jit_enable", "BPF JIT disabled", "set net.core.bpf_jit_enable to 1")
}

fn jit_hardened(machine: &Machine) -> Answer {
    sysctl::on(machine, "net.core.bpf_jit_harden", "BPF JIT hardening is off", "set net.core.bpf_jit_harden to 1 or 2")
}

fn bpf_syscall(machine: &Machine) -> Answer {
    match machine.bpf_errno() {
        errno::ENOSYS => program::no_syscall(machine),
        refusal @ (errno::EPERM | errno::EACCES) if denial::seccomp_refuses_bpf(machine) => {
            denial::explain(machine, "bpf()", &[], refusal)
        }
        other
            if !matches!(other, 0 | errno::EPERM | errno::EACCES | errno::EINVAL | errno::EFAULT | errno::E2BIG)
                && machine.status().seccomp.is_some_and(|m| m > 0) =>
        {
            denial::explain(machine, "bpf()", &[], other)
        }
        _ => Answer::Supported,
    }
}

fn perf_event_open(machine: &Machine) -> Answer {
    let filtered = machine.status().seccomp.is_some_and(|mode| mode > 0);
    match sys::perf::ask_perf_event_open() {
        errno::ENOSYS if !filtered || machine.option("PERF_EVENTS") == Some(false) => Answer::no(
            Cause::CompiledOut,
            "perf_event_open is not there: the kernel is too old or CONFIG_PERF_EVENTS is off",
        )
        .fix("use a kernel built with CONFIG_PERF_EVENTS=y"),
        0 | errno::EINVAL => Answer::Supported,
        refusal if filtered => Answer::Unsupported(
            Reason::new(Cause::Seccomp, "a seccomp filter of this process refuses the perf_event_open system call")
                .errno(refusal)
                .fix("allow perf_event_open in the seccomp profile"),
        ),
        refusal => denial::explain(machine, "perf_event_open()", &[CAP_PERFMON], refusal),
    }
}

fn sleepable(machine: &Machine) -> Answer {
    if SLEEPABLE_SHAPES.iter().any(|name| machine.loads_named(name).is_supported()) {
        return Answer::Supported;
    }
    let answers: Vec<Answer> = SLEEPABLE_SHAPES.iter().map(|name| machine.loads_named(name)).collect();
    let denied = answers.iter().find(|answer| is_denied(answer)).or(answers.first());
    let model = machine.config().ok().map(crate::legacy::preempt_mode);
    let note =
        model.map(|model| format!(" (preemption model: {}; it does not matter)", model.name())).unwrap_or_default();
    match denied {
        Some(answer) => named(&format!("no sleepable program type can be loaded{note}"), answer.clone()),
        None => Answer::unknown(Cause::Inconclusive, "no sleepable program type is known"),
    }
}

fn trace_fs(machine: &Machine) -> Answer {
    let first = crate::mount::is_mounted(machine, "/sys/kernel/tracing", "tracefs", TRACEFS_MAGIC);
    if first.is_supported()
        || crate::mount::is_mounted(machine, "/sys/kernel/debug/tracing", "tracefs", TRACEFS_MAGIC).is_supported()
    {
        return Answer::Supported;
    }
    first
}

fn bpf_fs(machine: &Machine) -> Answer {
    crate::mount::is_mounted(machine, "/sys/fs/bpf", "bpf", BPFFS_MAGIC)
}

fn init_user_ns(machine: &Machine) -> Answer {
    machine.initial_user_namespace()
}

fn unprivileged_disabled(machine: &Machine) -> Answer {
    match sysctl::value(machine, "kernel.unprivileged_bpf_disabled") {
        Ok(Some(value)) if value == "1" || value == "2" => Answer::Supported,
        Ok(Some(value)) => Answer::no(
            Cause::NotEnabled,
            format!("unprivileged BPF is enabled (kernel.unprivileged_bpf_disabled={value})"),
        )
        .fix("set kernel.unprivileged_bpf_disabled to 1 or 2"),
        Ok(None) => Answer::no(Cause::Absent, "this kernel has no kernel.unprivileged_bpf_disabled")
            .fix("use a kernel built with CONFIG_BPF_SYSCALL=y"),
        Err(reason) => Answer::Unknown(reason),
    }
}

fn bpf_stats(machine: &Machine) -> Answer {
    sysctl::on(
        machine,
        "kernel.bpf_stats_enabled",
        "BPF statistics are off by sysctl (a process may still hold them on with BPF_ENABLE_STATS)",
        "set kernel.bpf_stats_enabled to 1",
    )
}

/// Prefixes a reason with what it is about.
fn named(what: &str, answer: Answer) -> Answer {
    let prefixed = |reason: Reason| Reason { text: format!("{what}: {}", reason.text), ..reason };
    match answer {
        Answer::Supported => Answer::Supported,
        Answer::Unsupported(reason) => Answer::Unsupported(prefixed(reason)),
        Answer::Unknown(reason) => Answer::Unknown(prefixed(reason)),
    }
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known == name)
}

impl Machine {
    /// Whether a shape of the program table loads, by its name.
    pub fn loads_named(&self, name: &str) -> Answer {
        match program::shape(name) {
            Some(shape) => self.loads(shape),
            None => Answer::unknown(Cause::Inconclusive, format!("no program shape `{name}`")),
        }
    }
}

const LSM: u32 = 29;
const IMA_DIR: &str = "/sys/kernel/security/ima";
const IMA_COUNT: &str = "/sys/kernel/security/ima/runtime_measurements_count";
/// `TRACEFS_MAGIC` and `BPF_FS_MAGIC` of `include/uapi/linux/magic.h`.
pub const TRACEFS_MAGIC: u32 = 0x7472_6163;
pub const BPFFS_MAGIC: u32 = 0xcafe_4a11;
const SLEEPABLE_SHAPES: &[&str] = &["syscall", "lsm/sleepable", "uprobe/sleepable", "tracing/iter/sleepable"];
/// What can stand in for fentry.
pub const ALTERNATIVES: &[&str] = &["tracing/tp_btf", "raw_tracepoint", "tracepoint", "tracing/iter"];

macro_rules! features {
    ($($name:literal $title:literal $since:literal $answer:ident $probed:literal $remedy:literal;)*) => {
        /// Every named feature, in the order of help and completion.
        pub const FEATURES: &[Feature] = &[
            $(Feature { name: $name, title: $title, since: $since, probed: $probed, remedy: $remedy, answer: $answer },)*
        ];
    };
}

features! {
    "bpf-lsm" "BPF LSM programs" "5.7" bpf_lsm
        "an LSM program loads and `bpf` is in the active LSM list" "CONFIG_BPF_LSM=y and lsm=...,bpf on the kernel command line";
    "btf" "Kernel type information" "5.2" btf
        "the header of /sys/kernel/btf/vmlinux is sound" "CONFIG_DEBUG_INFO_BTF=y";
    "ima" "Integrity Measurement Architecture" "2.6.30" ima
        "`ima` is in the active LSM list, or (before 6.9) its directory is in securityfs" "CONFIG_IMA=y";
    "kprobe" "Kernel probes" "4.1" kprobe
        "a kprobe program loads and the kernel has kprobe events to attach it to" "CONFIG_KPROBES=y and CONFIG_KPROBE_EVENTS=y";
    "kprobe-multi" "Kernel probes on many functions" "5.18" kprobe_multi
        "a kprobe.multi link with an invalid flag is refused as invalid, not as unsupported" "Linux 5.18 and CONFIG_FPROBE=y";
    "fentry" "Function entry and exit programs" "5.5" fentry
        "a program for entry of the kernel function `bpf_init` loads" "BPF trampoline and CONFIG_DEBUG_INFO_BTF=y";
    "tracepoint" "Tracepoint programs" "4.7" tracepoint
        "a tracepoint program loads" "CONFIG_BPF_EVENTS=y";
    "cap-bpf" "CAP_BPF" "5.8" cap_bpf
        "in the effective set, and counting in the initial user namespace" "run as root or grant CAP_BPF";
    "cap-sys-admin" "CAP_SYS_ADMIN" "2.2" cap_sys_admin
        "in the effective set, and counting in the initial user namespace" "run as root or grant CAP_SYS_ADMIN";
    "cap-perfmon" "CAP_PERFMON" "5.8" cap_perfmon
        "in the effective set, and counting in the initial user namespace" "run as root or grant CAP_PERFMON";
    "jit-enabled" "BPF just-in-time compiler" "3.0" jit_enabled
        "sysctl net.core.bpf_jit_enable is not 0" "sysctl -w net.core.bpf_jit_enable=1";
    "jit-hardened" "Hardened BPF JIT" "4.7" jit_hardened
        "sysctl net.core.bpf_jit_harden is not 0" "sysctl -w net.core.bpf_jit_harden=1";
    "bpf-syscall" "bpf(2)" "3.18" bpf_syscall
        "the call answers, and no seccomp filter stands before it" "CONFIG_BPF_SYSCALL=y";
    "perf-event-open" "perf_event_open(2)" "2.6.32" perf_event_open
        "the call refuses an invalid flag, and no seccomp filter stands before it" "CONFIG_PERF_EVENTS=y";
    "sleepable-bpf" "Sleepable programs" "5.10" sleepable
        "a program with BPF_F_SLEEPABLE loads" "Linux 5.10 or later";
    "trace-fs" "Tracing file system" "4.1" trace_fs
        "tracefs is mounted at /sys/kernel/tracing or /sys/kernel/debug/tracing" "mount -t tracefs tracefs /sys/kernel/tracing";
    "bpf-fs" "BPF file system" "4.4" bpf_fs
        "bpffs is mounted at /sys/fs/bpf" "mount -t bpf bpf /sys/fs/bpf";
    "init-user-ns" "Initial user namespace" "3.8" init_user_ns
        "/proc/self/ns/user has the fixed first inode number" "run outside containers with their own user namespace";
    "unprivileged-bpf-disabled" "Unprivileged BPF is off" "4.4" unprivileged_disabled
        "sysctl kernel.unprivileged_bpf_disabled is 1 or 2" "sysctl -w kernel.unprivileged_bpf_disabled=2";
    "bpf-stats-enabled" "BPF run-time statistics" "5.1" bpf_stats
        "sysctl kernel.bpf_stats_enabled is not 0" "sysctl -w kernel.bpf_stats_enabled=1";
    "ima-any-measurement-active" "IMA measures" "2.6.30" ima_measures
        "IMA's run-time count is above the boot aggregate; nothing is executed" "a measure rule in the IMA policy";
}
