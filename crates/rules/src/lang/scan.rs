//! Reads tokens of the condition language from a text. There is no separate lexer run: what a character means depends
//! on what the parser expects. A token that does not fit leaves the position untouched.

use super::ast::Pos;
use super::parse::ParseError;

/// A cursor over the text.
#[derive(Debug)]
pub struct Scanner<'t> {
    text: &'t [u8],
    pos: Pos,
    last_token: (usize, usize),
}

/// A position to return to when a token turns out not to fit.
#[derive(Clone, Copy, Debug)]
pub struct Mark(Pos, (usize, usize));

impl<'t> Scanner<'t> {
    pub fn new(text: &'t str) -> Self {
        Scanner { text: text.as_bytes(), pos: Pos::default(), last_token: (0, 0) }
    }

    pub fn pos(&self) -> Pos {
        self.pos
    }

    pub fn at_end(&self) -> bool {
        self.pos.index >= self.text.len()
    }

    pub fn mark(&self) -> Mark {
        Mark(self.pos, self.last_token)
    }

    pub fn rewind(&mut self, mark: Mark) {
        self.pos = mark.0;
        self.last_token = mark.1;
    }

    /// The text of the token read last.
    pub fn last_token(&self) -> String {
        String::from_utf8_lossy(self.text.get(self.last_token.0..self.last_token.1).unwrap_or_default()).into_owned()
    }

    pub fn rest(&self) -> &'t [u8] {
        self.text.get(self.pos.index..).unwrap_or_default()
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// Blanks, if there are any. Returns whether there were.
    pub fn blank(&mut self) -> bool {
        let count = self.rest().iter().take_while(|b| is_blank(**b)).count();
        self.advance(count);
        count > 0
    }

    /// Exactly `text`.
    pub fn exact(&mut self, text: &str) -> bool {
        let fits = self.rest().starts_with(text.as_bytes());
        if fits {
            self.take(text.len());
        }
        fits
    }

    /// `[a-zA-Z]+[a-zA-Z0-9_]*`
    pub fn identifier(&mut self) -> Option<String> {
        let len = word_len(self.rest());
        (len > 0).then(|| self.take_text(len))
    }

    /// Words joined by dots, at least one dot.
    pub fn field_name(&mut self) -> Option<String> {
        let rest = self.rest();
        let mut len = word_len(rest);
        let mut dots = 0;
        while len > 0 && rest.get(len) == Some(&b'.') {
            let word = word_len(&rest[len + 1..]);
            if word == 0 {
                break;
            }
            len += 1 + word;
            dots += 1;
        }
        (dots > 0).then(|| self.take_text(len))
    }

    /// `[^()"'[:space:]=,]+`
    pub fn bare(&mut self) -> Option<Vec<u8>> {
        self.run(|b| !matches!(b, b'(' | b')' | b'"' | b'\'' | b'=' | b',') && !is_space(b))
    }

    /// `[^][\"'[:space:]]+`
    pub fn bare_arg(&mut self) -> Option<Vec<u8>> {
        self.run(|b| !matches!(b, b'[' | b']' | b'"' | b'\'') && !is_space(b))
    }

    /// A hexadecimal or decimal number, as text.
    pub fn number(&mut self) -> Option<String> {
        let len = hex_len(self.rest()).or_else(|| decimal_len(self.rest()))?;
        Some(self.take_text(len))
    }

    /// A quoted text without its quotes, escapes resolved. `Ok(None)` when there is none, or it does not end.
    ///
    /// # Errors
    /// An escape that does not exist, or one that spells NUL.
    pub fn quoted(&mut self) -> Result<Option<Vec<u8>>, ParseError> {
        let rest = self.rest();
        let Some(quote @ (b'"' | b'\'')) = rest.first().copied() else { return Ok(None) };
        let end = (1..rest.len()).find(|i| rest[*i] == quote && rest[*i - 1] != b'\\');
        let Some(end) = end else { return Ok(None) };
        let text = unescape(&rest[1..end], quote).map_err(|reason| ParseError { reason, pos: self.pos })?;
        self.take(end + 1);
        Ok(Some(text))
    }

    fn run(&mut self, fits: impl Fn(u8) -> bool) -> Option<Vec<u8>> {
        let len = self.rest().iter().take_while(|b| fits(**b)).count();
        let bytes = self.rest()[..len].to_vec();
        self.take(len);
        (len > 0).then_some(bytes)
    }

    fn take_text(&mut self, len: usize) -> String {
        let text = String::from_utf8_lossy(&self.rest()[..len]).into_owned();
        self.take(len);
        text
    }

    fn take(&mut self, len: usize) {
        if len > 0 {
            self.last_token = (self.pos.index, self.pos.index + len);
        }
        self.advance(len);
    }

    fn advance(&mut self, len: usize) {
        for byte in self.rest().iter().take(len) {
            if matches!(byte, b'\n' | b'\r') {
                self.pos.line += 1;
                self.pos.column = 1;
            } else {
                self.pos.column += 1;
            }
        }
        self.pos.index += len;
    }
}

/// What separates tokens.
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 8 | b'\r' | b'\n')
}

/// `isspace(3)` in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn word_len(text: &[u8]) -> usize {
    match text.first() {
        Some(b) if b.is_ascii_alphabetic() => {
            text.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count()
        }
        _ => 0,
    }
}

fn hex_len(text: &[u8]) -> Option<usize> {
    let digits = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X"))?;
    let count = digits.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    (count > 0).then_some(count + 2)
}

fn decimal_len(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text.get(from..).map_or(0, |t| t.iter().take_while(|b| b.is_ascii_digit()).count());
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let whole = digits(sign);
    if whole == 0 {
        return None;
    }
    let mut len = sign + whole;
    if text.get(len) == Some(&b'.') {
        len += 1 + digits(len + 1);
    }
    let exponent = matches!(text.get(len), Some(b'e' | b'E')) && matches!(text.get(len + 1), Some(b'+' | b'-'));
    match digits(len + 2) {
        count if exponent && count > 0 => Some(len + 2 + count),
        _ => Some(len),
    }
}

fn unescape(text: &[u8], quote: u8) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some(&escaped) = rest.next() else { return Err(unsupported(&[])) };
        out.push(match escaped {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b' ' => b'\\',
            b'\\' | b'/' => escaped,
            b'"' | b'\'' if escaped == quote => escaped,
            b'x' => {
                let value = hex_byte(rest.as_slice().first_chunk())?;
                rest.nth(1);
                value
            }
            _ => return Err(unsupported(&[escaped])),
        });
    }
    if out.contains(&0) || text.contains(&0) {
        return Err("string values cannot contain a NUL character".to_owned());
    }
    Ok(out)
}

fn hex_byte(digits: Option<&[u8; 2]>) -> Result<u8, String> {
    let value = digits.and_then(|d| std::str::from_utf8(d).ok()).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    value.and_then(|d| u8::from_str_radix(d, 16).ok()).ok_or_else(|| unsupported(b"x"))
}

fn unsupported(escape: &[u8]) -> String {
    format!("unsupported string escape sequence: \\{}", String::from_utf8_lossy(escape))
}
