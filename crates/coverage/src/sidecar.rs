//! What a sidecar (the object as clang wrote it) says about its functions: names, where each function's counters lie in
//! the map, and the mapping from counters to source. All sizes are checked against the data; compressed parts are bounded.

use crate::Error;
use crate::cursor::Cursor;
use crate::layout::{BuildId, HEADER_BYTES};
use crate::mapping::{self, FunctionMap};
use crate::mcdc::Numbering;
use md5::{Digest, Md5};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex, SymbolKind};
use std::collections::HashMap;
use std::io::Read;

/// A parsed sidecar.
#[derive(Debug)]
pub struct Sidecar {
    pub build: BuildId,
    /// The file that was compiled, as clang was told it.
    pub source: String,
    /// Functions that have counters.
    pub functions: Vec<Function>,
    /// Mapping records, in the order of the file.
    pub maps: Vec<FunctionMap>,
    /// Size of the counter area and of the bitmap area behind it.
    pub counter_bytes: usize,
    pub bitmap_bytes: usize,
    /// Functions that were left out on purpose: neither covered nor uncovered.
    pub exclusions: Vec<Exclusion>,
    names: HashMap<u64, String>,
    by_name: HashMap<(u64, u64), usize>,
}

/// A function without counters, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exclusion {
    pub function: String,
    pub reason: String,
}

/// One instrumented function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Low 64 bits of the name's MD5.
    pub name_ref: u64,
    /// Hash of the function's control flow.
    pub hash: u64,
    /// Offset of its counters in the counter area, and how many 8-byte counters there are.
    pub counters_at: usize,
    pub counters: usize,
    /// The same for MC/DC bitmap bytes, relative to the bitmap area.
    pub bitmap_at: usize,
    pub bitmap_bytes: usize,
    pub bitmap_numbering: Numbering,
}

impl Sidecar {
    /// # Errors
    /// Not an object with coverage data, or damaged.
    pub fn parse(bytes: &[u8]) -> Result<Sidecar, Error> {
        let file = ElfFile64::<object::Endianness>::parse(bytes)?;
        let areas = Areas::of(&file)?;
        let functions = functions(&file, &areas)?;
        let maps = mapping::read(&file)?;
        if functions.is_empty() && maps.is_empty() {
            return Err(Error::NoCounters);
        }
        Ok(Sidecar {
            build: BuildId::of(bytes),
            source: source(&file),
            by_name: functions.iter().enumerate().map(|(index, f)| ((f.name_ref, f.hash), index)).collect(),
            functions,
            maps,
            counter_bytes: areas.counter_bytes,
            bitmap_bytes: areas.bitmap_bytes,
            names: names(&file)?,
            exclusions: exclusions(bytes),
        })
    }

    /// The function's name as clang recorded it, `file.c:name` for static functions.
    pub fn name(&self, name_ref: u64) -> Option<&str> {
        self.names.get(&name_ref).map(String::as_str)
    }

    /// Every recorded name, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.values().map(String::as_str)
    }

    /// The function with this name reference and hash.
    pub fn function(&self, name_ref: u64, hash: u64) -> Option<&Function> {
        self.by_name.get(&(name_ref, hash)).and_then(|index| self.functions.get(*index))
    }

    /// Bytes of counters and bitmaps together, without the header.
    pub fn data_bytes(&self) -> usize {
        self.counter_bytes + self.bitmap_bytes
    }
}

fn source(file: &ElfFile64<'_>) -> String {
    let symbol = file.symbols().find(|symbol| symbol.kind() == SymbolKind::File);
    symbol
        .and_then(|symbol| symbol.name_bytes().ok())
        .map_or_else(String::new, |name| String::from_utf8_lossy(name).into())
}

/// Writes down behind the object which functions were left out. Readers of ELF files do not look there; the identity of the
/// build includes it.
pub fn with_exclusions(mut object: Vec<u8>, exclusions: &[Exclusion]) -> Vec<u8> {
    if exclusions.is_empty() {
        return object;
    }
    let clean = |text: &str| text.replace(['\t', '\n'], " ");
    let lines = exclusions.iter().map(|e| format!("{}\t{}\n", clean(&e.function), clean(&e.reason)));
    let text = lines.collect::<String>();
    object.extend_from_slice(text.as_bytes());
    object.extend_from_slice(&(text.len() as u64).to_le_bytes());
    object.extend_from_slice(EXCLUSIONS_MAGIC);
    object
}

fn exclusions(bytes: &[u8]) -> Vec<Exclusion> {
    let Some(rest) = bytes.strip_suffix(EXCLUSIONS_MAGIC) else { return Vec::new() };
    let Some((rest, size)) = rest.split_last_chunk::<8>() else { return Vec::new() };
    let size = usize::try_from(u64::from_le_bytes(*size)).unwrap_or(usize::MAX);
    let text = rest.len().checked_sub(size).and_then(|start| rest.get(start..)).unwrap_or_default();
    let lines = String::from_utf8_lossy(text).into_owned();
    let exclusion = |(function, reason): (&str, &str)| Exclusion { function: function.into(), reason: reason.into() };
    lines.lines().filter_map(|line| line.split_once('\t')).map(exclusion).collect()
}

/// The reference by which records name a function.
pub fn name_ref(name: &str) -> u64 {
    let digest = Md5::digest(name.as_bytes());
    u64::from_le_bytes(digest[..8].try_into().unwrap_or_default())
}

/// Offsets of the counter and bitmap sections in their areas, laid out exactly as `split` does.
struct Areas {
    starts: HashMap<SectionIndex, usize>,
    counter_bytes: usize,
    bitmap_bytes: usize,
}

impl Areas {
    fn of(file: &ElfFile64<'_>) -> Result<Areas, Error> {
        let mut starts = HashMap::new();
        let mut at = HEADER_BYTES;
        for section in file.sections().filter(|s| s.name_bytes() == Ok(b"__llvm_prf_cnts")) {
            at = at.next_multiple_of(8);
            starts.insert(section.index(), at - HEADER_BYTES);
            at += section.data()?.len();
        }
        let counter_bytes = at.next_multiple_of(8) - HEADER_BYTES;
        let mut at = 0;
        for section in file.sections().filter(|s| s.name_bytes() == Ok(b"__llvm_prf_bits")) {
            starts.insert(section.index(), at);
            at += section.data()?.len();
        }
        Ok(Areas { starts, counter_bytes, bitmap_bytes: at.next_multiple_of(8) })
    }
}

fn functions(file: &ElfFile64<'_>, areas: &Areas) -> Result<Vec<Function>, Error> {
    let mut functions = Vec::new();
    for section in file.sections().filter(|s| s.name_bytes().is_ok_and(|n| n.starts_with(b"__llvm_prf_data"))) {
        let data = section.data()?;
        let mut pointers = HashMap::new();
        for (offset, relocation) in section.relocations() {
            if let Some(target) = pointee(file, relocation.target(), areas)? {
                pointers.insert(usize::try_from(offset).unwrap_or(usize::MAX), target);
            }
        }
        let size = record_bytes(data.len(), &pointers);
        for (index, record) in data.chunks_exact(size).enumerate() {
            functions.push(function(record, index * size, &pointers)?);
        }
    }
    Ok(functions)
}

/// Where a relocated pointer leads: an offset in the counter or bitmap area. What stands in the field itself is 0 or, since
/// clang 14, a PC-relative difference without meaning here; private counters carry their offset in the symbol.
fn pointee(file: &ElfFile64<'_>, target: RelocationTarget, areas: &Areas) -> Result<Option<usize>, Error> {
    let RelocationTarget::Symbol(symbol) = target else { return Ok(None) };
    let symbol = file.symbol_by_index(symbol)?;
    let start = symbol.section_index().and_then(|s| areas.starts.get(&s));
    Ok(start.map(|start| start.saturating_add(usize::try_from(symbol.address()).unwrap_or(usize::MAX))))
}

/// Records are 48 bytes up to clang 16 and 64 bytes since clang 18; the second pointer field tells them apart.
fn record_bytes(section_bytes: usize, pointers: &HashMap<usize, usize>) -> usize {
    let second = pointers.keys().filter(|at| **at > COUNTERS_FIELD).min();
    match (section_bytes % RECORD_BYTES_OLD, section_bytes % RECORD_BYTES_NEW) {
        (0, 0) if second.is_some_and(|at| *at == COUNTERS_FIELD + RECORD_BYTES_OLD) => RECORD_BYTES_OLD,
        (_, 0) => RECORD_BYTES_NEW,
        _ => RECORD_BYTES_OLD,
    }
}

fn function(record: &[u8], base: usize, pointers: &HashMap<usize, usize>) -> Result<Function, Error> {
    let mut cursor = Cursor::new("__llvm_prf_data", record);
    let (name_ref, hash) = (cursor.u64()?, cursor.u64()?);
    let is_new = record.len() == RECORD_BYTES_NEW;
    let count_at = if is_new { 48 } else { 40 };
    let number = |at: usize| Cursor::new("__llvm_prf_data", record.get(at..).unwrap_or_default()).u32();
    let counters = number(count_at)? as usize;
    // The bitmap size stands at byte 60 since raw version 10 (clang 19), at byte 56 in version 9 (clang 18).
    let (bitmap_bytes, bitmap_numbering) = match is_new {
        true if number(60)? == 0 => (number(56)? as usize, Numbering::Combinations),
        true => (number(60)? as usize, Numbering::Paths),
        false => (0, Numbering::Paths),
    };
    Ok(Function {
        name_ref,
        hash,
        counters_at: pointers.get(&(base + COUNTERS_FIELD)).copied().unwrap_or_default(),
        counters,
        bitmap_at: pointers.get(&(base + BITMAP_FIELD)).copied().unwrap_or_default(),
        bitmap_bytes,
        bitmap_numbering,
    })
}

fn names(file: &ElfFile64<'_>) -> Result<HashMap<u64, String>, Error> {
    let mut names = HashMap::new();
    for section in file.sections().filter(|s| s.name_bytes() == Ok(b"__llvm_prf_names")) {
        let mut cursor = Cursor::new("__llvm_prf_names", section.data()?);
        while !cursor.is_empty() {
            let text = blob(&mut cursor)?;
            for name in text.split(|b| *b == 1).filter(|n| !n.is_empty()) {
                let name = String::from_utf8_lossy(name).into_owned();
                names.insert(name_ref(&name), name);
            }
        }
    }
    Ok(names)
}

/// Uncompressed size, compressed size (0 = stored), data. At most [`MAX_BLOB_BYTES`] come out.
pub(crate) fn blob(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Error> {
    let plain = cursor.uleb()?;
    let packed = cursor.count(1)?;
    if plain > MAX_BLOB_BYTES {
        return Err(cursor.damaged("compressed text larger than any compiler writes"));
    }
    if packed == 0 {
        let size = usize::try_from(plain).unwrap_or(usize::MAX);
        return Ok(cursor.bytes(size)?.to_vec());
    }
    let mut text = Vec::new();
    let packed = cursor.bytes(packed)?;
    let unpacked = flate2::read::ZlibDecoder::new(packed).take(plain).read_to_end(&mut text);
    match unpacked {
        Ok(size) if size as u64 == plain => Ok(text),
        _ => Err(cursor.damaged("compressed text does not unpack to its size")),
    }
}

const EXCLUSIONS_MAGIC: &[u8] = b"HBEXCLUD";
const RECORD_BYTES_OLD: usize = 48;
const RECORD_BYTES_NEW: usize = 64;
const COUNTERS_FIELD: usize = 16;
const BITMAP_FIELD: usize = 24;
/// Names and file names of one unit; the kernel's own largest objects stay below 1 MiB.
const MAX_BLOB_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusions_come_back_and_strange_ends_have_none() {
        let left_out = vec![Exclusion { function: "parse".into(), reason: "too many\tinstructions".into() }];
        let bytes = with_exclusions(b"object".to_vec(), &left_out);
        assert_eq!(exclusions(&bytes)[0].reason, "too many instructions");
        assert_eq!(exclusions(b"HBEXCLUD"), []);
        assert_eq!(exclusions(&[&[0xff; 8][..], EXCLUSIONS_MAGIC].concat()), []);
    }
}
