//! Bytes of a BPF object file in, a [`Spec`] out: programs, maps, relocations, BTF, CO-RE accesses, line information.
//! Pure: the same answer on every machine, no I/O, no kernel. Nothing here may panic, whatever the bytes are: every read is
//! bounds-checked and every wrong shape is an [`Error`] that names the section and the cause.
#![forbid(unsafe_code)]

pub mod btf;
pub mod btf_ext;
mod bytes;
pub mod core_relo;
pub mod image;
pub mod insn;
mod map;
pub mod section;
pub mod spec;
pub mod uapi;

pub use bytes::{Endian, Reader};
pub use spec::{Extern, ExternKind, Map, Program, Spec};

/// Why an object could not be understood: the part before the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not an ELF file: {0}")]
    NotElf(&'static str),
    #[error("machine {0} is not BPF (EM_BPF is 247)")]
    Machine(u16),
    #[error("section `{section}`: {reason}")]
    Section { section: String, reason: String },
    #[error("BTF: {0}")]
    Btf(String),
    #[error("program \"{program}\": {reason}")]
    Program { program: String, reason: String },
    #[error("map \"{map}\": {reason}")]
    Map { map: String, reason: String },
}

impl Error {
    pub(crate) fn section(section: &str, reason: impl Into<String>) -> Self {
        Error::Section { section: section.to_owned(), reason: reason.into() }
    }
}
