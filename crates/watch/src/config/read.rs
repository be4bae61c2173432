//! Typed reading of a configuration tree by the table of keys. A value of the wrong type counts as absent (the schema
//! check has warned about it), so the default of the table holds; only values that would change what is watched are errors.

use super::keys::{self, Ty};
use super::node::{Data, Node, Place};

/// A tree to read keys from.
#[derive(Clone, Copy)]
pub struct Reader<'n>(pub &'n Node);

impl<'n> Reader<'n> {
    pub fn bool(self, path: &str) -> bool {
        self.text_at(path).and_then(bool_of).unwrap_or_else(|| default(path) == "true")
    }

    pub fn u64(self, path: &str) -> u64 {
        let in_range = |n: &u64| match keys::find(path).map(|key| key.ty) {
            Some(Ty::Uint(low, high)) => (low..=high).contains(n),
            _ => true,
        };
        let written = self.text_at(path).and_then(|text| text.parse().ok()).filter(in_range);
        written.unwrap_or_else(|| default(path).parse().unwrap_or(0))
    }

    pub fn u32(self, path: &str) -> u32 {
        u32::try_from(self.u64(path)).unwrap_or(u32::MAX)
    }

    pub fn f64(self, path: &str) -> f64 {
        let in_range = |n: &f64| match keys::find(path).map(|key| key.ty) {
            Some(Ty::Float(low, high)) => (low..=high).contains(n),
            _ => true,
        };
        let written = self.text_at(path).and_then(|text| text.parse().ok()).filter(in_range);
        written.unwrap_or_else(|| default(path).parse().unwrap_or(0.0))
    }

    pub fn string(self, path: &str) -> String {
        self.text_at(path).unwrap_or_else(|| default(path)).to_owned()
    }

    pub fn strings(self, path: &str) -> Vec<String> {
        let Some(node) = self.0.at(path) else { return Vec::new() };
        node.elements().iter().filter_map(Node::text).map(str::to_owned).collect()
    }

    pub fn is_set(self, path: &str) -> bool {
        self.0.at(path).is_some_and(|node| node.data != Data::Null)
    }

    pub fn place(self, path: &str) -> Place {
        self.0.at(path).map(|node| node.place.clone()).unwrap_or_default()
    }

    fn text_at(self, path: &str) -> Option<&'n str> {
        self.0.at(path)?.text()
    }
}

/// The spellings of a boolean: `y yes true on` and `n no false off` in lower, Capitalised and UPPER case.
pub fn bool_of(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let capital =
        |t: &str| t.chars().next().is_some_and(char::is_uppercase) && t.chars().skip(1).all(char::is_lowercase);
    let one_case = text == lower || text == text.to_ascii_uppercase() || capital(text);
    match lower.as_str() {
        "y" | "yes" | "true" | "on" if one_case => Some(true),
        "n" | "no" | "false" | "off" if one_case => Some(false),
        _ => None,
    }
}

fn default(path: &str) -> &'static str {
    let key = keys::find(path);
    debug_assert!(key.is_some(), "key `{path}` is not in the table");
    key.map_or("", |key| key.default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_types_fall_back_to_the_table() {
        let node =
            Node::parse("f", "json_output: [1]\noutput_timeout: x\nwebserver: {listen_port: 99999}\nrules_files: a\n")
                .unwrap();
        let read = Reader(&node);
        assert!(!read.bool("json_output"));
        assert_eq!((read.u64("output_timeout"), read.u64("webserver.listen_port")), (2000, 8765));
        assert_eq!(read.strings("rules_files"), ["a"]);
        assert!((read.f64("syscall_event_drops.threshold") - 0.1).abs() < f64::EPSILON);
    }

    #[test]
    fn booleans_have_many_spellings() {
        for (text, want) in [("on", Some(true)), ("Yes", Some(true)), ("OFF", Some(false)), ("oN", None), ("1", None)] {
            assert_eq!(bool_of(text), want, "{text}");
        }
    }
}
