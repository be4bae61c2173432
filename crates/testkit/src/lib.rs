//! Helpers for tests: places that are made for one test and removed with it. Comes in: what a test needs (root, a network
//! namespace with a cable). Goes out: a guard that cleans up when it is dropped. Never: anything on an interface of the
//! machine's own namespace.

#![forbid(unsafe_code)]

pub mod netns;
pub mod root;
