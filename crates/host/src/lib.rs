//! Facts about a host, read as text below a given root: process tables, accounts, mounts, kernel configuration, privilege.
//! Nothing here changes the host or decides, and nothing that is read is trusted to be well-formed. One module per topic.

#![forbid(unsafe_code)]

pub mod accounts;
mod fds;
pub mod interfaces;
pub mod kconfig;
pub mod mounts;
pub mod procs;
pub mod root;
mod sockets;
pub mod status;

pub use root::Root;
