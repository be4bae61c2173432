//! The rules that loaded, which of them are enabled and in which order they are tried. Selections by name pattern or
//! tag come in; a [`Program`] goes out. Compiling conditions happens in `load`, never here.

use crate::check::Typed;
use crate::lang::events::Events;
use crate::output::OutputFormat;
use crate::program::{Matching, Program};
use event::{Catalogue, Kind, Sc};
use std::fmt;
use std::sync::Arc;

/// How urgent a rule is; the number is syslog's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Priority {
    Emergency = 0,
    Alert = 1,
    Critical = 2,
    Error = 3,
    Warning = 4,
    Notice = 5,
    Informational = 6,
    Debug = 7,
}

impl Priority {
    pub const ALL: [Priority; 8] = [
        Priority::Emergency,
        Priority::Alert,
        Priority::Critical,
        Priority::Error,
        Priority::Warning,
        Priority::Notice,
        Priority::Informational,
        Priority::Debug,
    ];

    /// Reads a name in any case; `info` is short for `informational`.
    pub fn parse(text: &str) -> Option<Priority> {
        let named = |p: &Priority| text.eq_ignore_ascii_case(p.as_str());
        if text.eq_ignore_ascii_case("info") {
            return Some(Priority::Informational);
        }
        Priority::ALL.into_iter().find(|p| named(p))
    }

    /// `Warning`: the form alerts show.
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Emergency => "Emergency",
            Priority::Alert => "Alert",
            Priority::Critical => "Critical",
            Priority::Error => "Error",
            Priority::Warning => "Warning",
            Priority::Notice => "Notice",
            Priority::Informational => "Informational",
            Priority::Debug => "Debug",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Index of a rule in its [`RuleSet`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleId(pub u32);

/// A field that JSON alerts carry in addition to those of the message.
#[derive(Clone, Debug)]
pub struct ExtraField {
    /// Key in `output_fields`.
    pub key: String,
    pub format: OutputFormat,
    /// The value is the rendered text; otherwise `format` is a single field whose typed value is written.
    pub as_text: bool,
}

/// A rule that compiled.
#[derive(Clone, Debug)]
pub struct Rule {
    pub id: RuleId,
    pub name: String,
    pub description: String,
    pub source: String,
    pub priority: Priority,
    /// Sorted, without duplicates.
    pub tags: Vec<String>,
    /// As written, after appends, without exceptions.
    pub condition: String,
    /// As written (trimmed), without appended formats.
    pub output_text: String,
    /// With appended formats.
    pub output: OutputFormat,
    pub extra_fields: Vec<ExtraField>,
    /// As the file says; whether it is tried is [`RuleSet::is_enabled`].
    pub enabled: bool,
    /// Start a capture when the rule fires.
    pub capture: bool,
    /// 0 = the configured default.
    pub capture_duration_ms: u32,
    pub(crate) typed: Arc<Typed>,
    pub(crate) events: Events,
}

impl Rule {
    /// Whether the rule is tried on events of `kind`: what its checks of the event type leave.
    pub fn runs_on(&self, kind: Kind) -> bool {
        if self.source == "syscall" {
            return kind == Kind::ASYNCEVENT_E || self.events.kinds.contains(kind.0);
        }
        matches!(kind, Kind::PLUGINEVENT_E | Kind::ASYNCEVENT_E)
    }

    /// The system calls the rule needs to see.
    pub fn needed_syscalls(&self) -> impl Iterator<Item = Sc> {
        self.events.syscalls.iter().map(Sc)
    }
}

/// All rules of one load, in load order, with their enabled state.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Enabled rules in evaluation order.
    order: Vec<RuleId>,
    /// By rule, whether it is in `order`.
    enabled: Vec<bool>,
    catalogue: Arc<Catalogue>,
}

impl RuleSet {
    /// Enables rules as they say, except those less urgent than `min_priority`.
    pub(crate) fn new(rules: Vec<Rule>, catalogue: Arc<Catalogue>, min_priority: Priority) -> Self {
        let enabled: Vec<bool> = rules.iter().map(|r| r.enabled && r.priority <= min_priority).collect();
        let order = rules.iter().zip(&enabled).filter(|(_, enabled)| **enabled).map(|(r, _)| r.id).collect();
        RuleSet { rules, order, enabled, catalogue }
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(id.0 as usize)
    }

    pub fn by_name(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|r| r.name == name)
    }

    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// Enabled rules in the order in which they are tried.
    pub fn enabled(&self) -> impl Iterator<Item = &Rule> {
        self.order.iter().filter_map(|id| self.rule(*id))
    }

    pub fn is_enabled(&self, id: RuleId) -> bool {
        self.enabled.get(id.0 as usize).copied().unwrap_or(false)
    }

    /// Enables or disables every rule whose name matches `pattern` (only `*` is special). Acts on rules below the
    /// priority threshold, too. A rule that was disabled goes to the end of the order.
    pub fn select_by_name(&mut self, pattern: &str, enable: bool) -> usize {
        self.select(enable, |rule| matches_wildcard(pattern, &rule.name))
    }

    /// Enables or disables every rule that has `tag`.
    pub fn select_by_tag(&mut self, tag: &str, enable: bool) -> usize {
        self.select(enable, |rule| rule.tags.iter().any(|t| t == tag))
    }

    fn select(&mut self, enable: bool, wanted: impl Fn(&Rule) -> bool) -> usize {
        let mut selected = 0;
        for (rule, enabled) in self.rules.iter().zip(&mut self.enabled).filter(|(rule, _)| wanted(rule)) {
            selected += 1;
            if enable && !*enabled {
                self.order.push(rule.id);
            }
            *enabled = enable;
        }
        self.order.retain(|id| self.enabled.get(id.0 as usize).copied().unwrap_or(false));
        selected
    }

    /// Compiles the enabled rules into one program.
    pub fn program(&self, matching: Matching) -> Program {
        Program::build(self, matching)
    }
}

/// Whether `text` matches `pattern`, in which only `*` is special. For the literal after a star the first occurrence is
/// taken and never reconsidered, as the re-created system does: `*ab` does not match `xabab`.
pub fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let Some((prefix, mut pattern)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(prefix) else { return false };
    loop {
        match pattern.split_once('*') {
            None if pattern.is_empty() => return true,
            None => return rest.find(pattern).is_some_and(|at| rest[at..] == *pattern),
            Some((literal, next)) => {
                let Some(at) = rest.find(literal) else { return false };
                rest = &rest[at + literal.len()..];
                pattern = next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_take_the_first_occurrence() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("*.yaml", "x.yaml", true),
            ("*.yaml", "x.yaml.d/f.yaml", false),
            ("*a*b", "xaayb", true),
            ("*ab", "xabab", false),
        ] {
            assert_eq!(matches_wildcard(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
