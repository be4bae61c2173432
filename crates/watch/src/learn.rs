//! Proposing exceptions from what a capture of normal work raises: a capture and rules come in; per rule the combinations
//! of process and file behind its alerts become exception values, and a second replay with them shows exactly which
//! alerts they would silence. Nothing is changed: the proposal is text for a person to judge.

use crate::cases::{each_event, matching, new_engine};
use crate::prepare::{Prepared, setup};
use bumpalo::Bump;
use engine::{Context, is_judged};
use event::Catalogue;
use rules::output::OutputFormat;
use rules::{Loader, Matching, Program, Rule, RuleSet};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// What was learned from a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// A rules file to load after the others.
    pub proposal: String,
    /// What the proposal silences and what stays, by rule.
    pub effect: String,
}

/// How eagerly to propose.
#[derive(Debug, Clone, Copy)]
pub struct Eagerness {
    /// Combinations seen less often are left alone.
    pub min_alerts: u64,
    /// Rules that would need more values than this are left alone: they need a person.
    pub max_values: usize,
}

/// Alerts of one rule by the values of its fields.
type Combinations = BTreeMap<Vec<String>, u64>;

/// Learns from `path`.
///
/// # Errors
/// The capture cannot be read, or the proposal does not load (which would be a defect).
pub fn learn(path: &Path, prepared: &Prepared, eagerness: Eagerness) -> Result<Lesson, String> {
    let seen = observe(path, prepared)?;
    let proposals: Vec<Proposal<'_>> = seen.iter().filter_map(|seen| propose(seen, eagerness)).collect();
    let text: String = proposals.iter().map(Proposal::text).collect();
    let after = replay_with(path, prepared, &text)?;
    Ok(Lesson { effect: effect(&seen, &after, eagerness), proposal: header(&proposals) + &text })
}

/// One rule and what raised it.
struct Observed<'p> {
    rule: &'p Rule,
    fields: Vec<&'static str>,
    formats: Vec<OutputFormat>,
    combinations: Combinations,
    alerts: u64,
}

fn observe<'p>(path: &Path, prepared: &'p Prepared) -> Result<Vec<Observed<'p>>, String> {
    let program = prepared.rules.program(Matching::All);
    let catalogue = prepared.rules.catalogue();
    let mut observed: Vec<Observed<'p>> = prepared.rules.rules().iter().map(|rule| watched(rule, catalogue)).collect();
    each_event(path, &mut new_engine(prepared), &mut |engine, event| {
        if !is_judged(event.kind) {
            return;
        }
        let arena = Bump::new();
        let context = engine.context(event, "syscall");
        for id in matching(&program, &context, &arena) {
            if let Some(observed) = observed.get_mut(id.0 as usize) {
                observed.note(&context, &arena);
            }
        }
    })?;
    Ok(observed)
}

fn watched<'p>(rule: &'p Rule, catalogue: &Catalogue) -> Observed<'p> {
    let mentions = |field: &str| rule.output.fields().iter().any(|f| f.text == field) || rule.condition.contains(field);
    let compile = |field: &str| OutputFormat::compile(&format!("%{field}"), &rule.source, catalogue).ok();
    let fields: Vec<&'static str> = CANDIDATES
        .iter()
        .filter(|(field, when)| (when.is_empty() || mentions(when)) && compile(field).is_some())
        .map(|(field, _)| *field)
        .collect();
    let formats = fields.iter().filter_map(|field| compile(field)).collect();
    Observed { rule, fields, formats, combinations: Combinations::new(), alerts: 0 }
}

impl Observed<'_> {
    fn note(&mut self, context: &Context<'_>, arena: &Bump) {
        let value = |format: &OutputFormat| {
            let mut out = Vec::new();
            format.render(context, arena, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        self.alerts += 1;
        let values = self.formats.iter().map(value).collect();
        *self.combinations.entry(values).or_default() += 1;
    }
}

/// Exception values for one rule.
struct Proposal<'o> {
    rule: &'o Rule,
    fields: Vec<&'static str>,
    values: Vec<(Vec<String>, u64)>,
}

/// By file name, or by directory where there are too many names.
fn propose<'o>(observed: &'o Observed<'_>, eagerness: Eagerness) -> Option<Proposal<'o>> {
    propose_without("fd.directory", observed, eagerness).or_else(|| propose_without("fd.name", observed, eagerness))
}

fn propose_without<'o>(left_out: &str, observed: &'o Observed<'_>, eagerness: Eagerness) -> Option<Proposal<'o>> {
    // A field that some alert lacks cannot be compared: `=` is never true of an absent field.
    let is_complete = |at: usize| observed.combinations.keys().all(|all| all.get(at).is_some_and(|v| is_usable(v)));
    let is_wanted = |at: &usize| observed.fields.get(*at).is_some_and(|field| *field != left_out) && is_complete(*at);
    let keep: Vec<usize> = (0..observed.fields.len()).filter(is_wanted).collect();
    let mut merged: Combinations = BTreeMap::new();
    for (values, count) in &observed.combinations {
        let kept = keep.iter().filter_map(|at| values.get(*at).cloned()).collect();
        *merged.entry(kept).or_default() += count;
    }
    let values: Vec<_> = merged.into_iter().filter(|(_, count)| *count >= eagerness.min_alerts).collect();
    let fields: Vec<&'static str> = keep.iter().filter_map(|at| observed.fields.get(*at).copied()).collect();
    let is_reasonable = !values.is_empty() && values.len() <= eagerness.max_values && !fields.is_empty();
    is_reasonable.then_some(Proposal { rule: observed.rule, fields, values })
}

/// Whether a value can stand in an exception as it is.
fn is_usable(value: &str) -> bool {
    !value.is_empty() && value != "<NA>" && !value.contains(['"', '\\']) && !value.chars().any(char::is_control)
}

impl Proposal<'_> {
    fn text(&self) -> String {
        let comps = vec!["="; self.fields.len()].join(", ");
        let mut text = format!(
            "- rule: {}\n  exceptions:\n  - name: {EXCEPTION}\n    fields: [{}]\n    comps: [{comps}]\n    values:\n",
            quoted(&self.rule.name),
            self.fields.join(", ")
        );
        for (values, count) in &self.values {
            let list: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            let _ = writeln!(text, "    - [{}]   # alerts: {count}", list.join(", "));
        }
        text + "  override:\n    exceptions: append\n"
    }
}

fn header(proposals: &[Proposal<'_>]) -> String {
    if proposals.is_empty() {
        return "# nothing to propose: no combination was frequent enough\n".to_owned();
    }
    "# Exceptions proposed from a capture. Every line silences what it names for good: keep only what is normal here.\n"
        .to_owned()
}

/// A JSON string is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Alerts by rule with the proposal in force.
fn replay_with(path: &Path, prepared: &Prepared, proposal: &str) -> Result<BTreeMap<String, u64>, String> {
    let mut loader = Loader::new(setup(&prepared.config).0);
    for file in &prepared.texts.files {
        loader.load(&file.name, &file.text);
    }
    let result = loader.load("proposal", if proposal.is_empty() { "[]" } else { proposal });
    if !result.successful() {
        return Err(result.verbose());
    }
    let rules: RuleSet = loader.rule_set().clone();
    let program: Program = rules.program(Matching::All);
    let mut alerts = BTreeMap::new();
    each_event(path, &mut new_engine(prepared), &mut |engine, event| {
        if is_judged(event.kind) {
            let arena = Bump::new();
            let matched = matching(&program, &engine.context(event, "syscall"), &arena);
            for rule in matched.iter().filter_map(|id| rules.rule(*id)) {
                *alerts.entry(rule.name.clone()).or_default() += 1;
            }
        }
    })?;
    Ok(alerts)
}

fn effect(seen: &[Observed<'_>], after: &BTreeMap<String, u64>, eagerness: Eagerness) -> String {
    let mut text = format!("{:>8} {:>8} {:>8}  rule\n", "alerts", "silenced", "stay");
    for observed in seen.iter().filter(|observed| observed.alerts > 0) {
        let stay = after.get(&observed.rule.name).copied().unwrap_or(0);
        let silenced = observed.alerts.saturating_sub(stay);
        let why = match observed.combinations.len() {
            count if silenced == 0 && count > eagerness.max_values => {
                "  (too many different ones: tune the rule itself)"
            }
            _ if silenced == 0 => "  (no combination was frequent enough)",
            _ => "",
        };
        let _ = writeln!(text, "{:>8} {silenced:>8} {stay:>8}  {}{why}", observed.alerts, observed.rule.name);
    }
    text
}

/// Fields that exceptions are made of, and what the rule has to mention for that; nothing = always.
const CANDIDATES: &[(&str, &str)] = &[
    ("proc.name", ""),
    ("proc.pname", ""),
    ("fd.directory", "fd.name"),
    ("fd.name", "fd.name"),
    ("fd.sport", "fd.sport"),
    ("container.image.repository", "container.image.repository"),
];
const EXCEPTION: &str = "learned";
