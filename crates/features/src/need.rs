//! What a tool needs from its kernel, as a table beside its code: in, rows of requirement and purpose; out, a finding for each
//! thing that is missing (error) or degrades (warning). Only what the rows name is probed. Never decides what to do about it.

use crate::check::Source;
use crate::{Report, Requirement};
use diag::{Finding, Severity};

/// One row: a requirement word and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// As [`Requirement::parse`] reads it: `map:ringbuf`, `program:tracing/tp_btf|program:raw_tracepoint`, `attach:tcx?`.
    pub requirement: &'static str,
    /// For a required thing what it is for, for an optional one (`?`) what happens without it.
    pub purpose: &'static str,
}

pub const fn need(requirement: &'static str, purpose: &'static str) -> Need {
    Need { requirement, purpose }
}

/// Asks for every row at once: an empty list means that everything is there. A row that is no requirement is a finding too.
///
/// ```
/// use features::{Machine, Need, need, unmet};
///
/// const NEEDS: &[Need] = &[
///     need("bpf-syscall", "everything"),
///     need("map:ringbuf|map:perf_event_array", "hands events over"),
///     need("attach:tcx?", "programs are attached as tc filters instead"),
/// ];
/// for finding in unmet(&Machine::here(), NEEDS) {
///     eprintln!("{finding}");
/// }
/// ```
pub fn unmet(source: &impl Source, needs: &[Need]) -> Vec<Finding> {
    let parsed: Vec<_> = needs.iter().map(|need| (need, Requirement::parse(need.requirement))).collect();
    let known: Vec<Requirement> = parsed.iter().filter_map(|(_, parsed)| parsed.as_ref().ok().cloned()).collect();
    let report = crate::check(source, &known);
    parsed
        .iter()
        .filter_map(|(need, parsed)| finding(need, parsed.as_ref().map_err(ToString::to_string), &report))
        .collect()
}

fn finding(need: &Need, parsed: Result<&Requirement, String>, report: &Report) -> Option<Finding> {
    let requirement = match parsed {
        Ok(requirement) => requirement,
        Err(why) => return Some(Finding::new(Severity::Error, "requirement", format!("`{}`", need.requirement), why)),
    };
    let reason = report.of(requirement)?.answer.reason()?;
    let (severity, said) = match requirement {
        Requirement::Optional(_) => (Severity::Warning, format!("{}; without it {}", reason.text, need.purpose)),
        _ => (Severity::Error, format!("{} (needed: {})", reason.text, need.purpose)),
    };
    let subject = need.requirement.trim_end_matches('?');
    let finding = Finding::new(severity, reason.cause.id(), format!("`{subject}`"), said);
    Some(reason.fix.iter().fold(finding, Finding::help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Machine;

    #[test]
    fn what_is_missing_is_an_error_and_what_degrades_a_warning() {
        let needs = &[
            need("kernel>=3.0", "everything"),
            need("kernel>=999.0", "time travel"),
            need("kernel>=998.0?", "the past has to do"),
            need("kernel>=3.0|kernel>=997.0", "either"),
            need("nonsense", "nothing"),
        ];
        let found = unmet(&Machine::here(), needs);
        let short: Vec<(Severity, &str, &str)> =
            found.iter().map(|f| (f.severity, f.id.as_str(), f.subject.as_str())).collect();
        assert_eq!(
            short,
            [
                (Severity::Error, "too-old", "`kernel>=999.0`"),
                (Severity::Warning, "too-old", "`kernel>=998.0`"),
                (Severity::Error, "requirement", "`nonsense`"),
            ]
        );
        assert!(found[0].reason.ends_with("(needed: time travel)"), "{}", found[0].reason);
        assert!(found[1].reason.ends_with("; without it the past has to do"), "{}", found[1].reason);
        assert_eq!(found[0].help.as_deref(), Some("boot Linux 999.0 or later"));
    }
}
