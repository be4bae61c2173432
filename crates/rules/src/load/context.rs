//! Where in a rules file something is: a stack of locations, and the line of text with a caret below it.

use super::yaml::{Mark, Node};
use crate::lang::ast::Pos;
use std::collections::HashMap;
use std::sync::Arc;

/// What kind of thing a location is, in the words of load results.
pub type ItemType = &'static str;

pub const RULES_CONTENT: ItemType = "rules content";
pub const RULES_CONTENT_ITEM: ItemType = "rules content item";
pub const VALUE_FOR: ItemType = "value for";
pub const EXCEPTIONS: ItemType = "exceptions";
pub const EXCEPTION: ItemType = "exception";
pub const EXCEPTION_VALUES: ItemType = "exception values";
pub const EXCEPTION_VALUE: ItemType = "exception value";
pub const REQUIRED_ENGINE_VERSION: ItemType = "required_engine_version";
pub const REQUIRED_PLUGIN_VERSIONS: ItemType = "required plugin versions";
pub const REQUIRED_PLUGIN_VERSIONS_ENTRY: ItemType = "required plugin versions entry";
pub const REQUIRED_PLUGIN_VERSIONS_ALTERNATIVE: ItemType = "required plugin versions alternative";
pub const LIST: ItemType = "list";
pub const MACRO: ItemType = "macro";
pub const MACRO_CONDITION: ItemType = "macro condition";
pub const RULE: ItemType = "rule";
pub const RULE_CONDITION: ItemType = "rule condition";
pub const CONDITION_EXPRESSION: ItemType = "condition expression";
pub const RULE_OUTPUT: ItemType = "rule output";
pub const RULE_PRIORITY: ItemType = "rule priority";
pub const OVERRIDES: ItemType = "overrides";

/// One level of a context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Location {
    pub item_type: ItemType,
    pub item_name: String,
    /// The file, or the beginning of a condition.
    pub position_name: String,
    pub mark: Mark,
}

impl Location {
    /// What to add to line and column so that they count from 1: places in conditions do so already.
    pub(crate) fn base(&self) -> usize {
        usize::from(self.item_type != CONDITION_EXPRESSION)
    }
}

/// A place in a rules file, outermost level first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Context {
    pub locations: Vec<Location>,
    /// The condition and the byte within it, for places inside conditions.
    condition: Option<(Arc<str>, usize)>,
}

impl Context {
    /// The whole file.
    pub fn file(name: &str) -> Context {
        Context::default().push(RULES_CONTENT, "", name, Mark::default())
    }

    /// A node of the same file, inside this place.
    pub fn child(&self, node: &Node, item_type: ItemType, item_name: &str) -> Context {
        let file = self.locations.first().map_or("", |l| l.position_name.as_str());
        self.clone().push(item_type, item_name, file, node.mark)
    }

    /// The same file at `mark`.
    pub fn at(&self, mark: Mark) -> Context {
        let file = self.locations.first().map_or("", |l| l.position_name.as_str());
        self.clone().push(RULES_CONTENT_ITEM, "", file, mark)
    }

    /// A place inside the condition that starts here.
    pub fn condition(&self, condition: &str, pos: Pos) -> Context {
        let start = self.locations.last().map(|l| l.mark).unwrap_or_default();
        let mark =
            Mark { line: start.line + pos.line, column: start.column + pos.column, offset: start.offset + pos.index };
        let mut context = self.clone().push(CONDITION_EXPRESSION, "", &condition_name(condition), mark);
        context.condition = Some((condition.into(), pos.index));
        context
    }

    fn push(mut self, item_type: ItemType, item_name: &str, position_name: &str, mark: Mark) -> Context {
        self.locations.push(Location {
            item_type,
            item_name: item_name.to_owned(),
            position_name: position_name.to_owned(),
            mark,
        });
        self
    }

    /// One line per level.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (depth, location) in self.locations.iter().enumerate() {
            out.push_str(if depth == 0 { "In " } else { "    " });
            out.push_str(location.item_type);
            if !location.item_name.is_empty() {
                out.push_str(&format!(" '{}'", location.item_name));
            }
            let Mark { line, column, .. } = location.mark;
            out.push_str(&format!(": ({}:{line}:{column})\n", location.position_name));
        }
        out
    }

    /// The line at this place, cut to `width`, and a line with a caret. `contents` are the files by name.
    pub fn snippet(&self, contents: &HashMap<String, Arc<str>>, width: usize) -> String {
        let Some(last) = self.locations.last() else { return "<No context available>\n".to_owned() };
        if let Some((condition, at)) = &self.condition {
            return snippet_of(condition, *at, width);
        }
        match contents.get(&last.position_name) {
            Some(text) if text.is_empty() => "<No context available>\n".to_owned(),
            Some(text) => snippet_of(text, last.mark.offset, width),
            None => format!("<No context for file + {}>\n", last.position_name),
        }
    }
}

/// The condition in quotes, shortened.
fn condition_name(condition: &str) -> String {
    let text: String = condition.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }).collect();
    if text.len() <= 20 {
        return format!("\"{text}\"");
    }
    let mut end = 17;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("\"{}...\"", &text[..end])
}

fn snippet_of(text: &str, offset: usize, width: usize) -> String {
    let bytes = text.as_bytes();
    let mut at = offset.min(bytes.len().saturating_sub(1));
    while at > 0 && bytes.get(at) == Some(&b'\n') {
        at -= 1;
    }
    let line_start = bytes.get(..at).and_then(|b| memchr::memrchr(b'\n', b)).map_or(0, |n| n + 1);
    let line_end = bytes.get(at..).and_then(|b| memchr::memchr(b'\n', b)).map_or(bytes.len(), |n| at + n);
    let start = line_start.max(at.saturating_sub(width / 2));
    let end = line_end.min(at + width / 2).max(start);
    let head = if start > line_start { "..." } else { "" };
    let tail = if end < line_end { "..." } else { "" };
    let line = String::from_utf8_lossy(bytes.get(start..end).unwrap_or_default()).into_owned();
    let caret = " ".repeat(head.len() + (at - start));
    format!("{head}{line}{tail}\n{caret}^\n")
}

/// Characters shown around a place, half of them on each side.
pub const SNIPPET_WIDTH: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_at_the_place() {
        assert_eq!(snippet_of("a\nbcd e\nf", 4, 160), "bcd e\n  ^\n");
        assert_eq!(snippet_of("ab\n", 3, 160), "ab\n ^\n");
        let long = format!("{}X{}", "a".repeat(100), "b".repeat(100));
        let shown = snippet_of(&long, 100, 160);
        assert_eq!(shown, format!("...{}X{}...\n{}^\n", "a".repeat(80), "b".repeat(79), " ".repeat(83)));
    }

    #[test]
    fn conditions_name_themselves() {
        let context =
            Context::file("f.yaml").condition("proc.name = foo\nand bar", Pos { index: 16, line: 2, column: 1 });
        assert_eq!(
            context.text(),
            "In rules content: (f.yaml:0:0)\n    condition expression: (\"proc.name = foo a...\":2:1)\n"
        );
        assert_eq!(context.snippet(&HashMap::new(), SNIPPET_WIDTH), "and bar\n^\n");
        assert_eq!(Context::file("x").snippet(&HashMap::new(), 160), "<No context for file + x>\n");
    }
}
