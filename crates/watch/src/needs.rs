//! What watching needs from the kernel and its privileges, asked before the kernel is touched. In: the machine. Out: an
//! error that names everything vital that is missing, with cause and remedy; for the rest a warning each that says what
//! stays unknown. Iterators are not in the table: the sensor does without them, and says so, when they are refused.

use crate::log::Log;
use diag::{Finding, Severity};
use features::{Machine, Need, need, unmet};

/// The table.
pub const NEEDS: &[Need] = &[
    need("bpf-syscall", "programs are loaded by it"),
    need("btf", "kernel structures are read with its help"),
    need("map:ringbuf", "ring buffers carry the events"),
    need("program:raw_tracepoint", "system calls are seen by such programs"),
    need("program:tracing/tp_btf?", "raw tracepoint programs do its work"),
    need(
        "cap:CAP_SYS_PTRACE?",
        "executable, folder, environment and open files stay unknown of processes that /proc has to be asked about (proc.exepath, proc.cwd, proc.env, fd.*)",
    ),
    need(
        "cap:CAP_DAC_READ_SEARCH?",
        "of containers stay unknown users, groups and what their runtime wrote down (user.*, group.*, container.*, k8s.*)",
    ),
];

/// Logs what degrades.
///
/// # Errors
/// What is missing without which nothing can be seen, in lines.
pub fn check(log: &Log) -> Result<(), String> {
    tell(unmet(&Machine::here(), NEEDS), log)
}

fn tell(found: Vec<Finding>, log: &Log) -> Result<(), String> {
    let (vital, degraded): (Vec<_>, Vec<_>) = found.into_iter().partition(|f| f.severity == Severity::Error);
    if vital.is_empty() {
        degraded.iter().for_each(|finding| log.warning(&line(finding)));
        return Ok(());
    }
    let lines: Vec<String> = vital.iter().map(line).collect();
    Err(format!("system calls cannot be seen on this machine:\n   {}", lines.join("\n   ")))
}

fn line(finding: &Finding) -> String {
    let fix = finding.help.as_ref().map(|fix| format!(" (fix: {fix})")).unwrap_or_default();
    format!("{}: {}{fix}", finding.subject, finding.reason)
}
