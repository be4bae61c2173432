//! Everything a loader would need to know about an object: in, its bytes; out, a [`Spec`]. Functions of `.text` are linked
//! into the programs that reach them, so a helper called there counts for the caller. Unknown program types, map types and
//! helpers are errors: what cannot be named cannot be checked. Never loads, opens or asks anything.

use crate::btf::{Btf, Kind};
use crate::btf_ext::{self, Access, Ext, Line};
use crate::bytes::Endian;
use crate::image::{Image, Relocation, Symbol};
use crate::insn::{self, Call, INSN_BYTES, Insn};
use crate::section::{self, Purpose};
use crate::{Error, map, uapi};
use std::collections::{BTreeMap, BTreeSet};

/// A whole object.
#[derive(Debug)]
pub struct Spec<'a> {
    pub endian: Endian,
    /// Empty when the object has no licence section.
    pub license: String,
    /// In order of section and offset.
    pub programs: Vec<Program>,
    /// Defined maps in order, then one array per data section.
    pub maps: Vec<Map>,
    pub externs: Vec<Extern>,
    /// Variable and type of every struct_ops instance.
    pub struct_ops: Vec<(String, String)>,
    pub btf: Option<Btf<'a>>,
}

/// One program with everything it can reach.
#[derive(Debug, Clone)]
pub struct Program {
    pub name: String,
    pub section: String,
    pub purpose: Purpose,
    /// Instructions including those of the functions it reaches.
    pub insns: usize,
    pub helpers: BTreeSet<u32>,
    /// Names of undefined functions and variables it uses.
    pub externs: BTreeSet<String>,
    pub accesses: Vec<Access>,
    pub lines: Vec<Line>,
    /// Highest `-mcpu` level among its instructions.
    pub isa_level: u8,
    /// A member of a struct_ops variable.
    pub in_struct_ops: bool,
    /// Has a jump backwards (a loop the verifier must bound).
    pub loops: bool,
}

/// A map as defined; sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Map {
    pub name: String,
    pub map_type: u32,
    pub key_bytes: u32,
    pub value_bytes: u32,
    pub max_entries: u32,
    pub flags: u32,
    pub extra: u64,
    pub numa_node: Option<u32>,
    pub pinned: bool,
    pub inner: Option<Box<Map>>,
    /// Made for a data section rather than written by the author.
    pub is_data: bool,
}

/// Something the kernel must provide by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extern {
    pub name: String,
    pub kind: ExternKind,
    pub weak: bool,
    /// BTF type in the object.
    pub type_id: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExternKind {
    Kfunc,
    /// A kernel variable with a type, found in BTF.
    TypedVariable,
    /// A kernel symbol without a type, found in kallsyms.
    Symbol,
    /// A kernel configuration value.
    Kconfig,
}

impl Map {
    /// Array or hash of maps.
    pub fn is_outer(&self) -> bool {
        matches!(self.map_type, 12 | 13)
    }
}

impl<'a> Spec<'a> {
    pub fn parse(data: &'a [u8]) -> Result<Self, Error> {
        let image = Image::parse(data)?;
        let btf = image.section(".BTF").map(|s| Btf::parse(s.data)).transpose()?;
        let ext = image.section(".BTF.ext").map(|s| btf_ext::parse(s.data)).transpose()?.unwrap_or_default();
        let mut maps = map::maps(&image, btf.as_ref())?;
        let linker = Linker::new(&image, btf.as_ref(), &ext);
        let programs = linker.programs()?;
        maps.extend(data_maps(&image));
        Ok(Spec {
            endian: image.endian,
            license: license(&image),
            programs,
            maps,
            externs: externs(&image, btf.as_ref()),
            struct_ops: struct_ops(btf.as_ref()),
            btf,
        })
    }

    /// Program types, ascending.
    pub fn program_types(&self) -> BTreeSet<u32> {
        self.programs.iter().map(|p| p.purpose.program_type).collect()
    }

    /// Map types including those of inner maps, ascending.
    pub fn map_types(&self) -> BTreeSet<u32> {
        let inner = self.maps.iter().filter_map(|m| m.inner.as_ref().map(|i| i.map_type));
        self.maps.iter().map(|m| m.map_type).chain(inner).collect()
    }

    /// Program type and helper, ascending.
    pub fn helpers(&self) -> BTreeSet<(u32, u32)> {
        self.programs.iter().flat_map(|p| p.helpers.iter().map(|h| (p.purpose.program_type, *h))).collect()
    }

    /// The source line of an instruction offset within a program's section, as `file:line`.
    pub fn source_line(&self, program: &Program, offset: u32) -> Option<String> {
        let btf = self.btf.as_ref()?;
        let line = program.lines.iter().rev().find(|l| l.offset <= offset)?;
        Some(format!("{}:{}", btf.text(line.file_off), line.line))
    }
}

/// A stretch of code with a name.
#[derive(Debug)]
struct Function<'a> {
    symbol: &'a Symbol<'a>,
    section: usize,
    start: usize,
    end: usize,
}

/// Resolves calls between functions.
struct Linker<'a> {
    image: &'a Image<'a>,
    /// By code section, ordered by offset.
    accesses: BTreeMap<&'a str, Vec<Access>>,
    lines: BTreeMap<&'a str, Vec<Line>>,
    struct_ops_members: BTreeSet<&'a str>,
    functions: Vec<Function<'a>>,
    relocations: BTreeMap<usize, BTreeMap<u64, Relocation>>,
}

/// What one function does by itself.
#[derive(Default)]
struct Body {
    insns: usize,
    helpers: BTreeSet<u32>,
    externs: BTreeSet<String>,
    callees: BTreeSet<usize>,
    isa_level: u8,
    loops: bool,
}

impl<'a> Linker<'a> {
    fn new(image: &'a Image<'a>, btf: Option<&'a Btf<'a>>, ext: &Ext) -> Self {
        let code = image.sections.iter().enumerate().filter(|(_, s)| s.is_code());
        let relocations = code.map(|(i, _)| (i, image.relocations(i).map(|r| (r.offset, r)).collect())).collect();
        let text = |offset: u32| btf.map_or("", |btf| btf.text(offset));
        Linker {
            image,
            accesses: by_section(&ext.accesses, text, |access| access.offset),
            lines: by_section(&ext.lines, text, |line| line.offset),
            struct_ops_members: struct_ops_members(image),
            functions: functions(image),
            relocations,
        }
    }

    fn programs(&self) -> Result<Vec<Program>, Error> {
        if self.functions.len() > MOST_FUNCTIONS {
            return Err(Error::section(
                "code",
                format!("{} functions are more than {MOST_FUNCTIONS}", self.functions.len()),
            ));
        }
        let bodies: Vec<Body> = self.functions.iter().map(|f| self.body(f)).collect::<Result<_, _>>()?;
        self.code_without_symbols()?;
        let roots = self.functions.iter().enumerate().filter(|(_, f)| self.section_name(f.section) != ".text");
        roots.map(|(index, f)| self.program(index, f, &bodies)).collect()
    }

    fn code_without_symbols(&self) -> Result<(), Error> {
        let code = self.image.sections.iter().enumerate().filter(|(_, s)| s.is_code());
        for (index, section) in code {
            if !self.functions.iter().any(|f| f.section == index) {
                return Err(Error::section(section.name, "no symbols found in code section"));
            }
        }
        Ok(())
    }

    fn program(&self, index: usize, f: &Function<'_>, bodies: &[Body]) -> Result<Program, Error> {
        let section = self.section_name(f.section);
        let bad = |reason: String| Error::Program { program: f.symbol.name.to_owned(), reason };
        let purpose = section::purpose(section).ok_or_else(|| bad("unsupported/unspecified program type".into()))?;
        let reached = reachable(index, bodies);
        let mut program = Program {
            name: f.symbol.name.to_owned(),
            section: section.to_owned(),
            purpose,
            insns: 0,
            helpers: BTreeSet::new(),
            externs: BTreeSet::new(),
            accesses: Vec::new(),
            lines: self.lines(f).to_vec(),
            isa_level: 1,
            in_struct_ops: self.struct_ops_members.contains(f.symbol.name),
            loops: false,
        };
        for (function, body) in reached.iter().filter_map(|i| Some((self.functions.get(*i)?, bodies.get(*i)?))) {
            program.insns += body.insns;
            program.helpers.extend(&body.helpers);
            program.externs.extend(body.externs.iter().cloned());
            program.accesses.extend(self.accesses(function));
            program.isa_level = program.isa_level.max(body.isa_level);
            program.loops |= body.loops;
        }
        if let Some(wrong) = program.helpers.iter().find(|id| uapi::helper(**id).is_none()) {
            return Err(bad(match *wrong {
                0 => "unsupported/unspecified helper".into(),
                id => format!("unknown helper {}", id.cast_signed()),
            }));
        }
        Ok(program)
    }

    fn body(&self, f: &Function<'_>) -> Result<Body, Error> {
        let section = self.image.sections.get(f.section);
        let code = section.and_then(|s| s.data.get(f.start..f.end)).unwrap_or(&[]);
        let mut body = Body { isa_level: 1, ..Body::default() };
        let mut second_half = false;
        for (i, op) in insn::decode(code, self.image.endian).iter().enumerate() {
            body.insns += 1;
            if std::mem::take(&mut second_half) {
                continue;
            }
            second_half = op.is_wide_load();
            body.isa_level = body.isa_level.max(op.isa_level());
            body.loops |= op.is_back_jump();
            self.visit(f, f.start + i * INSN_BYTES, op, &mut body)?;
        }
        Ok(body)
    }

    fn visit(&self, f: &Function<'_>, at: usize, op: &Insn, body: &mut Body) -> Result<(), Error> {
        let relocation = self.relocations.get(&f.section).and_then(|table| table.get(&(at as u64)));
        let symbol = relocation.map(|r| {
            let wrong = || Error::section(self.section_name(f.section), format!("relocation at {at}: no such symbol"));
            self.image.symbol(r.symbol).ok_or_else(wrong)
        });
        match (op.call(), symbol.transpose()?) {
            (Some(_), Some(symbol)) if symbol.section == 0 => _ = body.externs.insert(symbol.name.to_owned()),
            (Some(Call::Helper(id)), None) => _ = body.helpers.insert(id.cast_unsigned()),
            (Some(Call::Subprogram), symbol) => body.callees.extend(self.callee(f, at, op, symbol)),
            (None, Some(symbol)) if op.is_wide_load() => self.address(f, at, op, symbol, body)?,
            _ => {}
        }
        Ok(())
    }

    /// A 64-bit load of a map, a variable, a function or something of the kernel.
    fn address(
        &self,
        f: &Function<'_>,
        at: usize,
        op: &Insn,
        symbol: &Symbol<'_>,
        body: &mut Body,
    ) -> Result<(), Error> {
        if symbol.section == 0 {
            body.externs.insert(symbol.name.to_owned());
            return Ok(());
        }
        let target = self.image.sections.get(symbol.section as usize);
        let name = target.map_or("", |s| s.name);
        if target.is_some_and(crate::image::Section::is_code) {
            let inside = if symbol.kind == STT_SECTION { i64::from(op.imm) } else { 0 };
            let offset = symbol.value.cast_signed().wrapping_add(inside);
            body.callees.extend(self.function_at(symbol.section as usize, offset));
        } else if is_map_section(name) && symbol.binding == STB_LOCAL {
            let reason = format!("offset {at}: possible erroneous static qualifier on map definition");
            return Err(Error::section(self.section_name(f.section), reason));
        }
        Ok(())
    }

    fn callee(&self, f: &Function<'_>, at: usize, op: &Insn, symbol: Option<&Symbol<'_>>) -> Option<usize> {
        let jump = (i64::from(op.imm) + 1) * INSN_BYTES as i64;
        match symbol {
            Some(s) if s.kind == STT_SECTION => self.function_at(s.section as usize, jump),
            Some(s) => self.function_at(s.section as usize, s.value.cast_signed()),
            None => self.function_at(f.section, at as i64 + jump),
        }
    }

    fn function_at(&self, section: usize, offset: i64) -> Option<usize> {
        let offset = usize::try_from(offset).ok()?;
        let at = self.functions.partition_point(|f| (f.section, f.start) <= (section, offset)).checked_sub(1)?;
        self.functions.get(at).filter(|f| f.section == section && offset < f.end).map(|_| at)
    }

    fn section_name(&self, index: usize) -> &'a str {
        self.image.sections.get(index).map_or("", |s| s.name)
    }

    fn accesses(&self, f: &Function<'_>) -> &[Access] {
        within(self.accesses.get(self.section_name(f.section)), f, |access| access.offset)
    }

    fn lines(&self, f: &Function<'_>) -> &[Line] {
        within(self.lines.get(self.section_name(f.section)), f, |line| line.offset)
    }
}

fn by_section<'a, T: Copy>(
    rows: &[(u32, T)],
    text: impl Fn(u32) -> &'a str,
    offset: impl Fn(&T) -> u32,
) -> BTreeMap<&'a str, Vec<T>> {
    let mut all: BTreeMap<&str, Vec<T>> = BTreeMap::new();
    let mut last = (None, "");
    for (section, row) in rows {
        if last.0 != Some(*section) {
            last = (Some(*section), text(*section));
        }
        all.entry(last.1).or_default().push(*row);
    }
    all.values_mut().for_each(|rows| rows.sort_by_key(&offset));
    all
}

/// The rows whose offset lies in a function.
fn within<'t, T>(rows: Option<&'t Vec<T>>, f: &Function<'_>, offset: impl Fn(&T) -> u32) -> &'t [T] {
    let rows = rows.map_or(&[][..], Vec::as_slice);
    let (start, end) = (
        rows.partition_point(|r| (offset(r) as usize) < f.start),
        rows.partition_point(|r| (offset(r) as usize) < f.end),
    );
    rows.get(start..end).unwrap_or(&[])
}

fn struct_ops_members<'a>(image: &'a Image<'a>) -> BTreeSet<&'a str> {
    let tables =
        image.sections.iter().enumerate().filter(|(_, s)| s.name.trim_start_matches('?').starts_with(".struct_ops"));
    let used = tables.flat_map(|(index, _)| image.relocations(index)).filter_map(|r| image.symbol(r.symbol));
    used.map(|symbol| symbol.name).collect()
}

fn functions<'a>(image: &'a Image<'a>) -> Vec<Function<'a>> {
    let is_code = |index: usize| image.sections.get(index).is_some_and(crate::image::Section::is_code);
    let named = |s: &&Symbol<'_>| {
        let hidden =
            s.kind == STT_NOTYPE && s.binding == STB_LOCAL && (s.name.starts_with("LBB") || s.name.starts_with('$'));
        matches!(s.kind, STT_NOTYPE | STT_FUNC) && !s.name.is_empty() && !hidden
    };
    let mut starts: Vec<&Symbol<'a>> =
        image.symbols.iter().filter(|s| is_code(s.section as usize)).filter(named).collect();
    starts.sort_by_key(|s| (s.section, s.value, s.kind != STT_FUNC));
    starts.dedup_by_key(|s| (s.section, s.value));
    let ends = starts.iter().enumerate().map(|(i, s)| {
        let size = image.sections.get(s.section as usize).map_or(0, |sec| sec.data.len());
        let next = starts.get(i + 1).filter(|n| n.section == s.section);
        next.and_then(|n| usize::try_from(n.value).ok()).unwrap_or(size).min(size)
    });
    let whole = starts.iter().zip(ends).filter_map(|(symbol, end)| {
        let start = usize::try_from(symbol.value).ok().filter(|start| *start < end)?;
        Some(Function { symbol, section: symbol.section as usize, start, end })
    });
    whole.collect()
}

fn reachable(root: usize, bodies: &[Body]) -> BTreeSet<usize> {
    let (mut seen, mut todo) = (BTreeSet::from([root]), vec![root]);
    while let Some(body) = todo.pop().and_then(|at| bodies.get(at)) {
        todo.extend(body.callees.iter().filter(|callee| seen.insert(**callee)));
    }
    seen
}

fn license(image: &Image<'_>) -> String {
    let section = image.sections.iter().find(|s| s.name.starts_with("license"));
    let bytes = section.map_or(&[][..], |s| s.data);
    String::from_utf8_lossy(bytes).trim_matches('\0').to_owned()
}

/// One array map for every data section that holds a variable or is referred to.
fn data_maps(image: &Image<'_>) -> Vec<Map> {
    let referred: BTreeSet<u32> = image
        .sections
        .iter()
        .enumerate()
        .filter(|(_, s)| s.is_code())
        .flat_map(|(i, _)| image.relocations(i))
        .filter_map(|r| image.symbol(r.symbol).map(|s| u32::from(s.section)))
        .collect();
    let holding = image.symbols.iter().filter(|s| s.kind <= 1 && !s.name.is_empty()).map(|s| u32::from(s.section));
    let used: BTreeSet<u32> = holding.chain(referred).collect();
    let used = |index: usize| u32::try_from(index).is_ok_and(|index| used.contains(&index));
    let sections = image.sections.iter().enumerate().filter(|(i, s)| is_data_section(s.name) && used(*i));
    let map = |name: &str, size: u64| Map {
        name: name.to_owned(),
        map_type: 2,
        key_bytes: 4,
        value_bytes: u32::try_from(size).unwrap_or(u32::MAX),
        max_entries: 1,
        is_data: true,
        ..Map::default()
    };
    sections.map(|(_, s)| map(s.name, s.size)).collect()
}

fn is_data_section(name: &str) -> bool {
    name == ".bss" || name.starts_with(".bss.") || name.starts_with(".data") || name.starts_with(".rodata")
}

fn is_map_section(name: &str) -> bool {
    name == ".maps" || name.starts_with("maps")
}

fn externs(image: &Image<'_>, btf: Option<&Btf<'_>>) -> Vec<Extern> {
    let Some(btf) = btf else { return Vec::new() };
    let weak: BTreeSet<&str> = image.symbols.iter().filter(|s| s.binding == STB_WEAK).map(|s| s.name).collect();
    let mut found = BTreeSet::new();
    for section in btf.ids().filter_map(|id| btf.get(id)).filter(|ty| ty.kind == Kind::Datasec) {
        let name = btf.name(&section);
        if name != ".ksyms" && name != ".kconfig" {
            continue;
        }
        for placed in section.placed() {
            let Some(ty) = btf.get(placed.type_id) else { continue };
            let text = btf.name(&ty);
            let kind = extern_kind(btf, name, ty.kind, ty.target());
            found.insert(Extern { name: text.to_owned(), kind, weak: weak.contains(text), type_id: placed.type_id });
        }
    }
    found.into_iter().collect()
}

fn extern_kind(btf: &Btf<'_>, section: &str, kind: Kind, target: u32) -> ExternKind {
    match (section, kind) {
        (".kconfig", _) => ExternKind::Kconfig,
        (_, Kind::Func) => ExternKind::Kfunc,
        _ if btf.skip_qualifiers(target).is_some_and(|(_, ty)| ty.kind == Kind::Void) => ExternKind::Symbol,
        _ => ExternKind::TypedVariable,
    }
}

fn struct_ops(btf: Option<&Btf<'_>>) -> Vec<(String, String)> {
    let Some(btf) = btf else { return Vec::new() };
    let sections = btf.ids().filter_map(|id| btf.get(id)).filter(|ty| {
        ty.kind == Kind::Datasec
            && matches!(btf.name(ty), ".struct_ops" | ".struct_ops.link" | "?.struct_ops" | "?.struct_ops.link")
    });
    let vars = sections.flat_map(|section| section.placed().collect::<Vec<_>>());
    let named = vars.filter_map(|placed| {
        let var = btf.get(placed.type_id)?;
        let (_, ty) = btf.skip_modifiers(var.target())?;
        Some((btf.name(&var).to_owned(), btf.name(&ty).to_owned()))
    });
    named.collect()
}

/// Real objects stay below a few thousand.
const MOST_FUNCTIONS: usize = 20_000;
const STT_NOTYPE: u8 = 0;
const STT_FUNC: u8 = 2;
const STT_SECTION: u8 = 3;
const STB_LOCAL: u8 = 0;
const STB_WEAK: u8 = 2;
