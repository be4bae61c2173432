//! The table of tools: which subcommands exist and under which names of the systems they re-create the binary may be
//! called (a symbolic link is enough). Help, completions, man pages and dispatch all read this table. To add a tool,
//! declare its module in `main.rs` and add a row here.

use crate::exit::{Exit, Failure, Outcome};
use features::{Need, need};
use std::ffi::OsString;

/// One subcommand.
pub struct Tool {
    pub name: &'static str,
    /// The tool's command line, for parsing, help, completions and man pages. Its name and version are set for it.
    pub command: fn() -> clap::Command,
    pub run: fn(&Invocation) -> Outcome,
    /// Status of a wrong command line.
    pub usage_exit: u8,
    pub known_as: KnownAs,
    /// Not listed in help.
    pub hidden: bool,
    /// What the tool needs from the kernel: explained when the kernel refuses.
    pub needs: &'static [Need],
}

/// Under which program name a tool can be reached besides `hawkbell <tool>`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KnownAs {
    /// Only as a subcommand of `hawkbell`.
    Nothing,
    /// The program of this name is the tool.
    Program(&'static str),
}

impl KnownAs {
    pub fn is_program(self, name: &str) -> bool {
        matches!(self, KnownAs::Program(program) if program == name)
    }
}

/// A tool of our own: reached only as `hawkbell <name>`. Rows of other tools override what differs.
const fn own(name: &'static str, command: fn() -> clap::Command, run: fn(&Invocation) -> Outcome) -> Tool {
    Tool { name, command, run, usage_exit: 2, known_as: KnownAs::Nothing, hidden: false, needs: &[] }
}

/// Every tool, in the order of the help.
pub static TOOLS: &[Tool] = &[
    own("probe", crate::kernel::probe_command, crate::kernel::run_native),
    Tool { usage_exit: 12, ..own("check", crate::kernel::check_command, crate::kernel::run_native) },
    own("config", crate::kernel::config_command, crate::kernel::run_native),
    own("version", crate::kernel::version_command, crate::kernel::run_native),
    own("mcp", crate::kernel::tool_server::command, crate::kernel::tool_server::run),
    Tool {
        hidden: true,
        ..own("schema", crate::kernel::tool_server::schema_command, crate::kernel::tool_server::run_schema)
    },
    Tool {
        hidden: true,
        known_as: KnownAs::Program("kfeatures"),
        ..own("kfeatures", crate::kernel::command, crate::kernel::run_kfeatures)
    },
    Tool {
        known_as: KnownAs::Program("falco"),
        usage_exit: 1,
        ..own("watch", crate::watch::command, crate::watch::run)
    },
    own("rules", crate::rules::command, crate::rules::run),
    own("replay", crate::watch::replay_command, crate::watch::run_replay),
    Tool {
        known_as: KnownAs::Program("traffico"),
        needs: &[
            need("bpf-syscall", "filtering packets"),
            need("program:sched_cls", "filtering packets"),
            need("map:percpu_array", "counting packets"),
            need("attach:tcx?", "programs are attached as tc filters"),
        ],
        ..own("traffic", crate::traffic::command, crate::traffic::run)
    },
    Tool {
        usage_exit: 1,
        known_as: KnownAs::Program("bpfcov"),
        needs: crate::cover::NEEDS,
        ..own("cover", crate::cover::command, crate::cover::run)
    },
    own("completions", crate::completions::command, crate::completions::run),
    own("man", crate::completions::man_command, crate::completions::run_man),
];

/// How a tool was called: the words to name it by in messages, and its arguments.
pub struct Invocation {
    /// `hawkbell watch`, or `falco` when called under that name.
    pub program: String,
    /// Everything after the subcommand.
    pub args: Vec<OsString>,
    pub usage_exit: u8,
}

impl Invocation {
    /// Parses the arguments. Help and version end the run with status 0 through the failure.
    ///
    /// # Errors
    /// The command line is wrong, or only asks for help.
    pub fn parse(&self, command: clap::Command) -> Result<clap::ArgMatches, Failure> {
        let program = OsString::from(&self.program);
        named(command, &self.program)
            .try_get_matches_from(std::iter::once(program).chain(self.args.iter().cloned()))
            .map_err(|error| Failure::Usage { error: Box::new(error), exit: Exit(self.usage_exit) })
    }

    /// Parses the arguments into `T`, which derives [`clap::Parser`].
    ///
    /// # Errors
    /// As [`Invocation::parse`].
    pub fn parse_into<T: clap::Parser>(&self) -> Result<T, Failure> {
        let mut matches = self.parse(T::command())?;
        T::from_arg_matches_mut(&mut matches)
            .map_err(|error| Failure::Usage { error: Box::new(error), exit: Exit(self.usage_exit) })
    }
}

/// `command` as the program `name`, at our version unless it has its own.
pub fn named(command: clap::Command, name: &str) -> clap::Command {
    let command = command.name(name.to_owned()).bin_name(name.to_owned());
    if command.get_version().is_some() { command } else { command.version(env!("CARGO_PKG_VERSION")) }
}
