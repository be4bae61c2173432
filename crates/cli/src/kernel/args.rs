//! Reading a command line the way the reference's users expect (long and short flags, `=`, bundles, repeats, `--`). In: words; out:
//! the command with typed flags, or the error envelope. What the flags mean is decided elsewhere.

use super::command::{self, COMMANDS, Command, Flag, Value};
use super::output::Envelope;
use features::requirement::ParseError;
use features::{FEATURES, Requirement};

/// A command line that was understood.
#[derive(Debug, Default)]
pub struct Parsed {
    /// `None` for the bare program.
    pub command: Option<&'static Command>,
    pub operands: Vec<String>,
    pub help: bool,
    pub mcp: bool,
    /// The value of `--jsonschema`, empty when it had none.
    pub jsonschema: Option<String>,
    pub require: Option<Vec<Requirement>>,
    /// Called under our own name, with everything that goes with it.
    pub native: bool,
    bools: Vec<(&'static str, bool)>,
    texts: Vec<(&'static str, String)>,
}

impl Parsed {
    /// The last value of a switch.
    pub fn is_on(&self, name: &str) -> bool {
        self.bools.iter().rev().find(|(known, _)| *known == name).is_some_and(|(_, on)| *on)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().rev().find(|(known, _)| *known == name).map(|(_, text)| text.as_str())
    }

    pub fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.texts.iter().filter(move |(known, _)| *known == name).map(|(_, text)| text.as_str())
    }

    /// Full name of what was called, for messages.
    pub fn path(&self, program: &str) -> String {
        self.command.map_or_else(|| program.to_owned(), |command| format!("{program} {}", command.name))
    }
}

/// Parses the words after the program name.
pub fn parse(program: &str, native: bool, args: &[String]) -> Result<Parsed, Box<Envelope>> {
    let mut parsed = Parsed { native, ..Parsed::default() };
    let at = subcommand(args);
    if let Some(word) = at.and_then(|at| args.get(at)) {
        parsed.command = Some(command::find(word).ok_or_else(|| unknown_command(program, word))?);
    }
    let rest: Vec<&str> = args.iter().enumerate().filter(|(i, _)| Some(*i) != at).map(|(_, w)| w.as_str()).collect();
    let mut words = rest.into_iter();
    let path = parsed.path(program);
    while let Some(word) = words.next() {
        match word {
            "--" => parsed.operands.extend(words.by_ref().map(ToOwned::to_owned)),
            _ if word.starts_with("--") => long(&mut parsed, &path, word, &mut words)?,
            _ if word.starts_with('-') && word.len() > 1 => short(&mut parsed, &path, word, &mut words)?,
            _ => parsed.operands.push(word.to_owned()),
        }
    }
    Ok(parsed)
}

/// The first word that is neither a flag nor the value of one.
fn subcommand(args: &[String]) -> Option<usize> {
    let mut skip = false;
    for (at, word) in args.iter().enumerate() {
        match word.as_str() {
            _ if std::mem::take(&mut skip) => {}
            "--" => return None,
            _ if word.starts_with("--") => skip = !word.contains('=') && takes_value(word.trim_start_matches('-')),
            _ if word.starts_with('-') && word.len() > 1 => skip = word.len() == 2 && word == "-r",
            _ => return Some(at),
        }
    }
    None
}

fn takes_value(name: &str) -> bool {
    let mut all = COMMANDS.iter().flat_map(|command| command.flags);
    all.any(|flag| flag.name == name && flag.value != Value::Bool)
}

fn long<'a>(
    parsed: &mut Parsed,
    path: &str,
    word: &str,
    words: &mut impl Iterator<Item = &'a str>,
) -> Result<(), Box<Envelope>> {
    let (name, value) = word
        .trim_start_matches("--")
        .split_once('=')
        .map_or((word.trim_start_matches("--"), None), |(n, v)| (n, Some(v)));
    match name {
        "help" => parsed.help = true,
        "mcp" => parsed.mcp = native_bool(value),
        "jsonschema" => parsed.jsonschema = Some(value.unwrap_or("").to_owned()),
        _ => {
            let flag = lookup(parsed, |flag| flag.name == name).ok_or_else(|| {
                Box::new(Envelope {
                    error: "unknown_flag",
                    status: 12,
                    message: format!("unknown flag: --{name}"),
                    flag: Some(name.to_owned()),
                    command: Some(path.to_owned()),
                    ..Envelope::default()
                })
            })?;
            take(parsed, path, flag, value, words)?;
        }
    }
    Ok(())
}

/// The reference starts its server for `--mcp=false` too; here false means false.
fn native_bool(value: Option<&str>) -> bool {
    value.is_none_or(|text| boolean(text).unwrap_or(true))
}

fn short<'a>(
    parsed: &mut Parsed,
    path: &str,
    word: &str,
    words: &mut impl Iterator<Item = &'a str>,
) -> Result<(), Box<Envelope>> {
    let bundle = word.trim_start_matches('-');
    for (at, letter) in bundle.char_indices() {
        if letter == 'h' {
            parsed.help = true;
            continue;
        }
        let flag = lookup(parsed, |flag| flag.short == Some(letter))
            .ok_or_else(|| invalid(path, format!("unknown shorthand flag: '{letter}' in {word}")))?;
        let rest = bundle.get(at + letter.len_utf8()..).unwrap_or("");
        if flag.value != Value::Bool {
            let value = if rest.is_empty() { None } else { Some(rest.strip_prefix('=').unwrap_or(rest)) };
            return take(parsed, path, flag, value, words);
        }
        if let Some(value) = rest.strip_prefix('=') {
            return take(parsed, path, flag, Some(value), words);
        }
        take(parsed, path, flag, None, words)?;
    }
    Ok(())
}

fn lookup(parsed: &Parsed, is: impl Fn(&Flag) -> bool) -> Option<&'static Flag> {
    parsed.command?.flags(parsed.native).find(|flag| is(flag))
}

fn take<'a>(
    parsed: &mut Parsed,
    path: &str,
    flag: &'static Flag,
    value: Option<&str>,
    words: &mut impl Iterator<Item = &'a str>,
) -> Result<(), Box<Envelope>> {
    if flag.value == Value::Bool {
        let text = value.unwrap_or("true");
        let on = boolean(text).ok_or_else(|| {
            let why = format!("strconv.ParseBool: parsing \"{text}\": invalid syntax");
            bad_value(path, flag, text, "bool", &why)
        })?;
        parsed.bools.push((flag.name, on));
        return Ok(());
    }
    let text = match value.or_else(|| words.next()) {
        Some(text) => text,
        None => return Err(invalid(path, format!("flag needs an argument: --{}", flag.name))),
    };
    match flag.value {
        Value::Features => {
            let items = features_of(text, parsed.native)
                .map_err(|error| bad_value(path, flag, text, "feature", &error.to_string()))?;
            parsed.require.get_or_insert_default().extend(items);
        }
        Value::Choice(words) if !words.contains(&text) => {
            return Err(bad_value(path, flag, text, "word", &format!("must be one of {}", words.join(", "))));
        }
        _ => parsed.texts.push((flag.name, text.to_owned())),
    }
    Ok(())
}

/// Items between commas; empty ones are left out.
fn features_of(text: &str, native: bool) -> Result<Vec<Requirement>, ParseError> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let only_features = |item: &str| match features::feature::find(item) {
        Some(feature) => Ok(Requirement::Feature(feature)),
        None => Err(ParseError::unknown(item)),
    };
    items.map(|item| if native { Requirement::parse(item) } else { only_features(item) }).collect()
}

/// What Go's ParseBool accepts.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn invalid(path: &str, message: String) -> Box<Envelope> {
    Box::new(Envelope {
        error: "invalid_flag_value",
        status: 11,
        message,
        command: Some(path.to_owned()),
        ..Envelope::default()
    })
}

fn bad_value(path: &str, flag: &Flag, got: &str, expected: &'static str, why: &str) -> Box<Envelope> {
    let name = flag.short.map_or_else(|| format!("--{}", flag.name), |short| format!("-{short}, --{}", flag.name));
    Box::new(Envelope {
        flag: Some(flag.name.to_owned()),
        got: Some(got.to_owned()),
        expected: Some(expected),
        ..*invalid(path, format!("invalid argument \"{got}\" for \"{name}\" flag: {why}"))
    })
}

fn unknown_command(program: &str, word: &str) -> Box<Envelope> {
    let near: Vec<&str> = AVAILABLE.iter().copied().filter(|name| is_near(word, name)).collect();
    let mut message = format!("unknown command \"{word}\" for \"{program}\"");
    if !near.is_empty() {
        message.push_str(&format!("\n\nDid you mean this?\n\t{}\n", near.join("\n\t")));
    }
    Box::new(Envelope {
        error: "unknown_command",
        status: 14,
        message,
        got: Some(word.to_owned()),
        command: Some(program.to_owned()),
        available: AVAILABLE.to_vec(),
        ..Envelope::default()
    })
}

fn is_near(word: &str, name: &'static str) -> bool {
    name.starts_with(&word.to_lowercase()) || features::requirement::nearest(word, std::iter::once(name)).is_some()
}

/// Names of the 21 features, for help and completion.
pub fn feature_names() -> impl Iterator<Item = &'static str> {
    FEATURES.iter().map(|feature| feature.name)
}

pub const AVAILABLE: &[&str] = &["check", "completion", "config", "help", "probe", "version"];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Result<Parsed, Box<Envelope>> {
        parse("kfeatures", false, &words.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn every_way_to_write_a_requirement() {
        for words in [
            &["check", "--require", "btf"][..],
            &["check", "--require=btf"],
            &["check", "-r", "btf"],
            &["check", "-r=btf"],
            &["check", "-rBTF"],
            &["check", "-jr", "btf"],
            &["-r", "btf", "check"],
            &["check", "-r", " btf ,, "],
        ] {
            let parsed = of(words).unwrap_or_else(|e| panic!("{words:?}: {}", e.message));
            let names: Vec<String> = parsed.require.unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(names, ["btf"], "{words:?}");
        }
        assert!(of(&["check", "--json=true", "--json=false"]).is_ok_and(|p| !p.is_on("json")));
    }

    #[test]
    fn errors_have_the_references_codes() {
        let cases: &[(&[&str], &str, u8)] = &[
            (&["check", "--bogus"], "unknown_flag", 12),
            (&["check", "-z"], "invalid_flag_value", 11),
            (&["check", "--require"], "invalid_flag_value", 11),
            (&["probe", "--json=maybe"], "invalid_flag_value", 11),
            (&["check", "-r", "bogus"], "invalid_flag_value", 11),
            (&["chekc"], "unknown_command", 14),
            (&["version", "--json"], "unknown_flag", 12),
            (&["check", "--elf", "x"], "unknown_flag", 12),
        ];
        for (words, error, status) in cases {
            let envelope = of(words).expect_err(&format!("{words:?}"));
            assert_eq!((envelope.error, envelope.status), (*error, *status), "{words:?}");
        }
        let envelope = of(&["check", "-r", "btf,bogus,nope"]).unwrap_err();
        assert_eq!(envelope.got.as_deref(), Some("btf,bogus,nope"));
        assert!(envelope.message.contains("unknown feature: \"bogus\" (available: "));
    }
}
