//! The running kernel's types. In: `/sys/kernel/btf/vmlinux` and the modules beside it; out: numbers of named types, or the whole
//! for those who need it. Looking up a few names streams the file in small pieces, so a probe stays small; nothing is kept
//! but the numbers found.

use elf::Reader;
use elf::btf::Kind;
use host::Root;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Lazy access to the kernel's BTF.
#[derive(Debug)]
pub struct KernelBtf {
    dir: PathBuf,
    wanted: OnceCell<Result<HashMap<&'static str, u32>, Missing>>,
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
        KernelBtf { dir: root.at("/sys/kernel/btf"), wanted: OnceCell::new() }
    }

    /// The number of one of the [`WANTED`] names; `Ok(None)` when the kernel has no such type.
    pub fn id(&self, name: &str) -> Result<Option<u32>, &Missing> {
        let found = self.wanted.get_or_init(|| self.scan());
        found.as_ref().map(|ids| ids.get(name).copied())
    }

    /// All bytes of the kernel's own BTF.
    pub fn bytes(&self) -> Result<Vec<u8>, Missing> {
        std::fs::read(self.vmlinux()).map_err(|error| self.unreadable(&error))
    }

    /// Name and bytes of every loaded module that has BTF.
    pub fn modules(&self) -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let names = entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|name| name != "vmlinux");
        let mut all: Vec<_> = names.filter_map(|name| Some((name.clone(), std::fs::read(self.dir.join(name)).ok()?))).collect();
        all.sort();
        all
    }

    /// Size in bytes and whether the header is sound, without reading the types.
    pub fn header(&self) -> Result<u64, Missing> {
        let file = File::open(self.vmlinux()).map_err(|error| self.unreadable(&error))?;
        let parts = Parts::read(&file).ok_or_else(|| self.broken("the header is wrong"))?;
        Ok(parts.strings_at + parts.strings_len)
    }

    fn scan(&self) -> Result<HashMap<&'static str, u32>, Missing> {
        let file = File::open(self.vmlinux()).map_err(|error| self.unreadable(&error))?;
        let parts = Parts::read(&file).ok_or_else(|| self.broken("the header is wrong"))?;
        let names = find_names(&file, &parts).ok_or_else(|| self.broken("strings are cut short"))?;
        find_types(&file, &parts, &names).ok_or_else(|| self.broken("a type is cut short"))
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
        let mut head = [0u8; 24];
        file.read_exact_at(&mut head, 0).ok()?;
        let raw = Reader::new(&head, NATIVE);
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

/// String offset of each wanted name.
fn find_names(file: &File, parts: &Parts) -> Option<HashMap<u32, &'static str>> {
    let mut found = HashMap::new();
    let mut left: Vec<&'static (Kind, &'static str)> = WANTED.iter().collect();
    let mut offset = 0u32;
    each_chunk(file, parts.strings_at, parts.strings_len, |chunk, last| {
        let end = if last { chunk.len() } else { chunk.iter().rposition(|b| *b == 0)? + 1 };
        for text in chunk.get(..end)?.split_inclusive(|b| *b == 0) {
            let bare = text.strip_suffix(&[0]).unwrap_or(text);
            if bare.len() >= SHORTEST && (bare.starts_with(b"b") || bare.starts_with(b"_"))
                && let Some(at) = left.iter().position(|(_, name)| name.as_bytes() == bare)
            {
                found.insert(offset, left.swap_remove(at).1);
            }
            offset = offset.checked_add(u32::try_from(text.len()).ok()?)?;
        }
        Some(end)
    })?;
    Some(found)
}

/// Walks the types once and numbers those whose name and kind are wanted.
fn find_types(file: &File, parts: &Parts, names: &HashMap<u32, &'static str>) -> Option<HashMap<&'static str, u32>> {
    let mut found = HashMap::new();
    let mut id = 0u32;
    let mut offsets: Vec<u32> = names.keys().copied().collect();
    offsets.sort_unstable();
    each_chunk(file, parts.types_at, parts.types_len, |chunk, _| {
        let raw = Reader::new(chunk, NATIVE);
        let mut at = 0usize;
        while let (Some(name), Some(info)) = (raw.u32(at), raw.u32(at + 4)) {
            let kind = Kind::from_number(info >> 24 & 0x1f)?;
            let whole = 12 + kind.extra_bytes((info & 0xffff) as usize);
            if at + whole > chunk.len() {
                break;
            }
            id += 1;
            if matches!(kind, Kind::Func | Kind::Typedef | Kind::Struct) && offsets.binary_search(&name).is_ok() {
                let wanted = names.get(&name).filter(|text| WANTED.contains(&(kind, text)));
                wanted.map(|text| found.entry(*text).or_insert(id));
            }
            at += whole;
        }
        Some(at)
    })?;
    Some(found)
}

/// Reads a stretch of a file in chunks; `take` says how many bytes it used, the rest comes again with the next chunk.
fn each_chunk(file: &File, at: u64, len: u64, mut take: impl FnMut(&[u8], bool) -> Option<usize>) -> Option<()> {
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
pub const ITER_TARGET: &str = "bpf_iter_bpf_map";
/// Fires only in BPF_PROG_TEST_RUN.
pub const TP_BTF_TARGET: &str = "btf_trace_bpf_test_finish";
const SHORTEST: usize = 8;
const CHUNK: usize = 64 << 10;
const MAGIC: u16 = 0xeb9f;
#[cfg(target_endian = "little")]
const NATIVE: elf::Endian = elf::Endian::Little;
#[cfg(target_endian = "big")]
const NATIVE: elf::Endian = elf::Endian::Big;

#[cfg(test)]
mod tests {
    use super::*;
    use elf::btf::Btf;

    #[test]
    fn absent_types_are_absent_not_broken() {
        let none = KernelBtf::new(&Root::new("/nonexistent"));
        assert!(matches!(none.id(LSM_TARGET), Err(Missing::Unreadable { absent: true, .. })));
    }

    #[test]
    fn junk_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("sys/kernel/btf")).unwrap();
        std::fs::write(dir.path().join("sys/kernel/btf/vmlinux"), b"junk that is long enough").unwrap();
        assert!(matches!(KernelBtf::new(&Root::new(dir.path())).id(LSM_TARGET), Err(Missing::Broken { .. })));
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
            assert_eq!(here.id(name).unwrap(), whole.find(*kind, name), "{name}");
        }
    }
}
