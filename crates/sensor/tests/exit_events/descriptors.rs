//! Calls that make, copy, use and end descriptors.

use crate::harness::*;
use P::*;
use event::{Kind, Sc};
use libc::*;
use std::os::unix::fs::MetadataExt;

#[test]
fn made_and_copied() {
    let calls: Vec<Sc> = [
        "dup",
        "dup2",
        "dup3",
        "fcntl",
        "pipe",
        "pipe2",
        "eventfd",
        "eventfd2",
        "signalfd",
        "signalfd4",
        "timerfd_create",
        "inotify_init",
        "inotify_init1",
        "epoll_create",
        "epoll_create1",
        "userfaultfd",
        "memfd_create",
        "pidfd_open",
        "pidfd_getfd",
        "close_range",
        "bpf",
    ]
    .iter()
    .map(|n| Sc::by_name(n).expect("a call"))
    .collect();
    let Some(mut w) = Watch::on(&calls) else { return };
    let mut open = Vec::new();
    let new = |r: i64| I(r);
    open.push(w.raw(SYS_dup, Kind::SYSCALL_DUP_1_X, &[1], |r| vec![new(r), I(1)]));
    w.raw(SYS_dup, Kind::SYSCALL_DUP_1_X, &[BAD_FD], |_| vec![fails(EBADF), I(BAD_FD)]);
    w.raw(SYS_dup2, Kind::SYSCALL_DUP2_X, &[BAD_FD, 200], |_| vec![fails(EBADF), I(BAD_FD), I(200)]);
    open.push(
        w.raw(SYS_dup3, Kind::SYSCALL_DUP3_X, &[1, 201, O_CLOEXEC.into()], |r| vec![new(r), I(1), I(201), U32(4096)]),
    );
    open.push(w.raw(SYS_fcntl, Kind::SYSCALL_FCNTL_X, &[1, F_DUPFD_CLOEXEC.into(), 100], |r| {
        vec![new(r), I(1), U8(26), I(100)]
    }));
    w.raw(SYS_fcntl, Kind::SYSCALL_FCNTL_X, &[1, F_SETFD.into(), 0], |_| vec![I(0), I(1), U8(3), I(0)]);
    let mut fds = [0i32; 2];
    let events = w.during(|| assert_eq!(call(SYS_pipe2, &[at_mut(&mut fds), (O_CLOEXEC | O_NONBLOCK).into()]), 0));
    let ino = std::fs::metadata(format!("/proc/self/fd/{}", fds[0])).expect("a pipe").ino();
    events[0].check(&[I(0), I(fds[0].into()), I(fds[1].into()), I(ino as i64), U32(4096 | 64)]);
    open.extend(fds.iter().map(|f| i64::from(*f)));
    w.raw(SYS_pipe, Kind::SYSCALL_PIPE_X, &[NOWHERE], |_| vec![fails(EFAULT), I(-1), I(-1), I(0)]);
    open.push(w.raw(SYS_eventfd, Kind::SYSCALL_EVENTFD_X, &[7], |r| vec![new(r), I(7), U32(0)]));
    open.push(w.raw(SYS_eventfd2, Kind::SYSCALL_EVENTFD2_X, &[7, O_NONBLOCK.into()], |r| vec![new(r), U16(64), I(7)]));
    let mask = 0u64;
    w.raw(SYS_signalfd, Kind::SYSCALL_SIGNALFD_X, &[BAD_FD, at(&mask), 8], |_| {
        vec![fails(EBADF), I(BAD_FD), U32(0), U8(0)]
    });
    open.push(w.raw(SYS_signalfd4, Kind::SYSCALL_SIGNALFD4_X, &[-1, at(&mask), 8, O_CLOEXEC.into()], |r| {
        vec![new(r), U16(4096), I(-1), U32(0)]
    }));
    open.push(w.raw(SYS_timerfd_create, Kind::SYSCALL_TIMERFD_CREATE_X, &[1, 0], |r| vec![new(r), U8(1), U8(0)]));
    open.push(w.raw(SYS_inotify_init, Kind::SYSCALL_INOTIFY_INIT_X, &[], |r| vec![new(r), U8(0)]));
    open.push(
        w.raw(SYS_inotify_init1, Kind::SYSCALL_INOTIFY_INIT1_X, &[O_CLOEXEC.into()], |r| vec![new(r), U16(4096)]),
    );
    open.push(w.raw(SYS_epoll_create, Kind::SYSCALL_EPOLL_CREATE_X, &[5], |r| vec![new(r), U32(5)]));
    w.raw(SYS_epoll_create, Kind::SYSCALL_EPOLL_CREATE_X, &[-1], |_| vec![fails(EINVAL), U32(u32::MAX)]);
    open.push(w.raw(SYS_epoll_create1, Kind::SYSCALL_EPOLL_CREATE1_X, &[O_CLOEXEC.into()], |r| vec![new(r), U32(1)]));
    open.push(w.raw(SYS_userfaultfd, Kind::SYSCALL_USERFAULTFD_X, &[O_NONBLOCK.into()], |r| vec![new(r), U32(64)]));
    let name = cstring("a memory file");
    open.push(w.raw(SYS_memfd_create, Kind::SYSCALL_MEMFD_CREATE_X, &[at(name.as_c_str()), 1], |r| {
        vec![new(r), s("a memory file"), U32(1)]
    }));
    let pid = i64::from(std::process::id());
    let pidfd = w.raw(SYS_pidfd_open, Kind::SYSCALL_PIDFD_OPEN_X, &[pid, 0], |r| vec![new(r), I(pid), U32(0)]);
    open.push(pidfd);
    open.push(
        w.raw(SYS_pidfd_getfd, Kind::SYSCALL_PIDFD_GETFD_X, &[pidfd, 1, 0], |r| vec![new(r), I(pidfd), I(1), U32(0)]),
    );
    w.raw(SYS_close_range, Kind::SYSCALL_CLOSE_RANGE_X, &[90_000, 90_010, 4], |r| {
        vec![I(r), U32(90_000), U32(90_010), U32(4)]
    });
    w.raw(SYS_bpf, Kind::SYSCALL_BPF_2_X, &[5, NOWHERE, 0], |r| vec![I(r), U32(5)]);
    open.into_iter().filter(|fd| *fd > 2).for_each(|fd| assert_eq!(call(SYS_close, &[fd]), 0));
}

#[test]
fn closing() {
    let Some(mut w) = Watch::on(&[]) else { return };
    w.raw(SYS_close, Kind::SYSCALL_CLOSE_X, &[BAD_FD], |_| vec![fails(EBADF), I(BAD_FD)]);
    w.raw(SYS_close, Kind::SYSCALL_CLOSE_X, &[-1], |_| vec![fails(EBADF), I(-1)]);
}

#[test]
fn input_and_output() {
    let calls: Vec<Sc> = [
        "read",
        "write",
        "pread64",
        "pwrite64",
        "readv",
        "writev",
        "preadv",
        "pwritev",
        "lseek",
        "ioctl",
        "flock",
        "getdents",
        "getdents64",
        "sendfile",
        "splice",
        "copy_file_range",
        "process_vm_readv",
        "process_vm_writev",
    ]
    .iter()
    .map(|n| Sc::by_name(n).expect("a call"))
    .collect();
    let Some(mut w) = Watch::on(&calls) else { return };
    let dir = Folder::new("io");
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(dir.at("f"))
        .expect("a file");
    let fd = i64::from(std::os::fd::AsRawFd::as_raw_fd(&file));
    let text: Vec<u8> = (0..200u8).collect();
    let snapped = B(text[..80].to_vec());
    w.raw(SYS_write, Kind::SYSCALL_WRITE_X, &[fd, at(text.as_slice()), 200], |n| {
        vec![I(n), snapped.clone(), I(fd), U32(200)]
    });
    w.raw(SYS_write, Kind::SYSCALL_WRITE_X, &[BAD_FD, at(text.as_slice()), 10], |_| {
        vec![fails(EBADF), B(text[..10].to_vec()), I(BAD_FD), U32(10)]
    });
    w.raw(SYS_pwrite64, Kind::SYSCALL_PWRITE_X, &[fd, at(text.as_slice()), 20, 5], |n| {
        vec![I(n), B(text[..20].to_vec()), I(fd), U32(20), I(5)]
    });
    let mut back = [0u8; 300];
    w.raw(SYS_pread64, Kind::SYSCALL_PREAD_X, &[fd, at_mut(&mut back), 300, 100], |n| {
        assert_eq!(n, 100);
        vec![I(n), B(text[100..180].to_vec()), I(fd), U32(300), I(100)]
    });
    w.raw(SYS_lseek, Kind::SYSCALL_LSEEK_X, &[fd, 190, 0], |_| vec![I(190), I(fd), I(190), U8(0)]);
    w.raw(SYS_read, Kind::SYSCALL_READ_X, &[fd, at_mut(&mut back), 300], |n| {
        vec![I(n), B(text[190..].to_vec()), I(fd), U32(300)]
    });
    w.raw(SYS_read, Kind::SYSCALL_READ_X, &[BAD_FD, at_mut(&mut back), 300], |_| {
        vec![fails(EBADF), Empty, I(BAD_FD), U32(300)]
    });
    let two = [[at(&text[..60]), 60], [at(&text[60..]), 60]];
    w.raw(SYS_writev, Kind::SYSCALL_WRITEV_X, &[fd, at(&two), 2], |n| vec![I(n), snapped.clone(), I(fd), U32(120)]);
    w.raw(SYS_writev, Kind::SYSCALL_WRITEV_X, &[BAD_FD, at(&two), 2], |_| {
        vec![fails(EBADF), snapped.clone(), I(BAD_FD), U32(120)]
    });
    w.raw(SYS_pwritev, Kind::SYSCALL_PWRITEV_X, &[fd, at(&two), 2, 0], |n| {
        vec![I(n), snapped.clone(), I(fd), U32(120), I(0)]
    });
    let (mut x, mut y) = ([0u8; 30], [0u8; 90]);
    let into = [[at_mut(&mut x), 30], [at_mut(&mut y), 90]];
    w.raw(SYS_preadv, Kind::SYSCALL_PREADV_X, &[fd, at(&into), 2, 0], |n| {
        vec![I(n), U32(120), snapped.clone(), I(fd), I(0)]
    });
    w.raw(SYS_readv, Kind::SYSCALL_READV_X, &[BAD_FD, at(&into), 2], |_| {
        vec![fails(EBADF), U32(120), Empty, I(BAD_FD)]
    });
    w.raw(SYS_ioctl, Kind::SYSCALL_IOCTL_3_X, &[BAD_FD, 0x5401, 77], |_| {
        vec![fails(EBADF), I(BAD_FD), I(0x5401), I(77)]
    });
    w.raw(SYS_flock, Kind::SYSCALL_FLOCK_X, &[fd, 2 | 4], |_| vec![I(0), I(fd), U32(2 | 4)]);
    w.raw(SYS_getdents, Kind::SYSCALL_GETDENTS_X, &[BAD_FD, 0, 0], |_| vec![fails(EBADF), I(BAD_FD)]);
    w.raw(SYS_getdents64, Kind::SYSCALL_GETDENTS64_X, &[BAD_FD, 0, 0], |_| vec![fails(EBADF), I(BAD_FD)]);
    let offset = 37i64;
    w.raw(SYS_sendfile, Kind::SYSCALL_SENDFILE_X, &[BAD_FD, BAD_FD - 1, at(&offset), 9], |_| {
        vec![fails(EBADF), I(37), I(BAD_FD), I(BAD_FD - 1), I(9)]
    });
    w.raw(SYS_splice, Kind::SYSCALL_SPLICE_X, &[BAD_FD, 0, BAD_FD - 1, 0, 9, 3], |_| {
        vec![fails(EBADF), I(BAD_FD), I(BAD_FD - 1), I(9), U32(3)]
    });
    w.raw(SYS_copy_file_range, Kind::SYSCALL_COPY_FILE_RANGE_X, &[BAD_FD, at(&offset), BAD_FD - 1, 0, 9, 0], |_| {
        vec![fails(EBADF), I(BAD_FD - 1), I(0), I(BAD_FD), I(37), I(9)]
    });
    let pid = i64::from(std::process::id());
    let local = [[at_mut(&mut x), 30]];
    let remote = [[at(text.as_slice()), 30]];
    w.raw(SYS_process_vm_readv, Kind::SYSCALL_PROCESS_VM_READV_X, &[pid, at(&local), 1, at(&remote), 1, 0], |n| {
        vec![I(n), I(pid), B(text[..30].to_vec())]
    });
    w.raw(SYS_process_vm_writev, Kind::SYSCALL_PROCESS_VM_WRITEV_X, &[pid, at(&remote), 1, at(&local), 1, 0], |n| {
        vec![I(n), I(pid), B(text[..30].to_vec())]
    });
}

#[test]
fn snap_length_is_an_option() {
    let options = sensor::Options { selected: selection(&[Sc::WRITE]), snaplen: 5000, ..sensor::Options::default() };
    let Some(mut w) = Watch::with(options) else { return };
    let text = vec![7u8; 6000];
    w.raw(SYS_write, Kind::SYSCALL_WRITE_X, &[BAD_FD, at(text.as_slice()), 6000], |_| {
        vec![fails(EBADF), B(vec![7; 5000]), I(BAD_FD), U32(6000)]
    });
}

#[test]
fn failed_calls_can_be_left_out() {
    let options =
        sensor::Options { selected: selection(&[Sc::DUP, Sc::LSEEK]), drop_failed: true, ..sensor::Options::default() };
    // the mark is a failing close, so this watch is ended by another sensor's clock: two polls with a rest between
    let Ok((mut sensor, _)) = sensor::Sensor::open(options) else { return println!("skipped: no sensor") };
    let tid = call(SYS_gettid, &[]);
    call(SYS_dup, &[BAD_FD]);
    let fd = call(SYS_dup, &[1]);
    let mut results = Vec::new();
    while results.is_empty() {
        let taken = sensor.poll(|e| results.extend(e.i64(0).filter(|_| e.tid == tid)));
        sensor.rest(taken);
    }
    assert_eq!(results, [fd]);
    call(SYS_close, &[fd]);
}

#[test]
fn waiting() {
    let Some(mut w) = Watch::on(&[Sc::POLL, Sc::PPOLL, Sc::SELECT, Sc::EPOLL_WAIT]) else { return };
    let mut fds = [0i32; 2];
    assert_eq!(call(SYS_pipe2, &[at_mut(&mut fds), 0]), 0);
    #[repr(C)]
    struct Polled(i32, i16, i16);
    let list = [Polled(fds[0], 1, 0), Polled(fds[1], 4, 0)];
    let entry = |fd: i32, flags: u8| [i64::from(fd).to_le_bytes().as_slice(), &[flags, 0]].concat();
    let after = [vec![2, 0], entry(fds[0], 0), entry(fds[1], 4)].concat();
    w.raw(SYS_poll, Kind::SYSCALL_POLL_X, &[at(&list), 2, 5], |_| vec![I(1), B(after.clone()), I(5)]);
    let (time, mask) = ([0i64, 1000], 0x20_0000_0003u64);
    // the kernel writes the time that is left back, so only a refused call shows the one asked for
    w.raw(SYS_ppoll, Kind::SYSCALL_PPOLL_X, &[at(&list), 2, at(&time), at(&mask), 8], |_| {
        vec![I(1), B(after), Len(8), U32(3)]
    });
    let time = [0i64, 1000];
    w.raw(SYS_ppoll, Kind::SYSCALL_PPOLL_X, &[at(&list), 2, at(&time), at(&mask), 3], |_| {
        vec![fails(EINVAL), Len(22), I(1000), U32(3)]
    });
    w.raw(SYS_poll, Kind::SYSCALL_POLL_X, &[NOWHERE, 2, 5], |_| vec![fails(EFAULT), Empty, I(5)]);
    w.raw(SYS_select, Kind::SYSCALL_SELECT_X, &[-1], |_| vec![fails(EINVAL)]);
    w.raw(SYS_epoll_wait, Kind::SYSCALL_EPOLLWAIT_X, &[BAD_FD, NOWHERE, 12, 0], |r| vec![I(r), I(12)]);
    fds.iter().for_each(|fd| assert_eq!(call(SYS_close, &[(*fd).into()]), 0));
}
