//! Configuration text as a tree with places: YAML comes in, [`Node`]s that remember file, line and column go out. Scalars
//! stay text, because their type is decided by whoever reads them. Depth, size and alias expansion are bounded; nothing
//! here recurses on input and nothing panics.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span as YamlSpan};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A value with the place it was written at.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub data: Data,
    pub place: Place,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Null,
    /// Text as written, without quotes.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the text; of equal keys the first one counts.
    Map(Vec<(String, Node)>),
}

/// Where a node was written: 1-based line and column of a file, or an option of the command line (line 0).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Place {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// Why text is not a configuration tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ParseError {
    pub place: Place,
    pub reason: String,
}

impl Node {
    /// Reads the first document of `text`. Empty text is a null node.
    ///
    /// # Errors
    /// The text is not YAML, is nested deeper than 64 levels or expands to more than 100,000 nodes.
    pub fn parse(file: &str, text: &str) -> Result<Node, ParseError> {
        let file: Arc<str> = Arc::from(file);
        let mut builder = Builder::new(file.clone());
        for item in Parser::new_from_str(text) {
            let (event, span) = item.map_err(|error| syntax(&file, &error))?;
            if matches!(event, Event::DocumentEnd) {
                break;
            }
            builder.take(event, span)?;
        }
        Ok(builder.root.unwrap_or(Node { data: Data::Null, place: Place { file, line: 1, column: 1 } }))
    }

    pub fn scalar(text: impl Into<String>, place: Place) -> Node {
        Node { data: Data::Scalar(text.into()), place }
    }

    /// The value of `key` in a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.data {
            Data::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The node at a dotted path of map keys.
    pub fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, key| node.get(key))
    }

    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list; a single scalar counts as a list of one, anything else as none.
    pub fn elements(&self) -> &[Node] {
        match &self.data {
            Data::List(items) => items,
            Data::Scalar(_) => std::slice::from_ref(self),
            _ => &[],
        }
    }

    pub fn entries(&self) -> &[(String, Node)] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Sets `key` of a map, in place when it exists. A node that is no map becomes one.
    pub fn set(&mut self, key: &str, value: Node) {
        if !matches!(self.data, Data::Map(_)) {
            self.data = Data::Map(Vec::new());
        }
        if let Data::Map(entries) = &mut self.data {
            match entries.iter_mut().find(|(name, _)| name == key) {
                Some((_, old)) => *old = value,
                None => entries.push((key.to_owned(), value)),
            }
        }
    }

    /// Applies `change` to every scalar below this node. Depth is bounded by parsing.
    pub fn for_each_scalar(&mut self, change: &mut impl FnMut(&mut String)) {
        match &mut self.data {
            Data::Null => {}
            Data::Scalar(text) => change(text),
            Data::List(items) => items.iter_mut().for_each(|node| node.for_each_scalar(change)),
            Data::Map(entries) => entries.iter_mut().for_each(|(_, node)| node.for_each_scalar(change)),
        }
    }

    /// How many nodes there are, this one included.
    fn count(&self) -> usize {
        match &self.data {
            Data::List(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            Data::Map(entries) => 1 + entries.iter().map(|(_, node)| node.count()).sum::<usize>(),
            _ => 1,
        }
    }

    /// As JSON: scalars that read as bool, number or null become one, as YAML's core schema has it.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.data {
            Data::Null => serde_json::Value::Null,
            Data::Scalar(text) => scalar_to_json(text),
            Data::List(items) => items.iter().map(Node::to_json).collect(),
            Data::Map(entries) => entries.iter().map(|(key, node)| (key.clone(), node.to_json())).collect(),
        }
    }
}

fn scalar_to_json(text: &str) -> serde_json::Value {
    match text {
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => text
            .parse::<i64>()
            .map(Into::into)
            .or_else(|_| text.parse::<f64>().map(Into::into))
            .unwrap_or_else(|_| text.into()),
    }
}

/// Turns parser events into a tree, with a stack of open containers.
struct Builder {
    file: Arc<str>,
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<String>,
}

impl Builder {
    fn new(file: Arc<str>) -> Self {
        Builder { file, root: None, open: Vec::new(), anchors: HashMap::new(), nodes: 0 }
    }

    fn take(&mut self, event: Event<'_>, span: YamlSpan) -> Result<(), ParseError> {
        let place = self.place(span);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let node = Node { data: scalar_data(&text, style), place };
                self.finish(node, anchor)
            }
            Event::SequenceStart(anchor, _) => self.push(Data::List(Vec::new()), anchor, place),
            Event::MappingStart(anchor, _) => self.push(Data::Map(Vec::new()), anchor, place),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(done) => self.finish(done.node, done.anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| self.error(&place, "alias of an unknown or unfinished anchor"))?;
                self.nodes += node.count();
                self.finish(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn push(&mut self, data: Data, anchor: usize, place: Place) -> Result<(), ParseError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.error(&place, "nested deeper than 64 levels"));
        }
        self.open.push(Open { node: Node { data, place }, anchor, key: None });
        Ok(())
    }

    /// Places a finished node into its container.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), ParseError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.error(&node.place, "more than 100000 values (aliases count each time)"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root.get_or_insert(node);
            return Ok(());
        };
        match (&mut parent.node.data, parent.key.take()) {
            (Data::List(items), _) => items.push(node),
            (Data::Map(entries), Some(key)) => entries.push((key, node)),
            (Data::Map(_), None) => match node.data {
                Data::Scalar(key) => parent.key = Some(key),
                Data::Null => parent.key = Some(String::new()),
                _ => return Err(self.error(&node.place, "a key must be a scalar")),
            },
            _ => {}
        }
        Ok(())
    }

    fn place(&self, span: YamlSpan) -> Place {
        place_of(&self.file, span.start.line(), span.start.col())
    }

    fn error(&self, place: &Place, reason: &str) -> ParseError {
        ParseError { place: place.clone(), reason: reason.to_owned() }
    }
}

fn scalar_data(text: &str, style: ScalarStyle) -> Data {
    let plain = style == ScalarStyle::Plain;
    match text {
        "" | "~" | "null" | "Null" | "NULL" if plain => Data::Null,
        _ => Data::Scalar(text.to_owned()),
    }
}

fn syntax(file: &Arc<str>, error: &ScanError) -> ParseError {
    let place = place_of(file, error.marker().line(), error.marker().col());
    ParseError { place, reason: format!("not valid YAML: {}", error.info()) }
}

fn place_of(file: &Arc<str>, line: usize, column: usize) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { file: file.clone(), line: number(line), column: number(column.saturating_add(1)) }
}

const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_places_and_keeps_text() {
        let node = Node::parse("f.yaml", "a: 1\nb:\n  c: [yes, '0x10', ~]\n").unwrap();
        let list = node.at("b.c").unwrap();
        assert_eq!(list.place.to_string(), "f.yaml:3:6");
        assert_eq!(list.elements()[1].text(), Some("0x10"));
        assert_eq!(list.elements()[2].data, Data::Null);
    }

    #[test]
    fn the_first_of_equal_keys_counts() {
        assert_eq!(Node::parse("f", "a: 1\na: 2\n").unwrap().at("a").and_then(Node::text), Some("1"));
    }

    #[test]
    fn hostile_text_is_refused_with_a_place() {
        let deep = "[".repeat(100);
        assert!(Node::parse("f", &deep).is_err());
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let refs = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
        }
        assert!(Node::parse("f", &bomb).is_err_and(|e| e.reason.contains("aliases")), "bounded expansion");
        let error = Node::parse("f.yaml", "a: [1, 2\nb: 3\n").unwrap_err();
        assert!(error.to_string().starts_with("f.yaml:"), "{error}");
    }
}
