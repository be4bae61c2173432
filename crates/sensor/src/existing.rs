//! What was there before the first event, from the iterators of bpf/existing.h. Records come in, processes and open files
//! go out, ids as the host's namespace numbers them. Bytes are the kernel's, yet nothing here trusts their lengths.

use crate::Error;
use crate::hooks::{TASK_FILES, TASKS};
use crate::stats::Iterated;
use event::snapshot::{OpenFile, Proc};
use event::{Event, Kind};
use load::{Iter, Object};
use std::io::Read;

/// Tasks, leaders and other threads alike, and the open files of processes. Sockets are not told apart yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Existing {
    pub tasks: Vec<Proc>,
    pub files: Vec<OpenFile>,
    pub counts: Iterated,
}

impl Existing {
    pub(crate) fn read(object: &Object, boot_ns: u64) -> Result<Existing, Error> {
        let mut existing = Existing::default();
        let tasks = pass(object, TASKS)?;
        let damaged_tasks = each(&tasks, |record| task_of(record, boot_ns).map(|task| existing.tasks.push(task)));
        let files = pass(object, TASK_FILES)?;
        let damaged_files = each(&files, |record| file_of(record).map(|file| existing.files.push(file)));
        let (tasks, files) = (existing.tasks.len() as u64, existing.files.len() as u64);
        existing.counts = Iterated { tasks, files, damaged_tasks, damaged_files };
        Ok(existing)
    }
}

/// The task that a record from a ring tells of.
pub(crate) fn task(bytes: &[u8], boot_ns: u64) -> Option<Proc> {
    let record = Event::decode_record(bytes, 0).ok()?;
    task_of(&record, boot_ns)
}

/// Everything that one pass of an iterator writes.
fn pass(object: &Object, program: &'static str) -> Result<Vec<u8>, Error> {
    let link = object.attach(program)?;
    let mut bytes = Vec::with_capacity(TYPICAL_BYTES);
    let cause = |source: std::io::Error| Error::Iterators(format!("read iterator `{program}`: {source}"));
    Iter::start(&link)?.read_to_end(&mut bytes).map_err(cause)?;
    Ok(bytes)
}

/// Takes the records one after the other; the count is of those that were not taken.
fn each(mut bytes: &[u8], mut take: impl FnMut(&Event<'_>) -> Option<()>) -> u64 {
    let mut damaged = 0;
    while !bytes.is_empty() {
        let Ok(record) = Event::decode_record(bytes, 0) else { return damaged + 1 };
        damaged += u64::from(take(&record).is_none());
        bytes = bytes.get(record.raw().len()..).unwrap_or_default();
    }
    damaged
}

/// Numbers of parameters: those of [`Kind::SYSCALL_EXECVE_19_X`] from tid to cgroups without the command line, then
/// those from tty to gid, then what only these records have (bpf/existing.h).
fn task_of(record: &Event<'_>, boot_ns: u64) -> Option<Proc> {
    if record.kind != TASK_RECORD {
        return None;
    }
    let numbers = words::<7>(record.param(26)?)?;
    let signed = |at: usize| numbers[at].cast_signed();
    let whole = |at: usize| record.u64(at).unwrap_or(0);
    let narrow = |at: usize| u32::try_from(whole(at)).unwrap_or(u32::MAX);
    let text = |at: usize| record.text(at).unwrap_or_default().to_vec();
    let (tid, pid) = (record.i64(0)?, record.i64(1)?);
    let mut task = Proc {
        tid,
        pid,
        ptid: signed(0),
        vtid: signed(1),
        vpid: signed(2),
        sid: signed(3),
        vpgid: record.i64(13)?,
        pgid: record.i64(24)?,
        fdlimit: record.i64(4)?,
        pfmajor: whole(5),
        pfminor: whole(6),
        vmsize_kb: narrow(7),
        vmrss_kb: narrow(8),
        vmswap_kb: narrow(9),
        comm: text(10),
        cgroups: record.param(11)?.to_vec(),
        tty: narrow(12),
        loginuid: narrow(14),
        cap_inheritable: whole(16),
        cap_permitted: whole(17),
        cap_effective: whole(18),
        exe_ino: whole(19),
        exe_ino_ctime: whole(20),
        exe_ino_mtime: whole(21),
        uid: narrow(22),
        exepath: text(23),
        gid: narrow(25),
        root: text(28),
        flags: if tid == pid { 0 } else { CLONE_THREAD | CLONE_FILES },
        pidns_init_start_ts: if numbers[6] == 0 { boot_ns } else { boot_ns.saturating_add(numbers[4]) },
        clone_ts: boot_ns.saturating_add(numbers[5]),
        ..Proc::default()
    };
    set_exe_flags(&mut task, narrow(15));
    task.set_cwd(text(27));
    task.set_command_line(record.param(29)?);
    task.set_env(record.param(30)?.to_vec());
    Some(task)
}

/// Bits of bpf/process.h, which are those of the flag table `execve_flags`.
fn set_exe_flags(task: &mut Proc, flags: u32) {
    task.exe_writable = flags & 1 != 0;
    task.exe_upper_layer = flags & 2 != 0;
    task.exe_from_memfd = flags & 4 != 0;
    task.exe_lower_layer = flags & 8 != 0;
}

fn file_of(record: &Event<'_>) -> Option<OpenFile> {
    if record.kind != FILE_RECORD {
        return None;
    }
    let numbers = words::<5>(record.param(0)?)?;
    let halves = |word: u64| (word as u32, (word >> 32) as u32);
    let ((mode, open_flags), (dev, net_namespace)) = (halves(numbers[3]), halves(numbers[4]));
    Some(OpenFile {
        pid: numbers[0].cast_signed(),
        fd: numbers[1].cast_signed(),
        ino: numbers[2],
        mode,
        dev,
        open_flags,
        net_namespace: net_namespace.into(),
        target: record.text(1)?.to_vec(),
    })
}

fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let mut words = [0; N];
    for (word, raw) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(raw.try_into().ok()?);
    }
    (bytes.len() == N * 8).then_some(words)
}

/// As in bpf/existing.h: above every kind of event.
const TASK_RECORD: Kind = Kind(0xff00);
const FILE_RECORD: Kind = Kind(0xff01);
/// `clone_flags` of the flag tables.
const CLONE_FILES: u32 = 1;
const CLONE_THREAD: u32 = 8192;
/// A few hundred tasks.
const TYPICAL_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: Kind, params: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        event::wire::encode(&mut bytes, 1, 7, kind, params);
        bytes
    }

    #[test]
    fn what_is_no_record_is_counted_and_the_rest_taken() {
        let numbers: Vec<u8> = [7u64, 3, 99, u64::MAX, 5 | 1 << 32].iter().flat_map(|n| n.to_le_bytes()).collect();
        let file = record(FILE_RECORD, &[&numbers, b"/etc/passwd\0"]);
        let strange = record(FILE_RECORD, &[b"short", b"x\0"]);
        let mut found = Vec::new();
        let mut take = |bytes: &[u8]| each(bytes, |r| file_of(r).map(|f| found.push(f.target)));
        assert_eq!(take(&[file.clone(), strange, file.clone()].concat()), 1);
        assert_eq!(take(&[&file[..], &file[..20]].concat()), 1, "cut short");
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|name| name == b"/etc/passwd"));
    }

    #[test]
    fn a_task_needs_its_numbers() {
        assert!(task(b"", 0).is_none());
        assert!(task(&record(TASK_RECORD, &[b"", b""]), 0).is_none());
        let far: Vec<u8> = [u64::MAX; 7].iter().flat_map(|n| n.to_le_bytes()).collect();
        let mut params: Vec<&[u8]> = vec![&[1; 8]; 31];
        params[26] = &far;
        let found = task(&record(TASK_RECORD, &params), u64::MAX).expect("every parameter is there");
        assert_eq!((found.clone_ts, found.ptid), (u64::MAX, -1));
    }
}
