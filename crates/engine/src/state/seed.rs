//! What was there before the first event. In: a snapshot of a capture file, of BPF iterators or of /proc. Out: filled
//! tables. Order of the processes does not matter, unknown parents stay unknown, nothing is asked of the machine.

use super::{Accounts, FdEntry, FdFlags, FdTable, Interfaces, Socket, State, Str, Thread, ThreadFlags, net};
use event::snapshot::{Fd, FdDetail, FdType, L4, Proc, Snapshot};
use hashbrown::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

impl State {
    /// Starts over with what `snapshot` found.
    pub(crate) fn seed(&mut self, snapshot: Snapshot) {
        self.machine = snapshot.machine;
        self.interfaces = Interfaces::new(snapshot.interfaces);
        self.accounts = Accounts::default();
        snapshot.users.into_iter().for_each(|u| self.accounts.add_user(b"", u));
        snapshot.groups.into_iter().for_each(|g| self.accounts.add_group(b"", g));
        let bound = bound_ports(&snapshot.procs);
        let mut tids = Vec::with_capacity(snapshot.procs.len());
        for proc in &snapshot.procs {
            let thread = self.thread_of(proc, &bound);
            tids.push(thread.tid);
            self.add_thread(thread);
        }
        tids.into_iter().for_each(|tid| self.link(tid));
    }

    /// One process found later, by a look into /proc.
    pub(crate) fn seed_proc(&mut self, proc: &Proc) -> bool {
        let bound = bound_ports(std::slice::from_ref(proc));
        let thread = self.thread_of(proc, &bound);
        self.add_thread(thread)
    }

    fn thread_of(&mut self, proc: &Proc, bound: &HashSet<u16>) -> Thread {
        let mut thread = Thread {
            pid: proc.pid,
            ptid: proc.ptid,
            sid: proc.sid,
            vpgid: proc.vpgid,
            pgid: proc.pgid,
            vtid: proc.vtid,
            vpid: proc.vpid,
            uid: proc.uid,
            gid: proc.gid,
            loginuid: proc.loginuid,
            tty: proc.tty,
            fdlimit: proc.fdlimit,
            vmsize_kb: proc.vmsize_kb,
            vmrss_kb: proc.vmrss_kb,
            vmswap_kb: proc.vmswap_kb,
            pfmajor: proc.pfmajor,
            pfminor: proc.pfminor,
            cap_inheritable: proc.cap_inheritable,
            cap_permitted: proc.cap_permitted,
            cap_effective: proc.cap_effective,
            ..Thread::new(proc.tid)
        };
        seed_exe(&mut thread, proc);
        self.seed_text(&mut thread, proc);
        thread.flags = ThreadFlags(proc.flags | ThreadFlags::ACTIVE.0);
        thread.flags.set(ThreadFlags::CLONE_FILES, proc.tid != proc.pid);
        thread.flags.set(ThreadFlags::IS_MAIN_THREAD, proc.tid == proc.pid);
        thread.fds = self.fd_table(&proc.fds, bound);
        thread
    }

    fn seed_text(&mut self, thread: &mut Thread, proc: &Proc) {
        thread.exe = self.text(&proc.exe, usize::MAX);
        thread.exepath = self.text(proc.exepath.strip_suffix(DELETED).unwrap_or(&proc.exepath), usize::MAX);
        thread.env = self.text(&proc.env, self.limits.env_bytes);
        thread.root = self.text(&proc.root, usize::MAX);
        let mut cwd = proc.cwd.clone();
        if cwd.last() != Some(&b'/') {
            cwd.push(b'/');
        }
        thread.cwd = self.text(&cwd, usize::MAX);
        let args: &[u8] = if proc.args == [0] { b"" } else { &proc.args };
        self.set_command(thread, &proc.comm, args);
        self.set_cgroups(thread, &proc.cgroups);
    }

    /// One open file found later, by a look into /proc.
    pub(crate) fn add_found_fd(&mut self, tid: i64, fd: &Fd) {
        self.add_fd(tid, fd.fd, entry_of(fd, &HashSet::new()));
    }

    fn fd_table(&mut self, fds: &[Fd], bound: &HashSet<u16>) -> FdTable {
        let mut table = FdTable::default();
        for fd in fds {
            let entry = Arc::new(entry_of(fd, bound));
            if table.insert(fd.fd, entry, self.limits.fds).is_err() {
                self.counters.bump(super::Counter::FullFdTableDrops);
            }
        }
        table
    }
}

fn seed_exe(thread: &mut Thread, proc: &Proc) {
    thread.exe_writable = proc.exe_writable;
    thread.exe_upper_layer = proc.exe_upper_layer;
    thread.exe_lower_layer = proc.exe_lower_layer;
    thread.exe_from_memfd = proc.exe_from_memfd;
    thread.exe_ino = proc.exe_ino;
    thread.exe_ino_ctime = proc.exe_ino_ctime;
    thread.exe_ino_mtime = proc.exe_ino_mtime;
    thread.pidns_init_start_ts = proc.pidns_init_start_ts;
    thread.clone_ts = proc.clone_ts;
    thread.measure_exe_age();
}

/// Ports on which some process listens.
fn bound_ports(procs: &[Proc]) -> HashSet<u16> {
    let fds = procs.iter().flat_map(|p| &p.fds);
    fds.filter_map(|fd| if let FdDetail::Server { port, .. } = fd.detail { Some(port) } else { None }).collect()
}

fn entry_of(fd: &Fd, bound: &HashSet<u16>) -> FdEntry {
    let mut entry = FdEntry { ino: fd.ino, flags: FdFlags::FROM_PROC, ..FdEntry::new(fd.ty) };
    match &fd.detail {
        FdDetail::Socket { sip, sport, dip, dport, l4 } => {
            connection(&mut entry, ((*sip, *sport), (*dip, *dport)), *l4, bound);
        }
        FdDetail::Server { ip, port, l4 } => entry.socket = Socket::Server { ip: *ip, port: *port, l4: *l4 },
        FdDetail::Unix { source, destination, .. } => {
            entry.socket = Socket::Unix { source: *source, destination: *destination };
            entry.set_role(FdFlags::ROLE_CLIENT);
        }
        FdDetail::File { open_flags, dev, .. } => (entry.open_flags, entry.dev) = (*open_flags, *dev),
        FdDetail::Named(_) => {}
    }
    entry.name = match &fd.detail {
        FdDetail::File { name, .. } | FdDetail::Named(name) => Str::from(name.as_slice()),
        FdDetail::Unix { path, .. } => Str::from(path.as_slice()),
        FdDetail::Socket { .. } if !entry.has_role() => Str::default(),
        FdDetail::Socket { .. } | FdDetail::Server { .. } => Str::from(net::name(&entry.socket, b"")),
    };
    set_layer(&mut entry);
    entry
}

type End = (IpAddr, u16);

/// A connection whose local end comes first; who listens on that port is its server.
fn connection(entry: &mut FdEntry, (local, remote): (End, End), l4: L4, bound: &HashSet<u16>) {
    let (local, remote) = ((net::unmapped(local.0), local.1), (net::unmapped(remote.0), remote.1));
    if local.0.is_ipv4() && remote.0.is_ipv4() {
        entry.ty = FdType::Ipv4Sock;
    }
    let served = bound.contains(&local.1);
    let ((sip, sport), (dip, dport)) = if served { (remote, local) } else { (local, remote) };
    entry.socket = Socket::Inet { sip, sport, dip, dport, l4 };
    let is_connected = [local, remote].iter().any(|(ip, port)| !ip.is_unspecified() || *port != 0);
    if is_connected {
        entry.set_role(if served { FdFlags::ROLE_SERVER } else { FdFlags::ROLE_CLIENT });
    }
}

fn set_layer(entry: &mut FdEntry) {
    if entry.ty == FdType::FileV2 {
        entry.flags.set(FdFlags::OVERLAY_UPPER, entry.open_flags & FD_UPPER_LAYER != 0);
        entry.flags.set(FdFlags::OVERLAY_LOWER, entry.open_flags & FD_LOWER_LAYER != 0);
    }
}

/// What the kernel appends to the path of an executable that was unlinked (proc(5)).
const DELETED: &[u8] = b" (deleted)";

/// Bits of `file_flags`.
pub(crate) const FD_UPPER_LAYER: u32 = 1 << 15;
pub(crate) const FD_LOWER_LAYER: u32 = 1 << 16;
