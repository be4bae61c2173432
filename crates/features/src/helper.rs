//! Which helpers a program type may call: in, a shape that loads; out, an answer per helper number. Helpers with plain arguments
//! are called together in one program, and only where that is refused are they asked one by one. A helper whose call fails on
//! its arguments is there: the kernel looks the helper up before it looks at the arguments.

use crate::answer::{Answer, Cause, Reason, errno_words};
use crate::denial::{self, libc_errno as errno};
use crate::machine::Machine;
use crate::program::{self, Shape, insn, shapes};
use elf::uapi;
use std::os::fd::{AsRawFd, OwnedFd};
use sys::bpf::MapCreate;

/// Helpers of one program type.
#[derive(Debug)]
pub struct Helpers {
    pub program_type: u32,
    /// By helper number minus one.
    pub answers: Vec<Answer>,
}

/// Maps that the arguments of some helpers refer to; made once for all program types.
#[derive(Debug, Default)]
pub struct Props {
    array: Option<OwnedFd>,
    queue: Option<OwnedFd>,
    ring: Option<OwnedFd>,
}

impl Props {
    pub fn new() -> Self {
        let map = |map_type, key_bytes, value_bytes, max_entries| {
            sys::bpf::map_create(&MapCreate { map_type, key_bytes, value_bytes, max_entries, ..MapCreate::default() }).ok()
        };
        Props { array: map(2, 4, 8, 1), queue: map(22, 0, 8, 1), ring: map(27, 0, 0, rustix::param::page_size() as u32) }
    }
}

impl Machine {
    /// One helper for one program type.
    pub fn helper(&self, program_type: u32, id: u32) -> Answer {
        let Some(shape) = self.helper_shape(program_type) else { return self.untried(program_type, id) };
        single(self, shape, id)
    }

    /// Whether a helper may be called under a licence that is not GPL-compatible; `None` when that cannot be tried.
    pub(crate) fn helper_without_gpl(&self, program_type: u32, id: u32) -> Option<bool> {
        let shape = self.helper_shape(program_type)?;
        let insns = call_only(id);
        let mut request = program::request(self, shape, &insns);
        request.license = c"Proprietary";
        let mut log = Vec::new();
        let outcome = sys::bpf::program_load(&request, Some(&mut log));
        Some(outcome.is_ok() || !String::from_utf8_lossy(&log).contains("GPL"))
    }

    /// All helpers that this tool knows for one program type.
    pub fn helpers(&self, program_type: u32, props: &Props) -> Helpers {
        let count = uapi::HELPERS.len() as u32;
        let Some(shape) = self.helper_shape(program_type) else {
            return Helpers { program_type, answers: (1..=count).map(|id| self.untried(program_type, id)).collect() };
        };
        let mut answers: Vec<Option<Answer>> = vec![None; count as usize];
        for group in GROUPS {
            if together(self, shape, group, props) {
                for (id, _) in *group {
                    answers.get_mut(*id as usize - 1).into_iter().for_each(|answer| *answer = Some(Answer::Supported));
                }
            }
        }
        let filled = answers.into_iter().zip(1..).map(|(known, id)| known.unwrap_or_else(|| single(self, shape, id)));
        Helpers { program_type, answers: filled.collect() }
    }

    /// The first shape of the type that loads; struct_ops and extensions load only with a whole object.
    fn helper_shape(&self, program_type: u32) -> Option<&'static Shape> {
        if matches!(program_type, STRUCT_OPS | EXTENSION) {
            return None;
        }
        shapes(program_type).find(|shape| self.loads(shape).is_supported())
    }

    fn untried(&self, program_type: u32, id: u32) -> Answer {
        let name = uapi::helper(id).map_or("?", |(name, _)| name);
        let kind = program::type_name(program_type);
        if let Some(too_old) = self.newer_helper(id) {
            return too_old;
        }
        match self.program_type(program_type) {
            Answer::Supported => Answer::unknown(Cause::Inconclusive, format!("bpf_{name} in {kind} programs can only be tried with a whole object"))
                .fix("check the object with --load"),
            Answer::Unsupported(reason) | Answer::Unknown(reason) => {
                Answer::Unknown(Reason { text: format!("bpf_{name} cannot be tried in {kind} programs: {}", reason.text), ..reason })
            }
        }
    }

    fn newer_helper(&self, id: u32) -> Option<Answer> {
        let (name, since) = uapi::helper(id)?;
        let text = format!("helper bpf_{name} came with Linux {since}; this is {}", self.release);
        (!self.is_at_least(since)).then(|| Answer::no(Cause::TooOld, text).fix(format!("use Linux {since} or later")))
    }
}

fn together(machine: &Machine, shape: &Shape, group: &[(u32, &str)], props: &Props) -> bool {
    let mut insns = vec![insn(MOV_REG, 6, 1, 0, 0)];
    insns.extend((1..=8).map(|slot| insn(STORE_IMM, 10, 0, -8 * slot, 0)));
    for (id, arguments) in group {
        for (register, letter) in (1..).zip(arguments.chars()) {
            if !argument(&mut insns, register, letter, props) {
                return false;
            }
        }
        insns.push(insn(CALL, 0, 0, 0, *id as i32));
    }
    insns.extend(program::RETURN_0);
    program::load(machine, shape, &insns, None).is_ok()
}

/// Sets a register as a letter says: `c` the context, `0` zero, `4` `8` `s` (16) sizes, `m` `n` stack memory, `A` `Q` `R` maps.
fn argument(insns: &mut Vec<u64>, register: u8, letter: char, props: &Props) -> bool {
    let map = match letter {
        'A' => &props.array,
        'Q' => &props.queue,
        'R' => &props.ring,
        _ => &None,
    };
    match (letter, map) {
        ('c', _) => insns.push(insn(MOV_REG, register, 6, 0, 0)),
        ('m' | 'n', _) => {
            insns.push(insn(MOV_REG, register, 10, 0, 0));
            insns.push(insn(ADD_IMM, register, 0, 0, if letter == 'm' { -16 } else { -32 }));
        }
        ('A' | 'Q' | 'R', Some(fd)) => {
            insns.push(insn(WIDE_LOAD, register, PSEUDO_MAP_FD, 0, fd.as_raw_fd()));
            insns.push(0);
        }
        ('A' | 'Q' | 'R', None) => return false,
        ('s', _) => insns.push(insn(MOV_IMM, register, 0, 0, 16)),
        (digit, _) => insns.push(insn(MOV_IMM, register, 0, 0, digit.to_digit(10).unwrap_or(0) as i32)),
    }
    true
}

fn single(machine: &Machine, shape: &Shape, id: u32) -> Answer {
    let insns = call_only(id);
    match program::load(machine, shape, &insns, None) {
        Ok(_) | Err(errno::EACCES) => Answer::Supported,
        Err(errno::EINVAL) if SECOND_THOUGHTS.contains(&id) => by_log(machine, shape, id, &insns),
        Err(errno::EINVAL) => absent(machine, shape, id),
        Err(refusal @ errno::EPERM) => {
            let what = format!("{} programs", shape.name);
            denial::explain(machine, &what, denial::program_needs(shape.program_type), refusal)
        }
        Err(_) => by_log(machine, shape, id, &insns),
    }
}

/// Some program types must return a known value, so the answer of the helper is overwritten.
fn call_only(id: u32) -> [u64; 3] {
    [insn(CALL, 0, 0, 0, id as i32), program::RETURN_0[0], program::RETURN_0[1]]
}

/// Some helpers are refused with EINVAL after they were found: the log tells.
fn by_log(machine: &Machine, shape: &Shape, id: u32, insns: &[u64]) -> Answer {
    let mut log = Vec::new();
    let Err(said) = program::load(machine, shape, insns, Some(&mut log)) else { return Answer::Supported };
    let log = String::from_utf8_lossy(&log);
    let not_for_this = ["invalid func", "unknown func", "program of this type cannot use helper"];
    if not_for_this.iter().any(|text| log.contains(text)) {
        return absent(machine, shape, id);
    }
    if log.contains(&format!("#{id}")) {
        return only_elsewhere(&log, shape, id);
    }
    Answer::Unknown(Reason::new(Cause::Inconclusive, format!("helper {id}: {}", errno_words(said))).errno(said))
}

/// The helper is known to the type, but this shape may not call it.
fn only_elsewhere(log: &str, shape: &Shape, id: u32) -> Answer {
    let (name, _) = uapi::helper(id).unwrap_or(("?", ""));
    if log.contains("sleepable") {
        let text = format!("bpf_{name} may be called only in sleepable programs; {} is not", shape.name);
        return Answer::no(Cause::Absent, text).fix("use a sleepable section such as fentry.s, lsm.s, uprobe.s or syscall");
    }
    Answer::Supported
}

fn absent(machine: &Machine, shape: &Shape, id: u32) -> Answer {
    if let Some(too_old) = machine.newer_helper(id) {
        return too_old;
    }
    let (name, _) = uapi::helper(id).unwrap_or(("?", ""));
    if let Some(mode) = locked_down(machine, id) {
        let text = format!("bpf_{name} is refused by kernel lockdown ({mode})");
        return Answer::no(Cause::Lockdown, text).fix("boot without lockdown (lockdown= boot parameter, Secure Boot), or do without this helper");
    }
    Answer::no(Cause::Absent, format!("bpf_{name} is not available to {} programs on this kernel", program::type_name(shape.program_type)))
}

/// Helpers that `security_locked_down` gates: LOCKDOWN_BPF_WRITE_USER (integrity), LOCKDOWN_BPF_READ_KERNEL (confidentiality).
fn locked_down(machine: &Machine, id: u32) -> Option<&str> {
    let mode = machine.lockdown()?;
    let gated = match mode {
        "integrity" => id == PROBE_WRITE_USER,
        "confidentiality" => matches!(id, 4 | 36 | 45 | 112..=115),
        _ => false,
    };
    gated.then_some(mode)
}

const CALL: u8 = 0x85;
const MOV_REG: u8 = 0xbf;
const MOV_IMM: u8 = 0xb7;
const ADD_IMM: u8 = 0x07;
const STORE_IMM: u8 = 0x7a;
const WIDE_LOAD: u8 = 0x18;
const PSEUDO_MAP_FD: u8 = 1;
const STRUCT_OPS: u32 = 27;
const EXTENSION: u32 = 28;
const PROBE_WRITE_USER: u32 = 36;
/// Helpers that the kernel may refuse with EINVAL for another reason than being absent.
const SECOND_THOUGHTS: &[u32] = &[107, 108, 145, 146, 147, 148, 156, 157, 173, 174, 191, 210, 211];

/// Helpers with the letters of plain arguments, grouped by which program types have them together.
const GROUPS: &[&[(u32, &str)]] = &[
    // Nearly every type.
    &[
        (1, "Am"), (2, "Amn0"), (3, "Am"), (5, ""), (7, ""), (8, ""), (42, ""), (87, "Qm0"), (88, "Qm"), (89, "Qm"),
        (118, ""), (125, ""), (130, "Rm80"), (134, "R0"), (208, ""),
    ],
    &[(6, "m8"), (35, ""), (105, "m80n"), (106, "m80n"), (112, "m80"), (114, "m80"), (158, "")],
    &[(113, "m80"), (115, "m80")],
    // Tracing and control-group types.
    &[(14, ""), (15, ""), (16, "ms")],
    &[(80, ""), (123, "0"), (120, "00m8")],
    &[(4, "m80"), (45, "m80"), (109, "0"), (117, "0")],
    // Types that work on packets.
    &[(26, "c0m4"), (68, "c0m40")],
    &[
        (9, "c0m40"), (10, "c0000"), (11, "c0000"), (13, "c00"), (17, "c"), (18, "c00"), (19, "c"), (23, "00"), (24, "c"),
        (31, "c00"), (32, "c0"), (34, "c"), (38, "c00"), (39, "c0"), (40, "c0"), (41, "c"), (43, "c00"), (46, "c"), (47, "c"),
        (48, "c0"), (50, "c000"), (97, "c"), (135, "c0"), (155, "00"), (160, ""), (192, "c00"),
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_together_and_one_by_one_agree() {
        let machine = Machine::here();
        if !machine.program_type(3).is_supported() {
            println!("skipped: programs cannot be loaded here");
            return;
        }
        let props = Props::new();
        for program_type in [1, 3, 5, 6, 8, 18, 26, 31] {
            let Some(shape) = machine.helper_shape(program_type) else { continue };
            let helpers = machine.helpers(program_type, &props);
            for (answer, id) in helpers.answers.iter().zip(1u32..) {
                let insns = call_only(id);
                let slow = match program::load(&machine, shape, &insns, None) {
                    Err(errno::EINVAL) => by_log(&machine, shape, id, &insns),
                    _ => Answer::Supported,
                };
                assert_eq!(answer.word(), slow.word(), "helper {id} in {}", shape.name);
            }
        }
    }
}
