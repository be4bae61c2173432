//! A directory that plays the part of `/`: the real one, a container's, or a made-up tree in a test. In: absolute paths;
//! out: their text or the error. Nothing is ever written.

use std::io;
use std::path::{Path, PathBuf};

/// Where `/proc`, `/sys` and `/boot` are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Root(path.into())
    }

    /// The place of an absolute path below this root.
    pub fn at(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// Whole text, with broken UTF-8 replaced.
    pub fn text(&self, path: &str) -> io::Result<String> {
        std::fs::read(self.at(path)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// First line or value of a small file, trimmed.
    pub fn value(&self, path: &str) -> io::Result<String> {
        self.text(path).map(|text| text.trim().to_owned())
    }

    pub fn exists(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    pub fn is_real(&self) -> bool {
        self.0 == Path::new("/")
    }
}

impl Default for Root {
    fn default() -> Self {
        Root::new("/")
    }
}
