//! The build configuration of the running kernel: in, a root and a release; out, every `CONFIG_X` with its value and where
//! it was read, or each place that was tried with its error. Places are those that distributions use.

use crate::root::Root;
use std::io::Read;

/// A parsed configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The file that it came from.
    pub source: String,
    /// The file as it is: a few look-ups need no table of four thousand rows.
    text: String,
}

/// No configuration was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no kernel config found: {}", list(.tried))]
pub struct NotFound {
    /// Each path with why it did not serve.
    pub tried: Vec<(String, String)>,
}

impl Config {
    /// Reads the first of the usual places that opens and parses.
    pub fn find(root: &Root, release: &str) -> Result<Config, NotFound> {
        let mut tried = Vec::new();
        for path in places(release) {
            match read(root, &path) {
                Ok(text) => return Ok(Config::parse(&path, text)),
                Err(error) => tried.push((path, sys_text(&error))),
            }
        }
        Err(NotFound { tried })
    }

    pub fn parse(source: &str, text: impl Into<String>) -> Config {
        Config { source: source.to_owned(), text: text.into() }
    }

    /// The value of an option, with or without its `CONFIG_`; `None` when it is not set.
    pub fn value(&self, key: &str) -> Option<&str> {
        let row = format!("CONFIG_{}=", key.strip_prefix("CONFIG_").unwrap_or(key));
        let begins_line = |at: &usize| {
            let before = self.text.get(..*at).unwrap_or("");
            before.rsplit('\n').next().is_none_or(|indent| indent.trim().is_empty())
        };
        let at = self.text.match_indices(&row).map(|(at, _)| at).find(begins_line)?;
        self.text.get(at + row.len()..)?.lines().next().map(str::trim)
    }

    fn rows(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.text.lines().map(str::trim).filter(|line| line.starts_with("CONFIG_"));
        lines.filter_map(|line| line.split_once('='))
    }

    /// Built in or a module.
    pub fn enabled(&self, key: &str) -> bool {
        matches!(self.value(key), Some("y" | "m"))
    }

    pub fn len(&self) -> usize {
        self.rows().count()
    }

    pub fn is_empty(&self) -> bool {
        self.rows().next().is_none()
    }

    /// Every option with its value, in the order of the file.
    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rows()
    }
}

/// Where configurations are looked for, in order.
pub fn places(release: &str) -> Vec<String> {
    vec![
        "/proc/config.gz".into(),
        format!("/boot/config-{release}"),
        format!("/lib/modules/{release}/config"),
        format!("/usr/lib/modules/{release}/config"),
        "/boot/config".into(),
        format!("/lib/kernel/config-{release}"),
        format!("/usr/lib/ostree-boot/config-{release}"),
        format!("/lib/modules/{release}/build/.config"),
    ]
}

fn read(root: &Root, path: &str) -> std::io::Result<String> {
    if !path.ends_with(".gz") {
        return root.text(path);
    }
    let file = std::fs::File::open(root.at(path))?;
    let mut text = String::with_capacity(USUAL_BYTES);
    flate2::read::GzDecoder::new(file).take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn list(tried: &[(String, String)]) -> String {
    tried.iter().map(|(path, why)| format!("{path}: {why}")).collect::<Vec<_>>().join(", ")
}

fn sys_text(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string().to_lowercase(),
    }
}

const USUAL_BYTES: usize = 256 << 10;
/// A configuration is about 300 KB; anything far above is no configuration.
const MAX_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_absence() {
        let config = Config::parse(
            "x",
            "# a\nCONFIG_BPF=y\nCONFIG_NFT=m\n# CONFIG_IMA is not set\nCONFIG_LSM=\"a,bpf\"\njunk\n",
        );
        assert_eq!(
            (config.value("BPF"), config.value("CONFIG_NFT"), config.value("IMA")),
            (Some("y"), Some("m"), None)
        );
        assert!(config.enabled("NFT") && !config.enabled("LSM"));
        assert_eq!(config.len(), 3);
    }

    #[test]
    fn every_place_is_named_when_nothing_is_there() {
        let none = Config::find(&Root::new("/nonexistent"), "9.9").unwrap_err();
        assert!(none.tried.iter().any(|(path, _)| path == "/boot/config-9.9"));
        assert!(none.to_string().starts_with("no kernel config found: /proc/config.gz: no such file"));
    }
}
