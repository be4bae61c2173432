//! One way of telling what is wrong: a [`Finding`] says what (stable id, severity), about whom (subject), why (reason)
//! and what to do (help). Findings are results: many at once, no control flow. No domain words live here.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How much a finding matters, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A fact worth knowing; nothing to do.
    Info,
    /// Works, but something degrades.
    Warning,
    /// Does not work as asked.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// Where in a text input a finding points: 1-based line and column, 0-based byte offset and length.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    pub file: String,
    pub line: u32,
    pub column: u32,
    pub offset: usize,
    pub len: usize,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing that is not as wanted, with its remedy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// Stable, machine-readable: `kebab-case` or the code that the re-created system gave it.
    pub id: String,
    pub severity: Severity,
    /// The object the finding is about, in backticks where it is a name.
    pub subject: String,
    /// The cause, lower case, no full stop.
    pub reason: String,
    /// The step that fixes it, when one is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub span: Option<Span>,
}

impl Finding {
    pub fn new(severity: Severity, id: &str, subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Finding { id: id.to_owned(), severity, subject: subject.into(), reason: reason.into(), help: None, span: None }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(span) = &self.span {
            write!(f, "{span}: ")?;
        }
        write!(f, "{}[{}]: {}: {}", self.severity, self.id, self.subject, self.reason)?;
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// The worst severity present, `None` when there is no finding.
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|f| f.severity).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_place_cause_and_fix() {
        let finding = Finding::new(Severity::Error, "no-btf", "`/sys/kernel/btf/vmlinux`", "no such file or directory")
            .help("boot a kernel built with CONFIG_DEBUG_INFO_BTF=y")
            .at(Span { file: "a.yaml".into(), line: 3, column: 5, offset: 20, len: 2 });
        assert_eq!(
            finding.to_string(),
            "a.yaml:3:5: error[no-btf]: `/sys/kernel/btf/vmlinux`: no such file or directory\n  help: boot a kernel built with CONFIG_DEBUG_INFO_BTF=y"
        );
        assert_eq!(worst(&[finding]), Some(Severity::Error));
        assert_eq!(worst(&[]), None);
    }
}
