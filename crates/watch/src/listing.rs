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
    let everywhere = all_sources(catalogue);
    let classes = classes(&fields, &everywhere);
    match listing.format {
        Format::Text => classes.iter().map(|class| class_text(class, listing.with_types)).collect(),
        Format::Markdown => classes.iter().map(|class| class_markdown(class)).collect(),
        Format::Json => {
            let list: Vec<Value> = classes.iter().map(|class| class_json(class)).collect();
            pretty(&json!({"fieldclasses": list}))
        }
    }
}

/// Every source that some field exists for.
fn all_sources(catalogue: &Catalogue) -> Vec<String> {
    catalogue.iter().flat_map(|f| f.sources.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Every event that rules can see.
pub fn events(format: Format) -> String {
    let events: Vec<&EventInfo> = event::tables::events().iter().filter(|info| is_listed(info)).collect();
    match format {
        Format::Json => events_json(&events),
        _ => events_text(&events, format),
    }
}

/// Fields that belong together and exist for the same sources.
struct Class<'a> {
    name: &'a str,
    /// As the fields have it: none = all there are.
    own_sources: &'a [String],
    sources: &'a [String],
    fields: Vec<&'a FieldInfo>,
}

fn classes<'a>(fields: &[&'a FieldInfo], everywhere: &'a [String]) -> Vec<Class<'a>> {
    let mut classes: Vec<Class<'a>> = Vec::new();
    for field in fields {
        match classes.iter_mut().find(|c| c.name == field.class && c.own_sources == field.sources) {
            Some(class) => class.fields.push(field),
            None => classes.push(Class {
                name: &field.class,
                own_sources: &field.sources,
                sources: if field.sources.is_empty() { everywhere } else { &field.sources },
                fields: vec![field],
            }),
        }
    }
    classes
}

/// What the fields of a class are about.
fn about(class: &Class<'_>) -> &'static str {
    let row =
        ABOUT.iter().find(|(name, everywhere, _)| *name == class.name && *everywhere == class.own_sources.is_empty());
    row.map_or("", |(_, _, about)| about)
}

/// Class, whether it exists for every source, description.
const ABOUT: &[(&str, bool, &str)] = &[
    ("evt", true, "What every event has, whatever its source: number, time, source."),
    ("evt", false, "System call events: type, parameters, result, what an open or an input or output call did."),
    ("process", false, "The process and thread of the event, its executable, ancestors, session and resources."),
    ("user", false, "The user that the process acts for and the one that logged in."),
    ("group", false, "The group that the process acts for."),
    ("fd", false, "The file, socket or other descriptor that the event is about."),
    ("fs.path", false, "The paths that a successful call names, absolute or as they were passed."),
    ("fdlist", false, "The descriptors that poll and ppoll wait for."),
    ("container", false, "The container of the process and its image."),
    ("k8s", false, "The pod and namespace of the process."),
    ("util", false, "Aids for counting."),
    ("static", true, "Constants of the configuration."),
];

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
    push_wrapped(&mut text, "Description:", about(class));
    let _ = writeln!(text, "{:30}{}\n", "Event Sources:", class.sources.join(", "));
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
    let mut text = format!(
        "## Field Class: {}\n\n{}\n\nEvent Sources: {}\n\nName | Type | Description\n:----|:-----|:-----------\n",
        class.name,
        about(class),
        class.sources.join(", ")
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
    json!({"name": class.name, "desc": about(class), "event_sources": class.sources, "fields": fields})
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

/// Of the current version. The entry half of a system call only tells its exit half what it saw.
fn is_listed(info: &EventInfo) -> bool {
    let is_entry = info.is_enter && info.origin == "SYSCALL";
    !is_entry && !info.flags.has(EventFlags::OLD_VERSION) && !info.flags.has(EventFlags::UNUSED)
}

/// What `evt.dir` says.
fn direction(info: &EventInfo) -> char {
    if info.is_enter { '>' } else { '<' }
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
            format!("{state} | `{}` | `{}` | {params}", direction(info), info.name)
        }
        _ => format!("{} {}({params})", direction(info), info.name),
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
    json!({"name": info.name, "dir": direction(info).to_string(), "category": info.category, "params": params})
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
        let classes = json["fieldclasses"].as_array().unwrap();
        assert!(classes.len() > 5);
        for class in classes {
            assert_ne!(class["desc"], "", "{}", class["name"]);
            assert_ne!(class["event_sources"], json!([]), "{}", class["name"]);
        }
    }

    #[test]
    fn lists_events_in_every_form() {
        let text = events(Format::Text);
        assert!(text.contains("## Syscall events") && text.contains("\n< openat(") && !text.contains("< NA("));
        for event in ["> procexit(", "> switch(", "> pluginevent(", "> container(", "> asyncevent("] {
            assert!(text.contains(event), "{event}");
        }
        assert!(!text.contains("> openat("), "entry halves are not judged");
        let json: Value = serde_json::from_str(&events(Format::Json)).unwrap();
        assert!(json["syscall_events"].as_array().is_some_and(|list| list.len() > 100));
    }
}
