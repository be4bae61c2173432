//! Prints a syntax tree back as condition text: what `condition_compiled` shows, and the key under which equal
//! sub-expressions are recognised.

use super::ast::{Arg, Check, Expr, Operand, Right};
use std::fmt::{self, Display, Formatter};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::And(children) => chain(f, children, " and "),
            Expr::Or(children) => chain(f, children, " or "),
            Expr::Not(child) => write!(f, "not {child}"),
            Expr::Macro { body: Some(body), .. } => body.fmt(f),
            Expr::Macro { name, .. } => f.write_str(name),
            Expr::Check(check) => check.fmt(f),
        }
    }
}

fn chain(f: &mut Formatter<'_>, children: &[Expr], separator: &str) -> fmt::Result {
    f.write_str("(")?;
    for (i, child) in children.iter().enumerate() {
        f.write_str(if i == 0 { "" } else { separator })?;
        child.fmt(f)?;
    }
    f.write_str(")")
}

impl Display for Check {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.left, self.op.as_str())?;
        if let Some(modifier) = self.modifier {
            write!(f, " {}", modifier.as_str())?;
        }
        match &self.right {
            Right::None => Ok(()),
            Right::Value(value) => write!(f, " {}", Quoted(value)),
            Right::List(values) => {
                let values: Vec<_> = values.iter().map(|v| Quoted(v).to_string()).collect();
                write!(f, " ({})", values.join(", "))
            }
            Right::Operand(operand @ Operand::Field { .. }) => write!(f, " val({operand})"),
            Right::Operand(operand) => write!(f, " {operand}"),
        }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let arg = match self {
            Operand::Field { name, arg, .. } => {
                f.write_str(name)?;
                arg
            }
            Operand::Call { function, args, selector, .. } => {
                write!(f, "{}({})", function.as_str(), arguments(args))?;
                selector
            }
        };
        match arg {
            Some(arg) => write!(f, "[{}]", Quoted(arg)),
            None => Ok(()),
        }
    }
}

fn arguments(args: &[Arg]) -> String {
    args.iter().map(Arg::to_string).collect::<Vec<_>>().join(",")
}

impl Display for Arg {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Arg::Number(number) => f.write_str(number),
            Arg::Text(text) => f.write_str(&String::from_utf8_lossy(text)),
            Arg::List(args) => write!(f, "({})", arguments(args)),
            Arg::Operand(operand) => operand.fmt(f),
        }
    }
}

/// A value as conditions spell it: bare where possible, else in double quotes.
struct Quoted<'v>(&'v [u8]);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let special = |b: &u8| b.is_ascii_control() || matches!(b, b' ' | b'=' | b'"' | b'\'' | b'\\');
        let text = String::from_utf8_lossy(self.0);
        if !self.0.iter().any(special) {
            return f.write_str(&text);
        }
        f.write_str("\"")?;
        for c in text.chars() {
            match c {
                '\u{8}' => f.write_str("\\b")?,
                '\u{c}' => f.write_str("\\f")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}
