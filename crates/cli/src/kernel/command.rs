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
    /// What positional arguments are called and mean under our own name; `None` where they are ignored.
    pub operands: Option<(&'static str, &'static str)>,
    /// Command lines under our own name, each with what it does.
    pub examples: &'static str,
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
        operands: Some(("REQUIREMENT", "What has to be there: see below")),
        examples: "hawkbell check btf cap-bpf map:ringbuf 'kernel>=5.8'
  hawkbell check 'fentry|kprobe' 'lsm:file_open?'   one of two; a question mark makes optional
  hawkbell check --elf prog.bpf.o                   would this object load here?
  hawkbell check --elf build/ --load --format junit really load them, report for CI
  hawkbell check --requirements needs.yaml --against other-machine.json

Requirements:
  btf, fentry, bpf-lsm ...                          a feature, as `hawkbell probe` names it
  program:xdp  map:ringbuf  attach:tcx              a type that must load or attach
  helper:xdp:bpf_loop  kfunc:bpf_rcu_read_lock      something that programs call
  kprobe:do_exit  lsm:file_open  iter:task          a place to attach to; also function, tracepoint,
                                                    raw_tracepoint, struct_ops
  ability:isa-v4                                    what the verifier and the JIT can do
  kernel>=5.10  CONFIG_HZ=250  cap:CAP_BPF          version, build option, capability
  mount:/sys/fs/bpf:bpf                             a file system in its place",
        is_tool: true,
    },
    Command {
        name: "config",
        short: "Display parsed kernel configuration",
        long: "Display parsed kernel configuration: the options that matter to eBPF.",
        flags: &[JSON],
        operands: Some(("OPTION", "Only these options, for example CONFIG_BPF_LSM")),
        examples: "hawkbell config                          the options that matter to eBPF
  hawkbell config CONFIG_BPF_LSM CONFIG_HZ --json",
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
        operands: Some(("REPORT", "The second report of --diff")),
        examples: "hawkbell probe                                  what works here, what does not, why, and the fix
  hawkbell probe --full --json                    the whole inventory for machines
  hawkbell probe --save here.json                 take it elsewhere: `check --against here.json`
  hawkbell probe --diff before.json after.json    what a new kernel changed",
        is_tool: true,
    },
    Command {
        name: "version",
        short: "Show kernel and tool version",
        long: "Show kernel and tool version.",
        flags: &[],
        operands: None,
        examples: "hawkbell version",
        is_tool: false,
    },
];
