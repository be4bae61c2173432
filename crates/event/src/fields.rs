//! The catalogue of fields that conditions and outputs can name: built-in ones from the table, container and Kubernetes
//! ones, and those that plugins and static configuration add at run time. A [`FieldRef`] is a field with its argument,
//! resolved once when rules load.

use crate::tables::{ParamType, field_rows};
use std::collections::HashMap;
use std::fmt;

/// One generated row of `tables/fields.csv`.
#[derive(Debug)]
pub struct FieldRow {
    pub class: &'static str,
    pub name: &'static str,
    pub ty: ParamType,
    pub arg: &'static str,
    pub is_list: bool,
    pub deprecated: bool,
    pub flags: &'static str,
    pub print: &'static str,
    pub is_plugin: bool,
    pub meaning: &'static str,
}

/// Index of a field in its [`Catalogue`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FieldId(pub u16);

/// A field that rules can name.
#[derive(Clone, Debug)]
pub struct FieldInfo {
    pub id: FieldId,
    /// `evt`, `process`, `fd`, `container`, ...
    pub class: String,
    pub name: String,
    pub ty: ParamType,
    pub is_list: bool,
    pub deprecated: bool,
    /// Hidden from listings but usable.
    pub table_only: bool,
    pub filter_only: bool,
    pub print_only: bool,
    pub arg_required: bool,
    pub arg_allowed: bool,
    /// The argument may be a number / a key. Both false: no bracket argument.
    pub arg_index: bool,
    pub arg_key: bool,
    pub no_rhs: bool,
    pub no_transformer: bool,
    /// Appended to every output by `suggested_output`.
    pub suggested: bool,
    /// `dec10` pads nanoseconds to nine digits, `hex` prints upper-case hexadecimal, else `na`, `dec`, `id`, `dir`.
    pub print: &'static str,
    /// Event sources the field exists for; empty = all.
    pub sources: Vec<String>,
    pub meaning: String,
}

/// The argument of a field: `proc.aname[2]`, `evt.arg.flags`, `proc.env[PATH]`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum FieldArg {
    Index(u64),
    Key(String),
}

impl fmt::Display for FieldArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldArg::Index(index) => write!(f, "{index}"),
            FieldArg::Key(key) => f.write_str(key),
        }
    }
}

/// A field together with its argument, as the rules wrote it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FieldRef {
    pub id: FieldId,
    pub arg: Option<FieldArg>,
    /// The spelling in the rule, which is also the key in JSON output: `proc.aname[2]`.
    pub text: String,
}

/// All fields known to one run.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    fields: Vec<FieldInfo>,
    by_name: HashMap<String, Vec<FieldId>>,
}

impl Catalogue {
    /// The built-in fields plus the container and Kubernetes ones, which hawkbell provides itself.
    pub fn builtin() -> Self {
        let mut catalogue = Catalogue::default();
        for row in field_rows() {
            catalogue.add(builtin_field(row));
        }
        catalogue
    }

    /// Adds a field (of a plugin, or `static.*`) and returns its id; the `id` inside `field` is overwritten.
    pub fn add(&mut self, mut field: FieldInfo) -> FieldId {
        let id = FieldId(u16::try_from(self.fields.len()).unwrap_or(u16::MAX));
        field.id = id;
        self.by_name.entry(field.name.clone()).or_default().push(id);
        self.fields.push(field);
        id
    }

    /// The field called `name` that exists for `source`.
    pub fn find(&self, name: &str, source: &str) -> Option<&FieldInfo> {
        self.by_name.get(name)?.iter().map(|id| self.info(*id)).find(|f| f.exists_for(source))
    }

    /// The row of `id`. An id of another catalogue yields the first field; ids never cross catalogues.
    pub fn info(&self, id: FieldId) -> &FieldInfo {
        self.fields.get(usize::from(id.0)).unwrap_or(&self.fields[0])
    }

    pub fn iter(&self) -> impl Iterator<Item = &FieldInfo> {
        self.fields.iter()
    }
}

impl FieldInfo {
    pub fn exists_for(&self, source: &str) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|s| s == source)
    }
}

/// Fields of class `evt` that exist for every source; the others of that class need a system call event.
const GENERIC_EVT_FIELDS: &[&str] = &[
    "evt.num",
    "evt.time",
    "evt.time.s",
    "evt.time.iso8601",
    "evt.datetime",
    "evt.datetime.s",
    "evt.rawtime",
    "evt.rawtime.s",
    "evt.rawtime.ns",
    "evt.reltime",
    "evt.reltime.s",
    "evt.reltime.ns",
    "evt.pluginname",
    "evt.plugininfo",
    "evt.source",
    "evt.is_async",
    "evt.asynctype",
    "evt.hostname",
];

fn builtin_field(row: &FieldRow) -> FieldInfo {
    let has = |flag: &str| row.flags.split_whitespace().any(|f| f == flag);
    let required = row.arg.starts_with("required") || has("arg_required");
    let optional = row.arg.starts_with("optional") || has("arg_allowed");
    let generic = GENERIC_EVT_FIELDS.contains(&row.name);
    FieldInfo {
        id: FieldId(0),
        class: row.class.to_owned(),
        name: row.name.to_owned(),
        ty: row.ty,
        is_list: row.is_list,
        deprecated: row.deprecated || has("deprecated"),
        table_only: has("table_only"),
        filter_only: has("filter_only"),
        print_only: has("print_only"),
        arg_required: required,
        arg_allowed: required || optional,
        arg_index: row.arg.contains("[N]")
            || row.arg.contains("index")
            || row.arg.contains("INDEX")
            || row.arg.contains("[FD]"),
        arg_key: (required || optional)
            && ["KEY", "name", "NAME", "timestamp", ".src", "SUBSYSTEM"].iter().any(|k| row.arg.contains(k)),
        no_rhs: has("no_rhs"),
        no_transformer: has("no_transformer"),
        suggested: has("format_suggested"),
        print: row.print,
        sources: if generic { Vec::new() } else { vec!["syscall".to_owned()] },
        meaning: row.meaning.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_fields_by_source() {
        let catalogue = Catalogue::builtin();
        assert_eq!(catalogue.iter().count(), 294);
        assert!(catalogue.find("proc.name", "syscall").is_some());
        assert!(catalogue.find("proc.name", "k8s_audit").is_none());
        assert!(catalogue.find("evt.num", "k8s_audit").is_some());
        assert!(catalogue.find("evt.arg", "syscall").is_some_and(|f| f.arg_required));
    }
}
