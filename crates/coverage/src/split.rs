//! Object with coverage counters -> object that loads. Counters of all functions move into one data section that every
//! loader turns into one map; everything that only reports need (mapping, names, function records) goes. Code, BTF and line
//! information stay as they are. The untouched input is the sidecar that reports are made from later.

use crate::Error;
use crate::layout::{BuildId, HEADER_BYTES, Header};
use object::build::Id as _;
use object::build::elf::{Builder, SectionData, SectionId, SymbolId};
use object::elf;
use std::borrow::Cow;
use std::collections::HashMap;

/// The result of a split.
#[derive(Debug)]
pub struct Split {
    /// The loadable object.
    pub object: Vec<u8>,
    pub build: BuildId,
    /// `None` when the object had no counters; it is still cleaned of metadata that loaders refuse.
    pub header: Option<Header>,
    /// How many places in the code refer to counters.
    pub references: usize,
}

/// Splits `sidecar`. `section` overrides the name of the counter section, for loaders that know only `.data`.
///
/// # Errors
/// Not an eBPF object, damaged, or with a reference into metadata that cannot be moved.
pub fn split(sidecar: &[u8], section: Option<&str>) -> Result<Split, Error> {
    let build = BuildId::of(sidecar);
    let neutral = neutralise(sidecar)?;
    let mut builder = Builder::read(&*neutral)?;
    add_section_names(&mut builder);
    let (layout, header) = gather(&builder, build);
    let references = match header {
        Some(_) => {
            let name = section.map_or_else(|| build.section(), str::to_owned);
            if builder.sections.iter().any(|s| *s.name == *name.as_bytes()) {
                return Err(Error::SectionTaken(name));
            }
            let symbol = add_counters(&mut builder, &name, layout.bytes);
            repoint(&mut builder, &layout.bases, symbol)?
        }
        None => 0,
    };
    drop_metadata(&mut builder);
    let mut object = Vec::new();
    builder.write(&mut object)?;
    Ok(Split { object, build, header, references })
}

/// Where each counter section of the input begins inside the merged section.
struct Layout {
    bytes: Vec<u8>,
    bases: HashMap<usize, u64>,
}

/// Checks the ELF header and turns section types that the builder does not model (groups, address significance tables) into
/// plain data: they are dropped later anyway.
fn neutralise(sidecar: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    const E_MACHINE: usize = 18;
    let damaged = |what, at| Error::Damaged { section: "ELF header", what, at };
    let header = sidecar.first_chunk::<64>().ok_or(damaged("cut short", sidecar.len()))?;
    if !header.starts_with(b"\x7fELF\x02") {
        return Err(damaged("not a 64-bit ELF file", 0));
    }
    if header[5] != 1 {
        return Err(Error::BigEndian);
    }
    let machine = u16::from_le_bytes([header[E_MACHINE], header[E_MACHINE + 1]]);
    if machine != elf::EM_BPF.0 {
        return Err(Error::NotBpf(machine));
    }
    let table =
        usize::try_from(u64::from_le_bytes(header[40..48].try_into().unwrap_or_default())).unwrap_or(usize::MAX);
    let count = usize::from(u16::from_le_bytes([header[60], header[61]]));
    if header[56..58] != [0, 0] {
        return Err(damaged("program headers in what should be relocatable", 56));
    }
    let mut bytes = sidecar.to_vec();
    for index in 0..count {
        let at = table.checked_add(index * 64).ok_or(damaged("section table out of bounds", 40))?;
        let row = bytes.get_mut(at..at.saturating_add(64)).ok_or(damaged("section table out of bounds", 40))?;
        let alignment = u64::from_le_bytes(row[48..56].try_into().unwrap_or_default());
        match alignment {
            // Means the same, and can be calculated with.
            0 => row[48..56].copy_from_slice(&1u64.to_le_bytes()),
            _ if alignment.is_power_of_two() && alignment <= MAX_ALIGNMENT => {}
            _ => return Err(damaged("section with an alignment that no compiler asks for", 40)),
        }
        let kind = u32::from_le_bytes([row[4], row[5], row[6], row[7]]);
        if kind == elf::SHT_GROUP.0 || kind == SHT_LLVM_ADDRSIG {
            row[4..8].copy_from_slice(&elf::SHT_PROGBITS.0.to_le_bytes());
            row[40..48].fill(0);
            row[56..64].fill(0);
        }
    }
    Ok(Cow::Owned(bytes))
}

/// clang keeps section and symbol names in one table; the builder models them apart.
fn add_section_names(builder: &mut Builder<'_>) {
    if builder.sections.iter().any(|s| matches!(s.data, SectionData::SectionString)) {
        return;
    }
    let section = builder.sections.add();
    section.name = b".shstrtab".to_vec().into();
    section.sh_type = elf::SHT_STRTAB;
    section.sh_addralign = 1;
    section.data = SectionData::SectionString;
}

/// Lays all counters, then all bitmaps, one after the other behind the header.
fn gather(builder: &Builder<'_>, build: BuildId) -> (Layout, Option<Header>) {
    let mut layout = Layout { bytes: vec![0; HEADER_BYTES], bases: HashMap::new() };
    let mut ends = [0; 2];
    for (end, name) in ends.iter_mut().zip([COUNTERS, BITMAPS]) {
        for section in builder.sections.iter().filter(|s| &*s.name == name) {
            if let SectionData::Data(data) = &section.data {
                if name == COUNTERS {
                    pad(&mut layout.bytes);
                }
                layout.bases.insert(section.id().index(), layout.bytes.len() as u64);
                layout.bytes.extend_from_slice(data);
            }
        }
        pad(&mut layout.bytes);
        *end = layout.bytes.len();
    }
    if layout.bases.is_empty() {
        return (layout, None);
    }
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let header = Header { build, counter_bytes: size(ends[0] - HEADER_BYTES), bitmap_bytes: size(ends[1] - ends[0]) };
    layout.bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
    (layout, Some(header))
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

/// Adds the section and the symbol that stands for it.
fn add_counters(builder: &mut Builder<'_>, name: &str, bytes: Vec<u8>) -> SymbolId {
    let section = builder.sections.add();
    section.name = name.as_bytes().to_vec().into();
    section.sh_type = elf::SHT_PROGBITS;
    section.sh_flags = elf::SHF_ALLOC | elf::SHF_WRITE;
    section.sh_addralign = 8;
    section.data = SectionData::Data(bytes.into());
    let id = section.id();
    let symbol = builder.symbols.add();
    symbol.set_st_info(elf::STB_LOCAL, elf::STT_SECTION);
    symbol.section = Some(id);
    symbol.id()
}

/// One reference to a counter: where it is, and what to add to the offset that stands there.
struct Reference {
    section: SectionId,
    offset: u64,
    kind: u32,
    base: u64,
}

/// Points every reference into a counter section at the merged one.
fn repoint(builder: &mut Builder<'_>, bases: &HashMap<usize, u64>, symbol: SymbolId) -> Result<usize, Error> {
    let targets: HashMap<_, _> =
        builder.symbols.iter().filter_map(|s| Some((s.id().index(), (s.section?.index(), s.st_value)))).collect();
    let mut references = Vec::new();
    for section in builder.sections.iter_mut().filter(|s| !is_metadata(&s.name)) {
        let Some(patched) = section.sh_info_section else { continue };
        let SectionData::Relocation(relocations) = &mut section.data else { continue };
        for relocation in relocations.iter_mut() {
            let target = relocation.symbol.and_then(|id| targets.get(&id.index()));
            let Some((base, value)) = target.and_then(|(s, v)| Some((bases.get(s)?, v))) else { continue };
            let (offset, kind) = (relocation.r_offset, relocation.r_type.0);
            references.push(Reference { section: patched, offset, kind, base: base + value });
            relocation.symbol = Some(symbol);
        }
    }
    for reference in &references {
        patch(builder, reference)?;
    }
    Ok(references.len())
}

/// Adds the base to the addend, which BPF objects keep in the instruction or datum itself.
fn patch(builder: &mut Builder<'_>, reference: &Reference) -> Result<(), Error> {
    let section = builder.sections.get_mut(reference.section);
    let name = String::from_utf8_lossy(&section.name).into_owned();
    let (kind, offset) = (reference.kind, reference.offset);
    let refused = || Error::Relocation { section: name.clone(), offset, kind };
    let SectionData::Data(data) = &mut section.data else { return Err(refused()) };
    let (skip, width) = match kind {
        R_BPF_64_64 => (4, 4),
        R_BPF_64_ABS64 => (0, 8),
        R_BPF_64_ABS32 | R_BPF_64_NODYLD32 => (0, 4),
        _ => return Err(refused()),
    };
    let start = usize::try_from(offset).ok().and_then(|o| o.checked_add(skip)).ok_or_else(refused)?;
    let field = data.to_mut().get_mut(start..start.saturating_add(width)).ok_or_else(refused)?;
    let mut wide = [0; 8];
    wide[..width].copy_from_slice(field);
    let sum = u64::from_le_bytes(wide).wrapping_add(reference.base);
    field.copy_from_slice(&sum.to_le_bytes()[..width]);
    Ok(())
}

fn drop_metadata(builder: &mut Builder<'_>) {
    let gone: HashMap<usize, bool> =
        builder.sections.iter().map(|s| (s.id().index(), is_metadata(&s.name) || is_counter(&s.name))).collect();
    let is_gone = |id: SectionId| gone.get(&id.index()).copied().unwrap_or(false);
    for section in builder.sections.iter_mut() {
        let relocates_gone = section.sh_type == elf::SHT_REL && section.sh_info_section.is_some_and(is_gone);
        section.delete = relocates_gone || is_gone(section.id());
        section.sh_flags = elf::SectionFlags(section.sh_flags.0 & !elf::SHF_GROUP.0);
    }
    for symbol in builder.symbols.iter_mut() {
        let orphan = symbol.section.is_none()
            && [&b"__llvm_profile"[..], b"__profc_", b"__profbm_", b"__covrec_", b"__profd_"]
                .iter()
                .any(|p| symbol.name.starts_with(p));
        symbol.delete = orphan || symbol.section.is_some_and(is_gone);
    }
}

fn is_counter(name: &[u8]) -> bool {
    name == COUNTERS || name == BITMAPS
}

/// Sections that only reports need, with their relocations.
fn is_metadata(name: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 8] = [
        b"__llvm_prf_data",
        b"__llvm_prf_n",
        b"__llvm_prf_v",
        b"__llvm_cov",
        b"__llvm_orderfile",
        b".rodata.__llvm_profile_raw_version",
        b".rel__llvm_",
        b".init_array",
    ];
    PREFIXES.iter().any(|p| name.starts_with(p))
        || [&b".group"[..], b".llvm_addrsig", b".ctors", b".rel.init_array"].contains(&name)
}

/// What is written is padded to it: a page is more than any compiler asks for.
const MAX_ALIGNMENT: u64 = 4096;
const COUNTERS: &[u8] = b"__llvm_prf_cnts";
const BITMAPS: &[u8] = b"__llvm_prf_bits";
const SHT_LLVM_ADDRSIG: u32 = 0x6fff_4c03;
/// Relocation types of linux/Documentation/bpf/llvm_reloc.rst.
const R_BPF_64_64: u32 = 1;
const R_BPF_64_ABS64: u32 = 2;
const R_BPF_64_ABS32: u32 = 3;
const R_BPF_64_NODYLD32: u32 = 4;
