//! Maps that are in the kernel now, whoever loaded them: listed by id, opened by id. Needs CAP_SYS_ADMIN (the kernel asks for
//! it to turn ids into descriptors). A map may vanish between listing and opening: that is an error of that map alone.

use crate::error::{Error, errno_of};
use crate::ffi;
use crate::map::Map;
use libbpf_rs::{MapCore, MapHandle, MapType};
use std::os::fd::BorrowedFd;

/// What the kernel says of one map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveMap {
    pub id: u32,
    /// At most 15 bytes; longer names were cut by the loader.
    pub name: String,
    pub ty: MapType,
    pub value_bytes: u32,
    pub max_entries: u32,
}

/// The next map after `id` in the order of ids (0 = the first), which grow as maps are made; `None` after the last one.
/// The map may be gone by the time it is opened.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN.
pub fn next_id(id: u32) -> Result<Option<u32>, Error> {
    match ffi::next_map_id(id) {
        Ok(next) => Ok(Some(next)),
        Err(ENOENT) => Ok(None),
        Err(errno) => Err(Error::Call { what: "list maps after", name: id.to_string(), errno }),
    }
}

/// What the kernel says of the map `id`, with the map held open: it outlives its programs as long as the descriptor.
///
/// # Errors
/// ENOENT when it is gone, EPERM without CAP_SYS_ADMIN.
pub fn open(id: u32) -> Result<(LiveMap, Map), Error> {
    let failed = |e: libbpf_rs::Error| Error::Call { what: "open map", name: id.to_string(), errno: errno_of(&e) };
    let handle = MapHandle::from_map_id(id).map_err(failed)?;
    let info = handle.info().map_err(failed)?;
    let name = handle.name().to_string_lossy().into_owned();
    let live = LiveMap {
        id,
        name: name.clone(),
        ty: handle.map_type(),
        value_bytes: info.info.value_size,
        max_entries: info.info.max_entries,
    };
    Ok((live, Map::with(name, handle)))
}

/// Runs a program `times` times on `input` (BPF_PROG_TEST_RUN): what it returned last and the mean time of a run in
/// nanoseconds, as the kernel measured it.
///
/// # Errors
/// ENOTSUPP for types without test runs.
pub fn test_run(program: BorrowedFd<'_>, input: &[u8], times: u32) -> Result<(u32, u32), Error> {
    ffi::test_run(program, input, times).map_err(|errno| Error::Call {
        what: "run program",
        name: String::new(),
        errno,
    })
}

/// Size, verification effort and run time of a loaded program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// After the kernel's rewriting.
    pub instructions: u32,
    pub jited_bytes: u32,
    /// Instructions that the verifier walked through (Linux 5.16; 0 before).
    pub verified: u32,
    /// Counted only while the sysctl `kernel.bpf_stats_enabled` is 1.
    pub runs: u64,
    pub run_nanos: u64,
}

/// Asks the kernel about a program (BPF_OBJ_GET_INFO_BY_FD).
///
/// # Errors
/// EINVAL for a descriptor of something else.
pub fn figures(program: BorrowedFd<'_>) -> Result<Figures, Error> {
    ffi::figures(program).map_err(|errno| Error::Call { what: "ask about program", name: String::new(), errno })
}

const ENOENT: i32 = 2;
