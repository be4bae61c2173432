//! The running kernel's types. In: `/sys/kernel/btf/vmlinux` and the modules beside it; out: numbers of named types, or the whole
//! for those who need it. Looking up a few names streams the file in small pieces, so a probe stays small; nothing is kept
//! but the numbers found.

use elf::Reader;
use elf::btf::{Btf, Kind};
use host::Root;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Lazy access to the kernel's BTF.
#[derive(Debug)]
pub struct KernelBtf {
    dir: PathBuf,
    known: RefCell<HashMap<Name, Option<u32>>>,
}

/// A kind with a name.
pub type Name = (Kind, String);

/// The kernel's BTF in memory: mapped where the kernel allows it (6.16), else a copy.
#[derive(Debug)]
pub enum Bytes {
    Mapped(sys::mapping::Mapping),
    Read(Vec<u8>),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(mapping) => mapping,
            Bytes::Read(bytes) => bytes,
        }
    }
}

/// Why there are no types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    #[error("{path}: {reason}")]
    Unreadable { path: String, reason: String, absent: bool },
    #[error("{path}: not valid BTF: {reason}")]
    Broken { path: String, reason: String },
}

impl KernelBtf {
    pub(crate) fn new(root: &Root) -> Self {
        KernelBtf { dir: root.at("/sys/kernel/btf"), known: RefCell::default() }
    }

    /// The number of the first type of that kind and name; `Ok(None)` when the kernel has no such type.
    pub fn id(&self, kind: Kind, name: &str) -> Result<Option<u32>, Missing> {
        let key = (kind, name.to_owned());
        if let Some(known) = self.known.borrow().get(&key) {
            return Ok(*known);
        }
        self.look_up(std::slice::from_ref(&key))?;
        Ok(self.known.borrow().get(&key).copied().flatten())
    }

    /// Looks many names up in one pass over the file; [`KernelBtf::id`] then answers from memory.
    pub fn look_up(&self, names: &[Name]) -> Result<(), Missing> {
        let mut wanted: Vec<Name> = names.to_vec();
        if self.known.borrow().is_empty() {
            wanted.extend(WANTED.iter().map(|(kind, name)| (*kind, (*name).to_owned())));
        }
        wanted.retain(|name| !self.known.borrow().contains_key(name));
        if wanted.is_empty() {
            return Ok(());
        }
        let found = self.scan(&wanted)?;
        self.known.borrow_mut().extend(wanted.into_iter().zip(found));
        Ok(())
    }

    /// Like [`KernelBtf::look_up`], from types that are in memory already.
    pub(crate) fn look_up_in(&self, btf: &Btf<'_>, mut wanted: Vec<Name>) {
        wanted.extend(WANTED.iter().map(|(kind, name)| (*kind, (*name).to_owned())));
        let names: BTreeSet<&str> = wanted.iter().map(|(_, name)| name.as_str()).collect();
        let offsets = btf.offsets_of(&names);
        let mut found: HashMap<Name, Option<u32>> = wanted.iter().map(|name| (name.clone(), None)).collect();
        for id in btf.ids() {
            let Some(ty) = btf.get(id) else { continue };
            if ty.name_off == 0 {
                continue;
            }
            if let Some(name) = offsets.get(&ty.name_off)
                && let Some(slot @ None) = found.get_mut(&(ty.kind, (*name).to_owned()))
            {
                *slot = Some(id);
            }
        }
        self.known.borrow_mut().extend(found);
    }

    /// All bytes of the kernel's own BTF.
    pub fn bytes(&self) -> Result<Bytes, Missing> {
        let file = File::open(self.vmlinux()).map_err(|error| self.unreadable(&error))?;
        match sys::mapping::Mapping::sysfs(&file) {
            Ok(mapping) => Ok(Bytes::Mapped(mapping)),
            Err(_) => std::fs::read(self.vmlinux()).map(Bytes::Read).map_err(|error| self.unreadable(&error)),
        }
    }

    /// Name and bytes of every loaded module that has BTF.
    pub fn modules(&self) -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let names = entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|name| name != "vmlinux");
        let mut all: Vec<_> =
            names.filter_map(|name| Some((name.clone(), std::fs::read(self.dir.join(name)).ok()?))).collect();
        all.sort();
        all
    }

    /// Size in bytes and whether the header is sound, without reading the types.
    pub fn header(&self) -> Result<u64, Missing> {
        let file = File::open(self.vmlinux()).map_err(|error| self.unreadable(&error))?;
        let parts = Parts::read(&file).ok_or_else(|| self.broken("the header is wrong"))?;
        Ok(parts.strings_at + parts.strings_len)
    }

    fn scan(&self, wanted: &[Name]) -> Result<Vec<Option<u32>>, Missing> {
        let file = Source::open(File::open(self.vmlinux()).map_err(|error| self.unreadable(&error))?);
        let parts = file.parts().ok_or_else(|| self.broken("the header is wrong"))?;
        let offsets = find_names(&file, &parts, wanted).ok_or_else(|| self.broken("strings are cut short"))?;
        find_types(&file, &parts, wanted, &offsets).ok_or_else(|| self.broken("a type is cut short"))
    }

    fn vmlinux(&self) -> PathBuf {
        self.dir.join("vmlinux")
    }

    fn unreadable(&self, error: &std::io::Error) -> Missing {
        let absent = error.kind() == std::io::ErrorKind::NotFound;
        Missing::Unreadable { path: self.vmlinux().display().to_string(), reason: sys::errno::of(error), absent }
    }

    fn broken(&self, reason: &str) -> Missing {
        Missing::Broken { path: self.vmlinux().display().to_string(), reason: reason.to_owned() }
    }
}

/// Where types and strings lie in the file.
struct Parts {
    types_at: u64,
    types_len: u64,
    strings_at: u64,
    strings_len: u64,
}

impl Parts {
    fn read(file: &File) -> Option<Parts> {
        let mut head = [0u8; HEADER_BYTES];
        file.read_exact_at(&mut head, 0).ok()?;
        Parts::of(&head)
    }

    fn of(head: &[u8]) -> Option<Parts> {
        let raw = Reader::new(head, NATIVE);
        let header = u64::from(raw.u32(4)?);
        (raw.u16(0)? == MAGIC && raw.u8(2)? == 1).then_some(())?;
        Some(Parts {
            types_at: header + u64::from(raw.u32(8)?),
            types_len: u64::from(raw.u32(12)?),
            strings_at: header + u64::from(raw.u32(16)?),
            strings_len: u64::from(raw.u32(20)?),
        })
    }
}

/// String offset and place in the wish list of each wanted name, by offset.
fn find_names(file: &Source, parts: &Parts, wanted: &[Name]) -> Option<Vec<(u32, usize)>> {
    let shapes = Shapes::of(wanted);
    let mut found = Vec::new();
    let mut before = 0u32;
    file.each_chunk(parts.strings_at, parts.strings_len, |chunk, last| {
        let end = if last { chunk.len() } else { chunk.iter().rposition(|b| *b == 0)? + 1 };
        let strings = chunk.get(..end)?;
        let mut start = 0usize;
        for stop in memchr::memchr_iter(0, strings) {
            let bare = strings.get(start..stop)?;
            if shapes.may_be(bare) {
                let same = wanted.iter().enumerate().filter(|(_, (_, name))| name.as_bytes() == bare);
                let at = before.checked_add(u32::try_from(start).ok()?)?;
                found.extend(same.map(|(wish, _)| (at, wish)));
            }
            start = stop + 1;
        }
        before = before.checked_add(u32::try_from(end).ok()?)?;
        Some(end)
    })?;
    Some(found)
}

/// Lengths and first letters of the wanted names: rules most strings out without comparing.
struct Shapes([u64; 256]);

impl Shapes {
    fn of(wanted: &[Name]) -> Self {
        let mut table = [0u64; 256];
        for name in wanted.iter().map(|(_, name)| name.as_bytes()) {
            let first = name.first().copied().unwrap_or(0);
            table.get_mut(first as usize).into_iter().for_each(|lengths| *lengths |= 1 << (name.len() & 63));
        }
        Shapes(table)
    }

    fn may_be(&self, text: &[u8]) -> bool {
        let first = text.first().copied().unwrap_or(0);
        self.0.get(first as usize).is_some_and(|lengths| lengths >> (text.len() & 63) & 1 != 0)
    }
}

/// Walks the types once and numbers the first of each wanted kind and name.
fn find_types(file: &Source, parts: &Parts, wanted: &[Name], offsets: &[(u32, usize)]) -> Option<Vec<Option<u32>>> {
    let mut found = vec![None; wanted.len()];
    let mut id = 0u32;
    file.each_chunk(parts.types_at, parts.types_len, |chunk, _| {
        let raw = Reader::new(chunk, NATIVE);
        let mut at = 0usize;
        while let (Some(name), Some(info)) = (raw.u32(at), raw.u32(at + 4)) {
            let kind = Kind::from_number(info >> 24 & 0x1f)?;
            let whole = 12 + kind.extra_bytes((info & 0xffff) as usize);
            if at + whole > chunk.len() {
                break;
            }
            id += 1;
            if name != 0 && offsets.binary_search_by_key(&name, |(offset, _)| *offset).is_ok() {
                note(&mut found, wanted, offsets, (kind, name, id));
            }
            at += whole;
        }
        Some(at)
    })?;
    Some(found)
}

fn note(found: &mut [Option<u32>], wanted: &[Name], offsets: &[(u32, usize)], (kind, name, id): (Kind, u32, u32)) {
    for (_, at) in offsets.iter().filter(|(offset, _)| *offset == name) {
        if wanted.get(*at).is_some_and(|(wanted, _)| *wanted == kind)
            && let Some(slot @ None) = found.get_mut(*at)
        {
            *slot = Some(id);
        }
    }
}

/// The file as a mapping, or for reading in small pieces.
enum Source {
    Mapped(sys::mapping::Mapping),
    File(File),
}

impl Source {
    fn open(file: File) -> Source {
        sys::mapping::Mapping::sysfs(&file).map_or(Source::File(file), Source::Mapped)
    }

    fn parts(&self) -> Option<Parts> {
        match self {
            Source::Mapped(bytes) => Parts::of(bytes.get(..HEADER_BYTES)?),
            Source::File(file) => Parts::read(file),
        }
    }

    /// Hands a stretch over in chunks; `take` says how many bytes it used, the rest comes again with the next chunk.
    fn each_chunk(&self, at: u64, len: u64, mut take: impl FnMut(&[u8], bool) -> Option<usize>) -> Option<()> {
        match self {
            Source::Mapped(bytes) => {
                let (at, len) = (usize::try_from(at).ok()?, usize::try_from(len).ok()?);
                take(bytes.get(at..at.checked_add(len)?)?, true).map(drop)
            }
            Source::File(file) => read_chunks(file, at, len, take),
        }
    }
}

fn read_chunks(file: &File, at: u64, len: u64, mut take: impl FnMut(&[u8], bool) -> Option<usize>) -> Option<()> {
    let mut buffer = vec![0u8; CHUNK];
    let (mut kept, mut done) = (0usize, 0u64);
    while done < len {
        let room = usize::try_from(len - done).unwrap_or(CHUNK).min(CHUNK - kept);
        let read = fill(file, buffer.get_mut(kept..kept + room)?, at + done)?;
        done += read as u64;
        let filled = kept + read;
        let used = take(buffer.get(..filled)?, done >= len)?;
        buffer.copy_within(used..filled, 0);
        kept = filled.checked_sub(used)?;
        if read == 0 || kept >= CHUNK {
            return None;
        }
    }
    Some(())
}

/// sysfs gives one page per read.
fn fill(file: &File, buffer: &mut [u8], at: u64) -> Option<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(buffer.get_mut(filled..)?, at + filled as u64).ok()? {
            0 => break,
            read => filled += read,
        }
    }
    Some(filled)
}

/// Names that program probes refer to.
pub const WANTED: &[(Kind, &str)] = &[
    (Kind::Func, FENTRY_TARGET),
    (Kind::Func, LSM_TARGET),
    (Kind::Func, LSM_SLEEPABLE_TARGET),
    (Kind::Func, FMOD_RET_TARGET),
    (Kind::Func, ITER_TARGET),
    (Kind::Func, SLEEPABLE_TARGET),
    (Kind::Struct, "tcp_congestion_ops"),
    (Kind::Struct, "bpf_dummy_ops"),
    (Kind::Struct, "hid_bpf_ops"),
    (Kind::Struct, "sched_ext_ops"),
    (Kind::Struct, "Qdisc_ops"),
    (Kind::Func, LSM_CGROUP_TARGET),
    (Kind::Typedef, TP_BTF_TARGET),
];
/// An initcall: never called again, so a program for it could not even run.
pub const FENTRY_TARGET: &str = "bpf_init";
pub const LSM_TARGET: &str = "bpf_lsm_file_mprotect";
pub const LSM_SLEEPABLE_TARGET: &str = "bpf_lsm_bpf";
pub const LSM_CGROUP_TARGET: &str = "bpf_lsm_socket_bind";
/// A function that the kernel keeps for testing this attach type.
pub const FMOD_RET_TARGET: &str = "bpf_modify_return_test";
/// A system call: sleepable programs and changed return values are allowed there (`ALLOW_ERROR_INJECTION`).
#[cfg(target_arch = "x86_64")]
pub const SLEEPABLE_TARGET: &str = "__x64_sys_nanosleep";
#[cfg(target_arch = "aarch64")]
pub const SLEEPABLE_TARGET: &str = "__arm64_sys_nanosleep";
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub const SLEEPABLE_TARGET: &str = "sys_nanosleep";
pub const ITER_TARGET: &str = "bpf_iter_bpf_map";
/// Fires only in BPF_PROG_TEST_RUN.
pub const TP_BTF_TARGET: &str = "btf_trace_bpf_test_finish";
const HEADER_BYTES: usize = 24;
const CHUNK: usize = 64 << 10;
const MAGIC: u16 = 0xeb9f;
#[cfg(target_endian = "little")]
pub(crate) const NATIVE: elf::Endian = elf::Endian::Little;
#[cfg(target_endian = "big")]
pub(crate) const NATIVE: elf::Endian = elf::Endian::Big;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_types_are_absent_not_broken() {
        let none = KernelBtf::new(&Root::new("/nonexistent"));
        assert!(matches!(none.id(Kind::Func, LSM_TARGET), Err(Missing::Unreadable { absent: true, .. })));
    }

    #[test]
    fn junk_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("sys/kernel/btf")).unwrap();
        std::fs::write(dir.path().join("sys/kernel/btf/vmlinux"), b"junk that is long enough").unwrap();
        assert!(matches!(
            KernelBtf::new(&Root::new(dir.path())).id(Kind::Func, LSM_TARGET),
            Err(Missing::Broken { .. })
        ));
    }

    #[test]
    fn streaming_agrees_with_the_whole() {
        let here = KernelBtf::new(&Root::default());
        let Ok(bytes) = here.bytes() else {
            println!("skipped: this kernel has no BTF");
            return;
        };
        let whole = Btf::parse(&bytes).unwrap();
        for (kind, name) in WANTED {
            assert_eq!(here.id(*kind, name).unwrap(), whole.find(*kind, name), "{name}");
        }
    }
}
