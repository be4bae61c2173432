//! What rules can name, for people and programs: the catalogue of fields and the table of events come in, text, Markdown
//! or JSON goes out. Every line is made from the same tables that rules are checked against.

use event::tables::{Base, Domain, EventInfo, ParamInfo, ParamType};
use event::{Catalogue, EventFlags, FieldInfo};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// How to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Text,
    Markdown,
    Json,
}

/// Which fields to list, and how much of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct FieldListing<'a> {
    /// Only fields of this event source.
    pub source: Option<&'a str>,
    pub names_only: bool,
    pub with_types: bool,
    pub format: Format,
}

/// The fields of `catalogue`, without hidden and deprecated ones.
pub fn fields(catalogue: &Catalogue, listing: FieldListing<'_>) -> String {
    let wanted = |f: &&FieldInfo| !f.table_only && !f.deprecated && listing.source.is_none_or(|s| f.exists_for(s));
    let fields: Vec<&FieldInfo> = catalogue.iter().filter(wanted).collect();
    if listing.names_only {
        return names(&fields, listing.format);
    }
    let classes = classes(&fields);
    match listing.format {
        Format::Text => classes.iter().map(|class| class_text(class, listing.with_types)).collect(),
        Format::Markdown => classes.iter().map(|class| class_markdown(class)).collect(),
        Format::Json => {
            let list: Vec<Value> = classes.iter().map(|class| class_json(class)).collect();
            pretty(&json!({"fieldclasses": list}))
        }
    }
}

/// Every event that rules can see.
pub fn events(format: Format) -> String {
    let events: Vec<&EventInfo> = event::tables::events().iter().filter(|info| is_current(info)).collect();
    match format {
        Format::Json => events_json(&events),
        _ => events_text(&events, format),
    }
}

/// Fields that belong together and exist for the same sources.
struct Class<'a> {
    name: &'a str,
    sources: &'a [String],
    fields: Vec<&'a FieldInfo>,
}

fn classes<'a>(fields: &[&'a FieldInfo]) -> Vec<Class<'a>> {
    let mut classes: Vec<Class<'a>> = Vec::new();
    for field in fields {
        match classes.iter_mut().find(|c| c.name == field.class && c.sources == field.sources) {
            Some(class) => class.fields.push(field),
            None => classes.push(Class { name: &field.class, sources: &field.sources, fields: vec![field] }),
        }
    }
    classes
}

fn names(fields: &[&FieldInfo], format: Format) -> String {
    let mut seen = BTreeSet::new();
    let names: Vec<&str> = fields.iter().map(|f| f.name.as_str()).filter(|name| seen.insert(*name)).collect();
    match format {
        Format::Json => pretty(&json!({"fieldnames": names})),
        _ => names.iter().map(|name| format!("{name}\n")).collect(),
    }
}

fn class_text(class: &Class<'_>, with_types: bool) -> String {
    let mut text = format!("{}\n{:30}{}\n", "-".repeat(31), "Field Class:", class.name);
    let sources = if class.sources.is_empty() { "all".to_owned() } else { class.sources.join(", ") };
    let _ = writeln!(text, "{:30}{sources}\n", "Event Sources:");
    for field in &class.fields {
        let mut meaning = String::new();
        let tags = tags(field).join(",");
        if !tags.is_empty() {
            let _ = write!(meaning, "({tags}) ");
        }
        if with_types {
            let _ = write!(meaning, "(Type: {}) ", type_name(field.ty));
        }
        meaning.push_str(&field.meaning);
        push_wrapped(&mut text, &field.name, &meaning);
    }
    text.push('\n');
    text
}

/// `name` padded to 30 (or on a line of its own) and `meaning` wrapped at 120.
fn push_wrapped(text: &mut String, name: &str, meaning: &str) {
    let mut line = format!("{name:30}");
    if name.len() >= INDENT {
        text.push_str(name);
        text.push('\n');
        line = " ".repeat(INDENT);
    }
    let mut is_empty = true;
    for word in meaning.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            line = " ".repeat(INDENT);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn class_markdown(class: &Class<'_>) -> String {
    let sources = if class.sources.is_empty() { "all".to_owned() } else { class.sources.join(", ") };
    let mut text = format!(
        "## Field Class: {}\n\nEvent Sources: {sources}\n\nName | Type | Description\n:----|:-----|:-----------\n",
        class.name
    );
    for field in &class.fields {
        let meaning = field.meaning.replace('|', "\\|");
        let _ = writeln!(text, "`{}` | {} | {meaning}", field.name, type_name(field.ty));
    }
    text.push('\n');
    text
}

fn class_json(class: &Class<'_>) -> Value {
    let fields: Vec<Value> = class.fields.iter().map(|field| field_json(field)).collect();
    json!({"name": class.name, "desc": "", "event_sources": class.sources, "fields": fields})
}

fn field_json(field: &FieldInfo) -> Value {
    let kinds: Vec<&str> =
        [("index", field.arg_index), ("key", field.arg_key)].iter().filter(|(_, has)| *has).map(|(k, _)| *k).collect();
    let argument = if field.arg_allowed { json!({"required": field.arg_required, "type": kinds}) } else { Value::Null };
    json!({
        "name": field.name, "type": type_name(field.ty), "desc": field.meaning, "is_list": field.is_list, "argument": argument,
    })
}

fn tags(field: &FieldInfo) -> Vec<&'static str> {
    [
        ("FILTER_ONLY", field.filter_only),
        ("PRINT_ONLY", field.print_only),
        ("ARG_REQUIRED", field.arg_required),
        ("ARG_ALLOWED", field.arg_allowed && !field.arg_required),
        ("ARG_INDEX", field.arg_index),
        ("ARG_KEY", field.arg_key),
        ("EPF_IS_LIST", field.is_list),
        ("EPF_NO_RHS", field.no_rhs),
        ("EPF_NO_TRANSFORMER", field.no_transformer),
    ]
    .into_iter()
    .filter(|(_, has)| *has)
    .map(|(tag, _)| tag)
    .collect()
}

/// Exit events and those without an enter half, of the current version.
fn is_current(info: &EventInfo) -> bool {
    !info.is_enter && !info.flags.has(EventFlags::OLD_VERSION) && !info.flags.has(EventFlags::UNUSED)
}

const SECTIONS: &[(&str, &str)] = &[
    ("SYSCALL", "Syscall events"),
    ("TRACEPOINT", "Tracepoint events"),
    ("PLUGIN", "Plugin events"),
    ("META", "Metaevents"),
];

fn events_text(events: &[&EventInfo], format: Format) -> String {
    let mut text = format!("The events below are valid for Falco *Schema Version*: {SCHEMA_VERSION}\n");
    for (origin, title) in SECTIONS {
        let _ = write!(text, "## {title}\n\n");
        if format == Format::Markdown {
            text.push_str("Default | Dir | Name | Params\n:-------|:----|:-----|:------\n");
        }
        for info in events.iter().filter(|info| info.origin == *origin) {
            let _ = writeln!(text, "{}", event_line(info, format));
        }
        text.push('\n');
    }
    text
}

fn event_line(info: &EventInfo, format: Format) -> String {
    let params: Vec<String> = info.params.iter().map(param_text).collect();
    let params = params.join(", ");
    match format {
        Format::Markdown => {
            let state = if info.flags.has(EventFlags::MODIFIES_STATE) { "Yes" } else { "No" };
            format!("{state} | `<` | `{}` | {params}", info.name)
        }
        _ => format!("< {}({params})", info.name),
    }
}

fn param_text(param: &ParamInfo) -> String {
    let flags = flag_names(param);
    let flags = if flags.is_empty() { String::new() } else { format!(": {}", flags.join(", ")) };
    format!("{} **{}**{flags}", type_name(param.ty), param.name)
}

fn flag_names(param: &ParamInfo) -> Vec<&'static str> {
    match param.domain {
        Some(Domain::Flags(table)) => table.flags.iter().map(|flag| flag.name).collect(),
        _ => Vec::new(),
    }
}

fn events_json(events: &[&EventInfo]) -> String {
    let section = |origin: &str| -> Vec<Value> {
        events.iter().filter(|info| info.origin == origin).map(|info| event_json(info)).collect()
    };
    pretty(&json!({
        "schema_version": SCHEMA_VERSION,
        "syscall_events": section("SYSCALL"),
        "tracepoint_events": section("TRACEPOINT"),
        "plugin_events": section("PLUGIN"),
        "meta_events": section("META"),
    }))
}

fn event_json(info: &EventInfo) -> Value {
    let params: Vec<Value> = info.params.iter().map(param_json).collect();
    json!({"name": info.name, "dir": "<", "category": info.category, "params": params})
}

fn param_json(param: &ParamInfo) -> Value {
    let base = match param.base {
        Base::Na => "na",
        Base::Dec => "dec",
        Base::Hex => "hex",
        Base::Oct => "oct",
    };
    json!({"name": param.name, "type": type_name(param.ty), "base": base, "flags": flag_names(param)})
}

fn type_name(ty: ParamType) -> String {
    format!("{ty:?}").to_uppercase()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// Of the event tables this is built on.
pub const SCHEMA_VERSION: &str = "4.5.1";
const INDENT: usize = 30;
const WIDTH: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_fields_in_every_form() {
        let catalogue = Catalogue::builtin();
        let text = fields(&catalogue, FieldListing::default());
        assert!(text.contains("Field Class:                  evt\n") && text.lines().all(|l| l.chars().count() <= 121));
        let names = fields(&catalogue, FieldListing { names_only: true, ..FieldListing::default() });
        assert!(names.lines().any(|line| line == "proc.name"));
        let json = fields(&catalogue, FieldListing { format: Format::Json, ..FieldListing::default() });
        let json: Value = serde_json::from_str(&json).unwrap();
        assert!(json["fieldclasses"].as_array().is_some_and(|classes| classes.len() > 5));
    }

    #[test]
    fn lists_events_in_every_form() {
        let text = events(Format::Text);
        assert!(text.contains("## Syscall events") && text.contains("\n< openat(") && !text.contains("< NA("));
        let json: Value = serde_json::from_str(&events(Format::Json)).unwrap();
        assert!(json["syscall_events"].as_array().is_some_and(|list| list.len() > 100));
    }
}
