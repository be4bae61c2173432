//! The shape of a configuration file, built from the table of keys: a JSON schema for editors, and a check that names the
//! first thing in a file that does not fit. A misfit is a warning, never a reason not to start; the values themselves are
//! read elsewhere.

use super::keys::{KEYS, Ty};
use super::node::{Data, Node};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What may stand at one place.
#[derive(Default)]
struct Shape {
    ty: Option<Ty>,
    keys: BTreeMap<&'static str, Shape>,
    element: Option<Box<Shape>>,
}

/// The JSON schema (draft 06) of a configuration file.
pub fn json_schema() -> Value {
    let mut schema = to_json(&root());
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".into(), "http://json-schema.org/draft-06/schema#".into());
        object.insert("title".into(), "hawkbell watch configuration".into());
    }
    schema
}

/// What is wrong with `node` first, as `<root>[key]…: reason`; `None` when it fits.
pub fn misfit(node: &Node) -> Option<String> {
    if node.data == Data::Null { None } else { check(node, &root(), "<root>") }
}

fn root() -> Shape {
    let mut root = Shape::default();
    for key in KEYS {
        let mut at = &mut root;
        for part in key.path.split('.') {
            let (name, is_list) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
            at = at.keys.entry(name).or_default();
            if is_list {
                at = at.element.get_or_insert_default();
            }
        }
        at.ty = Some(key.ty);
    }
    root
}

fn to_json(shape: &Shape) -> Value {
    match shape.ty {
        None => object(shape),
        Some(Ty::Bool) => json!({"type": "boolean"}),
        Some(Ty::Uint(low, high)) => json!({"type": "integer", "minimum": low, "maximum": high}),
        Some(Ty::Float(low, high)) if high < f64::MAX => json!({"type": "number", "minimum": low, "maximum": high}),
        Some(Ty::Float(low, _)) => json!({"type": "number", "minimum": low}),
        Some(Ty::Text) => json!({"type": "string"}),
        Some(Ty::OneOf(names)) => json!({"type": "string", "enum": names}),
        Some(Ty::Texts) => json!({"type": "array", "items": {"type": "string"}}),
        Some(Ty::Objects(scalars)) => json!({"type": "array", "items": element(shape, scalars)}),
        Some(Ty::Map) => json!({"type": "object"}),
        Some(Ty::Any) => json!({"anyOf": [{"type": "object"}, {"type": "string"}]}),
    }
}

fn element(shape: &Shape, scalars: bool) -> Value {
    let object = shape.element.as_ref().map_or_else(|| json!({"type": "object"}), |element| object(element));
    if scalars { json!({"anyOf": [{"type": "string"}, object]}) } else { object }
}

fn object(shape: &Shape) -> Value {
    let properties: Map<String, Value> = shape.keys.iter().map(|(k, v)| ((*k).to_owned(), to_json(v))).collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn check(node: &Node, shape: &Shape, at: &str) -> Option<String> {
    let wrong = |what: &str| Some(format!("{at}: {what} ({})", node.place));
    let text = node.text();
    match shape.ty {
        None => check_map(node, shape, at),
        Some(Ty::Bool) if text.and_then(super::read::bool_of).is_none() => wrong("not a boolean"),
        Some(Ty::Uint(low, high)) => match text.and_then(|t| t.parse::<u64>().ok()) {
            Some(number) if (low..=high).contains(&number) => None,
            _ => wrong(&format!("not a number from {low} to {high}")),
        },
        Some(Ty::Float(low, high)) => match text.and_then(|t| t.parse::<f64>().ok()) {
            Some(number) if (low..=high).contains(&number) => None,
            _ => wrong("not a number in range"),
        },
        Some(Ty::Text) if text.is_none() && node.data != Data::Null => wrong("not a string"),
        Some(Ty::OneOf(names)) if !text.is_some_and(|t| names.iter().any(|n| n.eq_ignore_ascii_case(t))) => {
            wrong(&format!("not one of {}", names.join(", ")))
        }
        Some(Ty::Texts) if matches!(node.data, Data::Map(_)) => wrong("not a list of strings"),
        Some(Ty::Texts) => {
            node.elements().iter().find(|e| e.text().is_none()).map(|e| format!("{at}: not a string ({})", e.place))
        }
        Some(Ty::Objects(scalars)) => check_list(node, shape, at, scalars),
        Some(Ty::Map) if !matches!(node.data, Data::Map(_) | Data::Null) => wrong("not a map"),
        _ => None,
    }
}

fn check_map(node: &Node, shape: &Shape, at: &str) -> Option<String> {
    let Data::Map(entries) = &node.data else {
        return (node.data != Data::Null).then(|| format!("{at}: not a map ({})", node.place));
    };
    entries.iter().find_map(|(name, value)| match shape.keys.get(name.as_str()) {
        Some(inner) => check(value, inner, &format!("{at}[{name}]")),
        None => Some(format!("{at}: unknown key `{name}`{} ({})", nearest(name, shape), value.place)),
    })
}

fn check_list(node: &Node, shape: &Shape, at: &str, scalars: bool) -> Option<String> {
    let Data::List(items) = &node.data else {
        let fits = node.data == Data::Null || (scalars && node.text().is_some());
        return (!fits).then(|| format!("{at}: not a list ({})", node.place));
    };
    items.iter().enumerate().find_map(|(index, item)| match (&item.data, &shape.element) {
        (Data::Scalar(_), _) if scalars => None,
        (Data::Map(entries), Some(_)) if at.ends_with("[extra_fields]") && entries.len() == 1 => None,
        (_, Some(element)) => check_map(item, element, &format!("{at}[{index}]")),
        _ => None,
    })
}

/// `, did you mean ...` when a known key differs in at most two characters.
fn nearest(name: &str, shape: &Shape) -> String {
    let best = shape.keys.keys().map(|known| (distance(name, known), *known)).min();
    best.filter(|(far, _)| *far <= 2).map(|(_, known)| format!(", did you mean `{known}`?")).unwrap_or_default()
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX - 1);
            let cost = (diagonal + usize::from(ca != *cb)).min(above + 1).min(left + 1);
            diagonal = above;
            if let Some(cell) = row.get_mut(j) {
                *cell = left;
            }
            left = cost;
        }
        if let Some(cell) = row.last_mut() {
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misfit_of(text: &str) -> Option<String> {
        misfit(&Node::parse("f.yaml", text).unwrap())
    }

    #[test]
    fn names_the_first_misfit_with_its_place() {
        assert_eq!(misfit_of("json_output: yes\nmetrics:\n  interval: 1h\n"), None);
        assert_eq!(misfit_of(""), None);
        let unknown = misfit_of("json_output: true\nwebserver:\n  enabld: true\n");
        assert_eq!(
            unknown.as_deref(),
            Some("<root>[webserver]: unknown key `enabld`, did you mean `enabled`? (f.yaml:3:11)")
        );
        assert_eq!(
            misfit_of("output_timeout: x").as_deref(),
            Some("<root>[output_timeout]: not a number from 0 to 4294967295 (f.yaml:1:17)")
        );
        assert!(
            misfit_of("rules: [{enable: {rule: '*', tg: a}}]")
                .is_some_and(|m| m.starts_with("<root>[rules][0][enable]"))
        );
    }

    #[test]
    fn schema_names_nested_keys() {
        let schema = json_schema();
        assert_eq!(schema["properties"]["engine"]["properties"]["kind"]["type"], "string");
        assert_eq!(schema["properties"]["noise"]["items"]["properties"]["window"]["type"], "string");
        assert_eq!(schema["additionalProperties"], false);
    }
}
