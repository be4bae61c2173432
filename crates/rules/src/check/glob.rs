//! `fnmatch(3)` with flags 0, or `FNM_CASEFOLD`: `*` and `?` match every byte, `/` and leading dots included; bracket
//! expressions with ranges, classes, `[=a=]` and `[.a.]`; backslash escapes. Linear in text times stars, never exponential.

/// Whether `text` matches `pattern`.
pub fn glob(pattern: &[u8], text: &[u8], fold_case: bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = pattern.get(p).map(|byte| match byte {
            b'*' => Step::Star,
            _ => single(&pattern[p..], text.get(t).copied(), fold_case),
        });
        match (step, t < text.len()) {
            (Some(Step::Star), _) => {
                star = Some((p + 1, t));
                p += 1;
            }
            (None, false) => return true,
            (Some(Step::Fits(len)), true) => {
                p += len;
                t += 1;
            }
            _ => {
                let Some((after, from)) = star.filter(|(_, from)| *from < text.len()) else { return false };
                star = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
        }
    }
}

enum Step {
    Star,
    Fits(usize),
    Fails,
}

fn single(pattern: &[u8], byte: Option<u8>, fold_case: bool) -> Step {
    let Some(byte) = byte else { return Step::Fails };
    let same = |a: u8| a == byte || (fold_case && a.eq_ignore_ascii_case(&byte));
    match pattern {
        [b'?', ..] => Step::Fits(1),
        [b'\\', escaped, ..] if same(*escaped) => Step::Fits(2),
        [b'\\', _, ..] | [b'\\'] => Step::Fails,
        [b'[', rest @ ..] => match bracket(rest, byte, fold_case) {
            Some((true, len)) => Step::Fits(len + 1),
            Some((false, _)) => Step::Fails,
            None if byte == b'[' => Step::Fits(1),
            None => Step::Fails,
        },
        [first, ..] if same(*first) => Step::Fits(1),
        _ => Step::Fails,
    }
}

/// Evaluates a bracket expression behind its `[`. Returns whether it matches and its length with the `]`; `None` when
/// it does not end, so that `[` is an ordinary character.
fn bracket(pattern: &[u8], byte: u8, fold_case: bool) -> Option<(bool, usize)> {
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let start = usize::from(negated);
    let mut at = start;
    let mut found = false;
    loop {
        match pattern.get(at)? {
            b']' if at > start => return Some((found != negated, at + 1)),
            b'[' if pattern.get(at + 1) == Some(&b':') => match class(&pattern[at + 2..]) {
                Some((name, len)) => {
                    found |= in_class(name, byte); // of the byte as it is, whether case is folded or not
                    at += 2 + len;
                }
                None => {
                    found |= byte == b'[';
                    at += 1;
                }
            },
            b'[' if pattern.get(at + 1) == Some(&b'=') => match &pattern[at + 2..] {
                [of, b'=', b']', ..] => {
                    found |= byte == *of;
                    at += 5;
                }
                _ => return Some((false, 0)),
            },
            _ => {
                let (low, len) = member(&pattern[at..])?;
                at += len;
                let mut high = low;
                if pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|b| *b != b']') {
                    let (end, len) = member(&pattern[at + 1..])?;
                    high = end;
                    at += 1 + len;
                }
                let fold = |b: u8| if fold_case { b.to_ascii_lowercase() } else { b };
                found |= (fold(low)..=fold(high)).contains(&fold(byte));
            }
        }
    }
}

fn member(pattern: &[u8]) -> Option<(u8, usize)> {
    match pattern {
        [b'\\', escaped, ..] => Some((*escaped, 2)),
        [b'[', b'.', symbol, b'.', b']', ..] => Some((*symbol, 5)),
        [byte, ..] => Some((*byte, 1)),
        [] => None,
    }
}

/// The name of a class behind `[:` and its length with the closing `:]`.
fn class(pattern: &[u8]) -> Option<(&[u8], usize)> {
    let end = pattern.windows(2).position(|w| w == b":]")?;
    let name = &pattern[..end];
    name.iter().all(u8::is_ascii_lowercase).then_some((name, end + 2))
}

fn in_class(name: &[u8], byte: u8) -> bool {
    match name {
        b"alpha" => byte.is_ascii_alphabetic(),
        b"digit" => byte.is_ascii_digit(),
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"upper" => byte.is_ascii_uppercase(),
        b"lower" => byte.is_ascii_lowercase(),
        b"space" => matches!(byte, b' ' | b'\t'..=b'\r'),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"punct" => byte.is_ascii_punctuation(),
        b"print" => matches!(byte, b' '..=b'~'),
        b"graph" => byte.is_ascii_graphic(),
        b"cntrl" => byte.is_ascii_control(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_fnmatch() {
        for (pattern, text, expected) in [
            ("/etc/*", "/etc/a/b", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", ".", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "zx", true),
            ("[]a]", "]", true),
            ("[a-]", "-", true),
            ("[[:digit:]][[:upper:]]", "7Q", true),
            ("[abc", "[abc", true),
            ("[[=a=]]b", "ab", true),
            ("[[=a=]x]", "b", false),
            ("[[=ab=]]", "a", false),
            ("[[.a.]-c]", "b", true),
            ("[[.-.]]", "-", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("[\\]]", "]", true),
            ("*.so*", "/lib/x.so.1", true),
            ("*a", "aaab", false),
            ("**x", "yx", true),
            ("a\\", "a", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes(), false), expected, "{pattern} on {text}");
        }
        assert!(glob(b"/ETC/[a-z]*", b"/etc/Passwd", true));
        assert!(!glob(b"/ETC/*", b"/etc/passwd", false));
        assert!(glob(b"[!P-z]", b"c", true) && !glob(b"[!P-z]", b"Q", true), "both ends of a range are folded");
        assert!(!glob(b"[[:upper:]]", b"a", true) && glob(b"[[:upper:]]", b"A", true));
    }

    #[test]
    fn many_stars_stay_quick() {
        let pattern = b"*a".repeat(40);
        let text = b"a".repeat(20_000);
        assert!(!glob(&[&pattern[..], b"b"].concat(), &text, false));
    }
}
