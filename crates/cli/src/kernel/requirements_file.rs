//! Requirements from a file: in, the path of a YAML or JSON list; out, requirements and object paths, or an error that names the file
//! and the entry. Entries are texts, `any:` and `all:` lists, `optional:` entries and `elf:` paths (relative to the file).

use features::Requirement;
use saphyr::{LoadableYamlNode, Yaml};
use std::path::{Path, PathBuf};

type Found = (Vec<Requirement>, Vec<PathBuf>);

pub fn read(path: &Path) -> Result<Found, String> {
    let said = |why: String| format!("requirements `{}`: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| said(super::native::words(&error)))?;
    let documents = Yaml::load_from_str(&text).map_err(|error| said(error.to_string()))?;
    let document = documents.first().ok_or_else(|| said("is empty".into()))?;
    let list = document.as_mapping_get("requirements").unwrap_or(document);
    let entries =
        list.as_vec().ok_or_else(|| said("must be a list, or a mapping with a list `requirements`".into()))?;
    let mut found = Found::default();
    for (at, entry) in entries.iter().enumerate() {
        let wrong = |why: String| said(format!("entry {}: {why}", at + 1));
        match entry.as_mapping_get("elf").and_then(Yaml::as_str) {
            Some(object) => found.1.push(path.parent().unwrap_or(Path::new(".")).join(object)),
            None => found.0.push(requirement(entry, 0).map_err(wrong)?),
        }
    }
    Ok(found)
}

fn requirement(entry: &Yaml<'_>, depth: usize) -> Result<Requirement, String> {
    if let Some(text) = entry.as_str() {
        return Requirement::parse(text).map_err(|error| error.to_string());
    }
    if depth > MOST_NESTED {
        return Err("is nested too deeply".into());
    }
    let parts = |key: &str| {
        let items = entry.as_mapping_get(key)?.as_vec()?;
        Some(items.iter().map(|item| requirement(item, depth + 1)).collect::<Result<Vec<_>, _>>())
    };
    if let Some(any) = parts("any") {
        return any.map(Requirement::AnyOf);
    }
    if let Some(all) = parts("all") {
        return all.map(Requirement::AllOf);
    }
    match entry.as_mapping_get("optional") {
        Some(inner) => requirement(inner, depth + 1).map(|inner| Requirement::Optional(Box::new(inner))),
        None => Err("is neither a text nor one of any, all, optional, elf".into()),
    }
}

const MOST_NESTED: usize = 16;
