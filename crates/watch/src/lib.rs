//! The daemon behind `hawkbell watch` and `hawkbell replay`: a configuration and rules come in, events are judged, alerts
//! go out to standard output, files, syslog, programs and HTTP. Only `outputs` and `log` write alerts and messages
//! anywhere; the engine that judges knows nothing of this crate. Loss of any kind is counted and told.

#![forbid(unsafe_code)]

mod blindness;
pub mod config;
pub mod describe;
pub mod drops;
pub mod internal;
pub mod judge;
pub mod listing;
pub mod live;
pub mod log;
mod metrics;
pub mod noise;
pub mod options;
pub mod outputs;
mod pidfile;
pub mod prepare;
mod processes;
pub mod recording;
mod reload;
pub mod replay;
pub mod rule_files;
mod sd;
pub mod signals;
mod state_snapshot;
pub mod stats;
pub mod summary;
pub mod syscalls;
mod syslog;
pub mod versions;
pub mod web;

/// Wall clock, ns since the epoch.
pub(crate) fn now_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
