//! The detection engine: events in, state tables and rule verdicts out. `push` decodes nothing and reads nothing from
//! outside: whoever owns the ring or the capture file hands over events, whoever owns /proc hands over a `ProcSource`.
//! Detection therefore runs the same on live events and on captures. No kernel, no files, no clock.

#![forbid(unsafe_code)]

pub mod context;
pub mod counters;
pub mod fields;
pub mod judge;
mod parse;
pub mod pipeline;
pub mod proc_source;
pub mod state;

pub use context::Context;
pub use fields::Surroundings;
pub use judge::{Judge, is_judged};
pub use parse::container_json;
pub use pipeline::{Engine, Options};
pub use proc_source::ProcSource;
pub use state::{State, Thread};
