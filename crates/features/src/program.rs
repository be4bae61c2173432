//! Whether programs load: in, a [`Shape`] (type, attach type, flags, target); out, a three-valued answer with the cause. A probe
//! program is `r0 = 0; exit`; it is closed at once and never attached. The verifier's log is asked for only when the kernel
//! refused, to tell a refusal before the verifier from one by it.

use crate::answer::{Answer, Cause, Reason, errno_words};
use crate::denial::{self, libc_errno as errno};
use crate::kernel_btf as names;
use crate::machine::Machine;
use elf::btf::Kind;
use elf::uapi;
use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use sys::bpf::{Errno, ProgramLoad};

/// One way to load a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Short id, for example `tracing/fentry`.
    pub name: &'static str,
    pub program_type: u32,
    pub attach_type: u32,
    pub flags: u32,
    /// A name in the kernel's BTF, empty for none.
    pub target: &'static str,
    pub since: &'static str,
    /// What must be built in.
    pub option: &'static str,
}

/// Answers already given.
#[derive(Debug, Default)]
pub struct Cache {
    answers: RefCell<HashMap<Shape, Answer>>,
    /// Number of the first member that a program could be loaded for, by struct_ops type.
    members: RefCell<HashMap<&'static str, u32>>,
}

impl Machine {
    /// Whether this shape loads here.
    pub fn loads(&self, shape: &Shape) -> Answer {
        if let Some(known) = self.programs.answers.borrow().get(shape) {
            return known.clone();
        }
        let answer = probe(self, shape);
        self.programs.answers.borrow_mut().insert(*shape, answer.clone());
        answer
    }

    /// Whether a program type loads in any of its shapes; for a type with several, what fails is in their own answers.
    pub fn program_type(&self, id: u32) -> Answer {
        let mut answers = shapes(id).map(|shape| self.loads(shape));
        let Some(first) = answers.next() else {
            return Answer::unknown(Cause::Inconclusive, format!("program type {id} is newer than this tool knows"));
        };
        if first.is_supported() || answers.any(|answer| answer.is_supported()) { Answer::Supported } else { first }
    }
}

/// The shapes of a program type, the most ordinary first.
pub fn shapes(program_type: u32) -> impl Iterator<Item = &'static Shape> {
    let ordinary = |shape: &Shape| shape.flags & SLEEPABLE == 0 || shape.program_type == SYSCALL;
    SHAPES.iter().filter(move |shape| shape.program_type == program_type && ordinary(shape))
}

pub fn shape(name: &str) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.name == name)
}

/// Loads a shape's program with given instructions; the raw door for helper and instruction probes.
pub(crate) fn load(
    machine: &Machine,
    shape: &Shape,
    insns: &[u64],
    log: Option<&mut Vec<u8>>,
) -> Result<OwnedFd, Errno> {
    sys::bpf::program_load(&request(machine, shape, insns), log)
}

pub(crate) fn request<'a>(machine: &Machine, shape: &Shape, insns: &'a [u64]) -> ProgramLoad<'a> {
    let mut request = ProgramLoad::new(shape.program_type, insns);
    request.expected_attach_type = shape.attach_type;
    request.flags = shape.flags;
    request.kernel_version = if shape.program_type == KPROBE { machine.version().code() } else { 0 };
    if !shape.target.is_empty() {
        request.attach_btf_id = machine.btf.id(target_kind(shape), shape.target).ok().flatten().unwrap_or(0);
    }
    if let Some(member) = machine.programs.members.borrow().get(shape.target) {
        request.expected_attach_type = *member;
    }
    request
}

fn probe(machine: &Machine, shape: &Shape) -> Answer {
    if let Some(answer) = refused_for_any_target(machine, shape) {
        return answer;
    }
    if !shape.target.is_empty()
        && let Some(answer) = missing_target(machine, shape)
    {
        return answer;
    }
    let outcome = match shape.program_type {
        EXTENSION => load_extension(),
        STRUCT_OPS if !shape.target.is_empty() => load_member(machine, shape),
        _ => load(machine, shape, RETURN_0, None),
    };
    match outcome {
        Ok(_) => Answer::Supported,
        Err(errno::ENOTSUPP) if shape.program_type == STRUCT_OPS => Answer::Supported,
        Err(errno::EINVAL | errno::E2BIG) => absent(machine, shape),
        Err(refusal @ (errno::EPERM | errno::EACCES)) => refused(machine, shape, refusal),
        Err(errno::ENOSYS) => no_syscall(machine),
        Err(other) => Answer::Unknown(
            Reason::new(Cause::Inconclusive, format!("load {} program: {}", shape.name, errno_words(other)))
                .errno(other),
        ),
    }
}

/// A policy or a missing capability answers before the target is looked at, so its number need not be known.
fn refused_for_any_target(machine: &Machine, shape: &Shape) -> Option<Answer> {
    if shape.target.is_empty() {
        return None;
    }
    let mut any = ProgramLoad::new(shape.program_type, RETURN_0);
    (any.expected_attach_type, any.flags, any.attach_btf_id) = (shape.attach_type, shape.flags, 1);
    let mut log = Vec::new();
    match sys::bpf::program_load(&any, Some(&mut log)) {
        Err(refusal @ errno::EPERM) if log.is_empty() => Some(denied(machine, shape, refusal)),
        _ => None,
    }
}

/// BTF tracepoints are named by a typedef, struct_ops programs by the type they are a member of, everything else by a function.
fn target_kind(shape: &Shape) -> Kind {
    match shape.program_type {
        STRUCT_OPS => Kind::Struct,
        _ if shape.attach_type == TRACE_RAW_TP => Kind::Typedef,
        _ => Kind::Func,
    }
}

/// Not every member of a struct_ops type takes a program: tried in order until one does, which is then remembered.
fn load_member(machine: &Machine, shape: &Shape) -> Result<OwnedFd, Errno> {
    let mut answer = Err(errno::EINVAL);
    for member in 0..MOST_MEMBERS {
        let mut request = request(machine, shape, RETURN_0);
        request.expected_attach_type = member;
        answer = sys::bpf::program_load(&request, None);
        if answer.is_ok() {
            machine.programs.members.borrow_mut().insert(shape.target, member);
        }
        if matches!(answer, Ok(_) | Err(errno::EPERM | errno::ENOSYS)) {
            break;
        }
    }
    answer.map_err(|said| if said == errno::ENOTSUPP { errno::EINVAL } else { said })
}

fn missing_target(machine: &Machine, shape: &Shape) -> Option<Answer> {
    match machine.btf.id(target_kind(shape), shape.target) {
        Ok(Some(_)) => None,
        Ok(None) if !machine.is_at_least(shape.since) => Some(too_old(machine, shape)),
        Ok(None) => Some(without(shape, format!("`{}` is not in the kernel's BTF", shape.target))),
        Err(missing) => Some(
            Answer::no(Cause::NoBtf, format!("{} programs need the kernel's BTF: {missing}", shape.name))
                .fix("use a kernel built with CONFIG_DEBUG_INFO_BTF=y"),
        ),
    }
}

fn absent(machine: &Machine, shape: &Shape) -> Answer {
    if !machine.is_at_least(shape.since) {
        return too_old(machine, shape);
    }
    without(shape, format!("{} programs are not in this kernel", shape.name))
}

fn without(shape: &Shape, text: String) -> Answer {
    if shape.option.is_empty() {
        return Answer::no(Cause::Absent, text);
    }
    Answer::no(Cause::CompiledOut, format!("{text} ({} is off)", shape.option))
        .fix(format!("use a kernel built with {}=y", shape.option))
}

fn too_old(machine: &Machine, shape: &Shape) -> Answer {
    let text = format!("{} programs came with Linux {}; this is {}", shape.name, shape.since, machine.release);
    Answer::no(Cause::TooOld, text).fix(format!("use Linux {} or later", shape.since))
}

fn refused(machine: &Machine, shape: &Shape, refusal: Errno) -> Answer {
    let mut log = Vec::new();
    let verified =
        shape.program_type != EXTENSION && load(machine, shape, RETURN_0, Some(&mut log)).is_err() && !log.is_empty();
    if verified {
        let said = String::from_utf8_lossy(&log).lines().next_back().unwrap_or("").to_owned();
        let text = format!("{} program: the verifier refused it: {said}", shape.name);
        return Answer::Unknown(Reason::new(Cause::Inconclusive, text).errno(refusal));
    }
    denied(machine, shape, refusal)
}

fn denied(machine: &Machine, shape: &Shape, refusal: Errno) -> Answer {
    denial::explain(machine, &format!("{} programs", shape.name), denial::program_needs(shape.program_type), refusal)
}

pub(crate) fn no_syscall(machine: &Machine) -> Answer {
    if denial::seccomp_refuses_bpf(machine) {
        return denial::explain(machine, "bpf()", &[], errno::ENOSYS);
    }
    Answer::Unsupported(
        Reason::new(Cause::CompiledOut, "the kernel has no bpf system call")
            .errno(errno::ENOSYS)
            .fix("use a kernel built with CONFIG_BPF_SYSCALL=y"),
    )
}

/// An extension replaces a function of another program, so a small XDP program with BTF is loaded first.
fn load_extension() -> Result<OwnedFd, Errno> {
    let btf = sys::bpf::btf_load(&extension_btf())?;
    let func_info: Vec<u8> = [0u32, EXTENSION_FUNC_ID].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut target = ProgramLoad::new(XDP, RETURN_0);
    (target.btf, target.func_info) = (Some(btf.as_fd()), &func_info);
    let target = sys::bpf::program_load(&target, None)?;
    let mut extension = ProgramLoad::new(EXTENSION, RETURN_0);
    (extension.btf, extension.func_info) = (Some(btf.as_fd()), &func_info);
    (extension.attach_btf_id, extension.attach_to) = (EXTENSION_FUNC_ID, Some(target.as_fd()));
    sys::bpf::program_load(&extension, None)
}

/// `struct xdp_md; int a(struct xdp_md *ctx)` as BTF: int, struct, pointer, prototype, function.
fn extension_btf() -> Vec<u8> {
    let strings = b"\0int\0xdp_md\0ctx\0a\0";
    let types: [u32; 20] = [
        1,
        1 << 24,
        4,
        0x0100_0020, // 1: int, 32 bits, signed
        5,
        4 << 24,
        0, // 2: struct xdp_md, no members
        0,
        2 << 24,
        2, // 3: pointer to 2
        0,
        13 << 24 | 1,
        1,
        12,
        3, // 4: int (ctx: 3)
        16,
        12 << 24 | 1,
        4, // 5: func a, global
        0,
        0,
    ];
    let used = &types[..18];
    let type_bytes = (used.len() * 4) as u32;
    let mut out: Vec<u8> = 0xeb9fu16.to_ne_bytes().to_vec();
    out.extend([1, 0]);
    for word in [24, 0, type_bytes, type_bytes, strings.len() as u32] {
        out.extend(word.to_ne_bytes());
    }
    out.extend(used.iter().flat_map(|word| word.to_ne_bytes()));
    out.extend(strings);
    out
}

/// One instruction in this machine's byte order.
pub(crate) const fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> u64 {
    let (o, i) = (off.to_ne_bytes(), imm.to_ne_bytes());
    let regs = if cfg!(target_endian = "little") { src << 4 | dst } else { dst << 4 | src };
    u64::from_ne_bytes([code, regs, o[0], o[1], i[0], i[1], i[2], i[3]])
}

/// The kernel names of a program type and its Go title, for messages.
pub fn type_name(id: u32) -> String {
    uapi::program_type(id).map_or_else(|| format!("program type {id}"), |row| row.name.to_owned())
}

pub(crate) const RETURN_0: &[u64] = &[insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)];
pub(crate) const KPROBE: u32 = 2;
const XDP: u32 = 6;
const STRUCT_OPS: u32 = 27;
const EXTENSION: u32 = 28;
const SYSCALL: u32 = 31;
const TRACE_RAW_TP: u32 = 23;
/// More than any struct_ops type has before its first member that takes a program.
const MOST_MEMBERS: u32 = 24;
const EXTENSION_FUNC_ID: u32 = 5;
/// `BPF_F_SLEEPABLE`.
pub const SLEEPABLE: u32 = 1 << 4;
/// `BPF_F_XDP_HAS_FRAGS`.
const XDP_FRAGS: u32 = 1 << 5;

const fn plain(
    name: &'static str,
    program_type: u32,
    attach_type: u32,
    since: &'static str,
    option: &'static str,
) -> Shape {
    Shape { name, program_type, attach_type, flags: 0, target: "", since, option }
}

const fn on(shape: Shape, target: &'static str) -> Shape {
    Shape { target, ..shape }
}

const fn with(shape: Shape, flags: u32) -> Shape {
    Shape { flags, ..shape }
}

const TRAMPOLINE: &str = "CONFIG_FUNCTION_ERROR_INJECTION";

/// Every shape that is probed, by program type. Options after the kernel's Kconfig files.
pub const SHAPES: &[Shape] = &[
    plain("socket_filter", 1, 0, "3.19", "CONFIG_NET"),
    plain("kprobe", 2, 0, "4.1", "CONFIG_BPF_EVENTS"),
    plain("kprobe/multi", 2, 42, "5.18", "CONFIG_BPF_EVENTS"),
    plain("kprobe/session", 2, 56, "6.10", "CONFIG_BPF_EVENTS"),
    plain("uprobe/multi", 2, 48, "6.6", "CONFIG_BPF_EVENTS"),
    plain("uprobe/session", 2, 57, "6.13", "CONFIG_BPF_EVENTS"),
    with(plain("uprobe/multi/sleepable", 2, 48, "6.6", "CONFIG_BPF_EVENTS"), SLEEPABLE),
    with(plain("uprobe/sleepable", 2, 0, "6.0", "CONFIG_BPF_EVENTS"), SLEEPABLE),
    plain("sched_cls", 3, 0, "4.1", "CONFIG_NET"),
    plain("sched_act", 4, 0, "4.1", "CONFIG_NET"),
    plain("tracepoint", 5, 0, "4.7", "CONFIG_BPF_EVENTS"),
    plain("xdp", 6, 0, "4.8", "CONFIG_NET"),
    with(plain("xdp/frags", 6, 0, "5.18", "CONFIG_NET"), XDP_FRAGS),
    plain("xdp/devmap", 6, 33, "5.8", "CONFIG_NET"),
    plain("xdp/cpumap", 6, 35, "5.9", "CONFIG_NET"),
    plain("perf_event", 7, 0, "4.9", "CONFIG_BPF_EVENTS"),
    plain("cgroup_skb", 8, 0, "4.10", "CONFIG_CGROUP_BPF"),
    plain("cgroup_sock", 9, 2, "4.10", "CONFIG_CGROUP_BPF"),
    plain("lwt_in", 10, 0, "4.10", "CONFIG_LWTUNNEL_BPF"),
    plain("lwt_out", 11, 0, "4.10", "CONFIG_LWTUNNEL_BPF"),
    plain("lwt_xmit", 12, 0, "4.10", "CONFIG_LWTUNNEL_BPF"),
    plain("sock_ops", 13, 3, "4.13", "CONFIG_CGROUP_BPF"),
    plain("sk_skb", 14, 0, "4.14", "CONFIG_BPF_SYSCALL"),
    plain("cgroup_device", 15, 6, "4.15", "CONFIG_CGROUP_BPF"),
    plain("sk_msg", 16, 7, "4.17", "CONFIG_BPF_SYSCALL"),
    plain("raw_tracepoint", 17, 0, "4.17", "CONFIG_BPF_EVENTS"),
    plain("cgroup_sock_addr", 18, 10, "4.17", "CONFIG_CGROUP_BPF"),
    plain("cgroup_sock_addr/unix", 18, 49, "6.7", "CONFIG_CGROUP_BPF"),
    plain("lwt_seg6local", 19, 0, "4.18", "CONFIG_IPV6_SEG6_BPF"),
    plain("lirc_mode2", 20, 16, "4.18", "CONFIG_BPF_LIRC_MODE2"),
    plain("sk_reuseport", 21, 39, "4.19", "CONFIG_INET"),
    plain("flow_dissector", 22, 17, "4.20", "CONFIG_NET"),
    plain("cgroup_sysctl", 23, 18, "5.2", "CONFIG_CGROUP_BPF"),
    plain("raw_tracepoint_writable", 24, 0, "5.2", "CONFIG_BPF_EVENTS"),
    plain("cgroup_sockopt", 25, 21, "5.3", "CONFIG_CGROUP_BPF"),
    on(plain("tracing/fentry", 26, 24, "5.5", "CONFIG_BPF_EVENTS"), names::FENTRY_TARGET),
    on(plain("tracing/fexit", 26, 25, "5.5", "CONFIG_BPF_EVENTS"), names::FENTRY_TARGET),
    on(with(plain("tracing/fentry/sleepable", 26, 24, "5.10", TRAMPOLINE), SLEEPABLE), names::SLEEPABLE_TARGET),
    on(with(plain("tracing/fexit/sleepable", 26, 25, "5.10", TRAMPOLINE), SLEEPABLE), names::SLEEPABLE_TARGET),
    on(plain("tracing/fmod_ret", 26, 26, "5.7", "CONFIG_FUNCTION_ERROR_INJECTION"), names::FMOD_RET_TARGET),
    on(with(plain("tracing/fmod_ret/sleepable", 26, 26, "5.10", TRAMPOLINE), SLEEPABLE), names::SLEEPABLE_TARGET),
    on(plain("tracing/tp_btf", 26, 23, "5.5", "CONFIG_BPF_EVENTS"), names::TP_BTF_TARGET),
    on(plain("tracing/iter", 26, 28, "5.8", "CONFIG_BPF_EVENTS"), names::ITER_TARGET),
    on(with(plain("tracing/iter/sleepable", 26, 28, "6.0", "CONFIG_BPF_EVENTS"), SLEEPABLE), names::ITER_TARGET),
    plain("struct_ops", 27, 0, "5.6", "CONFIG_BPF_JIT"),
    on(plain("struct_ops/tcp_congestion_ops", 27, 0, "5.6", "CONFIG_INET"), "tcp_congestion_ops"),
    on(plain("struct_ops/bpf_dummy_ops", 27, 0, "5.15", "CONFIG_NET"), "bpf_dummy_ops"),
    on(plain("struct_ops/hid_bpf_ops", 27, 0, "6.11", "CONFIG_HID_BPF"), "hid_bpf_ops"),
    on(plain("struct_ops/sched_ext_ops", 27, 0, "6.12", "CONFIG_SCHED_CLASS_EXT"), "sched_ext_ops"),
    on(plain("struct_ops/Qdisc_ops", 27, 0, "6.16", "CONFIG_NET_SCH_BPF"), "Qdisc_ops"),
    plain("ext", 28, 0, "5.6", "CONFIG_BPF_JIT"),
    on(plain("lsm", 29, 27, "5.7", "CONFIG_BPF_LSM"), names::LSM_TARGET),
    on(with(plain("lsm/sleepable", 29, 27, "5.10", "CONFIG_BPF_LSM"), SLEEPABLE), names::LSM_SLEEPABLE_TARGET),
    on(plain("lsm/cgroup", 29, 43, "6.0", "CONFIG_BPF_LSM"), names::LSM_CGROUP_TARGET),
    plain("sk_lookup", 30, 36, "5.9", "CONFIG_INET"),
    with(plain("syscall", 31, 0, "5.14", "CONFIG_BPF_SYSCALL"), SLEEPABLE),
    plain("netfilter", 32, 45, "6.4", "CONFIG_NETFILTER_BPF_LINK"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_type_has_a_shape() {
        for id in 1..=uapi::PROGRAM_TYPES.len() as u32 {
            assert!(shapes(id).next().is_some(), "program type {id}");
        }
    }

    #[test]
    fn the_extension_types_are_sound_btf() {
        let bytes = extension_btf();
        let btf = elf::btf::Btf::parse(&bytes).unwrap();
        assert_eq!(btf.name_of(EXTENSION_FUNC_ID), "a");
        assert_eq!(btf.len(), 6);
    }
}
