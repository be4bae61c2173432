//! What the parts of conditions evaluate to: events come in; per rule, which parts were ever true and ever false goes out,
//! or for one event why a rule matched it or did not. The truth of every part comes from the rule compiler.

use bumpalo::Bump;
use engine::Context;
use rules::{Coverage as RuleCoverage, Part, PartCount, Rule, RuleSet};
use std::fmt::Write as _;

/// How often each part of every enabled rule was true and false.
#[derive(Debug)]
pub struct Coverage {
    rules: Vec<(String, RuleCoverage)>,
}

/// Why a rule matched an event or did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    pub matched: bool,
    pub text: String,
}

impl Coverage {
    pub fn new(rules: &RuleSet) -> Self {
        Coverage { rules: rules.enabled().map(|rule| (rule.name.clone(), RuleCoverage::new(rule))).collect() }
    }

    /// Evaluates every rule that runs on this kind of event.
    pub fn add(&mut self, rules: &RuleSet, context: &Context<'_>, arena: &Bump) {
        for (rule, (_, coverage)) in rules.enabled().zip(&mut self.rules) {
            if rule.runs_on(context.event.kind) {
                coverage.record(rule, context, arena);
            }
        }
    }

    /// Per rule, every part with what it was.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let (mut all, mut both) = (0usize, 0usize);
        for (name, coverage) in &self.rules {
            let _ = writeln!(text, "\n{name}");
            for part in coverage.parts() {
                all += 1;
                both += usize::from(part.times_true > 0 && part.times_false > 0);
                let _ = writeln!(text, "  {:12} {}{}", verdict(part), "  ".repeat(part.depth), label(&part.part));
            }
        }
        let _ = writeln!(text, "\n{both} of {all} parts of conditions were both true and false");
        text
    }
}

/// Explains one event.
pub fn why(rules: &RuleSet, rule: &Rule, matched: bool, (context, arena): (&Context<'_>, &Bump)) -> Why {
    let name = context.event.kind.info().map_or("?", |info| info.name);
    let verdict = if matched { "matches" } else { "does not match" };
    let mut text = format!("rule \"{}\" {verdict} event {} ({name})\n", rule.name, context.num);
    if !rule.runs_on(context.event.kind) {
        let _ = writeln!(text, "it is not tried on {name} events at all; had it been:");
    }
    if let Some(trace) = rules.explain(rule.id, context, arena) {
        text.push_str(&trace.text());
    }
    Why { matched, text }
}

fn verdict(part: &PartCount) -> &'static str {
    match (part.times_true, part.times_false) {
        (0, 0) => "never tried",
        (0, _) => "never true",
        (_, 0) => "never false",
        _ => "both",
    }
}

fn label(part: &Part) -> &str {
    match part {
        Part::And => "and",
        Part::Or => "or",
        Part::Not => "not",
        Part::Macro(name) => name,
        Part::Check(text) => text,
    }
}
