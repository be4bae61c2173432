//! What a probe says: yes, no because, or cannot tell because. Never a bare bool: a denial by policy, an absence in the
//! kernel and an unreadable file are three different things with three different remedies.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub enum Answer {
    Supported,
    Unsupported(Reason),
    Unknown(Reason),
}

/// Why something is not available, or why that cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub cause: Cause,
    /// Lower case where the wording allows, no full stop.
    #[serde(rename = "reason")]
    pub text: String,
    /// Name of the errno that the kernel gave, for example `EPERM`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub errno: Option<String>,
    /// The step that changes the answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fix: Option<String>,
}

/// Kinds of reasons, stable for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The running release is older than the thing.
    TooOld,
    /// This kernel was built without it.
    CompiledOut,
    /// The running kernel does not have it, for a reason that is not known more closely.
    Absent,
    /// There, but switched off: a sysctl, a boot parameter, a policy that is not loaded.
    NotEnabled,
    NotMounted,
    MissingCapability,
    /// Capabilities are held only inside a child user namespace.
    UserNamespace,
    Seccomp,
    Lockdown,
    /// Refused before the verifier although every needed capability is held.
    Policy,
    /// RLIMIT_MEMLOCK on a kernel that charges BPF memory to it.
    Memlock,
    /// A file that would tell cannot be read.
    Unreadable,
    /// The kernel has no usable BTF.
    NoBtf,
    /// The object itself cannot work, on any kernel.
    Object,
    /// The kernel gave an answer that decides nothing.
    Inconclusive,
    /// The saved report does not say.
    NotRecorded,
}

impl Answer {
    pub fn is_supported(&self) -> bool {
        matches!(self, Answer::Supported)
    }

    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Answer::Supported => None,
            Answer::Unsupported(reason) | Answer::Unknown(reason) => Some(reason),
        }
    }

    pub fn cause(&self) -> Option<Cause> {
        self.reason().map(|reason| reason.cause)
    }

    pub fn no(cause: Cause, text: impl Into<String>) -> Answer {
        Answer::Unsupported(Reason::new(cause, text))
    }

    pub fn unknown(cause: Cause, text: impl Into<String>) -> Answer {
        Answer::Unknown(Reason::new(cause, text))
    }

    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Answer {
        match self {
            Answer::Supported => Answer::Supported,
            Answer::Unsupported(reason) => Answer::Unsupported(reason.fix(fix)),
            Answer::Unknown(reason) => Answer::Unknown(reason.fix(fix)),
        }
    }

    /// One word: `yes`, `no` or `unknown`.
    pub fn word(&self) -> &'static str {
        match self {
            Answer::Supported => "yes",
            Answer::Unsupported(_) => "no",
            Answer::Unknown(_) => "unknown",
        }
    }
}

impl Reason {
    pub fn new(cause: Cause, text: impl Into<String>) -> Self {
        Reason { cause, text: text.into(), errno: None, fix: None }
    }

    #[must_use]
    pub fn errno(mut self, errno: i32) -> Self {
        self.errno = Some(errno_name(errno));
        self
    }

    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl Cause {
    /// The kebab-case word of the JSON form.
    pub fn id(self) -> &'static str {
        match self {
            Cause::TooOld => "too-old",
            Cause::CompiledOut => "compiled-out",
            Cause::Absent => "absent",
            Cause::NotEnabled => "not-enabled",
            Cause::NotMounted => "not-mounted",
            Cause::MissingCapability => "missing-capability",
            Cause::UserNamespace => "user-namespace",
            Cause::Seccomp => "seccomp",
            Cause::Lockdown => "lockdown",
            Cause::Policy => "policy",
            Cause::Memlock => "memlock",
            Cause::Unreadable => "unreadable",
            Cause::NoBtf => "no-btf",
            Cause::Object => "object",
            Cause::Inconclusive => "inconclusive",
            Cause::NotRecorded => "not-recorded",
        }
    }
}

/// Reason and remedy in one line.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fix {
            Some(fix) => write!(f, "{}; {fix}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// The word, with reason and remedy where there are some.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            Some(reason) => write!(f, "{}: {reason}", self.word()),
            None => f.write_str(self.word()),
        }
    }
}

/// `EPERM` for 1. Numbers that probes do not meet are given as numbers.
pub fn errno_name(errno: i32) -> String {
    let known = ERRNOS.iter().find(|(number, _, _)| *number == errno);
    known.map_or_else(|| format!("errno {errno}"), |(_, name, _)| (*name).to_owned())
}

/// `operation not permitted` for 1.
pub fn errno_words(errno: i32) -> String {
    let known = ERRNOS.iter().find(|(number, _, _)| *number == errno);
    known.map_or_else(|| sys::errno::words(errno), |(_, _, words)| (*words).to_owned())
}

/// Numbers that the kernel uses towards bpf(2); 524 (ENOTSUPP) has no word in the C library.
const ERRNOS: &[(i32, &str, &str)] = &[
    (1, "EPERM", "operation not permitted"),
    (2, "ENOENT", "no such file or directory"),
    (3, "ESRCH", "no such process"),
    (7, "E2BIG", "argument list too long"),
    (9, "EBADF", "bad file descriptor"),
    (12, "ENOMEM", "cannot allocate memory"),
    (13, "EACCES", "permission denied"),
    (14, "EFAULT", "bad address"),
    (16, "EBUSY", "device or resource busy"),
    (19, "ENODEV", "no such device"),
    (22, "EINVAL", "invalid argument"),
    (28, "ENOSPC", "no space left on device"),
    (38, "ENOSYS", "function not implemented"),
    (95, "EOPNOTSUPP", "operation not supported"),
    (97, "EAFNOSUPPORT", "address family not supported by protocol"),
    (524, "ENOTSUPP", "operation is not supported"),
];
