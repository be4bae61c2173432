//! The engine's state as a snapshot: what a capture that begins in the middle of a run has to start with. State comes in,
//! processes with their open files go out; it is copied, so this is for moments when a recording begins, never per event.

use engine::state::{FdEntry, Socket, State, Thread};
use event::snapshot::{Fd, FdDetail, FdType, Proc, Snapshot};

/// Copies what `state` knows. Users and groups are those that `known` had at the start.
pub fn take(state: &State, known: &Snapshot) -> Snapshot {
    Snapshot {
        machine: state.machine.clone(),
        procs: state
            .threads()
            .filter(|thread| !thread.is_invalid() && !thread.dead)
            .map(|t| proc_of(state, t))
            .collect(),
        users: known.users.clone(),
        groups: known.groups.clone(),
        interfaces: state.interfaces.iter().cloned().collect(),
    }
}

fn proc_of(state: &State, thread: &Thread) -> Proc {
    let fds = if thread.is_main() { state.fds_of(thread) } else { None };
    Proc {
        tid: thread.tid,
        pid: thread.pid,
        ptid: thread.ptid,
        sid: thread.sid,
        vpgid: thread.vpgid,
        pgid: thread.pgid,
        vtid: thread.vtid,
        vpid: thread.vpid,
        comm: thread.comm.to_vec(),
        exe: thread.exe.to_vec(),
        exepath: thread.exepath.to_vec(),
        args: thread.args.to_vec(),
        env: state.env_of(thread).to_vec(),
        cwd: state.cwd_of(thread).to_vec(),
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
        fds: fds.map(|fds| fds.iter().map(|(fd, entry)| fd_of(fd, entry)).collect()).unwrap_or_default(),
    }
}

fn fd_of(fd: i64, entry: &FdEntry) -> Fd {
    let detail = match entry.socket {
        Socket::Inet { sip, sport, dip, dport, l4 } => FdDetail::Socket { sip, sport, dip, dport, l4 },
        Socket::Server { ip, port, l4 } => FdDetail::Server { ip, port, l4 },
        Socket::Unix { source, destination } => FdDetail::Unix { source, destination, path: entry.name.to_vec() },
        Socket::None if matches!(entry.ty, FdType::File | FdType::FileV2) => {
            FdDetail::File { open_flags: entry.open_flags, name: entry.name.to_vec(), dev: entry.dev }
        }
        Socket::None => FdDetail::Named(entry.name.to_vec()),
    };
    // A socket without addresses yet has no form of its own in a capture.
    let is_unbound = matches!(detail, FdDetail::Named(_)) && is_socket(entry.ty);
    Fd { fd, ino: entry.ino, ty: if is_unbound { FdType::Unsupported } else { entry.ty }, detail }
}

fn is_socket(ty: FdType) -> bool {
    matches!(ty, FdType::Ipv4Sock | FdType::Ipv6Sock | FdType::Ipv4ServSock | FdType::Ipv6ServSock | FdType::UnixSock)
}
