//! One thread and its process. In: what clone, execve and the identity-changing calls report, or what a snapshot found.
//! Out: plain fields that conditions read. Text is shared between threads; working directory, environment and open
//! files live with the main thread. Nothing here looks up other threads: that is the table's business.

use super::fds::FdTable;
use super::strings::Str;

/// One row of the thread table. Ids are -1 and times 0 where unknown.
#[derive(Clone, Debug)]
pub struct Thread {
    pub tid: i64,
    pub pid: i64,
    /// Thread id of the parent process's thread; the parent's tid even for threads of one process.
    pub ptid: i64,
    pub sid: i64,
    pub vpgid: i64,
    pub pgid: i64,
    /// Ids inside the innermost pid namespace.
    pub vtid: i64,
    pub vpid: i64,
    /// The thread that took this one's children over; -1 = none yet.
    pub reaper_tid: i64,
    /// Start of the pid namespace's init, ns since the epoch.
    pub pidns_init_start_ts: u64,
    /// ns since the epoch; 0 = unknown.
    pub clone_ts: u64,
    /// ns since the epoch; 0 = did not execute anything since events began.
    pub lastexec_ts: u64,
    /// Time of the last event of this thread, ns since the epoch.
    pub lastaccess_ts: u64,
    pub comm: Str,
    /// `argv[0]`.
    pub exe: Str,
    pub exepath: Str,
    /// Arguments after `argv[0]`, each with a terminating NUL.
    pub args: Str,
    /// `comm arg1 arg2 ...` as it was when the arguments were set.
    pub cmdline: Str,
    /// Bytes of `cmdline` that are the name.
    pub cmdline_comm_len: u32,
    /// `NAME=value` items, each with a terminating NUL. Kept on the main thread.
    pub env: Str,
    /// Ends with a slash when known. Kept on the main thread.
    pub cwd: Str,
    pub root: Str,
    /// Normalised `subsys=path` items, each with a terminating NUL.
    pub cgroups: Str,
    /// Container the cgroups name; empty = host.
    pub container_id: Str,
    pub flags: ThreadFlags,
    pub uid: u32,
    pub gid: u32,
    /// 0xffffffff = unset.
    pub loginuid: u32,
    pub tty: u32,
    /// Kept on the main thread.
    pub fdlimit: i64,
    pub cap_permitted: u64,
    pub cap_effective: u64,
    pub cap_inheritable: u64,
    /// Capabilities stay permitted when the thread gives up root (`PR_SET_KEEPCAPS`).
    pub(crate) keeps_caps: bool,
    pub exe_ino: u64,
    /// ns since the epoch.
    pub exe_ino_ctime: u64,
    pub exe_ino_mtime: u64,
    /// Clone time minus change time of the executable, ns; 0 = unknown.
    pub exe_ino_ctime_duration_clone_ts: u64,
    /// Change time of the executable minus start of the pid namespace, ns; 0 = unknown or earlier.
    pub exe_ino_ctime_duration_pidns_start: u64,
    pub vmsize_kb: u32,
    pub vmrss_kb: u32,
    pub vmswap_kb: u32,
    pub pfmajor: u64,
    pub pfminor: u64,
    pub exe_writable: bool,
    pub exe_upper_layer: bool,
    pub exe_lower_layer: bool,
    pub exe_from_memfd: bool,
    /// The exit was seen; the row goes when the next event arrives.
    pub dead: bool,
    /// The descriptor that the last descriptor-using event named; -1 = none.
    pub lastevent_fd: i64,
    pub(crate) children: Vec<i64>,
    pub(crate) fds: FdTable,
    /// The last enter event of this thread, as it lies in memory; empty = none.
    pub(crate) enter: Vec<u8>,
    /// An exit event took the enter event already; it must not serve a second one.
    pub(crate) enter_used: bool,
}

/// Clone flags and marks of the engine in the same word (`clone_flags` of the flag tables).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ThreadFlags(pub u32);

#[allow(missing_docs)]
impl ThreadFlags {
    pub const CLONE_FILES: ThreadFlags = ThreadFlags(1);
    pub const CLONE_NEWPID: ThreadFlags = ThreadFlags(1 << 6);
    pub const CLONE_PARENT: ThreadFlags = ThreadFlags(1 << 8);
    pub const CLONE_THREAD: ThreadFlags = ThreadFlags(1 << 13);
    /// The child's own event created the entry.
    pub const CLONE_INVERTED: ThreadFlags = ThreadFlags(1 << 16);
    pub const NAME_CHANGED: ThreadFlags = ThreadFlags(1 << 17);
    pub const CLOSED: ThreadFlags = ThreadFlags(1 << 18);
    pub const ACTIVE: ThreadFlags = ThreadFlags(1 << 19);
    pub const CLONE_NEWUSER: ThreadFlags = ThreadFlags(1 << 20);
    pub const PIPE_SRC: ThreadFlags = ThreadFlags(1 << 21);
    pub const PIPE_DST: ThreadFlags = ThreadFlags(1 << 22);
    pub const CLONE_VFORK: ThreadFlags = ThreadFlags(1 << 27);
    pub const CHILD_IN_PIDNS: ThreadFlags = ThreadFlags(1 << 29);
    pub const IS_MAIN_THREAD: ThreadFlags = ThreadFlags(1 << 30);

    /// Whether any bit of `other` is set.
    pub const fn has(self, other: ThreadFlags) -> bool {
        self.0 & other.0 != 0
    }

    pub fn set(&mut self, other: ThreadFlags, on: bool) {
        self.0 = if on { self.0 | other.0 } else { self.0 & !other.0 };
    }
}

impl Thread {
    /// A thread about which only its id is known.
    pub fn new(tid: i64) -> Self {
        Thread {
            tid,
            pid: -1,
            ptid: -1,
            sid: -1,
            vpgid: -1,
            pgid: -1,
            vtid: -1,
            vpid: -1,
            reaper_tid: -1,
            pidns_init_start_ts: 0,
            clone_ts: 0,
            lastexec_ts: 0,
            lastaccess_ts: 0,
            comm: Str::default(),
            exe: Str::default(),
            exepath: Str::default(),
            args: Str::default(),
            cmdline: Str::default(),
            cmdline_comm_len: 0,
            env: Str::default(),
            cwd: Str::default(),
            root: Str::default(),
            cgroups: Str::default(),
            container_id: Str::default(),
            flags: ThreadFlags::default(),
            uid: u32::MAX,
            gid: u32::MAX,
            loginuid: u32::MAX,
            tty: 0,
            fdlimit: -1,
            cap_permitted: 0,
            cap_effective: 0,
            cap_inheritable: 0,
            keeps_caps: false,
            exe_ino: 0,
            exe_ino_ctime: 0,
            exe_ino_mtime: 0,
            exe_ino_ctime_duration_clone_ts: 0,
            exe_ino_ctime_duration_pidns_start: 0,
            vmsize_kb: 0,
            vmrss_kb: 0,
            vmswap_kb: 0,
            pfmajor: 0,
            pfminor: 0,
            exe_writable: false,
            exe_upper_layer: false,
            exe_lower_layer: false,
            exe_from_memfd: false,
            dead: false,
            lastevent_fd: -1,
            children: Vec::new(),
            fds: FdTable::default(),
            enter: Vec::new(),
            enter_used: false,
        }
    }

    /// A placeholder for a thread that nobody could tell anything about.
    pub fn is_invalid(&self) -> bool {
        self.tid < 0 || self.pid < 0 || self.ptid < 0
    }

    pub fn is_main(&self) -> bool {
        self.tid == self.pid || self.flags.has(ThreadFlags::IS_MAIN_THREAD)
    }

    /// Whether it lives in a pid namespace below the host's.
    pub fn in_pidns(&self) -> bool {
        self.flags.has(ThreadFlags::CHILD_IN_PIDNS) || self.tid != self.vtid
    }

    /// Renews the two durations that follow from the other times.
    pub(crate) fn measure_exe_age(&mut self) {
        let ctime = self.exe_ino_ctime;
        self.exe_ino_ctime_duration_clone_ts = if self.clone_ts == 0 { 0 } else { self.clone_ts.saturating_sub(ctime) };
        self.exe_ino_ctime_duration_pidns_start = ctime.saturating_sub(self.pidns_init_start_ts);
    }

    /// Arguments after `argv[0]`, in order.
    pub fn args(&self) -> impl Iterator<Item = &[u8]> {
        items(&self.args)
    }

    /// Arguments joined by blanks.
    pub fn args_joined(&self) -> &[u8] {
        self.cmdline.get(self.cmdline_comm_len as usize + 1..).unwrap_or_default()
    }

    /// `NAME=value` items of this thread's own record; see [`super::State::env_of`] for the process's.
    pub fn env(&self) -> impl Iterator<Item = &[u8]> {
        items(&self.env)
    }

    /// `(subsystem, path)` pairs.
    pub fn cgroups(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        items(&self.cgroups).filter_map(|item| {
            let at = memchr::memchr(b'=', item)?;
            Some((&item[..at], &item[at + 1..]))
        })
    }

    /// The name that `cmdline` begins with.
    pub(crate) fn cmdline_comm(&self) -> &[u8] {
        self.cmdline.get(..self.cmdline_comm_len as usize).unwrap_or_default()
    }
}

/// The items of a NUL-separated list; a last item without its NUL counts.
pub fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let skip = usize::from(list.is_empty());
    list.strip_suffix(b"\0").unwrap_or(list).split(|b| *b == 0).skip(skip)
}
