//! What the tests of this crate share: the recorded captures (when the checkout has them beside it), a capture made of
//! one of everything, and reading a capture to its end. Nothing here asserts; tests do.

#![allow(dead_code, clippy::print_stdout)] // every test binary uses its part; tests print why they skip

use capture::{Compression, Error, Item, Reader, Writer};
use event::Kind;
use event::snapshot::{Fd, FdDetail, FdType, Group, Interface, L4, Machine, Proc, Snapshot, User};
use event::wire::{Event, encode};
use std::net::IpAddr;
use std::path::PathBuf;

/// Everything a reader yields: snapshots, owned events with their flag, and the error that ended it.
#[derive(Debug, Default)]
pub struct Contents {
    pub snapshots: Vec<Snapshot>,
    pub events: Vec<OwnedEvent>,
    pub errors: Vec<Error>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedEvent {
    pub cpu: u16,
    pub state_only: bool,
    pub raw: Vec<u8>,
}

/// The recorded captures; empty, with a printed reason, when they are absent.
pub fn corpus() -> Vec<PathBuf> {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/captures"));
    let Ok(entries) = std::fs::read_dir(&dir) else {
        println!("skipped: no recorded captures beside the checkout");
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.is_file()).collect();
    paths.sort();
    paths
}

pub fn read(bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    let mut reader = match Reader::open(bytes) {
        Ok(reader) => reader,
        Err(error) => {
            contents.errors.push(error);
            return contents;
        }
    };
    contents.snapshots.push(reader.snapshot().clone());
    loop {
        match reader.next() {
            Ok(Some(Item::Section(snapshot))) => contents.snapshots.push(snapshot.clone()),
            Ok(Some(Item::Event(record))) => contents.events.push(OwnedEvent {
                cpu: record.event.cpu,
                state_only: record.state_only,
                raw: record.event.raw().to_vec(),
            }),
            Ok(None) => return contents,
            Err(error) => contents.errors.push(error),
        }
    }
}

pub fn write(snapshot: &Snapshot, events: &[OwnedEvent], compression: Compression) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), compression, snapshot).unwrap();
    for owned in events {
        writer.event(&Event::decode(&owned.raw, owned.cpu).unwrap(), owned.state_only).unwrap();
    }
    assert_eq!(writer.clipped_texts(), 0);
    writer.finish().unwrap()
}

pub fn owned(cpu: u16, kind: Kind, params: &[&[u8]]) -> OwnedEvent {
    let mut raw = Vec::new();
    encode(&mut raw, 1_700_000_000_000_000_000 + u64::from(cpu), 42, kind, params);
    OwnedEvent { cpu, state_only: false, raw }
}

/// An event with a large payload, one for the state only, one without parameters, one as it comes.
pub fn some_events() -> Vec<OwnedEvent> {
    let fd = 3i64.to_le_bytes();
    let mut events = vec![
        owned(0, Kind::SYSCALL_CLOSE_X, &[&0i64.to_le_bytes(), &fd]),
        owned(1, Kind::SOCKET_GETSOCKNAME_X, &[]),
        owned(2, Kind::CONTAINER_JSON_2_E, &[&vec![b'x'; 100_000]]),
        owned(3, Kind::SYSCALL_OPEN_X, &[&fd, b"/etc/passwd\0", b"\x01\0\0\0", b"\0\0\0\0", b"\0\0\0\0", &[0; 8]]),
    ];
    events[3].state_only = true;
    events
}

/// One of everything a snapshot can hold.
pub fn full_snapshot() -> Snapshot {
    let (v4, v6): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), "fe80::1".parse().unwrap());
    Snapshot {
        machine: Machine {
            num_cpus: 8,
            memory_bytes: 1 << 34,
            max_pid: 1 << 22,
            hostname: "box".to_owned(),
            boot_ts: 1_690_000_000_000_000_000,
        },
        procs: vec![
            full_proc(full_fds(v4, v6)),
            Proc { tid: 2, pid: 2, comm: b"kthreadd".to_vec(), ..Proc::default() },
        ],
        users: vec![User {
            uid: 0,
            gid: 0,
            name: b"root".to_vec(),
            homedir: b"/root".to_vec(),
            shell: b"/bin/sh".to_vec(),
        }],
        groups: vec![Group { gid: 4, name: b"adm".to_vec() }],
        interfaces: vec![
            Interface { name: b"lo".to_vec(), addr: v4, netmask: v4, broadcast: v4, linkspeed: 1 },
            Interface { name: b"eth0".to_vec(), addr: v6, netmask: v6, broadcast: v6, linkspeed: 0 },
        ],
    }
}

fn full_proc(fds: Vec<Fd>) -> Proc {
    Proc {
        tid: 42,
        pid: 42,
        ptid: 1,
        sid: 42,
        vpgid: 7,
        pgid: 42,
        vtid: 7,
        vpid: 7,
        comm: b"bash".to_vec(),
        exe: b"-bash".to_vec(),
        exepath: b"/usr/bin/bash".to_vec(),
        args: b"-l\0".to_vec(),
        env: b"PATH=/bin\0HOME=/\0".to_vec(),
        cwd: b"/root/".to_vec(),
        root: b"/".to_vec(),
        cgroups: b"cpu=/\0memory=/a\0".to_vec(),
        fdlimit: 1024,
        flags: 0x10,
        uid: 1,
        gid: 2,
        loginuid: 1000,
        tty: 34817,
        vmsize_kb: 1,
        vmrss_kb: 2,
        vmswap_kb: 3,
        pfmajor: 4,
        pfminor: 5,
        cap_inheritable: 6,
        cap_permitted: 7,
        cap_effective: 8,
        exe_writable: true,
        exe_upper_layer: false,
        exe_lower_layer: true,
        exe_from_memfd: true,
        exe_ino: 9,
        exe_ino_ctime: 10,
        exe_ino_mtime: 11,
        pidns_init_start_ts: 12,
        clone_ts: 0,
        fds,
    }
}

fn full_fds(v4: IpAddr, v6: IpAddr) -> Vec<Fd> {
    let named = |ty| (ty, FdDetail::Named(b"name".to_vec()));
    let mut details = vec![
        (FdType::Ipv4Sock, FdDetail::Socket { sip: v4, sport: 1, dip: v4, dport: 2, l4: L4::Tcp }),
        (FdType::Ipv6Sock, FdDetail::Socket { sip: v6, sport: 3, dip: v6, dport: 4, l4: L4::Udp }),
        (FdType::Ipv4ServSock, FdDetail::Server { ip: v4, port: 5, l4: L4::Raw }),
        (FdType::Ipv6ServSock, FdDetail::Server { ip: v6, port: 6, l4: L4::Icmp }),
        (FdType::UnixSock, FdDetail::Unix { source: 1, destination: 2, path: b"/run/x".to_vec() }),
        (FdType::FileV2, FdDetail::File { open_flags: 1, name: b"/tmp/f".to_vec(), dev: 7 }),
    ];
    details.extend([FdType::File, FdType::Directory, FdType::Fifo, FdType::Event, FdType::Unsupported].map(named));
    details.extend([FdType::Signalfd, FdType::Eventpoll, FdType::Inotify, FdType::Timerfd, FdType::Netlink].map(named));
    details.extend([FdType::Bpf, FdType::Userfaultfd, FdType::IoUring, FdType::Memfd, FdType::Pidfd].map(named));
    (0i64..).zip(details).map(|(fd, (ty, detail))| Fd { fd, ino: fd.cast_unsigned() + 100, ty, detail }).collect()
}
