//! Users' files indent the lines of quoted scalars and of brackets less than the YAML standard asks for, and the library
//! they were written for lets them; it also lets a tab stand between a key and its value. Where the parser refuses such
//! lines, blanks are added in front of them, and a blank takes the place of such a tab; where they were added is kept, so
//! that positions can be told in the text as it was written. Content does not change: none of this is part of a value.

use std::borrow::Cow;

/// A text with blanks added at the beginning of some lines.
pub struct Indented<'t> {
    pub text: Cow<'t, str>,
    /// Where blanks were added, and how many; by position in this text.
    pub added: Vec<(usize, usize)>,
}

/// Deeper than any block that a rules file opens.
const BLANKS: &str = "                                                                                ";

impl<'t> Indented<'t> {
    pub fn new(text: &'t str) -> Self {
        Indented { text: text.into(), added: Vec::new() }
    }

    /// Indents what byte `at` belongs to: the quoted scalar that starts there, or the brackets around it. False when
    /// there is nothing to indent.
    pub fn repair(&mut self, at: usize) -> bool {
        let text = self.text.as_bytes();
        let lines = match text.get(at).copied() {
            Some(quote @ (b'"' | b'\'')) if end_of_quoted(text, at + 1, quote).1 > 0 => {
                let end = end_of_quoted(text, at + 1, quote).0;
                line_starts(text, at + 1, end)
            }
            Some(_) => lines_of_brackets(text, at),
            None => return false,
        };
        let is_new = |line: &usize| self.added.iter().all(|(place, _)| place != line);
        let lines: Vec<usize> = lines.into_iter().filter(is_new).collect();
        self.add(&lines);
        !lines.is_empty()
    }

    /// Replaces the tabs between a colon and byte `at`. False when there are none.
    pub fn untab(&mut self, at: usize) -> bool {
        let before = self.text.get(..at).unwrap_or_default();
        let from = before.trim_end_matches(['\t', ' ']).len();
        let blanks = before.get(from..).unwrap_or_default();
        if !blanks.contains('\t') || !before.get(..from).is_some_and(|key| key.ends_with(':')) {
            return false;
        }
        let blanks = " ".repeat(blanks.len());
        self.text.to_mut().replace_range(from..at, &blanks);
        true
    }

    fn add(&mut self, lines: &[usize]) {
        let mut out = String::with_capacity(self.text.len() + lines.len() * BLANKS.len());
        let mut copied = 0;
        for line in lines {
            out.push_str(self.text.get(copied..*line).unwrap_or_default());
            out.push_str(BLANKS);
            copied = *line;
        }
        out.push_str(self.text.get(copied..).unwrap_or_default());
        let shift = |place: usize| BLANKS.len() * lines.iter().filter(|line| **line < place).count();
        self.added.iter_mut().for_each(|(place, _)| *place += shift(*place));
        self.added.extend(lines.iter().map(|line| (line + shift(*line), BLANKS.len())));
        self.text = Cow::Owned(out);
    }
}

/// Where a quoted scalar ends whose content starts at `at`, and how many line breaks are in it.
fn end_of_quoted(text: &[u8], mut at: usize, quote: u8) -> (usize, usize) {
    let mut breaks = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 1,
            b'\'' if quote == b'\'' && text.get(at + 1) == Some(&b'\'') => at += 1,
            byte if *byte == quote => break,
            b'\n' => breaks += 1,
            _ => {}
        }
        at += 1;
    }
    (at, breaks)
}

/// Where lines begin behind the line breaks between two places.
fn line_starts(text: &[u8], from: usize, to: usize) -> Vec<usize> {
    let between = text.get(from..to.min(text.len())).unwrap_or_default();
    memchr::memchr_iter(b'\n', between).map(|at| from + at + 1).collect()
}

/// The line of byte `at` and those that follow, up to the one that closes the brackets around `at`.
fn lines_of_brackets(text: &[u8], at: usize) -> Vec<usize> {
    let before = text.get(..at).unwrap_or_default();
    let start = memchr::memrchr(b'\n', before).map_or(0, |n| n + 1);
    let mut lines = vec![start];
    let (mut at, mut depth) = (start, 0i32);
    while let Some(byte) = text.get(at) {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b'"' | b'\'' if starts_token(text, at) => {
                let end = end_of_quoted(text, at + 1, *byte).0;
                lines.extend(line_starts(text, at + 1, end));
                at = end;
            }
            b'#' if starts_token(text, at) => {
                let rest = text.get(at..).unwrap_or_default();
                at += memchr::memchr(b'\n', rest).unwrap_or(rest.len()) - 1;
            }
            b'\n' => lines.push(at + 1),
            _ => {}
        }
        if depth < 0 {
            break;
        }
        at += 1;
    }
    lines
}

/// Quotes and comment signs inside words are ordinary characters.
fn starts_token(text: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| text.get(at));
    before.is_none_or(|b| matches!(b, b' ' | b'\t' | b'\n' | b',' | b'[' | b'{' | b':'))
}
