//! `hawkbell traffic` (and the name `traffico`): which packets may pass an interface. The first word decides: one of the
//! policy commands, or else the command line of the catalogue programs, which is all there is under the older name.

mod args;
mod attached;
mod judge;
mod policy;
mod program;
mod target;

use crate::exit::Outcome;
use crate::kernel::needs::ready;
use crate::tools::Invocation;
use args::{Command, TrafficArgs};
use clap::CommandFactory;
use features::{Need, need};
use std::io::Write;

pub fn command() -> clap::Command {
    TrafficArgs::command()
}

pub fn run(invocation: &Invocation) -> Outcome {
    let first = invocation.args.first().and_then(|word| word.to_str()).unwrap_or_default();
    let asks_for_help = ["", "help", "-h", "--help"].contains(&first);
    let is_command = asks_for_help || TrafficArgs::command().get_subcommands().any(|c| c.get_name() == first);
    if !is_command || invocation.program == "traffico" {
        return program::run(invocation);
    }
    let args: TrafficArgs = invocation.parse_into()?;
    ready(needs_of(&args.command))?;
    match &args.command {
        Command::Validate(args) => policy::validate(args),
        Command::Plan(args) => policy::plan(args),
        Command::Apply(args) => policy::apply(args),
        Command::List(args) => attached::list(args),
        Command::Show(args) => attached::show(args),
        Command::Detach(args) => attached::detach(args),
        Command::Watch(args) => attached::watch(args),
        Command::Metrics(args) => attached::metrics(args),
        Command::Test(args) => judge::test(args),
        Command::Explain(args) => judge::explain(args),
        Command::Schema => Ok(print(traffic::policy::schema::SCHEMA)?),
        Command::Header => Ok(print(traffic::user::HEADER)?),
    }
}

/// What a command cannot do without; known before the kernel is touched.
fn needs_of(command: &Command) -> &'static [Need] {
    match command {
        Command::Apply(_) => POLICY_NEEDS,
        Command::Plan(_)
        | Command::List(_)
        | Command::Show(_)
        | Command::Detach(_)
        | Command::Watch(_)
        | Command::Metrics(_) => LISTING_NEEDS,
        Command::Validate(_) | Command::Test(_) | Command::Explain(_) | Command::Schema | Command::Header => &[],
    }
}

const LISTING: Need = need("cap:CAP_SYS_ADMIN", "finding what is attached");
const LISTING_NEEDS: &[Need] = &[LISTING];
/// Of catalogue programs, which look for nothing but their own filter.
const PROGRAM_NEEDS: &[Need] =
    &[need("cap:CAP_BPF|cap:CAP_SYS_ADMIN", "loading programs"), need("cap:CAP_NET_ADMIN", "filtering packets")];
const POLICY_NEEDS: &[Need] = &[LISTING, PROGRAM_NEEDS[0], PROGRAM_NEEDS[1]];

/// Writes a result.
fn print(text: &str) -> Result<crate::exit::Exit, std::io::Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(crate::exit::Exit::OK)
}

fn print_json(value: &impl serde::Serialize) -> Outcome {
    Ok(print(&serde_json::to_string_pretty(value)?)?)
}
