//! The text of `probe`: in, a snapshot and the paper to write on; out, what a newcomer wants to know first (can I trace, filter,
//! enforce here, and if not, what refuses it), then every name by fate with its reason and remedy. Nothing is probed here.

use super::Style;
use features::inventory::Snapshot;
use features::{Answer, Cause, Reason};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::IsTerminal;

/// Where the text goes.
#[derive(Debug, Clone, Copy)]
pub struct Paper {
    pub columns: usize,
    pub colour: bool,
}

impl Paper {
    /// The terminal of standard output; pipes and MCP get plain text of a fixed width.
    pub fn of(style: Style<'_>) -> Self {
        let stdout = std::io::stdout();
        if style.compact || !stdout.is_terminal() {
            return Paper { columns: PIPE_COLUMNS, colour: false };
        }
        let columns = terminal_size::terminal_size_of(&stdout).map_or(PIPE_COLUMNS, |(width, _)| usize::from(width.0));
        let choice = anstream::AutoStream::choice(&stdout);
        Paper { columns: columns.clamp(40, MOST_COLUMNS), colour: choice != anstream::ColorChoice::Never }
    }

    fn ink(self, ink: &str, text: &str) -> String {
        if self.colour { format!("{ink}{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn heading(self, out: &mut String, title: &str) {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(out, "\n{}", self.ink(BOLD, title));
    }

    /// Words between margins; `hang` indents every line but the first.
    fn wrap<'a>(self, out: &mut String, first: &str, hang: usize, words: impl Iterator<Item = &'a str>) {
        let mut line = first.to_owned();
        for word in words {
            let is_empty = line.trim().is_empty();
            if !is_empty && line.chars().count() + 1 + word.chars().count() > self.columns {
                let _ = writeln!(out, "{line}");
                line = " ".repeat(hang);
                line.push_str(word);
            } else {
                line.extend([if is_empty { "" } else { " " }, word]);
            }
        }
        let _ = writeln!(out, "{line}");
    }
}

/// The whole overview.
pub fn text(snapshot: &Snapshot, paper: Paper) -> String {
    let mut out = who(snapshot, paper);
    purposes(&mut out, snapshot, paper);
    let of = |wanted: fn(&Answer) -> bool| {
        snapshot.answers.iter().filter(move |(key, a)| wanted(a) && !key.starts_with("helper:"))
    };
    group(&mut out, paper, "Refused here", of(|a| matches!(a.cause(), Some(cause) if is_refusal(cause))));
    group(&mut out, paper, "Not set up", of(|a| is_no(a, &[Cause::NotMounted, Cause::NotEnabled])));
    let missing = |a: &Answer| is_no(a, &[Cause::Absent, Cause::CompiledOut, Cause::TooOld, Cause::NoBtf]);
    group(&mut out, paper, "Not in this kernel", of(missing));
    group(&mut out, paper, "Cannot tell", of(|a| matches!(a, Answer::Unknown(_))));
    paper.heading(&mut out, "Works here");
    let works: Vec<&str> = of(Answer::is_supported).map(|(key, _)| key.as_str()).collect();
    for (title, prefix) in GROUPS {
        let mut names = works.iter().filter_map(|key| member(key, prefix)).peekable();
        if names.peek().is_some() {
            paper.wrap(&mut out, &format!("  {title}:"), 6, names);
        }
    }
    lists(&mut out, paper, snapshot);
    out
}

fn who(snapshot: &Snapshot, paper: Paper) -> String {
    let c = &snapshot.context;
    let missing = c.missing_capabilities();
    let rights = match (missing.len(), c.effective.len()) {
        (0, _) => "every capability".to_owned(),
        (_, 0) => "no capability".to_owned(),
        (n, _) if n <= 8 => format!("every capability but {}", missing.join(", ")),
        _ => format!("only {}", c.effective.join(", ")),
    };
    let user = c.namespaces.get("user").map_or("unknown", String::as_str);
    let unknown = || "unknown".to_owned();
    let facts = [
        ("rights", format!("{rights}, in the {user} user namespace")),
        ("lockdown", c.lockdown.clone().unwrap_or_else(unknown)),
        ("security modules", c.lsms.as_ref().map_or_else(unknown, |names| names.join(", "))),
        ("seccomp", c.seccomp.clone().unwrap_or_else(unknown)),
        ("container", c.container.clone().unwrap_or_else(|| "no sign of one".into())),
        ("control groups", format!("{}, preemption: {}", c.cgroups, c.preemption)),
    ];
    let mut out = format!("{}\n", paper.ink(BOLD, &format!("Linux {} on {}", c.release, c.architecture)));
    for (name, value) in facts {
        paper.wrap(&mut out, &format!("  {name}:"), 6, value.split(' '));
    }
    out
}

/// One line for each thing that people come for.
fn purposes(out: &mut String, snapshot: &Snapshot, paper: Paper) {
    paper.heading(out, "What people come for");
    for (purpose, keys) in PURPOSES {
        let answers: Vec<(&str, &Answer)> =
            keys.iter().filter_map(|key| Some((*key, snapshot.answers.get(*key)?))).collect();
        let Some((_, first)) = answers.first() else { continue };
        let good: Vec<&str> = answers.iter().filter(|(_, a)| a.is_supported()).map(|(key, _)| plain(key)).collect();
        let no = answers.iter().find(|(_, answer)| !answer.is_supported());
        let (word, colour, note) = match no {
            None => ("yes", GREEN, String::new()),
            Some((_, answer)) if good.is_empty() => (first.word(), RED, short(answer)),
            Some((key, answer)) => {
                ("partly", YELLOW, format!("{}; not {}: {}", good.join(", "), plain(key), short(answer)))
            }
        };
        let word = paper.ink(colour, &format!("{word:<8}"));
        let line = format!("  {word}{purpose:<34}");
        // Escapes take no room, so the note is wrapped by itself.
        let mut lines = String::new();
        let room = Paper { columns: paper.columns.saturating_sub(NOTE_COLUMN).max(24), ..paper };
        room.wrap(&mut lines, "", 0, note.split(' '));
        for (at, part) in lines.lines().enumerate() {
            let before = if at == 0 { line.clone() } else { " ".repeat(NOTE_COLUMN) };
            let _ = writeln!(out, "{}", format!("{before}{part}").trim_end());
        }
    }
}

/// The last part of a name without its kind.
fn plain(key: &str) -> &str {
    let name = key.split_once(':').map_or(key, |(_, name)| name);
    name.strip_prefix("tracing/").unwrap_or(name)
}

/// A cause in a few words; the whole reason stands further below.
fn short(answer: &Answer) -> String {
    let option = |reason: &Reason| {
        let word = reason.text.split([' ', '(', ')', ';', ':']).find(|word| word.starts_with("CONFIG_"));
        word.map(|option| format!(" ({option})")).unwrap_or_default()
    };
    let Some(reason) = answer.reason() else { return String::new() };
    match reason.cause {
        Cause::Policy => "refused by a security policy".into(),
        Cause::Lockdown => "refused by kernel lockdown".into(),
        Cause::Seccomp => "refused by a seccomp filter".into(),
        Cause::MissingCapability => "this process lacks a capability".into(),
        Cause::UserNamespace => "not from inside a user namespace".into(),
        Cause::Memlock => "too little locked memory".into(),
        Cause::CompiledOut => format!("not built in{}", option(reason)),
        Cause::TooOld => "this kernel is too old".into(),
        Cause::NotMounted => "a file system is not mounted".into(),
        Cause::NotEnabled => "switched off".into(),
        Cause::NoBtf => "this kernel has no BTF".into(),
        _ => reason.text.clone(),
    }
}

fn is_no(answer: &Answer, causes: &[Cause]) -> bool {
    matches!(answer, Answer::Unsupported(reason) if causes.contains(&reason.cause))
}

fn member<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() { (!key.contains(':')).then_some(key) } else { key.strip_prefix(prefix) }
}

fn is_refusal(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Policy
            | Cause::Seccomp
            | Cause::MissingCapability
            | Cause::UserNamespace
            | Cause::Lockdown
            | Cause::Memlock
    )
}

/// Items with the same reason are told together.
fn group<'a>(out: &mut String, paper: Paper, title: &str, rows: impl Iterator<Item = (&'a String, &'a Answer)>) {
    let mut by_reason: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for (key, reason) in rows.filter_map(|(key, answer)| Some((key, answer.reason()?))) {
        let fix = reason.fix.clone().filter(|_| reason.cause != Cause::Policy);
        by_reason.entry((general(&reason.text), fix.unwrap_or_default())).or_default().push(key);
    }
    if by_reason.is_empty() {
        return;
    }
    paper.heading(out, title);
    for ((reason, fix), keys) in by_reason {
        paper.wrap(out, "  ", 2, keys.into_iter());
        paper.wrap(out, "      ", 6, reason.split(' '));
        if !fix.is_empty() {
            paper.wrap(out, "      fix:", 6, fix.split(' '));
        }
    }
}

/// A reason without what it is about, so that many items share it.
fn general(reason: &str) -> String {
    let about = REFUSALS.iter().find_map(|words| reason.find(words).filter(|at| *at > 0));
    about.and_then(|at| reason.get(at..)).unwrap_or(reason).to_owned()
}

fn lists(out: &mut String, paper: Paper, snapshot: &Snapshot) {
    let helpers = snapshot.helpers_by_program();
    if helpers.is_empty() {
        return;
    }
    paper.heading(out, "Helpers by program type");
    for (program, names) in helpers {
        paper.wrap(out, &format!("  {program} ({}):", names.len()), 6, names.into_iter());
    }
    let k = &snapshot.known;
    let known = format!(
        "{} program types, {} map types, {} attach types, {} link types, {} commands, {} helpers, {} kernel functions, {} LSM hooks, {} iterators, {} tracepoints, struct_ops {}",
        k.program_types.len(),
        k.map_types.len(),
        k.attach_types.len(),
        k.link_types.len(),
        k.commands.len(),
        k.helpers.len(),
        k.kfuncs.len(),
        k.lsm_hooks.len(),
        k.iterators.len(),
        k.tracepoints.len(),
        k.struct_ops.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    );
    paper.heading(out, "Known to this kernel by its BTF");
    paper.wrap(out, "  ", 2, known.split(' '));
}

/// How refusals begin after the name of what was refused.
const REFUSALS: &[&str] = &[
    "a security policy",
    "this process does not hold",
    "a seccomp filter",
    "capabilities of this process",
    "RLIMIT_MEMLOCK",
];
/// Purpose and what it takes.
const PURPOSES: &[(&str, &[&str])] = &[
    ("trace kernel functions (fentry)", &["fentry"]),
    ("trace kernel functions (kprobe)", &["kprobe", "attach:kprobe_multi"]),
    ("trace kernel events (tracepoints)", &["tracepoint", "program:tracing/tp_btf", "attach:raw_tracepoint"]),
    ("trace user programs (uprobe)", &["attach:uprobe_multi"]),
    ("enforce with security hooks (LSM)", &["bpf-lsm"]),
    ("walk kernel objects (iterators)", &["attach:iter"]),
    ("filter packets (tc, XDP)", &["program:sched_cls", "attach:tcx", "program:xdp"]),
    ("filter by control group", &["attach:cgroup"]),
    ("CO-RE (kernel types)", &["btf"]),
    ("ring buffer, arena", &["map:ringbuf", "map:arena"]),
];
const GROUPS: &[(&str, &str)] = &[
    ("features", ""),
    ("program types", "program:"),
    ("map types", "map:"),
    ("attach kinds", "attach:"),
    ("abilities", "ability:"),
];
const BOLD: &str = "\u{1b}[1m";
const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const NOTE_COLUMN: usize = 44;
const PIPE_COLUMNS: usize = 110;
const MOST_COLUMNS: usize = 140;

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let mut snapshot = Snapshot::default();
        let policy =
            Answer::no(Cause::Policy, "fentry programs: a security policy of this kernel refuses it".to_owned());
        let off =
            Answer::no(Cause::CompiledOut, "no kprobe events (CONFIG_KPROBE_EVENTS is off)").fix("use another kernel");
        for (key, answer) in [
            ("fentry", policy.clone()),
            ("program:tracing/fexit", policy),
            ("kprobe", off),
            ("attach:kprobe_multi", Answer::Supported),
            ("btf", Answer::Supported),
        ] {
            snapshot.answers.insert(key.to_owned(), answer);
        }
        snapshot
    }

    #[test]
    fn the_first_lines_say_what_is_refused_and_by_what() {
        let said = text(&snapshot(), Paper { columns: 200, colour: false });
        let line = |word: &str| {
            said.lines().find(|line| line.contains(word)).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("(fentry)"), "no trace kernel functions (fentry) refused by a security policy");
        assert_eq!(
            line("(kprobe)"),
            "partly trace kernel functions (kprobe) kprobe_multi; not kprobe: not built in (CONFIG_KPROBE_EVENTS)"
        );
        assert_eq!(line("(kernel types)"), "yes CO-RE (kernel types)");
        assert!(
            said.contains("  fentry program:tracing/fexit\n      a security policy of this kernel refuses it\n"),
            "{said}"
        );
        assert!(said.contains("      fix: use another kernel\n"), "{said}");
    }

    #[test]
    fn lines_keep_to_the_paper_and_colour_is_only_for_terminals() {
        for columns in [60, 80, 120] {
            let said = text(&snapshot(), Paper { columns, colour: false });
            // A purpose with a note needs its columns.
            let most = columns.max(NOTE_COLUMN + 24);
            assert!(said.lines().all(|line| line.chars().count() <= most), "{columns}: {said}");
            assert!(!said.contains('\u{1b}'));
        }
        assert!(text(&snapshot(), Paper { columns: 80, colour: true }).contains('\u{1b}'));
    }
}
