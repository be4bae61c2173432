//! The ELF container: in, the bytes of a 64-bit relocatable object of either byte order; out, its sections, symbols and
//! relocations, all borrowed. Layout after the System V gABI. Knows nothing of BPF but the machine number.

use crate::Error;
use crate::bytes::{Endian, Reader};

/// An opened object file.
#[derive(Debug)]
pub struct Image<'a> {
    pub endian: Endian,
    pub sections: Vec<Section<'a>>,
    pub symbols: Vec<Symbol<'a>>,
}

#[derive(Debug, Clone)]
pub struct Section<'a> {
    pub name: &'a str,
    pub kind: u32,
    pub flags: u64,
    pub size: u64,
    link: u32,
    info: u32,
    /// Empty for a section without bytes in the file (`.bss`).
    pub data: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol<'a> {
    pub name: &'a str,
    /// 0 none, 1 object, 2 function, 3 section.
    pub kind: u8,
    /// 0 local, 1 global, 2 weak.
    pub binding: u8,
    /// Section number, 0 for an undefined symbol.
    pub section: u16,
    pub value: u64,
    pub size: u64,
}

/// A use of a symbol at a byte offset of its section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relocation {
    pub offset: u64,
    pub symbol: u32,
    pub kind: u32,
}

impl<'a> Image<'a> {
    pub fn parse(data: &'a [u8]) -> Result<Self, Error> {
        let raw = Reader::new(data, byte_order(data)?);
        let machine = raw.u16(18).ok_or(Error::NotElf("header is cut short"))?;
        if machine != EM_NONE && machine != EM_BPF {
            return Err(Error::Machine(machine));
        }
        let sections = sections(raw)?;
        let symbols = symbols(raw.endian, &sections)?;
        Ok(Image { endian: raw.endian, sections, symbols })
    }

    pub fn section(&self, name: &str) -> Option<&Section<'a>> {
        self.sections.iter().find(|s| s.name == name)
    }

    /// The relocations that apply to section `index`, in file order.
    pub fn relocations(&self, index: usize) -> impl Iterator<Item = Relocation> + '_ {
        let tables = self.sections.iter().filter(move |s| s.kind == SHT_REL && s.info as usize == index);
        tables.flat_map(move |s| {
            let raw = Reader::new(s.data, self.endian);
            (0..s.data.len() / REL_BYTES).map_while(move |i| {
                let info = raw.u64(i * REL_BYTES + 8)?;
                Some(Relocation { offset: raw.u64(i * REL_BYTES)?, symbol: (info >> 32) as u32, kind: info as u32 })
            })
        })
    }

    pub fn symbol(&self, index: u32) -> Option<&Symbol<'a>> {
        self.symbols.get(index as usize)
    }
}

impl Section<'_> {
    pub fn is_code(&self) -> bool {
        self.kind == SHT_PROGBITS && self.flags & SHF_EXECINSTR != 0 && !self.data.is_empty()
    }
}

fn byte_order(data: &[u8]) -> Result<Endian, Error> {
    if data.get(..4) != Some(b"\x7fELF") {
        return Err(Error::NotElf("no ELF magic"));
    }
    if data.get(4) != Some(&2) {
        return Err(Error::NotElf("not a 64-bit object"));
    }
    match data.get(5) {
        Some(1) => Ok(Endian::Little),
        Some(2) => Ok(Endian::Big),
        _ => Err(Error::NotElf("unknown byte order")),
    }
}

fn sections<'a>(raw: Reader<'a>) -> Result<Vec<Section<'a>>, Error> {
    let cut = Error::NotElf("section table is cut short");
    let table = raw.offset64(40).ok_or(cut.clone())?;
    let entry = raw.u16(58).ok_or(cut.clone())? as usize;
    let count = raw.u16(60).ok_or(cut.clone())? as usize;
    let names_at = raw.u16(62).ok_or(cut.clone())? as usize;
    if count > 0 && entry < SECTION_BYTES {
        return Err(cut);
    }
    let read = |i: usize| -> Option<(u32, Section<'a>)> {
        let head = raw.bytes(table.checked_add(i.checked_mul(entry)?)?, SECTION_BYTES)?;
        section(Reader::new(head, raw.endian), raw)
    };
    let heads: Vec<(u32, Section<'a>)> = (0..count).map(read).collect::<Option<_>>().ok_or(cut)?;
    let names = Reader::new(heads.get(names_at).map_or(&[][..], |(_, s)| s.data), raw.endian);
    Ok(heads.into_iter().map(|(name, s)| Section { name: names.text(name as usize).unwrap_or(""), ..s }).collect())
}

fn section<'a>(head: Reader<'a>, file: Reader<'a>) -> Option<(u32, Section<'a>)> {
    let (kind, size) = (head.u32(4)?, head.u64(32)?);
    let data = if kind == SHT_NOBITS || kind == 0 { &[] } else { file.bytes(head.offset64(24)?, head.offset64(32)?)? };
    let section = Section { name: "", kind, flags: head.u64(8)?, size, link: head.u32(40)?, info: head.u32(44)?, data };
    Some((head.u32(0)?, section))
}

fn symbols<'a>(endian: Endian, sections: &[Section<'a>]) -> Result<Vec<Symbol<'a>>, Error> {
    let Some(table) = sections.iter().find(|s| s.kind == SHT_SYMTAB) else { return Ok(Vec::new()) };
    let names = Reader::new(sections.get(table.link as usize).map_or(&[][..], |s| s.data), endian);
    let raw = Reader::new(table.data, endian);
    (0..table.data.len() / SYMBOL_BYTES)
        .map(|i| symbol(raw, i * SYMBOL_BYTES, names, sections))
        .collect::<Option<_>>()
        .ok_or_else(|| Error::section(table.name, "symbol name reaches past the string table"))
}

fn symbol<'a>(raw: Reader<'a>, at: usize, names: Reader<'a>, sections: &[Section<'a>]) -> Option<Symbol<'a>> {
    let (info, section) = (raw.u8(at + 4)?, raw.u16(at + 6)?);
    let kind = info & 0xf;
    let own = names.text(raw.offset32(at)?)?;
    let name = if own.is_empty() && kind == 3 { sections.get(section as usize).map_or("", |s| s.name) } else { own };
    Some(Symbol { name, kind, binding: info >> 4, section, value: raw.u64(at + 8)?, size: raw.u64(at + 16)? })
}

const EM_NONE: u16 = 0;
const EM_BPF: u16 = 247;
pub const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_NOBITS: u32 = 8;
const SHT_REL: u32 = 9;
const SHF_EXECINSTR: u64 = 4;
const SECTION_BYTES: usize = 64;
const SYMBOL_BYTES: usize = 24;
const REL_BYTES: usize = 16;
