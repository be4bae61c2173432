//! From the words typed to the tool that runs. The name the binary was called by decides what its first argument means:
//! `hawkbell` expects a subcommand, `falco` and `kfeatures` are tools themselves. Only the table in
//! `tools` knows those names. Nothing here prints anything but help.

use crate::exit::{Exit, Failure, Outcome};
use crate::tools::{Invocation, TOOLS, Tool, named};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Runs the tool that `argv` names.
pub fn run(argv: &[OsString]) -> Outcome {
    let (called, args) = argv.split_first().map_or((OWN_NAME.to_owned(), &[][..]), |(name, args)| (stem(name), args));
    if let Some(tool) = TOOLS.iter().find(|t| t.known_as.is_program(&called)) {
        return start(tool, called, args);
    }
    let program = OWN_NAME.to_owned();
    let chosen = args.first().and_then(|first| find(first).or_else(|| by_flag(first)));
    match chosen {
        Some(tool) => start(tool, format!("{program} {}", tool.name), args.get(1..).unwrap_or_default()),
        None => explain(&program, args),
    }
}

/// The command with all its tools, as help, completions and man pages show it.
pub fn root(program: &str) -> clap::Command {
    let mut root = named(clap::Command::new(OWN_NAME), program)
        .about("What this kernel can do, which packets pass, what your eBPF covers, and what happens on this host")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(EXAMPLES);
    for tool in TOOLS {
        root = root.subcommand((tool.command)().name(tool.name).hide(tool.hidden));
    }
    root
}

fn start(tool: &Tool, program: String, args: &[OsString]) -> Outcome {
    (tool.run)(&Invocation { program, args: args.to_vec(), usage_exit: tool.usage_exit })
        .map_err(|failure| crate::kernel::needs::explain(failure, tool.needs))
}

/// No tool was named: clap shows help, the version, or what is wrong with the words.
fn explain(program: &str, args: &[OsString]) -> Outcome {
    let name = OsString::from(program);
    let usage = |error| Failure::Usage { error: Box::new(error), exit: Exit(2) };
    let matches =
        root(program).try_get_matches_from(std::iter::once(name).chain(args.iter().cloned())).map_err(usage)?;
    // Flags before the subcommand: clap has found the tool where the first word was none.
    let (tool, at) = matches
        .subcommand_name()
        .and_then(|name| Some((find(OsStr::new(name))?, args.iter().position(|a| a == name)?)))
        .ok_or_else(|| Failure::message("no subcommand given"))?;
    start(tool, format!("{program} {}", tool.name), args.get(at + 1..).unwrap_or_default())
}

/// Flags that stand for a whole tool.
fn by_flag(word: &OsStr) -> Option<&'static Tool> {
    match word.to_str()? {
        "--mcp" => find(OsStr::new("mcp")),
        word if word.starts_with("--jsonschema") => find(OsStr::new("schema")),
        _ => None,
    }
}

fn find(name: &OsStr) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| OsStr::new(tool.name) == name)
}

fn stem(argv0: &OsStr) -> String {
    Path::new(argv0).file_name().unwrap_or(argv0).to_string_lossy().into_owned()
}

const OWN_NAME: &str = "hawkbell";

const EXAMPLES: &str = "Each command explains itself with --help.";
