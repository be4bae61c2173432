//! Regular expressions in the POSIX syntax of the re-created system's library, translated to the syntax of the `regex`
//! crate. Both run in time linear in the text. A match covers the whole value, so which of several matches is the
//! longest does not matter. What the POSIX syntax lacks (`\d`, `\b`, `(?i)`) is an error that names it.

use super::CheckError;
use regex::bytes::Regex;
use std::fmt::Write as _;

/// Compiles `pattern`, anchored at both ends.
pub fn compile(pattern: &[u8]) -> Result<Regex, CheckError> {
    let text = std::str::from_utf8(pattern).map_err(|_| invalid("pattern is not UTF-8"))?;
    let mut translation = Translation { rest: text, out: String::new(), open: Vec::new(), atom: None, repeated: false };
    translation.run()?;
    let anchored = format!("(?m)\\A(?:{})\\z", translation.out);
    Regex::new(&anchored).map_err(|e| invalid(&e.to_string().replace('\n', " ")))
}

/// Whether `value`, with invalid UTF-8 replaced by U+FFFD, matches as a whole.
pub fn is_match(regex: &Regex, value: &[u8]) -> bool {
    match std::str::from_utf8(value) {
        Ok(_) => regex.is_match(value),
        Err(_) => regex.is_match(String::from_utf8_lossy(value).as_bytes()),
    }
}

fn invalid(reason: &str) -> CheckError {
    CheckError(format!("invalid regex pattern: {reason}"))
}

struct Translation<'p> {
    rest: &'p str,
    out: String,
    /// Where open groups start in `out`.
    open: Vec<usize>,
    /// Where the atom that `*`, `+`, `?` or `{}` would repeat starts in `out`.
    atom: Option<usize>,
    /// That atom is repeated already.
    repeated: bool,
}

impl Translation<'_> {
    fn run(&mut self) -> Result<(), CheckError> {
        while let Some(c) = self.next() {
            self.token(c)?;
        }
        if self.open.is_empty() { Ok(()) } else { Err(invalid("missing closing ): unbalanced group")) }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn token(&mut self, c: char) -> Result<(), CheckError> {
        match c {
            '(' => return self.group(),
            ')' => return self.close(),
            '|' => self.alternative(),
            '^' | '$' | '.' => self.piece(c.encode_utf8(&mut [0; 4])),
            '*' | '+' | '?' => return self.repeat(c),
            '{' => return self.counted(),
            '[' => return self.class(),
            '\\' => return self.escape(),
            other => self.literal(other),
        }
        Ok(())
    }

    fn piece(&mut self, text: &str) {
        self.atom = Some(self.out.len());
        self.repeated = false;
        self.out.push_str(text);
    }

    fn literal(&mut self, c: char) {
        self.piece(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    fn alternative(&mut self) {
        self.out.push('|');
        self.atom = None;
    }

    fn group(&mut self) -> Result<(), CheckError> {
        if self.rest.starts_with('?') {
            return Err(invalid("no argument for repetition operator: ?"));
        }
        self.open.push(self.out.len());
        self.out.push_str("(?:");
        self.atom = None;
        Ok(())
    }

    fn close(&mut self) -> Result<(), CheckError> {
        self.atom = Some(self.open.pop().ok_or_else(|| invalid("unexpected ): unbalanced group"))?);
        self.repeated = false;
        self.out.push(')');
        Ok(())
    }

    fn repeat(&mut self, c: char) -> Result<(), CheckError> {
        self.repeat_atom(c.encode_utf8(&mut [0; 4]))
    }

    /// `a*?` means `(a*)?` here: a group keeps the next crate from reading `?` as "lazy".
    fn repeat_atom(&mut self, how: &str) -> Result<(), CheckError> {
        let missing = || invalid(&format!("no argument for repetition operator: {how}"));
        let start = self.atom.ok_or_else(missing)?;
        if self.repeated {
            self.out.insert_str(start, "(?:");
            self.out.push(')');
        }
        self.out.push_str(how);
        self.repeated = true;
        Ok(())
    }

    fn counted(&mut self) -> Result<(), CheckError> {
        let Some((low, high, len)) = counts(self.rest) else {
            self.literal('{');
            return Ok(());
        };
        let (shown, rest) = self.rest.split_at(len);
        if low > MAX_REPEAT || high.is_some_and(|h| h > MAX_REPEAT || h < low) {
            return Err(invalid(&format!("invalid repetition size: {{{shown}")));
        }
        self.rest = rest;
        self.repeat_atom(&format!("{{{shown}"))
    }

    fn escape(&mut self) -> Result<(), CheckError> {
        let value = self.escaped_char()?;
        self.literal(value);
        Ok(())
    }

    fn escaped_char(&mut self) -> Result<char, CheckError> {
        let Some(c) = self.next() else { return Err(invalid("trailing \\")) };
        match c {
            'a' => Ok('\u{7}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\u{b}'),
            'x' => self.hex_char(),
            '0'..='7' => self.octal_char(c),
            c if c.is_ascii_punctuation() || (c.is_ascii() && !c.is_ascii_alphanumeric()) => Ok(c),
            c => Err(invalid(&format!("invalid escape sequence: \\{c}"))),
        }
    }

    fn octal_char(&mut self, first: char) -> Result<char, CheckError> {
        let digits: String = self.rest.chars().take(2).take_while(|c| ('0'..='7').contains(c)).collect();
        if first != '0' && digits.is_empty() {
            return Err(invalid(&format!("invalid escape sequence: \\{first}")));
        }
        self.rest = &self.rest[digits.len()..];
        let value = u32::from_str_radix(&format!("{first}{digits}"), 8).ok().and_then(char::from_u32);
        value.ok_or_else(|| invalid("invalid escape sequence: octal value out of range"))
    }

    fn hex_char(&mut self) -> Result<char, CheckError> {
        let (digits, len) = match self.rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            Some((digits, _)) => (digits, digits.len() + 2),
            None => (self.rest.get(..2).unwrap_or_default(), 2),
        };
        let value = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        let value = value.ok_or_else(|| invalid("invalid escape sequence: \\x"))?;
        self.rest = self.rest.get(len..).unwrap_or_default();
        Ok(value)
    }

    fn class(&mut self) -> Result<(), CheckError> {
        let whole = self.rest;
        let missing = || invalid(&format!("missing ]: [{whole}"));
        self.piece("[");
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.rest = rest;
            self.out.push('^');
        }
        let mut first = true;
        loop {
            match self.rest.chars().next().ok_or_else(missing)? {
                ']' if !first => break,
                '[' if self.rest.starts_with("[:") => self.named_class(&missing)?,
                _ => self.range(&missing)?,
            }
            first = false;
        }
        self.next();
        self.out.push(']');
        Ok(())
    }

    fn named_class(&mut self, missing: &dyn Fn() -> CheckError) -> Result<(), CheckError> {
        let Some(end) = self.rest.find(":]") else { return self.range(missing) };
        let name = &self.rest[2..end];
        if !CLASSES.contains(&name.trim_start_matches('^')) {
            return Err(invalid(&format!("invalid character class range: [:{name}:]")));
        }
        let _ = write!(self.out, "[:{name}:]");
        self.rest = &self.rest[end + 2..];
        Ok(())
    }

    fn range(&mut self, missing: &dyn Fn() -> CheckError) -> Result<(), CheckError> {
        let low = self.class_char().ok_or_else(missing)??;
        let mut high = low;
        if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1 {
            self.next();
            high = self.class_char().ok_or_else(missing)??;
        }
        if high < low {
            return Err(invalid(&format!("invalid character class range: {low}-{high}")));
        }
        let _ = write!(self.out, "\\x{{{:x}}}-\\x{{{:x}}}", u32::from(low), u32::from(high));
        Ok(())
    }

    fn class_char(&mut self) -> Option<Result<char, CheckError>> {
        match self.next()? {
            '\\' => Some(self.escaped_char()),
            c => Some(Ok(c)),
        }
    }
}

/// Reads `n}`, `n,}` or `n,m}`; returns the numbers and the length.
fn counts(text: &str) -> Option<(u32, Option<u32>, usize)> {
    let (inside, _) = text.split_once('}')?;
    let (low, high) = match inside.split_once(',') {
        Some((low, "")) => (low, None),
        Some((low, high)) => (low, Some(high)),
        None => (inside, Some(inside)),
    };
    let number = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse().ok()).flatten();
    let high = match high {
        Some(high) => Some(number(high)?),
        None => None,
    };
    Some((number(low)?, high, inside.len() + 1))
}

/// The library's limit of one repetition count.
const MAX_REPEAT: u32 = 1000;

const CLASSES: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> Option<bool> {
        compile(pattern.as_bytes()).ok().map(|r| is_match(&r, text.as_bytes()))
    }

    #[test]
    fn follows_posix_syntax() {
        for (pattern, text, expected) in [
            ("a.c", "abc", Some(true)),
            ("b", "abc", Some(false)),
            ("/etc/(passwd|shadow)", "/etc/shadow", Some(true)),
            ("a*?b", "aab", Some(true)),
            ("(ab)+?", "abab", Some(true)),
            ("a{2}{2}", "aaaa", Some(true)),
            ("[0-9]{1,3}", "123", Some(true)),
            ("x{", "x{", Some(true)),
            ("[[:digit:]]+", "42", Some(true)),
            ("[]a]+", "]a", Some(true)),
            ("[a&&b]+", "&", Some(true)),
            ("\\.txt", ".txt", Some(true)),
            ("\\x41\\101", "AA", Some(true)),
            ("^abc$", "abc", Some(true)),
            ("a|b", "b", Some(true)),
            ("a|b", "ab", Some(false)),
            (".", "\n", Some(false)),
            ("[^a]", "\n", Some(true)),
            ("(a*)*", "aaa", Some(true)),
            ("[*]?", "*", Some(true)),
            ("\\}*", "}}", Some(true)),
            ("é+", "éé", Some(true)),
            ("\\d", "1", None),
            ("\\bfoo", "foo", None),
            ("(?i)a", "A", None),
            ("*a", "a", None),
            ("a(", "a", None),
            ("a)", "a", None),
            ("[a", "a", None),
            ("a{1001}", "a", None),
            ("[z-a]", "a", None),
            ("a\\", "a", None),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
        let replaced = compile("a\u{fffd}b".as_bytes()).expect("a pattern");
        assert!(is_match(&replaced, b"a\xffb"));
    }
}
