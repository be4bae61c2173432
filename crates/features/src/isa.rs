//! What the verifier and interpreter understand beyond program types: instruction-set levels, loops, large programs, BTF kinds,
//! tokens. In: a name of the table; out, a three-valued answer from loading the smallest program (or BTF) that needs it.

use crate::answer::{Answer, Cause, Reason, errno_words};
use crate::denial::{self, CAP_BPF, libc_errno as errno};
use crate::machine::Machine;
use crate::program::{RETURN_0, insn, no_syscall};
use sys::bpf::ProgramLoad;

/// One ability.
#[derive(Debug)]
pub struct Ability {
    pub name: &'static str,
    pub title: &'static str,
    pub since: &'static str,
    try_it: Trial,
}

#[derive(Debug, Clone, Copy)]
enum Trial {
    Instructions(&'static [u64]),
    /// One more instruction than the old limit of 4096.
    Large,
    /// BTF words after a string section that holds `a`.
    Btf(&'static [u32]),
    Token,
}

pub fn find(name: &str) -> Option<&'static Ability> {
    ABILITIES.iter().find(|ability| ability.name == name)
}

impl Ability {
    /// How the answer comes about, for the reference page.
    pub(crate) fn probed(&self) -> &'static str {
        match self.try_it {
            Trial::Instructions(_) => "the smallest program that needs it loads",
            Trial::Large => "a program of 4097 instructions loads",
            Trial::Btf(_) => "the smallest BTF that needs it is taken",
            Trial::Token => "a token is refused for its file descriptor, not for the command",
        }
    }

    pub fn on(&self, machine: &Machine) -> Answer {
        let outcome = match self.try_it {
            Trial::Instructions(insns) => load(insns),
            Trial::Large => load(&[&[RETURN_0[0]; 4096], &RETURN_0[1..]].concat()),
            Trial::Btf(words) => sys::bpf::btf_load(&btf(words)).map(drop),
            Trial::Token => return token(machine, self),
        };
        match outcome {
            Ok(()) => Answer::Supported,
            Err(errno::ENOSYS) => no_syscall(machine),
            Err(errno::EINVAL | errno::E2BIG | errno::ENOTSUPP | errno::EOPNOTSUPP) => absent(machine, self),
            Err(refusal @ (errno::EPERM | errno::EACCES)) => denial::explain(machine, self.title, &[CAP_BPF], refusal),
            Err(other) => Answer::Unknown(
                Reason::new(Cause::Inconclusive, format!("{}: {}", self.title, errno_words(other))).errno(other),
            ),
        }
    }
}

fn load(insns: &[u64]) -> Result<(), i32> {
    sys::bpf::program_load(&ProgramLoad::new(SOCKET_FILTER, insns), None).map(drop)
}

fn token(machine: &Machine, ability: &Ability) -> Answer {
    match sys::bpf::ask_token() {
        errno::EBADF => Answer::Supported,
        errno::ENOSYS => no_syscall(machine),
        refusal @ (errno::EPERM | errno::EACCES) => denial::explain(machine, ability.title, &[CAP_BPF], refusal),
        _ => absent(machine, ability),
    }
}

fn absent(machine: &Machine, ability: &Ability) -> Answer {
    if machine.is_at_least(ability.since) {
        return Answer::no(
            Cause::Absent,
            format!("{} is not in this kernel, though Linux {} brought it", ability.title, ability.since),
        );
    }
    let text = format!("{} came with Linux {}; this is {}", ability.title, ability.since, machine.release);
    Answer::no(Cause::TooOld, text).fix(format!("use Linux {} or later", ability.since))
}

fn btf(words: &[u32]) -> Vec<u8> {
    let strings = b"\0a\0b\0";
    let types = (words.len() * 4) as u32;
    let head = [24, 0, types, types, strings.len() as u32];
    let mut out: Vec<u8> = 0xeb9fu16.to_ne_bytes().to_vec();
    out.extend([1, 0]);
    out.extend(head.iter().chain(words).flat_map(|word| word.to_ne_bytes()));
    out.extend(strings);
    out
}

const SOCKET_FILTER: u32 = 1;
const EXIT: u64 = insn(0x95, 0, 0, 0, 0);
const ZERO: u64 = insn(0xb7, 0, 0, 0, 0);
const STACK_ZERO: u64 = insn(0x7a, 10, 0, -8, 0);
/// `int` of 32 bits named `a`: type 1 of every trial.
const INT: [u32; 4] = [1, 1 << 24, 4, 0x0100_0020];

/// Abilities by first release; encodings after `instruction-set.rst` and `btf.rst` of the kernel documentation.
pub const ABILITIES: &[Ability] = &[
    Ability { name: "isa-v1", title: "instruction set v1", since: "3.18", try_it: Trial::Instructions(RETURN_0) },
    Ability {
        name: "isa-v2",
        title: "instruction set v2 (unsigned and signed less-than jumps)",
        since: "4.14",
        try_it: Trial::Instructions(&[ZERO, insn(0xa5, 0, 0, 0, 1), EXIT]),
    },
    Ability {
        name: "isa-v3",
        title: "instruction set v3 (32-bit jumps)",
        since: "5.1",
        try_it: Trial::Instructions(&[ZERO, insn(0xa6, 0, 0, 0, 1), EXIT]),
    },
    Ability {
        name: "isa-v4",
        title: "instruction set v4 (sign-extending moves)",
        since: "6.6",
        try_it: Trial::Instructions(&[ZERO, insn(0xbf, 0, 0, 8, 0), EXIT]),
    },
    Ability {
        name: "subprograms",
        title: "calls between BPF functions",
        since: "4.16",
        try_it: Trial::Instructions(&[insn(0x85, 0, 1, 0, 1), EXIT, ZERO, EXIT]),
    },
    Ability {
        name: "large-instructions",
        title: "programs above 4096 instructions",
        since: "5.2",
        try_it: Trial::Large,
    },
    Ability {
        name: "bounded-loops",
        title: "bounded loops",
        since: "5.3",
        try_it: Trial::Instructions(&[ZERO, insn(0x07, 0, 0, 0, 1), insn(0xa5, 0, 0, -2, 4), EXIT]),
    },
    Ability {
        name: "atomics",
        title: "atomic fetch-and-add",
        since: "5.12",
        try_it: Trial::Instructions(&[STACK_ZERO, ZERO, insn(0xdb, 10, 0, -8, 1), EXIT]),
    },
    Ability {
        name: "may-goto",
        title: "may_goto loops",
        since: "6.9",
        try_it: Trial::Instructions(&[STACK_ZERO, ZERO, insn(0xe5, 0, 0, 1, 0), insn(0x05, 0, 0, -2, 0), EXIT]),
    },
    Ability {
        name: "load-acquire",
        title: "load-acquire and store-release",
        since: "6.15",
        try_it: Trial::Instructions(&[STACK_ZERO, insn(0xdb, 0, 10, -8, 0x100), ZERO, EXIT]),
    },
    Ability { name: "btf-load", title: "BTF of programs", since: "4.18", try_it: Trial::Btf(&INT) },
    Ability {
        name: "btf-func",
        title: "BTF functions",
        since: "5.0",
        try_it: Trial::Btf(&[INT[0], INT[1], INT[2], INT[3], 0, 13 << 24, 1, 3, 12 << 24, 2]),
    },
    Ability {
        name: "btf-datasec",
        title: "BTF variables and data sections",
        since: "5.2",
        try_it: Trial::Btf(&[INT[0], INT[1], INT[2], INT[3], 3, 14 << 24, 1, 0, 3, 15 << 24 | 1, 4, 2, 0, 4]),
    },
    Ability {
        name: "btf-float",
        title: "BTF floating-point types",
        since: "5.13",
        try_it: Trial::Btf(&[1, 16 << 24, 4]),
    },
    Ability {
        name: "btf-decl-tag",
        title: "BTF declaration tags",
        since: "5.16",
        try_it: Trial::Btf(&[INT[0], INT[1], INT[2], INT[3], 3, 14 << 24, 1, 0, 1, 17 << 24, 2, u32::MAX]),
    },
    Ability {
        name: "btf-type-tag",
        title: "BTF type tags",
        since: "5.17",
        try_it: Trial::Btf(&[INT[0], INT[1], INT[2], INT[3], 3, 18 << 24, 1, 0, 2 << 24, 2]),
    },
    Ability {
        name: "btf-enum64",
        title: "BTF 64-bit enums",
        since: "6.0",
        try_it: Trial::Btf(&[1, 19 << 24 | 1, 8, 3, 1, 1]),
    },
    Ability { name: "token", title: "BPF tokens", since: "6.9", try_it: Trial::Token },
];
