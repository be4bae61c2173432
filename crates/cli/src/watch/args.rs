//! The command lines of `watch` and `replay`, with the options users of the re-created system know. Words come in,
//! [`Options`] go out. What an option does is decided elsewhere.

use clap::{Args, Parser, ValueEnum};
use std::path::PathBuf;
use watch::listing::Format;
use watch::options::Options;

/// Judge what happens on this machine by rules, and tell
#[derive(Parser, Debug)]
#[command(disable_version_flag = true, after_help = WATCH_EXAMPLES, max_term_width = 140)]
pub struct WatchArgs {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub list: Lists,
    /// Everything but outputs, signals and events; the exit status tells whether configuration and rules load
    #[arg(long)]
    pub dry_run: bool,
    /// Only this event source (repeatable)
    #[arg(long, value_name = "SOURCE")]
    pub enable_source: Vec<String>,
    /// All event sources but this one (repeatable)
    #[arg(long, value_name = "SOURCE")]
    pub disable_source: Vec<String>,
    /// Write the process id to FILE
    #[arg(short = 'P', long, value_name = "FILE")]
    pub pidfile: Option<PathBuf>,
    /// Print the high-volume system calls that are left out by default, and end
    #[arg(short = 'i')]
    pub ignored: bool,
    /// Print the page size and end
    #[arg(long)]
    pub page_size: bool,
    /// Print what a report about a problem should hold, as JSON, and end
    #[arg(long)]
    pub support: bool,
    /// Print versions and end (JSON with `-o json_output=true`)
    #[arg(long)]
    pub version: bool,
    /// Only check rules FILE (repeatable: loaded together)
    #[arg(short = 'V', long = "validate", value_name = "FILE")]
    pub validate: Vec<PathBuf>,
}

/// Judge a recorded capture by rules, as fast as it can be read
#[derive(Parser, Debug)]
#[command(after_help = REPLAY_EXAMPLES, max_term_width = 140)]
pub struct ReplayArgs {
    /// Capture file (.scap, plain or gzip); `-` reads standard input
    pub capture: PathBuf,
    /// Print events by type, top processes and alerts by rule at the end
    #[arg(long)]
    pub summary: bool,
    #[command(flatten)]
    pub common: Common,
}

/// What every run has.
#[derive(Args, Debug)]
pub struct Common {
    /// Configuration file
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Rules file or directory (repeatable); replaces rules_files of the configuration
    #[arg(short = 'r', long = "rules", value_name = "FILE|DIR")]
    pub rules: Vec<PathBuf>,
    /// Set a configuration key: `key=val`, `key.sub=val`, `list[]=val` (repeatable)
    #[arg(short = 'o', long = "option", value_name = "KEY=VAL", allow_hyphen_values = true)]
    pub settings: Vec<String>,
    /// Append text to every output (deprecated: use append_output)
    #[arg(short = 'p', long = "print", value_name = "FORMAT")]
    pub print: Option<String>,
    /// Stop after SECS seconds
    #[arg(short = 'M', value_name = "SECS")]
    pub max_seconds: Option<u64>,
    /// Write every alert at once
    #[arg(short = 'U', long)]
    pub unbuffered: bool,
    /// Tell how many events were seen and lost at the end
    #[arg(short = 'v')]
    pub verbose: bool,
    /// Write all events to a capture file (compressed when it ends in .gz)
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// What can be listed instead of running.
#[derive(Args, Debug)]
pub struct Lists {
    /// Print the JSON schema of the configuration (its keys as a table with --format markdown) and end
    #[arg(long)]
    pub config_schema: bool,
    /// Print the JSON schema of rules files and end
    #[arg(long)]
    pub rule_schema: bool,
    /// Describe all loaded rules, macros and lists and end
    #[arg(short = 'L')]
    pub describe_all: bool,
    /// Describe one rule and end
    #[arg(short = 'l', value_name = "RULE")]
    pub describe: Option<String>,
    /// List fields (of one event source) and end
    #[arg(long, value_name = "SOURCE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub list: Option<String>,
    /// List events and end
    #[arg(long)]
    pub list_events: bool,
    /// List loaded plugins and end
    #[arg(long)]
    pub list_plugins: bool,
    /// Describe one plugin and end
    #[arg(long, value_name = "NAME|PATH")]
    pub plugin_info: Option<String>,
    /// Only names with --list
    #[arg(short = 'N')]
    pub names_only: bool,
    /// Form of --list, --list-events and --config-schema
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<FormatArg>,
    /// As --format=markdown (deprecated)
    #[arg(long, conflicts_with = "format")]
    pub markdown: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatArg {
    Text,
    Markdown,
    Json,
}

impl Lists {
    pub fn format(&self) -> Format {
        match self.format {
            Some(FormatArg::Json) => Format::Json,
            Some(FormatArg::Markdown) => Format::Markdown,
            None if self.markdown => Format::Markdown,
            Some(FormatArg::Text) | None => Format::Text,
        }
    }
}

impl WatchArgs {
    pub fn options(&self, program: &str) -> Options {
        Options {
            needs_config: program == "falco" && !self.version && !self.page_size,
            enable_sources: self.enable_source.clone(),
            disable_sources: self.disable_source.clone(),
            pidfile: self.pidfile.clone(),
            dry_run: self.dry_run,
            ..self.common.options(program)
        }
    }
}

impl ReplayArgs {
    pub fn options(&self, program: &str) -> Options {
        Options {
            replay: Some(self.capture.clone()),
            summary: self.summary,
            ignore_system_config: true,
            ..self.common.options(program)
        }
    }
}

impl Common {
    fn options(&self, program: &str) -> Options {
        Options {
            program: program.to_owned(),
            config: self.config.clone(),
            settings: self.settings.clone(),
            rules: self.rules.clone(),
            print: self.print.clone(),
            unbuffered: self.unbuffered,
            max_seconds: self.max_seconds,
            verbose: self.verbose,
            record: self.record.clone(),
            ..Options::default()
        }
    }
}

const WATCH_EXAMPLES: &str = "\
Examples:
  hawkbell watch                                     this machine, shipped rules, alerts on the terminal
  hawkbell watch -c /etc/falco/falco.yaml            as an existing configuration says
  hawkbell watch -r my_rules.yaml -o json_output=true
  hawkbell watch --dry-run -r my_rules.yaml          would these rules load?
  hawkbell watch --record today.scap.gz              keep every event for `hawkbell replay`";

const REPLAY_EXAMPLES: &str = "\
Examples:
  hawkbell replay today.scap.gz                      judge a capture by the shipped rules
  hawkbell replay today.scap.gz -r my_rules.yaml --summary
  hawkbell replay old.scap --record new.scap         convert to current event versions
  ssh host cat today.scap.gz | hawkbell replay -";
