//! The way of one event from bytes to alerts: the engine updates its state, the program says which rules match, the
//! writer makes the line, outputs take it. The same for live events and captures. For an event that matches nothing,
//! nothing is allocated, locked or printed.

use crate::config::{Config, Noise as NoiseConfig, Style};
use crate::internal::Internal;
use crate::names::Addresses;
use crate::noise::{Noise, Summary};
use crate::outputs::{Message, Outputs};
use crate::prepare::{Prepared, alert_style, setup};
use crate::reload::Retired;
use crate::stats::Stats;
use bumpalo::Bump;
use engine::{Context, Engine, is_judged};
use event::{Event, FieldId};
use rules::output::OutputFormat;
use rules::{AlertWriter, Priority, Program, Rule, RuleId, RuleSet, SourceIndex};
use std::collections::HashMap;

/// Rules, state and everything needed to tell.
pub struct Judge {
    pub engine: Engine,
    pub desk: Desk,
    verdict: Verdict,
    matched: Vec<RuleId>,
    arena: Bump,
}

/// Where matches are counted, thinned out and told.
pub struct Desk {
    pub stats: Stats,
    pub noise: Noise,
    pub outputs: Outputs,
}

/// What a reload replaces.
pub struct Verdict {
    rules: RuleSet,
    program: Program,
    syscall: Option<SourceIndex>,
    writer: AlertWriter,
    style: Style,
    hostname: String,
    /// How to print the fields that decide about repeated alerts.
    noise_formats: HashMap<(String, String), OutputFormat>,
    noise: Vec<NoiseConfig>,
    statics: Vec<(FieldId, String)>,
    line: String,
}

impl Judge {
    pub fn new(verdict: Verdict, mut engine: Engine, outputs: Outputs) -> Self {
        engine.around.zone = jiff::tz::TimeZone::system();
        for (id, value) in &verdict.statics {
            engine.around.set_static(*id, value);
        }
        Judge {
            engine,
            desk: Desk {
                stats: Stats::new(&verdict.rules),
                noise: Noise::new(&verdict.noise, &verdict.rules),
                outputs,
            },
            verdict,
            matched: Vec::with_capacity(16),
            arena: Bump::with_capacity(ARENA_BYTES),
        }
    }

    /// Updates state with `event` and tells what matches. Returns the rules that matched.
    #[inline]
    pub fn event<'e>(&mut self, event: &'e Event<'e>) -> &[RuleId] {
        self.matched.clear();
        self.engine.begin(event);
        let wants = |source: &SourceIndex| is_judged(event.kind) && self.verdict.program.wants(*source, event.kind);
        let Some(source) = self.verdict.syscall.filter(wants) else { return &self.matched };
        let context = self.engine.context(event, "syscall");
        self.verdict.program.evaluate(source, event.kind, &context, &self.arena, &mut self.matched);
        if !self.matched.is_empty() {
            self.desk.tell(&mut self.verdict, &context, &self.arena, &self.matched);
        }
        self.arena.reset();
        if self.desk.noise.is_due(event.ts) {
            self.tell_held_back(event.ts, event.ts);
        }
        &self.matched
    }

    /// Updates state only: the event is none that rules may see.
    pub fn state_only(&mut self, event: &Event<'_>) {
        self.matched.clear();
        self.engine.begin(event);
    }

    /// Sends an alert about the watching itself.
    pub fn internal(&self, alert: &Internal, ts: u64) {
        self.desk.outputs.send(alert.message(ts, &self.verdict.style, &self.verdict.hostname));
    }

    /// Replaces rules and style (and outputs when there are new ones), keeping state and statistics.
    pub fn swap(&mut self, verdict: Verdict, outputs: Option<Outputs>) -> Retired {
        self.tell_held_back(u64::MAX, crate::now_ns());
        self.desk.stats.carry_over(&self.verdict.rules, &verdict.rules);
        self.desk.noise.replace(&verdict.noise, &verdict.rules);
        for (id, value) in &verdict.statics {
            self.engine.around.set_static(*id, value);
        }
        let outputs = outputs.map(|outputs| std::mem::replace(&mut self.desk.outputs, outputs));
        Retired { verdict: std::mem::replace(&mut self.verdict, verdict), outputs }
    }

    /// Addresses of host names that rules compare with.
    pub fn know_addresses(&mut self, addresses: Addresses) {
        let known = addresses.into_iter().map(|(name, ips)| (name.into_bytes().into_boxed_slice(), ips));
        self.engine.around.addresses.extend(known);
    }

    /// Tells, as of `now`, what was held back in windows that ended before `ts`.
    pub fn tell_held_back(&mut self, ts: u64, now: u64) {
        for summary in self.desk.noise.sweep(ts) {
            self.internal(&held_back(&summary), now);
        }
    }

    /// The rules that the last event matched.
    pub fn matched(&self) -> &[RuleId] {
        &self.matched
    }

    /// Ends judging; what is left are the outputs, to be finished.
    pub fn into_outputs(self) -> Outputs {
        self.desk.outputs
    }

    pub fn rules(&self) -> &RuleSet {
        &self.verdict.rules
    }

    pub fn program(&self) -> &Program {
        &self.verdict.program
    }
}

impl Verdict {
    pub fn new(prepared: &Prepared) -> Self {
        let catalogue = prepared.rules.catalogue();
        Verdict {
            syscall: prepared.program.source("syscall"),
            program: prepared.program.clone(),
            writer: AlertWriter::new(alert_style(&prepared.config, &prepared.hostname), catalogue.clone()),
            style: prepared.config.style.clone(),
            hostname: prepared.hostname.clone(),
            noise_formats: noise_formats(&prepared.config, &prepared.rules),
            rules: prepared.rules.clone(),
            noise: prepared.config.noise.clone(),
            statics: setup(&prepared.config).1,
            line: String::with_capacity(1024),
        }
    }
}

impl Verdict {
    /// Host names that rules compare addresses with.
    pub fn host_names(&self) -> &[String] {
        self.program.host_names()
    }
}

impl Desk {
    fn tell(&mut self, verdict: &mut Verdict, context: &Context<'_>, arena: &Bump, matched: &[RuleId]) {
        let Verdict { rules, writer, noise_formats, line, .. } = verdict;
        for rule in matched.iter().filter_map(|id| rules.rule(*id)) {
            self.stats.count(rule.id, rule.priority);
            let value = |field: &str| print(noise_formats, &rule.source, field, context, arena);
            if self.noise.admit(rule, context.event.ts, &value) {
                line.clear();
                writer.line(rule, context, arena, line);
                self.outputs.send(message(rule, line));
            }
        }
    }
}

fn message(rule: &Rule, line: &str) -> Message {
    Message { priority: rule.priority, rule: rule.name.clone(), line: line.to_owned() }
}

fn print(
    formats: &HashMap<(String, String), OutputFormat>,
    source: &str,
    field: &str,
    context: &Context<'_>,
    arena: &Bump,
) -> String {
    let mut out = Vec::new();
    if let Some(format) = formats.get(&(source.to_owned(), field.to_owned())) {
        format.render(context, arena, &mut out);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A format per rule source and key. Keys that are no fields print nothing: the rule alone decides then.
fn noise_formats(config: &Config, rules: &RuleSet) -> HashMap<(String, String), OutputFormat> {
    let mut formats = HashMap::new();
    for key in config.noise.iter().flat_map(|noise| &noise.keys) {
        for source in rules.rules().iter().map(|rule| &rule.source) {
            let compile = || OutputFormat::compile(&format!("%{key}"), source, rules.catalogue());
            if !formats.contains_key(&(source.clone(), key.clone()))
                && let Ok(format) = compile()
            {
                formats.insert((source.clone(), key.clone()), format);
            }
        }
    }
    formats
}

fn held_back(summary: &Summary) -> Internal {
    let text = format!(
        "hawkbell internal: {} repeated alerts of rule \"{}\" held back within {} s",
        summary.held_back,
        summary.rule,
        summary.window_ms as f64 / 1000.0
    );
    let mut alert = Internal::new("hawkbell internal: repeated alerts", Priority::Informational, text)
        .field("rule", summary.rule.clone())
        .field("held_back", summary.held_back);
    for (field, value) in &summary.values {
        alert = alert.field(field, value.clone());
    }
    alert
}

const ARENA_BYTES: usize = 64 << 10;
