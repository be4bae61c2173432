//! One row per event kind: which thread and descriptor it is about and which parser runs. In: the event table of crate
//! `event`. Out: a table made once per engine and indexed by kind. Kinds without a parser still get their thread and
//! descriptor.

use super::{Parser, clone, container, exec, exit, file, process, socket, traffic, users};
use event::tables::events;
use event::{EventFlags, EventInfo, Kind, ParamType};

/// How the pipeline treats one kind of event.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub thread: ThreadUse,
    /// The descriptor to associate.
    pub fd: FdUse,
    pub is_enter: bool,
    /// Relative times count from the first event of such a kind; tables and sensor messages come before.
    pub starts_clock: bool,
    /// Parameter 0 tells success or failure.
    pub returns: bool,
    pub parser: Option<Parser>,
}

/// Whose event it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ThreadUse {
    /// Nobody's: users, groups, plugins.
    Nobody,
    /// A thread's, if it is known already.
    Known,
    /// A thread's; an unknown one is looked up and otherwise gets a placeholder.
    Any,
}

/// Where the descriptor number of an event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FdUse {
    None,
    /// The event is about a descriptor that only its parser finds, if anybody.
    Unknown,
    Param(u8),
}

/// The table, indexed by kind.
pub(crate) fn rows() -> Box<[Row]> {
    events().iter().map(row).collect()
}

fn row(info: &'static EventInfo) -> Row {
    let thread = thread_use(info);
    Row {
        thread,
        fd: fd_use(info),
        is_enter: info.is_enter,
        starts_clock: thread != ThreadUse::Nobody && !info.flags.has(EventFlags::SKIPPARSERESET),
        returns: returns(info),
        parser: parser(info.kind),
    }
}

fn thread_use(info: &EventInfo) -> ThreadUse {
    match info.kind {
        Kind::USER_ADDED_E
        | Kind::USER_DELETED_E
        | Kind::GROUP_ADDED_E
        | Kind::GROUP_DELETED_E
        | Kind::CONTAINER_JSON_2_E
        | Kind::PLUGINEVENT_E
        | Kind::ASYNCEVENT_E => ThreadUse::Nobody,
        Kind::SYSCALL_CLONE_20_X
        | Kind::SYSCALL_CLONE3_X
        | Kind::SYSCALL_FORK_20_X
        | Kind::SYSCALL_VFORK_20_X
        | Kind::PROCEXIT_1_E
        | Kind::SCHEDSWITCH_6_E => ThreadUse::Known,
        _ if info.flags.has(EventFlags::SKIPPARSERESET) => ThreadUse::Known,
        _ => ThreadUse::Any,
    }
}

fn returns(info: &EventInfo) -> bool {
    let first = info.params.first();
    !info.is_enter && first.is_some_and(|p| matches!(p.ty, ParamType::Errno | ParamType::Fd | ParamType::Pid))
}

fn fd_use(info: &EventInfo) -> FdUse {
    let creates = info.flags.has(EventFlags::CREATES_FD);
    let uses = info.flags.has(EventFlags(EventFlags::USES_FD.0 | EventFlags::DESTROYS_FD.0));
    if !creates && !uses {
        return FdUse::None;
    }
    if creates && !uses {
        return FdUse::Unknown;
    }
    let at =
        info.params.iter().enumerate().skip(usize::from(!info.is_enter)).find(|(_, p)| is_fd(p.ty)).map(|(i, _)| i);
    at.and_then(|i| u8::try_from(i).ok()).map_or(FdUse::Unknown, FdUse::Param)
}

fn is_fd(ty: ParamType) -> bool {
    matches!(ty, ParamType::Fd | ParamType::Fd32)
}

fn parser(kind: Kind) -> Option<Parser> {
    Some(match kind {
        Kind::SYSCALL_CLONE_20_X | Kind::SYSCALL_CLONE3_X | Kind::SYSCALL_FORK_20_X | Kind::SYSCALL_VFORK_20_X => {
            clone::clone_exit
        }
        Kind::SYSCALL_EXECVE_19_X | Kind::SYSCALL_EXECVEAT_X => exec::execve_exit,
        Kind::PROCEXIT_1_E => exit::procexit,
        _ => return file_parser(kind).or_else(|| socket_parser(kind)).or_else(|| process_parser(kind)),
    })
}

fn file_parser(kind: Kind) -> Option<Parser> {
    Some(match kind {
        Kind::SYSCALL_OPEN_X => file::open_exit,
        Kind::SYSCALL_OPENAT_2_X => file::openat_exit,
        Kind::SYSCALL_OPENAT2_X => file::openat2_exit,
        Kind::SYSCALL_CREAT_X => file::creat_exit,
        Kind::SYSCALL_OPEN_BY_HANDLE_AT_X => file::open_by_handle_at_exit,
        Kind::SYSCALL_CLOSE_X => file::close_exit,
        Kind::SYSCALL_CLOSE_RANGE_X => file::close_range_exit,
        Kind::SYSCALL_DUP_1_X | Kind::SYSCALL_DUP2_X | Kind::SYSCALL_DUP3_X => file::dup_exit,
        Kind::SYSCALL_FCNTL_X => file::fcntl_exit,
        Kind::SYSCALL_PIPE_X | Kind::SYSCALL_PIPE2_X => file::pipe_exit,
        Kind::SYSCALL_EVENTFD_X
        | Kind::SYSCALL_EVENTFD2_X
        | Kind::SYSCALL_SIGNALFD_X
        | Kind::SYSCALL_SIGNALFD4_X
        | Kind::SYSCALL_TIMERFD_CREATE_X
        | Kind::SYSCALL_INOTIFY_INIT_X
        | Kind::SYSCALL_INOTIFY_INIT1_X
        | Kind::SYSCALL_BPF_2_X
        | Kind::SYSCALL_USERFAULTFD_X
        | Kind::SYSCALL_IO_URING_SETUP_X
        | Kind::SYSCALL_EPOLL_CREATE_X
        | Kind::SYSCALL_EPOLL_CREATE1_X => file::special_exit,
        Kind::SYSCALL_MEMFD_CREATE_X => file::memfd_create_exit,
        Kind::SYSCALL_PIDFD_OPEN_X => file::pidfd_open_exit,
        Kind::SYSCALL_PIDFD_GETFD_X => file::pidfd_getfd_exit,
        _ => return None,
    })
}

fn socket_parser(kind: Kind) -> Option<Parser> {
    Some(match kind {
        Kind::SOCKET_SOCKET_X => socket::socket_exit,
        Kind::SOCKET_SOCKETPAIR_X => socket::socketpair_exit,
        Kind::SOCKET_BIND_X => socket::bind_exit,
        Kind::SOCKET_CONNECT_X => socket::connect_exit,
        Kind::SOCKET_ACCEPT_5_X | Kind::SOCKET_ACCEPT4_6_X => socket::accept_exit,
        Kind::SOCKET_GETSOCKOPT_X => socket::getsockopt_exit,
        Kind::SOCKET_RECV_X | Kind::SOCKET_RECVFROM_X | Kind::SOCKET_RECVMSG_X | Kind::SOCKET_RECVMMSG_X => {
            traffic::receive_exit
        }
        Kind::SOCKET_SEND_X | Kind::SOCKET_SENDTO_X | Kind::SOCKET_SENDMSG_X | Kind::SOCKET_SENDMMSG_X => {
            traffic::send_exit
        }
        _ => return None,
    })
}

fn process_parser(kind: Kind) -> Option<Parser> {
    Some(match kind {
        Kind::SYSCALL_CHDIR_X | Kind::SYSCALL_GETCWD_X => process::chdir_exit,
        Kind::SYSCALL_FCHDIR_X => process::fchdir_exit,
        Kind::SYSCALL_CHROOT_X => process::chroot_exit,
        Kind::SYSCALL_SETSID_X => process::setsid_exit,
        Kind::SYSCALL_SETUID_X => process::setuid_exit,
        Kind::SYSCALL_SETGID_X => process::setgid_exit,
        Kind::SYSCALL_SETREUID_X => process::setreuid_exit,
        Kind::SYSCALL_SETRESUID_X => process::setresuid_exit,
        Kind::SYSCALL_SETREGID_X | Kind::SYSCALL_SETRESGID_X => process::setegid_exit,
        Kind::SYSCALL_CAPSET_X => process::capset_exit,
        Kind::SYSCALL_UNSHARE_X => process::unshare_exit,
        Kind::SYSCALL_SETNS_X => process::setns_exit,
        Kind::SYSCALL_GETRLIMIT_X | Kind::SYSCALL_SETRLIMIT_X => process::rlimit_exit,
        Kind::SYSCALL_PRLIMIT_X => process::prlimit_exit,
        Kind::SYSCALL_PRCTL_X => process::prctl_exit,
        Kind::SYSCALL_BRK_4_X | Kind::SYSCALL_MMAP_X | Kind::SYSCALL_MMAP2_X | Kind::SYSCALL_MUNMAP_X => {
            process::memory_exit
        }
        Kind::SCHEDSWITCH_6_E => process::switch,
        Kind::CONTAINER_JSON_2_E => container::container_event,
        Kind::ASYNCEVENT_E => container::async_event,
        Kind::USER_ADDED_E => users::user_added,
        Kind::USER_DELETED_E => users::user_deleted,
        Kind::GROUP_ADDED_E => users::group_added,
        Kind::GROUP_DELETED_E => users::group_deleted,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_where_the_event_table_has_them() {
        let rows = rows();
        let fd = |kind: Kind| rows[usize::from(kind.0)].fd;
        assert_eq!(fd(Kind::SYSCALL_READ_X), FdUse::Param(2));
        assert_eq!(fd(Kind::SYSCALL_CLOSE_X), FdUse::Param(1));
        assert_eq!(fd(Kind::SYSCALL_OPENAT_2_X), FdUse::Unknown);
        assert_eq!(fd(Kind::SYSCALL_OPENAT_2_E), FdUse::Unknown);
        assert_eq!(fd(Kind::SYSCALL_DUP2_X), FdUse::Param(1));
        assert_eq!(fd(Kind::SOCKET_CONNECT_E), FdUse::Param(0));
        assert_eq!(fd(Kind::SYSCALL_FCNTL_X), FdUse::Param(1));
        assert_eq!(fd(Kind::SYSCALL_FCHDIR_X), FdUse::Param(1));
        assert_eq!(fd(Kind::SYSCALL_CHDIR_X), FdUse::None);
    }

    #[test]
    fn every_current_kind_that_changes_state_has_a_parser_or_a_reason() {
        let without: Vec<_> = events()
            .iter()
            .filter(|i| i.flags.has(EventFlags::MODIFIES_STATE) && !i.flags.has(EventFlags::OLD_VERSION) && !i.is_enter)
            .filter(|i| !i.flags.has(EventFlags::UNUSED) && i.origin != "ITER" && parser(i.kind).is_none())
            .map(|i| i.symbol)
            .collect();
        // Mounts and shutdowns are state of the kernel that no field shows.
        let expected =
            ["PPME_SOCKET_SHUTDOWN_X", "PPME_SYSCALL_MOUNT_X", "PPME_SYSCALL_UMOUNT_1_X", "PPME_SYSCALL_UMOUNT2_X"];
        assert_eq!(without, expected);
    }
}
