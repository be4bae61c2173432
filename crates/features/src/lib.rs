//! What this kernel can run, why not, and what fixes it. Questions come in (requirements, a scope, an object file); answers go
//! out: supported, unsupported because, or unknown because. Two families are kept apart: gating ([`check`]) and collecting
//! ([`inventory`], [`legacy`]). Never must a denial be told as an absence, an unknown as a no, or anything stay loaded.
//!
//! ```
//! use features::{Machine, Requirement, check};
//!
//! let needs: Vec<Requirement> = ["bpf-syscall", "fentry|kprobe", "map:ringbuf", "attach:tcx?"]
//!     .iter()
//!     .map(|word| word.parse())
//!     .collect::<Result<_, _>>()?;
//! let report = check(&Machine::here(), &needs);
//! for row in report.failures() {
//!     eprintln!("{}: {}", row.requirement, row.answer);
//! }
//! for row in report.degraded() {
//!     eprintln!("works without {}: {}", row.requirement, row.answer);
//! }
//! # Ok::<(), features::requirement::ParseError>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::print_stdout))]

pub mod access;
pub mod answer;
pub mod check;
pub mod context;
pub mod denial;
pub mod feature;
pub mod helper;
mod hook;
pub mod inventory;
pub mod isa;
pub mod kernel_btf;
pub mod legacy;
pub mod link;
pub mod machine;
pub mod map;
pub mod mount;
pub mod need;
pub mod object;
pub mod program;
mod prototypes;
pub mod reference;
pub mod requirement;
pub mod sysctl;

pub use answer::{Answer, Cause, Reason};
pub use check::{Report, Row, Source, check};
pub use context::Context;
pub use feature::{FEATURES, Feature};
pub use host::kconfig;
pub use inventory::{Part, Scope, Snapshot, diagnose, probe};
pub use machine::{Machine, Version};
pub use need::{Need, need, unmet};
pub use object::{ObjectReport, Verdict, check_object, from_elf};
pub use requirement::Requirement;
