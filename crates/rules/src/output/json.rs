//! Values and texts as JSON, written by hand: an alert is a line, not a tree.

use super::print::{Style, print_value, until_nul};
use crate::check::is_time;
use bumpalo::Bump;
use event::{Catalogue, FieldInfo, FieldRef, FieldSource, ParamType, Value};
use std::fmt::Write as _;

/// Appends the typed JSON value of `field`: `null` when absent.
pub fn write_json_value<S: FieldSource>(
    catalogue: &Catalogue,
    field: &FieldRef,
    event: &S,
    arena: &Bump,
    out: &mut String,
) {
    write_styled(catalogue, field, event, (arena, Style::default()), out);
}

pub(crate) fn write_styled<S: FieldSource>(
    catalogue: &Catalogue,
    field: &FieldRef,
    event: &S,
    (arena, style): (&Bump, Style),
    out: &mut String,
) {
    let info = catalogue.info(field.id);
    let time = if is_time(&info.name) { raw_time(catalogue) } else { None };
    match event.extract(time.as_ref().unwrap_or(field), arena) {
        None => out.push_str("null"),
        Some(Value::Str(text) | Value::Bytes(text)) if !(style.buffer_base64 && info.ty == ParamType::Bytebuf) => {
            match event.rendered(field, arena) {
                Some(rendered) => write_json_string(until_nul(rendered), out),
                None if info.ty == ParamType::Bytebuf => write_value(Value::Bytes(text), info, style, out),
                None => write_json_string(until_nul(text), out),
            }
        }
        Some(value) => write_value(value, info, style, out),
    }
}

/// The event's time stamp, which stands for every formatted time.
fn raw_time(catalogue: &Catalogue) -> Option<FieldRef> {
    let id = catalogue.find("evt.rawtime", "syscall")?.id;
    Some(FieldRef { id, arg: None, text: "evt.rawtime".to_owned() })
}

fn write_value(value: Value<'_>, info: &FieldInfo, style: Style, out: &mut String) {
    let as_text = info.ty == ParamType::Ipnet || info.print == "hex";
    match value {
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                write_value(*item, info, style, out);
            }
            out.push(']');
        }
        Value::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Value::Int(number) if !as_text => write_number(out, number),
        Value::Uint(number) if !as_text => write_number(out, number),
        Value::Double(number) => write_double(number, out),
        other => {
            let mut text = Vec::new();
            print_value(other, info.ty, info.print, style, &mut text);
            write_json_string(&text, out);
        }
    }
}

fn write_number(out: &mut String, number: impl std::fmt::Display) {
    let _ = write!(out, "{number}");
}

/// The shortest text that reads back as the same number; `null` for what JSON cannot say.
fn write_double(number: f64, out: &mut String) {
    if !number.is_finite() {
        return out.push_str("null");
    }
    let text = format!("{number:?}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |d| ("-", d));
            let _ = write!(out, "{mantissa}e{sign}{digits:0>2}");
        }
        None => out.push_str(&text),
    }
}

/// Appends `text` in quotes. Invalid UTF-8 becomes U+FFFD.
pub fn write_json_string(text: &[u8], out: &mut String) {
    out.push('"');
    escape_json(text, out);
    out.push('"');
}

/// Appends `text` with everything escaped that JSON strings cannot hold.
pub(crate) fn escape_json(text: &[u8], out: &mut String) {
    for chunk in text.utf8_chunks() {
        escape_valid(chunk.valid(), out);
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

fn escape_valid(text: &str, out: &mut String) {
    let mut clean_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[clean_from..at]);
        clean_from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            8 => out.push_str("\\b"),
            12 => out.push_str("\\f"),
            control => {
                let _ = write!(out, "\\u{control:04x}");
            }
        }
    }
    out.push_str(&text[clean_from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        write_json_string(b"a\"b\\c\n\x01\x7f\xff\xc3\xa9", &mut out);
        assert_eq!(out, "\"a\\\"b\\\\c\\n\\u0001\u{7f}\u{fffd}é\"");
    }

    #[test]
    fn doubles_read_back() {
        for (number, expected) in
            [(0.0, "0.0"), (0.005, "0.005"), (1e-7, "1e-07"), (2.5e300, "2.5e+300"), (f64::NAN, "null")]
        {
            let mut out = String::new();
            write_double(number, &mut out);
            assert_eq!(out, expected);
        }
    }
}
