//! Programs that do nothing on the hooks of the sensor (bpf/empty.bpf.c): what a hook costs by itself. For measurements and
//! tests; watching never loads them.

use load::Loader;

/// The object with the empty programs, nothing loaded yet.
pub fn empty_programs() -> Loader<'static> {
    Loader::new("empty", EMPTY)
}

static EMPTY: &[u8] = include!(concat!(env!("OUT_DIR"), "/empty.bpf.rs"));
