//! All lists, macros and rules that the files defined so far, merged: redefinition in place, appends, replacements. The
//! order in which things were defined is kept, since it decides what is visible to what.

use super::context::Context;
use super::exceptions;
use super::fault::{Fault, Outcome, Report};
use super::item::{ListItem, MacroItem, Order, Requirement, RuleItem, RuleUpdate};
use crate::version::Version;
use event::Catalogue;
use std::collections::HashMap;

#[derive(Clone, Debug, Default)]
pub struct Collector {
    pub lists: Named<ListItem>,
    pub macros: Named<MacroItem>,
    pub rules: Named<RuleItem>,
    pub requirements: Vec<Requirement>,
    pub required_engine_version: Option<Version>,
    counter: usize,
}

/// Things with names, in definition order.
#[derive(Clone, Debug)]
pub struct Named<T> {
    items: Vec<T>,
    by_name: HashMap<String, usize>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named { items: Vec::new(), by_name: HashMap::new() }
    }
}

impl<T> Named<T> {
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    pub fn get(&self, name: &str) -> Option<&T> {
        self.items.get(*self.by_name.get(name)?)
    }

    pub fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.items.get_mut(*self.by_name.get(name)?)
    }

    fn push(&mut self, name: &str, item: T) {
        self.by_name.insert(name.to_owned(), self.items.len());
        self.items.push(item);
    }
}

/// What exceptions are checked against.
#[derive(Clone, Copy)]
pub struct Known<'k> {
    pub catalogue: &'k Catalogue,
}

impl Collector {
    fn next(&mut self) -> usize {
        let number = self.counter;
        self.counter += 1;
        number
    }

    pub fn define_list(&mut self, mut list: ListItem) {
        let number = self.next();
        match self.lists.get_mut(&list.name) {
            Some(previous) => {
                list.order = Order { index: previous.order.index, visibility: number };
                *previous = list;
            }
            None => {
                list.order = Order { index: number, visibility: number };
                self.lists.push(&list.name.clone(), list);
            }
        }
    }

    pub fn append_list(&mut self, name: &str, items: Vec<String>, context: &Context) -> Outcome<()> {
        let number = self.next();
        let Some(list) = self.lists.get_mut(name) else {
            return Fault::objects(missing_target("List", "items", "list"), context);
        };
        list.items.extend(items);
        list.order.visibility = number;
        Ok(())
    }

    pub fn define_macro(&mut self, mut item: MacroItem) {
        let number = self.next();
        match self.macros.get_mut(&item.name) {
            Some(previous) => {
                item.order = Order { index: previous.order.index, visibility: number };
                *previous = item;
            }
            None => {
                item.order = Order { index: number, visibility: number };
                self.macros.push(&item.name.clone(), item);
            }
        }
    }

    pub fn append_macro(&mut self, name: &str, condition: &str, context: &Context) -> Outcome<()> {
        let number = self.next();
        let Some(item) = self.macros.get_mut(name) else {
            return Fault::objects(missing_target("Macro", "condition", "macro"), context);
        };
        append_text(&mut item.condition, condition);
        item.order.visibility = number;
        Ok(())
    }

    /// `explicit_source` tells whether the element names its source itself.
    pub fn define_rule(
        &mut self,
        mut rule: RuleItem,
        explicit_source: bool,
        known: Known<'_>,
        report: &mut Report<'_>,
    ) -> Outcome<()> {
        self.next();
        exceptions::check_names(&rule.exceptions, report);
        if let Some(previous) = self.rules.get(&rule.name) {
            if explicit_source && previous.source != rule.source {
                return Fault::objects(DIFFERENT_SOURCE, &rule.context);
            }
            rule.source.clone_from(&previous.source);
            rule.source_is_known = previous.source_is_known;
        }
        for exception in &mut rule.exceptions {
            let source = rule.source_is_known.then_some(rule.source.as_str());
            exceptions::complete(exception, source, known.catalogue)?;
        }
        match self.rules.get_mut(&rule.name) {
            Some(previous) => *previous = rule,
            None => self.rules.push(&rule.name.clone(), rule),
        }
        Ok(())
    }

    pub fn append_rule(
        &mut self,
        name: &str,
        update: RuleUpdate,
        context: &Context,
        known: Known<'_>,
        report: &mut Report<'_>,
    ) -> Outcome<()> {
        self.next();
        let Some(rule) = self.rules.get_mut(name) else {
            return Fault::objects(missing_target("Rule", "<key>", "rule"), context);
        };
        append_option(&mut rule.condition, update.condition);
        append_option(&mut rule.output, update.output);
        append_option(&mut rule.description, update.description);
        rule.tags.extend(update.tags.unwrap_or_default());
        let added = update.exceptions.unwrap_or_default();
        exceptions::check_names(&added, report);
        let source = rule.source_is_known.then_some(rule.source.as_str());
        exceptions::merge(&mut rule.exceptions, added, source, known.catalogue, report)
    }

    pub fn replace_rule(&mut self, name: &str, update: RuleUpdate, context: &Context) -> Outcome<()> {
        self.next();
        let Some(rule) = self.rules.get_mut(name) else {
            let message =
                "An 'override.<key>: replace' to a rule was requested but no rule by that name already exists";
            return Fault::objects(message, context);
        };
        replace(&mut rule.condition, update.condition);
        replace(&mut rule.output, update.output);
        replace(&mut rule.description, update.description);
        replace(&mut rule.priority, update.priority);
        replace(&mut rule.tags, update.tags);
        replace(&mut rule.exceptions, update.exceptions);
        replace(&mut rule.enabled, update.enabled);
        replace(&mut rule.warn_evttypes, update.warn_evttypes);
        replace(&mut rule.skip_if_unknown_filter, update.skip_if_unknown_filter);
        replace(&mut rule.capture, update.capture);
        replace(&mut rule.capture_duration_ms, update.capture_duration_ms);
        Ok(())
    }

    /// The source an element that changes a rule names has to be the rule's own.
    pub fn check_source(&self, name: &str, source: Option<&str>, context: &Context) -> Outcome<()> {
        match (self.rules.get(name), source) {
            (Some(rule), Some(source)) if rule.source != source => Fault::objects(DIFFERENT_SOURCE, context),
            _ => Ok(()),
        }
    }

    pub fn enable_rule(&mut self, name: &str, enabled: bool, context: &Context) -> Outcome<()> {
        match self.rules.get_mut(name) {
            Some(rule) => {
                rule.enabled = enabled;
                Ok(())
            }
            None => Fault::objects("Rule has 'enabled' key but no rule by that name already exists", context),
        }
    }
}

fn append_text(text: &mut String, more: &str) {
    text.push(' ');
    text.push_str(more);
}

fn append_option(text: &mut String, more: Option<String>) {
    if let Some(more) = more {
        append_text(text, &more);
    }
}

fn replace<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

fn missing_target(kind: &str, key: &str, noun: &str) -> String {
    format!("{kind} uses 'append' or 'override.{key}: append' but no {noun} by that name already exists")
}

const DIFFERENT_SOURCE: &str = "Rule has been re-defined with a different source";
