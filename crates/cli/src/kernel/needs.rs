//! What a tool needs from the kernel, said when it fails: in, its table of needs and the failure; out, the failure with a help line
//! for each thing that is missing, with its cause. Asks the kernel only after something went wrong there, so a good run pays
//! nothing, and a failure that has nothing to do with the kernel stays as it is.

use crate::exit::Failure;
use diag::{Finding, Severity};
use features::{Machine, Need, unmet};

/// Adds what the kernel refuses to a failure that sounds like a refusal.
pub fn explain(failure: Failure, needs: &[Need]) -> Failure {
    let said = match &failure {
        Failure::Operation { error, .. } => format!("{error:#}"),
        Failure::Usage { .. } => return failure,
    };
    if needs.is_empty() || !REFUSALS.iter().any(|words| said.contains(words)) {
        return failure;
    }
    missing(needs).into_iter().fold(failure, Failure::help)
}

/// A line for each thing that is missing, with its cause and remedy. Touches nothing but what the needs name.
pub fn missing(needs: &[Need]) -> Vec<String> {
    let missing = unmet(&Machine::here(), needs).into_iter().filter(|finding| finding.severity == Severity::Error);
    missing.map(|finding| line(&finding)).collect()
}

/// Refuses what cannot work here, with everything that is missing, before the kernel is touched.
pub fn ready(needs: &[Need]) -> Result<(), Failure> {
    let mut missing = missing(needs).into_iter();
    missing.next().map_or(Ok(()), |first| Err(missing.fold(Failure::message(first), Failure::help)))
}

fn line(finding: &Finding) -> String {
    let fix = finding.help.as_ref().map(|fix| format!("; {fix}")).unwrap_or_default();
    format!("needs {}: {}{fix}", finding.subject, finding.reason)
}

/// How the kernel's refusals read in messages.
const REFUSALS: &[&str] = &[
    "operation not permitted",
    "permission denied",
    "function not implemented",
    "not supported",
    "invalid argument",
    "missing in this kernel",
];

#[cfg(test)]
mod tests {
    use super::*;
    use features::need;

    fn help_of(failure: &Failure) -> usize {
        match failure {
            Failure::Operation { help, .. } => help.len(),
            Failure::Usage { .. } => 0,
        }
    }

    #[test]
    fn only_refusals_of_the_kernel_are_explained() {
        let never = &[need("kernel>=999.0", "time travel")];
        assert_eq!(help_of(&explain(Failure::message("policy `a`: no such file"), never)), 0);
        assert_eq!(help_of(&explain(Failure::message("load program `a`: operation not permitted"), never)), 1);
        assert_eq!(
            help_of(&explain(
                Failure::message("load program `a`: operation not permitted"),
                &[need("kernel>=3.0", "everything")]
            )),
            0
        );
    }
}
