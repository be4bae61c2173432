//! Field names to fields: the catalogue's row, the argument in brackets or behind a dot, and whether the two fit.

use super::CheckError;
use crate::lang::ast::Operand;
use event::{Catalogue, FieldArg, FieldInfo, FieldRef, tables};

/// The row for `name`, which may carry its argument behind a dot (`evt.arg.flags`); that argument.
pub fn find_field<'c>(
    name: &'c str,
    source: &str,
    catalogue: &'c Catalogue,
) -> Option<(&'c FieldInfo, Option<&'c str>)> {
    if let Some(info) = catalogue.find(name, source) {
        return Some((info, None));
    }
    let dots = name.match_indices('.').map(|(at, _)| at).collect::<Vec<_>>();
    dots.into_iter().rev().find_map(|at| {
        let info = catalogue.find(&name[..at], source).filter(|i| takes_dotted_argument(i))?;
        Some((info, Some(&name[at + 1..])))
    })
}

/// Most arguments stand in brackets; these may follow a dot.
fn takes_dotted_argument(info: &FieldInfo) -> bool {
    let name = info.name.as_str();
    matches!(name, "evt.arg" | "evt.rawarg" | "evt.type.is" | "evt.abspath" | "thread.cgroup")
        || (info.arg_allowed && matches!(info.class.as_str(), "container" | "k8s") && name.ends_with(".label"))
}

/// Resolves a field as a rule of `source` wrote it.
pub fn resolve_field(
    name: &str,
    arg: Option<&[u8]>,
    source: &str,
    catalogue: &Catalogue,
) -> Result<FieldRef, CheckError> {
    let text = Operand::Field { name: name.to_owned(), arg: arg.map(<[u8]>::to_vec), pos: Default::default() };
    let text = text.to_string();
    let unknown = || CheckError(format!("filter_check called with nonexistent field {text}"));
    let (info, dotted) = find_field(name, source, catalogue).ok_or_else(unknown)?;
    if dotted.is_some() && arg.is_some() {
        return Err(unknown());
    }
    let spelled = arg.map(|a| String::from_utf8_lossy(a).into_owned());
    let arg = match (dotted, spelled) {
        (Some(key), _) => Some(dotted_argument(info, key)?),
        (None, Some(arg)) => Some(bracket_argument(info, &arg)?),
        // Listings call the argument of `evt.abspath` required, but it has a meaning without one.
        (None, None) if info.arg_required && info.name != "evt.abspath" => return Err(missing_argument(info)),
        (None, None) => None,
    };
    Ok(FieldRef { id: info.id, arg, text })
}

fn missing_argument(info: &FieldInfo) -> CheckError {
    CheckError(format!("filter error: field '{}' requires an argument", info.name))
}

fn dotted_argument(info: &FieldInfo, key: &str) -> Result<FieldArg, CheckError> {
    match info.name.as_str() {
        "evt.arg" | "evt.rawarg" if !is_parameter(key) => Err(CheckError(format!("unknown event argument {key}"))),
        "evt.type.is" if !is_event(key) => Err(CheckError(format!("unknown event type {key}"))),
        "evt.abspath" if !matches!(key, "src" | "dst") => {
            Err(CheckError(format!("filter_check called with nonexistent field evt.abspath.{key}")))
        }
        _ => Ok(FieldArg::Key(key.to_owned())),
    }
}

fn bracket_argument(info: &FieldInfo, arg: &str) -> Result<FieldArg, CheckError> {
    let name = &info.name;
    if !info.arg_allowed {
        return Err(CheckError(format!("filter error: field '{name}' does not support arguments")));
    }
    if name == "evt.rawarg" {
        return Err(CheckError::new("evt.arg fields must be expressed explicitly"));
    }
    let index = arg.bytes().all(|b| b.is_ascii_digit()).then(|| arg.parse().ok()).flatten();
    match index {
        Some(index) if info.arg_index || info.arg_key => Ok(FieldArg::Index(index)),
        None if info.arg_key && name == "evt.arg" => dotted_argument(info, arg),
        None if info.arg_key => Ok(FieldArg::Key(arg.to_owned())),
        _ => Err(CheckError(format!("filter error: field '{name}' does not support argument '{arg}'"))),
    }
}

fn is_parameter(name: &str) -> bool {
    tables::events().iter().any(|e| e.params.iter().any(|p| p.name == name))
}

fn is_event(name: &str) -> bool {
    let number = name.parse::<u16>().is_ok_and(|n| event::Kind(n).info().is_some());
    number || tables::events().iter().any(|e| e.name == name)
}
