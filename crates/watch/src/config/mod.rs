//! What a run is told to do: falco.yaml and `-o` options come in, a [`Config`] with every value decided goes out, together
//! with the files it came from. Defaults live in `keys`, merging in `merge`. Values that would silently change what is
//! watched are errors with their place; everything else falls back with a warning.

mod decide;
pub mod duration;
mod env;
pub mod keys;
pub mod merge;
pub mod node;
pub mod read;
pub mod schema;
mod sections;

pub use merge::{LoadError, Loaded, LoadedFile};
pub use node::{Node, Place};
pub use sections::{
    Capture, Drops, FileOutput, HttpOutput, Metrics, Noise, Plugin, ProgramOutput, Selection, Sensor, Syscalls,
    Threads, WebServer,
};

use crate::containers;
use read::Reader;
use rules::{AppendOutput, Matching, Priority};
use std::path::{Path, PathBuf};

/// Everything configuration decides, with defaults filled in.
#[derive(Debug, Clone)]
pub struct Config {
    pub files: Vec<LoadedFile>,
    pub directories: Vec<PathBuf>,
    /// The merged tree, for `--support`.
    pub tree: Node,
    pub watch_files: bool,
    pub rules_files: Vec<PathBuf>,
    pub selections: Vec<Selection>,
    pub kind: Kind,
    pub capture_file: Option<PathBuf>,
    pub sensor: Sensor,
    pub capture: Capture,
    /// `None` = all of `plugins`.
    pub load_plugins: Option<Vec<String>>,
    pub plugins: Vec<Plugin>,
    pub style: Style,
    pub priority: Priority,
    pub matching: Matching,
    /// Alerts that may wait for each output.
    pub queue_capacity: usize,
    pub buffered: bool,
    pub append_output: Vec<AppendOutput>,
    pub static_fields: Vec<(String, String)>,
    pub stdout: bool,
    pub syslog: bool,
    pub syslog_socket: PathBuf,
    pub file: Option<FileOutput>,
    pub program: Option<ProgramOutput>,
    pub http: Option<HttpOutput>,
    pub output_timeout_ms: u64,
    pub web: Option<WebServer>,
    pub log: Log,
    pub max_consecutive_timeouts: u32,
    pub drops: Drops,
    pub metrics: Option<Metrics>,
    pub syscalls: Syscalls,
    pub threads: Threads,
    pub snaplen: u32,
    pub noise: Vec<Noise>,
    /// What is odd but no reason to stop.
    pub warnings: Vec<String>,
    /// What has no effect here.
    pub notes: Vec<String>,
}

impl Config {
    /// What is said about containers, as the configuration of the plugin that does it in the reference.
    pub fn containers(&self) -> containers::Settings {
        let plugin = self.plugins.iter().find(|plugin| plugin.name == BUILT_IN_PLUGIN);
        containers::Settings::parse(plugin.map_or("", |plugin| &plugin.init_config))
    }
}

/// The plugin whose work is built in.
pub const BUILT_IN_PLUGIN: &str = "container";

/// Where events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Live,
    Replay,
    /// Only plugins send events.
    NoDriver,
}

/// How alerts look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    pub json: bool,
    pub json_output: bool,
    pub json_message: bool,
    pub json_fields: bool,
    pub json_tags: bool,
    pub iso_time: bool,
    pub base64: bool,
}

/// Where and how much to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    pub stderr: bool,
    pub syslog: bool,
    pub level: Priority,
    /// Least severe message of the sensor; `None` = none at all.
    pub sensor: Option<Priority>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The text of the re-created system, and the place the value was written at.
    #[error("{text} (at {place})")]
    Value { text: String, place: Place },
}

impl Config {
    /// Loads `main` and applies `options` (`key=value`). Without a file every key has its default.
    ///
    /// # Errors
    /// A file cannot be read or parsed, an option makes no sense, or a value would change what is watched.
    pub fn load(main: Option<&Path>, options: &[String]) -> Result<Config, ConfigError> {
        let loaded = merge::load(main, options)?;
        decide::read(loaded)
    }

    /// Reads configuration text that is no file: for tests of what text can do. `config_files` in it are not followed.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_text(name: &str, text: &str, options: &[String]) -> Result<Config, ConfigError> {
        decide::read(merge::load_text(name, text, options)?)
    }

    /// The configuration when no file was given: alerts on standard output, log on standard error, an alert
    /// about lost events, the container named in every alert. Rules are the embedded ones.
    ///
    /// # Errors
    /// An option makes no sense.
    pub fn own_defaults(options: &[String]) -> Result<Config, ConfigError> {
        let mut all: Vec<String> = OWN_DEFAULTS.iter().map(|option| (*option).to_owned()).collect();
        all.extend_from_slice(options);
        Config::load(None, &all)
    }

    /// Whether any alert can go anywhere.
    pub fn has_output(&self) -> bool {
        self.stdout || self.syslog || self.file.is_some() || self.program.is_some() || self.http.is_some()
    }
}

fn value_error(read: Reader<'_>, path: &str, text: String) -> ConfigError {
    ConfigError::Value { text, place: read.place(path) }
}

const OWN_DEFAULTS: &[&str] = &[
    "stdout_output.enabled=true",
    "log_stderr=true",
    "log_syslog=false",
    "syscall_event_drops.actions[]=alert",
    "syscall_event_drops.actions[]=log",
    "syscall_event_drops.actions[]=alert",
    "append_output[]={extra_output: 'container=%container.id', suggested_output: false, extra_fields: [container.name, \
     container.image.repository, container.image.tag, k8s.ns.name, k8s.pod.name]}",
];

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
rules_files: [a.yaml, /b]
rules: [{disable: {rule: '*'}}, {enable: {tag: x}}]
engine: {kind: modern_ebpf, modern_ebpf: {buf_size_preset: 5}}
plugins: [{name: p, library_path: libp.so, init_config: {a: [1, '${HOME}']}}]
append_output: [{match: {tags: [a]}, extra_output: 'x=%y', extra_fields: [f, {k: '%v'}]}]
metrics: &m {enabled: true, interval: 1h30m, output_rule: yes}
http_output: {enabled: on, url: \"http://h/\", mtls: true}
noise: [{rule: r, window: 5m, keys: [proc.name]}]
";

    #[test]
    fn losses_are_told_unless_somebody_says_otherwise() {
        assert!(Config::own_defaults(&[]).is_ok_and(|config| config.drops.alert && config.warnings.is_empty()));
        let ignore = ["syscall_event_drops.actions=ignore".to_owned()];
        assert!(Config::own_defaults(&ignore).is_ok_and(|config| !config.drops.alert));
    }

    #[test]
    fn seeds_of_the_fuzz_target_never_panic() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/config_load");
        let mut answers = 0;
        for path in std::fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()) {
            let bytes = std::fs::read(path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let (option, file) = text.split_once('\0').unwrap_or(("", &text));
            let options: Vec<String> = (!option.is_empty()).then(|| option.to_owned()).into_iter().collect();
            answers += usize::from(Config::from_text("seed", file, &options).is_ok());
        }
        assert!(answers >= 5, "{answers} seeds are configurations");
    }

    /// Whatever is cut, doubled or replaced: an answer or an error, never a panic.
    #[test]
    fn damaged_text_never_panics() {
        assert!(Config::from_text("sample", SAMPLE, &[]).is_ok_and(|c| c.http.is_some() && c.noise.len() == 1));
        let bytes = SAMPLE.as_bytes();
        for at in 0..bytes.len() {
            for with in [&b""[..], b"[", b"}", b":", b"\n", b"*m", b"${", b"\0", b"&", b"- ", b"\xff"] {
                let damaged = [&bytes[..at], with, &bytes[(at + with.len()).min(bytes.len())..]].concat();
                let text = String::from_utf8_lossy(&damaged);
                let _ = Config::from_text("damaged", &text, &[]);
                let _ = Config::from_text("damaged", "", &[text.lines().next().unwrap_or_default().to_owned()]);
            }
        }
    }
}
