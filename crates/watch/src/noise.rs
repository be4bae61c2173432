//! Holding back repeated alerts: a rule and the values of chosen fields come in, the answer "tell" or "hold back" goes
//! out. The first alert always passes; equal ones within the window are counted, and the count is told when the window
//! ends. Memory is bounded per entry; when it is full, alerts pass rather than disappear.

use crate::config::Noise as NoiseConfig;
use rules::output::OutputFormat;
use rules::{Rule, RuleId, RuleSet, matches_wildcard};
use std::collections::HashMap;

/// Decides per alert. Times are event times in ns.
#[derive(Debug, Default)]
pub struct Noise {
    entries: Vec<Entry>,
    /// For each rule id the entries that concern it.
    by_rule: Vec<Vec<usize>>,
    next_sweep: u64,
    pub suppressed: u64,
    /// Alerts that passed only because an entry remembered too many already.
    pub overflowed: u64,
}

#[derive(Debug)]
struct Entry {
    config: NoiseConfig,
    seen: HashMap<Key, Seen>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    rule: String,
    values: Vec<String>,
}

#[derive(Debug)]
struct Seen {
    until: u64,
    held_back: u64,
}

/// What was held back during one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub rule: String,
    /// Field and value.
    pub values: Vec<(String, String)>,
    pub held_back: u64,
    pub window_ms: u64,
}

impl Noise {
    pub fn new(config: &[NoiseConfig], rules: &RuleSet) -> Self {
        let entries: Vec<Entry> =
            config.iter().map(|config| Entry { config: config.clone(), seen: HashMap::new() }).collect();
        let concerned =
            |rule: &Rule| (0..entries.len()).filter(|at| entries.get(*at).is_some_and(|e| e.concerns(rule))).collect();
        let by_rule = rules.rules().iter().map(concerned).collect();
        Noise { entries, by_rule, ..Noise::default() }
    }

    /// Goes on with other entries; what was counted stays.
    pub fn replace(&mut self, config: &[NoiseConfig], rules: &RuleSet) {
        let (suppressed, overflowed) = (self.suppressed, self.overflowed);
        *self = Noise { suppressed, overflowed, ..Noise::new(config, rules) };
    }

    /// Entries that concern no rule, and keys that name no field: they would do nothing without a word.
    pub fn oddities(config: &[NoiseConfig], rules: &RuleSet) -> Vec<String> {
        let mut oddities = Vec::new();
        for (at, config) in config.iter().enumerate() {
            let entry = Entry { config: config.clone(), seen: HashMap::new() };
            if !rules.rules().iter().any(|rule| entry.concerns(rule)) {
                let named = config.rule.as_ref().or(config.tag.as_ref()).map_or("", String::as_str);
                oddities
                    .push(format!("noise[{at}]: no loaded rule is named or tagged `{named}`, nothing is held back"));
            }
            let is_field = |key: &str, rule: &Rule| {
                OutputFormat::compile(&format!("%{key}"), &rule.source, rules.catalogue()).is_ok()
            };
            for key in config.keys.iter().filter(|key| !rules.rules().iter().any(|rule| is_field(key, rule))) {
                oddities.push(format!("noise[{at}]: no field is called `{key}`, it does not tell alerts apart"));
            }
        }
        oddities
    }

    /// The fields whose values decide about alerts of `rule`; `None` when nothing is ever held back of it.
    pub fn keys(&self, rule: RuleId) -> Option<impl Iterator<Item = &str>> {
        let entries = self.by_rule.get(rule.0 as usize).filter(|entries| !entries.is_empty())?;
        let configs = entries.iter().filter_map(|at| self.entries.get(*at)).map(|entry| &entry.config);
        Some(configs.flat_map(|config| config.keys.iter().map(String::as_str)))
    }

    /// Whether the alert of `rule` at `ts` is to be told. `value` yields the text of a field.
    pub fn admit(&mut self, rule: &Rule, ts: u64, value: &dyn Fn(&str) -> String) -> bool {
        let Some(entries) = self.by_rule.get(rule.id.0 as usize) else { return true };
        let mut held_back = false;
        for at in entries {
            if let Some(entry) = self.entries.get_mut(*at) {
                held_back |= entry.holds_back(&rule.name, ts, value, &mut self.overflowed);
            }
        }
        self.suppressed += u64::from(held_back);
        !held_back
    }

    /// Whether some window may have ended.
    #[inline]
    pub fn is_due(&self, ts: u64) -> bool {
        ts >= self.next_sweep && !self.entries.is_empty()
    }

    /// Forgets windows that ended before `ts` and returns what they held back. `u64::MAX` ends all.
    pub fn sweep(&mut self, ts: u64) -> Vec<Summary> {
        self.next_sweep = ts.saturating_add(SWEEP_NS);
        let mut summaries = Vec::new();
        for entry in &mut self.entries {
            let Entry { config, seen } = entry;
            seen.retain(|key, state| {
                if state.until <= ts && state.held_back > 0 {
                    summaries.push(summary(config, key, state.held_back));
                }
                state.until > ts
            });
        }
        summaries
    }
}

impl Entry {
    fn concerns(&self, rule: &Rule) -> bool {
        let by_name = self.config.rule.as_ref().is_none_or(|pattern| matches_wildcard(pattern, &rule.name));
        let by_tag = self.config.tag.as_ref().is_none_or(|tag| rule.tags.contains(tag));
        by_name && by_tag
    }

    fn holds_back(&mut self, rule: &str, ts: u64, value: &dyn Fn(&str) -> String, overflowed: &mut u64) -> bool {
        let values = self.config.keys.iter().map(|field| value(field)).collect();
        let key = Key { rule: rule.to_owned(), values };
        let is_full = self.seen.len() >= self.config.max_keys;
        match self.seen.get_mut(&key) {
            Some(state) if ts < state.until => {
                state.held_back += 1;
                return true;
            }
            // The window is over but its summary is not told yet: it goes on counting in the next window.
            Some(state) => state.until = ts.saturating_add(self.config.window_ms * NS_PER_MS),
            None if is_full => *overflowed += 1,
            None => {
                let until = ts.saturating_add(self.config.window_ms * NS_PER_MS);
                self.seen.insert(key, Seen { until, held_back: 0 });
            }
        }
        false
    }
}

fn summary(config: &NoiseConfig, key: &Key, held_back: u64) -> Summary {
    let values = config.keys.iter().cloned().zip(key.values.iter().cloned()).collect();
    Summary { rule: key.rule.clone(), values, held_back, window_ms: config.window_ms }
}

const NS_PER_MS: u64 = 1_000_000;
const SWEEP_NS: u64 = 1_000_000_000;
