//! What is already in the kernel: programs by id, the maps they use, and what a link holds. Comes in: an id or a link.
//! Goes out: names, ids and open maps. Nothing is loaded or changed here.

use crate::error::Error;
use crate::ffi;
use crate::map::Map;
use crate::object::Link;
use libbpf_rs::ProgramHandle;
use libbpf_rs::query::LinkTypeInfo;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A program of the kernel, ours or not.
#[derive(Debug)]
pub struct LoadedProgram {
    pub id: u32,
    /// At most 15 bytes: the kernel cuts longer names.
    pub name: String,
    pub map_ids: Vec<u32>,
    /// Instructions the verifier went through (Linux 5.16 and later, 0 before): what loading costs.
    pub verified_instructions: u32,
    fd: OwnedFd,
}

impl LoadedProgram {
    /// # Errors
    /// ENOENT when there is no such program, EPERM without CAP_SYS_ADMIN.
    pub fn by_id(id: u32) -> Result<LoadedProgram, Error> {
        let failed = |e: &libbpf_rs::Error| Error::call("open program by id", &id.to_string(), e);
        LoadedProgram::of(libbpf_rs::Program::fd_from_id(id).map_err(|e| failed(&e))?)
    }

    /// # Errors
    /// The descriptor is no program.
    pub fn of(fd: OwnedFd) -> Result<LoadedProgram, Error> {
        let failed = |e: &libbpf_rs::Error| Error::call("ask about program", "of a descriptor", e);
        let id = libbpf_rs::Program::id_from_fd(fd.as_fd()).map_err(|e| failed(&e))?;
        let handle = ProgramHandle::from_prog_id(id).map_err(|e| failed(&e))?;
        let name = handle.name().to_string_lossy().into_owned();
        let (map_ids, verified_instructions) = ffi::program_maps(fd.as_fd()).map_err(|errno| Error::Call {
            what: "ask about program",
            name: name.clone(),
            errno,
        })?;
        Ok(LoadedProgram { id, name, map_ids, verified_instructions, fd })
    }

    /// The map called `name` among those the program uses (the kernel cuts names at 15 bytes).
    ///
    /// # Errors
    /// [`Error::NoSuch`], or EPERM without CAP_SYS_ADMIN.
    pub fn map(&self, name: &str) -> Result<Map, Error> {
        for id in &self.map_ids {
            let map = Map::by_id(*id)?;
            if map.name() == name {
                return Ok(map);
            }
        }
        Err(Error::NoSuch { object: self.name.clone(), what: "map", name: name.to_owned() })
    }
}

impl AsFd for LoadedProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What a tcx link holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcxInfo {
    pub program_id: u32,
    /// 0 when the interface is gone.
    pub ifindex: u32,
}

impl Link {
    /// What the link holds, `None` when it is no tcx link.
    ///
    /// # Errors
    /// Kernels before 5.8 cannot say.
    pub fn tcx(&self) -> Result<Option<TcxInfo>, Error> {
        let info = self.raw().info().map_err(|e| Error::call("ask about link of", self.name(), &e))?;
        Ok(match info.info {
            LinkTypeInfo::Tcx(tcx) => Some(TcxInfo { program_id: info.prog_id, ifindex: tcx.ifindex }),
            _ => None,
        })
    }
}
