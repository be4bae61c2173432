//! Reads the elements of one file into the collector. The first fault ends the file.

use super::collector::{Collector, Known};
use super::context::{
    Context, LIST, MACRO, MACRO_CONDITION, REQUIRED_ENGINE_VERSION, REQUIRED_PLUGIN_VERSIONS,
    REQUIRED_PLUGIN_VERSIONS_ALTERNATIVE, REQUIRED_PLUGIN_VERSIONS_ENTRY, RULE, RULE_CONDITION, RULE_OUTPUT,
    RULE_PRIORITY, RULES_CONTENT_ITEM,
};
use super::decode::{Element, Overrides, whole_number};
use super::exceptions;
use super::fault::{Fault, Outcome, Report};
use super::item::{ListItem, MacroItem, Order, Requirement, RuleItem, RuleUpdate};
use super::report::WarningCode;
use super::yaml::Node;
use crate::load::Setup;
use crate::ruleset::Priority;
use crate::version::Version;
use std::collections::BTreeSet;

/// Reads documents of one file.
pub struct Reader<'r, 'l> {
    pub setup: &'r Setup,
    pub collector: &'r mut Collector,
    pub report: &'r mut Report<'l>,
}

impl Reader<'_, '_> {
    /// One document: a sequence of elements, or nothing.
    pub fn document(&mut self, node: &Node, file: &Context) -> Outcome<()> {
        if node.is_null() {
            return Ok(());
        }
        if node.scalar().is_some() {
            return Fault::structure("Rules content is not yaml", file);
        }
        let Some(items) = node.sequence() else {
            return Fault::structure("Rules content is not yaml array of objects", file);
        };
        items.iter().filter(|item| !item.is_null()).try_for_each(|item| self.item(item, file))
    }

    fn item(&mut self, node: &Node, file: &Context) -> Outcome<()> {
        let context = file.child(node, RULES_CONTENT_ITEM, "");
        if node.mapping().is_none() {
            let message = "Unexpected element type. Each element should be a yaml associative array.";
            return Fault::structure(message, &context);
        }
        let kinds: &[(&str, &[&str])] = &[
            ("required_engine_version", &["required_engine_version"]),
            ("required_plugin_versions", &["required_plugin_versions"]),
            ("list", LIST_KEYS),
            ("macro", MACRO_KEYS),
            ("rule", RULE_KEYS),
        ];
        let Some((kind, keys)) = kinds.iter().find(|(kind, _)| node.get(kind).is_some()) else {
            self.report.warn(WarningCode::UnknownItem, "Unknown top level item", &context);
            return Ok(());
        };
        let context = match *kind {
            "required_engine_version" => self.engine_version(node, file)?,
            "required_plugin_versions" => self.plugin_versions(node, file)?,
            "list" => self.list(node, file)?,
            "macro" => self.macro_(node, file)?,
            _ => self.rule(node, file)?,
        };
        self.unknown_keys(node, keys, &context);
        Ok(())
    }

    fn unknown_keys(&mut self, node: &Node, keys: &[&str], context: &Context) {
        for (key, _) in node.mapping().unwrap_or_default() {
            let name = key.scalar().unwrap_or_default();
            if !keys.contains(&name) {
                let message = format!("Unknown key '{name}'. The key will be ignored.");
                self.report.warn(WarningCode::UnknownKey, message, context);
            }
        }
    }

    fn engine_version(&mut self, node: &Node, file: &Context) -> Outcome<Context> {
        let context = file.child(node, REQUIRED_ENGINE_VERSION, "");
        let text = Element { node, context: &context }.text("required_engine_version")?;
        let version = match whole_number(text) {
            Some(minor) => Version::new(0, minor.into(), 0),
            None => match text.parse() {
                Ok(version) => version,
                Err(_) => {
                    let message = format!(
                        "Unable to parse engine version '{text}' as a semver string. Expected \"x.y.z\" semver format."
                    );
                    return Fault::structure(message, &context);
                }
            },
        };
        let engine = self.setup.engine_version;
        if !engine.serves(version) {
            let message = format!("Rules require engine version {version}, but engine version is {engine}");
            return Fault::objects(message, &context);
        }
        let largest = &mut self.collector.required_engine_version;
        *largest = Some(largest.map_or(version, |v| v.max(version)));
        Ok(context)
    }

    fn plugin_versions(&mut self, node: &Node, file: &Context) -> Outcome<Context> {
        let value = node.get("required_plugin_versions").unwrap_or(node);
        let context = file.child(value, REQUIRED_PLUGIN_VERSIONS, "");
        let Some(entries) = value.sequence() else {
            return Fault::structure("Value of required_plugin_versions must be a sequence", &context);
        };
        for entry in entries {
            let requirement = requirement(entry, &context)?;
            self.collector.requirements.push(requirement);
        }
        Ok(file.child(node, REQUIRED_PLUGIN_VERSIONS, ""))
    }

    fn list(&mut self, node: &Node, file: &Context) -> Outcome<Context> {
        let unnamed = file.child(node, LIST, "");
        let name = Element { node, context: &unnamed }.text("list")?;
        let context = file.child(node, LIST, name);
        let element = Element { node, context: &context };
        if !is_list_name(name) {
            let message =
                "List has an invalid name. List names should match a regular expression: [^()\"'[:space:]=,]+";
            self.report.warn(WarningCode::InvalidListName, message, &context);
        }
        let (append, overrides) = element.overrides(&["items"], &["items"])?;
        let Some(items) = element.optional_texts("items")? else {
            return Fault::structure("Item has no mapping for key 'items'", &context);
        };
        self.warn_append(append, &context);
        if append || overrides.append.contains("items") {
            self.collector.append_list(name, items, &context)?;
        } else {
            let order = Order::default();
            self.collector.define_list(ListItem { name: name.to_owned(), items, context: context.clone(), order });
        }
        Ok(context)
    }

    fn macro_(&mut self, node: &Node, file: &Context) -> Outcome<Context> {
        let unnamed = file.child(node, MACRO, "");
        let name = Element { node, context: &unnamed }.text("macro")?;
        let context = file.child(node, MACRO, name);
        let element = Element { node, context: &context };
        if !is_macro_name(name) {
            let message =
                "Macro has an invalid name. Macro names should match a regular expression: [a-zA-Z]+[a-zA-Z0-9_]*";
            self.report.warn(WarningCode::InvalidMacroName, message, &context);
        }
        let (append, overrides) = element.overrides(&["condition"], &["condition"])?;
        let condition = element.text("condition")?.to_owned();
        self.warn_append(append, &context);
        if append || overrides.append.contains("condition") {
            self.collector.append_macro(name, &condition, &context)?;
        } else {
            let condition_context = key_context(element, "condition", MACRO_CONDITION);
            self.collector.define_macro(MacroItem {
                name: name.to_owned(),
                condition,
                context: context.clone(),
                condition_context,
                order: Order::default(),
            });
        }
        Ok(context)
    }

    fn rule(&mut self, node: &Node, file: &Context) -> Outcome<Context> {
        let unnamed = file.child(node, RULE, "");
        let name = Element { node, context: &unnamed }.text("rule")?;
        let context = file.child(node, RULE, name);
        let element = Element { node, context: &context };
        let (append, overrides) = element.overrides(RULE_APPENDABLE, RULE_REPLACEABLE)?;
        self.warn_append(append, &context);
        if !overrides.is_empty() {
            self.override_rule(name, element, &overrides)?;
        } else if append {
            self.append_rule(name, element)?;
        } else if ["condition", "output", "desc", "priority"].iter().any(|key| element.has(key)) {
            self.define_rule(name, element)?;
        } else {
            self.enable_rule(name, element)?;
        }
        Ok(context)
    }

    fn warn_append(&mut self, append: bool, context: &Context) {
        if append {
            let message = "'append' key is deprecated. Add an 'append' entry (e.g. 'condition: append') under \
                           'override' instead.";
            self.report.warn(WarningCode::DeprecatedItem, message, context);
        }
    }

    fn override_rule(&mut self, name: &str, element: Element<'_>, overrides: &Overrides) -> Outcome<()> {
        let unexpected = RULE_REPLACEABLE.iter().find(|key| element.has(key) && !overrides.names(key));
        if let Some(key) = unexpected {
            let message = format!("Unexpected key '{key}': no corresponding entry under 'override' is defined.");
            return Fault::structure(message, element.context);
        }
        let source = element.text_or_nothing("source")?;
        self.collector.check_source(name, source, element.context)?;
        if !overrides.append.is_empty() {
            let update = read_update(element, &|key| overrides.append.contains(key))?;
            let known = Known { catalogue: &self.setup.catalogue };
            self.collector.append_rule(name, update, element.context, known, self.report)?;
        }
        if !overrides.replace.is_empty() {
            let update = read_update(element, &|key| overrides.replace.contains(key))?;
            self.collector.replace_rule(name, update, element.context)?;
        }
        Ok(())
    }

    fn append_rule(&mut self, name: &str, element: Element<'_>) -> Outcome<()> {
        let source = element.text_or_nothing("source")?;
        let update = read_update(element, &|key| matches!(key, "condition" | "exceptions"))?;
        if update.condition.is_none() && update.exceptions.is_none() {
            return Fault::objects("Appended rule must have exceptions or condition property", element.context);
        }
        self.collector.check_source(name, source, element.context)?;
        let known = Known { catalogue: &self.setup.catalogue };
        self.collector.append_rule(name, update, element.context, known, self.report)
    }

    fn enable_rule(&mut self, name: &str, element: Element<'_>) -> Outcome<()> {
        let Some(enabled) = element.optional_bool("enabled")? else {
            return Fault::structure("Item has no mapping for key 'enabled'", element.context);
        };
        let message = "The standalone 'enabled' key usage is deprecated. The correct approach requires also a \
                       'replace' entry under the 'override' key (i.e. 'enabled: replace').";
        self.report.warn(WarningCode::DeprecatedItem, message, element.context);
        self.collector.enable_rule(name, enabled, element.context)
    }

    fn define_rule(&mut self, name: &str, element: Element<'_>) -> Outcome<()> {
        let condition = element.text("condition")?.to_owned();
        let output = element.text("output")?.trim().to_owned();
        let description = element.text("desc")?.to_owned();
        let priority = priority(element)?;
        let Some(priority) = priority else {
            return Fault::structure("Item has no mapping for key 'priority'", element.context);
        };
        let explicit_source = element.optional_text("source")?;
        let source = explicit_source.unwrap_or("syscall").to_owned();
        let source_is_known = self.setup.sources.contains(&source);
        if !source_is_known {
            let message = format!("Unknown source {source}, skipping");
            self.report.warn(WarningCode::UnknownSource, message, element.context);
        }
        let rule = RuleItem {
            name: name.to_owned(),
            condition,
            output,
            description,
            priority,
            source,
            source_is_known,
            tags: tags(element)?.unwrap_or_default(),
            exceptions: exceptions::read(element)?.unwrap_or_default(),
            enabled: element.optional_bool("enabled")?.unwrap_or(true),
            warn_evttypes: element.optional_bool("warn_evttypes")?.unwrap_or(true),
            skip_if_unknown_filter: element.optional_bool("skip-if-unknown-filter")?.unwrap_or(false),
            capture: element.optional_bool("capture")?.unwrap_or(false),
            capture_duration_ms: element.optional_u32("capture_duration")?.unwrap_or(0),
            context: element.context.clone(),
            condition_context: key_context(element, "condition", RULE_CONDITION),
            output_context: key_context(element, "output", RULE_OUTPUT),
        };
        let known = Known { catalogue: &self.setup.catalogue };
        self.collector.define_rule(rule, explicit_source.is_some(), known, self.report)
    }
}

fn key_context(element: Element<'_>, key: &str, item_type: &'static str) -> Context {
    element.node.get(key).map_or_else(|| element.context.clone(), |n| element.context.child(n, item_type, ""))
}

fn tags(element: Element<'_>) -> Outcome<Option<BTreeSet<String>>> {
    Ok(element.optional_texts("tags")?.map(|tags| tags.into_iter().collect()))
}

fn priority(element: Element<'_>) -> Outcome<Option<Priority>> {
    let Some(text) = element.optional_text("priority")? else { return Ok(None) };
    match Priority::parse(text) {
        Some(priority) => Ok(Some(priority)),
        None => Fault::structure("Invalid priority", &key_context(element, "priority", RULE_PRIORITY)),
    }
}

/// Reads those keys of a rule element that `wanted` names.
fn read_update(element: Element<'_>, wanted: &dyn Fn(&str) -> bool) -> Outcome<RuleUpdate> {
    let text = |key: &str| -> Outcome<Option<String>> {
        if wanted(key) { Ok(element.optional_text(key)?.map(str::to_owned)) } else { Ok(None) }
    };
    let flag = |key: &str| if wanted(key) { element.optional_bool(key) } else { Ok(None) };
    Ok(RuleUpdate {
        condition: text("condition")?,
        output: text("output")?.map(|t| t.trim().to_owned()),
        description: text("desc")?,
        priority: if wanted("priority") { priority(element)? } else { None },
        tags: if wanted("tags") { tags(element)? } else { None },
        exceptions: if wanted("exceptions") { exceptions::read(element)? } else { None },
        enabled: flag("enabled")?,
        warn_evttypes: flag("warn_evttypes")?,
        skip_if_unknown_filter: flag("skip-if-unknown-filter")?,
        capture: flag("capture")?,
        capture_duration_ms: if wanted("capture_duration") { element.optional_u32("capture_duration")? } else { None },
    })
}

fn requirement(node: &Node, parent: &Context) -> Outcome<Requirement> {
    let context = parent.child(node, REQUIRED_PLUGIN_VERSIONS_ENTRY, "");
    if node.mapping().is_none() {
        return Fault::structure("Plugin version must be a mapping", &context);
    }
    let mut alternatives = vec![name_and_version(Element { node, context: &context })?];
    if let Some(more) = node.get("alternatives") {
        let Some(items) = more.sequence() else {
            return Fault::structure("Value of plugin version alternatives must be a sequence", &context);
        };
        for item in items {
            let context = context.child(item, REQUIRED_PLUGIN_VERSIONS_ALTERNATIVE, "");
            if item.mapping().is_none() {
                return Fault::structure("Plugin version alternative must be a mapping", &context);
            }
            let alternative = name_and_version(Element { node: item, context: &context })?;
            if alternatives.iter().any(|(name, _)| *name == alternative.0) {
                let name = &alternative.0;
                let message = format!("Defined multiple alternative version requirements for plugin '{name}'");
                return Fault::objects(message, &context);
            }
            alternatives.push(alternative);
        }
    }
    Ok(Requirement { alternatives })
}

fn name_and_version(element: Element<'_>) -> Outcome<(String, Version)> {
    let name = element.text("name")?;
    let version = element.text("version")?;
    match version.parse() {
        Ok(parsed) => Ok((name.to_owned(), parsed)),
        Err(_) => Fault::objects(format!("Invalid required version '{version}' for plugin '{name}'"), element.context),
    }
}

fn is_list_name(name: &str) -> bool {
    let forbidden =
        |c: char| matches!(c, '(' | ')' | '"' | '\'' | '=' | ',') || c.is_ascii_whitespace() || c == '\u{b}';
    !name.is_empty() && !name.contains(forbidden)
}

fn is_macro_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

const LIST_KEYS: &[&str] = &["list", "items", "append", "override"];
const MACRO_KEYS: &[&str] = &["macro", "condition", "append", "override"];
const RULE_KEYS: &[&str] = &[
    "rule",
    "condition",
    "output",
    "desc",
    "priority",
    "source",
    "enabled",
    "capture",
    "capture_duration",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "tags",
    "exceptions",
    "override",
    "append",
];
const RULE_APPENDABLE: &[&str] = &["condition", "output", "desc", "tags", "exceptions"];
const RULE_REPLACEABLE: &[&str] = &[
    "condition",
    "output",
    "desc",
    "priority",
    "capture",
    "capture_duration",
    "tags",
    "exceptions",
    "enabled",
    "warn_evttypes",
    "skip-if-unknown-filter",
];
