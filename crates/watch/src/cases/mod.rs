//! Tests of rules, written as text: cases with processes, synthetic events or a capture come in; which rules fired, which
//! should have, and which parts of every condition were ever true or false go out. The same engine and program judge them
//! as judge the machine, so a case that passes here passes there.

mod encode;
mod parse;
mod trace;

pub use parse::{Case, CaseError, read};
pub use trace::{Coverage, Why};

use crate::prepare::Prepared;
use crate::replay::engine_options;
use bumpalo::Bump;
use capture::{Item, Reader};
use engine::{Context, Engine, is_judged};
use event::Event;
use event::snapshot::Snapshot;
use rules::{Matching, Program, RuleId, RuleSet};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub name: String,
    /// Rules that should have fired and did not.
    pub missing: Vec<String>,
    /// Rules that fired and should not have.
    pub unexpected: Vec<String>,
    /// Why the case could not be run.
    pub error: Option<String>,
}

impl Outcome {
    pub fn passed(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.error.is_none()
    }
}

/// Runs `cases` against `prepared`, adding to `coverage` what each condition's parts evaluated to.
pub fn run(cases: &[Case], prepared: &Prepared, coverage: &mut Coverage) -> Vec<Outcome> {
    cases.iter().map(|case| run_case(case, prepared, coverage)).collect()
}

fn run_case(case: &Case, prepared: &Prepared, coverage: &mut Coverage) -> Outcome {
    let program = prepared.rules.program(Matching::All);
    let mut fired = BTreeSet::new();
    let mut look = |context: &Context<'_>, arena: &Bump| {
        fired.extend(
            matching(&program, context, arena).iter().filter_map(|id| prepared.rules.rule(*id)).map(|r| r.name.clone()),
        );
        coverage.add(&prepared.rules, context, arena);
    };
    let error = feed(case, prepared, &mut look).err().or_else(|| unknown_rule(case, &prepared.rules));
    let expected: BTreeSet<String> = case.alerts.iter().cloned().collect();
    let is_wrong = |rule: &&String| case.silent.contains(rule) || (case.is_exact && !expected.contains(*rule));
    Outcome {
        name: case.name.clone(),
        missing: expected.difference(&fired).cloned().collect(),
        unexpected: fired.iter().filter(is_wrong).cloned().collect(),
        error,
    }
}

/// A misspelt name under `silent` would pass for ever.
fn unknown_rule(case: &Case, rules: &RuleSet) -> Option<String> {
    let name = case.alerts.iter().chain(&case.silent).find(|name| rules.by_name(name).is_none())?;
    Some(format!("rule `{name}` is not loaded (see `hawkbell rules list`)"))
}

/// Shows `look` every event of the case that rules may see.
fn feed(case: &Case, prepared: &Prepared, look: &mut dyn FnMut(&Context<'_>, &Bump)) -> Result<(), String> {
    let mut engine = new_engine(prepared);
    if let Some(path) = &case.capture {
        let fault = each_event(path, &mut engine, &mut |engine, event| show(engine, event, look))?;
        return fault.map_or(Ok(()), Err);
    }
    engine.seed(Snapshot { procs: case.processes.clone(), ..Snapshot::default() });
    for bytes in &case.events {
        let event = Event::decode(bytes, 0).map_err(|error| format!("event: {error}"))?;
        engine.begin(&event);
        show(&engine, &event, look);
    }
    Ok(())
}

pub(crate) fn new_engine(prepared: &Prepared) -> Engine {
    let mut engine = Engine::new(engine_options(prepared));
    engine.around.zone = jiff::tz::TimeZone::system();
    for (id, value) in crate::prepare::setup(&prepared.config).1 {
        engine.around.set_static(id, &value);
    }
    engine
}

fn show(engine: &Engine, event: &Event<'_>, look: &mut dyn FnMut(&Context<'_>, &Bump)) {
    if is_judged(event.kind) {
        let arena = Bump::new();
        look(&engine.context(event, "syscall"), &arena);
    }
}

/// Feeds a capture to `engine` and calls `with` after each event that rules may see. Returns what ended a capture that is
/// cut or damaged before its end.
pub(crate) fn each_event(
    path: &Path,
    engine: &mut Engine,
    with: &mut dyn FnMut(&Engine, &Event<'_>),
) -> Result<Option<String>, String> {
    let wrong = |cause: String| format!("capture `{}`: {cause}", path.display());
    let (input, _) = crate::replay::open(path).map_err(|e| wrong(e.to_string()))?;
    let mut reader = Reader::open(input).map_err(|e| wrong(e.to_string()))?;
    engine.seed(reader.take_snapshot());
    loop {
        match reader.next() {
            Ok(Some(Item::Event(record))) => {
                engine.begin(&record.event);
                if !record.state_only {
                    with(engine, &record.event);
                }
            }
            Ok(Some(Item::Section(snapshot))) => engine.seed(snapshot.clone()),
            Ok(None) => return Ok(None),
            Err(error) if error.concerns_one_event() => {}
            Err(error) => return Ok(Some(wrong(error.to_string()))),
        }
    }
}

pub(crate) fn matching(program: &Program, context: &Context<'_>, arena: &Bump) -> Vec<RuleId> {
    let mut matched = Vec::new();
    if let Some(source) = program.source(context.source)
        && program.wants(source, context.event.kind)
    {
        program.evaluate(source, context.event.kind, context, arena, &mut matched);
    }
    matched
}

/// Explains for event `number` (as `evt.num` counts) of a capture why `rule` matched or did not.
///
/// # Errors
/// The capture cannot be read, has no such event, or no rule has that name.
pub fn why(path: &Path, number: u64, rule: &str, prepared: &Prepared) -> Result<Why, String> {
    let rules: &RuleSet = &prepared.rules;
    let rule = rules.by_name(rule).ok_or_else(|| format!("rule \"{rule}\" is not loaded"))?;
    let program = prepared.rules.program(Matching::All);
    let mut found = None;
    let fault = each_event(path, &mut new_engine(prepared), &mut |engine, event| {
        if engine.events() == number {
            show(engine, event, &mut |context, arena| {
                let matched = matching(&program, context, arena).contains(&rule.id);
                found = Some(trace::why(rules, rule, matched, (context, arena)));
            });
        }
    })?;
    let missing = || format!("capture `{}` has no event {number} that rules may see", path.display());
    found.ok_or_else(|| fault.unwrap_or_else(missing))
}

/// The outcomes as text, failures first explained.
pub fn report(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let verdict = if outcome.passed() { "ok  " } else { "FAIL" };
        let _ = writeln!(text, "{verdict} {}", outcome.name);
        if let Some(error) = &outcome.error {
            let _ = writeln!(text, "       {error}");
        }
        for rule in &outcome.missing {
            let _ = writeln!(text, "       did not fire: {rule}");
        }
        for rule in &outcome.unexpected {
            let _ = writeln!(text, "       fired, but should not: {rule}");
        }
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    let _ = writeln!(text, "\n{} cases, {failed} failed", outcomes.len());
    text
}
