//! Source-based coverage of eBPF programs. Comes in: objects that clang compiled with coverage counters, and the counters
//! that running programs left in kernel maps. Goes out: a loadable object (`split`), profiles, and reports with counts
//! per line, region, branch and condition. No LLVM library or plugin takes part, and bytes from outside never panic.

#![forbid(unsafe_code)]

pub mod cc;
pub mod collect;
pub mod count;
mod cursor;
pub mod error;
pub mod fit;
pub mod hold;
pub mod layout;
pub mod mapping;
pub mod mcdc;
pub mod profile;
pub mod report;
pub mod segments;
pub mod sidecar;
pub mod split;

pub use error::Error;
