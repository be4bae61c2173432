//! What can be wrong with objects, sidecars and profiles: the object, then the cause, then the fix where one is known.

/// Why an input cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("object file: {0}")]
    Object(#[from] object::read::Error),
    #[error("object file: {0}")]
    Build(#[from] object::build::Error),
    #[error("object file is for machine {0}, not for eBPF (247)")]
    NotBpf(u16),
    #[error("big-endian eBPF objects are not supported yet: build with a little-endian target (bpfel)")]
    BigEndian,
    #[error("{section}, byte {at}: {what}")]
    Damaged { section: &'static str, what: &'static str, at: usize },
    #[error("not a coverage profile: `hawkbell cover run` and `cover collect` write them")]
    NotAProfile,
    #[error("cut short or changed since it was written: its seal is broken")]
    BrokenSeal,
    #[error("coverage mapping version {0} is newer than this tool knows: update hawkbell or use an older clang")]
    MappingVersion(u32),
    #[error(
        "relocation of type {kind} at {section}+{offset:#x} points into coverage metadata, which no known clang does"
    )]
    Relocation { section: String, offset: u64, kind: u32 },
    #[error(
        "sidecar has no coverage counters: compile with `-fprofile-instr-generate -fcoverage-mapping` or `hawkbell cover cc`"
    )]
    NoCounters,
    #[error("section `{0}`: the object has one of its own, choose another name for the counters")]
    SectionTaken(String),
    #[error("counters are {found} bytes, the sidecar describes {wanted}: they belong to different builds")]
    CounterSize { found: usize, wanted: usize },
}
