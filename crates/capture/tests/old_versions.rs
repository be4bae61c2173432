//! Tables of every older version of the format, built byte by byte from its description: what a version has is read,
//! what it lacks is unknown.

mod common;

use capture::Error;
use common::{full_snapshot, read, some_events, write};
use event::snapshot::{FdDetail, FdType, Proc, Snapshot};

const PROC_LISTS: [u32; 9] = [0x202, 0x207, 0x209, 0x210, 0x211, 0x212, 0x213, 0x214, 0x215];

/// A capture that has, besides its header and one event, `blocks` of a type and a body each.
fn with_blocks(blocks: &[(u32, &[u8])]) -> Vec<u8> {
    let mut out = write(&Snapshot::default(), &some_events()[..1], capture::Compression::Plain);
    let event = out.split_off(SECTION_BYTES + MACHINE_BYTES);
    for (ty, body) in blocks {
        let padded = body.len().next_multiple_of(4);
        let total = u32::try_from(padded + 12).unwrap().to_le_bytes();
        out.extend(ty.to_le_bytes());
        out.extend(total);
        out.extend(*body);
        out.resize(out.len() + padded - body.len(), 0);
        out.extend(total);
    }
    out.extend(event);
    out
}

const SECTION_BYTES: usize = 28;
const MACHINE_BYTES: usize = 192;

fn snapshot(ty: u32, body: &[u8]) -> Snapshot {
    let contents = read(&with_blocks(&[(ty, body)]));
    assert!(contents.errors.is_empty(), "{:?}", contents.errors);
    assert_eq!(contents.events.len(), 1);
    contents.snapshots.into_iter().next().unwrap()
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    out.extend(text);
}

fn numbers<const N: usize>(out: &mut Vec<u8>, numbers: &[[u8; N]]) {
    numbers.iter().for_each(|n| out.extend(n));
}

/// The fields that `version` has, in the order of the format.
fn entry(version: u8, proc: &Proc) -> Vec<u8> {
    let mut out = Vec::new();
    numbers(&mut out, &[proc.tid, proc.pid, proc.ptid].map(i64::to_le_bytes));
    if version >= 6 {
        out.extend(proc.sid.to_le_bytes());
    }
    if version >= 8 {
        out.extend(proc.vpgid.to_le_bytes());
    }
    text(&mut out, &proc.comm);
    text(&mut out, &proc.exe);
    if version >= 7 {
        text(&mut out, &proc.exepath);
    }
    text(&mut out, &proc.args);
    text(&mut out, &proc.cwd);
    out.extend(proc.fdlimit.to_le_bytes());
    numbers(&mut out, &[proc.flags, proc.uid, proc.gid].map(u32::to_le_bytes));
    if version >= 2 {
        numbers(&mut out, &[proc.vmsize_kb, proc.vmrss_kb, proc.vmswap_kb].map(u32::to_le_bytes));
        numbers(&mut out, &[proc.pfmajor, proc.pfminor].map(u64::to_le_bytes));
    }
    if version >= 3 {
        text(&mut out, &proc.env);
    }
    if version >= 4 {
        numbers(&mut out, &[proc.vtid, proc.vpid].map(i64::to_le_bytes));
        text(&mut out, &proc.cgroups);
    }
    if version >= 5 {
        text(&mut out, &proc.root);
    }
    out
}

/// The process as `version` knows it.
fn known_to(version: u8, full: &Proc) -> Proc {
    let mut proc = full.clone();
    let unknown = Proc::default();
    if version < 8 {
        proc.vpgid = unknown.vpgid;
    }
    if version < 7 {
        proc.exepath.clear();
    }
    if version < 6 {
        proc.sid = unknown.sid;
    }
    if version < 5 {
        proc.root.clear();
    }
    if version < 4 {
        (proc.vtid, proc.vpid, proc.cgroups) = (unknown.vtid, unknown.vpid, Vec::new());
    }
    if version < 3 {
        proc.env.clear();
    }
    if version < 2 {
        (proc.vmsize_kb, proc.vmrss_kb, proc.vmswap_kb, proc.pfmajor, proc.pfminor) = (0, 0, 0, 0, 0);
    }
    proc
}

/// What no version before 9 has.
fn without_tail(full: &Proc) -> Proc {
    let unknown = Proc::default();
    Proc {
        pgid: unknown.pgid,
        loginuid: unknown.loginuid,
        tty: 0,
        pidns_init_start_ts: 0,
        exe_writable: false,
        exe_lower_layer: false,
        exe_from_memfd: false,
        cap_inheritable: 0,
        cap_permitted: 0,
        cap_effective: 0,
        exe_ino: 0,
        exe_ino_ctime: 0,
        exe_ino_mtime: 0,
        fds: Vec::new(),
        ..full.clone()
    }
}

#[test]
fn process_lists() {
    let full = without_tail(&full_snapshot().procs[0]);
    for (version, ty) in (1u8..=8).zip(PROC_LISTS) {
        let two = entry(version, &full).repeat(2);
        let expected = known_to(version, &full);
        assert_eq!(snapshot(ty, &two).procs, [expected.clone(), expected], "version {version}");
    }
}

#[test]
fn block_types_from_before_the_format_had_its_own() {
    let full = without_tail(&full_snapshot().procs[0]);
    for (version, ty) in [(1, 0x8000_abcd), (2, 0x8013_abcd), (3, 0x8014_abcd)] {
        assert_eq!(snapshot(ty, &entry(version, &full)).procs, [known_to(version, &full)], "version {version}");
    }
}

/// The first version 9 lists had 29 bytes behind the root directory and neither start time nor terminal.
#[test]
fn the_first_tail_of_version_9() {
    let full = without_tail(&full_snapshot().procs[0]);
    let mut body = entry(9, &full);
    body.extend(1000u32.to_le_bytes());
    body.push(1);
    numbers(&mut body, &[6u64, 7, 8].map(u64::to_le_bytes));
    let mut sized = u32::try_from(body.len() + 4).unwrap().to_le_bytes().to_vec();
    sized.extend(&body);
    let expected = Proc {
        loginuid: 1000,
        exe_writable: true,
        cap_inheritable: 6,
        cap_permitted: 7,
        cap_effective: 8,
        ..full.clone()
    };
    assert_eq!(snapshot(0x215, &sized).procs, [expected]);
}

#[test]
fn bytes_that_a_later_version_adds_to_an_entry_are_skipped() {
    let full = without_tail(&full_snapshot().procs[0]);
    let mut body = entry(9, &full);
    body.resize(body.len() + 76 + 13, 1);
    let mut sized = u32::try_from(body.len() + 4).unwrap().to_le_bytes().to_vec();
    sized.extend(&body);
    assert_eq!(snapshot(0x215, &sized.repeat(2)).procs.len(), 2);
}

#[test]
fn options_of_the_section_header_are_skipped() {
    let good = write(&full_snapshot(), &some_events(), capture::Compression::Plain);
    let (header, rest) = good.split_at(SECTION_BYTES);
    let total = u32::try_from(SECTION_BYTES + 8).unwrap().to_le_bytes();
    let mut bytes = [&header[..4], &total, &header[8..24], &[4, 0, 3, 0, b'e', b't', b'c', 0], &total].concat();
    bytes.extend(rest);
    assert_eq!(read(&bytes).snapshots, [full_snapshot()]);
}

#[test]
fn open_files_without_lengths() {
    let full = without_tail(&full_snapshot().procs[0]);
    let mut body = full.tid.to_le_bytes().to_vec();
    numbers(&mut body, &[0u64, 77].map(u64::to_le_bytes)); // fd 0, inode 77
    body.push(FdType::Ipv4ServSock as u8);
    body.extend([127, 0, 0, 1, 80, 0, 2]);
    numbers(&mut body, &[1u64, 78].map(u64::to_le_bytes));
    body.push(FdType::FileV2 as u8);
    body.extend(3u32.to_le_bytes());
    text(&mut body, b"/tmp/x");
    let contents = read(&with_blocks(&[(0x203, &body), (0x211, &entry(5, &full))]));
    assert!(contents.errors.is_empty(), "{:?}", contents.errors);
    let fds = &contents.snapshots[0].procs[0].fds;
    assert_eq!(fds.len(), 2);
    assert!(matches!(&fds[0].detail, FdDetail::Server { port: 80, .. }), "{:?}", fds[0]);
    assert_eq!(fds[1].detail, FdDetail::File { open_flags: 3, name: b"/tmp/x".to_vec(), dev: 0 });
}

#[test]
fn interfaces_and_users_without_lengths() {
    let mut body = vec![3, 0, 2, 0]; // IPv4 without link speed, a name of two bytes
    body.extend([10, 0, 0, 1, 255, 0, 0, 0, 10, 255, 255, 255]);
    body.extend(b"lo");
    let interfaces = snapshot(0x205, &body).interfaces;
    assert_eq!((interfaces[0].name.as_slice(), interfaces[0].linkspeed), (&b"lo"[..], 0));
    let mut body = vec![0];
    numbers(&mut body, &[1u32, 2].map(u32::to_le_bytes));
    [&b"daemon"[..], b"/", b"/bin/sh"].iter().for_each(|t| text(&mut body, t));
    body.push(1);
    body.extend(5u32.to_le_bytes());
    text(&mut body, b"tty");
    let accounts = snapshot(0x206, &body);
    assert_eq!((accounts.users.len(), accounts.groups.len()), (1, 1));
    assert_eq!((accounts.users[0].shell.as_slice(), accounts.groups[0].gid), (&b"/bin/sh"[..], 5));
}

#[test]
fn a_kind_of_file_that_is_unknown_is_skipped_only_where_lengths_allow_it() {
    let full = without_tail(&full_snapshot().procs[0]);
    let mut body = full.tid.to_le_bytes().to_vec();
    let mut fd = vec![0u8; 16];
    fd.extend([99, 1, 2, 3]);
    body.extend(u32::try_from(fd.len() + 4).unwrap().to_le_bytes());
    body.extend(&fd);
    assert!(read(&with_blocks(&[(0x218, &body)])).errors.is_empty());
    let mut body = full.tid.to_le_bytes().to_vec();
    body.extend([0; 17]);
    assert!(matches!(&read(&with_blocks(&[(0x203, &body)])).errors[..], [Error::Damaged { .. }]));
}
