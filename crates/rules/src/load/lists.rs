//! Lists: one level of expansion inside lists, and textual substitution in conditions. Substitution works on the text,
//! before parsing, wherever a list's name stands between delimiters, even inside quotes.

use super::collector::Named;
use super::item::ListItem;
use crate::lang::scan::is_blank;
use std::collections::HashSet;

/// A list with the lists in it replaced by their items, one level deep.
#[derive(Clone, Debug)]
pub struct CompiledList {
    pub name: String,
    pub items: Vec<String>,
    /// The lists that were replaced.
    pub lists: Vec<String>,
}

/// Expands every list. Names of lists that others use are added to `used`.
pub fn compile(lists: &Named<ListItem>, used: &mut HashSet<String>) -> Vec<CompiledList> {
    lists.iter().map(|list| expand(list, lists, used)).collect()
}

fn expand(list: &ListItem, lists: &Named<ListItem>, used: &mut HashSet<String>) -> CompiledList {
    let mut out = CompiledList { name: list.name.clone(), items: Vec::new(), lists: Vec::new() };
    for item in &list.items {
        match lists.get(item).filter(|l| l.order.index < list.order.visibility) {
            Some(inner) => {
                used.insert(inner.name.clone());
                out.lists.push(inner.name.clone());
                out.items.extend(inner.items.iter().cloned());
            }
            None => out.items.push(item.clone()),
        }
    }
    out
}

/// A value as condition text: in double quotes when it holds a blank and is not quoted yet.
pub fn quoted(item: &str) -> String {
    if item.contains(' ') && !item.starts_with(['"', '\'']) { format!("\"{item}\"") } else { item.to_owned() }
}

/// Replaces the names of `lists` in `condition`, list after list. Names that occurred are added to `found`. `None` when
/// lists of lists make the text absurdly long.
pub fn substitute(condition: &str, lists: &[CompiledList], found: &mut Vec<String>) -> Option<String> {
    let mut text = condition.to_owned();
    for list in lists.iter().filter(|l| !l.name.is_empty()) {
        let Some(at) = find_name(&text, &list.name, 0) else { continue };
        found.push(list.name.clone());
        text = replace_all(&text, at, list)?;
    }
    Some(text)
}

/// No condition comes near this; it only bounds lists that multiply each other.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// Replaces the occurrence at `first` and all behind it. Items are not searched again.
fn replace_all(text: &str, first: usize, list: &CompiledList) -> Option<String> {
    let items = list.items.iter().map(|i| quoted(i)).collect::<Vec<_>>().join(", ");
    let mut out = String::with_capacity(text.len() + items.len());
    let (mut copied, mut next) = (0, Some(first));
    while let Some(at) = next {
        out.push_str(text.get(copied..at)?);
        out.truncate(out.trim_end_matches(is_blank_char).len());
        let mut rest = text.get(at + list.name.len()..)?.trim_start_matches(is_blank_char);
        if list.items.is_empty() {
            match out.strip_suffix(',') {
                Some(shorter) => out.truncate(shorter.len()),
                None => rest = rest.strip_prefix(',').unwrap_or(rest),
            }
        }
        out.push(' ');
        out.push_str(&items);
        out.push(' ');
        if out.len() > MAX_TEXT_BYTES {
            return None;
        }
        copied = text.len() - rest.len();
        next = find_name(text, &list.name, copied);
    }
    out.push_str(text.get(copied..)?);
    Some(out)
}

fn is_blank_char(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_blank)
}

fn find_name(text: &str, name: &str, mut from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    loop {
        let at = from + memchr::memmem::find(bytes.get(from..)?, name.as_bytes())?;
        let before = at == 0 || bytes.get(at - 1).is_some_and(|b| is_delimiter(*b));
        let after = bytes.get(at + name.len()).is_none_or(|b| is_delimiter(*b));
        if before && after {
            return Some(at);
        }
        from = at + 1;
    }
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'(' | b')' | b',' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str, items: &[&str]) -> CompiledList {
        let items = items.iter().map(|i| (*i).to_owned()).collect();
        CompiledList { name: name.to_owned(), items, lists: Vec::new() }
    }

    #[test]
    fn replaces_names_between_delimiters() {
        let lists = [list("a", &["x", "y z"]), list("empty", &[])];
        for (text, expected) in [
            ("f in (a)", "f in ( x, \"y z\" )"),
            ("f in (b_a)", "f in (b_a)"),
            ("f in (ls, a , ps)", "f in (ls, x, \"y z\" , ps)"),
            ("f=a", "f= x, \"y z\" "),
            ("f in (b, empty)", "f in (b  )"),
            ("f in (empty, b)", "f in (   b)"),
            ("f = \"say a word\"", "f = \"say x, \"y z\" word\""),
        ] {
            assert_eq!(substitute(text, &lists, &mut Vec::new()).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_list_that_holds_its_own_name_ends() {
        let lists = [list("a", &["a", "a"])];
        let mut found = Vec::new();
        assert_eq!(substitute("f in (a, a)", &lists, &mut found).as_deref(), Some("f in ( a, a , a, a )"));
        assert_eq!(found, ["a"]);
    }
}
