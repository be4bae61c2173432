//! The shape of rules files as one table, from which both the published JSON schema and the validation come. Typing is
//! weak: a scalar fits every type that its text can be read as. Problems are reported; they never stop loading.

use super::yaml::{Data, Node, parse_bool};
use serde_json::{Map, Value, json};
use std::fmt;

/// Whether the documents of a file have the right shape.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum SchemaStatus {
    /// Nothing was validated: the file is empty or no YAML.
    #[default]
    None,
    Ok,
    /// Every problem, innermost first.
    Failed(Vec<String>),
}

impl SchemaStatus {
    pub fn problems(&self) -> &[String] {
        match self {
            SchemaStatus::Failed(problems) => problems,
            SchemaStatus::None | SchemaStatus::Ok => &[],
        }
    }

    /// Validates one more document of the same file.
    pub fn add(&mut self, document: &Node) {
        let mut problems = Vec::new();
        validate(&FILE, document, "<root>", &mut problems);
        match self {
            SchemaStatus::Failed(all) => all.append(&mut problems),
            _ if problems.is_empty() => *self = SchemaStatus::Ok,
            _ => *self = SchemaStatus::Failed(problems),
        }
    }
}

impl fmt::Display for SchemaStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SchemaStatus::None => f.write_str("none"),
            SchemaStatus::Ok => f.write_str("ok"),
            SchemaStatus::Failed(problems) => {
                write!(f, "failed for {}", problems.first().map_or("<root>", String::as_str))
            }
        }
    }
}

/// What a value may look like.
enum Shape {
    Text,
    Integer,
    Boolean,
    /// One of these words, as they are spelled.
    Word(&'static [&'static str]),
    AnyOf(&'static [Shape]),
    List(&'static Shape),
    Object {
        properties: &'static [(&'static str, Shape)],
        required: &'static [&'static str],
        at_least_one: bool,
    },
}

const OPERATION: Shape = Shape::Word(&["append", "replace"]);
const TEXT_OR_INTEGER: Shape = Shape::AnyOf(&[Shape::Integer, Shape::Text]);
const CELL: Shape = Shape::AnyOf(&[Shape::Text, Shape::List(&Shape::AnyOf(&[Shape::Text, Shape::List(&Shape::Text)]))]);
const TEXT_OR_TEXTS: Shape = Shape::AnyOf(&[Shape::Text, Shape::List(&Shape::Text)]);

const PRIORITY: Shape =
    Shape::Word(&["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "INFORMATIONAL", "DEBUG"]);

const EXCEPTION: Shape = Shape::Object {
    properties: &[
        ("name", Shape::Text),
        ("fields", TEXT_OR_TEXTS),
        ("comps", TEXT_OR_TEXTS),
        ("values", Shape::List(&CELL)),
    ],
    required: &["name"],
    at_least_one: false,
};

const OVERRIDE: Shape = Shape::Object {
    properties: &[
        ("append", OPERATION),
        ("capture", OPERATION),
        ("capture_duration", OPERATION),
        ("condition", OPERATION),
        ("desc", OPERATION),
        ("enabled", OPERATION),
        ("exceptions", OPERATION),
        ("items", OPERATION),
        ("output", OPERATION),
        ("priority", OPERATION),
        ("skip-if-unknown-filter", OPERATION),
        ("tags", OPERATION),
        ("warn_evttypes", OPERATION),
    ],
    required: &[],
    at_least_one: true,
};

const ALTERNATIVE: Shape = Shape::Object {
    properties: &[("name", Shape::Text), ("version", Shape::Text)],
    required: &["name", "version"],
    at_least_one: false,
};

const REQUIREMENT: Shape = Shape::Object {
    properties: &[("alternatives", Shape::List(&ALTERNATIVE)), ("name", Shape::Text), ("version", Shape::Text)],
    required: &["name", "version"],
    at_least_one: false,
};

const ELEMENT: Shape = Shape::Object {
    properties: &[
        ("append", Shape::Boolean),
        ("capture", Shape::Boolean),
        ("capture_duration", Shape::Integer),
        ("condition", Shape::Text),
        ("desc", Shape::Text),
        ("enabled", Shape::Boolean),
        ("exceptions", Shape::List(&EXCEPTION)),
        ("items", Shape::List(&TEXT_OR_INTEGER)),
        ("list", Shape::Text),
        ("macro", Shape::Text),
        ("output", Shape::Text),
        ("override", OVERRIDE),
        ("priority", PRIORITY),
        ("required_engine_version", TEXT_OR_INTEGER),
        ("required_plugin_versions", Shape::List(&REQUIREMENT)),
        ("rule", Shape::Text),
        ("skip-if-unknown-filter", Shape::Boolean),
        ("source", Shape::Text),
        ("tags", Shape::List(&Shape::Text)),
        ("warn_evttypes", Shape::Boolean),
    ],
    required: &[],
    at_least_one: false,
};

const FILE: Shape = Shape::List(&ELEMENT);

/// Returns whether `node` fits; appends what does not, innermost first.
fn validate(shape: &Shape, node: &Node, path: &str, problems: &mut Vec<String>) -> bool {
    let mut say = |problem: &str| {
        problems.push(format!("{path}: {problem}"));
        false
    };
    match shape {
        Shape::Text => node.scalar().is_some() || say(WRONG_TYPE),
        Shape::Integer => node.scalar().is_some_and(|t| t.parse::<i64>().is_ok()) || say(WRONG_TYPE),
        Shape::Boolean => node.scalar().and_then(parse_bool).is_some() || say(WRONG_TYPE),
        Shape::Word(words) => match node.scalar() {
            Some(text) => words.contains(&text) || say("Failed to match against any enum values."),
            None => say(WRONG_TYPE),
        },
        Shape::AnyOf(shapes) => {
            let fits = shapes.iter().any(|s| validate(s, node, path, &mut Vec::new()));
            fits || say("Failed to validate against any child schemas allowed by anyOf constraint.")
        }
        Shape::List(item) => validate_list(item, node, path, problems),
        Shape::Object { .. } => validate_object(shape, node, path, problems),
    }
}

fn validate_list(item: &Shape, node: &Node, path: &str, problems: &mut Vec<String>) -> bool {
    let Some(items) = node.sequence() else {
        problems.push(format!("{path}: {WRONG_TYPE}"));
        return false;
    };
    let mut fits = true;
    for (index, node) in items.iter().enumerate() {
        if !validate(item, node, &format!("{path}[{index}]"), problems) {
            problems.push(format!("{path}: Failed to validate item #{index} in array."));
            fits = false;
        }
    }
    fits
}

fn validate_object(shape: &Shape, node: &Node, path: &str, problems: &mut Vec<String>) -> bool {
    let (Shape::Object { properties, required, at_least_one }, Data::Mapping(entries)) = (shape, &node.data) else {
        problems.push(format!("{path}: {WRONG_TYPE}"));
        return false;
    };
    let before = problems.len();
    for name in required.iter().filter(|name| node.get(name).is_none()) {
        problems.push(format!("{path}: Missing required property '{name}'."));
    }
    if *at_least_one && entries.is_empty() {
        problems.push(format!("{path}: Object should have no fewer than 1 properties."));
    }
    for (key, value) in entries {
        validate_property(properties, key, value, path, problems);
    }
    problems.len() == before
}

fn validate_property(properties: &[(&str, Shape)], key: &Node, value: &Node, path: &str, problems: &mut Vec<String>) {
    let name = key.scalar().unwrap_or_default();
    match properties.iter().find(|(n, _)| *n == name) {
        Some((_, shape)) => {
            if !validate(shape, value, &format!("{path}[{name}]"), problems) {
                problems
                    .push(format!("{path}: Failed to validate against schema associated with property name '{name}'."));
            }
        }
        None => problems.push(format!(
            "{path}: Object contains a property that could not be validated using 'properties' or \
             'additionalProperties' constraints: '{name}'."
        )),
    }
}

const WRONG_TYPE: &str = "Value type not permitted by 'type' constraint.";

/// The JSON schema of rules files (draft 6): what `--rule-schema` prints.
pub fn schema() -> Value {
    let mut out = to_schema(&FILE);
    out["$schema"] = json!("http://json-schema.org/draft-06/schema#");
    out
}

fn to_schema(shape: &Shape) -> Value {
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Integer => json!({ "type": "integer" }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Word(words) => json!({ "type": "string", "enum": words }),
        Shape::AnyOf(shapes) => json!({ "anyOf": shapes.iter().map(to_schema).collect::<Vec<_>>() }),
        Shape::List(item) => json!({ "type": "array", "items": to_schema(item) }),
        Shape::Object { properties, required, at_least_one } => {
            let properties: Map<String, Value> =
                properties.iter().map(|(name, shape)| ((*name).to_owned(), to_schema(shape))).collect();
            let mut out = json!({ "type": "object", "additionalProperties": false, "properties": properties });
            if !required.is_empty() {
                out["required"] = json!(required);
            }
            if *at_least_one {
                out["minProperties"] = json!(1);
            }
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::yaml::parse;

    fn status(text: &str) -> SchemaStatus {
        let mut status = SchemaStatus::default();
        parse(text).0.iter().for_each(|d| status.add(d));
        status
    }

    #[test]
    fn finds_every_problem_without_stopping() {
        assert_eq!(status(""), SchemaStatus::None);
        assert_eq!(status("- list: a\n  items: [1, b]\n").to_string(), "ok");
        let priority = status("- rule: a\n  priority: warning\n");
        assert_eq!(priority.to_string(), "failed for <root>[0][priority]: Failed to match against any enum values.");
        assert_eq!(priority.problems().len(), 3);
        for bad in ["foo", "- foo", "- macro:\n", "- rule: a\n  x: 1\n", "- {rule: a, override: {}}", "a: b"] {
            assert!(matches!(status(bad), SchemaStatus::Failed(_)), "{bad}");
        }
    }

    #[test]
    fn the_schema_closes_its_objects() {
        let schema = schema();
        assert_eq!(schema["items"]["additionalProperties"], json!(false));
        assert_eq!(schema["items"]["properties"]["override"]["minProperties"], json!(1));
    }
}
