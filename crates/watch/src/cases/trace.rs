//! What the parts of a condition evaluate to: every part becomes a rule of its own, compiled and judged like any other, so
//! the answer is the engine's and not a second opinion. Rules come in; per event, which parts held; per rule, which parts
//! were ever true and ever false.

use super::matching;
use super::tree::{Kind, Part, parts};
use crate::prepare::{Prepared, setup};
use bumpalo::Bump;
use engine::Context;
use rules::output::OutputFormat;
use rules::{Loader, Matching, Program, Rule, RuleId, RuleSet};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

/// Evaluates the parts of conditions.
pub struct Tracer {
    rules: RuleSet,
    program: Program,
    traced: Vec<Traced>,
}

/// One rule cut into parts.
struct Traced {
    name: String,
    tree: Part,
    /// The rule that stands for each part, in the order of [`Part::walk`]; `None` when a part does not compile alone.
    ids: Vec<Option<RuleId>>,
    /// The rule itself, exceptions included.
    whole: Option<RuleId>,
}

/// Which parts held for one event.
#[derive(Debug, Default)]
pub struct Seen(HashSet<RuleId>);

/// Which parts of every rule were ever true, and ever false.
#[derive(Debug, Default)]
pub struct Coverage {
    counts: HashMap<RuleId, u64>,
    events: u64,
}

/// Why a rule matched an event or did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    pub matched: bool,
    pub text: String,
}

impl Tracer {
    /// Cuts the enabled rules of `prepared` (or only one) into parts and compiles them.
    ///
    /// # Errors
    /// The rules do not load once more.
    pub fn new(prepared: &Prepared, only: Option<&str>) -> Result<Tracer, String> {
        let mut loader = Loader::new(setup(&prepared.config).0);
        for file in &prepared.texts.files {
            loader.load(&file.name, &file.text);
        }
        let wanted: Vec<&Rule> =
            prepared.rules.enabled().filter(|rule| only.is_none_or(|only| rule.name == only)).collect();
        let trees: Vec<Part> = wanted.iter().map(|rule| parts(&rule.condition)).collect();
        for (at, (rule, tree)) in wanted.iter().zip(&trees).enumerate() {
            let result = loader.load(&format!("parts of {}", rule.name), &part_rules(at, rule, tree));
            if !result.successful() {
                return Err(result.summary());
            }
        }
        let mut rules = loader.rule_set().clone();
        rules.select_by_name("*", false);
        rules.select_by_name(&format!("{PREFIX}*"), true);
        let traced = wanted.iter().zip(trees).enumerate().map(|(at, (rule, tree))| Traced {
            name: rule.name.clone(),
            ids: ids(at, &tree, &rules),
            whole: rules.by_name(&rule.name).map(|rule| rule.id),
            tree,
        });
        let traced: Vec<Traced> = traced.collect();
        for rule in &wanted {
            rules.select_by_name(&rule.name, true);
        }
        let program = rules.program(Matching::All);
        Ok(Tracer { rules, program, traced })
    }

    /// Which parts hold for the event.
    pub fn seen(&self, context: &Context<'_>, arena: &Bump) -> Seen {
        Seen(matching(&self.program, context, arena).into_iter().collect())
    }

    /// Explains one event.
    pub fn why(&self, rule: &Rule, matched: bool, context: &Context<'_>, arena: &Bump) -> Why {
        let seen = self.seen(context, arena);
        let name = context.event.kind.info().map_or("?", |info| info.name);
        let verdict = if matched { "matches" } else { "does not match" };
        let mut text = format!("rule \"{}\" {verdict} event {} ({name})\n", rule.name, context.num);
        let Some(traced) = self.traced.iter().find(|traced| traced.name == rule.name) else {
            return Why { matched, text };
        };
        let mut at = 0;
        traced.tree.walk(0, &mut |part, depth| {
            let holds = traced.ids.get(at).copied().flatten().map(|id| seen.0.contains(&id));
            at += 1;
            let mark = match holds {
                Some(true) => "true ",
                Some(false) => "false",
                None => "?    ",
            };
            let value =
                if part.kind == Kind::Check { self.value(&part.text, rule, context, arena) } else { String::new() };
            let label = label(part);
            let _ = writeln!(text, "  {mark} {}{label}{value}", "  ".repeat(depth));
        });
        let holds = traced.ids.first().copied().flatten().is_some_and(|id| seen.0.contains(&id));
        if holds && !matched {
            text.push_str("  the condition holds, but an exception of the rule does too\n");
        }
        Why { matched, text }
    }

    /// ` [field is value]` for a check that begins with a field.
    fn value(&self, check: &str, rule: &Rule, context: &Context<'_>, arena: &Bump) -> String {
        let field = check.split([' ', '=', '<', '>', '!']).next().unwrap_or_default();
        if !field.contains('.') {
            return String::new();
        }
        let mut out = Vec::new();
        match OutputFormat::compile(&format!("*%{field}"), &rule.source, self.rules.catalogue()) {
            Ok(format) => format.render(context, arena, &mut out),
            Err(_) => return String::new(),
        }
        format!("   [{field} is {}]", String::from_utf8_lossy(&out))
    }

    /// Per rule, the parts that were never true or never false.
    pub fn coverage_text(&self, coverage: &Coverage) -> String {
        let mut text = String::new();
        let mut totals: BTreeMap<&str, usize> = BTreeMap::new();
        for traced in &self.traced {
            let fired = traced.whole.map_or(0, |id| coverage.count(id));
            let _ = writeln!(text, "\n{} (true for {fired} of {} events)", traced.name, coverage.events);
            let mut at = 0;
            traced.tree.walk(0, &mut |part, depth| {
                let id = traced.ids.get(at).copied().flatten();
                at += 1;
                let verdict = coverage.verdict(id);
                *totals.entry(verdict).or_default() += 1;
                let _ = writeln!(text, "  {verdict:12} {}{}", "  ".repeat(depth), label(part));
            });
        }
        let all: usize = totals.values().sum();
        let both = totals.get(BOTH).copied().unwrap_or(0);
        let _ = writeln!(text, "\n{both} of {all} parts of conditions were seen both true and false");
        text
    }
}

impl Coverage {
    pub fn add(&mut self, seen: Seen) {
        self.events += 1;
        for id in seen.0 {
            *self.counts.entry(id).or_default() += 1;
        }
    }

    fn count(&self, id: RuleId) -> u64 {
        self.counts.get(&id).copied().unwrap_or(0)
    }

    fn verdict(&self, id: Option<RuleId>) -> &'static str {
        match id.map(|id| self.count(id)) {
            None => "not traced",
            Some(0) => "never true",
            Some(count) if count == self.events => "never false",
            Some(_) => BOTH,
        }
    }
}

fn label(part: &Part) -> &str {
    match part.kind {
        Kind::And => "all of",
        Kind::Or => "any of",
        Kind::Not => "none of",
        Kind::Check => &part.text,
    }
}

/// A rules file with one rule per part.
fn part_rules(at: usize, rule: &Rule, tree: &Part) -> String {
    let mut list = Vec::new();
    tree.walk(0, &mut |part, _| {
        list.push(serde_json::json!({
            "rule": format!("{PREFIX}{at}:{}", list.len()),
            "condition": part.text,
            "output": "part",
            "desc": "part",
            "priority": "DEBUG",
            "source": rule.source,
            "warn_evttypes": false,
            "skip-if-unknown-filter": true,
        }));
    });
    // JSON is YAML.
    serde_json::Value::Array(list).to_string()
}

fn ids(at: usize, tree: &Part, rules: &RuleSet) -> Vec<Option<RuleId>> {
    let mut ids = Vec::new();
    tree.walk(0, &mut |_, _| {
        let id = rules.by_name(&format!("{PREFIX}{at}:{}", ids.len())).map(|rule| rule.id);
        ids.push(id);
    });
    ids
}

const PREFIX: &str = "hawkbell part ";
const BOTH: &str = "both";
