//! The coverage mapping: which spans of source belong to which counter expression. Written by clang per function into
//! `__llvm_covfun`, file names per unit into `__llvm_covmap`. Versions of clang 12 to 22 (stored numbers 4 to 6).

use crate::Error;
use crate::cursor::Cursor;
use crate::sidecar::blob;
use md5::{Digest, Md5};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// The mapping of one function.
#[derive(Debug)]
pub struct FunctionMap {
    pub name_ref: u64,
    /// 0 for a function that was never emitted (an unused static inline).
    pub hash: u64,
    /// File names by the file ids that regions use.
    pub files: Vec<Rc<str>>,
    pub expressions: Vec<(Counter, Counter)>,
    pub regions: Vec<Region>,
}

/// What to count: nothing, one counter, or a sum or difference of two others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counter {
    Zero,
    Reference(u32),
    Subtract(u32),
    Add(u32),
}

/// One span of source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    pub file: u32,
    pub kind: RegionKind,
    pub start: Position,
    pub end: Position,
}

/// 1-based line and column.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegionKind {
    Code(Counter),
    /// The macro or include whose content has this file id.
    Expansion(u32),
    Skipped,
    /// White space after a statement; counts only where nothing else does.
    Gap(Counter),
    Branch {
        taken: Counter,
        not_taken: Counter,
        condition: Option<Condition>,
    },
    /// A decision with several conditions (MC/DC).
    Decision {
        bitmap_bit: u32,
        conditions: u32,
    },
}

/// Place of a condition in its decision: its id and where evaluation goes next; 0 = the decision is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Condition {
    pub id: u32,
    pub if_true: u32,
    pub if_false: u32,
}

/// Reads all mapping records of an object.
pub(crate) fn read(file: &ElfFile64<'_>) -> Result<Vec<FunctionMap>, Error> {
    let units = units(file)?;
    let mut maps = Vec::new();
    for section in file.sections().filter(|s| s.name_bytes() == Ok(b"__llvm_covfun")) {
        let mut cursor = Cursor::new("__llvm_covfun", section.data()?);
        while cursor.remaining() >= RECORD_HEADER_BYTES {
            let (name_ref, size) = (cursor.u64()?, cursor.u32()? as usize);
            let (hash, unit) = (cursor.u64()?, cursor.u64()?);
            let data = cursor.bytes(size)?;
            let names = units.get(&unit).ok_or_else(|| cursor.damaged("names an unknown unit"))?;
            maps.push(function_map(name_ref, hash, names, data)?);
            cursor.align(8);
        }
    }
    Ok(maps)
}

/// File names per unit, keyed by the low 64 bits of the MD5 of their encoding.
fn units(file: &ElfFile64<'_>) -> Result<HashMap<u64, Vec<Rc<str>>>, Error> {
    let mut units = HashMap::new();
    for section in file.sections().filter(|s| s.name_bytes() == Ok(b"__llvm_covmap")) {
        let mut cursor = Cursor::new("__llvm_covmap", section.data()?);
        while cursor.remaining() >= UNIT_HEADER_BYTES {
            let (_, names_bytes, coverage_bytes) = (cursor.u32()?, cursor.u32()? as usize, cursor.u32()? as usize);
            let version = cursor.u32()?;
            if !SUPPORTED_VERSIONS.contains(&version) {
                return Err(Error::MappingVersion(version));
            }
            let encoded = cursor.bytes(names_bytes)?;
            let reference = u64::from_le_bytes(Md5::digest(encoded)[..8].try_into().unwrap_or_default());
            units.insert(reference, file_names(encoded, version)?);
            cursor.bytes(coverage_bytes)?;
            cursor.align(8);
        }
    }
    Ok(units)
}

fn file_names(encoded: &[u8], version: u32) -> Result<Vec<Rc<str>>, Error> {
    let mut cursor = Cursor::new("__llvm_covmap", encoded);
    let count = cursor.uleb()?;
    let text = blob(&mut cursor)?;
    let mut cursor = Cursor::new("__llvm_covmap", &text);
    let mut names: Vec<Rc<str>> = Vec::new();
    for _ in 0..count {
        let size = cursor.count(1)?;
        let name = String::from_utf8_lossy(cursor.bytes(size)?).into_owned();
        // Since stored version 5, entry 0 is the directory that relative names start from.
        let name = match names.first().filter(|_| version >= FIRST_WITH_DIRECTORY) {
            Some(directory) => normal(&Path::new(&**directory).join(name)),
            None => name,
        };
        names.push(name.into());
    }
    Ok(names)
}

/// Resolves `.` and `..` by name only; the files need not exist here.
fn normal(path: &Path) -> String {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            _ => out.push(part),
        }
    }
    out.to_string_lossy().into_owned()
}

fn function_map(name_ref: u64, hash: u64, unit: &[Rc<str>], data: &[u8]) -> Result<FunctionMap, Error> {
    let mut cursor = Cursor::new("__llvm_covfun", data);
    let mut files = Vec::new();
    for _ in 0..cursor.count(1)? {
        let index = usize::try_from(cursor.uleb()?).unwrap_or(usize::MAX);
        files.push(unit.get(index).ok_or_else(|| cursor.damaged("names an unknown file"))?.clone());
    }
    let count = cursor.count(2)?;
    let mut expressions = Vec::with_capacity(count);
    for _ in 0..count {
        expressions.push((counter(&mut cursor, count)?, counter(&mut cursor, count)?));
    }
    let mut regions = Vec::new();
    for file in 0..files.len() {
        let file = u32::try_from(file).unwrap_or(u32::MAX);
        let mut line = 0u32;
        for _ in 0..cursor.count(5)? {
            regions.push(region(&mut cursor, file, files.len(), count, &mut line)?);
        }
    }
    Ok(FunctionMap { name_ref, hash, files, expressions, regions })
}

fn counter(cursor: &mut Cursor<'_>, expressions: usize) -> Result<Counter, Error> {
    let word = cursor.uleb32()?;
    decode_counter(cursor, word, expressions)
}

fn decode_counter(cursor: &Cursor<'_>, word: u32, expressions: usize) -> Result<Counter, Error> {
    let id = word >> 2;
    let counter = match word & 3 {
        0 => return Ok(Counter::Zero),
        1 => return Ok(Counter::Reference(id)),
        2 => Counter::Subtract(id),
        _ => Counter::Add(id),
    };
    if (id as usize) < expressions { Ok(counter) } else { Err(cursor.damaged("names an unknown expression")) }
}

fn region(
    cursor: &mut Cursor<'_>,
    file: u32,
    files: usize,
    expressions: usize,
    line: &mut u32,
) -> Result<Region, Error> {
    let mut kind = region_kind(cursor, files, expressions)?;
    let overflow = |cursor: &Cursor<'_>| cursor.damaged("line number out of range");
    *line = line.checked_add(cursor.uleb32()?).ok_or_else(|| overflow(cursor))?;
    let mut start = Position { line: *line, column: cursor.uleb32()? };
    let last = line.checked_add(cursor.uleb32()?).filter(|l| *l <= MAX_LINE).ok_or_else(|| overflow(cursor))?;
    let column = cursor.uleb32()?;
    let mut end = Position { line: last, column: column & !GAP_BIT };
    if let (RegionKind::Code(counter), true) = (kind, column & GAP_BIT != 0) {
        kind = RegionKind::Gap(counter);
    }
    if start.column == 0 && end.column == 0 {
        start.column = 1;
        end.column = u32::MAX;
    }
    Ok(Region { file, kind, start, end })
}

fn region_kind(cursor: &mut Cursor<'_>, files: usize, expressions: usize) -> Result<RegionKind, Error> {
    let head = cursor.uleb32()?;
    if head & 3 != 0 {
        return Ok(RegionKind::Code(decode_counter(cursor, head, expressions)?));
    }
    if head & 4 != 0 {
        let file = head >> 3;
        return if (file as usize) < files {
            Ok(RegionKind::Expansion(file))
        } else {
            Err(cursor.damaged("expands an unknown file"))
        };
    }
    match head >> 3 {
        0 => Ok(RegionKind::Code(Counter::Zero)),
        2 => Ok(RegionKind::Skipped),
        4 => branch(cursor, expressions, false),
        5 => Ok(RegionKind::Decision { bitmap_bit: cursor.uleb32()?, conditions: cursor.uleb32()? }),
        6 => branch(cursor, expressions, true),
        _ => Err(cursor.damaged("region of an unknown kind")),
    }
}

fn branch(cursor: &mut Cursor<'_>, expressions: usize, in_decision: bool) -> Result<RegionKind, Error> {
    let (taken, not_taken) = (counter(cursor, expressions)?, counter(cursor, expressions)?);
    let mut id = || cursor.uleb32();
    let condition = if in_decision { Some(Condition { id: id()?, if_true: id()?, if_false: id()? }) } else { None };
    Ok(RegionKind::Branch { taken, not_taken, condition })
}

const RECORD_HEADER_BYTES: usize = 28;
const UNIT_HEADER_BYTES: usize = 16;
const SUPPORTED_VERSIONS: std::ops::RangeInclusive<u32> = 4..=6;
const FIRST_WITH_DIRECTORY: u32 = 5;
/// More lines than any source file has; keeps hostile mappings from producing endless reports.
const MAX_LINE: u32 = 1 << 20;
const GAP_BIT: u32 = 1 << 31;
