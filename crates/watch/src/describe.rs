//! What can be told without watching: schemas, fields, events, versions, rules, the outcome of validation. Requests come
//! in, text for standard output goes out. Only validation writes to the log; nothing here prints.

use crate::config::{Config, keys, schema};
use crate::listing::{self, FieldListing, Format, SCHEMA_VERSION};
use crate::log::Log;
use crate::prepare::{Prepared, setup};
use crate::rule_files::{self, ReadError};
use crate::syscalls;
use crate::versions::{DRIVER_API, FALCO_VERSION, PLUGIN_API, VERSION, json as versions_json};
use event::Catalogue;
use rules::load::ENGINE_VERSION;
use rules::{LoadResult, Loader, Provider};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

/// `--config-schema`.
pub fn config_schema() -> String {
    pretty(&schema::json_schema())
}

/// `--config-schema --format markdown`: every key with type, default and meaning.
pub fn config_keys() -> String {
    let mut text = String::from("Key | Type | Default | Meaning\n:---|:-----|:--------|:-------\n");
    for key in keys::KEYS {
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        let _ = writeln!(text, "`{}` | {} | {default} | {}", key.path, key.ty, key.help.replace('|', "\\|"));
    }
    text
}

/// `--rule-schema`.
pub fn rule_schema() -> String {
    pretty(&rules::load::schema())
}

/// `-i`: the high-volume system calls that are left out by default.
pub fn ignored_syscalls() -> String {
    let names = syscalls::names(&syscalls::ignored_set());
    let lines: String = names.iter().map(|name| format!("- {name}\n")).collect();
    format!("Ignored syscall(s):\n{lines}")
}

/// `--list`: fields, of one event source when `source` names one. `None` when no field exists for it.
pub fn fields(config: &Config, wanted: FieldListing<'_>) -> Option<String> {
    let catalogue = setup(config).0.catalogue;
    let is_known = wanted.source.is_none_or(|source| knows(&catalogue, source));
    is_known.then(|| listing::fields(&catalogue, wanted))
}

/// `--list-events`.
pub fn events(format: Format) -> String {
    listing::events(format)
}

fn knows(catalogue: &Catalogue, source: &str) -> bool {
    catalogue.iter().any(|field| field.sources.iter().any(|s| s == source))
}

/// `--list-plugins`: what answers for a plugin.
pub fn plugins(config: &Config) -> String {
    let providers = setup(config).0.providers;
    let blocks: String = providers.iter().map(plugin_block).collect();
    format!("{} Plugins Loaded:\n\n{blocks}", providers.len())
}

/// `--plugin-info`; `None` when nothing of that name is there.
pub fn plugin(config: &Config, name: &str) -> Option<String> {
    setup(config).0.providers.iter().find(|provider| provider.name == name).map(plugin_block)
}

fn plugin_block(provider: &Provider) -> String {
    let sources = provider.field_sources.join(", ");
    format!(
        "Name: {}\nDescription: built into hawkbell\nVersion: {}\nCapabilities:\n  - Field Extraction\n    Sources: {sources}\n\n",
        provider.name, provider.version
    )
}

/// `-L`, or `-l` with the name of a rule. `None` when no such rule is loaded.
pub fn rules(prepared: &Prepared, only: Option<&str>) -> Option<String> {
    let loader = &prepared.loader;
    match (prepared.config.style.json, only) {
        (true, None) => Some(format!("{}\n", loader.describe())),
        (true, Some(rule)) => loader.describe_rule(rule).map(|value| format!("{value}\n")),
        (false, only) => loader.describe_text(only),
    }
}

/// The enabled rules as a Markdown table. `None` when `only` is not loaded.
pub fn rules_markdown(prepared: &Prepared, only: Option<&str>) -> Option<String> {
    let wanted = |rule: &&rules::Rule| only.is_none_or(|only| rule.name == only);
    let found: Vec<&rules::Rule> = prepared.rules.enabled().filter(wanted).collect();
    if only.is_some() && found.is_empty() {
        return None;
    }
    let mut text = String::from("Rule | Priority | Tags | Description\n:----|:---------|:-----|:-----------\n");
    for rule in found {
        let description = rule.description.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let name = rule.name.replace('|', "\\|");
        let _ = writeln!(text, "{name} | {} | {} | {description}", rule.priority, rule.tags.join(", "));
    }
    Some(text)
}

/// What `-V` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// For standard output.
    pub text: String,
    /// The warnings of files that load, which also went to the log.
    pub warnings: String,
    /// The summary of the first file that does not load.
    pub failure: Option<String>,
}

/// Which descriptions go with the results of a validation in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Describe<'a> {
    Nothing,
    All,
    Rule(&'a str),
}

/// Why files could not even be tried.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{0}")]
    Provider(String),
}

/// `-V`: loads `files` together and tells what became of each.
///
/// # Errors
/// A file cannot be read, or a plugin that the files require is missing.
pub fn validate(
    files: &[PathBuf],
    config: &Config,
    describe: Describe<'_>,
    log: &Log,
) -> Result<Validation, ValidateError> {
    let texts = rule_files::read(files)?;
    let mut loader = Loader::new(setup(config).0);
    log.info("Validating rules file(s):");
    for file in &texts.files {
        log.info(&format!("   {}", file.name));
    }
    let results: Vec<LoadResult> = texts.files.iter().map(|file| loader.load(&file.name, &file.text)).collect();
    loader.check_providers().map_err(ValidateError::Provider)?;
    let text = match config.style.json {
        true => format!("{}\n", results_json(&results, describe, &loader)),
        false => results_text(&results, log),
    };
    let failed = results.iter().find(|result| !result.successful());
    let warned = results.iter().filter(|result| result.successful() && result.has_warnings());
    let warnings = if config.style.json { String::new() } else { warned.map(LoadResult::verbose).collect() };
    Ok(Validation { text, warnings, failure: failed.map(LoadResult::summary) })
}

fn results_json(results: &[LoadResult], describe: Describe<'_>, loader: &Loader) -> Value {
    let list: Vec<Value> = results.iter().map(LoadResult::to_json).collect();
    let mut object = json!({"falco_load_results": list});
    if !results.iter().all(LoadResult::successful) {
        return object;
    }
    match describe {
        Describe::Nothing => {}
        Describe::All => object["falco_describe_results"] = loader.describe(),
        Describe::Rule(rule) => object["falco_describe_results"] = loader.describe_rule(rule).unwrap_or(Value::Null),
    }
    object
}

fn results_text(results: &[LoadResult], log: &Log) -> String {
    let mut text = String::new();
    for result in results {
        if result.successful() && result.has_warnings() {
            log.warning(&result.verbose());
            let _ = writeln!(text, "{}: Ok, with warnings", result.name);
        } else {
            let _ = writeln!(text, "{}", result.verbose().trim_end());
        }
    }
    text
}

/// `--version`.
pub fn versions(config: &Config) -> String {
    if config.style.json {
        return format!("{}\n", versions_json());
    }
    format!(
        "hawkbell version: {VERSION}\nFalco version: {FALCO_VERSION}\nLibs version: {VERSION}\nPlugin API: {PLUGIN_API}\n\
         Engine: {ENGINE_VERSION}\nDriver:\n  API version: {DRIVER_API}\n  Schema version: {SCHEMA_VERSION}\n  Default \
         driver: {VERSION}\n"
    )
}

/// `--page-size`. Falls back to what x86-64 has when the kernel does not say.
pub fn page_size() -> String {
    let bytes = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
    format!("Your system page size is: {bytes} bytes\n")
}

/// `--support`.
pub fn support(prepared: &Prepared) -> String {
    let file = |f: &rule_files::RuleText| json!({"name": f.name, "variants": [{"content": f.text}]});
    let files: Vec<Value> = prepared.texts.files.iter().map(file).collect();
    let cmdline: Vec<String> = std::env::args().collect();
    let object = json!({
        "system_info": system_info(),
        "version": VERSION,
        "engine_info": {"engine_version": ENGINE_VERSION.to_string()},
        "cmdline": cmdline.join(" "),
        "config": prepared.config.tree.to_json(),
        "rules_files": files,
    });
    format!("{object}\n")
}

fn system_info() -> Value {
    let Ok(uname) = nix::sys::utsname::uname() else { return Value::Null };
    let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
    json!({
        "sysname": text(uname.sysname()),
        "nodename": text(uname.nodename()),
        "release": text(uname.release()),
        "version": text(uname.version()),
        "machine": text(uname.machine()),
    })
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
