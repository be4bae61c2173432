//! Which helpers a program type has, from one load. In: a shape; out, yes or no by helper number for those that are certain, or
//! `None` where this kernel does not tell. Since Linux 6.15 the verifier prints, before it starts, which registers each
//! instruction reads: a call reads as many as the helper's prototype for this type has arguments, and all five when the type has
//! no such helper. Helpers of five arguments are therefore left out. Whether a helper has conditions of its own is not said here.

use crate::machine::Machine;
use crate::program::{self, Shape, insn};
use elf::uapi;

/// Helper numbers, ascending, with whether the type has them; of those that are `asked`, by number minus one.
pub(crate) fn known(machine: &Machine, shape: &Shape, asked: &[bool]) -> Option<Vec<(u32, bool)>> {
    if !machine.is_at_least(SINCE) {
        return None;
    }
    let count = uapi::HELPERS.len() as u32;
    let named = (1..=count).zip(asked).map(|(id, asked)| if *asked { id } else { NO_SUCH_HELPER });
    let calls = named.chain([NO_SUCH_HELPER]).map(|id| insn(CALL, 0, 0, 0, id.cast_signed()));
    let insns: Vec<u64> = calls.chain(program::RETURN_0.iter().copied()).collect();
    let mut log = Vec::new();
    // Refused at its first call at the latest; what matters was printed before.
    let _ = sys::bpf::program_load_disassembled(&program::request(machine, shape, &insns), &mut log);
    let log = String::from_utf8_lossy(&log);
    let read = registers_read(&log, count as usize + 1)?;
    // The last call proves that the text still means what this module takes it for.
    let (last, read) = read.split_last()?;
    let rows = (1..=count).zip(read).zip(asked).filter(|((id, _), asked)| **asked && !FIVE_ARGUMENTS.contains(id));
    (*last == ALL).then(|| rows.map(|((id, read), _)| (id, *read != ALL)).collect())
}

/// One mark per instruction from lines like `      3: .12....... (85) call bpf_trace_printk#6`.
fn registers_read(log: &str, wanted: usize) -> Option<Vec<&str>> {
    let lines = log.lines().skip_while(|line| !line.starts_with("Live regs before insn")).skip(1);
    let marks: Vec<&str> = lines
        .take(wanted)
        .enumerate()
        .filter_map(|(at, line)| {
            let (number, rest) = line.trim_start().split_once(": ")?;
            (number.parse() == Ok(at)).then(|| rest.split(' ').next())?
        })
        .collect();
    (marks.len() == wanted).then_some(marks)
}

/// The release that prints live registers.
const SINCE: &str = "6.15";
const CALL: u8 = 0x85;
/// Far above any helper.
const NO_SUCH_HELPER: u32 = 0x7fff;
/// r1 to r5 of r0 to r9.
const ALL: &str = ".12345....";
/// The number of arguments of a helper is part of the kernel's stable interface (`bpf-helpers(7)`).
const FIVE_ARGUMENTS: &[u32] =
    &[9, 10, 11, 25, 28, 49, 57, 66, 68, 84, 85, 99, 100, 110, 111, 121, 126, 149, 163, 165, 180, 191, 201, 202];

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "func#0 @0\nLive regs before insn:\n      0: .12....... (85) call bpf_map_lookup_elem#1\n      1: .12345.... (85) call unknown#2\n      2: .......... (b7) r0 = 0\n";

    #[test]
    fn marks_are_read_by_instruction() {
        assert_eq!(registers_read(LOG, 2).unwrap(), [".12.......", ALL]);
        assert_eq!(registers_read(LOG, 9), None);
        assert_eq!(registers_read("processed 0 insns", 1), None);
        assert_eq!(registers_read(&LOG.replace("1: .12345", "7: .12345"), 2), None);
    }
}
