//! `hawkbell mcp`: every visible subcommand of hawkbell as an MCP tool. In: JSON-RPC lines; out, answers. A call runs the program
//! anew with the arguments as a command line, so that nothing carries over and no tool needs to know of this.

use super::mcp::{self, Fault, Tools};
use super::output::{Json, Output};
use crate::exit::{Exit, Outcome};
use crate::tools::{Invocation, TOOLS, Tool};
use serde_json::{Map, Value};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub fn command() -> clap::Command {
    clap::Command::new("mcp")
        .about("Serve every subcommand as a tool of the Model Context Protocol over standard input and output")
        .after_help("Example:\n  hawkbell mcp < requests.jsonl")
}

pub fn run(invocation: &Invocation) -> Outcome {
    invocation.parse(command())?;
    let output = mcp::serve_tools("hawkbell", &Subcommands, std::io::stdin().lock(), std::io::stdout().lock());
    Ok(Exit(output.status))
}

pub fn schema_command() -> clap::Command {
    clap::Command::new("schema").about("Print the JSON schemas of all commands, as `hawkbell --jsonschema` does")
}

/// `hawkbell --jsonschema`: what every command takes, in the order of the help.
pub fn run_schema(_: &Invocation) -> Outcome {
    let node = |tool: &Tool| {
        let command = (tool.command)();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let Json::Object(takes) = schema(&command) else { return Json::Array(Vec::new()) };
        let head = [
            ("$schema", "https://json-schema.org/draft/2020-12/schema".to_owned()),
            ("title", format!("hawkbell {}", tool.name)),
            ("description", about),
        ];
        Json::Object(head.into_iter().map(|(key, text)| (key.to_owned(), text.into())).chain(takes).collect())
    };
    let all = Json::Array(offered().map(node).collect());
    std::io::stdout().write_all(super::output::pretty(&all).as_bytes())?;
    Ok(Exit::OK)
}

struct Subcommands;

impl Tools for Subcommands {
    fn names(&self) -> Vec<&'static str> {
        offered().map(|tool| tool.name).collect()
    }

    fn describe(&self, name: &str) -> Option<mcp::Description> {
        let tool = offered().find(|tool| tool.name == name)?;
        let command = (tool.command)();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        Some(mcp::Description {
            about,
            input: schema(&command),
            output: mcp::result_keys(name),
            read_only: READ_ONLY.contains(&name),
        })
    }

    fn call(&self, name: &str, arguments: &Map<String, Value>) -> Result<Output, Fault> {
        let tool = offered().find(|tool| tool.name == name).ok_or_else(mcp::unknown_tool)?;
        let words = words(&(tool.command)(), arguments)?;
        Ok(execute(tool.name, &words))
    }
}

fn offered() -> impl Iterator<Item = &'static Tool> {
    TOOLS.iter().filter(|tool| !tool.hidden && tool.name != "mcp")
}

/// The arguments of a clap command; nested subcommands are reached through `arguments`.
fn schema(command: &clap::Command) -> Json {
    let mut properties: Vec<(String, Json)> = command.get_arguments().filter_map(property).collect();
    let text = Json::object([("type", "string".into())]);
    let rest = Json::object([
        ("type", "array".into()),
        ("items", text),
        ("description", "further words of the command line, such as a subcommand with its flags".into()),
    ]);
    properties.push(("arguments".into(), rest));
    Json::object([
        ("type", "object".into()),
        ("properties", Json::Object(properties)),
        ("additionalProperties", false.into()),
    ])
}

fn property(arg: &clap::Arg) -> Option<(String, Json)> {
    let name = arg.get_long()?;
    let switch = !arg.get_action().takes_values();
    let mut pairs = vec![("type".to_owned(), Json::from(if switch { "boolean" } else { "string" }))];
    pairs.extend(arg.get_help().map(|help| ("description".to_owned(), help.to_string().into())));
    Some((name.to_owned(), Json::Object(pairs)))
}

fn words(command: &clap::Command, arguments: &Map<String, Value>) -> Result<Vec<String>, Fault> {
    let mut words = Vec::new();
    for (key, value) in arguments.iter().filter(|(key, _)| *key != "arguments") {
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(key));
        let arg = arg.ok_or_else(|| mcp::invalid(format!("unknown argument \"{key}\"")))?;
        match (value, arg.get_action().takes_values()) {
            (Value::Null | Value::Bool(false), false) | (Value::Null, true) => {}
            (Value::Bool(true), false) => words.push(format!("--{key}")),
            (_, false) => return Err(mcp::invalid(format!("argument \"{key}\" must be true or false"))),
            (Value::Array(items), true) => words.extend(items.iter().map(|item| format!("--{key}={}", plain(item)))),
            (single, true) => words.push(format!("--{key}={}", plain(single))),
        }
    }
    match arguments.get("arguments") {
        None | Some(Value::Null) => {}
        Some(Value::Array(items)) => words.extend(items.iter().map(plain)),
        Some(_) => return Err(mcp::invalid("\"arguments\" must be a list of texts".into())),
    }
    Ok(words)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// Runs ourselves with closed input; a run that does not end is ended.
fn execute(tool: &str, words: &[String]) -> Output {
    let failed = |why: std::io::Error| Output {
        stderr: format!("start `{tool}`: {}\n", super::native::words(&why)),
        status: 1,
        ..Output::default()
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(why) => return failed(why),
    };
    let piped = || Stdio::piped();
    match Command::new(program).arg(tool).args(words).stdin(Stdio::null()).stdout(piped()).stderr(piped()).spawn() {
        Ok(child) => collect(tool, child),
        Err(why) => failed(why),
    }
}

fn collect(tool: &str, mut child: Child) -> Output {
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let started = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.code(),
            Ok(None) if started.elapsed() < LONGEST_RUN => std::thread::sleep(POLL),
            _ => {
                // Both may fail only because the child has just ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    };
    let mut stderr = stderr.join().unwrap_or_default();
    if status.is_none() {
        stderr.push_str(&format!("`{tool}` was ended after {} seconds\n", LONGEST_RUN.as_secs()));
    }
    let status = status.map_or(1, |code| u8::try_from(code).unwrap_or(1));
    Output { stdout: stdout.join().unwrap_or_default(), stderr, status }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What arrived before an error is still worth showing.
        let _ = pipe.map(|pipe| pipe.take(MOST_BYTES).read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Tools that change nothing on the machine.
const READ_ONLY: &[&str] = &["probe", "check", "config", "rules", "replay"];
const LONGEST_RUN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);
const MOST_BYTES: u64 = 8 << 20;
