//! What loading a file gave, and how users see it: verbose text, one-line summary, JSON.

use super::context::Context;
use super::schema::SchemaStatus;
use diag::{Finding, Severity, Span};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Defines a table of codes with their texts.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $code:literal, $short:literal, $long:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[allow(missing_docs)]
        pub enum $name { $($variant),* }

        impl $name {
            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $($name::$variant => $code),* }
            }

            /// A few words.
            pub fn short(self) -> &'static str {
                match self { $($name::$variant => $short),* }
            }

            /// What JSON shows as `codedesc`.
            pub fn description(self) -> &'static str {
                match self { $($name::$variant => $long),* }
            }
        }
    };
}

codes! {
    /// Why a file does not load.
    ErrorCode {
        FileRead = "LOAD_ERR_FILE_READ", "File read error", "File read error";
        YamlParse = "LOAD_ERR_YAML_PARSE", "YAML parse error", "YAML parse error";
        YamlValidate = "LOAD_ERR_YAML_VALIDATE", "Error validating internal structure of YAML file",
            "Error validating internal structure of YAML file";
        CompileCondition = "LOAD_ERR_COMPILE_CONDITION", "Error compiling condition", "Error compiling condition";
        CompileOutput = "LOAD_ERR_COMPILE_OUTPUT", "Error compiling output", "Error compiling output";
        Validate = "LOAD_ERR_VALIDATE", "Error validating rule/macro/list/exception objects",
            "Error validating rule/macro/list/exception objects";
        Extension = "LOAD_ERR_EXTENSION", "Error in extension item", "Error in extension item";
    }
}

codes! {
    /// What a file does that deserves a second look.
    WarningCode {
        UnknownSource = "LOAD_UNKNOWN_SOURCE", "Unknown event source",
            "A rule names an event source that nothing loaded provides. The rule is skipped.";
        UnsafeNaCheck = "LOAD_UNSAFE_NA_CHECK", "Unsafe <NA> comparison in condition",
            "Comparing this field with <NA> does not tell whether it is absent. Use the exists operator.";
        NoEvttype = "LOAD_NO_EVTTYPE", "Condition has no event-type restriction",
            "The condition is tried on nearly every event, which costs much. Restrict it with evt.type.";
        UnknownFilter = "LOAD_UNKNOWN_FILTER", "Unknown field or event-type in condition or output",
            "The rule names a field or an event type that does not exist here, and asks to be skipped then.";
        UnusedMacro = "LOAD_UNUSED_MACRO", "Unused macro", "No rule and no other macro refers to this macro.";
        UnusedList = "LOAD_UNUSED_LIST", "Unused list", "No rule, macro or other list refers to this list.";
        UnknownItem = "LOAD_UNKNOWN_ITEM", "Unknown rules file item",
            "An element of the file is neither rule, macro, list nor a version requirement. It is ignored.";
        DeprecatedItem = "LOAD_DEPRECATED_ITEM", "Used deprecated item",
            "Something used here is deprecated and may go away.";
        WarningExtension = "LOAD_WARNING_EXTENSION", "Warning in extension item",
            "An extension of the rule language has a warning for this item.";
        AppendNoValues = "LOAD_APPEND_NO_VALUES", "Overriding/appending with no values",
            "An exception is appended without values, which changes nothing.";
        ExceptionNameNotUnique = "LOAD_EXCEPTION_NAME_NOT_UNIQUE", "Multiple exceptions defined with the same name",
            "Two exceptions of one rule have the same name. Give each its own.";
        InvalidMacroName = "LOAD_INVALID_MACRO_NAME", "Invalid macro name",
            "The macro's name is not one that conditions can refer to.";
        InvalidListName = "LOAD_INVALID_LIST_NAME", "Invalid list name",
            "The list's name is not one that conditions can refer to.";
        CompileCondition = "LOAD_COMPILE_CONDITION", "Warning in rule condition",
            "The condition compiles but may not mean what it says.";
        UnknownKey = "LOAD_UNKNOWN_KEY", "Unknown key in item definition",
            "The item has a key that nothing reads. It is ignored.";
    }
}

/// An error or a warning with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issue<C> {
    pub code: C,
    pub message: String,
    pub context: Context,
    pub snippet: String,
    /// For warnings about deprecated fields.
    pub deprecated_field: Option<String>,
}

/// What loading one file gave.
#[derive(Clone, Debug, Default)]
pub struct LoadResult {
    pub name: String,
    pub errors: Vec<Issue<ErrorCode>>,
    pub warnings: Vec<Issue<WarningCode>>,
    pub schema: SchemaStatus,
}

impl LoadResult {
    pub fn successful(&self) -> bool {
        self.errors.is_empty()
    }

    pub fn has_warnings(&self) -> bool {
        !self.warnings.is_empty()
    }

    /// `ok`, `none` or `failed for <root>[..]: ..`: the state of the schema validation.
    pub fn schema_status(&self) -> String {
        self.schema.to_string()
    }

    /// Multi-line text with contexts and snippets; ends with a newline.
    pub fn verbose(&self) -> String {
        let mut out = format!("{}: {}\n", self.name, self.verdict());
        let schema = self.schema.problems();
        if !schema.is_empty() {
            let _ = writeln!(out, "{} Schema warnings:", schema.len());
            schema.iter().for_each(|problem| {
                let _ = writeln!(out, "------\n{problem}");
            });
            out.push_str("------\n");
        }
        if !self.errors.is_empty() {
            let _ = writeln!(out, "{} Errors:", self.errors.len());
            self.errors.iter().for_each(|e| e.write_verbose(e.code.code(), e.code.short(), &mut out));
        }
        if !self.warnings.is_empty() {
            let _ = writeln!(out, "{} Warnings:", self.warnings.len());
            self.warnings.iter().for_each(|w| w.write_verbose(w.code.code(), w.code.short(), &mut out));
        }
        out
    }

    /// One line without newline.
    pub fn summary(&self) -> String {
        let mut out = format!("{}: {}", self.name, self.verdict());
        let schema: Vec<String> = self.schema.problems().to_vec();
        let errors = self.errors.iter().map(|e| format!("{} ({})", e.code.code(), e.code.short())).collect();
        let warnings = self.warnings.iter().map(|w| format!("{} ({})", w.code.code(), w.code.short())).collect();
        for (what, items) in [("schema warnings", schema), ("errors", errors), ("warnings", warnings)] {
            if !items.is_empty() {
                let _ = write!(out, " {} {what}: [{}]", items.len(), items.join(" "));
            }
        }
        out
    }

    /// Errors and warnings in the form that all tools share.
    pub fn findings(&self) -> Vec<Finding> {
        let errors = self.errors.iter().map(|e| e.finding(Severity::Error, e.code.code()));
        errors.chain(self.warnings.iter().map(|w| w.finding(Severity::Warning, w.code.code()))).collect()
    }

    fn verdict(&self) -> &'static str {
        match (self.successful(), self.has_warnings()) {
            (false, _) => "Invalid",
            (true, true) => "Ok, with warnings",
            (true, false) => "Ok",
        }
    }

    /// One element of `falco_load_results`.
    pub fn to_json(&self) -> Value {
        let errors = self.errors.iter().map(|e| e.to_json(e.code.code(), e.code.short()));
        let warnings = self.warnings.iter().map(|w| w.to_json(w.code.code(), w.code.description()));
        let mut out = json!({
            "name": self.name,
            "successful": self.successful(),
            "errors": errors.collect::<Vec<_>>(),
            "warnings": warnings.collect::<Vec<_>>(),
        });
        if self.schema != SchemaStatus::None {
            out["schema_valid"] = json!(self.schema == SchemaStatus::Ok);
            out["schema_warnings"] = json!(self.schema.problems());
        }
        out
    }
}

impl<C> Issue<C> {
    fn finding(&self, severity: Severity, code: &str) -> Finding {
        let named = self.context.locations.iter().rev().find(|l| !l.item_name.is_empty());
        let file = self.context.locations.first().map(|l| l.position_name.clone()).unwrap_or_default();
        let subject = named.map_or_else(|| format!("`{file}`"), |l| format!("{} `{}`", l.item_type, l.item_name));
        let finding = Finding::new(severity, code, subject, self.message.clone());
        match self.context.locations.last() {
            Some(last) => finding.at(Span {
                file,
                line: u32::try_from(last.mark.line + last.base()).unwrap_or(u32::MAX),
                column: u32::try_from(last.mark.column + last.base()).unwrap_or(u32::MAX),
                offset: last.mark.offset,
                len: 1,
            }),
            None => finding,
        }
    }

    fn write_verbose(&self, code: &str, short: &str, out: &mut String) {
        let field = self.deprecated_field.as_ref().map(|f| format!(": field '{f}'")).unwrap_or_default();
        let (context, snippet, message) = (self.context.text(), &self.snippet, &self.message);
        let _ = writeln!(out, "{context}------\n{snippet}------\n{code} ({short}{field}): {message}");
    }

    fn to_json(&self, code: &str, description: &str) -> Value {
        let locations = self.context.locations.iter().map(|l| {
            json!({
                "item_type": l.item_type,
                "item_name": l.item_name,
                "position": {
                    "name": l.position_name, "line": l.mark.line, "column": l.mark.column, "offset": l.mark.offset,
                },
            })
        });
        let mut out = json!({
            "context": { "locations": locations.collect::<Vec<_>>(), "snippet": self.snippet },
            "code": code,
            "codedesc": description,
            "message": self.message,
        });
        if let Some(field) = &self.deprecated_field {
            out["deprecated_field"] = json!(field);
        }
        out
    }
}
