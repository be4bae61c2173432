//! Calls that name files.

use crate::harness::*;
use P::*;
use event::{Kind, Sc};
use std::os::unix::fs::MetadataExt;

fn dev_of(path: &str) -> (u32, i64) {
    let file = std::fs::metadata(path).expect("the file");
    let (major, minor) = (libc::major(file.dev()), libc::minor(file.dev()));
    ((minor & 0xff) | major << 8 | (minor & !0xff) << 12, file.ino() as i64)
}

#[test]
fn open_family() {
    let calls = [Sc::OPEN, Sc::OPENAT, Sc::OPENAT2, Sc::CREAT];
    let Some(mut w) = Watch::on(&calls) else { return };
    let dir = Folder::new("open");
    let path = dir.at("file");
    let (text, missing) = (cstring(&path), cstring("/nonexistent/file"));
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_CLOEXEC;
    let mut fd = 0;
    let event = w.during(|| fd = call(libc::SYS_openat, &[CWD, at(text.as_c_str()), flags.into(), 0o644]));
    let (dev, ino) = dev_of(&path);
    let created = 3 | 4 | 4096 | 1 << 14;
    event[0].check(&[I(fd), I(CWD), s(&path), U32(created), U32(0o644), U32(dev), I(ino)]);
    call(libc::SYS_close, &[fd]);
    let found = |mode: u32| move |fd| vec![I(fd), s(path.clone()), U32(mode), U32(0), U32(dev), I(ino)];
    let fd =
        w.raw(libc::SYS_open, Kind::SYSCALL_OPEN_X, &[at(text.as_c_str()), libc::O_WRONLY.into()], found.clone()(2));
    call(libc::SYS_close, &[fd]);
    let read = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_DIRECTORY;
    w.raw(libc::SYS_open, Kind::SYSCALL_OPEN_X, &[at(missing.as_c_str()), read.into()], |_| {
        vec![fails(libc::ENOENT), s("/nonexistent/file"), U32(1 | 64 | 1024), U32(0), U32(0), I(0)]
    });
    w.raw(libc::SYS_open, Kind::SYSCALL_OPEN_X, &[NOWHERE, 0], |_| {
        vec![fails(libc::EFAULT), Empty, U32(1), U32(0), U32(0), I(0)]
    });
    let empty = cstring("");
    w.raw(libc::SYS_openat, Kind::SYSCALL_OPENAT_2_X, &[BAD_FD, at(empty.as_c_str())], |_| {
        vec![fails(libc::ENOENT), I(BAD_FD), s(""), U32(1), U32(0), U32(0), I(0)]
    });
}

#[test]
fn creat_and_openat2() {
    let Some(mut w) = Watch::on(&[Sc::CREAT, Sc::OPENAT2]) else { return };
    let dir = Folder::new("creat");
    let path = dir.at("file");
    let text = cstring(&path);
    let mut fd = 0;
    let event = w.during(|| fd = call(libc::SYS_creat, &[at(text.as_c_str()), 0o600]));
    let (dev, ino) = dev_of(&path);
    event[0].check(&[I(fd), s(&path), U32(0o600), U32(dev), I(ino), U16(0)]);
    call(libc::SYS_close, &[fd]);
    let how = [i64::from(libc::O_RDWR), 0, 0x08 | 0x02];
    let relative = cstring("nothing");
    w.raw(libc::SYS_openat2, Kind::SYSCALL_OPENAT2_X, &[CWD, at(relative.as_c_str()), at(&how), 24], |_| {
        vec![fails(libc::ENOENT), I(CWD), s("nothing"), U32(3), U32(0), U32(1 | 4), U32(0), I(0)]
    });
    let tmp = [i64::from(libc::O_RDWR | libc::O_TMPFILE), 0o640, 0];
    let folder = cstring(dir.0.to_str().expect("UTF-8"));
    let fd = w.raw(libc::SYS_openat2, Kind::SYSCALL_OPENAT2_X, &[CWD, at(folder.as_c_str()), at(&tmp), 24], |fd| {
        vec![
            I(fd),
            I(CWD),
            s(dir.0.to_str().expect("UTF-8")),
            U32(3 | 1024 | 8192),
            U32(0o640),
            U32(0),
            U32(dev),
            Len(8),
        ]
    });
    call(libc::SYS_close, &[fd]);
}

#[test]
fn copies_at_entry_come_first() {
    let calls = [Sc::OPEN, Sc::OPENAT, Sc::OPENAT2, Sc::CREAT, Sc::CONNECT];
    let Some(mut w) = Watch::on(&calls) else { return };
    let missing = cstring("/nonexistent/entry");
    let how = [0i64, 0, 1];
    let address = [2u8, 0, 0x1f, 0x90, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let tid = call(libc::SYS_gettid, &[]);
    let mut events = w.everything(|| {
        call(libc::SYS_open, &[at(missing.as_c_str()), 0o2]);
        call(libc::SYS_openat, &[CWD, at(missing.as_c_str()), 0o102, 0o600]);
        call(libc::SYS_openat2, &[CWD, at(missing.as_c_str()), at(&how), 24]);
        call(libc::SYS_creat, &[at(missing.as_c_str()), 0o600]);
        call(libc::SYS_connect, &[BAD_FD, at(&address), 16]);
    });
    events.retain(|e| e.tid == tid && e.kind != Kind::SYSCALL_CLOSE_X);
    let kinds: Vec<Kind> = events.iter().map(|e| e.kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::SYSCALL_OPEN_E,
            Kind::SYSCALL_OPEN_X,
            Kind::SYSCALL_OPENAT_2_E,
            Kind::SYSCALL_OPENAT_2_X,
            Kind::SYSCALL_OPENAT2_E,
            Kind::SYSCALL_OPENAT2_X,
            Kind::SYSCALL_CREAT_E,
            Kind::SYSCALL_CREAT_X,
            Kind::SOCKET_CONNECT_E,
            Kind::SOCKET_CONNECT_X,
        ]
    );
    let name = || s("/nonexistent/entry");
    events[0].check(&[name(), U32(3), U32(0)]);
    events[2].check(&[I(CWD), name(), U32(3 | 4), U32(0o600)]);
    events[4].check(&[I(CWD), name(), U32(1), U32(0), U32(16)]);
    events[6].check(&[name(), U32(0o600)]);
    events[8].check(&[I(BAD_FD), B(vec![2, 127, 0, 0, 1, 0x90, 0x1f])]);
    events[9].check(&[fails(libc::EBADF), Empty, I(BAD_FD), B(vec![2, 127, 0, 0, 1, 0x90, 0x1f])]);
}

#[test]
fn open_by_handle() {
    let Some(mut w) = Watch::on(&[Sc::OPEN_BY_HANDLE_AT]) else { return };
    let dir = Folder::new("handle");
    let path = dir.at("file");
    std::fs::write(&path, "x").expect("a file");
    let (text, folder) = (cstring(&path), cstring(dir.0.to_str().expect("UTF-8")));
    let mut handle =
        [128u32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut mount = 0i32;
    let made =
        call(libc::SYS_name_to_handle_at, &[CWD, at(text.as_c_str()), at_mut(&mut handle), at_mut(&mut mount), 0]);
    let folder_fd = call(libc::SYS_open, &[at(folder.as_c_str()), 0]);
    w.raw(libc::SYS_open_by_handle_at, Kind::SYSCALL_OPEN_BY_HANDLE_AT_X, &[BAD_FD, at(&handle), 0], |_| {
        vec![fails(libc::EBADF), I(BAD_FD), U32(1), Empty, U32(0), I(0)]
    });
    if made != 0 {
        return println!("partly skipped: the file system of the temporary folder has no handles");
    }
    let (dev, ino) = dev_of(&path);
    let fd =
        w.raw(libc::SYS_open_by_handle_at, Kind::SYSCALL_OPEN_BY_HANDLE_AT_X, &[folder_fd, at(&handle), 0], |fd| {
            assert!(fd >= 0, "{fd}");
            vec![I(fd), I(folder_fd), U32(1), s(&path), U32(dev), I(ino)]
        });
    call(libc::SYS_close, &[fd]);
    call(libc::SYS_close, &[folder_fd]);
}

#[test]
fn paths() {
    use libc::*;
    let calls: Vec<Sc> = [
        "mkdir",
        "mkdirat",
        "rmdir",
        "unlink",
        "unlinkat",
        "rename",
        "renameat",
        "renameat2",
        "link",
        "linkat",
        "symlink",
        "symlinkat",
        "chmod",
        "fchmod",
        "fchmodat",
        "chown",
        "lchown",
        "fchown",
        "fchownat",
        "mknod",
        "mknodat",
        "access",
        "stat",
        "lstat",
        "fstat",
        "newfstatat",
        "chdir",
        "fchdir",
        "chroot",
        "getcwd",
        "mount",
        "umount2",
    ]
    .iter()
    .map(|n| Sc::by_name(n).expect("a call"))
    .collect();
    let Some(mut w) = Watch::on(&calls) else { return };
    let (a, b) = (cstring("/nonexistent/a"), cstring("/nonexistent/b"));
    let (pa, pb) = (at(a.as_c_str()), at(b.as_c_str()));
    let (sa, sb) = (|| s("/nonexistent/a"), || s("/nonexistent/b"));
    let no = || fails(ENOENT);
    let rows: Vec<(i64, Kind, Vec<i64>, Vec<P>)> = vec![
        (SYS_mkdir, Kind::SYSCALL_MKDIR_2_X, vec![pa, 0o755], vec![no(), sa(), U32(0o755)]),
        (SYS_mkdirat, Kind::SYSCALL_MKDIRAT_X, vec![CWD, pa, 0o755], vec![no(), I(CWD), sa(), U32(0o755)]),
        (SYS_rmdir, Kind::SYSCALL_RMDIR_2_X, vec![pa], vec![no(), sa()]),
        (SYS_unlink, Kind::SYSCALL_UNLINK_2_X, vec![pa], vec![no(), sa()]),
        (SYS_unlinkat, Kind::SYSCALL_UNLINKAT_2_X, vec![CWD, pa, 0x200], vec![no(), I(CWD), sa(), U32(512)]),
        (SYS_rename, Kind::SYSCALL_RENAME_X, vec![pa, pb], vec![no(), sa(), sb()]),
        (SYS_renameat, Kind::SYSCALL_RENAMEAT_X, vec![CWD, pa, 7, pb], vec![no(), I(CWD), sa(), I(7), sb()]),
        (
            SYS_renameat2,
            Kind::SYSCALL_RENAMEAT2_X,
            vec![CWD, pa, CWD, pb, 1],
            vec![no(), I(CWD), sa(), I(CWD), sb(), U32(1)],
        ),
        (SYS_link, Kind::SYSCALL_LINK_2_X, vec![pa, pb], vec![no(), sa(), sb()]),
        (
            SYS_linkat,
            Kind::SYSCALL_LINKAT_2_X,
            vec![CWD, pa, CWD, pb, 0x400],
            vec![no(), I(CWD), sa(), I(CWD), sb(), U32(1024)],
        ),
        (SYS_symlink, Kind::SYSCALL_SYMLINK_X, vec![pa, pb], vec![no(), sa(), sb()]),
        (SYS_symlinkat, Kind::SYSCALL_SYMLINKAT_X, vec![pa, CWD, pb], vec![no(), sa(), I(CWD), sb()]),
        (SYS_chmod, Kind::SYSCALL_CHMOD_X, vec![pa, 0o4755], vec![no(), sa(), U32(0o4755)]),
        (SYS_fchmod, Kind::SYSCALL_FCHMOD_X, vec![BAD_FD, 0o644], vec![fails(EBADF), I(BAD_FD), U32(0o644)]),
        (SYS_fchmodat, Kind::SYSCALL_FCHMODAT_X, vec![CWD, pa, 0o644], vec![no(), I(CWD), sa(), U32(0o644)]),
        (SYS_chown, Kind::SYSCALL_CHOWN_X, vec![pa, 1, 2], vec![no(), sa(), U32(1), U32(2)]),
        (SYS_lchown, Kind::SYSCALL_LCHOWN_X, vec![pa, 1, -1], vec![no(), sa(), U32(1), U32(u32::MAX)]),
        (SYS_fchown, Kind::SYSCALL_FCHOWN_X, vec![BAD_FD, 1, 2], vec![fails(EBADF), I(BAD_FD), U32(1), U32(2)]),
        (
            SYS_fchownat,
            Kind::SYSCALL_FCHOWNAT_X,
            vec![CWD, pa, 1, 2, 0x1100],
            vec![no(), I(CWD), sa(), U32(1), U32(2), U32(1024 | 4096)],
        ),
        (SYS_mknod, Kind::SYSCALL_MKNOD_X, vec![pa, 0o100_644, 0x105], vec![no(), sa(), U32(0o100_644), U32(0x105)]),
        (
            SYS_mknodat,
            Kind::SYSCALL_MKNODAT_X,
            vec![CWD, pa, 0o010_600, 0],
            vec![no(), I(CWD), sa(), U32(0o010_600), U32(0)],
        ),
        (SYS_access, Kind::SYSCALL_ACCESS_X, vec![pa, 4], vec![no(), sa(), U32(4)]),
        (SYS_stat, Kind::SYSCALL_STAT_X, vec![pa, 0], vec![no(), sa()]),
        (SYS_lstat, Kind::SYSCALL_LSTAT_X, vec![pa, 0], vec![no(), sa()]),
        (SYS_fstat, Kind::SYSCALL_FSTAT_X, vec![BAD_FD, 0], vec![fails(EBADF), I(BAD_FD)]),
        (SYS_newfstatat, Kind::SYSCALL_NEWFSTATAT_X, vec![CWD, pa, 0, 0x100], vec![no(), I(CWD), sa(), U32(256)]),
        (SYS_chdir, Kind::SYSCALL_CHDIR_X, vec![pa], vec![no(), sa()]),
        (SYS_fchdir, Kind::SYSCALL_FCHDIR_X, vec![BAD_FD], vec![fails(EBADF), I(BAD_FD)]),
        (SYS_chroot, Kind::SYSCALL_CHROOT_X, vec![pa], vec![no(), sa()]),
        (SYS_mount, Kind::SYSCALL_MOUNT_X, vec![pa, pb, pa, 0xc0ed_0000 | 3, 0], vec![no(), sa(), sb(), sa(), U32(3)]),
        (SYS_umount2, Kind::SYSCALL_UMOUNT2_X, vec![pa, 2], vec![no(), sa(), U32(2)]),
    ];
    for (nr, kind, args, expected) in rows {
        w.raw(nr, kind, &args, |_| expected);
    }
    let mut buffer = [0u8; 4096];
    let here = std::env::current_dir().expect("a folder");
    w.raw(SYS_getcwd, Kind::SYSCALL_GETCWD_X, &[at_mut(&mut buffer), 4096], |n| {
        vec![I(n), s(here.to_str().expect("UTF-8"))]
    });
    w.raw(SYS_getcwd, Kind::SYSCALL_GETCWD_X, &[at_mut(&mut buffer), 1], |_| vec![fails(ERANGE), Empty]);
}

#[test]
fn long_paths_are_cut_not_lost() {
    let Some(mut w) = Watch::on(&[Sc::UNLINK]) else { return };
    let long = cstring(&"x".repeat(5000));
    w.raw(libc::SYS_unlink, Kind::SYSCALL_UNLINK_2_X, &[at(long.as_c_str())], |_| {
        vec![fails(libc::ENAMETOOLONG), s("x".repeat(4095))]
    });
}
