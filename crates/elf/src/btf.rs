//! BPF Type Format: in, the raw bytes of a `.BTF` section or of `/sys/kernel/btf/*`; out, types by number, with names,
//! members and enumerators. Split BTF of a module is read on top of its base. Layout after the kernel's
//! `include/uapi/linux/btf.h`. Nothing is copied: a [`Btf`] borrows the bytes and keeps one offset per type.

use crate::Error;
use crate::bytes::{Endian, Reader};
use std::collections::{BTreeSet, HashMap};

/// Kinds by number, in the order of the kernel header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Void,
    Int,
    Ptr,
    Array,
    Struct,
    Union,
    Enum,
    Fwd,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Func,
    FuncProto,
    Var,
    Datasec,
    Float,
    DeclTag,
    TypeTag,
    Enum64,
}

/// A set of types with their strings.
#[derive(Debug)]
pub struct Btf<'a> {
    types: Reader<'a>,
    strings: &'a [u8],
    offsets: Vec<u32>,
    base: Option<&'a Btf<'a>>,
}

/// One type: the common head plus the bytes that follow it.
#[derive(Debug, Clone, Copy)]
pub struct Type<'a> {
    pub kind: Kind,
    /// Number of members, enumerators or parameters.
    pub vlen: usize,
    pub kind_flag: bool,
    pub name_off: u32,
    size_or_type: u32,
    extra: Reader<'a>,
}

/// A field of a struct or union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub name_off: u32,
    pub type_id: u32,
    pub bit_offset: u32,
    /// 0 for a plain field.
    pub bitfield_bits: u32,
}

/// An enumerator of a 32 or 64 bit enum; signed values arrive sign-extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enumerator {
    pub name_off: u32,
    pub value: u64,
}

/// Where one variable lies in a data section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    pub type_id: u32,
    pub offset: u32,
    pub size: u32,
}

impl<'a> Btf<'a> {
    pub fn parse(data: &'a [u8]) -> Result<Self, Error> {
        Self::parse_on(data, None)
    }

    /// Split BTF (a module's): its numbers and string offsets continue those of `base`.
    pub fn parse_on(data: &'a [u8], base: Option<&'a Btf<'a>>) -> Result<Self, Error> {
        let head = Header::read(data)?;
        let offsets = type_offsets(head.types)?;
        Ok(Btf { types: head.types, strings: head.strings, offsets, base })
    }

    /// One more than the highest type number; number 0 is `void`.
    pub fn len(&self) -> u32 {
        self.first_id() + self.offsets.len() as u32
    }

    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The first number of this set: 1, or the end of the base.
    pub fn first_id(&self) -> u32 {
        self.base.map_or(1, Btf::len)
    }

    pub fn ids(&self) -> std::ops::Range<u32> {
        self.first_id()..self.len()
    }

    pub fn endian(&self) -> Endian {
        self.types.endian
    }

    pub fn get(&self, id: u32) -> Option<Type<'a>> {
        if id == 0 {
            return Some(Type::void(self.types.endian));
        }
        match (id.checked_sub(self.first_id()), self.base) {
            (Some(own), _) => read_type(self.types, *self.offsets.get(own as usize)? as usize),
            (None, Some(base)) => base.get(id),
            (None, None) => None,
        }
    }

    /// The text at a string offset, empty where there is none.
    pub fn text(&self, offset: u32) -> &'a str {
        let base_len = self.base.map_or(0, Btf::string_end);
        match (offset as usize).checked_sub(base_len) {
            Some(own) => Reader::new(self.strings, self.types.endian).text(own).unwrap_or(""),
            None => self.base.map_or("", |base| base.text(offset)),
        }
    }

    pub fn name(&self, ty: &Type<'a>) -> &'a str {
        self.text(ty.name_off)
    }

    pub fn name_of(&self, id: u32) -> &'a str {
        self.get(id).map_or("", |ty| self.name(&ty))
    }

    /// String offsets of some names, for comparing many types by number instead of by text.
    pub fn offsets_of<'n>(&self, names: &BTreeSet<&'n str>) -> HashMap<u32, &'n str> {
        let mut found = self.own_offsets_of(names);
        if let Some(base) = self.base {
            found.extend(base.offsets_of(names));
        }
        found
    }

    /// Like [`Btf::offsets_of`], in this set's own strings alone.
    pub fn own_offsets_of<'n>(&self, names: &BTreeSet<&'n str>) -> HashMap<u32, &'n str> {
        let start = self.base.map_or(0, Btf::string_end);
        let lengths: BTreeSet<usize> = names.iter().map(|name| name.len()).collect();
        let mut found = HashMap::new();
        let mut at = start;
        for text in self.strings.split(|b| *b == 0) {
            let wanted = lengths.contains(&text.len()).then(|| std::str::from_utf8(text).ok()).flatten();
            if let (Some(name), Ok(offset)) = (wanted.and_then(|text| names.get(text)), u32::try_from(at)) {
                found.insert(offset, *name);
            }
            at += text.len() + 1;
        }
        found
    }

    /// Whether the text at an offset begins with a prefix, without measuring it.
    pub fn begins(&self, offset: u32, prefix: &str) -> bool {
        let start = self.base.map_or(0, Btf::string_end);
        match ((offset as usize).checked_sub(start), self.base) {
            (Some(own), _) => self.strings.get(own..).is_some_and(|rest| rest.starts_with(prefix.as_bytes())),
            (None, Some(base)) => base.begins(offset, prefix),
            (None, None) => false,
        }
    }

    /// The first type of that kind and name.
    pub fn find(&self, kind: Kind, name: &str) -> Option<u32> {
        let own = self.ids().find(|id| self.get(*id).is_some_and(|ty| ty.kind == kind && self.name(&ty) == name));
        own.or_else(|| self.base.and_then(|base| base.find(kind, name)))
    }

    /// Follows typedefs and qualifiers; a chain that does not end is `None`.
    pub fn skip_modifiers(&self, id: u32) -> Option<(u32, Type<'a>)> {
        self.skip(id, |kind| {
            matches!(kind, Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag)
        })
    }

    /// Follows qualifiers but stops at typedefs.
    pub fn skip_qualifiers(&self, id: u32) -> Option<(u32, Type<'a>)> {
        self.skip(id, |kind| matches!(kind, Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag))
    }

    fn skip(&self, mut id: u32, through: impl Fn(Kind) -> bool) -> Option<(u32, Type<'a>)> {
        for _ in 0..MAX_CHAIN {
            let ty = self.get(id)?;
            if !through(ty.kind) {
                return Some((id, ty));
            }
            id = ty.target();
        }
        None
    }

    /// Size in bytes, through typedefs and arrays.
    pub fn size_of(&self, id: u32) -> Option<u32> {
        let mut factor = 1u32;
        let mut at = id;
        for _ in 0..MAX_CHAIN {
            let (_, ty) = self.skip_modifiers(at)?;
            match ty.kind {
                Kind::Int | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Float | Kind::Datasec => {
                    return factor.checked_mul(ty.size());
                }
                Kind::Ptr => return factor.checked_mul(8),
                Kind::Array => {
                    let (elem, count) = ty.array()?;
                    factor = factor.checked_mul(count)?;
                    at = elem;
                }
                Kind::Var => at = ty.target(),
                _ => return None,
            }
        }
        None
    }

    fn string_end(&self) -> usize {
        self.base.map_or(0, Btf::string_end) + self.strings.len()
    }
}

impl<'a> Type<'a> {
    fn void(endian: Endian) -> Self {
        Type {
            kind: Kind::Void,
            vlen: 0,
            kind_flag: false,
            name_off: 0,
            size_or_type: 0,
            extra: Reader::new(&[], endian),
        }
    }

    /// The type this one refers to (pointer, typedef, qualifier, function, variable).
    pub fn target(&self) -> u32 {
        self.size_or_type
    }

    /// Size in bytes (int, struct, union, enum, float, data section).
    pub fn size(&self) -> u32 {
        self.size_or_type
    }

    /// Element type and count.
    pub fn array(&self) -> Option<(u32, u32)> {
        (self.kind == Kind::Array).then_some((self.extra.u32(0)?, self.extra.u32(8)?))
    }

    /// Whether an int or enum is signed.
    pub fn is_signed(&self) -> bool {
        match self.kind {
            Kind::Int => self.extra.u32(0).is_some_and(|word| word >> 24 & 1 != 0),
            _ => self.kind_flag,
        }
    }

    /// Width of an int in bits.
    pub fn int_bits(&self) -> Option<u32> {
        (self.kind == Kind::Int).then(|| self.extra.u32(0).map(|word| word & 0xff)).flatten()
    }

    /// Linkage of a function (in `vlen`) or variable: 0 static, 1 global, 2 extern.
    pub fn linkage(&self) -> u32 {
        if self.kind == Kind::Func { self.vlen as u32 } else { self.extra.u32(0).unwrap_or(0) }
    }

    /// Which member or parameter a declaration tag is about; `None` for the whole.
    pub fn tag_component(&self) -> Option<u32> {
        self.extra.u32(0).filter(|index| *index != u32::MAX)
    }

    pub fn members(&self) -> impl Iterator<Item = Member> + 'a {
        let (extra, flagged) = (self.extra, self.kind_flag);
        let count = if matches!(self.kind, Kind::Struct | Kind::Union) { self.vlen } else { 0 };
        (0..count).map_while(move |i| {
            let raw = extra.u32(i * 12 + 8)?;
            let (bit_offset, bitfield_bits) = if flagged { (raw & 0x00ff_ffff, raw >> 24) } else { (raw, 0) };
            Some(Member { name_off: extra.u32(i * 12)?, type_id: extra.u32(i * 12 + 4)?, bit_offset, bitfield_bits })
        })
    }

    pub fn member(&self, index: usize) -> Option<Member> {
        self.members().nth(index)
    }

    pub fn enumerators(&self) -> impl Iterator<Item = Enumerator> + 'a {
        let (extra, wide, signed) = (self.extra, self.kind == Kind::Enum64, self.kind_flag);
        let count = if matches!(self.kind, Kind::Enum | Kind::Enum64) { self.vlen } else { 0 };
        (0..count).map_while(move |i| {
            let (name_off, value) = if wide {
                (extra.u32(i * 12)?, u64::from(extra.u32(i * 12 + 4)?) | u64::from(extra.u32(i * 12 + 8)?) << 32)
            } else {
                let raw = extra.u32(i * 8 + 4)?;
                (extra.u32(i * 8)?, if signed { raw.cast_signed() as i64 as u64 } else { u64::from(raw) })
            };
            Some(Enumerator { name_off, value })
        })
    }

    /// Name offset and type of each parameter.
    pub fn params(&self) -> impl Iterator<Item = (u32, u32)> + 'a {
        let extra = self.extra;
        let count = if self.kind == Kind::FuncProto { self.vlen } else { 0 };
        (0..count).map_while(move |i| Some((extra.u32(i * 8)?, extra.u32(i * 8 + 4)?)))
    }

    pub fn placed(&self) -> impl Iterator<Item = Placed> + 'a {
        let extra = self.extra;
        let count = if self.kind == Kind::Datasec { self.vlen } else { 0 };
        (0..count).map_while(move |i| {
            Some(Placed { type_id: extra.u32(i * 12)?, offset: extra.u32(i * 12 + 4)?, size: extra.u32(i * 12 + 8)? })
        })
    }
}

impl Kind {
    pub fn from_number(number: u32) -> Option<Kind> {
        KINDS.get(number as usize).copied()
    }

    /// Whether the kind has a size in its head.
    pub fn is_composite(self) -> bool {
        matches!(self, Kind::Struct | Kind::Union)
    }

    pub fn is_enum(self) -> bool {
        matches!(self, Kind::Enum | Kind::Enum64)
    }

    /// The kernel release that learned this kind, for those that came later than BTF itself (4.18).
    pub fn since(self) -> &'static str {
        match self {
            Kind::Func | Kind::FuncProto => "5.0",
            Kind::Var | Kind::Datasec => "5.2",
            Kind::Float => "5.13",
            Kind::DeclTag => "5.16",
            Kind::TypeTag => "5.17",
            Kind::Enum64 => "6.0",
            _ => "4.18",
        }
    }

    /// Bytes that follow the 12-byte head.
    pub fn extra_bytes(self, vlen: usize) -> usize {
        match self {
            Kind::Int | Kind::Var | Kind::DeclTag => 4,
            Kind::Array => 12,
            Kind::Struct | Kind::Union | Kind::Datasec | Kind::Enum64 => vlen * 12,
            Kind::Enum | Kind::FuncProto => vlen * 8,
            _ => 0,
        }
    }
}

/// The two parts of a BTF blob.
struct Header<'a> {
    types: Reader<'a>,
    strings: &'a [u8],
}

impl<'a> Header<'a> {
    fn read(data: &'a [u8]) -> Result<Self, Error> {
        let cut = || Error::Btf("header is cut short".into());
        let endian = match data.get(..2) {
            Some([0x9f, 0xeb]) => Endian::Little,
            Some([0xeb, 0x9f]) => Endian::Big,
            _ => return Err(Error::Btf("no BTF magic".into())),
        };
        let raw = Reader::new(data, endian);
        if raw.u8(2) != Some(1) {
            return Err(Error::Btf("version is not 1".into()));
        }
        let head = raw.offset32(4).ok_or_else(cut)?;
        let part =
            |at: usize| -> Option<&'a [u8]> { raw.bytes(head.checked_add(raw.offset32(at)?)?, raw.offset32(at + 4)?) };
        let types = part(8).ok_or_else(|| Error::Btf("types reach past the end".into()))?;
        let strings = part(16).ok_or_else(|| Error::Btf("strings reach past the end".into()))?;
        Ok(Header { types: Reader::new(types, endian), strings })
    }
}

fn type_offsets(types: Reader<'_>) -> Result<Vec<u32>, Error> {
    let mut offsets = Vec::with_capacity(types.data.len() / 32);
    let mut at = 0usize;
    while at < types.data.len() {
        let ty = read_type(types, at).ok_or_else(|| {
            Error::Btf(format!("type {} at offset {at}: unknown kind or cut short", offsets.len() + 1))
        })?;
        offsets.push(at as u32);
        at += HEAD_BYTES + ty.kind.extra_bytes(ty.vlen);
    }
    Ok(offsets)
}

fn read_type(types: Reader<'_>, at: usize) -> Option<Type<'_>> {
    let info = types.u32(at + 4)?;
    let (kind, vlen) = (Kind::from_number(info >> 24 & 0x1f)?, (info & 0xffff) as usize);
    let extra = types.bytes(at + HEAD_BYTES, kind.extra_bytes(vlen))?;
    Some(Type {
        kind,
        vlen,
        kind_flag: info >> 31 != 0,
        name_off: types.u32(at)?,
        size_or_type: types.u32(at + 8)?,
        extra: Reader::new(extra, types.endian),
    })
}

const HEAD_BYTES: usize = 12;
/// Longest chain of typedefs, qualifiers and arrays that is followed; libbpf stops at 32 too.
const MAX_CHAIN: usize = 32;
const KINDS: [Kind; 20] = [
    Kind::Void,
    Kind::Int,
    Kind::Ptr,
    Kind::Array,
    Kind::Struct,
    Kind::Union,
    Kind::Enum,
    Kind::Fwd,
    Kind::Typedef,
    Kind::Volatile,
    Kind::Const,
    Kind::Restrict,
    Kind::Func,
    Kind::FuncProto,
    Kind::Var,
    Kind::Datasec,
    Kind::Float,
    Kind::DeclTag,
    Kind::TypeTag,
    Kind::Enum64,
];
