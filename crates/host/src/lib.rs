//! Facts about a host, read as text below a given root: nothing here changes the host, and nothing that is read is
//! trusted to be well-formed. One module per topic.

#![forbid(unsafe_code)]

pub mod accounts;
mod fds;
pub mod interfaces;
pub mod procs;
mod sockets;
