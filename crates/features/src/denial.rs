//! Who refused: in, the machine, what was asked and the errno; out, the cause that explains it with the remedy. A refusal is
//! blamed on a policy only when every ordinary cause (seccomp, capability, user namespace, memlock, lockdown) is ruled out.

use crate::answer::{Answer, Cause, Reason, errno_words};
use crate::machine::Machine;
use host::status::CAPABILITIES;

/// EPERM or EACCES before anything was checked.
pub fn explain(machine: &Machine, what: &str, needs: &[u32], errno: i32) -> Answer {
    let reason = by_seccomp(machine, what)
        .or_else(|| by_capability(machine, what, needs))
        .or_else(|| by_namespace(machine, what))
        .or_else(|| by_memlock(machine, what))
        .unwrap_or_else(|| by_policy(machine, what, needs, errno));
    Answer::Unsupported(reason.errno(errno))
}

/// Whether a seccomp filter stands between this process and bpf(2).
pub fn seccomp_refuses_bpf(machine: &Machine) -> bool {
    let filtered = machine.status().seccomp.is_some_and(|mode| mode > 0);
    filtered
        && !matches!(machine.bpf_errno(), libc_errno::EINVAL | libc_errno::EFAULT)
        && machine_is_privileged(machine)
        || filtered && matches!(machine.bpf_errno(), libc_errno::ENOSYS)
}

fn by_seccomp(machine: &Machine, what: &str) -> Option<Reason> {
    seccomp_refuses_bpf(machine).then(|| {
        Reason::new(Cause::Seccomp, format!("{what}: a seccomp filter of this process refuses the bpf system call"))
            .fix("allow bpf in the seccomp profile (for containers: --security-opt seccomp=PROFILE)")
    })
}

fn by_capability(machine: &Machine, what: &str, needs: &[u32]) -> Option<Reason> {
    let needs = if machine.is_at_least("5.8") { needs } else { &[CAP_SYS_ADMIN] };
    if machine.holds(CAP_SYS_ADMIN) {
        return None;
    }
    let missing: Vec<&str> =
        needs.iter().filter(|cap| !machine.holds(**cap)).map(|cap| capability_name(*cap)).collect();
    if missing.is_empty() {
        return None;
    }
    let list = missing.join(" and ");
    let lost = if root_without(machine, needs) { " although it runs as root" } else { "" };
    Some(
        Reason::new(Cause::MissingCapability, format!("{what}: this process does not hold {list}{lost}"))
            .fix(format!("run as root or add {list} (CAP_SYS_ADMIN stands for all of these)")),
    )
}

fn by_namespace(machine: &Machine, what: &str) -> Option<Reason> {
    let Answer::Unsupported(_) = machine.initial_user_namespace() else { return None };
    let text =
        format!("{what}: capabilities of this process count only in its own user namespace, not in the initial one");
    Some(
        Reason::new(Cause::UserNamespace, text)
            .fix("run as root of the host, or delegate BPF with a token (bpffs delegate options, Linux 6.9)"),
    )
}

fn by_memlock(machine: &Machine, what: &str) -> Option<Reason> {
    if machine.is_at_least("5.11") {
        return None;
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current?;
    (limit < ENOUGH_MEMLOCK).then(|| {
        Reason::new(
            Cause::Memlock,
            format!("{what}: RLIMIT_MEMLOCK is {limit} bytes and this kernel charges BPF memory to it"),
        )
        .fix("raise it: ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit")
    })
}

fn by_policy(machine: &Machine, what: &str, needs: &[u32], errno: i32) -> Reason {
    let held: Vec<&str> = needs.iter().map(|cap| capability_name(*cap)).collect();
    let held =
        if held.is_empty() { String::new() } else { format!(" although this process holds {}", held.join(" and ")) };
    let text = format!(
        "{what}: a security policy of this kernel refuses it before the verifier ({}){held}{}",
        errno_words(errno),
        surroundings(machine)
    );
    Reason::new(Cause::Policy, text).fix("no setting of this process helps: change the policy of the kernel or its host, or use another program type that loads here")
}

/// What is known about who could be the policy.
pub fn surroundings(machine: &Machine) -> String {
    let lockdown = machine.lockdown().map(|mode| format!("lockdown={mode}"));
    let lsms = machine.lsms().ok().map(|lsms| format!("active LSMs {}", lsms.names.join(",")));
    let known: Vec<String> = lockdown.into_iter().chain(lsms).collect();
    if known.is_empty() { String::new() } else { format!("; {}", known.join(", ")) }
}

/// Name of a capability number.
pub fn capability_name(number: u32) -> &'static str {
    CAPABILITIES.get(number as usize).copied().unwrap_or("CAP_UNKNOWN")
}

/// The capabilities that the kernel asks for a program type besides CAP_BPF (`bpf_prog_load` in kernel/bpf/syscall.c).
pub fn program_needs(program_type: u32) -> &'static [u32] {
    match program_type {
        2 | 5 | 7 | 17 | 24 | 26 | 27 | 29 => &[CAP_BPF, CAP_PERFMON],
        28 => &[CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN],
        1 | 8 | 31 => &[CAP_BPF],
        _ => &[CAP_BPF, CAP_NET_ADMIN],
    }
}

fn machine_is_privileged(machine: &Machine) -> bool {
    machine.is_at_least("5.19") || machine.holds(CAP_SYS_ADMIN) || machine.holds(CAP_BPF)
}

fn root_without(machine: &Machine, needs: &[u32]) -> bool {
    rustix::process::geteuid().is_root() && needs.iter().any(|cap| !machine.holds(*cap))
}

pub(crate) mod libc_errno {
    //! The numbers that decide an answer; the same on every Linux architecture that has bpf(2).
    pub const EPERM: i32 = 1;
    pub const ENOENT: i32 = 2;
    pub const E2BIG: i32 = 7;
    pub const EBADF: i32 = 9;
    pub const EACCES: i32 = 13;
    pub const EFAULT: i32 = 14;
    pub const EINVAL: i32 = 22;
    pub const ENOSYS: i32 = 38;
    pub const EOPNOTSUPP: i32 = 95;
    pub const ENOTSUPP: i32 = 524;
}

pub const CAP_NET_ADMIN: u32 = 12;
pub const CAP_SYS_ADMIN: u32 = 21;
pub const CAP_PERFMON: u32 = 38;
pub const CAP_BPF: u32 = 39;
/// A handful of maps and programs fits.
const ENOUGH_MEMLOCK: u64 = 1 << 20;
