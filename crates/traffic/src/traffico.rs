//! The command line of the catalogue programs: words in, an [`Invocation`] or one message out, in the order in which the
//! reader of such a command line expects mistakes to be reported. What exists (interfaces, routes) is asked through
//! parameters. Nothing is printed and nothing is attached here.

use crate::catalogue::{self, InputKind, PROGRAMS, Program};
use crate::chain::{self, Selection, Stage};
use crate::input::Input;
use crate::user::UserProgram;
use std::fmt::Write;

/// What the words ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Help,
    Usage,
    Version,
    Attach(Invocation),
}

/// Which packets of an interface are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Ingress,
    Egress,
}

/// An attachment as it was typed; INPUT is judged later, by [`Invocation::selection`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// `None`: the interface of the default route.
    pub interface: Option<String>,
    pub at: At,
    pub cleanup: bool,
    pub verbose: bool,
    /// Look behind VLAN tags; `None` leaves it to the name the tool was called by.
    pub strict_vlan: Option<bool>,
    /// A program of the user's own, which may be the one that is meant.
    pub user: Option<UserProgram>,
    what: What,
}

/// What the words are about, asked while they are read.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Whether there is such an interface.
    pub interface: &'a dyn Fn(&str) -> bool,
    /// Reads a user's program from a file, or says what is wrong with it.
    pub program_file: &'a dyn Fn(&str) -> Result<UserProgram, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Program(&'static Program, Option<String>),
    Chain(String),
}

impl Invocation {
    /// Reads INPUT or the chain.
    ///
    /// # Errors
    /// The message to show.
    pub fn selection(&self) -> Result<Selection, String> {
        match &self.what {
            What::Chain(text) => chain::parse_with(text, self.user.as_ref().map(|u| u.program)).map(Selection::Chain),
            What::Program(program, text) => {
                Ok(Selection::Single(Stage { program, input: input(program, text.as_deref())? }))
            }
        }
    }

    /// Whether `--chain` was given.
    pub fn is_chain(&self) -> bool {
        matches!(self.what, What::Chain(_))
    }
}

fn input(program: &Program, text: Option<&str>) -> Result<Input, String> {
    match (text, program.input) {
        (Some(text), kind) => Input::parse(kind, text).map_err(|reason| format!("{reason}: '{text}'")),
        (None, InputKind::None) => Ok(Input::None),
        (None, _) => Err(format!("program '{program}' requires an input argument")),
    }
}

/// Reads the words after the program name. `exists` says whether an interface of that name is there.
///
/// # Errors
/// The message to show.
pub fn parse(words: &[String], world: World<'_>) -> Result<Command, String> {
    let mut scan = Scan::new(world);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let stop = match word.as_str() {
            "--" => {
                rest.by_ref().try_for_each(|w| scan.positional(w))?;
                None
            }
            long if long.starts_with("--") => scan.long(long.trim_start_matches("--"), &mut rest)?,
            short if short.starts_with('-') && short.len() > 1 => scan.shorts(short, &mut rest)?,
            positional => scan.positional(positional).map(|()| None)?,
        };
        if let Some(command) = stop {
            return Ok(command);
        }
    }
    scan.finish().map(Command::Attach)
}

struct Scan<'a> {
    world: World<'a>,
    user: Option<UserProgram>,
    interface: Option<String>,
    at: At,
    cleanup: bool,
    verbose: bool,
    strict_vlan: Option<bool>,
    chain: Option<String>,
    positionals: Vec<String>,
}

type Rest<'a> = std::slice::Iter<'a, String>;

impl<'a> Scan<'a> {
    fn new(world: World<'a>) -> Self {
        Scan {
            world,
            user: None,
            interface: None,
            at: At::Egress,
            cleanup: true,
            verbose: false,
            strict_vlan: None,
            chain: None,
            positionals: Vec::new(),
        }
    }

    fn positional(&mut self, word: &str) -> Result<(), String> {
        if self.positionals.len() == 2 {
            return Err("too many arguments".into());
        }
        self.positionals.push(word.to_owned());
        Ok(())
    }

    fn long(&mut self, word: &str, rest: &mut Rest<'_>) -> Result<Option<Command>, String> {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let option = find_long(name)?;
        let value = match (option.takes, value) {
            (false, Some(_)) => return Err(format!("option '--{}' doesn't allow an argument", option.long)),
            (false, None) => String::new(),
            (true, Some(value)) => value.to_owned(),
            (true, None) => {
                rest.next().cloned().ok_or_else(|| format!("option '--{}' requires an argument", option.long))?
            }
        };
        self.apply(option, value)
    }

    fn shorts(&mut self, word: &str, rest: &mut Rest<'_>) -> Result<Option<Command>, String> {
        for (at, letter) in word.char_indices().skip(1) {
            let found = OPTIONS.iter().find(|o| o.short == Some(letter));
            let option = found.ok_or_else(|| format!("invalid option -- '{letter}'"))?;
            if option.takes {
                let glued = word.get(at + letter.len_utf8()..).filter(|value| !value.is_empty());
                let value = glued.map(str::to_owned).or_else(|| rest.next().cloned());
                let value = value.ok_or_else(|| format!("option requires an argument -- '{letter}'"))?;
                return self.apply(option, value);
            }
            if let Some(command) = self.apply(option, String::new())? {
                return Ok(Some(command));
            }
        }
        Ok(None)
    }

    fn apply(&mut self, option: &Opt, value: String) -> Result<Option<Command>, String> {
        match option.long {
            "ifname" if (self.world.interface)(&value) => self.interface = Some(value),
            "ifname" => return Err(format!("option '--ifname' requires an existing interface: got '{value}'\n")),
            "at" => self.at = direction(&value)?,
            "no-cleanup" => self.cleanup = false,
            "chain" => self.chain = Some(value),
            "program-file" => self.user = Some((self.world.program_file)(&value)?),
            "strict" => self.strict_vlan = Some(true),
            "exact" => self.strict_vlan = Some(false),
            "verbose" => self.verbose = true,
            "help" => return Ok(Some(Command::Help)),
            "usage" => return Ok(Some(Command::Usage)),
            _ => return Ok(Some(Command::Version)),
        }
        Ok(None)
    }

    fn finish(self) -> Result<Invocation, String> {
        let mut positionals = self.positionals.into_iter();
        let user = self.user.as_ref().map(|user| user.program);
        let what = match (self.chain, positionals.next()) {
            (Some(_), Some(_)) => {
                return Err("--chain and positional PROGRAM arguments are mutually exclusive".into());
            }
            (Some(chain), None) => What::Chain(chain),
            (None, None) => match user {
                Some(program) => What::Program(program, None),
                None => return Err("program name is mandatory".into()),
            },
            (None, Some(name)) => {
                let program = catalogue::find_with(&name, user);
                let program = program.ok_or_else(|| format!("argument '{name}' is not a traffico program"))?;
                What::Program(program, positionals.next())
            }
        };
        let Scan { interface, at, cleanup, verbose, strict_vlan, user, .. } = self;
        Ok(Invocation { interface, at, cleanup, verbose, strict_vlan, user, what })
    }
}

/// Anything that begins with one of the two words, case ignored.
fn direction(value: &str) -> Result<At, String> {
    let begins = |word: &str| value.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    match (begins("egress"), begins("ingress")) {
        (true, _) => Ok(At::Egress),
        (_, true) => Ok(At::Ingress),
        _ => Err("option '--at' requires one of the following values: INGRESS|EGRESS".into()),
    }
}

/// By full name or a prefix that fits one option alone.
fn find_long(name: &str) -> Result<&'static Opt, String> {
    if let Some(exact) = OPTIONS.iter().find(|o| o.long == name) {
        return Ok(exact);
    }
    let fitting: Vec<&Opt> = OPTIONS.iter().filter(|o| o.prefixes && o.long.starts_with(name)).collect();
    match fitting[..] {
        [one] => Ok(one),
        [] => Err(format!("unrecognized option '--{name}'")),
        _ => {
            let names: String = fitting.iter().map(|o| format!(" '--{}'", o.long)).collect();
            Err(format!("option '--{name}' is ambiguous; possibilities:{names}"))
        }
    }
}

/// The interface of the first default route in the text of `/proc/net/route` (IPv4).
pub fn default_interface(route_table: &str) -> Option<&str> {
    let rows = route_table.lines().skip(1).map(|line| line.split_whitespace());
    rows.filter_map(|mut row| Some((row.next()?, row.next()?)))
        .find(|(_, destination)| u32::from_str_radix(destination, 16) == Ok(0))
        .map(|(interface, _)| interface)
}

/// The long help; `name` is what the tool was called by.
pub fn help(name: &str) -> String {
    let mut text = format!(
        "Usage: {name} [OPTION...] PROGRAM [INPUT]\nFilters the packets of an interface with eBPF.\n\n OPTIONS\n"
    );
    for option in OPTIONS {
        let short = option.short.map_or("    ".to_owned(), |s| format!("-{s}, "));
        let argument = if option.takes { format!("={}", option.argument) } else { String::new() };
        let _ = writeln!(text, "  {:<30} {}", format!("{short}--{}{argument}", option.long), option.help);
    }
    text.push_str("\n PROGRAMS\n");
    for program in PROGRAMS {
        let input = if program.input == InputKind::None { "" } else { " [input]" };
        let _ = writeln!(text, "  - {program}{input}");
    }
    text + "\nReport bugs to https://github.com/leodido/traffico/issues.\n"
}

/// The short help.
pub fn usage(name: &str) -> String {
    let flags: String = OPTIONS.iter().filter(|o| !o.takes).filter_map(|o| o.short).collect();
    let mut text = format!("Usage: {name} [-{flags}]");
    for option in OPTIONS.iter().filter(|o| o.takes) {
        let short = option.short.map_or(String::new(), |s| format!(" [-{s} {}]", option.argument));
        let _ = write!(text, "{short} [--{}={}]", option.long, option.argument);
    }
    for option in OPTIONS.iter().filter(|o| !o.takes) {
        let _ = write!(text, " [--{}]", option.long);
    }
    text + " PROGRAM [INPUT]\n"
}

/// What `--version` prints.
pub const VERSION: &str = "traffico 0.0\n";

struct Opt {
    short: Option<char>,
    long: &'static str,
    takes: bool,
    argument: &'static str,
    help: &'static str,
    /// Abbreviations reach it; ours do not, so that they take none away from the older options.
    prefixes: bool,
}

const fn opt(short: Option<char>, long: &'static str, argument: &'static str, help: &'static str) -> Opt {
    Opt { short, long, takes: !argument.is_empty(), argument, help, prefixes: true }
}

const fn own(long: &'static str, argument: &'static str, help: &'static str) -> Opt {
    Opt { prefixes: false, ..opt(None, long, argument, help) }
}

/// Sorted by name.
const OPTIONS: &[Opt] = &[
    opt(None, "at", "INGRESS|EGRESS", "Which packets of the interface (default EGRESS)"),
    opt(None, "chain", "PROG:INPUT,...", "Run up to 8 programs one after the other, L2 -> L3 -> L4"),
    own("exact", "", "Take a VLAN tag for the end of the matter"),
    opt(Some('i'), "ifname", "IFNAME", "The interface (default: that of the default route)"),
    opt(None, "no-cleanup", "", "Leave filter and qdisc in place on exit"),
    own("program-file", "FILE", "Know the program in this object file, too (see `traffic header`)"),
    own("strict", "", "Judge what is behind up to two VLAN tags, too"),
    opt(Some('v'), "verbose", "", "Say what is done"),
    opt(Some('?'), "help", "", "Show this help"),
    opt(None, "usage", "", "Show a short usage message"),
    opt(Some('V'), "version", "", "Show the version"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<Command, String> {
        let words: Vec<String> = line.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
        parse(&words, WORLD)
    }

    const WORLD: World<'_> =
        World { interface: &|name| name == "lo", program_file: &|path| Err(format!("{path}: no such file")) };

    fn attach(line: &str) -> Invocation {
        match run(line) {
            Ok(Command::Attach(invocation)) => invocation,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn usage_errors_in_order() {
        let check = |line: &str, message: &str| assert_eq!(run(line).unwrap_err(), message, "{line}");
        check("", "program name is mandatory");
        check("-x", "invalid option -- 'x'");
        check("--xxxx", "unrecognized option '--xxxx'");
        check("--at", "option '--at' requires an argument");
        check("-i", "option requires an argument -- 'i'");
        check("-i nope --xxxx", "option '--ifname' requires an existing interface: got 'nope'\n");
        check("--at eg nop", "option '--at' requires one of the following values: INGRESS|EGRESS");
        check("nop a b --xxxx", "too many arguments");
        check("bogus", "argument 'bogus' is not a traffico program");
        check("0", "argument '0' is not a traffico program");
        check("--chain x nop", "--chain and positional PROGRAM arguments are mutually exclusive");
        check("--ver", "option '--ver' is ambiguous; possibilities: '--verbose' '--version'");
        check("--program-file x.o --xxxx", "x.o: no such file");
        check("--program x.o", "unrecognized option '--program'");
        check("--verbose=1 nop", "option '--verbose' doesn't allow an argument");
    }

    #[test]
    fn accepts_any_order_and_abbreviations() {
        let invocation = attach("allow_port --if lo -v 443 --at=InGressfoo --no");
        assert_eq!(invocation.interface.as_deref(), Some("lo"));
        assert_eq!((invocation.at, invocation.cleanup, invocation.verbose), (At::Ingress, false, true));
        assert_eq!(invocation.selection().unwrap().stages()[0].input, Input::Port(443));
        assert!(attach("-vilo NoP").verbose);
        assert_eq!(attach("--chain a --chain allow_ethertype:arp").selection().unwrap().stages().len(), 1);
        assert_eq!(run("--help --xxxx"), Ok(Command::Help));
        assert_eq!(run("nop -V"), Ok(Command::Version));
    }

    #[test]
    fn input_errors_come_later() {
        let check = |line: &str, message: &str| assert_eq!(attach(line).selection().unwrap_err(), message, "{line}");
        check("allow_port", "program 'allow_port' requires an input argument");
        check("block_port -- -1", "invalid port number: '-1'");
        check("nop 1", "program does not accept input: '1'");
        check("--chain=", "--chain requires at least one program");
    }

    #[test]
    fn finds_the_default_route() {
        let table = "Iface\tDestination\tGateway\neth1\t0000FEA9\t0\neth0\t00000000\t0102A8C0\n";
        assert_eq!(default_interface(table), Some("eth0"));
        assert_eq!(default_interface("Iface\tDestination\n"), None);
    }

    #[test]
    fn help_begins_and_ends_as_known() {
        assert!(help("traffico").starts_with("Usage: traffico [OPTION...] PROGRAM [INPUT]\n"));
        assert!(help("traffico").contains("\n  - allow_dns [input]\n") && help("traffico").contains("\n  - nop\n"));
        assert!(usage("traffico").starts_with("Usage:"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(words in proptest::collection::vec("-{0,2}[a-zA-Z=:,0-9é]{0,8}", 0..6)) {
            if let Ok(Command::Attach(invocation)) = parse(&words, WORLD) {
                let _ = invocation.selection();
            }
        }
    }
}
