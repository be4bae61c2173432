//! Helpers for tests that touch the kernel: broken environments to run a program in. Words come in, a confined process goes
//! out. Never linked into the product, and nothing of it outlives the test.
#![forbid(unsafe_code)]

pub mod confine;
