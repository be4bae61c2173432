//! The only unsafe Rust of the project besides `load::ffi`: thin safe doors to system calls and
//! shared memory, one module per topic. Nothing here decides; a call goes in, a value or an errno comes out. Each
//! unsafe block names the kernel interface that it relies on.

#![allow(unsafe_code)]

pub mod bpf;
pub mod errno;
pub mod lsm;
pub mod mapping;
pub mod netlink;
pub mod netns;
pub mod notify;
pub mod perf;
pub mod ring;
pub mod seccomp;
pub mod trace;
