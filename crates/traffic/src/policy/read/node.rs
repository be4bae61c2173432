//! A YAML node with its place, and typed getters that note a problem instead of failing: the caller goes on and all
//! problems are reported together. `yes`/`no`/`on`/`off` count as booleans. Nothing panics on any text.

use super::Sets;
use crate::policy::Verdict;
use diag::{Finding, Severity, Span};
use ipnet::IpNet;
use saphyr::{MarkedYaml, Scalar, YamlData};
use std::cell::RefCell;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Collects problems of one file.
pub struct Problems<'a> {
    file: &'a str,
    text: &'a str,
    found: RefCell<Vec<Finding>>,
}

impl<'a> Problems<'a> {
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Problems { file, text, found: RefCell::default() }
    }

    /// A problem of the file as a whole.
    pub fn general(&self, id: &str, text: &str, help: &str) {
        let finding = Finding::new(Severity::Error, id, format!("`{}`", self.file), text).help(help);
        self.found.borrow_mut().push(finding);
    }

    pub fn into_findings(self) -> Vec<Finding> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|f| f.span.as_ref().map_or(0, |s| s.offset));
        found
    }

    fn add(&self, span: &saphyr_parser::Span, path: &str, (id, text, help): (&str, &str, &str)) {
        let start = span.start;
        let offset = self.text.char_indices().nth(start.index()).map_or(self.text.len(), |(at, _)| at);
        let place = Span {
            file: self.file.to_owned(),
            line: u32::try_from(start.line()).unwrap_or(u32::MAX),
            column: u32::try_from(start.col() + 1).unwrap_or(u32::MAX),
            offset,
            len: span.len(),
        };
        let finding = Finding::new(Severity::Error, id, path, text).help(help).at(place);
        self.found.borrow_mut().push(finding);
    }
}

/// A node, its path from the top (`rules[2].port`) and where problems go.
pub struct Node<'a> {
    yaml: &'a MarkedYaml<'a>,
    path: String,
    problems: &'a Problems<'a>,
}

impl<'a> Node<'a> {
    pub fn root(yaml: &'a MarkedYaml<'a>, problems: &'a Problems<'a>) -> Self {
        Node { yaml, path: String::new(), problems }
    }

    pub fn problem(&self, id: &str, text: &str, help: &str) {
        let path = if self.path.is_empty() { "policy" } else { &self.path };
        self.problems.add(&self.yaml.span, &format!("`{path}`"), (id, text, help));
    }

    /// A problem of the value under `key`, or of this node when there is none.
    pub fn problem_at(&self, key: &str, id: &str, text: &str, help: &str) {
        match self.get(key) {
            Some(child) => child.problem(id, text, help),
            None => self.problem(id, text, help),
        }
    }

    /// Checks that this is a mapping with these keys only.
    pub fn mapping(&self, keys: &[&str]) -> Option<()> {
        let YamlData::Mapping(mapping) = &self.yaml.data else {
            self.problem(
                "not-a-mapping",
                "a mapping is wanted here",
                &format!("write `key: value` with {}", keys.join(", ")),
            );
            return None;
        };
        for (key, _) in mapping {
            let name = scalar_text(key).unwrap_or_default();
            if !keys.contains(&name.as_str()) {
                let here = Node { yaml: key, path: self.join(&name), problems: self.problems };
                here.problem("unknown-key", &format!("unknown key `{name}`"), &nearest(&name, keys));
            }
        }
        Some(())
    }

    pub fn is_mapping(&self) -> bool {
        matches!(self.yaml.data, YamlData::Mapping(_))
    }

    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        let YamlData::Mapping(mapping) = &self.yaml.data else { return None };
        let (_, value) = mapping.iter().find(|(k, _)| scalar_text(k).as_deref() == Some(key))?;
        Some(Node { yaml: value, path: self.join(key), problems: self.problems })
    }

    /// Keys and values of a mapping; anything else is a problem.
    pub fn entries(&self) -> Vec<(String, Node<'a>)> {
        let YamlData::Mapping(mapping) = &self.yaml.data else {
            self.problem("not-a-mapping", "a mapping is wanted here", "write `name: [CIDR, ...]`");
            return Vec::new();
        };
        let entry = |(key, value): (&MarkedYaml<'_>, &'a MarkedYaml<'a>)| {
            let name = scalar_text(key)?;
            let node = Node { yaml: value, path: self.join(&name), problems: self.problems };
            Some((name, node))
        };
        mapping.iter().filter_map(entry).collect()
    }

    /// The items of a list; a single value counts as a list of one.
    pub fn items(&self) -> Vec<Node<'a>> {
        match &self.yaml.data {
            YamlData::Sequence(items) => {
                let item = |(at, yaml)| Node { yaml, path: format!("{}[{at}]", self.path), problems: self.problems };
                items.iter().enumerate().map(item).collect()
            }
            _ => vec![Node { yaml: self.yaml, path: self.path.clone(), problems: self.problems }],
        }
    }

    /// The items of the list under `key`; something else than a list is a problem, absence is none.
    pub fn list(&self, key: &str) -> Vec<Node<'a>> {
        let Some(node) = self.get(key) else { return Vec::new() };
        if !matches!(node.yaml.data, YamlData::Sequence(_)) {
            node.problem("not-a-list", "a list is wanted here", "begin each entry with `- `");
            return Vec::new();
        }
        node.items()
    }

    pub fn as_text(&self) -> Option<String> {
        scalar_text(self.yaml)
    }

    pub fn text(&self, key: &str) -> Option<String> {
        let node = self.get(key)?;
        let text = node.as_text();
        if text.is_none() {
            node.problem("not-a-word", "a single word is wanted here", "write one value, without a list or mapping");
        }
        text
    }

    pub fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        self.get(key)?.one_of(choices)
    }

    pub fn one_of<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.as_text().unwrap_or_default();
        let found = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.problem(
                "bad-choice",
                &format!("`{text}` is not possible here"),
                &format!("use one of {}", words.join(", ")),
            );
        }
        found
    }

    pub fn verdict(&self, key: &str) -> Option<Verdict> {
        self.choice(key, &[("allow", Verdict::Allow), ("deny", Verdict::Deny)])
    }

    pub fn boolean(&self, key: &str) -> Option<bool> {
        self.choice(
            key,
            &[("true", true), ("false", false), ("yes", true), ("no", false), ("on", true), ("off", false)],
        )
    }

    pub fn number(&self, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let node = self.get(key)?;
        let number = node.as_text().and_then(|t| t.parse().ok()).filter(|n| range.contains(n));
        if number.is_none() {
            node.problem(
                "bad-number",
                "not a number that is possible here",
                &format!("use {}..{}", range.start(), range.end()),
            );
        }
        number
    }

    /// Addresses, CIDRs and names of sets, single or as a list.
    pub fn nets(&self, sets: &Sets) -> Vec<IpNet> {
        let mut nets = Vec::new();
        for item in self.items() {
            let text = item.as_text().unwrap_or_default();
            match (net(&text), sets.get(&text)) {
                (Some(net), _) => nets.push(net),
                (None, Some(set)) => nets.extend(set),
                (None, None) => {
                    let help = "write for example 10.0.0.0/8, 2001:db8::1 or the name of a set under `sets:`";
                    item.problem("bad-cidr", &format!("`{text}` is no address, no CIDR and no set"), help);
                }
            }
        }
        nets
    }

    fn join(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// An address or a CIDR; host bits are cut off.
pub fn net(text: &str) -> Option<IpNet> {
    let net = text.parse::<IpNet>().ok().map(|n| n.trunc());
    net.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn scalar_text(yaml: &MarkedYaml<'_>) -> Option<String> {
    match &yaml.data {
        YamlData::Value(Scalar::String(text)) => Some(text.to_string()),
        YamlData::Value(Scalar::Integer(number)) => Some(number.to_string()),
        YamlData::Value(Scalar::Boolean(value)) => Some(value.to_string()),
        YamlData::Value(Scalar::FloatingPoint(number)) => Some(number.to_string()),
        YamlData::Representation(text, ..) => Some(text.to_string()),
        _ => None,
    }
}

fn nearest(name: &str, keys: &[&str]) -> String {
    let close = keys.iter().find(|k| {
        k.starts_with(name) || name.starts_with(**k) || k.trim_end_matches('s') == name.trim_end_matches('s')
    });
    match close {
        Some(key) if !name.is_empty() => format!("did you mean `{key}`?"),
        _ => format!("known keys: {}", keys.join(", ")),
    }
}
