//! What the command line decides about a run, after parsing. The command line itself, its names and its help live in the
//! program; this is what it means.

use std::path::PathBuf;

/// A run as it was asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How the program calls itself in messages: `falco`, `hawkbell watch`, ...
    pub program: String,
    /// Refuse to run without a configuration file instead of using our own defaults.
    pub needs_config: bool,
    /// `-c`.
    pub config: Option<PathBuf>,
    /// `-o`, in order.
    pub settings: Vec<String>,
    /// `-r`; replaces the files of the configuration.
    pub rules: Vec<PathBuf>,
    /// `-p`: text appended to every output (deprecated).
    pub print: Option<String>,
    /// `-U`.
    pub unbuffered: bool,
    /// `--enable-source`, `--disable-source`.
    pub enable_sources: Vec<String>,
    pub disable_sources: Vec<String>,
    /// `-M`: stop after so many seconds of event time.
    pub max_seconds: Option<u64>,
    /// `-P`.
    pub pidfile: Option<PathBuf>,
    /// `--dry-run`: everything but outputs and events.
    pub dry_run: bool,
    /// `-v`.
    pub verbose: bool,
    /// `--record`: write every event to this capture file.
    pub record: Option<PathBuf>,
    /// Read events from this capture file instead of the kernel.
    pub replay: Option<PathBuf>,
    /// Print what was seen at the end of a replay.
    pub summary: bool,
    /// Do not look for a configuration file in the usual place.
    pub ignore_system_config: bool,
}
