//! The commands about kernel capabilities: `probe`, `check`, `config`, `version`, and the whole of `kfeatures` when called by that
//! name. In: words; out: an [`Output`]. A run keeps nothing, so that many can follow each other in one process (MCP).

mod args;
mod command;
mod config;
mod formats;
mod help;
mod loaded;
mod mcp;
mod native;
pub mod needs;
mod output;
mod overview;
mod report;
mod requirements_file;
mod schema;
pub mod tool_server;

use crate::exit::{Exit, Outcome};
use crate::tools::Invocation;
use args::Parsed;
use features::Machine;
use output::{Envelope, Json, Output, compact, pretty};
use std::io::Write;

/// How a run presents itself.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    /// The name in messages: `kfeatures` or `hawkbell`.
    pub program: &'a str,
    /// Our own name: more flags, more output.
    pub native: bool,
    /// JSON on one line, as MCP wants it.
    pub compact: bool,
}

/// `kfeatures ...`: the whole program.
pub fn run_kfeatures(invocation: &Invocation) -> Outcome {
    let words = words(invocation);
    let style = Style { program: "kfeatures", native: false, compact: false };
    emit(&run(style, &words))
}

/// `hawkbell probe`, `check`, `config`: the tool's own name comes first.
pub fn run_native(invocation: &Invocation) -> Outcome {
    let (program, name) = invocation.program.rsplit_once(' ').unwrap_or(("hawkbell", &invocation.program));
    let style = Style { program, native: true, compact: false };
    let words = words(invocation);
    if words.iter().any(|word| word == "--help" || word == "-h") {
        invocation.parse(described(name))?;
    }
    let all: Vec<String> = std::iter::once(name.to_owned()).chain(words).collect();
    emit(&run(style, &all))
}

/// The clap form of one command, from the same table: for help, completions and man pages.
fn described(name: &str) -> clap::Command {
    let Some(row) = command::find(name) else { return clap::Command::new(name.to_owned()) };
    let mut described =
        clap::Command::new(row.name).about(row.short).after_help(format!("Examples:\n  {}", row.examples));
    for flag in row.flags(true) {
        let help = flag.help.trim_end_matches(" (see available features above)");
        let arg = clap::Arg::new(flag.name).long(flag.name).help(help);
        let arg = if let Some(letter) = flag.short { arg.short(letter) } else { arg };
        described = described.arg(match flag.value {
            command::Value::Bool => arg.action(clap::ArgAction::SetTrue),
            command::Value::Choice(words) => arg.value_name("FORM").value_parser(words.to_vec()),
            command::Value::Features => offering(arg.value_name("REQUIREMENT").action(clap::ArgAction::Append)),
            command::Value::Text(_) => arg.value_name(flag.word().to_uppercase()).action(clap::ArgAction::Append),
        });
    }
    match row.operands {
        Some((word, help)) => {
            let arg = clap::Arg::new("word").value_name(word).num_args(0..).help(help);
            described.arg(if name == "check" { offering(arg) } else { arg })
        }
        None => described,
    }
}

/// Shells complete the names of the features; any requirement is taken.
fn offering(arg: clap::Arg) -> clap::Arg {
    arg.value_parser(RequirementWord).hide_possible_values(true)
}

#[derive(Clone)]
struct RequirementWord;

impl clap::builder::TypedValueParser for RequirementWord {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        word: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        clap::builder::StringValueParser::new().parse_ref(command, arg, word)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = clap::builder::PossibleValue> + '_>> {
        Some(Box::new(args::feature_names().map(clap::builder::PossibleValue::new)))
    }
}

pub fn version_command() -> clap::Command {
    described("version")
}

pub fn probe_command() -> clap::Command {
    described("probe")
}

pub fn check_command() -> clap::Command {
    described("check")
}

pub fn config_command() -> clap::Command {
    described("config")
}

/// For help, completions and man pages of the whole program.
pub fn command() -> clap::Command {
    clap::Command::new("kfeatures").about("Probe kernel capabilities for eBPF, with the command line of kfeatures")
}

fn words(invocation: &Invocation) -> Vec<String> {
    invocation.args.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn emit(output: &Output) -> Outcome {
    std::io::stdout().write_all(output.stdout.as_bytes())?;
    std::io::stdout().flush()?;
    // Standard error is the last place to complain to.
    let _ = std::io::stderr().write_all(output.stderr.as_bytes());
    Ok(Exit(output.status))
}

/// Runs one command line.
pub fn run(style: Style<'_>, words: &[String]) -> Output {
    match words.first().map(String::as_str) {
        Some(ask @ ("__complete" | "__completeNoDesc")) => return completion(words, ask == "__complete"),
        Some("help") => {
            return Output::ok(help::help(style.program, words.get(1).and_then(|w| command::find(w))));
        }
        Some("completion") => return script(style, words),
        _ => {}
    }
    match args::parse(style.program, style.native, words) {
        Ok(parsed) => dispatch(style, &parsed),
        Err(envelope) => envelope.output(),
    }
}

fn dispatch(style: Style<'_>, parsed: &Parsed) -> Output {
    if parsed.help {
        return Output::ok(help::help(style.program, parsed.command));
    }
    if let Some(how) = &parsed.jsonschema {
        return schema(style, parsed, how);
    }
    if parsed.mcp {
        return mcp::serve(style, std::io::stdin().lock(), std::io::stdout().lock());
    }
    match parsed.command.map(|command| command.name) {
        Some("check") if style.native => native::check(style, parsed),
        Some("probe") if style.native => native::probe(style, parsed),
        Some("check") => check(style, parsed),
        Some("probe") => probe(style, parsed),
        Some("config") => config::run(style, parsed),
        Some("version") => version(style),
        _ => Output::ok(help::help(style.program, None)),
    }
}

fn schema(style: Style<'_>, parsed: &Parsed, how: &str) -> Output {
    let json = match how.to_ascii_lowercase().as_str() {
        "" | "true" => schema::node(style.program, parsed.command, style.native),
        "tree" if parsed.command.is_none() => schema::tree(style.program, style.native),
        "tree" => schema::node(style.program, parsed.command, style.native),
        _ => {
            let message = format!("unknown --jsonschema value \"{how}\" (use --jsonschema or --jsonschema=tree)");
            return Envelope::runtime(&parsed.path(style.program), message).output();
        }
    };
    Output::ok(style.json(&json))
}

impl Style<'_> {
    /// JSON in the form of this run.
    pub fn json(&self, json: &impl serde::Serialize) -> String {
        if self.compact { format!("{}\n", compact(json)) } else { pretty(json) }
    }
}

fn probe(style: Style<'_>, parsed: &Parsed) -> Output {
    let probe = report::Probe::of(&Machine::here());
    Output::ok(if parsed.is_on("json") { style.json(&probe.json()) } else { probe.text() })
}

fn check(style: Style<'_>, parsed: &Parsed) -> Output {
    let path = parsed.path(style.program);
    let Some(requirements) = &parsed.require else {
        return Envelope {
            error: "missing_required_flag",
            status: 10,
            message: "required flag(s) \"require\" not set".into(),
            flag: Some("require".into()),
            command: Some(path),
            ..Envelope::default()
        }
        .output();
    };
    if requirements.is_empty() {
        return Envelope::runtime(&path, "no features specified").output();
    }
    let report = features::check(&Machine::here(), requirements);
    match report.failures().next() {
        None if parsed.is_on("json") => Output::ok(style.json(&Json::object([("ok", true.into())]))),
        None => Output::ok("OK: all requirements satisfied\n"),
        Some(row) => failed(style, parsed, row),
    }
}

fn failed(style: Style<'_>, parsed: &Parsed, row: &features::Row) -> Output {
    let (subject, reason) = (&row.requirement, row.answer.reason().map(ToString::to_string).unwrap_or_default());
    if style.compact {
        return Envelope::runtime(&parsed.path(style.program), format!("feature {subject}: {reason}")).output();
    }
    if parsed.is_on("json") {
        let json =
            Json::object([("feature", subject.as_str().into()), ("ok", false.into()), ("reason", reason.into())]);
        return Output { stdout: style.json(&json), status: 1, ..Output::default() };
    }
    Output { stderr: format!("FAIL: {subject} - {reason}\n"), status: 1, ..Output::default() }
}

fn version(style: Style<'_>) -> Output {
    let built =
        option_env!("HAWKBELL_VERSION").unwrap_or(if style.native { env!("CARGO_PKG_VERSION") } else { "(dev)" });
    Output::ok(format!("{} {built}\nKernel: {}\n", style.program, Machine::here().release))
}

fn completion(words: &[String], descriptions: bool) -> Output {
    let stdout = help::complete(words.get(1..).unwrap_or_default(), descriptions);
    let directive = stdout.trim_end().rsplit(':').next().and_then(|n| n.parse::<u8>().ok()).unwrap_or(0);
    let names = [(2, "ShellCompDirectiveNoSpace"), (4, "ShellCompDirectiveNoFileComp")];
    let set: Vec<&str> = names.iter().filter(|(bit, _)| directive & bit != 0).map(|(_, name)| *name).collect();
    let stderr = format!("Completion ended with directive: {}\n", set.join(", "));
    Output { stdout, stderr, status: 0 }
}

fn script(style: Style<'_>, words: &[String]) -> Output {
    let plain = words.iter().any(|word| word == "--no-descriptions");
    let shell = words.get(1).map_or("", String::as_str);
    if words.iter().any(|word| word == "--jsonschema" || word.starts_with("--jsonschema=")) {
        return Output::ok(style.json(&schema::tree(style.program, style.native)));
    }
    let text = help::script(style.program, shell, !plain);
    Output::ok(text.unwrap_or_else(|| format!(
        "Generate the autocompletion script for {} for the specified shell.\n\nUsage:\n  {0} completion [bash|zsh|fish|powershell]\n",
        style.program
    )))
}

#[cfg(test)]
mod tests;
