//! Versions of the rule engine and of providers: three numbers, compared as semantic versions. Text comes in and goes
//! out; anything that is not `x.y.z` is refused, never guessed.

use std::fmt;
use std::str::FromStr;

/// `major.minor.patch`, ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Version {
    pub major: u64,
    pub minor: u64,
    pub patch: u64,
}

impl Version {
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Version { major, minor, patch }
    }

    /// Whether something of this version serves a user who asks for `required`: same major number and not older.
    pub fn serves(self, required: Version) -> bool {
        self.major == required.major
            && (self.minor > required.minor || (self.minor == required.minor && self.patch >= required.patch))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The text is not `x.y.z`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a version of the form `x.y.z`")]
pub struct NotAVersion;

impl FromStr for Version {
    type Err = NotAVersion;

    /// Reads `x.y.z`, optionally followed by a pre-release or build part, which does not take part in comparisons.
    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let mut numbers = core.split('.').map(number);
        let mut next = || numbers.next().flatten().ok_or(NotAVersion);
        let version = Version::new(next()?, next()?, next()?);
        if numbers.next().is_some() { Err(NotAVersion) } else { Ok(version) }
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_compares() {
        let engine = Version::new(0, 63, 0);
        assert_eq!("0.63.0".parse(), Ok(engine));
        assert!(engine.serves(Version::new(0, 57, 0)));
        assert!(!engine.serves(Version::new(0, 64, 0)));
        assert!(!engine.serves(Version::new(1, 0, 0)));
        for bad in ["", "1", "1.2", "1.2.x", "1.2.3.4", "a.b.c", "1..2"] {
            assert_eq!(bad.parse::<Version>(), Err(NotAVersion), "{bad}");
        }
    }
}
