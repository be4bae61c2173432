//! Policies and catalogue programs in the kernel: tables and inputs come in, loaded programs that can be attached or run
//! on single frames go out. Nothing is attached here, and nothing outlives the values returned.

mod policy;
mod programs;

pub use policy::{FLOWS, LoadedPolicy, PassVerdict, Purpose};
pub use programs::LoadedPrograms;

use std::fmt;

/// Why something could not be put into or taken out of the kernel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Load(#[from] load::Error),
    #[error("policy `{0}`: {1}")]
    TooLarge(String, crate::tables::TooLarge),
}

impl Error {
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Load(error) => error.errno(),
            Error::TooLarge(..) => None,
        }
    }
}

/// The running kernel's version, as far as choices depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion(pub u32, pub u32);

impl KernelVersion {
    /// From the text of /proc/sys/kernel/osrelease: `6.1.0-18-amd64`.
    pub fn parse(release: &str) -> Option<KernelVersion> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some(KernelVersion(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    /// Of the running kernel; 5.10, the oldest one supported, when it cannot be read.
    pub fn running() -> KernelVersion {
        let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        KernelVersion::parse(&text).unwrap_or(KernelVersion(5, 10))
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::KernelVersion;

    #[test]
    fn reads_releases() {
        assert_eq!(KernelVersion::parse("6.1.0-18-amd64"), Some(KernelVersion(6, 1)));
        assert_eq!(KernelVersion::parse("junk"), None);
        assert!(KernelVersion(5, 10) < KernelVersion(5, 11));
    }
}
