//! Which rules matched how often: matches come in, the summary printed at the end and the counters of the metrics go out.
//! Counting costs two additions per match and nothing per event.

use rules::{Priority, Rule, RuleId, RuleSet};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Matches by rule and by priority. Counts survive a reload under the rule's name.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Indexed by rule id of the current rule set.
    by_rule: Vec<u64>,
    by_priority: [u64; 8],
    total: u64,
}

impl Stats {
    pub fn new(rules: &RuleSet) -> Self {
        Stats { by_rule: vec![0; rules.rules().len()], ..Stats::default() }
    }

    /// Counts one match.
    pub fn count(&mut self, rule: RuleId, priority: Priority) {
        self.total += 1;
        if let Some(count) = self.by_rule.get_mut(rule.0 as usize) {
            *count += 1;
        }
        if let Some(count) = self.by_priority.get_mut(priority as usize) {
            *count += 1;
        }
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn of(&self, rule: RuleId) -> u64 {
        self.by_rule.get(rule.0 as usize).copied().unwrap_or(0)
    }

    /// Moves the counts of rules with the same name over to another rule set.
    pub fn carry_over(&mut self, old: &RuleSet, new: &RuleSet) {
        let mut by_name: BTreeMap<&str, u64> = BTreeMap::new();
        for rule in old.rules() {
            *by_name.entry(&rule.name).or_default() += self.of(rule.id);
        }
        self.by_rule = new.rules().iter().map(|rule| by_name.get(rule.name.as_str()).copied().unwrap_or(0)).collect();
    }

    /// What is printed at the end.
    pub fn summary(&self, rules: &RuleSet) -> String {
        let mut text = format!("Events detected: {}\nRule counts by severity:\n", self.total);
        for (priority, count) in Priority::ALL.iter().zip(self.by_priority).filter(|(_, count)| *count > 0) {
            let name =
                if *priority == Priority::Informational { "INFO".into() } else { priority.as_str().to_uppercase() };
            let _ = writeln!(text, "   {name}: {count}");
        }
        text.push_str("Triggered rules by rule name:\n");
        let matched = |rule: &&Rule| self.of(rule.id) > 0;
        for rule in rules.rules().iter().filter(matched) {
            let _ = writeln!(text, "   {}: {}", rule.name, self.of(rule.id));
        }
        text
    }
}
