//! JSON that keeps the order of keys, and its text layout: objects over lines with tabs, arrays in one line. Chained
//! plugins pass results on unchanged, and scripts compare them byte by byte. Nothing panics on any text.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Write};

/// A JSON value; objects keep their order and their duplicates.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The first value in `bytes`; what follows it is ignored.
    pub fn parse(bytes: &[u8]) -> Option<Json> {
        serde_json::Deserializer::from_slice(bytes).into_iter().next()?.ok()
    }

    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The text of an object made of these members.
    pub fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
        Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    pub fn text(text: impl Into<String>) -> Json {
        Json::Text(text.into())
    }

    /// With a line end.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(0, &mut text);
        text + "\n"
    }

    fn write(&self, depth: usize, text: &mut String) {
        match self {
            Json::Null => text.push_str("null"),
            Json::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Json::Number(number) => text.push_str(&number_text(*number)),
            Json::Text(value) => write_string(value, text),
            Json::Array(items) => {
                text.push('[');
                for (at, item) in items.iter().enumerate() {
                    text.push_str(if at == 0 { "" } else { ", " });
                    item.write(depth + 1, text);
                }
                text.push(']');
            }
            Json::Object(members) => write_object(members, depth + 1, text),
        }
    }
}

fn write_object(members: &[(String, Json)], depth: usize, text: &mut String) {
    text.push_str("{\n");
    for (at, (name, value)) in members.iter().enumerate() {
        text.push_str(&"\t".repeat(depth));
        write_string(name, text);
        text.push_str(":\t");
        value.write(depth, text);
        text.push_str(if at + 1 < members.len() { ",\n" } else { "\n" });
    }
    text.push_str(&"\t".repeat(depth - 1));
    text.push('}');
}

fn write_string(value: &str, text: &mut String) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c < ' ' => _ = write!(text, "\\u{:04x}", u32::from(c)),
            c => text.push(c),
        }
    }
    text.push('"');
}

/// Integers of 32 bits plain, others with 15 significant digits, or 17 when 15 are not enough.
fn number_text(number: f64) -> String {
    if !number.is_finite() {
        return "null".to_owned();
    }
    if number.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number) {
        return format!("{number:.0}").replace("-0", if number == 0.0 { "0" } else { "-0" });
    }
    let short = general(number, 15);
    if short.parse() == Ok(number) { short } else { general(number, 17) }
}

/// C's `%.{digits}g`.
fn general(number: f64, digits: usize) -> String {
    let scientific = format!("{number:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    let precision = i32::try_from(digits).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= precision {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(precision - 1 - exponent).unwrap_or(0);
    trim(&format!("{number:.decimals$}"))
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Json::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(member) = members.next_entry()? {
            all.push(member);
        }
        Ok(Json::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        let check = |input: &str, output: &str| assert_eq!(Json::parse(input.as_bytes()).unwrap().to_text(), output);
        check("{}", "{\n}\n");
        check(
            r#"{"b":1,"a":[],"c":[1,"x/é"]} trailing"#,
            "{\n\t\"b\":\t1,\n\t\"a\":\t[],\n\t\"c\":\t[1, \"x/é\"]\n}\n",
        );
        check(r#"{"i":[{"name":"eth0"},{}]}"#, "{\n\t\"i\":\t[{\n\t\t\t\"name\":\t\"eth0\"\n\t\t}, {\n\t\t}]\n}\n");
        check(
            "[10000000000, 0.1, 1e20, -3, 1.5e-7, 0.30000000000000004]",
            "[10000000000, 0.1, 1e+20, -3, 1.5e-07, 0.30000000000000004]\n",
        );
        check(r#""a\u0001\b""#, "\"a\\u0001\\b\"\n");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            if let Some(json) = Json::parse(text.as_bytes()) {
                let again = Json::parse(json.to_text().as_bytes());
                proptest::prop_assert!(again.is_some());
            }
        }
    }
}
