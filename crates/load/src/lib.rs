//! Puts BPF objects into the kernel: maps, globals, programs, links and pins. The only crate that names the loader
//! library (libbpf). Comes in: the bytes of an object and what to set before loading. Goes out: loaded programs and
//! maps, or an error that says who refused and why (permission, verifier, missing in this kernel).
//! Must never happen here: a failure because RLIMIT_MEMLOCK cannot be raised, a printed line, a silent fallback.

#![deny(unsafe_code)]

mod error;
mod ffi;
mod info;
mod linker;
pub mod live;
mod loader;
mod map;
pub mod net;
mod object;
mod packet_run;
pub mod tc;

pub use error::{Cause, Error, Refused};
pub use info::{LoadedProgram, TcxInfo};
pub use libbpf_rs::{MapType, ProgramAttachType as AttachType};
pub use linker::link;
pub use loader::{Loader, ProgramInfo};
pub use map::Map;
pub use object::{Iter, Link, Object};
pub use packet_run::{PacketInput, PacketRun};
pub use sys::netns;
pub use sys::ring::Ring;
