//! Condition text in, syntax tree or the first error with its position out. Nesting of conditions costs heap, not
//! stack; only transformers recurse, and their depth is bounded. Never panics, whatever the text.

use super::ast::{Arg, Check, Expr, Function, Modifier, Op, Operand, Pos, Right};
use super::scan::Scanner;

/// Deepest nesting of a rule's or macro's condition.
pub const MAX_CONDITION_DEPTH: usize = 1000;
/// Deepest nesting of output formats and stand-alone filters.
pub const MAX_FORMAT_DEPTH: usize = 100;

/// Deepest nesting of transformers, which cost stack.
const MAX_CALL_DEPTH: usize = 100;

/// The first thing that does not fit.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct ParseError {
    pub reason: String,
    pub pos: Pos,
}

/// Parses a whole condition.
///
/// # Errors
/// The first place where the text leaves the grammar.
pub fn parse_condition(text: &str, max_depth: usize) -> Result<Expr, ParseError> {
    let mut parser = Parser { scan: Scanner::new(text), depth: 0, max_depth };
    if text.is_empty() {
        return Err(parser.error("filter input string is empty"));
    }
    let expr = parser.condition()?;
    parser.scan.blank();
    if !parser.scan.at_end() {
        let reason = format!("unexpected token after '{}', expecting 'or', 'and'", parser.scan.last_token());
        return Err(parser.error(&reason));
    }
    Ok(expr)
}

/// Parses `text` as one field or transformer, nothing around it.
///
/// # Errors
/// The text is something else, or goes on behind it.
pub fn parse_operand_prefix(text: &str) -> Result<Operand, ParseError> {
    let mut parser = Parser { scan: Scanner::new(text), depth: 0, max_depth: MAX_FORMAT_DEPTH };
    let operand = parser.operand()?;
    match operand {
        Some(operand) if parser.scan.at_end() => Ok(operand),
        _ => Err(parser.error("unexpected token after '")),
    }
}

/// How many bytes of `text` the field or transformer at its beginning takes, as far as the grammar goes.
pub fn operand_extent(text: &str) -> Option<usize> {
    let mut parser = Parser { scan: Scanner::new(text), depth: 0, max_depth: MAX_FORMAT_DEPTH };
    parser.operand().ok().flatten().map(|_| parser.scan.pos().index)
}

struct Parser<'t> {
    scan: Scanner<'t>,
    /// Open transformers.
    depth: usize,
    max_depth: usize,
}

/// One open `(`: what was read so far, and what the group becomes once it closes.
#[derive(Default)]
struct Group {
    ors: Vec<Expr>,
    ands: Vec<Expr>,
    negated: bool,
    /// The group follows `or(`: it is a whole operand of `or`, no `and` can continue it.
    ends_and: bool,
}

/// What an operand of `and` starts with.
enum Start {
    Open { negated: bool },
    Done(Expr),
}

impl Parser<'_> {
    fn error(&self, reason: &str) -> ParseError {
        ParseError { reason: reason.to_owned(), pos: self.scan.pos() }
    }

    fn fail<T>(&self, reason: &str) -> Result<T, ParseError> {
        Err(self.error(reason))
    }

    fn condition(&mut self) -> Result<Expr, ParseError> {
        let mut open: Vec<Group> = Vec::new();
        let mut group = Group::default();
        loop {
            match self.and_operand()? {
                Start::Open { negated } => {
                    self.enter(&mut open, &mut group, Group { negated, ..Group::default() })?;
                    continue;
                }
                Start::Done(expr) => group.ands.push(expr),
            }
            if let Some(expr) = self.after_operand(&mut open, &mut group)? {
                return Ok(expr);
            }
        }
    }

    fn enter(&mut self, open: &mut Vec<Group>, group: &mut Group, new: Group) -> Result<(), ParseError> {
        open.push(std::mem::replace(group, new));
        self.check_depth(open.len(), self.max_depth)
    }

    fn check_depth(&self, depth: usize, limit: usize) -> Result<(), ParseError> {
        if depth > limit {
            return self.fail(&format!("exceeded max depth limit of {limit}"));
        }
        Ok(())
    }

    /// Reads connectives and closing parentheses until another operand is due (`None`) or the condition is complete.
    fn after_operand(&mut self, open: &mut Vec<Group>, group: &mut Group) -> Result<Option<Expr>, ParseError> {
        loop {
            self.scan.blank();
            if !group.ands.is_empty() && self.scan.exact("and") {
                if self.connective("and")? {
                    self.enter(open, group, Group::default())?;
                }
                return Ok(None);
            }
            group.close_and();
            if self.scan.exact("or") {
                if self.connective("or")? {
                    self.enter(open, group, Group { ends_and: true, ..Group::default() })?;
                }
                return Ok(None);
            }
            let expr = group.take();
            let Some(outer) = open.pop() else { return Ok(Some(expr)) };
            if !self.scan.exact(")") {
                return self.fail("expected a ')' token");
            }
            let (negated, ends_and) = (group.negated, group.ends_and);
            *group = outer;
            let expr = if negated { Expr::Not(Box::new(expr)) } else { expr };
            if ends_and { group.ors.push(expr) } else { group.ands.push(expr) }
        }
    }

    /// Behind `and` or `or`: a blank (false) or an opening parenthesis (true).
    fn connective(&mut self, word: &str) -> Result<bool, ParseError> {
        if self.scan.blank() {
            return Ok(false);
        }
        if self.scan.exact("(") {
            return Ok(true);
        }
        self.fail(&format!("expected blank or '(' after '{word}'"))
    }

    fn and_operand(&mut self) -> Result<Start, ParseError> {
        let mut negated = false;
        self.scan.blank();
        loop {
            let mark = self.scan.mark();
            if !self.scan.exact("not") {
                break;
            }
            if self.scan.blank() {
                negated = !negated;
            } else if self.scan.exact("(") {
                return Ok(Start::Open { negated: !negated });
            } else {
                self.scan.rewind(mark);
                break;
            }
        }
        if self.scan.exact("(") {
            return Ok(Start::Open { negated });
        }
        let expr = self.check()?;
        Ok(Start::Done(if negated { Expr::Not(Box::new(expr)) } else { expr }))
    }

    fn check(&mut self) -> Result<Expr, ParseError> {
        let pos = self.scan.pos();
        if let Some(left) = self.operand()? {
            return self.comparison(left, pos);
        }
        match self.scan.identifier() {
            Some(name) => Ok(Expr::Macro { name, body: None, pos }),
            None => self.fail("expected a '(' token, a field check, or an identifier"),
        }
    }

    /// A field or a transformer, `None` when neither starts here.
    fn operand(&mut self) -> Result<Option<Operand>, ParseError> {
        match self.field()? {
            Some(field) => Ok(Some(field)),
            None => self.call(),
        }
    }

    fn field(&mut self) -> Result<Option<Operand>, ParseError> {
        let pos = self.scan.pos();
        let Some(name) = self.scan.field_name() else { return Ok(None) };
        let arg = self.bracket()?;
        Ok(Some(Operand::Field { name, arg, pos }))
    }

    fn bracket(&mut self) -> Result<Option<Vec<u8>>, ParseError> {
        if !self.scan.exact("[") {
            return Ok(None);
        }
        let arg = match self.scan.quoted()? {
            Some(text) => Some(text),
            None => self.scan.bare_arg(),
        };
        let Some(arg) = arg else {
            return self.fail("expected a valid field argument: a quoted string or a bare string");
        };
        if !self.scan.exact("]") {
            return self.fail("expected a ']' token");
        }
        Ok(Some(arg))
    }

    fn call(&mut self) -> Result<Option<Operand>, ParseError> {
        let pos = self.scan.pos();
        let Some(function) = self.function_name() else { return Ok(None) };
        self.depth += 1;
        self.check_depth(self.depth, MAX_CALL_DEPTH)?;
        let mut args = Vec::new();
        loop {
            self.scan.blank();
            args.push(self.argument()?);
            self.scan.blank();
            if !self.scan.exact(",") {
                break;
            }
        }
        if !self.scan.exact(")") {
            return self.fail("expected a ')' token closing the transformer");
        }
        self.depth -= 1;
        let selector = self.bracket()?;
        Ok(Some(Operand::Call { function, args, selector, pos }))
    }

    fn function_name(&mut self) -> Option<Function> {
        let mark = self.scan.mark();
        for function in Function::ALL {
            if self.scan.exact(function.as_str()) {
                if self.scan.exact("(") {
                    return Some(*function);
                }
                self.scan.rewind(mark);
            }
        }
        None
    }

    fn argument(&mut self) -> Result<Arg, ParseError> {
        if let Some(number) = self.scan.number() {
            return Ok(Arg::Number(number));
        }
        if let Some(text) = self.scan.quoted()? {
            return Ok(Arg::Text(text));
        }
        if self.scan.exact("(") {
            return self.argument_list();
        }
        match self.call()? {
            Some(call) => return Ok(Arg::Operand(call)),
            None => self.field()?,
        }
        .map(Arg::Operand)
        .ok_or_else(|| self.error(EXPECTED_ARGUMENT))
    }

    fn argument_list(&mut self) -> Result<Arg, ParseError> {
        let mut items = Vec::new();
        self.scan.blank();
        if self.scan.exact(")") {
            return Ok(Arg::List(items));
        }
        loop {
            self.scan.blank();
            items.push(self.list_argument()?);
            self.scan.blank();
            if self.scan.exact(")") {
                return Ok(Arg::List(items));
            }
            if !self.scan.exact(",") {
                return self.fail("expected a ')' token");
            }
        }
    }

    fn list_argument(&mut self) -> Result<Arg, ParseError> {
        if let Some(operand) = self.operand()? {
            return Ok(Arg::Operand(operand));
        }
        if let Some(text) = self.scan.quoted()? {
            return Ok(Arg::Text(text));
        }
        self.scan.number().map(Arg::Number).ok_or_else(|| self.error(EXPECTED_ARGUMENT))
    }

    fn comparison(&mut self, left: Operand, pos: Pos) -> Result<Expr, ParseError> {
        self.scan.blank();
        let Some(op) = self.operator() else {
            let names: Vec<_> = Op::ALL.iter().map(|op| format!("'{}'", op.as_str())).collect();
            return self.fail(&format!("expected a valid check operator: one of {}", names.join(", ")));
        };
        let (modifier, right) = match op {
            Op::Exists => (None, Right::None),
            _ if op.is_numeric() => (None, self.number_value()?),
            _ if op.is_list() => (None, self.list_value(true)?),
            _ => self.text_value(op)?,
        };
        Ok(Expr::Check(Box::new(Check { left, op, modifier, right, pos })))
    }

    fn operator(&mut self) -> Option<Op> {
        for op in Op::ALL.iter().copied() {
            let mark = self.scan.mark();
            if !self.scan.exact(op.as_str()) {
                continue;
            }
            let is_word = op.is_text() && op.as_str().starts_with(|c: char| c.is_ascii_alphabetic());
            if !is_word || self.scan.peek().is_some_and(super::scan::is_blank) {
                return Some(op);
            }
            self.scan.rewind(mark);
        }
        None
    }

    fn number_value(&mut self) -> Result<Right, ParseError> {
        self.scan.blank();
        if let Some(operand) = self.right_operand()? {
            return Ok(Right::Operand(operand));
        }
        match self.scan.number() {
            Some(number) => Ok(Right::Value(number.into_bytes())),
            None => self.fail(&expected("a number value or")),
        }
    }

    fn text_value(&mut self, op: Op) -> Result<(Option<Modifier>, Right), ParseError> {
        let spaced = self.scan.blank();
        if spaced && let Some(modifier) = self.modifier() {
            return Ok((Some(modifier), self.list_value(false)?));
        }
        if let Some(operand) = self.right_operand()? {
            return Ok((None, Right::Operand(operand)));
        }
        debug_assert!(op.is_text());
        match self.text()? {
            Some(text) => Ok((None, Right::Value(text))),
            None => self.fail(&expected("a string value or")),
        }
    }

    /// `oneof`, `anyof` or `allof`, if a list follows; otherwise the word is an ordinary value.
    fn modifier(&mut self) -> Option<Modifier> {
        let mark = self.scan.mark();
        for modifier in Modifier::ALL {
            if self.scan.exact(modifier.as_str()) && self.scan.blank() && self.starts_list() {
                return Some(*modifier);
            }
            self.scan.rewind(mark);
        }
        None
    }

    fn starts_list(&mut self) -> bool {
        if self.scan.peek() == Some(b'(') {
            return true;
        }
        let mark = self.scan.mark();
        let word = self.scan.identifier();
        self.scan.rewind(mark);
        word.is_some_and(|w| !matches!(w.as_str(), "and" | "or" | "not"))
    }

    fn list_value(&mut self, allow_operand: bool) -> Result<Right, ParseError> {
        self.scan.blank();
        if self.scan.exact("(") {
            return self.list().map(Right::List);
        }
        if allow_operand && let Some(operand) = self.right_operand()? {
            return Ok(Right::Operand(operand));
        }
        match self.scan.identifier() {
            Some(name) => Ok(Right::List(vec![name.into_bytes()])),
            None if allow_operand => self.fail(&expected("a list, an identifier, or")),
            None => self.fail("expected a list or an identifier"),
        }
    }

    fn list(&mut self) -> Result<Vec<Vec<u8>>, ParseError> {
        self.scan.blank();
        let mut values: Vec<_> = self.text()?.into_iter().collect();
        self.scan.blank();
        while !values.is_empty() && self.scan.exact(",") {
            self.scan.blank();
            let Some(value) = self.text()? else { return self.fail("expected a string value") };
            values.push(value);
            self.scan.blank();
        }
        if !self.scan.exact(")") {
            return self.fail("expected a ')' token");
        }
        Ok(values)
    }

    fn text(&mut self) -> Result<Option<Vec<u8>>, ParseError> {
        match self.scan.quoted()? {
            Some(text) => Ok(Some(text)),
            None => Ok(self.scan.bare()),
        }
    }

    fn right_operand(&mut self) -> Result<Option<Operand>, ParseError> {
        if !self.scan.exact("val(") {
            return self.call();
        }
        self.scan.blank();
        let Some(field) = self.field()? else { return self.fail("expected a field within 'val' transformer") };
        self.scan.blank();
        if !self.scan.exact(")") {
            return self.fail("expected a ')' token closing the transformer");
        }
        Ok(Some(field))
    }
}

impl Group {
    fn close_and(&mut self) {
        let mut ands = std::mem::take(&mut self.ands);
        match ands.len() {
            0 => {}
            1 => self.ors.append(&mut ands),
            _ => self.ors.push(Expr::And(ands)),
        }
    }

    fn take(&mut self) -> Expr {
        let mut ors = std::mem::take(&mut self.ors);
        match ors.pop() {
            Some(only) if ors.is_empty() => only,
            Some(last) => {
                ors.push(last);
                Expr::Or(ors)
            }
            None => Expr::Or(ors),
        }
    }
}

const EXPECTED_ARGUMENT: &str =
    "expected field transformer argument: field, transformer, quoted string, number, or transformer list";

fn expected(what: &str) -> String {
    let names: Vec<_> = Function::ALL.iter().map(|f| format!("'{}'", f.as_str())).collect();
    format!("expected {what} a field with a valid transformer: 'val', {}", names.join(", "))
}
