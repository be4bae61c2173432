//! The commands about kernel capabilities as a table: names, help texts, flags. In: nothing; out: rows that parsing, help,
//! completion, JSON schema and MCP all read. A flag is defined here and nowhere else.

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    Bool,
    /// Feature names, comma separated, repeatable.
    Features,
    /// Text, shown as this word in help; repeatable.
    Text(&'static str),
    /// One of some words.
    Choice(&'static [&'static str]),
}

/// One flag.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    pub name: &'static str,
    pub short: Option<char>,
    pub value: Value,
    pub help: &'static str,
    pub required: bool,
    /// Only under our own name.
    pub native: bool,
}

/// One subcommand.
#[derive(Debug)]
pub struct Command {
    pub name: &'static str,
    pub short: &'static str,
    pub long: &'static str,
    pub flags: &'static [Flag],
    /// What positional arguments mean under our own name, empty where they are ignored.
    pub operands: &'static str,
    /// Offered to MCP clients.
    pub is_tool: bool,
}

pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

impl Command {
    /// The flags under a name: the reference's own, or ours too.
    pub fn flags(&self, native: bool) -> impl Iterator<Item = &'static Flag> {
        self.flags.iter().filter(move |flag| native || !flag.native)
    }
}

impl Flag {
    /// The word after the flag in help, empty for a switch.
    pub fn word(&self) -> &'static str {
        match self.value {
            Value::Bool => "",
            Value::Features => "feature",
            Value::Text(word) => word,
            Value::Choice(_) => "word",
        }
    }
}

const JSON: Flag =
    Flag { name: "json", short: Some('j'), value: Value::Bool, help: "Output as JSON", required: false, native: false };

const fn ours(name: &'static str, value: Value, help: &'static str) -> Flag {
    Flag { name, short: None, value, help, required: false, native: true }
}

pub const ROOT_LONG: &str =
    "kfeatures probes kernel capabilities for eBPF: program types, security modules, capabilities,
file systems and settings. It tells what this kernel can run and, if not, why and what fixes it.";

/// In alphabetical order.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "check",
        short: "Check that the kernel supports all required features",
        long: "Check that the kernel supports all required features.\n\nExits with status 0 when every requirement is met and 1 otherwise.",
        flags: &[
            JSON,
            Flag {
                name: "require",
                short: Some('r'),
                value: Value::Features,
                help: "Required features (see available features above)",
                required: true,
                native: false,
            },
            ours("requirements", Value::Text("file"), "Requirements from a YAML or JSON file"),
            ours("elf", Value::Text("path"), "BPF object, or directory of objects, that must load here"),
            ours("load", Value::Bool, "Really load the objects (maps and verifier; nothing is attached)"),
            ours("against", Value::Text("report"), "Check a report of `probe --save` instead of this machine"),
            ours("format", Value::Choice(&["text", "json", "junit", "sarif"]), "Form of the output"),
        ],
        operands: "further requirements",
        is_tool: true,
    },
    Command {
        name: "config",
        short: "Display parsed kernel configuration",
        long: "Display parsed kernel configuration: the options that matter to eBPF.",
        flags: &[JSON],
        operands: "options to show, for example CONFIG_BPF_LSM",
        is_tool: true,
    },
    Command {
        name: "probe",
        short: "Probe all kernel features",
        long: "Probe all kernel features and show what was found.",
        flags: &[
            JSON,
            ours("full", Value::Bool, "Also every helper, kernel function, hook, iterator and tracepoint"),
            ours("save", Value::Text("file"), "Write the full report to a file, for `check --against`"),
            ours("diff", Value::Text("file"), "Compare two saved reports (give the second file as well)"),
            ours("format", Value::Choice(&["text", "json"]), "Form of the output"),
        ],
        operands: "second report of --diff",
        is_tool: true,
    },
    Command {
        name: "version",
        short: "Show kernel and tool version",
        long: "Show kernel and tool version.",
        flags: &[],
        operands: "",
        is_tool: false,
    },
];
