//! Why something is not in the kernel: object first, then cause, errno by word, with the fix where one is known.

use std::fmt;
use sys::errno::words;

/// An operation of this crate that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no BPF object that libbpf understands.
    #[error("object `{object}`: {}{}", words(*.errno), detail(.said))]
    Open { object: String, errno: i32, said: String },
    /// The object names no such program, map or global variable.
    #[error("object `{object}`: no {what} `{name}`")]
    NoSuch { object: String, what: &'static str, name: String },
    /// A global variable has another size than the value given for it.
    #[error("global `{name}`: is {expected} bytes, not {given}")]
    Size { name: String, expected: usize, given: usize },
    /// The kernel or libbpf refused a program.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Loading failed for something other than one program: BTF, relocation against the kernel, a map.
    #[error("load object `{object}`: {}{}", words(*.errno), detail(.said))]
    Load { object: String, errno: i32, said: String },
    /// Objects that do not fit together.
    #[error("link object `{object}`: {}{}", words(*.errno), detail(.said))]
    Link { object: String, errno: i32, said: String },
    /// Attaching, pinning, opening a pin or an access to a map.
    #[error("{what} `{name}`: {}", words(*.errno))]
    Call { what: &'static str, name: String, errno: i32 },
}

impl Error {
    /// The errno behind the error, when there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Open { errno, .. }
            | Error::Load { errno, .. }
            | Error::Link { errno, .. }
            | Error::Call { errno, .. } => Some(*errno),
            Error::Refused(refused) => Some(refused.errno),
            Error::NoSuch { .. } | Error::Size { .. } => None,
        }
    }

    pub(crate) fn call(what: &'static str, name: &str, error: &libbpf_rs::Error) -> Error {
        Error::Call { what, name: name.to_owned(), errno: errno_of(error) }
    }
}

/// A program that is not in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub program: String,
    pub cause: Cause,
    /// Positive errno.
    pub errno: i32,
    /// What the verifier said, or what the loader library said when the verifier never saw the program. The last lines
    /// hold the reason.
    pub log: String,
}

/// Who refused a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Missing privilege, or a policy of this kernel forbids the program type.
    Permission,
    /// The verifier rejected the instructions.
    Verifier,
    /// The kernel has no such attach target, helper or program type.
    Missing,
    /// Anything else; the errno says what.
    Other,
}

impl Refused {
    /// `log` is the verifier's; `said` the loader library's, which takes its place where the verifier was never asked.
    pub(crate) fn new(program: String, errno: i32, log: String, said: String) -> Refused {
        let cause = cause(errno, &log);
        Refused { program, cause, errno, log: if log.is_empty() { said } else { log } }
    }

    /// The line of the verifier log that states the reason: the last one that is not bookkeeping.
    pub fn reason(&self) -> Option<&str> {
        let bookkeeping =
            |l: &&str| !l.is_empty() && !l.starts_with("processed ") && !l.starts_with("verification time");
        self.log.lines().map(str::trim).rfind(bookkeeping)
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load program `{}`: {}", self.program, words(self.errno))?;
        match (self.cause, self.reason()) {
            (Cause::Permission, _) => {
                f.write_str(" (needs CAP_BPF and CAP_PERFMON, and a kernel policy that allows the type)")
            }
            (_, Some(reason)) => write!(f, ": {reason}"),
            (_, None) => Ok(()),
        }
    }
}

/// EPERM and EACCES mean privilege only when the verifier never spoke: it answers bad programs with EACCES, too.
fn cause(errno: i32, log: &str) -> Cause {
    let bookkeeping_only = log.trim().is_empty() || log.starts_with("processed 0 ");
    match errno {
        1 | 13 if bookkeeping_only => Cause::Permission,
        2 | 3 | 22 | 95 | 524 if bookkeeping_only => Cause::Missing,
        _ if bookkeeping_only => Cause::Other,
        _ => Cause::Verifier,
    }
}

fn detail(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// libbpf-rs keeps the errno as an I/O error somewhere in its chain.
pub(crate) fn errno_of(error: &libbpf_rs::Error) -> i32 {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        if let Some(code) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error) {
            return code;
        }
        next = error.source();
    }
    kind_errno(error.kind())
}

fn kind_errno(kind: libbpf_rs::ErrorKind) -> i32 {
    use libbpf_rs::ErrorKind;
    match kind {
        ErrorKind::PermissionDenied => 1,
        ErrorKind::NotFound => 2,
        ErrorKind::AlreadyExists => 17,
        ErrorKind::OutOfMemory => 12,
        ErrorKind::WouldBlock => 11,
        _ => 22,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_of_the_verifier_tells_permission_from_rejection() {
        assert_eq!(cause(1, ""), Cause::Permission);
        assert_eq!(cause(13, "R1 invalid mem access 'scalar'\n"), Cause::Verifier);
        assert_eq!(cause(22, ""), Cause::Missing);
    }

    #[test]
    fn a_refusal_shows_the_line_that_matters() {
        let log = "0: (85) call 1\nR1 type=scalar expected=map_ptr\nprocessed 3 insns (limit 1000000)\n";
        let refused = Refused::new("on_exec".into(), 13, log.into(), String::new());
        assert_eq!(refused.to_string(), "load program `on_exec`: permission denied: R1 type=scalar expected=map_ptr");
    }
}
