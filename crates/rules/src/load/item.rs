//! What rules files define, as they are collected: lists, macros, rules, exceptions and version requirements. Plain
//! data; reading is `reader`, merging is `collector`, compiling is `compile`.

use super::context::Context;
use crate::ruleset::Priority;
use crate::version::Version;
use std::collections::BTreeSet;

/// Position in the order of definitions, and the number of elements seen when the content was defined last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Order {
    /// Where the object stands; redefinition keeps it.
    pub index: usize,
    /// Only objects with a smaller index are visible to this content.
    pub visibility: usize,
}

#[derive(Clone, Debug)]
pub struct ListItem {
    pub name: String,
    pub items: Vec<String>,
    pub context: Context,
    pub order: Order,
}

#[derive(Clone, Debug)]
pub struct MacroItem {
    pub name: String,
    pub condition: String,
    pub context: Context,
    pub condition_context: Context,
    pub order: Order,
}

#[derive(Clone, Debug)]
pub struct RuleItem {
    pub name: String,
    pub condition: String,
    pub output: String,
    pub description: String,
    pub priority: Priority,
    pub source: String,
    pub source_is_known: bool,
    pub tags: BTreeSet<String>,
    pub exceptions: Vec<ExceptionItem>,
    pub enabled: bool,
    pub warn_evttypes: bool,
    pub skip_if_unknown_filter: bool,
    pub capture: bool,
    pub capture_duration_ms: u32,
    pub context: Context,
    pub condition_context: Context,
    pub output_context: Context,
}

/// Keys of a rule element that appends or replaces; absent ones are left alone.
#[derive(Clone, Debug, Default)]
pub struct RuleUpdate {
    pub condition: Option<String>,
    pub output: Option<String>,
    pub description: Option<String>,
    pub priority: Option<Priority>,
    pub tags: Option<BTreeSet<String>>,
    pub exceptions: Option<Vec<ExceptionItem>>,
    pub enabled: Option<bool>,
    pub warn_evttypes: Option<bool>,
    pub skip_if_unknown_filter: Option<bool>,
    pub capture: Option<bool>,
    pub capture_duration_ms: Option<u32>,
}

/// Fields or comparison operators of an exception.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Column {
    Single(String),
    Tuple(Vec<String>),
}

/// A value of an exception, nested at most twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cell {
    Text(String),
    List(Vec<Cell>),
}

#[derive(Clone, Debug)]
pub struct ExceptionItem {
    pub name: String,
    pub fields: Option<Column>,
    pub comps: Option<Column>,
    pub values: Option<Vec<Cell>>,
    pub context: Context,
}

/// One entry of `required_plugin_versions`: any of these will do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Requirement {
    pub alternatives: Vec<(String, Version)>,
}
