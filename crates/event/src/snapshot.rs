//! What was already there when events began: machine, processes with their open files, users, groups and interfaces.
//! A capture file carries it as blocks; a live start reads it from BPF iterators or /proc. The engine takes both alike.

use std::net::IpAddr;

/// The machine a stream of events comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    pub num_cpus: u32,
    pub memory_bytes: u64,
    pub max_pid: u64,
    pub hostname: String,
    /// Wall clock of boot in ns since the epoch; 0 = unknown.
    pub boot_ts: u64,
}

/// One thread as it was found. Ids are -1 and times 0 where unknown; `args`, `env` and `cgroups` are NUL-separated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proc {
    pub tid: i64,
    pub pid: i64,
    pub ptid: i64,
    pub sid: i64,
    pub vpgid: i64,
    pub pgid: i64,
    pub vtid: i64,
    pub vpid: i64,
    pub comm: Vec<u8>,
    /// `argv[0]`.
    pub exe: Vec<u8>,
    pub exepath: Vec<u8>,
    pub args: Vec<u8>,
    pub env: Vec<u8>,
    pub cwd: Vec<u8>,
    pub root: Vec<u8>,
    /// `subsys=path` items.
    pub cgroups: Vec<u8>,
    pub fdlimit: i64,
    /// `clone_flags` bits of the flag tables.
    pub flags: u32,
    pub uid: u32,
    pub gid: u32,
    /// 0xffffffff = unset.
    pub loginuid: u32,
    pub tty: u32,
    pub vmsize_kb: u32,
    pub vmrss_kb: u32,
    pub vmswap_kb: u32,
    pub pfmajor: u64,
    pub pfminor: u64,
    pub cap_inheritable: u64,
    pub cap_permitted: u64,
    pub cap_effective: u64,
    pub exe_writable: bool,
    pub exe_upper_layer: bool,
    pub exe_lower_layer: bool,
    pub exe_from_memfd: bool,
    pub exe_ino: u64,
    /// ns since the epoch.
    pub exe_ino_ctime: u64,
    pub exe_ino_mtime: u64,
    pub pidns_init_start_ts: u64,
    /// Start of the process, ns since the epoch; 0 = unknown.
    pub clone_ts: u64,
    pub fds: Vec<Fd>,
}

impl Default for Proc {
    fn default() -> Self {
        Proc {
            tid: -1,
            pid: -1,
            ptid: -1,
            sid: -1,
            vpgid: -1,
            pgid: -1,
            vtid: -1,
            vpid: -1,
            comm: Vec::new(),
            exe: Vec::new(),
            exepath: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: Vec::new(),
            root: Vec::new(),
            cgroups: Vec::new(),
            fdlimit: 0,
            flags: 0,
            uid: 0,
            gid: 0,
            loginuid: u32::MAX,
            tty: 0,
            vmsize_kb: 0,
            vmrss_kb: 0,
            vmswap_kb: 0,
            pfmajor: 0,
            pfminor: 0,
            cap_inheritable: 0,
            cap_permitted: 0,
            cap_effective: 0,
            exe_writable: false,
            exe_upper_layer: false,
            exe_lower_layer: false,
            exe_from_memfd: false,
            exe_ino: 0,
            exe_ino_ctime: 0,
            exe_ino_mtime: 0,
            pidns_init_start_ts: 0,
            clone_ts: 0,
            fds: Vec::new(),
        }
    }
}

impl Proc {
    /// Takes the command line as it lies in memory: `argv[0]` and the other arguments, each with a NUL. Kernel threads
    /// have none and go by their name, so that is set first.
    pub fn set_command_line(&mut self, text: &[u8]) {
        let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
        let (exe, args) = (text.get(..end).unwrap_or_default(), text.get(end + 1..).unwrap_or_default());
        self.exe = if exe.is_empty() { self.comm.clone() } else { exe.to_vec() };
        self.args = args.get(..TEXT_BYTES).unwrap_or(args).to_vec();
    }

    /// Takes the working directory, which ends with a slash where it is known.
    pub fn set_cwd(&mut self, mut path: Vec<u8>) {
        if path.last().is_some_and(|b| *b != b'/') {
            path.push(b'/');
        }
        self.cwd = path;
    }

    /// Takes the environment, up to the size that live events have.
    pub fn set_env(&mut self, mut text: Vec<u8>) {
        text.truncate(TEXT_BYTES);
        self.env = text;
    }
}

/// Arguments and environment are kept up to the size that live events have.
const TEXT_BYTES: usize = 4096;

/// The kind of an open file, with the numbers of the capture format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FdType {
    Unknown = 0,
    File = 1,
    Directory = 2,
    Ipv4Sock = 3,
    Ipv6Sock = 4,
    Ipv4ServSock = 5,
    Ipv6ServSock = 6,
    Fifo = 7,
    UnixSock = 8,
    Event = 9,
    Unsupported = 10,
    Signalfd = 11,
    Eventpoll = 12,
    Inotify = 13,
    Timerfd = 14,
    Netlink = 15,
    FileV2 = 16,
    Bpf = 17,
    Userfaultfd = 18,
    IoUring = 19,
    Memfd = 20,
    Pidfd = 21,
}

impl FdType {
    /// Unknown numbers become [`FdType::Unsupported`].
    pub fn from_code(code: u8) -> FdType {
        const ALL: [FdType; 22] = [
            FdType::Unknown,
            FdType::File,
            FdType::Directory,
            FdType::Ipv4Sock,
            FdType::Ipv6Sock,
            FdType::Ipv4ServSock,
            FdType::Ipv6ServSock,
            FdType::Fifo,
            FdType::UnixSock,
            FdType::Event,
            FdType::Unsupported,
            FdType::Signalfd,
            FdType::Eventpoll,
            FdType::Inotify,
            FdType::Timerfd,
            FdType::Netlink,
            FdType::FileV2,
            FdType::Bpf,
            FdType::Userfaultfd,
            FdType::IoUring,
            FdType::Memfd,
            FdType::Pidfd,
        ];
        ALL.get(usize::from(code)).copied().unwrap_or(FdType::Unsupported)
    }
}

/// Transport protocol of a socket, with the numbers of the capture format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum L4 {
    #[default]
    Unknown = 0,
    Na = 1,
    Tcp = 2,
    Udp = 3,
    Icmp = 4,
    Raw = 5,
}

/// One open file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fd {
    pub fd: i64,
    pub ino: u64,
    pub ty: FdType,
    pub detail: FdDetail,
}

/// One open file as the kernel describes it, before anybody decided what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenFile {
    pub pid: i64,
    pub fd: i64,
    pub ino: u64,
    /// `st_mode` of stat(2); 0 = unknown.
    pub mode: u32,
    /// Device number in the 32-bit form of events.
    pub dev: u32,
    /// `file_flags` bits of the flag tables.
    pub open_flags: u32,
    /// Inode of the network namespace of the process.
    pub net_namespace: u64,
    /// What readlink(2) says: a path, `socket:[INODE]`, `anon_inode:[eventfd]`, ...
    pub target: Vec<u8>,
}

/// What only some kinds of open files have. Ports are in host order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FdDetail {
    Socket {
        sip: IpAddr,
        sport: u16,
        dip: IpAddr,
        dport: u16,
        l4: L4,
    },
    Server {
        ip: IpAddr,
        port: u16,
        l4: L4,
    },
    /// Kernel addresses of both ends and the path.
    Unix {
        source: u64,
        destination: u64,
        path: Vec<u8>,
    },
    File {
        open_flags: u32,
        name: Vec<u8>,
        dev: u32,
    },
    Named(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub name: Vec<u8>,
    pub homedir: Vec<u8>,
    pub shell: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub gid: u32,
    pub name: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: Vec<u8>,
    pub addr: IpAddr,
    pub netmask: IpAddr,
    pub broadcast: IpAddr,
    pub linkspeed: u64,
}

/// Everything known before the first event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub machine: Machine,
    pub procs: Vec<Proc>,
    pub users: Vec<User>,
    pub groups: Vec<Group>,
    pub interfaces: Vec<Interface>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_split_at_the_first_nul() {
        let split = |text: &[u8]| {
            let mut p = Proc { comm: b"name".to_vec(), ..Proc::default() };
            p.set_command_line(text);
            (p.exe, p.args)
        };
        assert_eq!(split(b"sh\0-c\0x\0"), (b"sh".to_vec(), b"-c\0x\0".to_vec()));
        assert_eq!(split(b"sh"), (b"sh".to_vec(), Vec::new()));
        assert_eq!(split(b""), (b"name".to_vec(), Vec::new()));
        assert_eq!(split(&[b'a'; 9000].map(|_| 0)).1.len(), TEXT_BYTES);
    }
}
