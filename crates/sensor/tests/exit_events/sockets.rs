//! Calls about sockets.

use crate::harness::*;
use P::*;
use event::{Kind, Sc};
use libc::*;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

fn v4(port: u16) -> [u8; 16] {
    let p = port.to_be_bytes();
    [2, 0, p[0], p[1], 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn sockaddr(port: u16) -> P {
    let p = port.to_le_bytes();
    B(vec![2, 127, 0, 0, 1, p[0], p[1]])
}

fn tuple(from: u16, to: u16) -> P {
    let (f, t) = (from.to_le_bytes(), to.to_le_bytes());
    B(vec![2, 127, 0, 0, 1, f[0], f[1], 127, 0, 0, 1, t[0], t[1]])
}

fn fd_of(socket: &impl AsRawFd) -> i64 {
    socket.as_raw_fd().into()
}

#[test]
fn connections() {
    let calls = [
        Sc::SOCKET,
        Sc::BIND,
        Sc::CONNECT,
        Sc::LISTEN,
        Sc::ACCEPT,
        Sc::ACCEPT4,
        Sc::SHUTDOWN,
        Sc::GETSOCKNAME,
        Sc::GETPEERNAME,
    ];
    let Some(mut w) = Watch::on(&calls) else { return };
    let ty = i64::from(SOCK_STREAM | SOCK_CLOEXEC);
    let fd = w
        .raw(SYS_socket, Kind::SOCKET_SOCKET_X, &[2, ty, 6], |r| vec![I(r), U32(2), U32(ty as u32), U32(6), U32(4096)]);
    w.raw(SYS_socket, Kind::SOCKET_SOCKET_X, &[999, 1, 0], |_| {
        vec![fails(EAFNOSUPPORT), U32(999), U32(1), U32(0), U32(0)]
    });
    w.raw(SYS_bind, Kind::SOCKET_BIND_X, &[fd, at(&v4(0)), 16], |_| vec![I(0), sockaddr(0), I(fd)]);
    w.raw(SYS_bind, Kind::SOCKET_BIND_X, &[BAD_FD, NOWHERE, 16], |_| vec![fails(EBADF), Empty, I(BAD_FD)]);
    w.raw(SYS_listen, Kind::SOCKET_LISTEN_X, &[fd, 5], |_| vec![I(0), I(fd), U32(5)]);
    call(SYS_close, &[fd]);
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (listener, port) = (fd_of(&server), server.local_addr().expect("an address").port());
    let client = call(SYS_socket, &[2, SOCK_STREAM.into(), 0]);
    let mut tuple_seen = Vec::new();
    let event = w.during(|| assert_eq!(call(SYS_connect, &[client, at(&v4(port)), 16]), 0));
    tuple_seen.extend_from_slice(&event[0].params[1]);
    let local = u16::from_le_bytes([tuple_seen[5], tuple_seen[6]]);
    event[0].check(&[I(0), tuple(local, port), I(client), sockaddr(port)]);
    assert_ne!(local, 0);
    let accepted = w.raw(SYS_accept4, Kind::SOCKET_ACCEPT4_6_X, &[listener, 0, 0, SOCK_CLOEXEC.into()], |r| {
        vec![I(r), tuple(local, port), U8(0), U32(0), U32(128), U32(4096)]
    });
    w.raw(SYS_accept, Kind::SOCKET_ACCEPT_5_X, &[BAD_FD, 0, 0], |_| vec![fails(EBADF), Empty, U8(0), U32(0), U32(0)]);
    w.raw(SYS_shutdown, Kind::SOCKET_SHUTDOWN_X, &[accepted, 2], |_| vec![I(0), I(accepted), U8(2)]);
    w.raw(SYS_getsockname, Kind::SOCKET_GETSOCKNAME_X, &[BAD_FD, 0, 0], |_| vec![]);
    w.raw(SYS_getpeername, Kind::SOCKET_GETPEERNAME_X, &[BAD_FD, 0, 0], |_| vec![]);
    call(SYS_close, &[accepted]);
    call(SYS_close, &[client]);
}

#[test]
fn connects_that_do_not_connect() {
    let Some(mut w) = Watch::on(&[Sc::CONNECT]) else { return };
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let client = call(SYS_socket, &[2, SOCK_STREAM.into(), 0]);
    w.raw(SYS_connect, Kind::SOCKET_CONNECT_X, &[client, at(&v4(closed)), 16], |_| {
        vec![fails(ECONNREFUSED), Empty, I(client), sockaddr(closed)]
    });
    call(SYS_close, &[client]);
    let unix = call(SYS_socket, &[1, SOCK_STREAM.into(), 0]);
    let mut address = vec![1u8, 0];
    address.extend_from_slice(b"/nonexistent.sock\0");
    w.raw(SYS_connect, Kind::SOCKET_CONNECT_X, &[unix, at(address.as_slice()), address.len() as i64], |_| {
        vec![fails(ENOENT), Empty, I(unix), B(b"\x01/nonexistent.sock\0".to_vec())]
    });
    call(SYS_close, &[unix]);
    let v6: Vec<u8> = [vec![10, 0, 0, 80, 0, 0, 0, 0], (0..16).collect(), vec![0; 4]].concat();
    w.raw(SYS_connect, Kind::SOCKET_CONNECT_X, &[BAD_FD, at(v6.as_slice()), 28], |_| {
        vec![fails(EBADF), Empty, I(BAD_FD), B([vec![10], (0..16).collect(), vec![80, 0]].concat())]
    });
}

#[test]
fn unix_connections_have_both_ends() {
    let Some(mut w) = Watch::on(&[Sc::CONNECT, Sc::ACCEPT4, Sc::ACCEPT]) else { return };
    let dir = Folder::new("unix");
    let path = dir.at("s");
    let server = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    let events = w.during(|| {
        let client = std::os::unix::net::UnixStream::connect(&path).expect("a connection");
        let accepted = server.accept().expect("the other end");
        drop((client, accepted));
    });
    let of = |kind| events.iter().find(|e| e.kind == kind).expect("an event");
    let (connect, accept) = (of(Kind::SOCKET_CONNECT_X), of(Kind::SOCKET_ACCEPT4_6_X));
    let (c, a) = (&connect.params[1], &accept.params[1]);
    assert_eq!((c[0], &c[17..]), (1, [path.as_bytes(), b"\0"].concat().as_slice()));
    assert_eq!((a[0], &a[17..]), (1, [path.as_bytes(), b"\0"].concat().as_slice()));
    assert_eq!((&c[1..9], &c[9..17]), (&a[1..9], &a[9..17]), "source is the client's end, destination the server's");
    assert!(c[1..17].iter().any(|b| *b != 0));
}

/// An abstract name and a path as long as it can be end with their length, not with a NUL: nothing that lay behind them
/// may show.
#[test]
fn unix_names_end_where_they_end() {
    let Some(mut w) = Watch::on(&[Sc::BIND, Sc::SENDTO]) else { return };
    let dir = Folder::new("long");
    let path = format!("{:x<108}", dir.at(""));
    for name in [b"\0abstract".as_slice(), path.as_bytes()] {
        let address = [&1u16.to_ne_bytes(), name].concat();
        let shown = [name.strip_prefix(b"\0").unwrap_or(name), b"\0"].concat();
        let (server, client) = (call(SYS_socket, &[1, 2, 0]), call(SYS_socket, &[1, 2, 0]));
        let to = [at(address.as_slice()), address.len() as i64];
        w.raw(SYS_bind, Kind::SOCKET_BIND_X, &[server, to[0], to[1]], |_| {
            vec![I(0), B([b"\x01", shown.as_slice()].concat()), I(server)]
        });
        let events = w.during(|| {
            call(SYS_sendto, &[client, at(b"x"), 1, 0, to[0], to[1]]);
        });
        let tuple = &events.iter().find(|e| e.kind == Kind::SOCKET_SENDTO_X).expect("a sendto event").params[4];
        assert_eq!(String::from_utf8_lossy(&tuple[17..]), String::from_utf8_lossy(&shown));
        call(SYS_close, &[server]);
        call(SYS_close, &[client]);
    }
}

#[test]
fn datagrams() {
    let calls = [Sc::SENDTO, Sc::RECVFROM, Sc::SENDMSG, Sc::RECVMSG, Sc::SENDMMSG, Sc::RECVMMSG];
    let Some(mut w) = Watch::on(&calls) else { return };
    let (a, b) = (UdpSocket::bind("127.0.0.1:0").expect("a socket"), UdpSocket::bind("127.0.0.1:0").expect("a socket"));
    let (pa, pb) = (a.local_addr().expect("an address").port(), b.local_addr().expect("an address").port());
    let (fa, fb) = (fd_of(&a), fd_of(&b));
    // unconnected: the end that the caller names stands in for the remote one
    let to = |from: u16, to: u16, any: bool| {
        let (f, t) = (from.to_le_bytes(), to.to_le_bytes());
        let _ = any;
        B(vec![2, 127, 0, 0, 1, f[0], f[1], 127, 0, 0, 1, t[0], t[1]])
    };
    w.raw(SYS_sendto, Kind::SOCKET_SENDTO_X, &[fa, at(b"hello"), 5, 0, at(&v4(pb)), 16], |_| {
        vec![I(5), B(b"hello".to_vec()), I(fa), U32(5), to(pa, pb, false)]
    });
    let (mut buffer, mut from, mut len) = ([0u8; 100], [0u8; 16], 16u32);
    w.raw(
        SYS_recvfrom,
        Kind::SOCKET_RECVFROM_X,
        &[fb, at_mut(&mut buffer), 100, 0, at_mut(&mut from), at_mut(&mut len)],
        |_| vec![I(5), B(b"hello".to_vec()), to(pa, pb, true), I(fb), U32(100)],
    );
    w.raw(SYS_sendto, Kind::SOCKET_SENDTO_X, &[BAD_FD, at(b"hello"), 5, 0, 0, 0], |_| {
        vec![fails(EBADF), B(b"hello".to_vec()), I(BAD_FD), U32(5), Empty]
    });
    let parts = [[at(b"abc"), 3], [at(b"defg"), 4]];
    let name = v4(pb);
    let header = |name: i64, len: i64, parts: i64, count: i64| [name, len, parts, count, 0, 0, 0];
    w.raw(SYS_sendmsg, Kind::SOCKET_SENDMSG_X, &[fa, at(&header(at(&name), 16, at(&parts), 2)), 0], |_| {
        vec![I(7), B(b"abcdefg".to_vec()), I(fa), U32(7), to(pa, pb, false)]
    });
    let into = [[at_mut(&mut buffer), 100]];
    let empty = [0u8; 16];
    w.raw(SYS_recvmsg, Kind::SOCKET_RECVMSG_X, &[fb, at(&header(at(&empty), 16, at(&into), 1)), 0], |_| {
        vec![I(7), U32(100), B(b"abcdefg".to_vec()), to(pa, pb, true), Empty, I(fb)]
    });
    w.raw(SYS_recvmsg, Kind::SOCKET_RECVMSG_X, &[BAD_FD, at(&header(0, 0, at(&into), 1)), 0], |_| {
        vec![fails(EBADF), U32(100), Empty, Empty, Empty, I(BAD_FD)]
    });
    let many = [header(at(&name), 16, at(&parts), 1), [0; 7]].concat();
    let mut messages: Vec<i64> = many[..7].to_vec();
    messages.push(0);
    messages.extend(header(at(&name), 16, at(&parts), 2));
    messages.push(0);
    let events = w.during(|| assert_eq!(call(SYS_sendmmsg, &[fa, at(messages.as_slice()), 2, 0]), 2));
    assert_eq!(events.len(), 2, "one event per message");
    events[0].check(&[I(2), I(fa), U32(3), B(b"abc".to_vec()), to(pa, pb, false)]);
    events[1].check(&[I(2), I(fa), U32(7), B(b"abcdefg".to_vec()), to(pa, pb, false)]);
    let mut received: Vec<i64> = header(at(&empty), 16, at(&into), 1).to_vec();
    received.push(0);
    let events = w.during(|| assert_eq!(call(SYS_recvmmsg, &[fb, at_mut(received.as_mut_slice()), 1, 0, 0]), 1));
    events[0].check(&[I(1), I(fb), U32(3), B(b"abc".to_vec()), to(pa, pb, true), Empty]);
    let events =
        w.during(|| assert_eq!(call(SYS_sendmmsg, &[BAD_FD, at(messages.as_slice()), 2, 0]), -i64::from(EBADF)));
    assert_eq!(events.len(), 1);
    events[0].check(&[fails(EBADF), I(BAD_FD), Any, Any, Empty]);
}

#[test]
fn passed_descriptors_are_seen() {
    let Some(mut w) = Watch::on(&[Sc::RECVMSG]) else { return };
    let mut pair = [0i32; 2];
    assert_eq!(call(SYS_socketpair, &[1, SOCK_STREAM.into(), 0, at_mut(&mut pair)]), 0);
    let part = [[at(b"x"), 1]];
    let mut control = [20i64, i64::from(SOL_SOCKET) | i64::from(SCM_RIGHTS) << 32, 1];
    let header = [0, 0, at(&part), 1, at_mut(&mut control), 24, 0];
    assert_eq!(call(SYS_sendmsg, &[pair[0].into(), at(&header), 0]), 1);
    let mut room = [0i64; 4];
    let header = [0, 0, at(&part), 1, at_mut(&mut room), 32, 0];
    let mut byte = [0u8];
    let part_in = [[at_mut(&mut byte), 1]];
    let header = [header[0], header[1], at(&part_in), 1, header[4], header[5], 0];
    let events = w.during(|| assert_eq!(call(SYS_recvmsg, &[pair[1].into(), at(&header), 0]), 1));
    let carried = &events[0].params[4];
    assert_eq!(&carried[..8], 20i64.to_le_bytes(), "cmsg_len");
    let passed = i32::from_le_bytes(carried[16..20].try_into().expect("4 bytes"));
    assert!(call(SYS_close, &[passed.into()]) == 0, "the number of the new descriptor: {passed}");
    pair.iter().for_each(|fd| assert_eq!(call(SYS_close, &[(*fd).into()]), 0));
}

#[test]
fn pairs_and_options() {
    let Some(mut w) = Watch::on(&[Sc::SOCKETPAIR, Sc::SETSOCKOPT, Sc::GETSOCKOPT]) else { return };
    let mut pair = [0i32; 2];
    let events = w.during(|| assert_eq!(call(SYS_socketpair, &[1, SOCK_STREAM.into(), 0, at_mut(&mut pair)]), 0));
    events[0].check(&[I(0), I(pair[0].into()), I(pair[1].into()), Len(8), Len(8), U32(1), U32(1), U32(0)]);
    assert!(events[0].i64(4) != 0 && events[0].i64(5) != 0);
    w.raw(SYS_socketpair, Kind::SOCKET_SOCKETPAIR_X, &[2, 1, 0, at_mut(&mut pair.clone())], |_| {
        vec![fails(EOPNOTSUPP), I(-1), I(-1), I(0), I(0), U32(2), U32(1), U32(0)]
    });
    let fd = i64::from(pair[0]);
    let dynamic = |variant: u8, bytes: &[u8]| B([&[variant], bytes].concat());
    let one = 1i32;
    w.raw(SYS_setsockopt, Kind::SOCKET_SETSOCKOPT_X, &[fd, 1, SO_KEEPALIVE.into(), at(&one), 4], |_| {
        vec![I(0), I(fd), U8(1), U8(9), dynamic(2, &1u32.to_le_bytes()), U32(4)]
    });
    let time = [5i64, 600_000];
    w.raw(SYS_setsockopt, Kind::SOCKET_SETSOCKOPT_X, &[fd, 1, SO_RCVTIMEO.into(), at(&time), 16], |_| {
        vec![I(0), I(fd), U8(1), U8(20), dynamic(4, &5_600_000_000u64.to_le_bytes()), U32(16)]
    });
    w.raw(SYS_setsockopt, Kind::SOCKET_SETSOCKOPT_X, &[BAD_FD, 0, 1, at(b"abcd"), 4], |_| {
        vec![fails(EBADF), I(BAD_FD), U8(0), U8(0), dynamic(0, b"abcd"), U32(4)]
    });
    let (mut value, mut len) = ([0u8; 8], 4u32);
    w.raw(
        SYS_getsockopt,
        Kind::SOCKET_GETSOCKOPT_X,
        &[fd, 1, SO_ERROR.into(), at_mut(&mut value), at_mut(&mut len)],
        |_| vec![I(0), I(fd), U8(1), U8(4), dynamic(1, &0i64.to_le_bytes()), U32(4)],
    );
    let mut len = 8u32;
    w.raw(SYS_getsockopt, Kind::SOCKET_GETSOCKOPT_X, &[fd, 1, 57, at_mut(&mut value), at_mut(&mut len)], |_| {
        vec![I(0), I(fd), U8(1), U8(53), Len(9), U32(8)]
    });
    w.raw(SYS_getsockopt, Kind::SOCKET_GETSOCKOPT_X, &[BAD_FD, 6, 3, at_mut(&mut value), at_mut(&mut len)], |_| {
        vec![fails(EBADF), I(BAD_FD), U8(2), U8(0), Empty, U32(8)]
    });
    pair.iter().for_each(|fd| assert_eq!(call(SYS_close, &[(*fd).into()]), 0));
}

#[test]
fn six_is_like_four() {
    let Some(mut w) = Watch::on(&[Sc::CONNECT]) else { return };
    let Ok(server) = TcpListener::bind("[::1]:0") else { return println!("skipped: no IPv6 on the loopback") };
    let port = server.local_addr().expect("an address").port();
    let events = w.during(|| drop(TcpStream::connect(("::1", port)).expect("a connection")));
    let t = &events.iter().find(|e| e.kind == Kind::SOCKET_CONNECT_X).expect("a connect").params[1];
    let home = std::net::Ipv6Addr::LOCALHOST.octets();
    assert_eq!((t.len(), t[0], &t[1..17], &t[19..35]), (37, 10, &home[..], &home[..]));
    assert_eq!(u16::from_le_bytes([t[35], t[36]]), port);
}
