//! The sections of a configuration as types, every value decided. Shapes only: how they are read is in `decide`.

use std::net::IpAddr;
use std::path::PathBuf;

/// One entry of `rules`: what to enable or disable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    pub enable: bool,
    pub rule: Option<String>,
    pub tag: Option<String>,
}

/// How the sensor is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sensor {
    pub cpus_per_ring: u32,
    /// Bytes of each ring.
    pub ring_bytes: u64,
    pub drop_failed_exit: bool,
    pub disable_iterators: bool,
}

/// Recordings that rules start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    pub enabled: bool,
    pub path_prefix: String,
    pub all_rules: bool,
    pub default_duration_ms: u32,
    /// 0 = no limit.
    pub max_file_size_mb: u64,
}

/// A plugin that may be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    pub name: String,
    pub library: PathBuf,
    /// Text, or JSON made from a map.
    pub init_config: String,
    pub open_params: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOutput {
    pub filename: PathBuf,
    pub keep_alive: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramOutput {
    pub program: String,
    pub keep_alive: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOutput {
    pub url: String,
    pub user_agent: String,
    pub insecure: bool,
    pub ca_cert: Option<PathBuf>,
    pub ca_bundle: Option<PathBuf>,
    pub ca_path: PathBuf,
    /// Certificate and key to present.
    pub client: Option<(PathBuf, PathBuf)>,
    pub echo: bool,
    pub compress: bool,
    pub keep_alive: bool,
    pub max_timeouts: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebServer {
    pub threads: usize,
    pub address: IpAddr,
    pub port: u16,
    pub health_path: String,
    pub prometheus: bool,
    /// One file with certificate and key; `None` = plain HTTP.
    pub certificate: Option<PathBuf>,
}

/// What to do when events are lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Drops {
    pub threshold: f64,
    pub log: bool,
    pub alert: bool,
    pub exit: bool,
    /// Actions per second in the long run, and how many may follow each other.
    pub rate: f64,
    pub max_burst: f64,
    pub simulate: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    pub interval_ms: u64,
    pub interval_text: String,
    pub as_rule: bool,
    pub file: Option<PathBuf>,
    pub rules: bool,
    pub resources: bool,
    pub state: bool,
    pub kernel: bool,
    pub kernel_per_cpu: bool,
    pub programs: bool,
    pub iterators: bool,
    pub memory_in_mb: bool,
    pub include_empty: bool,
}

/// Which system calls are observed besides those that rules need.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Syscalls {
    pub custom: Vec<String>,
    pub repair: bool,
    pub all: bool,
}

/// Limits of the thread table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    pub max: u32,
    pub purge_interval_s: u32,
    pub purge_timeout_s: u32,
}

/// Which repeated alerts are held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noise {
    pub rule: Option<String>,
    pub tag: Option<String>,
    pub window_ms: u64,
    pub keys: Vec<String>,
    pub max_keys: usize,
}
