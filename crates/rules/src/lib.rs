//! The rule language: rule files with lists, macros, rules, exceptions and overrides; conditions; output formats; and the
//! program that decides, per event, which rules match. Text comes in; load results, a [`RuleSet`], a [`Program`] and
//! alert lines go out. Pure: no file, clock, network or kernel is touched here. Nothing panics on text from outside.
//!
//! ```text
//! Loader::load(name, text) -> LoadResult      rule files, one after the other
//! Loader::rule_set()       -> RuleSet         rules with their enabled state; select by name or tag
//! RuleSet::program(..)     -> Program         indexed by event source and kind
//! Program::evaluate(..)                       per event; nothing is allocated unless a rule matches
//! AlertWriter::line(..)                       the alert as text or JSON
//! ```

#![forbid(unsafe_code)]

mod bits;
mod check;
mod explain;
mod lang;
pub mod load;
pub mod output;
pub mod program;
mod ruleset;
mod version;

pub use explain::{Coverage, Part, PartCount, Trace};
pub use load::{AppendOutput, LoadResult, Loader, Provider, Setup};
pub use output::{AlertStyle, AlertWriter, OutputFormat};
pub use program::{Matching, Program, SourceIndex};
pub use ruleset::{ExtraField, Priority, Rule, RuleId, RuleSet, matches_wildcard};
pub use version::Version;
