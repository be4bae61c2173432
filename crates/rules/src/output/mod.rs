//! From a rule that matched to the line users read: output formats, printing of values, alerts as text and JSON.

use crate::ruleset::Rule;
use bumpalo::Bump;
use event::{Catalogue, FieldRef, FieldSource};

/// A compiled output format: literal text and fields.
#[derive(Clone, Debug, Default)]
pub struct OutputFormat {
    fields: Vec<FieldRef>,
}

/// Why a text is not an output format.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(pub String);

impl OutputFormat {
    /// Compiles `text` for events of `source`.
    ///
    /// # Errors
    /// The text that the loader reports as `LOAD_ERR_COMPILE_OUTPUT`.
    pub fn compile(_text: &str, _source: &str, _catalogue: &Catalogue) -> Result<OutputFormat, FormatError> {
        Ok(OutputFormat::default())
    }

    /// Appends the text for `event`; absent fields print `<NA>`. Bytes, since values need not be UTF-8.
    pub fn render<S: FieldSource>(&self, _event: &S, _arena: &Bump, _out: &mut Vec<u8>) {}

    /// The fields it mentions, in order, inner fields of transformers included.
    pub fn fields(&self) -> &[FieldRef] {
        &self.fields
    }
}

/// How alerts look: the keys of the configuration file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AlertStyle {
    pub json_output: bool,
    pub json_include_output_property: bool,
    pub json_include_message_property: bool,
    pub json_include_output_fields_property: bool,
    pub json_include_tags_property: bool,
    pub time_format_iso_8601: bool,
    /// Byte buffers print as base64 instead of dotted text.
    pub buffer_format_base64: bool,
    pub hostname: String,
}

impl Default for AlertStyle {
    fn default() -> Self {
        AlertStyle {
            json_output: false,
            json_include_output_property: true,
            json_include_message_property: false,
            json_include_output_fields_property: true,
            json_include_tags_property: true,
            time_format_iso_8601: false,
            buffer_format_base64: false,
            hostname: String::new(),
        }
    }
}

/// Writes alerts in one style.
#[derive(Clone, Debug)]
pub struct AlertWriter {
    style: AlertStyle,
}

impl AlertWriter {
    pub fn new(style: AlertStyle, _catalogue: &Catalogue) -> Self {
        AlertWriter { style }
    }

    pub fn style(&self) -> &AlertStyle {
        &self.style
    }

    /// Appends the alert of `rule` for `event` to `out`, one line without the newline.
    pub fn line<S: FieldSource>(&mut self, _rule: &Rule, _event: &S, _arena: &Bump, _out: &mut String) {}
}

/// Appends the typed JSON value of `field`: `null` when absent.
pub fn write_json_value<S: FieldSource>(
    _catalogue: &Catalogue, _field: &FieldRef, _event: &S, _arena: &Bump, _out: &mut String,
) {
}
