//! Facts about a machine read as text under a given root: kernel configuration, mounts, privilege, process tables. A root
//! comes in, typed facts go out. Nothing here asks the kernel by system call beyond reading files, and nothing decides.
#![forbid(unsafe_code)]

pub mod kconfig;
pub mod mounts;
pub mod root;
pub mod status;

pub use root::Root;
