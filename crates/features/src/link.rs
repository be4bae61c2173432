//! Whether attaching works: in, the name of an attach kind; out, a three-valued answer. A link is asked for on a target that
//! cannot exist (no such interface, no such file descriptor, an invalid flag): the kernel's errno tells whether it knows the
//! kind, and nothing is ever attached. Tracepoint links are made on an event that fires only in tests and closed at once.

use crate::answer::{Answer, Cause, Reason, errno_words};
use crate::denial::{self, libc_errno as errno};
use crate::machine::Machine;
use crate::program::{self, RETURN_0};
use std::os::fd::AsFd;
use sys::bpf::LinkCreate;

/// One attach kind.
#[derive(Debug)]
pub struct Kind {
    pub name: &'static str,
    pub since: &'static str,
    pub option: &'static str,
    /// The program shape that is loaded first.
    pub shape: &'static str,
    attach_type: u32,
    target: Target,
    /// The errno that proves the kind is there.
    proof: &'static [i32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// An interface number that no machine reaches.
    NoInterface,
    /// A file descriptor that is none.
    NoFile,
    /// A flag bit that no kernel knows, in the word after the flags.
    BadFlag,
    /// A raw tracepoint that only BPF_PROG_TEST_RUN fires.
    TestTracepoint,
    /// A BTF target given at load.
    FromLoad,
    /// An impossible protocol family.
    BadFamily,
}

impl Kind {
    /// How the answer comes about, for the reference page.
    pub(crate) fn probed(&self) -> &'static str {
        match self.target {
            _ if self.shape == "kprobe" => "the kernel has kprobe events (`/sys/bus/event_source/devices/kprobe`)",
            Target::NoInterface => "a link to an interface that cannot exist is refused for that reason",
            Target::NoFile => "a link to a file descriptor that is none is refused for that reason",
            Target::BadFlag => "a link with a flag that does not exist is refused for that reason",
            Target::BadFamily => "a link for a protocol family that does not exist is refused for that reason",
            Target::TestTracepoint | Target::FromLoad => {
                "attached to `bpf_test_finish`, which fires only in tests, and detached"
            }
        }
    }
}

pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

impl Machine {
    /// Whether programs of this kind can be attached.
    pub fn attach(&self, name: &str) -> Answer {
        let Some(kind) = kind(name) else {
            return Answer::unknown(Cause::Inconclusive, format!("no attach kind `{name}`"));
        };
        match kind.shape {
            "kprobe" => return crate::feature::kprobe_events(self),
            // Where EINVAL is the proof, older kernels say EINVAL too, because they do not know the kind at all.
            _ if kind.proof.contains(&errno::EINVAL) && !self.is_at_least(kind.since) => return absent(self, kind),
            _ => {}
        }
        let Some(shape) = program::shape(kind.shape) else {
            return Answer::unknown(Cause::Inconclusive, format!("no program shape `{}`", kind.shape));
        };
        match program::load(self, shape, RETURN_0, None) {
            Ok(program) => ask(self, kind, program.as_fd()),
            Err(errno::ENOSYS) => program::no_syscall(self),
            Err(_) => self.loads(shape),
        }
    }
}

fn ask(machine: &Machine, kind: &Kind, program: std::os::fd::BorrowedFd<'_>) -> Answer {
    let answer = match kind.target {
        Target::TestTracepoint => sys::bpf::raw_tracepoint_open(program, Some(c"bpf_test_finish")),
        Target::FromLoad => sys::bpf::raw_tracepoint_open(program, None),
        target => sys::bpf::link_create(program, &request(kind.attach_type, target)),
    };
    match answer {
        Ok(_) => Answer::Supported,
        Err(said) if kind.proof.contains(&said) => Answer::Supported,
        Err(refusal @ (errno::EPERM | errno::EACCES)) => denial::explain(
            machine,
            &format!("{} links", kind.name),
            denial::program_needs(program_type(kind)),
            refusal,
        ),
        Err(errno::EINVAL | errno::EOPNOTSUPP | errno::ENOENT) => absent(machine, kind),
        Err(other) => Answer::Unknown(
            Reason::new(Cause::Inconclusive, format!("attach {}: {}", kind.name, errno_words(other))).errno(other),
        ),
    }
}

fn request(attach_type: u32, target: Target) -> LinkCreate {
    let mut request = LinkCreate { attach_type, ..LinkCreate::default() };
    match target {
        Target::NoInterface => request.target = i32::MAX,
        Target::NoFile => request.target = -1,
        Target::BadFlag => request.rest = bad_flags(),
        Target::BadFamily => request.rest = [u32::MAX, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        Target::TestTracepoint | Target::FromLoad => {}
    }
    request
}

/// `kprobe_multi.flags` is the first word of its part, `uprobe_multi.flags` the eighth.
fn bad_flags() -> [u32; 10] {
    [UNKNOWN_FLAG, 0, 0, 0, 0, 0, 0, UNKNOWN_FLAG, 0, 0]
}

fn absent(machine: &Machine, kind: &Kind) -> Answer {
    if !machine.is_at_least(kind.since) {
        let text = format!("attaching by {} came with Linux {}; this is {}", kind.name, kind.since, machine.release);
        return Answer::no(Cause::TooOld, text).fix(format!("use Linux {} or later", kind.since));
    }
    Answer::no(Cause::CompiledOut, format!("{} programs load but cannot attach: {} is off", kind.name, kind.option))
        .fix(format!("use a kernel built with {}=y", kind.option))
}

fn program_type(kind: &Kind) -> u32 {
    program::shape(kind.shape).map_or(0, |shape| shape.program_type)
}

const UNKNOWN_FLAG: u32 = 1 << 30;

const fn row(
    name: &'static str,
    since: &'static str,
    option: &'static str,
    shape: &'static str,
    ask: (u32, Target, &'static [i32]),
) -> Kind {
    Kind { name, since, option, shape, attach_type: ask.0, target: ask.1, proof: ask.2 }
}

const ENODEV: i32 = 19;
const EAFNOSUPPORT: i32 = 97;
const EBADF: i32 = errno::EBADF;

/// Every attach kind that can be asked without touching anything.
pub const KINDS: &[Kind] = &[
    row("kprobe", "4.1", "CONFIG_KPROBE_EVENTS", "kprobe", (0, Target::NoFile, &[])),
    row("kprobe_multi", "5.18", "CONFIG_FPROBE", "kprobe/multi", (42, Target::BadFlag, &[errno::EINVAL])),
    row("kprobe_session", "6.10", "CONFIG_FPROBE", "kprobe/session", (56, Target::BadFlag, &[errno::EINVAL])),
    row("uprobe_multi", "6.6", "CONFIG_UPROBES", "uprobe/multi", (48, Target::BadFlag, &[errno::EINVAL])),
    row("uprobe_session", "6.13", "CONFIG_UPROBES", "uprobe/session", (57, Target::BadFlag, &[errno::EINVAL])),
    row("raw_tracepoint", "4.17", "CONFIG_BPF_EVENTS", "raw_tracepoint", (0, Target::TestTracepoint, &[])),
    row("tp_btf", "5.5", "CONFIG_BPF_EVENTS", "tracing/tp_btf", (0, Target::FromLoad, &[])),
    row("iter", "5.8", "CONFIG_BPF_EVENTS", "tracing/iter", (28, Target::NoFile, &[EBADF, errno::EINVAL])),
    row("tcx", "6.6", "CONFIG_NET_XGRESS", "sched_cls", (46, Target::NoInterface, &[ENODEV])),
    row("netkit", "6.7", "CONFIG_NETKIT", "sched_cls", (54, Target::NoInterface, &[ENODEV])),
    row("cgroup", "5.7", "CONFIG_CGROUP_BPF", "cgroup_skb", (0, Target::NoFile, &[EBADF])),
    row("netns", "5.8", "CONFIG_NET", "sk_lookup", (36, Target::NoFile, &[EBADF, errno::EINVAL])),
    row(
        "netfilter",
        "6.4",
        "CONFIG_NETFILTER_BPF_LINK",
        "netfilter",
        (45, Target::BadFamily, &[EAFNOSUPPORT, errno::EINVAL]),
    ),
    row("perf_event", "5.15", "CONFIG_PERF_EVENTS", "perf_event", (41, Target::NoFile, &[EBADF])),
    row("sockmap", "6.10", "CONFIG_NET_SOCK_MSG", "sk_msg", (7, Target::NoFile, &[EBADF])),
];
