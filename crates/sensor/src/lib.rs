//! The kernel half of `hawkbell watch`: BPF programs that turn system calls and scheduler hooks into events, and the
//! consumer that merges the rings of all CPUs by time. Comes in: which calls are wanted. Goes out: [`event::Event`]
//! values borrowed from the rings, counters of every loss, and a list of what this kernel refused and what is not seen
//! for it. Must never happen here: a failed start because one program is refused, a loss without a counter, a copy of
//! an event, a blocked or woken process under observation.

#![forbid(unsafe_code)]

mod cpus;
mod empty;
mod existing;
mod hooks;
mod merge;
mod sensor;
mod stats;

pub use empty::empty_programs;
pub use existing::Existing;
pub use hooks::Blind;
pub use sensor::{Heard, Options, Sensor, objects};
pub use stats::{Counter, Iterated, Stats};

/// A failure that leaves nothing to watch with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Load(#[from] load::Error),
    /// The hook that everything comes through is refused.
    #[error("no system call can be seen: {0}")]
    Blind(String),
    #[error("map the ring buffer of CPU {cpu}: {source}")]
    Ring { cpu: u16, source: std::io::Error },
    /// The iterators cannot be used; the cause is a sentence for the user.
    #[error("{0}")]
    Iterators(String),
    #[error("read `{path}`: {source}")]
    Read { path: &'static str, source: std::io::Error },
    #[error("buffer of {bytes} bytes: not a power of two of whole pages (try {suggestion})")]
    BufferSize { bytes: u32, suggestion: u32 },
}
