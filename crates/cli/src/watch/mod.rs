//! `hawkbell watch` (and the name `falco`): a command line comes in; either something is listed and the run ends, or
//! events are judged until somebody stops it. The order of the actions is the one users of the re-created system know.

mod args;
mod replay;

pub use replay::{command as replay_command, run as run_replay};

use crate::exit::{Exit, Failure, Outcome};
use crate::tools::Invocation;
use anyhow::Context;
use args::WatchArgs;
use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::io::Write;
use watch::config::{Config, Kind};
use watch::describe::{self, Describe};
use watch::listing::{FieldListing, Format};
use watch::log::Log;
use watch::prepare::{self, PrepareError, Prepared};
use watch::replay::RunError;
use watch::signals::Signals;

pub fn command() -> clap::Command {
    WatchArgs::command()
}

pub fn run(invocation: &Invocation) -> Outcome {
    if invocation.program != FALCO {
        return act(&invocation.parse_into()?, &invocation.program);
    }
    let args = invocation.parse_into().map_err(old_words);
    args.and_then(|args| act(&args, FALCO)).map_err(|failure| failure.label("Error"))
}

/// An unknown option in the words that users of the re-created system know.
fn old_words(failure: Failure) -> Failure {
    let Failure::Usage { error, .. } = &failure else { return failure };
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(option))) => {
            Failure::message(format!("Option '{}' does not exist", option.trim_start_matches('-')))
        }
        _ => failure,
    }
}

fn act(args: &WatchArgs, program: &str) -> Outcome {
    if let Some(text) = without_config(args) {
        return print(&text);
    }
    let options = args.options(program);
    let config = prepare::configure(&options).map_err(|error| explain(&error, program))?;
    if let Some(text) = with_config(args, &config)? {
        return print(&text);
    }
    let log = start_log(&config);
    if !args.validate.is_empty() {
        return validate(args, &config, &log);
    }
    if config.kind == Kind::Replay {
        return replay::judge(&options, config, &log);
    }
    let prepared = prepare::prepare(&options, config, &log).map_err(|error| explain(&error, program))?;
    if let Some(text) = with_rules(args, &prepared)? {
        return print(&text);
    }
    if options.dry_run {
        return Ok(Exit::OK);
    }
    let signals = Signals::listen()?;
    let report = watch::live::run(prepared, &options, (&log, &signals)).map_err(hint)?;
    replay::tell(&report)
}

/// The error with the step that fixes it, where one is known.
fn hint(error: RunError) -> Failure {
    let place = match error {
        RunError::Pidfile(_) => return Failure::new(error).exit(Exit(255)),
        RunError::Needs(_) => "`hawkbell replay CAPTURE` judges a recorded capture without any privilege",
        RunError::Sensor(_) => "`hawkbell probe` tells what this kernel can do",
        _ => return Failure::new(error),
    };
    Failure::new(error).help(place)
}

/// Lists that need no configuration; `None` when none was asked for.
fn without_config(args: &WatchArgs) -> Option<String> {
    let list = &args.list;
    if list.config_schema {
        let is_page = list.format() == Format::Markdown;
        return Some(if is_page { describe::config_keys() } else { describe::config_schema() });
    }
    if list.rule_schema {
        return Some(describe::rule_schema());
    }
    if args.ignored {
        return Some(describe::ignored_syscalls());
    }
    list.list_events.then(|| describe::events(list.format()))
}

/// Lists that depend on the configuration.
fn with_config(args: &WatchArgs, config: &Config) -> Result<Option<String>, Failure> {
    if args.version {
        return Ok(Some(describe::versions(config)));
    }
    if args.page_size {
        return Ok(Some(describe::page_size()));
    }
    if args.list.list_plugins {
        return Ok(Some(describe::plugins(config)));
    }
    if let Some(name) = &args.list.plugin_info {
        let missing = || Failure::message(format!("can't find plugin and print its info: {name}"));
        return describe::plugin(config, name).map(Some).ok_or_else(missing);
    }
    let Some(source) = &args.list.list else { return Ok(None) };
    let wanted = FieldListing {
        source: Some(source.as_str()).filter(|source| !source.is_empty()),
        names_only: args.list.names_only,
        with_types: args.common.verbose,
        format: args.list.format(),
    };
    let text = describe::fields(config, wanted);
    text.map(Some).ok_or_else(|| Failure::message("Value for --list must be a valid source type"))
}

/// Lists that need the rules.
fn with_rules(args: &WatchArgs, prepared: &Prepared) -> Result<Option<String>, Failure> {
    if args.support {
        return Ok(Some(describe::support(prepared)));
    }
    let only = args.list.describe.as_deref();
    if only.is_none() && !args.list.describe_all {
        return Ok(None);
    }
    let missing = || Failure::message(format!("Rule \"{}\" is not loaded", only.unwrap_or_default()));
    describe::rules(prepared, only).map(Some).ok_or_else(missing)
}

fn validate(args: &WatchArgs, config: &Config, log: &Log) -> Outcome {
    let what = match &args.list.describe {
        Some(rule) => Describe::Rule(rule),
        None if args.list.describe_all => Describe::All,
        None => Describe::Nothing,
    };
    let validation = describe::validate(&args.validate, config, what, log)?;
    print(&validation.text)?;
    validation.failure.map_or(Ok(Exit::OK), |text| Err(Failure::message(text)))
}

/// The log as configured, with its first lines.
pub fn start_log(config: &Config) -> Log {
    let log = Log::new(config.log, config.style.iso_time, "falco", &config.syslog_socket);
    log.info(&format!("hawkbell version: {} ({})", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH));
    if !config.files.is_empty() {
        log.info("Falco initialized with configuration files:");
    }
    for file in &config.files {
        match &file.misfit {
            None => log.info(&format!("   {} | schema validation: ok", file.path.display())),
            Some(misfit) => {
                log.warning(&format!("   {} | schema validation: failed for {misfit}", file.path.display()));
            }
        }
    }
    for note in &config.notes {
        log.info(note);
    }
    for warning in &config.warnings {
        log.warning(warning);
    }
    log
}

/// Writes `text` to standard output.
pub fn print(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output")?;
    Ok(Exit::OK)
}

/// The error as the re-created system words it, with what to try next.
pub fn explain(error: &PrepareError, program: &str) -> Failure {
    let failure = Failure::message(error.to_string());
    match error {
        PrepareError::NoConfig => {
            failure.help("`hawkbell watch` runs without one: shipped rules, alerts on standard output")
        }
        PrepareError::Read(_) => {
            failure.help(format!("try `{program} -r RULES_FILE`; `hawkbell rules list` shows the shipped rules"))
        }
        _ => failure,
    }
}

/// The name under which messages are worded as users of the re-created system know them.
const FALCO: &str = "falco";
