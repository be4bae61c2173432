//! Compiles everything collected so far: lists, then macros, then rules. Run from scratch after each file. The first
//! fault ends it.

use super::collector::Collector;
use super::context::Context;
use super::exceptions;
use super::fault::{Fault, Outcome, Report};
use super::item::RuleItem;
use super::lists::{self, CompiledList};
use super::macros::{self, CompiledMacro, Parsed};
use super::report::{ErrorCode, WarningCode};
use super::{Setup, appended, warnings};
use crate::check::{CheckError, Typing};
use crate::lang::ast::{Expr, Pos};
use crate::lang::events::{Events, events_of};
use crate::output::OutputFormat;
use crate::ruleset::{ExtraField, Rule, RuleId};
use std::collections::HashSet;
use std::sync::Arc;

/// The result of a compilation, kept for descriptions.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    pub lists: Vec<CompiledList>,
    pub macros: Vec<CompiledMacro>,
    pub rules: Vec<CompiledRule>,
    pub used_lists: HashSet<String>,
    pub used_macros: HashSet<String>,
}

#[derive(Clone, Debug)]
pub struct CompiledRule {
    pub rule: Rule,
    /// The condition with lists and macros written out.
    pub expr: Expr,
    /// Macros that the condition names itself.
    pub macros: Vec<String>,
    /// Lists in the condition's own text.
    pub lists: Vec<String>,
    pub exceptions: Vec<super::item::ExceptionItem>,
}

/// Compiles `collector`.
pub fn compile(collector: &Collector, setup: &Setup, report: &mut Report<'_>) -> Outcome<Compiled> {
    let mut compiled = Compiled::default();
    compiled.lists = lists::compile(&collector.lists, &mut compiled.used_lists);
    compiled.macros = macros::compile(&collector.macros, &compiled.lists)?;
    for item in &compiled.macros {
        compiled.used_lists.extend(item.lists.iter().cloned());
        item.expr.each_macro(&mut |name| {
            compiled.used_macros.insert(name.to_owned());
        });
    }
    let is_async = |name: &str| setup.is_async_event(name);
    let mut typings = Typings { setup, is_async: &is_async, by_source: Vec::new() };
    for item in collector.rules.iter().filter(|r| r.source_is_known) {
        let mut rules = RuleCompiler { collector, setup, compiled: &mut compiled, typings: &mut typings, report };
        rules.compile(item)?;
    }
    warn_unused(&compiled, collector, report);
    Ok(compiled)
}

fn warn_unused(compiled: &Compiled, collector: &Collector, report: &mut Report<'_>) {
    for item in collector.macros.iter().filter(|m| !compiled.used_macros.contains(&m.name)) {
        report.warn(WarningCode::UnusedMacro, "Macro not referred to by any other rule/macro", &item.context);
    }
    for item in collector.lists.iter().filter(|l| !compiled.used_lists.contains(&l.name)) {
        report.warn(WarningCode::UnusedList, "List not referred to by any other rule/macro", &item.context);
    }
}

/// What was compiled before is shared between the rules of one source.
struct Typings<'c> {
    setup: &'c Setup,
    is_async: &'c dyn Fn(&str) -> bool,
    by_source: Vec<(String, Typing<'c>)>,
}

impl<'c> Typings<'c> {
    fn of(&mut self, source: &'c str) -> &mut Typing<'c> {
        let at = self.by_source.iter().position(|(name, _)| name == source).unwrap_or_else(|| {
            let (catalogue, is_async) = (&*self.setup.catalogue, self.is_async);
            let typing = Typing::new(crate::check::Context { source, catalogue, is_async });
            self.by_source.push((source.to_owned(), typing));
            self.by_source.len() - 1
        });
        &mut self.by_source[at].1
    }
}

struct RuleCompiler<'r, 'c, 'l> {
    collector: &'c Collector,
    setup: &'c Setup,
    compiled: &'r mut Compiled,
    typings: &'r mut Typings<'c>,
    report: &'r mut Report<'l>,
}

impl<'c> RuleCompiler<'_, 'c, '_> {
    fn compile(&mut self, item: &'c RuleItem) -> Outcome<()> {
        let condition = exceptions::apply(&item.condition, &item.exceptions)?;
        let Some((output, extra_fields)) = self.output(item)? else { return Ok(()) };
        let parsed = macros::parse(&condition, &self.compiled.lists, &item.condition_context)?;
        let macros = self.mark_used(&parsed);
        let expr = macros::resolve(&parsed, &self.compiled.macros, &self.collector.macros, &item.condition_context)?;
        warnings::of_condition(&expr, &parsed.text, item, &self.setup.catalogue, self.report);
        let Some((typed, events)) = self.check(item, &expr, &parsed)? else { return Ok(()) };
        self.warn_broad(item, &events);
        let id = RuleId(u32::try_from(self.compiled.rules.len()).unwrap_or(u32::MAX));
        let rule = Rule {
            id,
            name: item.name.clone(),
            description: item.description.clone(),
            source: item.source.clone(),
            priority: item.priority,
            tags: item.tags.iter().cloned().collect(),
            condition: item.condition.clone(),
            output_text: item.output.clone(),
            output,
            extra_fields,
            enabled: item.enabled,
            capture: item.capture,
            capture_duration_ms: item.capture_duration_ms,
            typed: Arc::new(typed),
            events,
        };
        let exceptions = item.exceptions.clone();
        self.compiled.rules.push(CompiledRule { rule, expr, macros, lists: parsed.lists, exceptions });
        Ok(())
    }

    fn mark_used(&mut self, parsed: &Parsed) -> Vec<String> {
        self.compiled.used_lists.extend(parsed.lists.iter().cloned());
        let mut macros = Vec::new();
        parsed.expr.each_macro(&mut |name| {
            if !macros.iter().any(|m| m == name) {
                macros.push(name.to_owned());
            }
        });
        self.compiled.used_macros.extend(macros.iter().cloned());
        macros
    }

    /// `None` when the rule is to be skipped.
    fn output(&mut self, item: &RuleItem) -> Outcome<Option<(OutputFormat, Vec<ExtraField>)>> {
        let mut text = item.output.clone();
        if text.contains("%container.info") {
            let message = "'container.info' is deprecated and removed from the rule output";
            self.report.warn(WarningCode::DeprecatedItem, message, &item.output_context);
            text = text.replace("%container.info", "").trim().to_owned();
        }
        warnings::of_output(&text, &item.output_context, self.report);
        let compiled = appended::compile(&text, item, self.setup);
        match compiled {
            Ok(output) => Ok(Some(output)),
            Err(error) => self.skip_or_fail(item, ErrorCode::CompileOutput, &error.0, &item.output_context),
        }
    }

    #[allow(clippy::type_complexity)]
    fn check(
        &mut self,
        item: &'c RuleItem,
        expr: &Expr,
        parsed: &Parsed,
    ) -> Outcome<Option<(crate::check::Typed, Events)>> {
        let typed = self.typings.of(&item.source).compile(expr);
        let (CheckError(message), pos) = match typed {
            Ok(typed) => match events_of(expr, &|name| self.setup.is_async_event(name)) {
                Ok(events) => return Ok(Some((typed, events))),
                Err(error) => (CheckError(error.0), Pos::default()),
            },
            Err((error, check)) => (error, check.map_or(Pos::default(), |c| c.pos)),
        };
        let context = item.condition_context.condition(&parsed.text, pos);
        self.skip_or_fail(item, ErrorCode::CompileCondition, &message, &context)
    }

    fn skip_or_fail<T>(
        &mut self,
        item: &RuleItem,
        code: ErrorCode,
        message: &str,
        context: &Context,
    ) -> Outcome<Option<T>> {
        let skippable = SKIPPABLE.iter().any(|fragment| message.contains(fragment));
        if item.skip_if_unknown_filter && skippable {
            self.report.warn(WarningCode::UnknownFilter, message, context);
            return Ok(None);
        }
        Fault::of(code, message, context)
    }

    fn warn_broad(&mut self, item: &RuleItem, events: &Events) {
        if item.source == "syscall" && item.warn_evttypes && events.kinds.len() > BROAD_KINDS {
            let message = "Rule matches too many evt.type values. This has a significant performance penalty.";
            self.report.warn(WarningCode::NoEvttype, message, &item.condition_context);
        }
    }
}

/// What an error says when `skip-if-unknown-filter` makes it a warning.
const SKIPPABLE: &[&str] = &["nonexistent field", "invalid formatting token", "unknown event type", "unknown filter:"];

/// Rules for more event kinds than this are warned about.
const BROAD_KINDS: usize = 100;
