//! Open files of a process: descriptors, what they are, and for sockets both ends.
//! Comes in: the folder of a process below /proc. Goes out: [`Fd`] values in ascending order.

use crate::procs::{link, number, numbers, text};
use crate::sockets::Namespaces;
use event::snapshot::{Fd, FdDetail, FdType, OpenFile};
use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Reads `dir/fd`. Descriptors closed meanwhile are left out.
pub(crate) fn read(dir: &Path, namespaces: &mut Namespaces) -> Vec<Fd> {
    let namespace = OnceCell::new();
    let open = dir.join("fd");
    let one = |fd: i64| {
        let path = open.join(fd.to_string());
        let target = link(&path);
        if target.is_empty() {
            return None;
        }
        let is_socket = target.starts_with(SOCKET);
        let file = if is_socket { None } else { fs::metadata(&path).ok() };
        let found = OpenFile {
            fd,
            ino: file.as_ref().map_or(0, MetadataExt::ino),
            mode: file.as_ref().map_or(0, MetadataExt::mode),
            dev: file.as_ref().map_or(0, |f| encode_dev(f.dev())),
            net_namespace: if is_socket { *namespace.get_or_init(|| Namespaces::number(dir)) } else { 0 },
            target,
            ..OpenFile::default()
        };
        describe(found, dir, namespaces, || flags(dir, fd))
    };
    numbers(&open).filter_map(one).collect()
}

/// What an open file of the process at `dir` is; `None` when nothing can be said.
pub(crate) fn describe(
    open: OpenFile,
    dir: &Path,
    namespaces: &mut Namespaces,
    flags: impl FnOnce() -> u32,
) -> Option<Fd> {
    let OpenFile { fd, ino, target, .. } = open;
    if let Some(ino) = bracketed(&target, SOCKET) {
        let unknown = || Fd { fd, ino, ty: FdType::Unsupported, detail: named(b"") };
        return Some(namespaces.of(open.net_namespace, dir).find(ino, fd).unwrap_or_else(unknown));
    }
    let ty = special(&target).or_else(|| of_mode(open.mode))?;
    let detail = match ty {
        FdType::FileV2 => FdDetail::File { open_flags: flags(), name: target, dev: open.dev },
        FdType::Memfd => named(memfd_name(&target)),
        FdType::Fifo if target.starts_with(b"pipe:") => named(b""),
        FdType::Pidfd => named(&pidfd_name(dir, fd)),
        _ => named(&target),
    };
    Some(Fd { fd, ino, ty, detail })
}

/// Files without a path in any file system.
fn special(target: &[u8]) -> Option<FdType> {
    let anonymous: &[(&[u8], FdType)] = &[
        (b"pipe:[", FdType::Fifo),
        (b"/memfd:", FdType::Memfd),
        (b"pidfd:[", FdType::Pidfd),
        (b"anon_inode:[eventfd]", FdType::Event),
        (b"anon_inode:[eventpoll]", FdType::Eventpoll),
        (b"anon_inode:inotify", FdType::Inotify),
        (b"anon_inode:[signalfd]", FdType::Signalfd),
        (b"anon_inode:[timerfd]", FdType::Timerfd),
        (b"anon_inode:[io_uring]", FdType::IoUring),
        (b"anon_inode:[userfaultfd]", FdType::Userfaultfd),
        (b"anon_inode:[pidfd]", FdType::Pidfd),
        (b"anon_inode:bpf", FdType::Bpf),
        (b"anon_inode:", FdType::Unsupported),
    ];
    anonymous.iter().find(|(prefix, _)| target.starts_with(prefix)).map(|(_, ty)| *ty)
}

/// By the file type bits of stat(2).
fn of_mode(mode: u32) -> Option<FdType> {
    match mode & S_IFMT {
        0 => None,
        S_IFDIR => Some(FdType::Directory),
        S_IFIFO => Some(FdType::Fifo),
        S_IFSOCK => Some(FdType::UnixSock),
        _ => Some(FdType::FileV2),
    }
}

fn named(name: &[u8]) -> FdDetail {
    FdDetail::Named(name.to_vec())
}

/// `/memfd:NAME (deleted)` -> `NAME`, which is what the creating call names.
fn memfd_name(target: &[u8]) -> &[u8] {
    let name = target.strip_prefix(b"/memfd:").unwrap_or(target);
    name.strip_suffix(b" (deleted)").unwrap_or(name)
}

/// `/proc/PID` of the process behind a pidfd.
fn pidfd_name(dir: &Path, fd: i64) -> Vec<u8> {
    let info = fdinfo(dir, fd);
    let pid = info.lines().find_map(|l| l.strip_prefix("Pid:")).map(str::trim);
    pid.map(|p| format!("/proc/{p}").into_bytes()).unwrap_or_default()
}

fn fdinfo(dir: &Path, fd: i64) -> String {
    text(&dir.join("fdinfo").join(fd.to_string()))
}

/// What the link of a socket begins with.
const SOCKET: &[u8] = b"socket:[";
/// inode(7)
const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFIFO: u32 = 0o010_000;
const S_IFSOCK: u32 = 0o140_000;

fn bracketed(target: &[u8], prefix: &[u8]) -> Option<u64> {
    let digits = target.strip_prefix(prefix)?.strip_suffix(b"]")?;
    number(std::str::from_utf8(digits).ok()?)
}

/// Open flags in the numbers of the flag tables, from the octal ones of fdinfo.
fn flags(dir: &Path, fd: i64) -> u32 {
    let info = fdinfo(dir, fd);
    let octal = info.lines().find_map(|l| l.strip_prefix("flags:")).map(str::trim);
    open_flags(octal.and_then(|o| u32::from_str_radix(o, 8).ok()).unwrap_or(0))
}

/// Flags of open(2) (uapi/asm-generic/fcntl.h with the x86 numbers) in those of the flag tables (`file_flags`).
fn open_flags(native: u32) -> u32 {
    const PAIRS: [(u32, u32); 11] = [
        (0o100, 4),
        (0o200, 32),
        (0o1000, 256),
        (0o2000, 8),
        (0o4000, 64),
        (0o10000, 16),
        (0o40000, 512),
        (0o100_000, 2048),
        (0o200_000, 1024),
        (0o2_000_000, 4096),
        (0o4_010_000, 128),
    ];
    let access = match native & 3 {
        0 => 1,
        1 => 2,
        2 => 3,
        _ => 0,
    };
    PAIRS.iter().filter(|(bits, _)| native & bits == *bits).fold(access, |flags, (_, bit)| flags | bit)
}

/// A device number as stat(2) gives it to 64-bit programs, to the 32-bit form of events.
fn encode_dev(dev: u64) -> u32 {
    let major = (dev >> 8 & 0xfff) | (dev >> 32 & !0xfff);
    let minor = (dev & 0xff) | (dev >> 12 & !0xff);
    u32::try_from((minor & 0xff) | major << 8 | (minor & !0xff) << 12).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procs::Procs;
    use std::os::fd::AsRawFd;

    fn mine(fd: i32) -> Fd {
        let me = Procs::new("/proc", 0).thread(i64::from(std::process::id())).expect("this process");
        me.fds.into_iter().find(|f| f.fd == i64::from(fd)).expect("the descriptor")
    }

    #[test]
    fn a_file_has_its_path_flags_and_device() {
        let file = fs::File::open("/proc/self/status").expect("a file");
        let found = mine(file.as_raw_fd());
        let FdDetail::File { open_flags, name, .. } = found.detail else { panic!("{found:?}") };
        assert_eq!(open_flags & 3, 1);
        assert!(name.ends_with(b"/status"));
    }

    #[test]
    fn sockets_have_both_ends() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = server.local_addr().expect("an address").port();
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        let (accepted, _) = server.accept().expect("the other end");
        let listening = mine(server.as_raw_fd());
        assert_eq!(listening.ty, FdType::Ipv4ServSock);
        assert!(matches!(listening.detail, FdDetail::Server { port: p, .. } if p == port), "{listening:?}");
        for end in [mine(client.as_raw_fd()), mine(accepted.as_raw_fd())] {
            assert_eq!(end.ty, FdType::Ipv4Sock);
            assert!(
                matches!(end.detail, FdDetail::Socket { dport, .. } if dport == port),
                "server is the destination: {end:?}"
            );
        }
    }

    #[test]
    fn pipes_and_folders() {
        let (read, _write) = std::io::pipe().expect("a pipe");
        assert_eq!((mine(read.as_raw_fd()).ty, mine(read.as_raw_fd()).detail), (FdType::Fifo, named(b"")));
        let folder = fs::File::open("/").expect("a folder");
        assert_eq!(mine(folder.as_raw_fd()).ty, FdType::Directory);
    }

    #[test]
    fn flags_and_devices_in_the_numbers_of_events() {
        assert_eq!(open_flags(0o2_100_102), 3 | 4 | 2048 | 4096);
        assert_eq!(encode_dev(0xfd00), 0xfd00);
        assert_eq!(memfd_name(b"/memfd:x y (deleted)"), b"x y");
    }
}
