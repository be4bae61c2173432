//! A condition cut into its parts: the text of a condition comes in, a tree of `and`, `or`, `not` and checks goes out, each
//! part with its own text. Only the connectives are understood here; what a check means is the rule compiler's business.

/// A part of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub kind: Kind,
    /// The text of this part, on one line.
    pub text: String,
    pub children: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    And,
    Or,
    Not,
    /// A comparison, or a macro by its name.
    Check,
}

/// Cuts `condition` into parts.
pub fn parts(condition: &str) -> Part {
    let text = condition.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut scanner = Scanner { text: &text, at: 0, depth: 0 };
    scanner.any()
}

impl Part {
    /// This part and all below it, each with its depth.
    pub fn walk<'p>(&'p self, depth: usize, visit: &mut dyn FnMut(&'p Part, usize)) {
        visit(self, depth);
        self.children.iter().for_each(|child| child.walk(depth + 1, visit));
    }
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Scanner<'_> {
    fn any(&mut self) -> Part {
        self.chain(Kind::Or, "or", Self::all)
    }

    fn all(&mut self) -> Part {
        self.chain(Kind::And, "and", Self::term)
    }

    fn chain(&mut self, kind: Kind, word: &str, part: fn(&mut Self) -> Part) -> Part {
        let start = self.at;
        let mut children = vec![part(self)];
        while self.takes(word) {
            children.push(part(self));
        }
        match children.len() {
            1 => children.remove(0),
            _ => Part { kind, text: self.slice(start), children },
        }
    }

    fn term(&mut self) -> Part {
        self.skip_blanks();
        let start = self.at;
        if self.takes("not") {
            let child = self.term();
            return Part { kind: Kind::Not, text: self.slice(start), children: vec![child] };
        }
        if self.rest().starts_with('(') && self.depth < MAX_DEPTH {
            self.at += 1;
            self.depth += 1;
            let inside = self.any();
            self.depth -= 1;
            self.skip_blanks();
            if self.rest().starts_with(')') {
                self.at += 1;
            }
            return inside;
        }
        self.check();
        Part { kind: Kind::Check, text: self.slice(start), children: Vec::new() }
    }

    /// Moves behind a comparison: up to a connective or a closing parenthesis that is not its own.
    fn check(&mut self) {
        let (mut open, mut quote) = (0usize, None);
        let mut previous = ' ';
        while let Some(c) = self.rest().chars().next() {
            match quote {
                Some(q) if c == q && previous != '\\' => quote = None,
                Some(_) => {}
                None if matches!(c, '"' | '\'') => quote = Some(c),
                None if c == '(' => open += 1,
                None if c == ')' && open == 0 => return,
                None if c == ')' => open -= 1,
                None if open == 0 && c == ' ' && self.connective_follows() => return,
                None => {}
            }
            previous = c;
            self.at += c.len_utf8();
        }
    }

    fn connective_follows(&self) -> bool {
        let rest = self.rest().trim_start();
        ["and", "or"].iter().any(|word| starts_with_word(rest, word))
    }

    fn takes(&mut self, word: &str) -> bool {
        self.skip_blanks();
        let is_next = starts_with_word(self.rest(), word);
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn slice(&self, start: usize) -> String {
        self.text.get(start..self.at).unwrap_or_default().trim().to_owned()
    }
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| rest.starts_with([' ', '(']) || rest.is_empty())
}

const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(condition: &str) -> String {
        let mut lines = Vec::new();
        parts(condition).walk(0, &mut |part, depth| {
            lines.push(format!("{}{:?} {}", " ".repeat(depth), part.kind, part.text));
        });
        lines.join("\n")
    }

    #[test]
    fn cuts_at_connectives_only() {
        assert_eq!(
            outline("a and (b or not c) and fd.name in (x, \"y or z\")"),
            "And a and (b or not c) and fd.name in (x, \"y or z\")\n Check a\n Or b or not c\n  Check b\n  Not not c\n   Check c\n Check fd.name in (x, \"y or z\")"
        );
        assert_eq!(outline("proc.name = \"a and b\""), "Check proc.name = \"a and b\"");
        assert_eq!(outline("not(a)"), "Not not(a)\n Check a");
        assert_eq!(outline("oracle and android"), "And oracle and android\n Check oracle\n Check android");
    }

    #[test]
    fn broken_text_ends() {
        for text in ["", "(", ")", "a and", "not", "((((", "a in (", "\"x"] {
            let _ = outline(text);
        }
        assert_eq!(parts(&"(".repeat(10_000)).kind, Kind::Check);
    }
}
