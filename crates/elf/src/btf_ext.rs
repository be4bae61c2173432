//! The `.BTF.ext` section: which source line and which CO-RE access belongs to which instruction. In: the section's bytes and
//! the object's BTF strings; out: records by code section. Layout after the kernel's `Documentation/bpf/btf.rst`.

use crate::Error;
use crate::bytes::{Endian, Reader};

/// Where an instruction came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Byte offset in its section.
    pub offset: u32,
    pub file_off: u32,
    pub text_off: u32,
    pub line: u32,
    pub column: u32,
}

/// One access that the loader must adapt to the running kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    pub offset: u32,
    pub type_id: u32,
    pub spec_off: u32,
    pub kind: u32,
}

/// Records with the string offset of the section they belong to.
#[derive(Debug, Default)]
pub struct Ext {
    pub lines: Vec<(u32, Line)>,
    pub accesses: Vec<(u32, Access)>,
}

pub fn parse(data: &[u8]) -> Result<Ext, Error> {
    let endian = match data.get(..2) {
        Some([0x9f, 0xeb]) => Endian::Little,
        Some([0xeb, 0x9f]) => Endian::Big,
        _ => return Err(Error::section(".BTF.ext", "no BTF magic")),
    };
    let raw = Reader::new(data, endian);
    let cut = || Error::section(".BTF.ext", "a record reaches past the end");
    let head = raw.offset32(4).ok_or_else(cut)?;
    let mut ext = Ext::default();
    if let Some(part) = part(raw, head, 16) {
        each_record(part.ok_or_else(cut)?, |section, r| line(r).map(|line| ext.lines.push((section, line))))?;
    }
    if head >= HEAD_WITH_ACCESSES
        && let Some(part) = part(raw, head, 24)
    {
        each_record(part.ok_or_else(cut)?, |section, r| access(r).map(|access| ext.accesses.push((section, access))))?;
    }
    Ok(ext)
}

/// `None` for an empty part, `Some(None)` for one that reaches past the end.
fn part(raw: Reader<'_>, head: usize, at: usize) -> Option<Option<Reader<'_>>> {
    let len = raw.offset32(at + 4)?;
    let read = || Some(Reader::new(raw.bytes(head.checked_add(raw.offset32(at)?)?, len)?, raw.endian));
    (len > 0).then(read)
}

fn each_record(part: Reader<'_>, mut take: impl FnMut(u32, Reader<'_>) -> Option<()>) -> Result<(), Error> {
    let bad = || Error::section(".BTF.ext", "a record is cut short");
    let size = part.offset32(0).filter(|size| *size >= RECORD_BYTES).ok_or_else(bad)?;
    let mut at = 4usize;
    while at < part.data.len() {
        let (section, count) = (part.u32(at).ok_or_else(bad)?, part.offset32(at + 4).ok_or_else(bad)?);
        at += 8;
        for _ in 0..count {
            let record = part.bytes(at, size).ok_or_else(bad)?;
            take(section, Reader::new(record, part.endian)).ok_or_else(bad)?;
            at += size;
        }
    }
    Ok(())
}

fn line(r: Reader<'_>) -> Option<Line> {
    let place = r.u32(12)?;
    Some(Line { offset: r.u32(0)?, file_off: r.u32(4)?, text_off: r.u32(8)?, line: place >> 10, column: place & 0x3ff })
}

fn access(r: Reader<'_>) -> Option<Access> {
    Some(Access { offset: r.u32(0)?, type_id: r.u32(4)?, spec_off: r.u32(8)?, kind: r.u32(12)? })
}

const RECORD_BYTES: usize = 16;
/// Headers shorter than this have no CO-RE part.
const HEAD_WITH_ACCESSES: usize = 32;
