//! Which helpers a program type may call: in, a shape that loads; out, an answer per helper number. One program calls many
//! helpers in a row, and the verifier tells at which call it stopped. A helper whose call fails on its arguments is there: the
//! kernel looks the helper up before it looks at the arguments. No such program ever loads.

use crate::answer::{Answer, Cause, Reason, errno_words};
use crate::denial::{self, libc_errno as errno};
use crate::machine::Machine;
use crate::program::{self, Shape, insn, shapes};
use crate::prototypes;
use elf::uapi;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use sys::bpf::MapCreate;

/// Helpers of one program type.
#[derive(Debug)]
pub struct Helpers {
    pub program_type: u32,
    /// By helper number minus one.
    pub answers: Vec<Answer>,
}

/// Maps that the arguments of some helpers refer to, by the letter that stands for them; made once for all program types.
#[derive(Debug, Default)]
pub struct Props(Vec<(char, OwnedFd)>);

impl Props {
    pub fn new() -> Self {
        let page_bytes = rustix::param::page_size() as u32;
        let map = |letter, map_type, key_bytes, value_bytes, max_entries, flags| {
            let request = MapCreate { map_type, key_bytes, value_bytes, max_entries, flags, ..MapCreate::default() };
            sys::bpf::map_create(&request).ok().map(|fd| (letter, fd))
        };
        let constant =
            map('S', 2, 4, 8, 1, READ_ONLY_FOR_PROGRAMS).filter(|(_, fd)| sys::bpf::map_freeze(fd.as_fd()).is_ok());
        let made = [
            map('A', 2, 4, 8, 1, 0),
            map('Q', 22, 0, 8, 1, 0),
            map('R', 27, 0, 0, page_bytes, 0),
            map('P', 4, 4, 4, 1, 0),
            map('D', 6, 4, 8, 1, 0),
            map('C', 8, 4, 4, 1, 0),
            constant,
        ];
        Props(made.into_iter().flatten().collect())
    }

    fn fd(&self, letter: char) -> Option<i32> {
        self.0.iter().find(|(known, _)| *known == letter).map(|(_, fd)| fd.as_raw_fd())
    }
}

impl Machine {
    /// One helper for one program type: yes when any ordinary way to load the type may call it.
    pub fn helper(&self, program_type: u32, id: u32) -> Answer {
        let answers = self.helper_shapes(program_type).map(|shape| single(self, shape, id));
        match program_type {
            EXTENSION if self.program_type(EXTENSION).is_supported() => {
                let types = (1..=uapi::PROGRAM_TYPES.len() as u32).filter(|other| *other != EXTENSION);
                extended(types.map(|other| self.helper(other, id)), id)
            }
            _ => best(answers).unwrap_or_else(|| self.untried(&self.program_type(program_type), id)),
        }
    }

    /// One helper in programs that are loaded in one way.
    pub fn helper_in(&self, shape: &Shape, id: u32) -> Answer {
        match self.loads(shape) {
            Answer::Supported => single(self, shape, id),
            refused => self.untried(&refused, id),
        }
    }

    /// Whether a helper may be called under a licence that is not GPL-compatible; `None` when that cannot be tried.
    pub(crate) fn helper_without_gpl(&self, program_type: u32, id: u32) -> Option<bool> {
        let shape = self.helper_shapes(program_type).next().filter(|_| locked_down(self, id).is_none())?;
        let insns = call_only(id);
        let mut request = program::request(self, shape, &insns);
        request.license = c"Proprietary";
        let mut log = Vec::new();
        let outcome = sys::bpf::program_load(&request, Some(&mut log));
        Some(outcome.is_ok() || !String::from_utf8_lossy(&log).contains("GPL"))
    }

    /// All helpers that this tool knows, for every program type in order.
    pub fn all_helpers(&self) -> Vec<Helpers> {
        let (props, mut all) = (Props::new(), Vec::<Helpers>::new());
        for program_type in 1..=uapi::PROGRAM_TYPES.len() as u32 {
            let answers = match (program_type, all.last()) {
                // `include/linux/bpf_types.h` gives actions the very table of classifiers (`tc_cls_act`).
                (SCHED_ACT, Some(classifier)) if self.program_type(SCHED_ACT).is_supported() => {
                    classifier.answers.clone()
                }
                _ => self.helpers(program_type, &props),
            };
            all.push(Helpers { program_type, answers });
        }
        if self.program_type(EXTENSION).is_supported() {
            let replaced: Vec<Answer> = (1..=uapi::HELPERS.len() as u32).map(|id| replaceable(&all, id)).collect();
            let extension = all.iter_mut().find(|helpers| helpers.program_type == EXTENSION);
            extension.into_iter().for_each(|helpers| helpers.answers.clone_from(&replaced));
        }
        all
    }

    /// All helpers for one program type, by number.
    fn helpers(&self, program_type: u32, props: &Props) -> Vec<Answer> {
        let answers = self.helper_shapes(program_type).fold(Vec::new(), |known, shape| {
            let later = Chain::new(self, shape, props, &known).answers();
            // What an earlier shape has is not asked again; where none has it, the first answer stays.
            let first = known.into_iter().map(Some).chain(std::iter::repeat(None));
            later
                .into_iter()
                .zip(first)
                .map(|(now, first)| if now.is_supported() { now } else { first.unwrap_or(now) })
                .collect()
        });
        if !answers.is_empty() {
            return answers;
        }
        let refused = self.program_type(program_type);
        (1..=uapi::HELPERS.len() as u32).map(|id| self.untried(&refused, id)).collect()
    }

    /// Ways to load a type that loads here and whose helpers may differ. An extension has the helpers of what it replaces.
    fn helper_shapes(&self, program_type: u32) -> impl Iterator<Item = &'static Shape> {
        let asked = shapes(program_type).filter(|shape| match shape.program_type {
            EXTENSION => false,
            STRUCT_OPS => !shape.target.is_empty(),
            _ => true,
        });
        let most = if BY_ATTACH_TYPE.contains(&program_type) { usize::MAX } else { 1 };
        asked.filter(|shape| self.loads(shape).is_supported()).take(most)
    }

    /// Nobody can call a helper from a program that does not load.
    fn untried(&self, refused: &Answer, id: u32) -> Answer {
        let name = uapi::helper(id).map_or("?", |(name, _)| name);
        if let Some(too_old) = self.newer_helper(id) {
            return too_old;
        }
        let about = |reason: &Reason| Reason { text: format!("bpf_{name}: {}", reason.text), ..reason.clone() };
        match refused {
            Answer::Supported => Answer::unknown(
                Cause::Inconclusive,
                format!("bpf_{name}: no program of this type was found that loads without a whole object"),
            )
            .fix("check the object with --load"),
            Answer::Unsupported(reason) => Answer::Unsupported(about(reason)),
            Answer::Unknown(reason) => Answer::Unknown(about(reason)),
        }
    }

    fn newer_helper(&self, id: u32) -> Option<Answer> {
        let (name, since) = uapi::helper(id)?;
        let text = format!("helper bpf_{name} came with Linux {since}; this is {}", self.release);
        (!self.is_at_least(since)).then(|| Answer::no(Cause::TooOld, text).fix(format!("use Linux {since} or later")))
    }
}

/// An extension is verified with the helpers of the program that it replaces a function of.
fn replaceable(all: &[Helpers], id: u32) -> Answer {
    let answers = all.iter().filter(|helpers| helpers.program_type != EXTENSION);
    extended(answers.filter_map(|helpers| helpers.answers.get(id as usize - 1)).cloned(), id)
}

fn extended(answers: impl Iterator<Item = Answer>, id: u32) -> Answer {
    let telling = answers.filter(|answer| !matches!(answer, Answer::Unsupported(_)));
    best(telling).unwrap_or_else(|| foreign(id))
}

fn foreign(id: u32) -> Answer {
    let (name, _) = uapi::helper(id).unwrap_or(("?", ""));
    Answer::no(
        Cause::Absent,
        format!("bpf_{name} is not available to any program that an extension could replace a part of"),
    )
}

/// The first yes, else the first answer.
fn best(answers: impl Iterator<Item = Answer>) -> Option<Answer> {
    let mut first = None;
    for answer in answers {
        if answer.is_supported() {
            return Some(answer);
        }
        first = first.or(Some(answer));
    }
    first
}

/// Asks for all helpers in as few loads as possible: one program calls them one after the other, and the verifier says at which
/// instruction it stopped. What comes before is there; the one it stopped at is judged; the rest is asked anew.
struct Chain<'a> {
    machine: &'a Machine,
    shape: &'static Shape,
    props: &'a Props,
    answers: Vec<Option<Answer>>,
    log: Vec<u8>,
}

impl<'a> Chain<'a> {
    fn new(machine: &'a Machine, shape: &'static Shape, props: &'a Props, known: &[Answer]) -> Self {
        let there = |id: usize| known.get(id).filter(|answer| answer.is_supported()).cloned();
        Chain { machine, shape, props, answers: (0..uapi::HELPERS.len()).map(there).collect(), log: Vec::new() }
    }

    fn answers(mut self) -> Vec<Answer> {
        self.leave_out();
        if !self.take_prototypes() {
            self.ask_in_chains();
        }
        let (machine, shape) = (self.machine, self.shape);
        let all = self.answers.into_iter().zip(1u32..);
        all.map(|(known, id)| known.unwrap_or_else(|| single(machine, shape, id))).collect()
    }

    fn ask_in_chains(&mut self) {
        let open = |id: &u32| self.answers.get(*id as usize - 1).is_some_and(Option::is_none);
        let plain: Vec<_> = PLAIN.iter().copied().filter(|(id, _)| open(id)).collect();
        // The kernel looks at every instruction before it verifies, so the chain is only as long as the last run of luck.
        let (mut at, mut length) = (0, LONGEST_CHAIN);
        while let Some(rest) = plain.get(at..).filter(|rest| !rest.is_empty()) {
            let (settled, there) = self.settle(rest.get(..length.min(rest.len())).unwrap_or(rest));
            at += settled;
            length = (2 * there).clamp(1, LONGEST_CHAIN);
        }
    }

    /// Helpers that the kernel must not be asked for, because it would write a line into its log.
    fn leave_out(&mut self) {
        for id in (1..=uapi::HELPERS.len() as u32).filter(|id| locked_down(self.machine, *id).is_some()) {
            self.note(id, &absent(self.machine, self.shape, id));
        }
        if WARNED_OF.contains(&self.shape.program_type) && !self.machine.is_at_least(NO_WARNING_SINCE) {
            let text = "bpf_probe_write_user was not tried: this kernel writes a warning into its log when it is asked";
            let fix = format!("ask for it alone: check -r helper:{}:bpf_probe_write_user", self.shape.name);
            self.note(PROBE_WRITE_USER, &Answer::unknown(Cause::Inconclusive, text).fix(fix));
        }
    }

    /// What the type's table of helpers says by itself, where the kernel shows it; helpers with conditions of their own stay open.
    fn take_prototypes(&mut self) -> bool {
        let asked: Vec<bool> = self.answers.iter().map(Option::is_none).collect();
        let Some(known) = prototypes::known(self.machine, self.shape, &asked) else { return false };
        for (id, there) in known {
            match there {
                true if CONDITIONAL.contains(&id) => {}
                true => self.note(id, &Answer::Supported),
                false => self.note(id, &absent(self.machine, self.shape, id)),
            }
        }
        true
    }

    /// Answers the first helpers of the list, and says how many it answered and how many of those are there.
    fn settle(&mut self, list: &[(u32, &'static str)]) -> (usize, usize) {
        let (insns, calls) = self.program(list);
        let request = program::request(self.machine, self.shape, &insns);
        let (outcome, steps) = sys::bpf::program_load_counted(&request, &mut self.log);
        let stopped = steps.and_then(|steps| calls.iter().position(|call| *call == steps));
        let past_all = steps.is_some_and(|steps| calls.last().is_some_and(|last| steps > *last));
        let there = if past_all { calls.len() } else { stopped.unwrap_or(0) };
        list.iter().take(there).for_each(|(id, _)| self.note(*id, &Answer::Supported));
        let Some((id, _)) = list.get(there).filter(|_| there < calls.len()) else { return (there, there) };
        let answer = match outcome {
            Err(errno::EACCES) if stopped.is_some() => Answer::Supported,
            Err(errno::EINVAL) if stopped.is_some() && is_foreign(&self.log) => absent(self.machine, self.shape, *id),
            // What else stopped it is asked by itself.
            _ => single(self.machine, self.shape, *id),
        };
        self.note(*id, &answer);
        (there + 1, there + usize::from(answer.is_supported()))
    }

    fn note(&mut self, id: u32, answer: &Answer) {
        if let Some(slot @ None) = self.answers.get_mut(id as usize - 1) {
            *slot = Some(answer.clone());
        }
    }

    /// The program, and at which step of the verifier each call is reached. It ends with a read of an empty register, so that it
    /// is never compiled.
    fn program(&self, list: &[(u32, &'static str)]) -> (Vec<u64>, Vec<usize>) {
        let mut insns = vec![insn(MOV_REG, 6, 1, 0, 0)];
        insns.extend((1..=8).map(|slot| insn(STORE_IMM, 10, 0, -8 * slot, 0)));
        let (mut calls, mut wide) = (Vec::new(), 0);
        for (id, letters) in list {
            for (register, letter) in (1..).zip(letters.chars()) {
                let before = insns.len();
                // A prop that could not be made leaves the register empty, which the verifier takes for a wrong argument.
                let _ = argument(&mut insns, register, letter, self.props);
                wide += usize::from(letter.is_ascii_uppercase() && insns.len() == before + 2);
            }
            insns.push(insn(CALL, 0, 0, 0, *id as i32));
            calls.push(insns.len() - wide);
        }
        insns.extend([insn(MOV_REG, 0, 9, 0, 0), program::RETURN_0[1]]);
        (insns, calls)
    }
}

/// Sets a register as a letter says: `c` the context, `v` the value of the call before, `r` the same after a check that it is not
/// null, `m` `n` `d` stack memory, digits and `s` (16) numbers, `S` a constant text, other capitals a map of [`Props`].
fn argument(insns: &mut Vec<u64>, register: u8, letter: char, props: &Props) -> Option<()> {
    match letter {
        'c' => insns.push(insn(MOV_REG, register, 6, 0, 0)),
        'v' => insns.push(insn(MOV_REG, register, 0, 0, 0)),
        'r' => {
            insns.push(insn(JUMP_NOT_EQUAL, 0, 0, 2, 0));
            insns.extend(program::RETURN_0);
            insns.push(insn(MOV_REG, register, 0, 0, 0));
        }
        'm' | 'n' | 'd' => {
            insns.push(insn(MOV_REG, register, 10, 0, 0));
            insns.push(insn(ADD_IMM, register, 0, 0, -16 * (1 + "mnd".find(letter)? as i32)));
        }
        'S' => insns.extend([insn(WIDE_LOAD, register, PSEUDO_MAP_VALUE, 0, props.fd('S')?), 0]),
        map if map.is_ascii_uppercase() => {
            insns.extend([insn(WIDE_LOAD, register, PSEUDO_MAP_FD, 0, props.fd(map)?), 0]);
        }
        's' => insns.push(insn(MOV_IMM, register, 0, 0, 16)),
        digit => insns.push(insn(MOV_IMM, register, 0, 0, digit.to_digit(10)? as i32)),
    }
    Some(())
}

fn single(machine: &Machine, shape: &Shape, id: u32) -> Answer {
    // The kernel writes a line into its log when it is asked for what lockdown forbids.
    if locked_down(machine, id).is_some() {
        return absent(machine, shape, id);
    }
    let insns = call_only(id);
    if SECOND_THOUGHTS.contains(&id) {
        return by_log(machine, shape, id, &insns);
    }
    match program::load(machine, shape, &insns, None) {
        Ok(_) | Err(errno::EACCES) => Answer::Supported,
        Err(errno::EINVAL) => absent(machine, shape, id),
        Err(refusal @ errno::EPERM) => refused(machine, shape, refusal),
        Err(_) => by_log(machine, shape, id, &insns),
    }
}

fn refused(machine: &Machine, shape: &Shape, refusal: i32) -> Answer {
    let what = format!("{} programs", shape.name);
    denial::explain(machine, &what, denial::program_needs(shape.program_type), refusal)
}

/// Some program types must return a known value, so the answer of the helper is overwritten.
fn call_only(id: u32) -> [u64; 3] {
    [insn(CALL, 0, 0, 0, id as i32), program::RETURN_0[0], program::RETURN_0[1]]
}

/// Some helpers are refused with EINVAL after they were found: the log tells.
fn by_log(machine: &Machine, shape: &Shape, id: u32, insns: &[u64]) -> Answer {
    let mut log = Vec::new();
    let said = match program::load(machine, shape, insns, Some(&mut log)) {
        Ok(_) | Err(errno::EACCES) => return Answer::Supported,
        Err(refusal @ errno::EPERM) => return refused(machine, shape, refusal),
        Err(said) => said,
    };
    if is_foreign(&log) {
        return absent(machine, shape, id);
    }
    let log = String::from_utf8_lossy(&log);
    if log.contains(&format!("#{id}")) {
        return only_elsewhere(&log, shape, id);
    }
    Answer::Unknown(Reason::new(Cause::Inconclusive, format!("helper {id}: {}", errno_words(said))).errno(said))
}

/// The verifier says that the program type, or the kernel, does not have the helper it stopped at.
fn is_foreign(log: &[u8]) -> bool {
    let log = String::from_utf8_lossy(log);
    ["invalid func", "unknown func", "program of this type cannot use helper"].iter().any(|text| log.contains(text))
}

/// The helper is known to the type, but this shape may not call it.
fn only_elsewhere(log: &str, shape: &Shape, id: u32) -> Answer {
    let (name, _) = uapi::helper(id).unwrap_or(("?", ""));
    if log.contains("sleepable") {
        let text = format!("bpf_{name} may be called only in sleepable programs; {} is not", shape.name);
        return Answer::no(Cause::Absent, text)
            .fix("use a sleepable section such as fentry.s, lsm.s, uprobe.s or syscall");
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
        return Answer::no(Cause::Lockdown, text)
            .fix("boot without lockdown (lockdown= boot parameter, Secure Boot), or do without this helper");
    }
    Answer::no(
        Cause::Absent,
        format!("bpf_{name} is not available to {} programs on this kernel", program::type_name(shape.program_type)),
    )
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
const JUMP_NOT_EQUAL: u8 = 0x55;
const PSEUDO_MAP_FD: u8 = 1;
const PSEUDO_MAP_VALUE: u8 = 2;
/// `BPF_F_RDONLY_PROG`.
const READ_ONLY_FOR_PROGRAMS: u32 = 1 << 7;
/// Programs stay below the old limit of 4096 instructions; most loads stop early anyway.
const LONGEST_CHAIN: usize = 80;
const STRUCT_OPS: u32 = 27;
const EXTENSION: u32 = 28;
const SCHED_ACT: u32 = 4;
/// Types whose `get_func_proto` looks at the attach type: socket addresses, tracing, LSM; struct_ops differs by type.
const BY_ATTACH_TYPE: &[u32] = &[18, 26, STRUCT_OPS, 29];
const PROBE_WRITE_USER: u32 = 36;
/// Types that know bpf_probe_write_user, and the release that stopped to warn of it (`bpf_tracing_func_proto`).
const WARNED_OF: &[u32] = &[2, 5, 7, 17, 24, 26, 29, 31];
const NO_WARNING_SINCE: &str = "6.14";
/// Helpers that a type has only for some functions or in sleepable programs (`allowed`, `might_sleep` of `struct bpf_func_proto`).
const CONDITIONAL: &[u32] = &[107, 108, 147, 148, 161, 191, 193];
/// Helpers that the kernel may refuse with EINVAL for another reason than being absent.
const SECOND_THOUGHTS: &[u32] = &[107, 108, 145, 146, 147, 148, 156, 157, 161, 173, 174, 191, 193, 210, 211];

/// Helpers with the letters of plain arguments, in the order they are asked; a value that the next one takes comes right before.
const PLAIN: &[(u32, &str)] = &[
    // Every type on recent kernels.
    (1, "Am"),
    (2, "Amn0"),
    (3, "Am"),
    (5, ""),
    (7, ""),
    (8, ""),
    (42, ""),
    (87, "Qm0"),
    (88, "Qm"),
    (89, "Qm"),
    (118, ""),
    (125, ""),
    (130, "Rm80"),
    (134, "R0"),
    (208, ""),
    (195, "Dm0"),
    (131, "R80"),
    (132, "r0"),
    (131, "R80"),
    (133, "r0"),
    (198, "R80d"),
    (201, "m8d00"),
    (202, "d0m80"),
    (203, "d08"),
    (199, "d0"),
    (198, "R80d"),
    (200, "d0"),
    (6, "m8"),
    (35, ""),
    (105, "m80n"),
    (106, "m80n"),
    (112, "m80"),
    (114, "m80"),
    (158, ""),
    (113, "m80"),
    (115, "m80"),
    (165, "msS00"),
    (182, "m8S"),
    (177, "m8n8"),
    (149, "msns0"),
    (158, ""),
    (141, "vms0"),
    (158, ""),
    (175, "v"),
    (14, ""),
    (15, ""),
    (16, "ms"),
    (80, ""),
    (123, "0"),
    (120, "00m8"),
    (37, "C0"),
    (22, "P0"),
    (55, "P0ms"),
    (176, "ms0"),
    // Tracing and control-group types.
    (109, "0"),
    (117, "0"),
    (4, "m80"),
    (45, "m80"),
    (67, "cms0"),
    (174, "c"),
    // Types that work on packets.
    (9, "c0m40"),
    (10, "c0000"),
    (11, "c0000"),
    (13, "c00"),
    (17, "c"),
    (18, "c00"),
    (19, "c"),
    (23, "00"),
    (24, "c"),
    (31, "c00"),
    (32, "c0"),
    (34, "c"),
    (38, "c00"),
    (39, "c0"),
    (40, "c0"),
    (41, "c"),
    (43, "c00"),
    (46, "c"),
    (47, "c"),
    (48, "c0"),
    (50, "c000"),
    (97, "c"),
    (135, "c0"),
    (155, "00"),
    (160, ""),
    (192, "c00"),
    (26, "c0m4"),
    (68, "c0m40"),
    (79, "c"),
    (83, "c0"),
    (151, "c"),
    (33, "cC0"),
    (122, "c"),
    (20, "cms0"),
    (29, "cms"),
    (30, "cm8"),
    (66, "c0ms0"),
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
        for helpers in machine.all_helpers().iter().filter(|helpers| helpers.program_type != EXTENSION) {
            let shapes: Vec<_> = machine.helper_shapes(helpers.program_type).collect();
            for (answer, id) in helpers.answers.iter().zip(1u32..).filter(|_| !shapes.is_empty()) {
                let insns = call_only(id);
                let slow = best(shapes.iter().map(|shape| match program::load(&machine, shape, &insns, None) {
                    Err(errno::EINVAL) => by_log(&machine, shape, id, &insns),
                    _ => Answer::Supported,
                }));
                assert_eq!(answer.word(), slow.unwrap().word(), "helper {id} in {}", helpers.program_type);
            }
        }
    }

    #[test]
    fn helpers_of_one_way_to_load_are_not_denied_to_the_type() {
        let machine = Machine::here();
        let Some(iter) = program::shape("tracing/iter").filter(|shape| machine.loads(shape).is_supported()) else {
            println!("skipped: iterator programs cannot be loaded here");
            return;
        };
        let seq_printf = uapi::helper_id("bpf_seq_printf").unwrap();
        assert!(machine.helper_in(iter, seq_printf).is_supported() && machine.helper(26, seq_printf).is_supported());
        let tp_btf = program::shape("tracing/tp_btf").unwrap();
        assert!(!machine.helper_in(tp_btf, seq_printf).is_supported());
    }

    #[test]
    fn a_type_that_does_not_load_answers_for_its_helpers() {
        let machine = Machine::here();
        for program_type in 1..=uapi::PROGRAM_TYPES.len() as u32 {
            if let Answer::Unsupported(refused) = machine.program_type(program_type) {
                assert_eq!(machine.helper(program_type, 1).cause(), Some(refused.cause), "program type {program_type}");
            }
        }
    }
}
