//! BPF instructions: in, the bytes of a code section; out, the few facts that the rest needs (which helper, which callee,
//! whether a map or function is loaded). Encoding after the kernel's `Documentation/bpf/standardization/instruction-set.rst`.

use crate::bytes::{Endian, Reader};

/// One 8-byte slot. A 64-bit immediate takes two slots; the second has code 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insn {
    pub code: u8,
    pub dst: u8,
    pub src: u8,
    pub off: i16,
    pub imm: i32,
}

/// Who a call instruction calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Helper(i32),
    /// Another function of the same object.
    Subprogram,
    /// A kernel function, by BTF number.
    Kfunc,
}

impl Insn {
    pub fn call(&self) -> Option<Call> {
        match (self.code, self.src) {
            (CALL, 0) if self.dst == 0 => Some(Call::Helper(self.imm)),
            (CALL, 1) => Some(Call::Subprogram),
            (CALL, 2) => Some(Call::Kfunc),
            _ => None,
        }
    }

    /// A 64-bit load of a constant, map or function address.
    pub fn is_wide_load(&self) -> bool {
        self.code == WIDE_LOAD
    }

    /// Jumps backwards within its function.
    pub fn is_back_jump(&self) -> bool {
        let class = self.code & 7;
        let jump = (class == JMP || class == JMP32) && !matches!(self.code & 0xf0, 0x80 | 0x90);
        jump && (self.off < 0 || self.code == GOTOL && self.imm < 0)
    }

    /// The oldest instruction-set level (`-mcpu=v1` to `v4`) that has this instruction.
    pub fn isa_level(&self) -> u8 {
        let (class, op) = (self.code & 7, self.code & 0xf0);
        let alu = class == 4 || class == 7;
        match class {
            _ if alu && (op == 0xb0 && self.off != 0 || matches!(op, 0x30 | 0x90) && self.off == 1) => 4,
            7 if op == 0xd0 => 4,
            JMP32 if op == 0 => 4,
            1 if self.code >> 5 == 4 => 4,
            JMP32 => 3,
            4 => 3,
            3 if self.code >> 5 == 6 && self.imm != 0 => 3,
            JMP if matches!(op, 0xa0..=0xd0) => 2,
            _ => 1,
        }
    }
}

/// Decodes whole slots; trailing bytes are left out.
pub fn decode(code: &[u8], endian: Endian) -> Vec<Insn> {
    let raw = Reader::new(code, endian);
    (0..code.len() / INSN_BYTES).map_while(|i| one(raw, i * INSN_BYTES)).collect()
}

fn one(raw: Reader<'_>, at: usize) -> Option<Insn> {
    let regs = raw.u8(at + 1)?;
    let (low, high) = (regs & 0xf, regs >> 4);
    let (dst, src) = if raw.endian == Endian::Little { (low, high) } else { (high, low) };
    Some(Insn { code: raw.u8(at)?, dst, src, off: raw.u16(at + 2)?.cast_signed(), imm: raw.u32(at + 4)?.cast_signed() })
}

pub const INSN_BYTES: usize = 8;
const CALL: u8 = 0x85;
const WIDE_LOAD: u8 = 0x18;
const JMP: u8 = 5;
const JMP32: u8 = 6;
const GOTOL: u8 = 0x06;
