//! Values as text, by their type and print format. Text is bytes: what a process calls itself need not be UTF-8.

use crate::check::{ValueExpr, ValueNode};
use bumpalo::Bump;
use event::{Catalogue, FieldRef, FieldSource, ParamType, Value};
use std::io::Write as _;

/// How some values print, by configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Byte buffers as base64 instead of dotted text.
    pub buffer_base64: bool,
}

/// Appends the text of `field` for `event`, `<NA>` when absent.
pub fn print_field<S: FieldSource>(
    catalogue: &Catalogue,
    field: &FieldRef,
    event: &S,
    arena: &Bump,
    out: &mut Vec<u8>,
) {
    let info = catalogue.info(field.id);
    print_one(field, (info.ty, info.print), event, arena, Style::default(), out);
}

/// Appends the text of an expression.
pub(crate) fn print_expression<S: FieldSource>(
    value: &ValueExpr,
    print: &str,
    event: &S,
    arena: &Bump,
    style: Style,
    out: &mut Vec<u8>,
) {
    match &value.node {
        ValueNode::Field(field) => print_one(field, (value.ty, print), event, arena, style, out),
        ValueNode::Call { .. } => match value.eval(event, arena) {
            Some(found) => print_value(found, value.ty, print, style, out),
            None => out.extend_from_slice(ABSENT),
        },
    }
}

fn print_one<S: FieldSource>(
    field: &FieldRef,
    (ty, print): (ParamType, &str),
    event: &S,
    arena: &Bump,
    style: Style,
    out: &mut Vec<u8>,
) {
    let raw_bytes = style.buffer_base64 && ty == ParamType::Bytebuf;
    let rendered = if raw_bytes { None } else { event.rendered(field, arena) };
    match (rendered, event.extract(field, arena)) {
        (Some(text), _) => out.extend_from_slice(until_nul(text)),
        (None, Some(value)) => print_value(value, ty, print, style, out),
        (None, None) => out.extend_from_slice(ABSENT),
    }
}

const ABSENT: &[u8] = b"<NA>";

/// Appends `value` of type `ty`.
pub(crate) fn print_value(value: Value<'_>, ty: ParamType, print: &str, style: Style, out: &mut Vec<u8>) {
    match value {
        _ if ty == ParamType::Ipnet => out.extend_from_slice(b"<IPNET>"),
        Value::Bool(value) => write_text(out, format_args!("{value}")),
        Value::Int(number) if print == "hex" => write_text(out, format_args!("{:X}", low_bits(number, ty))),
        Value::Uint(number) if print == "hex" => write_text(out, format_args!("{number:X}")),
        Value::Uint(number) if print == "dec10" => write_text(out, format_args!("{number:09}")),
        Value::Int(number) => write_text(out, format_args!("{number}")),
        Value::Uint(number) => write_text(out, format_args!("{number}")),
        Value::Double(number) => write_text(out, format_args!("{number:.1}")),
        Value::Str(text) => out.extend_from_slice(until_nul(text)),
        Value::Bytes(bytes) => print_bytes(bytes, style, out),
        Value::Ip(ip) => write_text(out, format_args!("{ip}")),
        Value::List(items) => print_list(items, ty, print, style, out),
    }
}

/// Writing to a `Vec` cannot fail.
fn write_text(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// A signed number as the unsigned one of the same width, as `%X` shows it.
fn low_bits(number: i64, ty: ParamType) -> u64 {
    let bits = number.cast_unsigned();
    match ty {
        ParamType::Int8 => bits & 0xff,
        ParamType::Int16 => bits & 0xffff,
        ParamType::Int32 => bits & 0xffff_ffff,
        _ => bits,
    }
}

fn print_list(items: &[Value<'_>], ty: ParamType, print: &str, style: Style, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b'(');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        print_value(*item, ty, print, style, out);
    }
    out.push(b')');
    out.truncate(start + MAX_BYTES);
}

fn print_bytes(bytes: &[u8], style: Style, out: &mut Vec<u8>) {
    let start = out.len();
    if style.buffer_base64 {
        print_base64(bytes, out);
    } else {
        out.extend(bytes.iter().take(MAX_BYTES).map(|b| if matches!(b, b' '..=b'~') { *b } else { b'.' }));
    }
    out.truncate(start + MAX_BYTES);
}

/// Longer lists and buffers are cut.
const MAX_BYTES: usize = 1023;

fn print_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            out.push(if digit <= group.len() { DIGITS[index] } else { b'=' });
        }
    }
}

/// C strings end at the first NUL.
pub(crate) fn until_nul(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

/// `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn` of a time in nanoseconds since the epoch, in UTC, without a zone.
pub fn iso_utc(nanos: u64) -> String {
    let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_date(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}")
}

/// Gregorian date of a day count since 1970-01-01, by 400-year eras that begin in March.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: Value<'_>, ty: ParamType, print: &str) -> String {
        let mut out = Vec::new();
        print_value(value, ty, print, Style::default(), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn prints_by_type() {
        assert_eq!(shown(Value::Int(-1), ParamType::Int64, "dec"), "-1");
        assert_eq!(shown(Value::Int(0xfe00), ParamType::Int32, "hex"), "FE00");
        assert_eq!(shown(Value::Int(-1), ParamType::Int32, "hex"), "FFFFFFFF");
        assert_eq!(shown(Value::Uint(42), ParamType::Reltime, "dec10"), "000000042");
        assert_eq!(shown(Value::Double(0.25), ParamType::Double, "na"), "0.2");
        assert_eq!(shown(Value::Bytes(b"a\n\xffb"), ParamType::Bytebuf, "na"), "a..b");
        assert_eq!(shown(Value::Str(b"ab\0c"), ParamType::Charbuf, "na"), "ab");
        let list = [Value::Str(b"file"), Value::Str(b"ipv4")];
        assert_eq!(shown(Value::List(&list), ParamType::Charbuf, "na"), "(file,ipv4)");
        let ip = Value::Ip("127.0.0.1".parse().expect("an address"));
        assert_eq!(shown(ip, ParamType::Ipaddr, "na"), "127.0.0.1");
        assert_eq!(shown(ip, ParamType::Ipnet, "na"), "<IPNET>");
        let mut out = Vec::new();
        print_value(Value::Bytes(b"hell"), ParamType::Bytebuf, "na", Style { buffer_base64: true }, &mut out);
        assert_eq!(out, b"aGVsbA==");
    }

    #[test]
    fn dates_are_gregorian() {
        assert_eq!(iso_utc(0), "1970-01-01T00:00:00.000000000");
        assert_eq!(iso_utc(1_470_327_477_881_785_348), "2016-08-04T16:17:57.881785348");
        assert_eq!(iso_utc(951_782_400_000_000_000), "2000-02-29T00:00:00.000000000");
        assert_eq!(iso_utc(1_795_335_893_848_253_578), "2026-11-22T08:24:53.848253578");
    }
}
