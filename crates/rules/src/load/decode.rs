//! Typed look at the keys of one element. Every way in which a key can be wrong has its own message.

use super::context::{Context, OVERRIDES, VALUE_FOR};
use super::fault::{Fault, Outcome};
use super::yaml::{Node, parse_bool};
use std::collections::BTreeSet;

/// One element of a rules file with its place.
#[derive(Clone, Copy)]
pub struct Element<'n> {
    pub node: &'n Node,
    pub context: &'n Context,
}

/// What `override` asks for.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub append: BTreeSet<String>,
    pub replace: BTreeSet<String>,
}

impl Overrides {
    pub fn is_empty(&self) -> bool {
        self.append.is_empty() && self.replace.is_empty()
    }

    pub fn names(&self, key: &str) -> bool {
        self.append.contains(key) || self.replace.contains(key)
    }
}

impl<'n> Element<'n> {
    pub fn has(self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    /// A key that must be there.
    pub fn text(self, key: &str) -> Outcome<&'n str> {
        match self.optional_text(key)? {
            Some(text) => Ok(text),
            None => Fault::structure(format!("Item has no mapping for key '{key}'"), self.context),
        }
    }

    pub fn optional_text(self, key: &str) -> Outcome<Option<&'n str>> {
        let Some(node) = self.node.get(key) else { return Ok(None) };
        let context = self.context.child(node, VALUE_FOR, key);
        if node.is_null() {
            return Fault::structure(format!("Mapping for key '{key}' is empty"), &context);
        }
        match node.scalar() {
            None => Fault::structure("Value is not a scalar value", &context),
            Some("") => Fault::structure("Value must be non-empty", &context),
            Some(text) => Ok(Some(text)),
        }
    }

    /// A key that counts as missing when it is null or empty.
    pub fn text_or_nothing(self, key: &str) -> Outcome<Option<&'n str>> {
        match self.node.get(key) {
            Some(node) if node.is_null() || node.scalar() == Some("") => Ok(None),
            _ => self.optional_text(key),
        }
    }

    pub fn optional_bool(self, key: &str) -> Outcome<Option<bool>> {
        self.parsed(key, parse_bool)
    }

    pub fn optional_u32(self, key: &str) -> Outcome<Option<u32>> {
        self.parsed(key, whole_number)
    }

    fn parsed<T>(self, key: &str, parse: impl Fn(&str) -> Option<T>) -> Outcome<Option<T>> {
        let Some(text) = self.optional_text(key)? else { return Ok(None) };
        match parse(text) {
            Some(value) => Ok(Some(value)),
            None => Fault::structure("Can't decode YAML scalar value", &self.value_context(key)),
        }
    }

    /// A sequence of scalars; `None` when the key is missing.
    pub fn optional_texts(self, key: &str) -> Outcome<Option<Vec<String>>> {
        let Some(node) = self.node.get(key) else { return Ok(None) };
        let context = self.context.child(node, VALUE_FOR, key);
        let Some(items) = node.sequence() else { return Fault::structure("Value is not a sequence", &context) };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match item.scalar() {
                Some(text) => texts.push(text.to_owned()),
                None => return Fault::structure("sequence value is not scalar", &context),
            }
        }
        Ok(Some(texts))
    }

    pub fn value_context(self, key: &str) -> Context {
        self.node.get(key).map_or_else(|| self.context.clone(), |node| self.context.child(node, VALUE_FOR, key))
    }

    /// Reads `append` and `override`, which exclude each other.
    pub fn overrides(self, appendable: &[&str], replaceable: &[&str]) -> Outcome<(bool, Overrides)> {
        let append = self.optional_bool("append")?.unwrap_or(false);
        let mut overrides = Overrides::default();
        let Some(node) = self.node.get("override") else { return Ok((append, overrides)) };
        let context = self.context.child(node, OVERRIDES, "");
        let Some(entries) = node.mapping() else {
            return Fault::structure("Value of 'override' must be a mapping", &context);
        };
        for (key, operation) in entries {
            let (Some(key), Some(operation)) = (key.scalar(), operation.scalar()) else {
                return Fault::structure("Value is not a scalar value", &context);
            };
            let can = (appendable.contains(&key), replaceable.contains(&key));
            self.add_override(key, operation, can, &context, &mut overrides)?;
        }
        if append && !overrides.is_empty() {
            return Fault::structure(BOTH_FORMS, self.context);
        }
        self.check_overridden(&overrides)?;
        Ok((append, overrides))
    }

    fn add_override(
        self,
        key: &str,
        operation: &str,
        (append, replace): (bool, bool),
        context: &Context,
        out: &mut Overrides,
    ) -> Outcome<()> {
        match operation {
            "append" if append => out.append.insert(key.to_owned()),
            "append" => {
                return Fault::structure(format!("Key '{key}' cannot be appended to, use 'replace' instead"), context);
            }
            "replace" if replace => out.replace.insert(key.to_owned()),
            "replace" => return Fault::structure(format!("Key '{key}' cannot be replaced"), context),
            _ => {
                let allowed = [(append, "append "), (replace, "replace ")];
                let allowed: String = allowed.iter().filter(|(can, _)| *can).map(|(_, word)| *word).collect();
                let message =
                    format!("Invalid override operation for key '{key}': '{operation}'. Allowed values are: {allowed}");
                return Fault::structure(message, context);
            }
        };
        Ok(())
    }

    fn check_overridden(self, overrides: &Overrides) -> Outcome<()> {
        let operations = [("append", &overrides.append), ("replace", &overrides.replace)];
        for (operation, keys) in operations {
            if let Some(key) = keys.iter().find(|key| !self.has(key)) {
                let message = format!("An {operation} override for '{key}' was specified but '{key}' is not defined");
                return Fault::structure(message, self.context);
            }
        }
        Ok(())
    }
}

/// An unsigned number as YAML readers take it: decimal, `0x` hexadecimal, or octal after a leading `0`.
pub fn whole_number(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let (digits, base) = match digits.strip_prefix('0') {
        None | Some("") => (digits, 10),
        Some(rest) => rest.strip_prefix(['x', 'X']).map_or((rest, 8), |hex| (hex, 16)),
    };
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
    is_number.then(|| u32::from_str_radix(digits, base).ok()).flatten()
}

const BOTH_FORMS: &str = "Keys 'override' and 'append: true' cannot be used together. Add an 'append' entry \
                          (e.g. 'condition: append') under 'override' instead.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_their_base() {
        for (text, expected) in [
            ("0", Some(0)),
            ("5000", Some(5000)),
            ("+5", Some(5)),
            ("0x1F", Some(31)),
            ("010", Some(8)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("-1", None),
            ("1.5", None),
            ("08", None),
            ("0x", None),
            ("", None),
            ("++5", None),
        ] {
            assert_eq!(whole_number(text), expected, "{text}");
        }
    }
}
