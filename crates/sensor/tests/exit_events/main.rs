//! Every system call that has an event of its own, made for real, and the exact parameters of the event that comes of
//! it, successes and failures. Needs root and BTF; without them every test says why it is skipped. With
//! HAWKBELL_REQUIRE_ROOT set, a skip is a failure.

#![allow(clippy::print_stdout)] // a skipped test says why
#![allow(clippy::too_many_lines)] // tables of calls and what they should show
#![allow(unsafe_code)] // raw system calls with arguments of our choice are what is under test

mod compat;
mod descriptors;
mod files;
mod harness;
mod memory;
mod misc;
mod processes;
mod sockets;
