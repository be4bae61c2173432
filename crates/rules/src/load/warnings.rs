//! What a rule's condition and output do that deserves a second look.

use super::context::Context;
use super::fault::Report;
use super::item::RuleItem;
use super::report::WarningCode;
use crate::check::find_field;
use crate::lang::ast::{Check, Expr, Function, Op, Operand, Right};
use crate::lang::parse_operand_prefix;
use event::Catalogue;

/// Looks at an expanded condition.
pub fn of_condition(expr: &Expr, text: &str, rule: &RuleItem, catalogue: &Catalogue, report: &mut Report<'_>) {
    let mut deprecated = Vec::new();
    expr.each_check(&mut |check| {
        let context = || rule.condition_context.condition(text, check.pos);
        if compares_na(check) {
            report.warn(WarningCode::UnsafeNaCheck, "", &context());
        }
        for value in values(check) {
            if let Some(message) = of_value(check.op, value, &rule.source, catalogue) {
                report.warn(WarningCode::CompileCondition, message, &context());
            }
        }
        check.left.each_field(&mut |name, _| collect_deprecated(name, &mut deprecated));
        if let Right::Operand(operand) = &check.right {
            operand.each_field(&mut |name, _| collect_deprecated(name, &mut deprecated));
        }
    });
    for (field, message) in deprecated {
        report.warn_deprecated_field(field, message.to_owned(), &rule.condition_context);
    }
}

/// Looks at an output text.
pub fn of_output(text: &str, context: &Context, report: &mut Report<'_>) {
    for (field, _) in DEPRECATED.iter().filter(|(field, _)| text.contains(field)) {
        let message = format!("usage of deprecated field '{field}' has been detected in the rule output");
        report.warn_deprecated_field(field, message, context);
    }
}

fn collect_deprecated(name: &str, found: &mut Vec<(&'static str, &'static str)>) {
    let row = DEPRECATED.iter().find(|(field, _)| *field == name);
    if let Some(row) = row.filter(|row| !found.contains(row)) {
        found.push(*row);
    }
}

fn values(check: &Check) -> &[Vec<u8>] {
    match &check.right {
        Right::Value(value) => std::slice::from_ref(value),
        Right::List(values) => values,
        Right::None | Right::Operand(_) => &[],
    }
}

fn compares_na(check: &Check) -> bool {
    let Operand::Field { name, .. } = &check.left else { return false };
    let source = name.starts_with("ka.") || name.starts_with("jevt.");
    let op = matches!(check.op, Op::Eq | Op::EqEq | Op::Ne | Op::In | Op::Intersects | Op::Pmatch);
    source && op && values(check).iter().any(|v| v == b"<NA>")
}

/// Whether a literal looks like something else than a literal.
fn of_value(op: Op, value: &[u8], source: &str, catalogue: &Catalogue) -> Option<String> {
    let mut text = String::from_utf8_lossy(value);
    if text.contains(|c: char| c.is_ascii_whitespace()) {
        text = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    }
    if find_field_text(&text, source, catalogue) {
        return Some(format!("'{text}' may be a valid field misused as a const string value"));
    }
    if is_transformer(&text) {
        return Some(format!("'{text}' may be a valid field transformer misused as a const string value"));
    }
    (op == Op::Regex && is_plain_regex(&text)).then(|| {
        format!(
            "regex check with '{text}' may be optimized with simpler operators such as '=', 'contains', \
             'startswith', 'endswith'"
        )
    })
}

fn find_field_text(text: &str, source: &str, catalogue: &Catalogue) -> bool {
    if !text.contains('.') || !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return false;
    }
    match parse_operand_prefix(text) {
        Ok(Operand::Field { name, .. }) => find_field(&name, source, catalogue).is_some(),
        _ => false,
    }
}

fn is_transformer(text: &str) -> bool {
    if !text.ends_with(')') {
        return false;
    }
    let named = Function::ALL.iter().any(|f| text.strip_prefix(f.as_str()).is_some_and(|rest| rest.starts_with('(')));
    named || text.starts_with("val(")
}

/// No character with a meaning is left once anchors and a leading or trailing `.*` are gone.
fn is_plain_regex(pattern: &str) -> bool {
    let mut text = pattern.strip_prefix('^').unwrap_or(pattern);
    text = text.strip_suffix('$').unwrap_or(text);
    for any in [".*", ".+", ".?"] {
        text = text.strip_prefix(any).unwrap_or(text);
        text = text.strip_suffix(any).unwrap_or(text);
    }
    !text.contains(|c| ".+*?^$()[]{}|\\".contains(c))
}

/// Fields that are going away, and what to say about them.
const DEPRECATED: &[(&str, &str)] = &[
    (
        "evt.dir",
        "due to the drop of enter events, 'evt.dir = <' always evaluates to true, and 'evt.dir = >' always evaluates \
         to false. The rule expression can be simplified by removing the condition on 'evt.dir'",
    ),
    ("evt.latency", "due to the drop of enter events, 'evt.latency' is always 0"),
    ("evt.latency.s", "due to the drop of enter events, 'evt.latency.s' is always 0"),
    ("evt.latency.ns", "due to the drop of enter events, 'evt.latency.ns' is always 0"),
    ("evt.latency.human", "due to the drop of enter events, 'evt.latency.human' is always '0ns'"),
    ("evt.wait_latency", "due to the drop of enter events, 'evt.wait_latency' is always 0"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_regexes_without_meaning() {
        for (pattern, expected) in [
            ("^/etc/passwd$", true),
            (".*abc", true),
            ("abc.+", true),
            ("a.*b", false),
            ("(a|b)", false),
            ("\\d", false),
        ] {
            assert_eq!(is_plain_regex(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn sees_fields_and_transformers_in_values() {
        let catalogue = Catalogue::builtin();
        let warn = |value: &str| of_value(Op::Eq, value.as_bytes(), "syscall", &catalogue);
        assert!(warn("proc.name").is_some_and(|m| m.contains("valid field misused")));
        assert!(warn("tolower(proc.name)").is_some_and(|m| m.contains("transformer misused")));
        assert_eq!(warn("proc.nosuch"), None);
        assert_eq!(warn("/bin/sh"), None);
    }
}
