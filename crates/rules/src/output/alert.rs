//! Alerts: one line of text or one JSON object per rule that matched.

use super::format::OutputFormat;
use super::json::{escape_json, write_json_string, write_styled};
use super::print::{Style, iso_utc};
use crate::ruleset::Rule;
use bumpalo::Bump;
use event::{Catalogue, FieldRef, FieldSource, Value};
use std::sync::Arc;

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
    catalogue: Arc<Catalogue>,
    time: OutputFormat,
    raw_time: Option<FieldRef>,
    /// `time: Priority message`, reused from alert to alert.
    text: Vec<u8>,
}

impl AlertWriter {
    /// `catalogue` is the one that the rules were loaded against.
    pub fn new(style: AlertStyle, catalogue: Arc<Catalogue>) -> Self {
        let time = if style.time_format_iso_8601 { "%evt.time.iso8601" } else { "%evt.time" };
        let time = OutputFormat::compile(time, "syscall", &catalogue).unwrap_or_default();
        let raw_time = OutputFormat::compile("%evt.rawtime", "syscall", &catalogue).unwrap_or_default();
        let raw_time = raw_time.single_field().cloned();
        AlertWriter { style, catalogue, time, raw_time, text: Vec::new() }
    }

    pub fn style(&self) -> &AlertStyle {
        &self.style
    }

    /// Appends the alert of `rule` for `event` to `out`, one line without the newline.
    pub fn line<S: FieldSource>(&mut self, rule: &Rule, event: &S, arena: &Bump, out: &mut String) {
        self.text.clear();
        let print = Style { buffer_base64: self.style.buffer_format_base64 };
        self.time.render_styled(event, arena, print, &mut self.text);
        self.text.extend_from_slice(b": ");
        self.text.extend_from_slice(rule.priority.as_str().as_bytes());
        self.text.push(b' ');
        let message_from = self.text.len();
        rule.output.render_styled(event, arena, print, &mut self.text);
        if self.style.json_output {
            self.json(rule, event, (arena, print), message_from, out);
        } else {
            escape_json(&self.text, out);
        }
    }

    /// Keys are in alphabetical order.
    fn json<S: FieldSource>(
        &self,
        rule: &Rule,
        event: &S,
        (arena, print): (&Bump, Style),
        message_from: usize,
        out: &mut String,
    ) {
        out.push_str("{\"hostname\":");
        write_json_string(self.style.hostname.as_bytes(), out);
        if self.style.json_include_message_property {
            out.push_str(",\"message\":");
            write_json_string(&self.text[message_from..], out);
        }
        if self.style.json_include_output_property {
            out.push_str(",\"output\":");
            write_json_string(&self.text, out);
        }
        if self.style.json_include_output_fields_property {
            out.push_str(",\"output_fields\":");
            self.fields(rule, event, (arena, print), out);
        }
        for (key, value) in [("priority", rule.priority.as_str()), ("rule", &rule.name), ("source", &rule.source)] {
            out.push_str(",\"");
            out.push_str(key);
            out.push_str("\":");
            write_json_string(value.as_bytes(), out);
        }
        if self.style.json_include_tags_property {
            out.push_str(",\"tags\":[");
            for (i, tag) in rule.tags.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                write_json_string(tag.as_bytes(), out);
            }
            out.push(']');
        }
        out.push_str(",\"time\":\"");
        out.push_str(&iso_utc(self.nanos(event, arena)));
        out.push_str("Z\"}");
    }

    fn nanos<S: FieldSource>(&self, event: &S, arena: &Bump) -> u64 {
        match self.raw_time.as_ref().and_then(|field| event.extract(field, arena)) {
            Some(Value::Uint(nanos)) => nanos,
            _ => 0,
        }
    }

    fn fields<S: FieldSource>(&self, rule: &Rule, event: &S, (arena, print): (&Bump, Style), out: &mut String) {
        let mut entries: Vec<(&str, Entry<'_>)> = Vec::new();
        let fields = self.time.fields().iter().chain(rule.output.fields());
        entries.extend(fields.map(|f| (f.text.as_str(), Entry::Field(f))));
        entries.extend(rule.extra_fields.iter().map(|extra| {
            let field = if extra.as_text { None } else { extra.format.single_field() };
            (extra.key.as_str(), field.map_or(Entry::Text(&extra.format), Entry::Field))
        }));
        entries.sort_by_key(|(key, _)| *key);
        entries.dedup_by_key(|(key, _)| *key);
        out.push('{');
        for (i, (key, entry)) in entries.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { "," });
            write_json_string(key.as_bytes(), out);
            out.push(':');
            match entry {
                Entry::Field(field) => write_styled(&self.catalogue, field, event, (arena, print), out),
                Entry::Text(format) => {
                    let mut text = Vec::new();
                    format.render_styled(event, arena, print, &mut text);
                    write_json_string(&text, out);
                }
            }
        }
        out.push('}');
    }
}

enum Entry<'r> {
    Field(&'r FieldRef),
    Text(&'r OutputFormat),
}
