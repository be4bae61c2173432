//! Event sequences and the descriptors they must lead to: names, kinds, sharing, sockets with their roles, loss.

mod events;

use engine::Options;
use engine::state::{FdEntry, FdFlags, Socket};
use event::snapshot::{Fd, FdDetail, FdType, L4};
use event::{Kind, wire};
use events::*;
use std::net::IpAddr;

const LOCAL: [u8; 4] = [172, 40, 111, 222];
const REMOTE: [u8; 4] = [142, 251, 111, 147];

fn stage() -> Stage {
    Stage::new(vec![process(10, 10, 1)])
}

fn entry(stage: &Stage, fd: i64) -> &FdEntry {
    stage.state().fd(stage.thread(10), fd).unwrap_or_else(|| panic!("descriptor {fd}"))
}

fn socket(stage: &mut Stage, fd: i64, domain: u32, kind: u32, protocol: u32) {
    let params = [P::I(fd), P::U32(domain), P::U32(kind), P::U32(protocol), P::U32(0)];
    stage.feed(10, Kind::SOCKET_SOCKET_X, &params);
}

fn bind(stage: &mut Stage, fd: i64, address: &[u8]) {
    stage.feed(10, Kind::SOCKET_BIND_X, &[P::I(0), P::B(address), P::I(fd)]);
}

fn connect(stage: &mut Stage, result: i64, fd: i64, tuple: &[u8], address: &[u8]) -> bool {
    let params = [P::I(result), P::B(tuple), P::I(fd), P::B(address)];
    stage.see(10, Kind::SOCKET_CONNECT_X, &params, |c| c.fd_name_changed)
}

fn ip(bytes: [u8; 4]) -> IpAddr {
    IpAddr::from(bytes)
}

#[test]
fn names_are_relative_to_directory_or_descriptor() {
    let mut stage = stage();
    stage.openat(10, 3, AT_FDCWD, "tmp/../a//b", 1);
    assert_eq!((&*entry(&stage, 3).name, &*entry(&stage, 3).name_raw), (&b"/root/a/b"[..], &b"tmp/../a/b"[..]));
    assert_eq!((entry(&stage, 3).ty, entry(&stage, 3).dev, entry(&stage, 3).ino), (FdType::FileV2, 3, 99));
    stage.openat(10, 4, AT_FDCWD, "/tmp/dir", 1 | O_DIRECTORY);
    assert_eq!(entry(&stage, 4).ty, FdType::Directory);
    stage.openat(10, 5, 4, "../x", 1);
    assert_eq!(stage.fd_name(10, 5).as_deref(), Some("/tmp/x"));
    stage.openat(10, 6, 77, "foo", 1);
    assert_eq!(stage.fd_name(10, 6).as_deref(), Some("<UNKNOWN>foo"));
}

#[test]
fn what_was_read_at_entry_wins_but_not_the_kernels_findings() {
    let mut stage = stage();
    stage.feed(10, Kind::SYSCALL_OPENAT_2_E, &[P::I(AT_FDCWD), P::T("/etc/shadow"), P::U32(2), P::U32(0)]);
    let flags = 1 | 1 << 14 | 1 << 15;
    stage.openat(10, 3, AT_FDCWD, "/tmp/harmless", flags);
    assert_eq!(stage.fd_name(10, 3).as_deref(), Some("/etc/shadow"));
    assert_eq!(entry(&stage, 3).open_flags, 2 | 1 << 14 | 1 << 15);
    assert!(entry(&stage, 3).flags.has(FdFlags::OVERLAY_UPPER));
    stage.openat(10, 4, AT_FDCWD, "/tmp/next", 1);
    assert_eq!(stage.fd_name(10, 4).as_deref(), Some("/tmp/next"), "an enter event serves one exit");
}

#[test]
fn another_event_between_invalidates_the_enter_event() {
    let mut stage = stage();
    stage.feed(10, Kind::SYSCALL_OPENAT_2_E, &[P::I(AT_FDCWD), P::T("/etc/shadow"), P::U32(2), P::U32(0)]);
    stage.feed(10, Kind::SYSCALL_GETUID_X, &[P::U32(0)]);
    stage.openat(10, 3, AT_FDCWD, "/tmp/x", 1);
    assert_eq!(stage.fd_name(10, 3).as_deref(), Some("/tmp/x"));
}

#[test]
fn creat_and_open_by_handle_have_their_own_layout() {
    let mut stage = stage();
    let creat = [P::I(3), P::T("new"), P::U32(0o644), P::U32(5), P::U64(6), P::U16(1)];
    stage.feed(10, Kind::SYSCALL_CREAT_X, &creat);
    assert_eq!((&*entry(&stage, 3).name, entry(&stage, 3).dev, entry(&stage, 3).ino), (&b"/root/new"[..], 5, 6));
    assert!(entry(&stage, 3).flags.has(FdFlags::OVERLAY_UPPER));
    let handle = [P::I(4), P::I(9), P::U32(1), P::T("/mnt/file"), P::U32(7), P::U64(8)];
    stage.feed(10, Kind::SYSCALL_OPEN_BY_HANDLE_AT_X, &handle);
    assert_eq!(stage.fd_name(10, 4).as_deref(), Some("/mnt/file"));
}

#[test]
fn a_closed_descriptor_is_visible_for_its_own_event() {
    let mut stage = stage();
    stage.openat(10, 3, AT_FDCWD, "a", 1);
    let seen = stage.see(10, Kind::SYSCALL_CLOSE_X, &[P::I(0), P::I(3)], |c| (c.fd.is_some(), c.fd_num));
    assert_eq!(seen, (true, Some(3)));
    stage.tick();
    assert!(stage.fd_name(10, 3).is_none());
    assert_eq!(stage.state().fd_count(), 0);
}

#[test]
fn a_failed_open_is_about_no_descriptor() {
    let mut stage = stage();
    let params = [P::I(-2), P::I(AT_FDCWD), P::T("/none"), P::U32(1), P::U32(0), P::None, P::None];
    let seen = stage.see(10, Kind::SYSCALL_OPENAT_2_X, &params, |c| (c.fd_num, c.fd.is_some(), c.errno));
    assert_eq!(seen, (Some(-1), false, 2));
}

#[test]
fn duplicates_follow_close_on_exec() {
    let mut stage = stage();
    stage.openat(10, 3, AT_FDCWD, "a", 1 | O_CLOEXEC);
    stage.feed(10, Kind::SYSCALL_DUP_1_X, &[P::I(4), P::I(3)]);
    stage.feed(10, Kind::SYSCALL_DUP3_X, &[P::I(5), P::I(3), P::I(5), P::U32(O_CLOEXEC)]);
    stage.feed(10, Kind::SYSCALL_FCNTL_X, &[P::I(6), P::I(3), P::U8(1), P::U64(0)]);
    stage.feed(10, Kind::SYSCALL_FCNTL_X, &[P::I(7), P::I(3), P::U8(26), P::U64(0)]);
    stage.feed(10, Kind::SYSCALL_FCNTL_X, &[P::I(0), P::I(6), P::U8(3), P::U64(1)]);
    let closes: Vec<bool> = (3..=7).map(|fd| entry(&stage, fd).closes_on_exec()).collect();
    assert_eq!(closes, [true, false, true, true, true]);
    stage.execve(10, 10, 1, "/bin/x");
    assert_eq!(stage.fd_name(10, 4).as_deref(), Some("/root/a"));
    assert!(stage.fd_name(10, 5).is_none());
}

#[test]
fn an_unknown_original_leaves_the_target_alone() {
    let mut stage = stage();
    stage.openat(10, 1, AT_FDCWD, "/dev/null", 1);
    let seen = stage.see(10, Kind::SYSCALL_DUP2_X, &[P::I(1), P::I(4), P::I(1)], |c| (c.fd_num, c.fd.is_some()));
    assert_eq!(seen, (Some(4), false));
    assert_eq!(stage.fd_name(10, 1).as_deref(), Some("/dev/null"));
}

#[test]
fn ranges_close_or_are_marked() {
    let mut stage = stage();
    for fd in 3..8 {
        stage.openat(10, fd, AT_FDCWD, "a", 1);
    }
    stage.feed(10, Kind::SYSCALL_CLOSE_RANGE_X, &[P::I(0), P::U32(3), P::U32(4), P::U32(0)]);
    stage.feed(10, Kind::SYSCALL_CLOSE_RANGE_X, &[P::I(0), P::U32(7), P::U32(u32::MAX), P::U32(4)]);
    let open: Vec<i64> = stage.state().fds_of(stage.thread(10)).expect("a table").iter().map(|(fd, _)| fd).collect();
    assert_eq!(open, [5, 6, 7]);
    assert!(entry(&stage, 7).closes_on_exec());
}

#[test]
fn special_descriptors_have_their_type() {
    let mut stage = stage();
    stage.feed(10, Kind::SYSCALL_PIPE2_X, &[P::I(0), P::I(3), P::I(4), P::U64(55), P::U32(0)]);
    stage.feed(10, Kind::SYSCALL_EVENTFD2_X, &[P::I(5), P::U16(0), P::U64(0)]);
    stage.feed(10, Kind::SYSCALL_SIGNALFD4_X, &[P::I(6), P::U16(0), P::I(-1), P::U32(0)]);
    stage.feed(10, Kind::SYSCALL_TIMERFD_CREATE_X, &[P::I(7), P::U8(0), P::U8(0)]);
    stage.feed(10, Kind::SYSCALL_INOTIFY_INIT1_X, &[P::I(8), P::U16(0)]);
    stage.feed(10, Kind::SYSCALL_BPF_2_X, &[P::I(9), P::U32(5)]);
    stage.feed(10, Kind::SYSCALL_BPF_2_X, &[P::I(0), P::U32(1)]);
    stage.feed(10, Kind::SYSCALL_USERFAULTFD_X, &[P::I(10), P::U32(0)]);
    stage.feed(10, Kind::SYSCALL_EPOLL_CREATE1_X, &[P::I(11), P::U32(1)]);
    stage.feed(10, Kind::SYSCALL_MEMFD_CREATE_X, &[P::I(12), P::T("mem"), P::U32(1)]);
    stage.feed(10, Kind::SYSCALL_PIDFD_OPEN_X, &[P::I(13), P::I(10), P::U32(0)]);
    stage.feed(10, Kind::SYSCALL_PIDFD_GETFD_X, &[P::I(14), P::I(13), P::I(12), P::U32(0)]);
    let types: Vec<FdType> = (3..15).map(|fd| entry(&stage, fd).ty).collect();
    use FdType::*;
    assert_eq!(
        types,
        [Fifo, Fifo, Event, Signalfd, Timerfd, Inotify, Bpf, Userfaultfd, Eventpoll, Memfd, Pidfd, Memfd]
    );
    assert_eq!((entry(&stage, 4).ino, stage.fd_name(10, 13).as_deref()), (55, Some("/proc/10")));
    assert!(stage.fd_name(10, 0).is_none(), "a bpf call that returns no descriptor makes none");
}

#[test]
fn a_client_connection() {
    let mut stage = stage();
    socket(&mut stage, 3, 2, 1, 0);
    assert_eq!((entry(&stage, 3).ty, entry(&stage, 3).l4()), (FdType::Ipv4Sock, L4::Na));
    let tuple = v4_tuple((LOCAL, 54321), (REMOTE, 443));
    assert!(!connect(&mut stage, -111, 3, &tuple, &v4(REMOTE, 443)), "refused");
    assert_eq!(stage.fd_name(10, 3).as_deref(), Some(""));
    assert!(connect(&mut stage, 0, 3, &tuple, &v4(REMOTE, 443)));
    let found = entry(&stage, 3);
    assert_eq!(&*found.name, b"172.40.111.222:54321->142.251.111.147:443");
    assert_eq!((found.l4(), found.flags.has(FdFlags::ROLE_CLIENT)), (L4::Tcp, true));
    assert!(found.flags.has(FdFlags::SOCKET_CONNECTED));
}

#[test]
fn the_address_given_at_entry_wins() {
    let mut stage = stage();
    socket(&mut stage, 3, 2, 1, 0);
    stage.feed(10, Kind::SOCKET_CONNECT_E, &[P::I(3), P::B(&v4([6, 6, 6, 6], 666))]);
    connect(&mut stage, 0, 3, &v4_tuple((LOCAL, 1), (REMOTE, 443)), &v4(REMOTE, 443));
    assert_eq!(stage.fd_name(10, 3).as_deref(), Some("172.40.111.222:1->6.6.6.6:666"));
}

#[test]
fn a_pending_connection_ends_well_or_badly() {
    let mut stage = stage();
    socket(&mut stage, 3, 2, 1, 0);
    connect(&mut stage, -115, 3, &v4_tuple((LOCAL, 1), (REMOTE, 443)), &v4(REMOTE, 443));
    assert!(entry(&stage, 3).flags.has(FdFlags::CONNECTION_PENDING));
    let errno = [&[1u8][..], &111i64.to_le_bytes()].concat();
    let params = [P::I(0), P::I(3), P::U8(1), P::U8(4), P::B(&errno), P::U32(4)];
    stage.feed(10, Kind::SOCKET_GETSOCKOPT_X, &params);
    assert!(!entry(&stage, 3).flags.has(FdFlags::SOCKET_CONNECTED));
    assert!(entry(&stage, 3).flags.has(FdFlags::CONNECTION_FAILED));
}

#[test]
fn a_server_and_who_it_accepts() {
    let mut stage = stage();
    socket(&mut stage, 3, 2, 1, 6);
    bind(&mut stage, 3, &v4(LOCAL, 0));
    assert_eq!((entry(&stage, 3).ty, stage.fd_name(10, 3).as_deref()), (FdType::Ipv4Sock, Some("172.40.111.222:0")));
    bind(&mut stage, 3, &v4(LOCAL, 80));
    assert_eq!(entry(&stage, 3).socket, Socket::Server { ip: ip(LOCAL), port: 80, l4: L4::Tcp });
    let tuple = v4_tuple((REMOTE, 5000), (LOCAL, 80));
    let accept = [P::I(4), P::B(&tuple), P::U8(0), P::U32(0), P::U32(5), P::U32(0)];
    let seen = stage.see(10, Kind::SOCKET_ACCEPT4_6_X, &accept, |c| c.fd_num);
    assert_eq!(seen, Some(4));
    assert_eq!(stage.fd_name(10, 4).as_deref(), Some("142.251.111.147:5000->172.40.111.222:80"));
    assert!(entry(&stage, 4).flags.has(FdFlags::ROLE_SERVER));
}

#[test]
fn v4_inside_v6_becomes_v4() {
    let mut stage = stage();
    socket(&mut stage, 3, 10, 1, 0);
    let mapped = |ip: [u8; 4]| std::net::Ipv4Addr::from(ip).to_ipv6_mapped().octets();
    let tuple = [&[10][..], &mapped(LOCAL), &1u16.to_le_bytes(), &mapped(REMOTE), &2u16.to_le_bytes()].concat();
    connect(&mut stage, 0, 3, &tuple, b"");
    assert_eq!(
        (entry(&stage, 3).ty, stage.fd_name(10, 3).as_deref()),
        (FdType::Ipv4Sock, Some("172.40.111.222:1->142.251.111.147:2"))
    );
}

fn send(stage: &mut Stage, fd: i64, tuple: &[u8]) {
    stage.feed(10, Kind::SOCKET_SENDTO_X, &[P::I(5), P::B(b"hello"), P::I(fd), P::U32(5), P::B(tuple)]);
}

fn receive(stage: &mut Stage, fd: i64, tuple: &[u8]) -> bool {
    let params = [P::I(5), P::B(b"hello"), P::B(tuple), P::I(fd), P::U32(5)];
    stage.see(10, Kind::SOCKET_RECVFROM_X, &params, |c| c.fd_name_changed)
}

#[test]
fn who_sends_a_datagram_first_is_the_client() {
    let mut stage = stage();
    socket(&mut stage, 3, 2, 2, 0);
    send(&mut stage, 3, &v4_tuple((LOCAL, 5353), (REMOTE, 53)));
    assert_eq!(stage.fd_name(10, 3).as_deref(), Some("172.40.111.222:5353->142.251.111.147:53"));
    assert!(entry(&stage, 3).flags.has(FdFlags::ROLE_CLIENT));
    assert!(!receive(&mut stage, 3, &v4_tuple((REMOTE, 53), (LOCAL, 5353))), "the answer renames nothing");
    assert_eq!(entry(&stage, 3).l4(), L4::Udp);
}

#[test]
fn who_is_bound_to_the_port_is_the_server() {
    let mut stage = stage();
    socket(&mut stage, 3, 2, 2, 0);
    bind(&mut stage, 3, &v4(LOCAL, 53));
    assert!(receive(&mut stage, 3, &v4_tuple((REMOTE, 9), (LOCAL, 53))));
    assert_eq!(stage.fd_name(10, 3).as_deref(), Some("142.251.111.147:9->172.40.111.222:53"));
    send(&mut stage, 3, &v4_tuple((LOCAL, 53), (REMOTE, 9)));
    assert_eq!(stage.fd_name(10, 3).as_deref(), Some("142.251.111.147:9->172.40.111.222:53"));
}

#[test]
fn sending_over_an_unknown_descriptor_means_udp() {
    let mut stage = stage();
    send(&mut stage, 9, &v4_tuple((LOCAL, 1), (REMOTE, 2)));
    assert_eq!((entry(&stage, 9).ty, entry(&stage, 9).l4()), (FdType::Ipv4Sock, L4::Udp));
}

#[test]
fn tcp_keeps_its_name() {
    let mut stage = stage();
    socket(&mut stage, 3, 2, 1, 6);
    connect(&mut stage, 0, 3, &v4_tuple((LOCAL, 1), (REMOTE, 2)), b"");
    send(&mut stage, 3, &v4_tuple((LOCAL, 7), (REMOTE, 8)));
    assert_eq!(stage.fd_name(10, 3).as_deref(), Some("172.40.111.222:1->142.251.111.147:2"));
}

#[test]
fn unix_sockets_are_named_by_their_ends() {
    let mut stage = stage();
    socket(&mut stage, 3, 1, 1, 0);
    let tuple = [&[1][..], &0xau64.to_le_bytes(), &0xbu64.to_le_bytes(), b"/run/s\0"].concat();
    connect(&mut stage, 0, 3, &tuple, b"\x01/run/s\0");
    assert_eq!((entry(&stage, 3).ty, stage.fd_name(10, 3).as_deref()), (FdType::UnixSock, Some("a->b /run/s")));
    let pair = [P::I(0), P::I(4), P::I(5), P::U64(1), P::U64(2), P::U32(1), P::U32(1), P::U32(0)];
    stage.feed(10, Kind::SOCKET_SOCKETPAIR_X, &pair);
    assert_eq!(entry(&stage, 5).socket, Socket::Unix { source: 1, destination: 2 });
}

#[test]
fn connections_from_before_are_oriented_by_bound_ports() {
    let server = Fd {
        fd: 3,
        ino: 1,
        ty: FdType::Ipv4ServSock,
        detail: FdDetail::Server { ip: ip([0; 4]), port: 80, l4: L4::Tcp },
    };
    let detail = FdDetail::Socket { sip: ip(LOCAL), sport: 80, dip: ip(REMOTE), dport: 999, l4: L4::Tcp };
    let connection = Fd { fd: 4, ino: 2, ty: FdType::Ipv4Sock, detail };
    let mapped = |ip: [u8; 4]| IpAddr::from(std::net::Ipv4Addr::from(ip).to_ipv6_mapped());
    let detail = FdDetail::Socket { sip: mapped(LOCAL), sport: 7, dip: mapped(REMOTE), dport: 8, l4: L4::Tcp };
    let inside_v6 = Fd { fd: 5, ino: 3, ty: FdType::Ipv6Sock, detail };
    let mut proc = process(10, 10, 1);
    proc.fds = vec![server, connection, inside_v6];
    let stage = Stage::new(vec![proc]);
    assert_eq!(stage.fd_name(10, 4).as_deref(), Some("142.251.111.147:999->172.40.111.222:80"));
    assert!(entry(&stage, 4).flags.has(FdFlags::ROLE_SERVER));
    assert_eq!(stage.fd_name(10, 3).as_deref(), Some("0.0.0.0:80"));
    assert_eq!(stage.fd_name(10, 5).as_deref(), Some("172.40.111.222:7->142.251.111.147:8"));
    assert_eq!(entry(&stage, 5).ty, FdType::Ipv4Sock);
}

#[test]
fn a_full_descriptor_table_refuses_and_counts() {
    let mut options = Options::default();
    options.limits.fds = 2;
    let mut stage = Stage::with(options, vec![process(10, 10, 1)]);
    for fd in 3..6 {
        stage.openat(10, fd, AT_FDCWD, "a", 1);
    }
    assert_eq!(stage.state().fd_count(), 2);
    let metric = |name: &str| stage.engine.metrics().find(|(n, _)| *n == name).map(|(_, v)| v);
    assert_eq!((metric("n_drops_full_fdtable"), metric("n_fds"), metric("n_added_fds")), (Some(1), Some(2), Some(2)));
}

#[test]
fn parameters_cut_short_change_nothing() {
    let mut stage = stage();
    socket(&mut stage, 3, 2, 1, 6);
    connect(&mut stage, 0, 3, &[2, 1, 2], b"");
    assert_eq!(stage.fd_name(10, 3).as_deref(), Some(""));
    let mut bytes = Vec::new();
    wire::encode(&mut bytes, 1, 10, Kind::SOCKET_BIND_X, &[]);
    let event = event::Event::decode(&bytes, 0).expect("an event without parameters");
    assert_eq!(stage.engine.push(&event, "syscall").fd_num, Some(-1));
}
