//! The daemon behind `hawkbell watch` and `hawkbell replay`: a configuration and rules come in, events are judged, alerts
//! go out to standard output, files, syslog, programs and HTTP. Only `outputs` and `log` write alerts and messages
//! anywhere; the engine that judges knows nothing of this crate. Loss of any kind is counted and told.

#![forbid(unsafe_code)]

mod blindness;
pub mod cases;
pub mod config;
mod containers;
pub mod describe;
pub mod drops;
pub mod internal;
pub mod judge;
pub mod learn;
pub mod listing;
pub mod live;
pub mod log;
mod metrics;
mod names;
mod needs;
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

/// `text` without the ` (os error 2)` that the standard library adds to every cause: the words before it say the same.
pub fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(" (os error ") {
        out.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(')').unwrap_or(after);
    }
    out + rest
}
