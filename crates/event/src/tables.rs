//! Events, parameters, flags and system calls as static tables, generated from `tables/*.csv`.

/// An event id of the capture format (schema 4.5): what happened and which parameters follow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Kind(pub u16);

/// A system call code that does not depend on the architecture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sc(pub u16);

/// One row of the event table.
#[derive(Debug)]
pub struct EventInfo {
    pub kind: Kind,
    /// `PPME_SYSCALL_OPEN_X`.
    pub symbol: &'static str,
    pub is_enter: bool,
    /// What rules call it: `open`. `NA` for unused ids.
    pub name: &'static str,
    /// `file`, `net`, `io_read`, ...
    pub category: &'static str,
    /// `SYSCALL`, `TRACEPOINT`, `META`, `PLUGIN`, `ITER` or empty.
    pub origin: &'static str,
    pub flags: EventFlags,
    pub params: &'static [ParamInfo],
}

/// Properties of an event kind, as bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EventFlags(pub u32);

#[allow(missing_docs)]
impl EventFlags {
    pub const CREATES_FD: EventFlags = EventFlags(1);
    pub const USES_FD: EventFlags = EventFlags(1 << 1);
    pub const DESTROYS_FD: EventFlags = EventFlags(1 << 2);
    pub const READS_FROM_FD: EventFlags = EventFlags(1 << 3);
    pub const WRITES_TO_FD: EventFlags = EventFlags(1 << 4);
    pub const MODIFIES_STATE: EventFlags = EventFlags(1 << 5);
    pub const UNUSED: EventFlags = EventFlags(1 << 6);
    pub const WAITS: EventFlags = EventFlags(1 << 7);
    pub const SKIPPARSERESET: EventFlags = EventFlags(1 << 8);
    pub const OLD_VERSION: EventFlags = EventFlags(1 << 9);
    pub const CONVERTER_MANAGED: EventFlags = EventFlags(1 << 10);
    pub const LARGE_PAYLOAD: EventFlags = EventFlags(1 << 11);

    /// Whether any bit of `other` is set.
    pub const fn has(self, other: EventFlags) -> bool {
        self.0 & other.0 != 0
    }
}

/// One parameter of an event.
#[derive(Debug)]
pub struct ParamInfo {
    pub name: &'static str,
    pub ty: ParamType,
    pub base: Base,
    pub domain: Option<&'static Domain>,
    /// For `Fsrelpath`: the index of the parameter that holds the directory the path is relative to.
    pub dirfd: Option<u8>,
}

/// How a number prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    Na,
    Dec,
    Hex,
    Oct,
}

/// What the values of a parameter mean.
#[derive(Debug)]
pub enum Domain {
    Flags(FlagTable),
    /// A dynamic parameter: the first byte of the value is an index into these types.
    Variants(&'static [ParamType]),
}

/// Named bits or named values; whether they are bits depends on the parameter's type (`Flags*` or `Enumflags*`).
#[derive(Debug)]
pub struct FlagTable {
    pub name: &'static str,
    /// In the order in which they print.
    pub flags: &'static [Flag],
}

#[derive(Debug)]
pub struct Flag {
    pub name: &'static str,
    pub value: i64,
}

/// The type of a parameter or field; encodings are documented in [`crate::wire`].
#[allow(missing_docs)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ParamType {
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Bool,
    Errno,
    Fd,
    Fd32,
    Pid,
    Pid32,
    Uid,
    Gid,
    Mode,
    Flags8,
    Flags16,
    Flags32,
    Enumflags8,
    Enumflags16,
    Enumflags32,
    Sigtype,
    Sigset,
    Syscallid,
    Reltime,
    Abstime,
    Port,
    L4proto,
    Sockfamily,
    Ipv4addr,
    Ipv6addr,
    Ipaddr,
    Ipnet,
    Double,
    Charbuf,
    Fspath,
    Fsrelpath,
    Charbufarray,
    CharbufPairArray,
    Bytebuf,
    Sockaddr,
    Socktuple,
    Fdlist,
    Dyn,
}

/// One x86-64 system call.
#[derive(Debug)]
pub struct SyscallInfo {
    pub nr: u16,
    pub sc: Sc,
    /// [`Kind::GENERIC_X`] when the call has no event of its own.
    pub exit: Kind,
    pub sampling: Sampling,
}

/// What happens to a system call's events while the sensor sheds load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sampling {
    Never,
    Always,
    Sampled,
}

use crate::fields::FieldRow;
include!(concat!(env!("OUT_DIR"), "/tables.rs"));

/// Every event, indexed by kind.
pub fn events() -> &'static [EventInfo] {
    EVENTS
}

/// Every x86-64 system call, by number.
pub fn syscalls() -> &'static [SyscallInfo] {
    X86_64
}

/// The flag table or variant list called `name`.
pub fn domain(name: &str) -> Option<&'static Domain> {
    DOMAINS.iter().find(|(n, _)| *n == name).map(|(_, d)| *d)
}

pub(crate) fn field_rows() -> &'static [FieldRow] {
    FIELDS
}

impl Kind {
    /// The row of this kind, `None` for ids that this version does not know.
    pub fn info(self) -> Option<&'static EventInfo> {
        EVENTS.get(usize::from(self.0))
    }

    pub fn has(self, flag: EventFlags) -> bool {
        self.info().is_some_and(|i| i.flags.has(flag))
    }
}

impl Sc {
    /// Lower-case name as rules write it; `None` for unknown codes.
    pub fn name(self) -> Option<&'static str> {
        SYSCALL_NAMES.get(usize::from(self.0)).copied().filter(|n| !n.is_empty())
    }

    /// The code of a lower-case system call name.
    pub fn by_name(name: &str) -> Option<Sc> {
        if name.is_empty() {
            return None;
        }
        let index = SYSCALL_NAMES.iter().position(|n| *n == name)?;
        u16::try_from(index).ok().map(Sc)
    }

    /// Every code with a name.
    pub fn all() -> impl Iterator<Item = Sc> {
        (0..u16::try_from(SYSCALL_NAMES.len()).unwrap_or(u16::MAX)).map(Sc).filter(|sc| sc.name().is_some())
    }

    /// The exit event of this call on x86-64, `None` when that architecture lacks the call.
    pub fn exit_kind(self) -> Option<Kind> {
        X86_64.iter().find(|s| s.sc == self).map(|s| s.exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_dense_and_named_constants_agree() {
        assert_eq!(EVENTS.len(), 454);
        assert!(EVENTS.iter().enumerate().all(|(i, e)| usize::from(e.kind.0) == i));
        assert_eq!(Kind::SYSCALL_OPEN_X.info().map(|i| i.name), Some("open"));
        assert_eq!(Sc::by_name("openat").and_then(Sc::exit_kind), Some(Kind::SYSCALL_OPENAT_2_X));
        assert_eq!(X86_64.len(), 373);
    }
}
