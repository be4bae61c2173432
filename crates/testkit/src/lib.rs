//! Helpers for tests that touch the kernel: places that are made for one test and removed with it, broken environments to
//! run a program in. Comes in: what a test needs (root, a network namespace with a cable, a confinement). Goes out: a guard
//! that cleans up when it is dropped, or a confined process. Never linked into the product; never anything on an interface
//! of the machine's own namespace.

#![forbid(unsafe_code)]

pub mod confine;
pub mod netns;
pub mod root;
