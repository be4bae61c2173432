//! `-L` and `-l RULE`: what is loaded, as JSON or as two columns of text. Arrays are sorted.

use super::compile::CompiledRule;
use super::item::{Column, ExceptionItem};
use super::macros::CompiledMacro;
use super::{Loader, Setup};
use crate::lang::ast::{Check, Expr, Operand, Right};
use crate::lang::events::{Events, events_of, names_of};
use event::Kind;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

impl Loader {
    /// Everything that is loaded, as JSON.
    pub fn describe(&self) -> Value {
        let requirements: Vec<Value> = self
            .collector
            .requirements
            .iter()
            .map(|requirement| {
                let mut entries =
                    requirement.alternatives.iter().map(|(name, v)| json!({"name": name, "version": v.to_string()}));
                let mut first = entries.next().unwrap_or_default();
                first["alternatives"] = entries.collect();
                first
            })
            .collect();
        let version = self.collector.required_engine_version.unwrap_or_default();
        json!({
            "required_engine_version": version.to_string(),
            "required_plugin_versions": requirements,
            "rules": self.compiled.rules.iter().map(|r| self.rule(r)).collect::<Vec<_>>(),
            "macros": self.compiled.macros.iter().map(|m| self.macro_(m)).collect::<Vec<_>>(),
            "lists": self.lists(),
        })
    }

    /// One rule as JSON; `None` when no such rule is loaded.
    pub fn describe_rule(&self, name: &str) -> Option<Value> {
        let rule = self.compiled.rules.iter().find(|r| r.rule.name == name)?;
        Some(json!({ "rules": [self.rule(rule)] }))
    }

    /// All rules, or the one called `only`, in two columns; `None` when no such rule is loaded.
    pub fn describe_text(&self, only: Option<&str>) -> Option<String> {
        let mut out = format!("{:<50} {}\n{:<50} {}\n", "Rule", "Description", "----", "-----------");
        let mut found = only.is_none();
        for rule in self.compiled.rules.iter().filter(|r| only.is_none_or(|name| r.rule.name == name)) {
            found = true;
            let _ = writeln!(out, "{:<50} {}\n", rule.rule.name, wrap(&rule.rule.description));
        }
        found.then_some(out)
    }

    fn rule(&self, compiled: &CompiledRule) -> Value {
        let rule = &compiled.rule;
        let facts = Facts::of(&compiled.expr);
        let (fields, names, operators) = exception_facts(&compiled.exceptions);
        let mut details = json!({
            "macros": compiled.macros.iter().collect::<BTreeSet<_>>(),
            "lists": compiled.lists.iter().collect::<BTreeSet<_>>(),
            "condition_operators": facts.operators,
            "condition_fields": facts.fields,
            "output_fields": rule.output.expressions().chain(rule.output.fields().iter().map(|f| f.text.as_str()))
                .collect::<BTreeSet<_>>(),
            "exception_fields": fields,
            "exception_names": names,
            "exception_operators": operators,
            "events": event_names(&rule.events),
            "condition_compiled": compiled.expr.to_string(),
            "output_compiled": self.output_compiled(rule),
            "plugins": plugins(&self.setup, rule, &facts.fields),
        });
        if !rule.extra_fields.is_empty() {
            let extra = rule.extra_fields.iter().map(|e| e.key.as_str()).collect::<BTreeSet<_>>();
            details["extra_output_formatted_fields"] = json!(extra);
        }
        json!({
            "info": {
                "name": rule.name,
                "condition": rule.condition,
                "priority": rule.priority.as_str(),
                "output": rule.output_text,
                "description": rule.description,
                "enabled": rule.enabled,
                "source": rule.source,
                "capture": rule.capture,
                "capture_duration": rule.capture_duration_ms,
                "tags": rule.tags,
            },
            "details": details,
        })
    }

    fn output_compiled(&self, rule: &crate::ruleset::Rule) -> String {
        self.collector.rules.get(&rule.name).map_or_else(String::new, |item| {
            super::appended::text(&rule.output_text.replace("%container.info", ""), item, &self.setup)
        })
    }

    fn macro_(&self, item: &CompiledMacro) -> Value {
        let facts = Facts::of(&item.expr);
        let mut macros = BTreeSet::new();
        item.expr.each_macro(&mut |name| {
            macros.insert(name);
        });
        let events = events_of(&item.expr, &|name| self.setup.is_async_event(name));
        json!({
            "info": { "name": item.name, "condition": item.condition },
            "details": {
                "used": self.compiled.used_macros.contains(&item.name),
                "macros": macros,
                "lists": item.lists.iter().collect::<BTreeSet<_>>(),
                "condition_operators": facts.operators,
                "condition_fields": facts.fields,
                "events": events.map(|e| event_names(&e)).unwrap_or_default(),
                "condition_compiled": item.expr.to_string(),
                "plugins": [],
            },
        })
    }

    fn lists(&self) -> Vec<Value> {
        let written = self.collector.lists.iter().zip(&self.compiled.lists);
        written
            .map(|(item, compiled)| {
                json!({
                    "info": { "name": item.name, "items": item.items },
                    "details": {
                        "used": self.compiled.used_lists.contains(&item.name),
                        "lists": compiled.lists.iter().collect::<BTreeSet<_>>(),
                        "items_compiled": compiled.items,
                        "plugins": [],
                    },
                })
            })
            .collect()
    }
}

/// What a condition uses.
#[derive(Default)]
struct Facts {
    operators: BTreeSet<String>,
    fields: BTreeSet<String>,
}

impl Facts {
    fn of(expr: &Expr) -> Facts {
        let mut facts = Facts::default();
        expr.each_check(&mut |check| facts.add(check));
        facts
    }

    fn add(&mut self, check: &Check) {
        self.operators.insert(match check.modifier {
            Some(modifier) => format!("{} {}", check.op.as_str(), modifier.as_str()),
            None => check.op.as_str().to_owned(),
        });
        let right = match &check.right {
            Right::Operand(operand) => Some(operand),
            _ => None,
        };
        for operand in std::iter::once(&check.left).chain(right) {
            operand.each_field(&mut |name, arg| {
                let field =
                    Operand::Field { name: name.to_owned(), arg: arg.map(<[u8]>::to_vec), pos: Default::default() };
                self.fields.insert(field.to_string());
            });
        }
    }
}

fn exception_facts(exceptions: &[ExceptionItem]) -> (BTreeSet<&str>, BTreeSet<&str>, BTreeSet<&str>) {
    let fields = exceptions.iter().flat_map(|e| column_texts(e.fields.as_ref())).collect();
    let names = exceptions.iter().map(|e| e.name.as_str()).collect();
    let operators = exceptions.iter().flat_map(|e| column_texts(e.comps.as_ref())).collect();
    (fields, names, operators)
}

fn column_texts(column: Option<&Column>) -> impl Iterator<Item = &str> {
    let texts = match column {
        None => &[],
        Some(Column::Single(text)) => std::slice::from_ref(text),
        Some(Column::Tuple(texts)) => texts.as_slice(),
    };
    texts.iter().map(String::as_str)
}

/// The asynchronous event is part of every answer, since every rule sees it.
fn event_names(events: &Events) -> BTreeSet<&'static str> {
    let mut names = names_of(events);
    names.extend(Kind::ASYNCEVENT_E.info().map(|i| i.name));
    names
}

/// Providers that a rule depends on: its source, its fields, its asynchronous events.
fn plugins(setup: &Setup, rule: &crate::ruleset::Rule, fields: &BTreeSet<String>) -> BTreeSet<String> {
    let uses = |provider: &&super::Provider| {
        let source = provider.source.as_deref() == Some(rule.source.as_str());
        let field =
            provider.field_sources.contains(&rule.source) && fields.iter().any(|f| provides_field(&provider.name, f));
        source || field
    };
    setup.providers.iter().filter(uses).map(|p| p.name.clone()).collect()
}

/// Fields carry their provider's name in front; the container plugin also answers for Kubernetes.
fn provides_field(provider: &str, field: &str) -> bool {
    let class = field.split('.').next().unwrap_or_default();
    class == provider || (provider == "container" && class == "k8s")
}

/// Wraps at 110 columns; continuation lines start below the description.
fn wrap(description: &str) -> String {
    const WIDTH: usize = 110;
    const INDENT: usize = 51;
    let mut out = String::new();
    let mut column = INDENT;
    for word in description.split_whitespace() {
        if column > INDENT && column + 1 + word.chars().count() > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(INDENT));
            column = INDENT;
        } else if column > INDENT {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.chars().count();
    }
    out
}
