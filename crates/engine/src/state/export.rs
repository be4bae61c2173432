//! The state as a snapshot. In: the tables as they are. Out: what a capture that begins now has to carry, so that its
//! replay knows what the engine knew. Placeholders and exited threads are left out.

use super::{FdEntry, Socket, State, Thread};
use event::snapshot::{Fd, FdDetail, FdType, Proc, Snapshot};

impl State {
    /// Machine, threads with their open files, host accounts and interfaces. Main threads come before the others.
    pub fn snapshot(&self) -> Snapshot {
        let mut threads: Vec<&Thread> = self.threads().filter(|t| !t.is_invalid() && !t.dead).collect();
        threads.sort_unstable_by_key(|t| (!t.is_main(), t.tid));
        Snapshot {
            machine: self.machine.clone(),
            procs: threads.into_iter().map(|t| self.proc_of(t)).collect(),
            users: self.accounts.users_of(b"").cloned().collect(),
            groups: self.accounts.groups_of(b"").cloned().collect(),
            interfaces: self.interfaces.iter().cloned().collect(),
        }
    }

    fn proc_of(&self, thread: &Thread) -> Proc {
        Proc {
            comm: thread.comm.to_vec(),
            exe: thread.exe.to_vec(),
            exepath: thread.exepath.to_vec(),
            args: thread.args.to_vec(),
            env: self.env_of(thread).to_vec(),
            cwd: self.cwd_of(thread).to_vec(),
            root: thread.root.to_vec(),
            cgroups: thread.cgroups.to_vec(),
            fdlimit: thread.fdlimit,
            flags: thread.flags.0,
            uid: thread.uid,
            gid: thread.gid,
            loginuid: thread.loginuid,
            tty: thread.tty,
            vmsize_kb: thread.vmsize_kb,
            vmrss_kb: thread.vmrss_kb,
            vmswap_kb: thread.vmswap_kb,
            pfmajor: thread.pfmajor,
            pfminor: thread.pfminor,
            fds: thread.fds.iter().filter_map(|(fd, entry)| fd_of(fd, entry)).collect(),
            ..ids_and_executable(thread)
        }
    }
}

fn ids_and_executable(thread: &Thread) -> Proc {
    Proc {
        tid: thread.tid,
        pid: thread.pid,
        ptid: thread.ptid,
        sid: thread.sid,
        vpgid: thread.vpgid,
        pgid: thread.pgid,
        vtid: thread.vtid,
        vpid: thread.vpid,
        cap_inheritable: thread.cap_inheritable,
        cap_permitted: thread.cap_permitted,
        cap_effective: thread.cap_effective,
        exe_writable: thread.exe_writable,
        exe_upper_layer: thread.exe_upper_layer,
        exe_lower_layer: thread.exe_lower_layer,
        exe_from_memfd: thread.exe_from_memfd,
        exe_ino: thread.exe_ino,
        exe_ino_ctime: thread.exe_ino_ctime,
        exe_ino_mtime: thread.exe_ino_mtime,
        pidns_init_start_ts: thread.pidns_init_start_ts,
        clone_ts: thread.clone_ts,
        ..Proc::default()
    }
}

/// `None` for what the capture format has no kind for.
fn fd_of(fd: i64, entry: &FdEntry) -> Option<Fd> {
    let detail = match (entry.socket, entry.ty) {
        (_, FdType::Unknown) => return None,
        (Socket::Inet { sip, sport, dip, dport, l4 }, _) => FdDetail::Socket { sip, sport, dip, dport, l4 },
        (Socket::Server { ip, port, l4 }, _) => FdDetail::Server { ip, port, l4 },
        (Socket::Unix { source, destination }, _) => {
            FdDetail::Unix { source, destination, path: unix_path(&entry.name).to_vec() }
        }
        (Socket::None, FdType::UnixSock) => FdDetail::Unix { source: 0, destination: 0, path: entry.name.to_vec() },
        (Socket::None, FdType::FileV2) => {
            FdDetail::File { open_flags: entry.open_flags, name: entry.name.to_vec(), dev: entry.dev }
        }
        (Socket::None, _) => FdDetail::Named(entry.name.to_vec()),
    };
    Some(Fd { fd, ino: entry.ino, ty: entry.ty, detail })
}

/// The path behind the two ends in the name of a unix socket.
fn unix_path(name: &[u8]) -> &[u8] {
    match memchr::memmem::find(name, b"->") {
        Some(arrow) => memchr::memchr(b' ', &name[arrow..]).map_or(b"", |blank| &name[arrow + blank + 1..]),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_path_of_a_unix_socket() {
        assert_eq!(unix_path(b"ab->cd /run/a b"), b"/run/a b");
        assert_eq!(unix_path(b"ab->cd"), b"");
        assert_eq!(unix_path(b"/run/x"), b"/run/x");
    }
}
