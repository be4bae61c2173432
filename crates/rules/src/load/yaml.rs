//! YAML text to a tree with positions. Scalars keep their source text; mappings keep their order and repeated keys (the
//! first one counts); aliases share their target. Positions are 0-based and count bytes, as the re-created system's do.

use super::indent::Indented;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};
use std::collections::HashMap;
use std::rc::Rc;

/// A 0-based position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    pub line: usize,
    pub column: usize,
    pub offset: usize,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub mark: Mark,
    pub data: Data,
}

#[derive(Clone, Debug)]
pub enum Data {
    Null,
    Scalar(String),
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<(Rc<Node>, Rc<Node>)>),
}

/// The text is not YAML.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct YamlError {
    pub message: String,
    pub mark: Mark,
}

impl Node {
    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }

    pub fn scalar(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(text) => Some(text),
            _ => None,
        }
    }

    pub fn sequence(&self) -> Option<&[Rc<Node>]> {
        match &self.data {
            Data::Sequence(items) => Some(items),
            _ => None,
        }
    }

    pub fn mapping(&self) -> Option<&[(Rc<Node>, Rc<Node>)]> {
        match &self.data {
            Data::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of the first entry called `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let entries = self.mapping()?;
        entries.iter().find(|(k, _)| k.scalar() == Some(key)).map(|(_, v)| v.as_ref())
    }
}

/// Parses all documents. With an error come the documents before it. Lines that are indented less than the parser asks
/// for are repaired as [`Indented`] says.
pub fn parse(text: &str) -> (Vec<Rc<Node>>, Option<YamlError>) {
    let mut indented = Indented::new(text);
    for _ in 0..MAX_REPAIRS {
        match parse_once(&indented, text, true) {
            Err(Refused::Indentation(at)) if indented.repair(at) => {}
            Err(Refused::Tab(at)) if indented.untab(at) => {}
            Err(_) => break,
            Ok(result) => return result,
        }
    }
    parse_once(&indented, text, false).unwrap_or_default()
}

/// More places than this are not repaired: each costs another parse.
const MAX_REPAIRS: usize = 100;

/// What can be repaired, and the byte in the indented text at which the parser noticed.
enum Refused {
    Indentation(usize),
    Tab(usize),
}

type Parsed = (Vec<Rc<Node>>, Option<YamlError>);

/// `Err` only where `repair` is asked for.
fn parse_once(indented: &Indented<'_>, text: &str, repair: bool) -> Result<Parsed, Refused> {
    let mut builder = Builder { places: Places::new(indented, text), ..Builder::default() };
    let mut parser = Parser::new_from_str(&indented.text);
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => {
                let at = builder.places.indented_byte(error.marker().index());
                if repair && error.info().starts_with("invalid indentation") {
                    return Err(Refused::Indentation(at));
                }
                if repair && error.info().contains("valid YAML whitespace") {
                    return Err(Refused::Tab(at));
                }
                Err(builder.places.translate(&error))
            }
        };
        if let Err(error) = step {
            return Ok((builder.documents, Some(error)));
        }
    }
    Ok((builder.documents, None))
}

#[derive(Default)]
struct Builder<'t> {
    places: Places<'t>,
    documents: Vec<Rc<Node>>,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    /// Where the previous token ended, to find the `|` or `>` of a block scalar.
    previous_end: usize,
}

struct Open {
    mark: Mark,
    anchor: usize,
    children: Vec<Rc<Node>>,
    is_mapping: bool,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let mark = self.places.mark(span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let mark = self.scalar_mark(mark, style);
                let is_null = style == ScalarStyle::Plain && tag.is_none() && is_null_text(&text);
                let data = if is_null { Data::Null } else { Data::Scalar(text.into_owned()) };
                self.place(Node { mark, data }, anchor);
            }
            Event::SequenceStart(anchor, _) => self.open(mark, anchor, false)?,
            Event::MappingStart(anchor, _) => self.open(mark, anchor, true)?,
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, mark)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
        }
        self.previous_end = self.places.byte(span.end.index());
        Ok(())
    }

    /// A block scalar's mark is its indicator.
    fn scalar_mark(&self, mark: Mark, style: ScalarStyle) -> Mark {
        if !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            return mark;
        }
        let between = self.places.text.get(self.previous_end..mark.offset).unwrap_or_default();
        let indicator = between.find(['|', '>']).map(|at| self.places.at(self.previous_end + at));
        indicator.unwrap_or(mark)
    }

    fn open(&mut self, mark: Mark, anchor: usize, is_mapping: bool) -> Result<(), YamlError> {
        self.open.push(Open { mark, anchor, children: Vec::new(), is_mapping });
        if self.open.len() > MAX_DEPTH {
            return Err(YamlError { message: position_text(mark, "nesting is too deep"), mark });
        }
        Ok(())
    }

    fn close(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let data = if open.is_mapping {
            let mut children = open.children.into_iter();
            Data::Mapping(std::iter::from_fn(|| Some((children.next()?, children.next()?))).collect())
        } else {
            Data::Sequence(open.children)
        };
        self.place(Node { mark: open.mark, data }, open.anchor);
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), YamlError> {
        let target = self.anchors.get(&anchor).cloned();
        let unknown = || YamlError { message: position_text(mark, "the referenced anchor is not defined"), mark };
        self.attach(target.ok_or_else(unknown)?);
        Ok(())
    }

    fn place(&mut self, node: Node, anchor: usize) {
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.attach(node);
    }

    fn attach(&mut self, node: Rc<Node>) {
        match self.open.last_mut() {
            Some(open) => open.children.push(node),
            None => self.documents.push(node),
        }
    }
}

/// Character positions of the parser, in the indented text, to byte positions in the text as it was written.
#[derive(Default)]
struct Places<'t> {
    text: &'t str,
    /// Byte index of every character of the indented text; empty when all are one byte.
    bytes: Vec<usize>,
    indented_len: usize,
    added: Vec<(usize, usize)>,
    /// Where lines begin: a line may be as long as the file.
    lines: Vec<usize>,
}

impl<'t> Places<'t> {
    fn new(indented: &Indented<'_>, text: &'t str) -> Self {
        let bytes = if text.is_ascii() { Vec::new() } else { indented.text.char_indices().map(|(at, _)| at).collect() };
        let lines = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1).collect();
        Places { text, bytes, indented_len: indented.text.len(), added: indented.added.clone(), lines }
    }

    fn indented_byte(&self, char_index: usize) -> usize {
        let byte = if self.bytes.is_empty() { Some(char_index) } else { self.bytes.get(char_index).copied() };
        byte.unwrap_or(self.indented_len).min(self.indented_len)
    }

    fn byte(&self, char_index: usize) -> usize {
        let at = self.indented_byte(char_index);
        let added: usize = self.added.iter().filter(|(place, _)| *place < at).map(|(_, count)| count).sum();
        at.saturating_sub(added).min(self.text.len())
    }

    fn mark(&self, marker: Marker) -> Mark {
        let offset = self.byte(marker.index());
        Mark { line: marker.line().saturating_sub(1), column: self.column(offset), offset }
    }

    fn at(&self, offset: usize) -> Mark {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        Mark { line: memchr::memchr_iter(b'\n', before).count(), column: self.column(offset), offset }
    }

    fn column(&self, offset: usize) -> usize {
        let after = self.lines.partition_point(|start| *start <= offset);
        offset - after.checked_sub(1).and_then(|at| self.lines.get(at)).copied().unwrap_or(0)
    }

    /// Renders the parser's error in the words of the re-created system's YAML library, where they are known.
    fn translate(&self, error: &ScanError) -> YamlError {
        let mark = self.mark(*error.marker());
        let known = ERROR_TEXTS.iter().find(|(theirs, _)| error.info().contains(theirs));
        YamlError { message: position_text(mark, known.map_or(error.info(), |(_, text)| text)), mark }
    }
}

fn position_text(mark: Mark, message: &str) -> String {
    format!("yaml-cpp: error at line {}, column {}: {message}", mark.line + 1, mark.column + 1)
}

fn is_null_text(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Reads a boolean in the spellings of YAML 1.1, in lower, Capitalised or UPPER case.
pub fn parse_bool(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let capitalised = text.get(..1).is_some_and(|first| first == first.to_ascii_uppercase())
        && text.get(1..).is_some_and(|rest| rest == rest.to_ascii_lowercase());
    if text != lower && text != text.to_ascii_uppercase() && !capitalised {
        return None;
    }
    match lower.as_str() {
        "y" | "yes" | "true" | "on" => Some(true),
        "n" | "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// Deeper documents are refused: no rules file needs more than eight levels.
const MAX_DEPTH: usize = 200;

/// Fragments of the parser's messages and what users of the re-created system know them as.
const ERROR_TEXTS: &[(&str, &str)] = &[
    ("mapping values are not allowed", "illegal map value"),
    ("mapping keys are not allowed", "illegal map key"),
    ("block sequence entries are not allowed", "illegal block entry"),
    ("did not find expected '-' indicator", "end of sequence not found"),
    ("parsing a block mapping", "end of map not found"),
    ("parsing a flow sequence", "end of sequence flow not found"),
    ("parsing a flow mapping", "end of map flow not found"),
    ("misplaced bracket", "illegal flow end"),
    ("found unknown anchor", "the referenced anchor is not defined"),
    ("unexpected end of stream", "illegal EOF in scalar"),
    ("unexpected document indicator", "illegal document indicator in scalar"),
    ("found unknown escape character", "unknown escape character: "),
    ("expected hexadecimal number", "bad character found while scanning hex number"),
    ("invalid Unicode character escape code", "invalid unicode: "),
    ("unexpected character", "unknown token"),
    ("invalid trailing content", "end of map not found"),
    ("simple key expected", "end of sequence not found"),
    ("indentation indicator equal to 0", "cannot set zero indentation for a block scalar"),
    ("expected alphabetic or numeric character", "alias not found after *"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_positions_and_source_text() {
        let text = "- rule: é\n  cond: >\n    a and\n    b\n  items: [1, 0x10, \"\", ~]\n- &a {x: yes}\n- *a\n";
        let (documents, error) = parse(text);
        assert_eq!(error, None);
        let items = documents[0].sequence().expect("a sequence");
        assert_eq!(items[0].mark, Mark { line: 0, column: 2, offset: 2 });
        let cond = items[0].get("cond").expect("cond");
        assert_eq!((cond.scalar(), cond.mark), (Some("a and b\n"), Mark { line: 1, column: 8, offset: 19 }));
        let list = items[0].get("items").and_then(Node::sequence).expect("items");
        assert_eq!(list.iter().map(|n| n.scalar()).collect::<Vec<_>>(), [Some("1"), Some("0x10"), Some(""), None]);
        assert_eq!(items[2].mark, items[1].mark);
        assert_eq!(items[2].get("x").and_then(Node::scalar), Some("yes"));
    }

    #[test]
    fn names_errors_as_users_know_them() {
        let message = |text: &str| parse(text).1.map(|e| e.message).unwrap_or_default();
        assert_eq!(message("this : is : not : yaml"), "yaml-cpp: error at line 1, column 11: illegal map value");
        assert!(message("a: [b").ends_with("end of sequence flow not found"));
        assert!(message("a: *b").ends_with("the referenced anchor is not defined"));
        assert!(message(&"[".repeat(10_000)).contains("error at line 1"));
        assert!(message(&"- ".repeat(10_000)).contains("nesting is too deep"));
    }

    #[test]
    fn quoted_and_bracketed_lines_need_no_indentation() {
        let text = "- a: \"x\n  y\n\n  'é\n  z\"\n  b: 'p\nq''\n\n r'\n  c: [1,\n# ]\n2, 'y]', don't\n]\n  d: {e: [\n  f], g:\n  h}\n- last: here\n";
        let (documents, error) = parse(text);
        assert_eq!(error, None);
        let items = documents[0].sequence().expect("a sequence");
        assert_eq!(items[0].get("a").and_then(Node::scalar), Some("x y\n'é z"));
        assert_eq!(items[0].get("b").and_then(Node::scalar), Some("p q'\nr"));
        let last = items[1].get("last").expect("last");
        assert_eq!(last.mark.offset, text.find("here").expect("here"));
        assert_eq!((last.mark.line, last.mark.column), (16, 8));
        assert!(parse("- a: [b\nc: d\n").1.is_some_and(|e| e.message.contains("line")));
    }

    #[test]
    fn tabs_stand_between_keys_and_values() {
        let text = "- rule:\tr\n  é: \t two\twords\n  c:\t>\n    a:\tb\n";
        let (documents, error) = parse(text);
        assert_eq!(error, None);
        let item = &documents[0].sequence().expect("a sequence")[0];
        let value = |key: &str| item.get(key).and_then(Node::scalar);
        assert_eq!((value("rule"), value("é"), value("c")), (Some("r"), Some("two\twords"), Some("a:\tb\n")));
        assert_eq!(item.get("é").map(|n| n.mark.offset), text.find("two"));
        assert!(parse("a\n\tb: c\n").1.is_some(), "a tab does not indent");
    }

    #[test]
    fn first_of_repeated_keys_counts() {
        let (documents, _) = parse("{a: 1, a: 2}");
        assert_eq!(documents[0].get("a").and_then(Node::scalar), Some("1"));
    }

    #[test]
    fn booleans_have_eight_spellings() {
        for (text, expected) in [
            ("yes", Some(true)),
            ("On", Some(true)),
            ("FALSE", Some(false)),
            ("n", Some(false)),
            ("tRue", None),
            ("1", None),
        ] {
            assert_eq!(parse_bool(text), expected, "{text}");
        }
    }
}
