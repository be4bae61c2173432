//! Shell completions and man pages, generated from the table of tools: a shell's name comes in, a script goes to
//! standard output; a directory comes in, one page per command goes into it. Nothing is written by hand here, so nothing
//! can go stale.

use crate::dispatch::root;
use crate::exit::{Exit, Outcome};
use crate::tools::Invocation;
use anyhow::Context;
use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Print a shell completion script
#[derive(Parser)]
#[command(after_help = "Example:\n  hawkbell completions bash > /etc/bash_completion.d/hawkbell")]
struct Completions {
    /// The shell to complete for
    shell: Shell,
    /// The name the command is called by
    #[arg(long, default_value = "hawkbell", value_name = "NAME")]
    program: String,
}

/// Write the man pages, or print the main one when no directory is given
#[derive(Parser)]
#[command(after_help = "Example:\n  hawkbell man /usr/local/share/man/man1")]
struct Man {
    /// Where to write one page per command
    directory: Option<PathBuf>,
}

pub fn command() -> clap::Command {
    Completions::command()
}

pub fn run(invocation: &Invocation) -> Outcome {
    let args: Completions = invocation.parse_into()?;
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut root(&args.program), args.program.clone(), &mut script);
    std::io::stdout().write_all(&script).context("write completions")?;
    Ok(Exit::OK)
}

pub fn man_command() -> clap::Command {
    Man::command()
}

pub fn run_man(invocation: &Invocation) -> Outcome {
    let args: Man = invocation.parse_into()?;
    let mut command = root("hawkbell").disable_help_subcommand(true);
    command.build();
    match args.directory {
        Some(directory) => write_pages(&command, &directory)?,
        None => clap_mangen::Man::new(command).render(&mut std::io::stdout()).context("write man page")?,
    }
    Ok(Exit::OK)
}

/// `hawkbell.1` and, for every tool that is listed in help, `hawkbell-TOOL.1`.
fn write_pages(command: &clap::Command, directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("directory `{}`", directory.display()))?;
    write_page(command.clone(), directory)?;
    for tool in command.get_subcommands().filter(|tool| !tool.is_hide_set()) {
        let name = format!("{}-{}", command.get_name(), tool.get_name());
        write_page(tool.clone().name(name), directory)?;
    }
    Ok(())
}

fn write_page(command: clap::Command, directory: &Path) -> anyhow::Result<()> {
    let path = directory.join(format!("{}.1", command.get_name()));
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    std::fs::write(&path, page).with_context(|| format!("man page `{}`", path.display()))
}
