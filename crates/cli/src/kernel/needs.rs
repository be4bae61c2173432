//! What a tool needs from the kernel, said when it fails: in, requirement words and the failure; out, the failure with a help line
//! for each thing that is missing, with its cause. Asks the kernel only after something went wrong there, so a good run pays
//! nothing, and a failure that has nothing to do with the kernel stays as it is.

use crate::exit::Failure;
use features::{Machine, Requirement};

/// Adds what the kernel refuses to a failure that sounds like a refusal.
pub fn explain(failure: Failure, needs: &[&str]) -> Failure {
    let said = match &failure {
        Failure::Operation { error, .. } => format!("{error:#}"),
        Failure::Usage { .. } => return failure,
    };
    if needs.is_empty() || !REFUSALS.iter().any(|words| said.contains(words)) {
        return failure;
    }
    missing(needs).into_iter().fold(failure, Failure::help)
}

fn missing(needs: &[&str]) -> Vec<String> {
    let requirements: Vec<Requirement> = needs.iter().filter_map(|need| Requirement::parse(need).ok()).collect();
    let report = features::check(&Machine::here(), &requirements);
    report.failures().filter_map(|row| Some(format!("needs {}: {}", row.requirement, row.answer.reason()?))).collect()
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

    fn help_of(failure: &Failure) -> usize {
        match failure {
            Failure::Operation { help, .. } => help.len(),
            Failure::Usage { .. } => 0,
        }
    }

    #[test]
    fn only_refusals_of_the_kernel_are_explained() {
        let never = &["kernel>=999.0"][..];
        assert_eq!(help_of(&explain(Failure::message("policy `a`: no such file"), never)), 0);
        assert_eq!(help_of(&explain(Failure::message("load program `a`: operation not permitted"), never)), 1);
        assert_eq!(
            help_of(&explain(Failure::message("load program `a`: operation not permitted"), &["kernel>=3.0"])),
            0
        );
    }
}
