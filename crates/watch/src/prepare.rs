//! From options to something that can run: configuration and rules files come in, compiled rules go out, or one error
//! with the text users know. Used at the start, for dry runs, for validation and again for every reload. Reads files and
//! writes log lines; touches neither kernel nor outputs.

use crate::config::{BUILT_IN_PLUGIN, Config, ConfigError, LoadError};
use crate::log::Log;
use crate::noise::Noise;
use crate::options::Options;
use crate::rule_files::{self, ReadError, RuleTexts};
use event::{Catalogue, FieldId, FieldInfo, ParamType};
use rules::{AlertStyle, AppendOutput, Loader, Program, RuleSet, Setup};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Rules that compiled, and the configuration they were compiled with.
pub struct Prepared {
    pub config: Config,
    pub texts: RuleTexts,
    pub loader: Loader,
    pub rules: RuleSet,
    pub program: Program,
    pub hostname: String,
    /// When reading files began: what changes later is not in here.
    pub read_at: SystemTime,
}

/// Why a run cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("You must create a config file at {DEFAULT_CONFIG} or by passing -c")]
    NoConfig,
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What the loader says about a rules file, with contexts and snippets.
    #[error("{0}")]
    Rules(String),
    #[error("{0}")]
    Provider(String),
    #[error("host name: {0} (set FALCO_HOSTNAME to give one)")]
    Hostname(String),
    #[error("{0}")]
    Source(String),
}

/// Reads the configuration that `options` ask for.
///
/// # Errors
/// No file where one is needed, or a file or value that cannot be used.
pub fn configure(options: &Options) -> Result<Config, PrepareError> {
    let usual =
        (!options.ignore_system_config && Path::new(DEFAULT_CONFIG).exists()).then(|| PathBuf::from(DEFAULT_CONFIG));
    let mut config = match options.config.clone().or(usual) {
        Some(path) => Config::load(Some(&path), &options.settings)?,
        None if options.needs_config => return Err(PrepareError::NoConfig),
        None => Config::own_defaults(&options.settings)?,
    };
    if options.unbuffered {
        config.buffered = false;
    }
    if let Some(text) = &options.print {
        config.append_output.extend(printed(text));
        config.warnings.push("-p/--print is deprecated: use append_output in the configuration".into());
    }
    Ok(config)
}

/// Loads and compiles the rules that `options` and `config` ask for.
///
/// # Errors
/// A file cannot be read or does not load; the log has its warnings.
pub fn prepare(options: &Options, config: Config, log: &Log) -> Result<Prepared, PrepareError> {
    let read_at = SystemTime::now();
    let texts = rule_texts(options, &config)?;
    let hostname = hostname(log)?;
    let (setup, _) = setup(&config);
    check_plugins(&config, log)?;
    if options.replay.is_none() {
        let enabled = enabled_sources(options, &setup.sources).map_err(PrepareError::Source)?;
        log.info(&format!("Loaded event sources: {}", setup.sources.join(", ")));
        log.info(&format!("Enabled event sources: {}", enabled.join(", ")));
    }
    let mut loader = Loader::new(setup);
    let failure = load(&mut loader, &texts, log);
    loader.check_providers().map_err(PrepareError::Provider)?;
    if let Some(text) = failure {
        return Err(PrepareError::Rules(text));
    }
    let mut rules = loader.rule_set().clone();
    select(&mut rules, &config, log);
    Noise::oddities(&config.noise, &rules).iter().for_each(|oddity| log.warning(oddity));
    let program = rules.program(config.matching);
    log_enabled(&rules, log);
    Ok(Prepared { config, texts, loader, rules, program, hostname, read_at })
}

/// What rules are loaded against, and the static fields with their values.
pub fn setup(config: &Config) -> (Setup, Vec<(FieldId, String)>) {
    let mut setup = Setup::builtin();
    let mut catalogue = Catalogue::clone(&setup.catalogue);
    let statics = config.static_fields.iter().map(|(name, value)| (catalogue.add(static_field(name)), value.clone()));
    let statics = statics.collect();
    setup.catalogue = Arc::new(catalogue);
    setup.append_output.clone_from(&config.append_output);
    setup.min_priority = config.priority;
    (setup, statics)
}

/// How alerts look.
pub fn alert_style(config: &Config, hostname: &str) -> AlertStyle {
    let style = &config.style;
    AlertStyle {
        json_output: style.json,
        json_include_output_property: style.json_output,
        json_include_message_property: style.json_message,
        json_include_output_fields_property: style.json_fields,
        json_include_tags_property: style.json_tags,
        time_format_iso_8601: style.iso_time,
        buffer_format_base64: style.base64,
        hostname: hostname.to_owned(),
    }
}

/// Every file and directory whose change means a reload.
pub fn watched_paths(prepared: &Prepared) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let config_files = prepared.config.files.iter().map(|file| file.path.clone());
    let rule_files = prepared.texts.files.iter().filter_map(|file| file.path.clone());
    let directories = prepared.config.directories.iter().chain(&prepared.texts.directories).cloned();
    (config_files.chain(rule_files).collect(), directories.collect())
}

fn rule_texts(options: &Options, config: &Config) -> Result<RuleTexts, PrepareError> {
    let paths = if options.rules.is_empty() { &config.rules_files } else { &options.rules };
    // Without any configuration file nobody said which rules to use: ours.
    if paths.is_empty() && config.files.is_empty() {
        return Ok(rule_files::shipped());
    }
    Ok(rule_files::read(paths)?)
}

/// Names every plugin that is asked for and will not be there.
fn check_plugins(config: &Config, log: &Log) -> Result<(), PrepareError> {
    let is_known = |name: &String| name == BUILT_IN_PLUGIN || config.plugins.iter().any(|plugin| plugin.name == *name);
    let all = || config.plugins.iter().map(|plugin| plugin.name.clone()).collect();
    let wanted: Vec<String> = config.load_plugins.clone().unwrap_or_else(all);
    if let Some(unknown) = wanted.iter().find(|name| !is_known(name)) {
        let text = format!("Cannot load plugin '{unknown}': plugin config not found for given name");
        return Err(PrepareError::Provider(text));
    }
    for name in wanted.iter().filter(|name| *name != BUILT_IN_PLUGIN) {
        log.warning(&format!("plugin '{name}' is not loaded: plugins are not supported in this version"));
    }
    Ok(())
}

/// The sources that `--enable-source` and `--disable-source` leave.
fn enabled_sources<'s>(options: &Options, known: &'s [String]) -> Result<Vec<&'s str>, String> {
    let (enable, disable) = (&options.enable_sources, &options.disable_sources);
    if !enable.is_empty() && !disable.is_empty() {
        return Err("You can not mix --enable-source and --disable-source".into());
    }
    for (verb, names) in [("enabling", enable), ("disabling", disable)] {
        if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
            return Err(format!("Attempted {verb} an unknown event source: {unknown}"));
        }
    }
    let is_enabled =
        |source: &&String| if enable.is_empty() { !disable.contains(source) } else { enable.contains(source) };
    let enabled: Vec<&str> = known.iter().filter(is_enabled).map(String::as_str).collect();
    if enabled.is_empty() { Err("Must enable at least one event source".into()) } else { Ok(enabled) }
}

/// Loads files in order; the first that fails ends it with its text.
fn load(loader: &mut Loader, texts: &RuleTexts, log: &Log) -> Option<String> {
    log.info("Loading rules from:");
    for file in &texts.files {
        let result = loader.load(&file.name, &file.text);
        let is_shipped = file.path.is_none();
        let status = result.schema_status();
        let line = format!("   {} | schema validation: {status}", file.name);
        if status == "ok" {
            log.info(&line);
        } else {
            log.warning(&line);
        }
        if !result.successful() {
            return Some(result.verbose());
        }
        // Shipped files refer to each other, so all but the last have macros that nobody uses yet.
        if result.has_warnings() && !is_shipped {
            log.warning(&result.verbose());
        }
    }
    None
}

fn log_enabled(rules: &RuleSet, log: &Log) {
    log.debug("Enabled rules:");
    rules.enabled().for_each(|rule| log.debug(&format!("   {}", rule.name)));
    log.debug(&format!("({}) enabled rules in total", rules.enabled().count()));
}

fn select(rules: &mut RuleSet, config: &Config, log: &Log) {
    for selection in &config.selections {
        let verb = if selection.enable { "Enabling" } else { "Disabling" };
        if let Some(pattern) = &selection.rule {
            log.info(&format!("{verb} rules with name: {pattern}"));
            rules.select_by_name(pattern, selection.enable);
        }
        if let Some(tag) = &selection.tag {
            log.info(&format!("{verb} rules with tag: {tag}"));
            rules.select_by_tag(tag, selection.enable);
        }
    }
}

/// `FALCO_HOSTNAME`, else what the kernel says.
fn hostname(log: &Log) -> Result<String, PrepareError> {
    if let Ok(name) = std::env::var("FALCO_HOSTNAME") {
        log.info(&format!("Hostname value has been overridden via environment variable to: {name}"));
        return Ok(name);
    }
    let name = nix::unistd::gethostname().map_err(|e| PrepareError::Hostname(e.desc().to_owned()))?;
    Ok(name.to_string_lossy().into_owned())
}

fn static_field(name: &str) -> FieldInfo {
    FieldInfo {
        id: FieldId(0),
        class: "static".into(),
        name: format!("static.{name}"),
        ty: ParamType::Charbuf,
        is_list: false,
        deprecated: false,
        table_only: false,
        filter_only: false,
        print_only: false,
        arg_required: false,
        arg_allowed: false,
        arg_index: false,
        arg_key: false,
        no_rhs: false,
        no_transformer: false,
        suggested: true,
        print: "na",
        sources: Vec::new(),
        meaning: "Constant from static_fields of the configuration.".into(),
    }
}

/// `-p`: the names of old presets mean nothing any more, anything else is appended.
fn printed(text: &str) -> Option<AppendOutput> {
    if matches!(text, "c" | "container" | "k" | "kubernetes") {
        return None;
    }
    Some(AppendOutput {
        source: None,
        rule: None,
        tags: Vec::new(),
        extra_output: text.to_owned(),
        suggested_output: false,
        extra_fields: Vec::new(),
    })
}

impl From<LoadError> for PrepareError {
    fn from(error: LoadError) -> Self {
        PrepareError::Config(error.into())
    }
}

/// Where the re-created system keeps its configuration.
pub const DEFAULT_CONFIG: &str = "/etc/falco/falco.yaml";
