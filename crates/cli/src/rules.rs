//! `hawkbell rules`: rule files, cases or captures come in; what is wrong with them, what they hold, which fired and why
//! goes to standard output. Everything is decided by the daemon's crate; this parses words and prints.

use crate::exit::{Exit, Failure, Outcome};
use crate::tools::Invocation;
use crate::watch::{explain, print};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use std::io::Write;
use std::path::PathBuf;
use watch::cases::{self, Coverage};
use watch::config::Config;
use watch::describe::{self, Describe};
use watch::learn::Eagerness;
use watch::listing::{FieldListing, Format};
use watch::log::Log;
use watch::options::Options;
use watch::prepare::{self, Prepared};

/// Check, list, test and explain rules
#[derive(Parser, Debug)]
struct RulesArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    Validate(ValidateArgs),
    List(ListArgs),
    Fields(FieldsArgs),
    Events(EventsArgs),
    Test(TestArgs),
    Why(WhyArgs),
    Learn(LearnArgs),
}

/// Check rules files, loaded together in the given order
#[derive(Parser, Debug)]
#[command(after_help = "Example:\n  hawkbell rules validate base.yaml local.yaml")]
struct ValidateArgs {
    /// Rules files and directories
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Results as JSON
    #[arg(long)]
    json: bool,
}

/// List loaded rules (the shipped ones when no file is given)
#[derive(Parser, Debug)]
#[command(after_help = "Examples:\n  hawkbell rules list\n  hawkbell rules list -r my.yaml --rule 'My rule' --json")]
struct ListArgs {
    #[command(flatten)]
    source: Source,
    /// Only this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// As --format json: with conditions, fields and events
    #[arg(long)]
    json: bool,
    #[arg(long, default_value = "text", conflicts_with = "json")]
    format: FormatArg,
}

/// List the fields that rules can name
#[derive(Parser, Debug)]
#[command(after_help = "Examples:\n  hawkbell rules fields --names\n  hawkbell rules fields --format markdown")]
struct FieldsArgs {
    /// Only fields of this event source
    #[arg(long)]
    source: Option<String>,
    /// Only names
    #[arg(long)]
    names: bool,
    /// With types
    #[arg(long)]
    types: bool,
    #[arg(long, default_value = "text")]
    format: FormatArg,
}

/// List the events that rules can see
#[derive(Parser, Debug)]
struct EventsArgs {
    #[arg(long, default_value = "text")]
    format: FormatArg,
}

/// Run test cases: do the right rules fire, and which parts of conditions were ever true and false?
#[derive(Parser, Debug)]
#[command(after_help = TEST_EXAMPLES)]
struct TestArgs {
    /// Files of cases
    #[arg(required = true)]
    cases: Vec<PathBuf>,
    #[command(flatten)]
    source: Source,
    /// Show for every rule which parts of its condition were ever true and ever false
    #[arg(long)]
    coverage: bool,
}

/// Explain why a rule did or did not match an event of a capture
#[derive(Parser, Debug)]
#[command(after_help = "Example:\n  hawkbell rules why 'Password file read' today.scap --event 1234\n\
    The number is that of the field evt.num.")]
struct WhyArgs {
    /// Name of the rule
    rule: String,
    /// Capture file
    capture: PathBuf,
    /// Number of the event, as evt.num counts
    #[arg(long, value_name = "NUM")]
    event: u64,
    #[command(flatten)]
    source: Source,
}

/// Propose exceptions from the alerts of a capture of normal work, and show what they would silence
#[derive(Parser, Debug)]
#[command(after_help = "Example:\n  hawkbell watch --record normal.scap.gz -M 3600\n  \
    hawkbell rules learn normal.scap.gz > exceptions.yaml\n  \
    hawkbell watch -r my_rules.yaml -r exceptions.yaml\nThe proposal goes to standard output, its effect to standard error.")]
struct LearnArgs {
    /// Capture file
    capture: PathBuf,
    /// Leave combinations alone that raised fewer alerts
    #[arg(long, default_value_t = 2, value_name = "N")]
    min_alerts: u64,
    /// Leave rules alone that would need more values
    #[arg(long, default_value_t = 20, value_name = "N")]
    max_values: usize,
    #[command(flatten)]
    source: Source,
}

#[derive(clap::Args, Debug)]
struct Source {
    /// Rules file or directory (repeatable; default: the shipped rules)
    #[arg(short = 'r', long = "rules", value_name = "FILE|DIR")]
    rules: Vec<PathBuf>,
    /// Configuration file
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a configuration key (repeatable)
    #[arg(short = 'o', long = "option", value_name = "KEY=VAL")]
    settings: Vec<String>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum FormatArg {
    Text,
    Markdown,
    Json,
}

pub fn command() -> clap::Command {
    RulesArgs::command()
}

pub fn run(invocation: &Invocation) -> Outcome {
    let args: RulesArgs = invocation.parse_into()?;
    match args.action {
        Action::Validate(args) => validate(&args),
        Action::List(args) => list(&args),
        Action::Fields(args) => fields(&args),
        Action::Events(args) => print(&describe::events(args.format.into())),
        Action::Test(args) => test(&args),
        Action::Why(args) => why(&args),
        Action::Learn(args) => learn(&args),
    }
}

fn validate(args: &ValidateArgs) -> Outcome {
    let mut config = Config::own_defaults(&["log_level=error".to_owned()])?;
    config.style.json = args.json;
    let log = quiet_log(&config);
    let validation = describe::validate(&args.files, &config, Describe::Nothing, &log)?;
    print(&validation.text)?;
    print(&validation.warnings)?;
    Ok(if validation.failure.is_some() { Exit::FAILED } else { Exit::OK })
}

fn list(args: &ListArgs) -> Outcome {
    let mut prepared = load(&args.source)?;
    let only = args.rule.as_deref();
    prepared.config.style.json = args.json || args.format == FormatArg::Json;
    let text = match args.format {
        FormatArg::Markdown => describe::rules_markdown(&prepared, only),
        FormatArg::Text | FormatArg::Json => describe::rules(&prepared, only),
    };
    let missing = || Failure::message(format!("rule \"{}\": not loaded", only.unwrap_or_default()));
    print(&text.ok_or_else(|| missing().help("`hawkbell rules list` shows the names"))?)
}

fn fields(args: &FieldsArgs) -> Outcome {
    let config = Config::own_defaults(&[])?;
    let wanted = FieldListing {
        source: args.source.as_deref(),
        names_only: args.names,
        with_types: args.types,
        format: args.format.into(),
    };
    let text = describe::fields(&config, wanted);
    print(&text.ok_or_else(|| {
        Failure::message("event source: no field exists for it").help("known without plugins: syscall")
    })?)
}

fn test(args: &TestArgs) -> Outcome {
    let prepared = load(&args.source)?;
    let mut coverage = Coverage::new(&prepared.rules);
    let mut outcomes = Vec::new();
    for file in &args.cases {
        let cases = cases::read(file).map_err(|e| Failure::new(e).help("`hawkbell rules test --help` shows a case"))?;
        outcomes.extend(cases::run(&cases, &prepared, &mut coverage));
    }
    print(&cases::report(&outcomes))?;
    if args.coverage {
        print(&coverage.text())?;
    }
    Ok(if outcomes.iter().all(cases::Outcome::passed) { Exit::OK } else { Exit::FAILED })
}

fn why(args: &WhyArgs) -> Outcome {
    let prepared = load(&args.source)?;
    let why = cases::why(&args.capture, args.event, &args.rule, &prepared).map_err(Failure::message)?;
    print(&why.text)
}

fn learn(args: &LearnArgs) -> Outcome {
    let prepared = load(&args.source)?;
    let eagerness = Eagerness { min_alerts: args.min_alerts, max_values: args.max_values };
    let lesson = watch::learn::learn(&args.capture, &prepared, eagerness).map_err(Failure::message)?;
    // The effect is for a person; the proposal may go to a file.
    let mut err = std::io::stderr().lock();
    if let Some(fault) = &lesson.fault {
        let _ = writeln!(err, "warning: {fault}: learned from what came before");
    }
    let _ = err.write_all(lesson.effect.as_bytes());
    print(&lesson.proposal)
}

fn load(source: &Source) -> Result<Prepared, Failure> {
    let options = Options {
        program: "hawkbell rules".into(),
        rules: source.rules.clone(),
        config: source.config.clone(),
        settings: source.settings.clone(),
        ignore_system_config: true,
        ..Options::default()
    };
    let config = prepare::configure(&options).map_err(|e| explain(&e, &options.program))?;
    let log = quiet_log(&config);
    prepare::prepare(&options, config, &log).map_err(|e| explain(&e, &options.program))
}

/// Only errors: what was loaded is not news here.
fn quiet_log(config: &Config) -> Log {
    let level = watch::config::Log { stderr: true, syslog: false, level: watch::log::ERROR, sensor: None };
    Log::new(level, config.style.iso_time, "hawkbell", &config.syslog_socket)
}

impl From<FormatArg> for Format {
    fn from(arg: FormatArg) -> Format {
        match arg {
            FormatArg::Text => Format::Text,
            FormatArg::Markdown => Format::Markdown,
            FormatArg::Json => Format::Json,
        }
    }
}

const TEST_EXAMPLES: &str = "\
A case:
  - test: somebody reads the shadow file
    processes:
    - {pid: 7, parent: 1, name: cat, exe: /bin/cat, args: [/etc/shadow], uid: 1000}
    events:
    - {event: openat, pid: 7, fd: 3, name: /etc/shadow, flags: O_RDONLY}
    alerts: [Password file read]        # these and no others; or name some under `silent`
  - test: a recorded attack
    capture: attack.scap                # relative to the file of the case
    alerts: [Reverse shell]
    silent: [Password file read]

Examples:
  hawkbell rules test cases.yaml -r my_rules.yaml
  hawkbell rules test cases.yaml -r my_rules.yaml --coverage";
