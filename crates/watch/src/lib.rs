//! The daemon behind `hawkbell watch` and `hawkbell replay`: a configuration and rules come in, events are judged, alerts
//! go out to standard output, files, syslog, programs and HTTP. Only `outputs` and `log` write alerts and messages
//! anywhere; the engine that judges knows nothing of this crate. Loss of any kind is counted and told.

#![forbid(unsafe_code)]

pub mod config;
pub mod log;
pub mod outputs;
mod syslog;
