//! Map definitions: in, the `.maps` section described by BTF (or a legacy `maps` section of fixed structs); out, [`Map`] rows.
//! A member that no loader knows is an error, as is an unknown map type: requirements fail closed.

use crate::btf::{Btf, Kind, Type};
use crate::bytes::Reader;
use crate::image::{Image, Symbol};
use crate::spec::Map;
use crate::{Error, uapi};

/// All maps of an object in order of definition, without those made for data sections.
pub fn maps(image: &Image<'_>, btf: Option<&Btf<'_>>) -> Result<Vec<Map>, Error> {
    let mut found = legacy_maps(image)?;
    if image.section(".maps").is_some() {
        let btf = btf.ok_or_else(|| Error::section(".maps", "missing BTF"))?;
        found.extend(btf_maps(btf)?);
    }
    found.iter().try_for_each(known_type)?;
    Ok(found)
}

fn known_type(map: &Map) -> Result<(), Error> {
    let wrong = |reason: String| Err(Error::Map { map: map.name.clone(), reason });
    if map.map_type == 0 {
        return wrong("unsupported/unspecified map type".into());
    }
    if uapi::map_type(map.map_type).is_none() {
        return wrong(format!("unknown map type {}", map.map_type));
    }
    map.inner.as_deref().map_or(Ok(()), known_type)
}

fn btf_maps(btf: &Btf<'_>) -> Result<Vec<Map>, Error> {
    let Some(section) = btf.find(Kind::Datasec, ".maps").and_then(|id| btf.get(id)) else {
        return Err(Error::section(".maps", "BTF has no `.maps` data section"));
    };
    section.placed().map(|placed| btf_map(btf, placed.type_id)).collect()
}

fn btf_map(btf: &Btf<'_>, var_id: u32) -> Result<Map, Error> {
    let var = btf.get(var_id).filter(|ty| ty.kind == Kind::Var);
    let var = var.ok_or_else(|| Error::section(".maps", format!("type {var_id} is not a variable")))?;
    let name = btf.name(&var).to_owned();
    let bad = |reason: String| Error::Map { map: name.clone(), reason };
    if var.linkage() == 0 {
        return Err(bad("possible erroneous static qualifier on map definition".into()));
    }
    let def = btf.skip_modifiers(var.target()).filter(|(_, ty)| ty.kind == Kind::Struct);
    let (_, def) = def.ok_or_else(|| bad("definition is not a struct".into()))?;
    definition(btf, &name, &def, 0).map_err(bad)
}

fn definition(btf: &Btf<'_>, name: &str, def: &Type<'_>, depth: u8) -> Result<Map, String> {
    let mut map = Map { name: name.to_owned(), ..Map::default() };
    for member in def.members() {
        let field = btf.text(member.name_off);
        let number = || number(btf, member.type_id).ok_or_else(|| format!("field `{field}` is not a number"));
        match field {
            "type" => map.map_type = number()?,
            "max_entries" => map.max_entries = number()?,
            "map_flags" => map.flags = number()?,
            "key_size" => map.key_bytes = number()?,
            "value_size" => map.value_bytes = number()?,
            "numa_node" => map.numa_node = Some(number()?),
            "pinning" => map.pinned = number()? != 0,
            "map_extra" => map.extra = u64::from(number()?),
            "key" => map.key_bytes = pointee_bytes(btf, member.type_id, field)?,
            "value" => map.value_bytes = pointee_bytes(btf, member.type_id, field)?,
            "values" => map.inner = inner(btf, name, member.type_id, depth)?,
            other => return Err(format!("unrecognized field {other} in BTF map definition")),
        }
    }
    if map.inner.is_some() || map.is_outer() || map.map_type == PROG_ARRAY {
        map.value_bytes = 4;
    }
    Ok(map)
}

/// `__uint(name, 5)` is `int (*name)[5]`.
fn number(btf: &Btf<'_>, id: u32) -> Option<u32> {
    let (_, pointer) = btf.skip_modifiers(id)?;
    let (_, array) = btf.skip_modifiers(pointer.target())?;
    (pointer.kind == Kind::Ptr).then(|| array.array()).flatten().map(|(_, count)| count)
}

fn pointee_bytes(btf: &Btf<'_>, id: u32, field: &str) -> Result<u32, String> {
    let pointer = btf.skip_modifiers(id).filter(|(_, ty)| ty.kind == Kind::Ptr);
    let (_, pointer) = pointer.ok_or_else(|| format!("field `{field}` is not a pointer"))?;
    btf.size_of(pointer.target()).ok_or_else(|| format!("size of `{field}` is unknown"))
}

/// The template of a map in map; `None` for an array of programs or a template without a type.
fn inner(btf: &Btf<'_>, name: &str, id: u32, depth: u8) -> Result<Option<Box<Map>>, String> {
    let def = btf
        .skip_modifiers(id)
        .and_then(|(_, array)| array.array())
        .and_then(|(elem, _)| btf.skip_modifiers(elem))
        .and_then(|(_, pointer)| btf.skip_modifiers(pointer.target()));
    match def {
        Some((_, def)) if def.kind == Kind::Struct && depth == 0 => {
            definition(btf, &format!("{name}.inner"), &def, depth + 1).map(|map| Some(Box::new(map)))
        }
        Some((_, def)) if def.kind == Kind::FuncProto => Ok(None),
        _ => Err("field `values` is neither a map nor a function".into()),
    }
}

fn legacy_maps(image: &Image<'_>) -> Result<Vec<Map>, Error> {
    let legacy = image.sections.iter().enumerate().filter(|(_, s)| s.name.starts_with("maps"));
    let mut out = Vec::new();
    for (index, section) in legacy {
        let symbols: Vec<&Symbol<'_>> =
            image.symbols.iter().filter(|s| s.section as usize == index && s.kind <= 1 && !s.name.is_empty()).collect();
        let stride = section.data.len() / symbols.len().max(1);
        if symbols.is_empty() || stride < LEGACY_BYTES || section.data.len() % symbols.len() != 0 {
            return Err(Error::section(section.name, "map definitions have unequal or too small sizes"));
        }
        for symbol in symbols {
            let row = usize::try_from(symbol.value).ok().and_then(|at| section.data.get(at..));
            let row = row.map(|data| Reader::new(data, image.endian));
            let map = row.and_then(|raw| legacy_map(symbol.name, raw));
            out.push(map.ok_or_else(|| Error::section(section.name, "a map definition reaches past the end"))?);
        }
    }
    Ok(out)
}

fn legacy_map(name: &str, raw: Reader<'_>) -> Option<Map> {
    Some(Map {
        name: name.to_owned(),
        map_type: raw.u32(0)?,
        key_bytes: raw.u32(4)?,
        value_bytes: raw.u32(8)?,
        max_entries: raw.u32(12)?,
        flags: raw.u32(16)?,
        ..Map::default()
    })
}

const LEGACY_BYTES: usize = 20;
const PROG_ARRAY: u32 = 3;
