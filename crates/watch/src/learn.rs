//! Proposing exceptions from what a capture of normal work raises: a capture and rules come in; per rule the combinations
//! of process and file or server behind its alerts become exception values, and a second replay with them shows exactly
//! which alerts they would silence. Only values that can come again are named: no client ports, no process numbers.
//! Nothing is changed: the proposal is text for a person to judge.

use crate::cases::{each_event, matching, new_engine};
use crate::prepare::{Prepared, setup};
use crate::replay::STANDARD_INPUT;
use bumpalo::Bump;
use engine::{Context, is_judged};
use event::Catalogue;
use rules::output::OutputFormat;
use rules::{Loader, Matching, Program, Rule, RuleSet};
use sha2::{Digest, Sha256};
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
    /// The capture is cut or damaged: only what came before counts.
    pub fault: Option<String>,
}

/// How eagerly to propose.
#[derive(Debug, Clone, Copy)]
pub struct Eagerness {
    /// Combinations seen less often are left alone.
    pub min_alerts: u64,
    /// Rules that would need more values than this are left alone: they need a person.
    pub max_values: usize,
}

/// Alerts of one rule by the values of its fields; `None` where an alert has nothing to compare.
type Combinations = BTreeMap<Vec<Option<String>>, u64>;

/// Learns from `path`.
///
/// # Errors
/// The capture cannot be read, or the proposal does not load (which would be a defect).
pub fn learn(path: &Path, prepared: &Prepared, eagerness: Eagerness) -> Result<Lesson, String> {
    if path == Path::new(STANDARD_INPUT) {
        return Err("a capture to learn from is read twice: give the name of a file".to_owned());
    }
    let (seen, fault) = observe(path, prepared)?;
    let proposals: Vec<Proposal<'_>> = seen.iter().filter_map(|seen| propose(seen, eagerness)).collect();
    let text: String = proposals.iter().map(Proposal::text).collect();
    let after = replay_with(path, prepared, &text)?;
    Ok(Lesson { effect: effect(&seen, &after, eagerness), proposal: header(&proposals) + &text, fault })
}

/// One rule and what raised it.
struct Observed<'p> {
    rule: &'p Rule,
    fields: Vec<&'static str>,
    formats: Vec<OutputFormat>,
    /// Tells files from sockets; `None` where the rule's source has no such field.
    fd_kind: Option<OutputFormat>,
    combinations: Combinations,
    alerts: u64,
    /// Alerts about a file or socket that has no name to expect again.
    nameless: u64,
}

fn observe<'p>(path: &Path, prepared: &'p Prepared) -> Result<(Vec<Observed<'p>>, Option<String>), String> {
    let program = prepared.rules.program(Matching::All);
    let catalogue = prepared.rules.catalogue();
    let mut observed: Vec<Observed<'p>> = prepared.rules.rules().iter().map(|rule| watched(rule, catalogue)).collect();
    let fault = each_event(path, &mut new_engine(prepared), &mut |engine, event| {
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
    Ok((observed, fault))
}

fn watched<'p>(rule: &'p Rule, catalogue: &Catalogue) -> Observed<'p> {
    let mentions =
        |field: &str| rule.output.fields().iter().any(|f| f.text.starts_with(field)) || rule.condition.contains(field);
    let compile = |field: &str| OutputFormat::compile(&format!("%{field}"), &rule.source, catalogue).ok();
    let fields: Vec<&'static str> = CANDIDATES
        .iter()
        .filter(|(field, when)| (when.is_empty() || mentions(when)) && compile(field).is_some())
        .map(|(field, _)| *field)
        .collect();
    let formats = fields.iter().filter_map(|field| compile(field)).collect();
    let fd_kind = compile("fd.typechar");
    Observed { rule, fields, formats, fd_kind, combinations: Combinations::new(), alerts: 0, nameless: 0 }
}

impl Observed<'_> {
    fn note(&mut self, context: &Context<'_>, arena: &Bump) {
        self.alerts += 1;
        let print = |format: &OutputFormat| {
            let mut out = Vec::new();
            format.render(context, arena, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        let fd_kind = self.fd_kind.as_ref().map(print).unwrap_or_default();
        let is_file = matches!(fd_kind.as_str(), "f" | "d");
        let value = |(field, format): (&&str, &OutputFormat)| {
            // The name of a socket holds the client's port, that of a pipe is empty: neither comes again.
            let applies = is_file || !matches!(*field, "fd.name" | "fd.directory");
            Some(print(format)).filter(|value| applies && is_stable(field, value))
        };
        let values: Vec<Option<String>> = self.fields.iter().zip(&self.formats).map(value).collect();
        let names_fd = |(field, value): (&&str, &Option<String>)| field.starts_with("fd.") && value.is_some();
        let is_about_fd = self.fields.iter().any(|field| field.starts_with("fd.")) && !matches!(&*fd_kind, "" | "<NA>");
        // Without file or server, the exception would silence everything that the process does.
        if is_about_fd && !self.fields.iter().zip(&values).any(names_fd) {
            self.nameless += 1;
        } else {
            *self.combinations.entry(values).or_default() += 1;
        }
    }
}

/// Whether a value can stand in an exception as it is, and can come again.
fn is_stable(field: &str, value: &str) -> bool {
    // A server on a port that the kernel chose has another one next time.
    let is_ephemeral = field == "fd.sport" && value.parse::<u16>().is_ok_and(|port| port >= FIRST_EPHEMERAL_PORT);
    let is_text =
        !value.is_empty() && value != "<NA>" && !value.contains(['"', '\\']) && !value.chars().any(char::is_control);
    let names_process = value.strip_prefix("/proc/").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    is_text && !names_process && !is_ephemeral
}

/// Exceptions for one rule.
struct Proposal<'o> {
    rule: &'o Rule,
    exceptions: Vec<Exception>,
}

/// Values of fields that occur together.
struct Exception {
    fields: Vec<&'static str>,
    values: Vec<(Vec<String>, u64)>,
}

/// By file name and server address, or more widely where there are too many of them.
fn propose<'o>(observed: &'o Observed<'_>, eagerness: Eagerness) -> Option<Proposal<'o>> {
    WIDER_AND_WIDER.iter().find_map(|left_out| propose_without(left_out, observed, eagerness))
}

fn propose_without<'o>(left_out: &[&str], observed: &'o Observed<'_>, eagerness: Eagerness) -> Option<Proposal<'o>> {
    // An exception compares all its fields, and `=` is never true of an absent one: alerts that have the same fields
    // share an exception.
    let mut by_fields: BTreeMap<Vec<usize>, BTreeMap<Vec<String>, u64>> = BTreeMap::new();
    for (values, count) in &observed.combinations {
        let is_left_out = |at: usize| observed.fields.get(at).is_some_and(|field| left_out.contains(field));
        let there = values.iter().enumerate().filter(|(at, _)| !is_left_out(*at));
        let (fields, values): (Vec<usize>, Vec<String>) =
            there.filter_map(|(at, value)| Some((at, value.clone()?))).unzip();
        *by_fields.entry(fields).or_default().entry(values).or_default() += count;
    }
    let exceptions: Vec<Exception> = by_fields
        .into_iter()
        .map(|(fields, values)| Exception {
            fields: fields.iter().filter_map(|at| observed.fields.get(*at).copied()).collect(),
            values: values.into_iter().filter(|(_, count)| *count >= eagerness.min_alerts).collect(),
        })
        .filter(|exception| !exception.values.is_empty() && !exception.fields.is_empty())
        .collect();
    let count: usize = exceptions.iter().map(|exception| exception.values.len()).sum();
    (1..=eagerness.max_values).contains(&count).then_some(Proposal { rule: observed.rule, exceptions })
}

impl Proposal<'_> {
    fn text(&self) -> String {
        let mut text = format!("- rule: {}\n  exceptions:\n", quoted(&self.rule.name));
        for exception in &self.exceptions {
            text += &exception.text(&self.rule.name);
        }
        text + "  override:\n    exceptions: append\n"
    }
}

impl Exception {
    fn text(&self, rule: &str) -> String {
        let comps = vec!["="; self.fields.len()].join(", ");
        let fields = self.fields.join(", ");
        let mut values = String::new();
        for (combination, count) in &self.values {
            let list: Vec<String> = combination.iter().map(|value| quoted(value)).collect();
            let _ = writeln!(values, "    - [{}]   # alerts: {count}", list.join(", "));
        }
        // Exceptions of earlier proposals must not have the same name.
        let digest = Sha256::digest(format!("{rule}\n{fields}\n{values}"));
        let digest: String = digest.iter().take(3).map(|byte| format!("{byte:02x}")).collect();
        format!("  - name: learned_{digest}\n    fields: [{fields}]\n    comps: [{comps}]\n    values:\n{values}")
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
            _ if silenced == 0 && observed.nameless == observed.alerts => {
                "  (no file or server to name: tune the rule itself)"
            }
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

/// Where `net.ipv4.ip_local_port_range` begins by default.
const FIRST_EPHEMERAL_PORT: u16 = 32_768;
/// Fields that exceptions are made of, and what the rule has to mention for that; nothing = always.
const CANDIDATES: &[(&str, &str)] = &[
    ("proc.name", ""),
    ("proc.pname", ""),
    ("fd.directory", "fd."),
    ("fd.name", "fd."),
    ("fd.sip", "fd."),
    ("fd.sport", "fd."),
    ("container.image.repository", "container.image.repository"),
];
/// What to leave out of [`CANDIDATES`], attempt by attempt.
const WIDER_AND_WIDER: &[&[&str]] = &[&["fd.directory"], &["fd.name"], &["fd.name", "fd.sip"]];
