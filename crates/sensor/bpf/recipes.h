/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which parameters the exit event of each system call carries, in their order: one row per call, one step per
 * parameter (a few steps write several, or none). A small interpreter (steps.h) follows the row, so a new event is a
 * new row. Parameter names and types: crates/event/tables/events.csv.
 */
#ifndef HAWKBELL_RECIPES_H
#define HAWKBELL_RECIPES_H

#include "convert.h"

/* Which program follows the recipe. */
enum { FILL_PLAIN, FILL_NET, FILL_MISC, FILL_CLONE, FILL_EXEC, FILLS };

enum step_op {
	OP_END,
	/* plain: any program; the first three are part of the loop itself */
	OP_U64, OP_S32, OP_U32, OP_U16, OP_U8, OP_STR, OP_CONV32, OP_CONV16, OP_CONV8, OP_ZERO, OP_UREAD64, OP_UREAD32,
	OP_TIMESPEC, OP_DATA, OP_VM, OP_STR_OK, OP_MOUNTFLAGS, OP_CAPS, OP_FILE, OP_OPENFLAGS, OP_OPENMODE,
	OP_LAYER16, OP_PIPE, OP_SC, OP_HALVES,
	/* net */
	OP_TUPLE, OP_SOCKADDR, OP_QUEUE, OP_MSGHDR, OP_CONTROL, OP_SOCKETPAIR, OP_SOCKOPT,
	OP_IOVEC, OP_GATHER,
	/* misc */
	OP_POLL, OP_RLIMIT, OP_PTRACE, OP_PRCTL, OP_KEYCTL, OP_QUOTACTL, OP_SEMBUF, OP_SEMVAL, OP_FSCONFIG, OP_URING,
	OP_HANDLE,
};

struct step {
	__u8 op, a, b;
};

enum { STEPS = 10, CALLS = 512 };

struct recipe {
	__u16 kind;
	__u8 params, fill, drop, steps;
	struct step step[STEPS];
};

/* Values that steps name: arguments 0 to 5, the result (of one message where a call carries several, and then the
 * result of the whole call), and what earlier steps left in var[]. */
enum { RESULT = 6, CALL = 7, VAR = 8 };

#define RET { OP_U64, RESULT }
#define RETU32 { OP_U32, RESULT }
#define U64(a) { OP_U64, a }
#define S32(a) { OP_S32, a } /* int, widened to 64 bits with its sign */
#define FD(a) S32(a)
#define U32(a) { OP_U32, a }
#define U16(a) { OP_U16, a }
#define U8(a) { OP_U8, a }
#define STR(a) { OP_STR, a }
#define CONV32(a, t) { OP_CONV32, a, t }
#define CONV16(a, t) { OP_CONV16, a, t }
#define CONV8(a, t) { OP_CONV8, a, t }
#define ZERO(bytes) { OP_ZERO, bytes }
#define UREAD64(a) { OP_UREAD64, a }
#define UREAD32(a) { OP_UREAD32, a }
#define HALVES(high, low) { OP_HALVES, high, low } /* 64 bits in two 32-bit arguments */
#define TIMESPEC(a) { OP_TIMESPEC, a }
#define RDATA(a) { OP_DATA, a, RESULT } /* what was read */
#define WDATA(a, len) { OP_DATA, a, len } /* what was, or should have been, written */
#define OP(op, ...) { OP_##op, ##__VA_ARGS__ }

#define ROW(nr, kind, fill, drop, ...) \
	[nr] = { kind, kind##_PARAMS, fill, drop, sizeof((struct step[]){ __VA_ARGS__ }) / sizeof(struct step), { __VA_ARGS__ } }
#define PLAIN(nr, kind, ...) ROW(nr, kind, FILL_PLAIN, 0, __VA_ARGS__)
#define PATHS(nr, kind, ...) ROW(nr, kind, FILL_PLAIN, DROP_DIR_FILE_EXIT, __VA_ARGS__)
#define OTHER(nr, kind, ...) ROW(nr, kind, FILL_PLAIN, DROP_OTHER_INTEREST_EXIT, __VA_ARGS__)
#define NET(nr, kind, ...) ROW(nr, kind, FILL_NET, 0, __VA_ARGS__)
#define MISC(nr, kind, ...) ROW(nr, kind, FILL_MISC, 0, __VA_ARGS__)

/* Direction of a socket tuple, and when there is one. */
enum { OUTBOUND = 1, INBOUND = 2, CONNECTING = 4 };

const struct recipe recipes[CALLS] = {
	[0 ... CALLS - 1] = { GENERIC_X, 2, FILL_PLAIN, 0, 1, { { OP_SC } } },
	/* files */
	ROW(NR_open, SYSCALL_OPEN_X, FILL_PLAIN, DROP_OPEN_EXIT, OP(FILE), RET, STR(0), OP(OPENFLAGS, 1), OP(OPENMODE, 1, 2),
	    U32(VAR), U64(VAR + 1)),
	ROW(NR_creat, SYSCALL_CREAT_X, FILL_PLAIN, DROP_OPEN_EXIT, OP(FILE), RET, STR(0), CONV32(1, C_MODE), U32(VAR),
	    U64(VAR + 1), OP(LAYER16)),
	ROW(NR_openat, SYSCALL_OPENAT_2_X, FILL_PLAIN, DROP_OPEN_EXIT, OP(FILE), RET, FD(0), STR(1), OP(OPENFLAGS, 2),
	    OP(OPENMODE, 2, 3), U32(VAR), U64(VAR + 1)),
	ROW(NR_openat2, SYSCALL_OPENAT2_X, FILL_PLAIN, DROP_OPEN_EXIT, OP(FILE, 2), RET, FD(0), STR(1), OP(OPENFLAGS, VAR + 4),
	    OP(OPENMODE, VAR + 4, VAR + 5), CONV32(VAR + 6, C_RESOLVE), U32(VAR), U64(VAR + 1)),
	ROW(NR_open_by_handle_at, SYSCALL_OPEN_BY_HANDLE_AT_X, FILL_MISC, DROP_OPEN_EXIT, OP(FILE), RET, FD(0),
	    OP(OPENFLAGS, 2), OP(HANDLE), U32(VAR), U64(VAR + 1)),
	ROW(NR_close, SYSCALL_CLOSE_X, FILL_PLAIN, DROP_CLOSE_EXIT, RET, FD(0)),
	PLAIN(NR_close_range, SYSCALL_CLOSE_RANGE_X, RET, U32(0), U32(1), CONV32(2, C_CLOSE_RANGE)),
	PLAIN(NR_read, SYSCALL_READ_X, RET, RDATA(1), FD(0), U32(2)),
	PLAIN(NR_write, SYSCALL_WRITE_X, RET, WDATA(1, 2), FD(0), U32(2)),
	PLAIN(NR_pread64, SYSCALL_PREAD_X, RET, RDATA(1), FD(0), U32(2), U64(3)),
	PLAIN(NR_pwrite64, SYSCALL_PWRITE_X, RET, WDATA(1, 2), FD(0), U32(2), U64(3)),
	NET(NR_readv, SYSCALL_READV_X, OP(IOVEC, 1, 2), RET, U32(VAR), OP(GATHER, 1), FD(0)),
	NET(NR_preadv, SYSCALL_PREADV_X, OP(IOVEC, 1, 2), RET, U32(VAR), OP(GATHER, 1), FD(0), U64(3)),
	NET(NR_writev, SYSCALL_WRITEV_X, OP(IOVEC, 1, 2), RET, OP(GATHER), FD(0), U32(VAR)),
	NET(NR_pwritev, SYSCALL_PWRITEV_X, OP(IOVEC, 1, 2), RET, OP(GATHER), FD(0), U32(VAR), U64(3)),
	NET(NR_process_vm_readv, SYSCALL_PROCESS_VM_READV_X, OP(IOVEC, 1, 2), RET, S32(0), OP(GATHER, 1)),
	NET(NR_process_vm_writev, SYSCALL_PROCESS_VM_WRITEV_X, OP(IOVEC, 1, 2), RET, S32(0), OP(GATHER)),
	PLAIN(NR_lseek, SYSCALL_LSEEK_X, RET, FD(0), U64(1), U8(2)),
	PLAIN(NR__llseek, SYSCALL_LLSEEK_X, RET, FD(0), HALVES(1, 2), U8(4)),
	PLAIN(NR_stat, SYSCALL_STAT_X, RET, STR(0)),
	PLAIN(NR_lstat, SYSCALL_LSTAT_X, RET, STR(0)),
	PLAIN(NR_fstat, SYSCALL_FSTAT_X, RET, FD(0)),
	PLAIN(NR_stat64, SYSCALL_STAT64_X, RET, STR(0)),
	PLAIN(NR_lstat64, SYSCALL_LSTAT64_X, RET, STR(0)),
	PLAIN(NR_fstat64, SYSCALL_FSTAT64_X, RET),
	PLAIN(NR_newfstatat, SYSCALL_NEWFSTATAT_X, RET, FD(0), STR(1), CONV32(3, C_FSTATAT)),
	PLAIN(NR_access, SYSCALL_ACCESS_X, RET, STR(0), CONV32(1, C_ACCESS)),
	OTHER(NR_dup, SYSCALL_DUP_1_X, RET, FD(0)),
	OTHER(NR_dup2, SYSCALL_DUP2_X, RET, FD(0), FD(1)),
	OTHER(NR_dup3, SYSCALL_DUP3_X, RET, FD(0), FD(1), CONV32(2, C_FD)),
	OTHER(NR_fcntl, SYSCALL_FCNTL_X, RET, FD(0), CONV8(1, C_FCNTL), U64(2)),
	PLAIN(NR_flock, SYSCALL_FLOCK_X, RET, FD(0), CONV32(1, C_FLOCK)),
	PLAIN(NR_ioctl, SYSCALL_IOCTL_3_X, RET, FD(0), U64(1), U64(2)),
	PLAIN(NR_getdents, SYSCALL_GETDENTS_X, RET, FD(0)),
	PLAIN(NR_getdents64, SYSCALL_GETDENTS64_X, RET, FD(0)),
	PLAIN(NR_sendfile, SYSCALL_SENDFILE_X, RET, UREAD64(2), FD(0), FD(1), U64(3)),
	PLAIN(NR_splice, SYSCALL_SPLICE_X, RET, FD(0), FD(2), U64(4), CONV32(5, C_SPLICE)),
	PLAIN(NR_copy_file_range, SYSCALL_COPY_FILE_RANGE_X, RET, FD(2), UREAD64(3), FD(0), UREAD64(1), U64(4)),
	PATHS(NR_getcwd, SYSCALL_GETCWD_X, RET, OP(STR_OK, 0)),
	OTHER(NR_chdir, SYSCALL_CHDIR_X, RET, STR(0)),
	OTHER(NR_fchdir, SYSCALL_FCHDIR_X, RET, FD(0)),
	OTHER(NR_chroot, SYSCALL_CHROOT_X, RET, STR(0)),
	PATHS(NR_mkdir, SYSCALL_MKDIR_2_X, RET, STR(0), U32(1)),
	PATHS(NR_mkdirat, SYSCALL_MKDIRAT_X, RET, FD(0), STR(1), U32(2)),
	PATHS(NR_rmdir, SYSCALL_RMDIR_2_X, RET, STR(0)),
	PATHS(NR_unlink, SYSCALL_UNLINK_2_X, RET, STR(0)),
	PATHS(NR_unlinkat, SYSCALL_UNLINKAT_2_X, RET, FD(0), STR(1), CONV32(2, C_UNLINKAT)),
	PATHS(NR_rename, SYSCALL_RENAME_X, RET, STR(0), STR(1)),
	PATHS(NR_renameat, SYSCALL_RENAMEAT_X, RET, FD(0), STR(1), FD(2), STR(3)),
	PATHS(NR_renameat2, SYSCALL_RENAMEAT2_X, RET, FD(0), STR(1), FD(2), STR(3), CONV32(4, C_RENAMEAT2)),
	PATHS(NR_link, SYSCALL_LINK_2_X, RET, STR(0), STR(1)),
	PATHS(NR_linkat, SYSCALL_LINKAT_2_X, RET, FD(0), STR(1), FD(2), STR(3), CONV32(4, C_LINKAT)),
	PATHS(NR_symlink, SYSCALL_SYMLINK_X, RET, STR(0), STR(1)),
	PATHS(NR_symlinkat, SYSCALL_SYMLINKAT_X, RET, STR(0), FD(1), STR(2)),
	PATHS(NR_chmod, SYSCALL_CHMOD_X, RET, STR(0), CONV32(1, C_MODE)),
	PATHS(NR_fchmod, SYSCALL_FCHMOD_X, RET, FD(0), CONV32(1, C_MODE)),
	PATHS(NR_fchmodat, SYSCALL_FCHMODAT_X, RET, FD(0), STR(1), CONV32(2, C_MODE)),
	PATHS(NR_chown, SYSCALL_CHOWN_X, RET, STR(0), U32(1), U32(2)),
	PATHS(NR_lchown, SYSCALL_LCHOWN_X, RET, STR(0), U32(1), U32(2)),
	PATHS(NR_fchown, SYSCALL_FCHOWN_X, RET, FD(0), U32(1), U32(2)),
	PATHS(NR_fchownat, SYSCALL_FCHOWNAT_X, RET, FD(0), STR(1), U32(2), U32(3), CONV32(4, C_FCHOWNAT)),
	PATHS(NR_mknod, SYSCALL_MKNOD_X, RET, STR(0), U32(1), U32(2)),
	PATHS(NR_mknodat, SYSCALL_MKNODAT_X, RET, FD(0), STR(1), U32(2), U32(3)),
	PATHS(NR_mount, SYSCALL_MOUNT_X, RET, STR(0), STR(1), STR(2), OP(MOUNTFLAGS, 3)),
	PATHS(NR_umount, SYSCALL_UMOUNT_1_X, RET, STR(0)),
	PATHS(NR_umount2, SYSCALL_UMOUNT2_X, RET, STR(0), CONV32(1, C_UMOUNT)),
	MISC(NR_quotactl, SYSCALL_QUOTACTL_X, RET, OP(QUOTACTL)),
	MISC(NR_fsconfig, SYSCALL_FSCONFIG_X, RET, FD(0), U32(1), STR(2), OP(FSCONFIG), U32(4)),
	/* descriptors without a path */
	OTHER(NR_pipe, SYSCALL_PIPE_X, RET, OP(PIPE)),
	OTHER(NR_pipe2, SYSCALL_PIPE2_X, RET, OP(PIPE), CONV32(1, C_FD)),
	OTHER(NR_eventfd, SYSCALL_EVENTFD_X, RET, U64(0), ZERO(4)),
	OTHER(NR_eventfd2, SYSCALL_EVENTFD2_X, RET, CONV16(1, C_FD), U64(0)),
	OTHER(NR_signalfd, SYSCALL_SIGNALFD_X, RET, FD(0), ZERO(4), ZERO(1)),
	OTHER(NR_signalfd4, SYSCALL_SIGNALFD4_X, RET, CONV16(3, C_FD), FD(0), ZERO(4)),
	OTHER(NR_timerfd_create, SYSCALL_TIMERFD_CREATE_X, RET, U8(0), ZERO(1)),
	OTHER(NR_inotify_init, SYSCALL_INOTIFY_INIT_X, RET, ZERO(1)),
	OTHER(NR_inotify_init1, SYSCALL_INOTIFY_INIT1_X, RET, CONV16(0, C_FD)),
	OTHER(NR_epoll_create, SYSCALL_EPOLL_CREATE_X, RET, U32(0)),
	OTHER(NR_epoll_create1, SYSCALL_EPOLL_CREATE1_X, RET, CONV32(0, C_EPOLL)),
	PLAIN(NR_epoll_wait, SYSCALL_EPOLLWAIT_X, RET, S32(2)),
	MISC(NR_poll, SYSCALL_POLL_X, RET, OP(POLL, 0, 1), S32(2)),
	MISC(NR_ppoll, SYSCALL_PPOLL_X, RET, OP(POLL, 0, 1), TIMESPEC(2), UREAD32(3)),
	PLAIN(NR_select, SYSCALL_SELECT_X, RET),
	OTHER(NR_userfaultfd, SYSCALL_USERFAULTFD_X, RET, CONV32(0, C_FD)),
	OTHER(NR_memfd_create, SYSCALL_MEMFD_CREATE_X, RET, STR(0), CONV32(1, C_MEMFD)),
	OTHER(NR_pidfd_open, SYSCALL_PIDFD_OPEN_X, RET, S32(0), CONV32(1, C_PIDFD)),
	OTHER(NR_pidfd_getfd, SYSCALL_PIDFD_GETFD_X, RET, FD(0), FD(1), U32(2)),
	PLAIN(NR_bpf, SYSCALL_BPF_2_X, RET, U32(0)),
	MISC(NR_io_uring_setup, SYSCALL_IO_URING_SETUP_X, RET, U32(0), OP(URING, 1)),
	PLAIN(NR_io_uring_enter, SYSCALL_IO_URING_ENTER_X, RET, FD(0), U32(1), U32(2), CONV32(3, C_URING_ENTER), UREAD32(4)),
	PLAIN(NR_io_uring_register, SYSCALL_IO_URING_REGISTER_X, RET, FD(0), U16(1), U64(2), U32(3)),
	/* sockets */
	OTHER(NR_socket, SOCKET_SOCKET_X, RET, U32(0), U32(1), U32(2), CONV32(1, C_FD)),
	NET(NR_socketpair, SOCKET_SOCKETPAIR_X, RET, OP(SOCKETPAIR), U32(0), U32(1), U32(2)),
	NET(NR_bind, SOCKET_BIND_X, RET, OP(SOCKADDR, 1, 2), FD(0)),
	ROW(NR_connect, SOCKET_CONNECT_X, FILL_NET, DROP_CONNECT_EXIT, RET, OP(TUPLE, 0, OUTBOUND | CONNECTING), FD(0),
	    OP(SOCKADDR, 1, 2)),
	PLAIN(NR_listen, SOCKET_LISTEN_X, RET, FD(0), U32(1)),
	NET(NR_accept, SOCKET_ACCEPT_5_X, RET, OP(TUPLE, RESULT, INBOUND), OP(QUEUE, 0)),
	NET(NR_accept4, SOCKET_ACCEPT4_6_X, RET, OP(TUPLE, RESULT, INBOUND), OP(QUEUE, 0), CONV32(3, C_FD)),
	PLAIN(NR_shutdown, SOCKET_SHUTDOWN_X, RET, FD(0), CONV8(1, C_SHUTDOWN)),
	ROW(NR_getsockname, SOCKET_GETSOCKNAME_X, FILL_PLAIN, 0, { OP_END }),
	ROW(NR_getpeername, SOCKET_GETPEERNAME_X, FILL_PLAIN, 0, { OP_END }),
	NET(NR_send, SOCKET_SEND_X, RET, WDATA(1, 2), FD(0), U32(2), OP(TUPLE, 0, OUTBOUND)),
	NET(NR_recv, SOCKET_RECV_X, RET, RDATA(1), FD(0), U32(2), OP(TUPLE, 0, INBOUND)),
	NET(NR_sendto, SOCKET_SENDTO_X, OP(MSGHDR, 4, 5), RET, WDATA(1, 2), FD(0), U32(2), OP(TUPLE, 0, OUTBOUND)),
	NET(NR_recvfrom, SOCKET_RECVFROM_X, OP(MSGHDR, 4, 5), RET, RDATA(1), OP(TUPLE, 0, INBOUND), FD(0), U32(2)),
	NET(NR_sendmsg, SOCKET_SENDMSG_X, OP(MSGHDR, 1), OP(IOVEC, VAR + 6, VAR + 7), RET, OP(GATHER), FD(0), U32(VAR),
	    OP(TUPLE, 0, OUTBOUND)),
	NET(NR_recvmsg, SOCKET_RECVMSG_X, OP(MSGHDR, 1), OP(IOVEC, VAR + 6, VAR + 7), RET, U32(VAR), OP(GATHER, 1),
	    OP(TUPLE, 0, INBOUND), OP(CONTROL), FD(0)),
	ROW(NR_sendmmsg, SOCKET_SENDMMSG_X, FILL_NET, 0, U64(CALL), FD(0), U32(RESULT), OP(GATHER), OP(TUPLE, 0, OUTBOUND)),
	ROW(NR_recvmmsg, SOCKET_RECVMMSG_X, FILL_NET, 0, U64(CALL), FD(0), U32(RESULT), OP(GATHER, 1), OP(TUPLE, 0, INBOUND),
	    OP(CONTROL)),
	NET(NR_setsockopt, SOCKET_SETSOCKOPT_X, RET, FD(0), CONV8(1, C_SOCKLEVEL), OP(SOCKOPT, 0)),
	NET(NR_getsockopt, SOCKET_GETSOCKOPT_X, RET, FD(0), CONV8(1, C_SOCKLEVEL), OP(SOCKOPT, 1)),
	/* memory */
	PLAIN(NR_brk, SYSCALL_BRK_4_X, RET, OP(VM), U64(0)),
	PLAIN(NR_mmap, SYSCALL_MMAP_X, RET, OP(VM), U64(0), U64(1), CONV32(2, C_PROT), CONV32(3, C_MMAP), FD(4), U64(5)),
	PLAIN(NR_mmap2, SYSCALL_MMAP2_X, RET, OP(VM), U64(0), U64(1), CONV32(2, C_PROT), CONV32(3, C_MMAP), FD(4), U64(5)),
	PLAIN(NR_munmap, SYSCALL_MUNMAP_X, RET, OP(VM), U64(0), U64(1)),
	PLAIN(NR_mprotect, SYSCALL_MPROTECT_X, RET, U64(0), U64(1), CONV32(2, C_PROT)),
	PLAIN(NR_mlock, SYSCALL_MLOCK_X, RET, U64(0), U64(1)),
	PLAIN(NR_munlock, SYSCALL_MUNLOCK_X, RET, U64(0), U64(1)),
	PLAIN(NR_mlockall, SYSCALL_MLOCKALL_X, RET, CONV32(0, C_MLOCKALL)),
	PLAIN(NR_munlockall, SYSCALL_MUNLOCKALL_X, RET),
	PLAIN(NR_mlock2, SYSCALL_MLOCK2_X, RET, U64(0), U64(1), CONV32(2, C_MLOCK2)),
	/* processes, identities, limits */
	ROW(NR_clone, SYSCALL_CLONE_20_X, FILL_CLONE, DROP_CLONE_FORK_EXIT, { OP_END }),
	ROW(NR_clone3, SYSCALL_CLONE3_X, FILL_CLONE, DROP_CLONE_FORK_EXIT, { OP_END }),
	ROW(NR_fork, SYSCALL_FORK_20_X, FILL_CLONE, DROP_CLONE_FORK_EXIT, { OP_END }),
	ROW(NR_vfork, SYSCALL_VFORK_20_X, FILL_CLONE, DROP_CLONE_FORK_EXIT, { OP_END }),
	ROW(NR_execve, SYSCALL_EXECVE_19_X, FILL_EXEC, DROP_EXECVE_EXIT, { OP_END }),
	ROW(NR_execveat, SYSCALL_EXECVEAT_X, FILL_EXEC, DROP_EXECVE_EXIT, { OP_END }),
	PLAIN(NR_kill, SYSCALL_KILL_X, RET, S32(0), U8(1)),
	PLAIN(NR_tkill, SYSCALL_TKILL_X, RET, S32(0), U8(1)),
	PLAIN(NR_tgkill, SYSCALL_TGKILL_X, RET, S32(0), S32(1), U8(2)),
	MISC(NR_ptrace, SYSCALL_PTRACE_X, RET, OP(PTRACE), CONV16(0, C_PTRACE), S32(1)),
	MISC(NR_prctl, SYSCALL_PRCTL_X, RET, U32(0), OP(PRCTL)),
	OTHER(NR_setpgid, SYSCALL_SETPGID_X, RET, S32(0), S32(1)),
	OTHER(NR_setsid, SYSCALL_SETSID_X, RET),
	OTHER(NR_setns, SYSCALL_SETNS_X, RET, FD(0), CONV32(1, C_CLONE)),
	OTHER(NR_unshare, SYSCALL_UNSHARE_X, RET, CONV32(0, C_CLONE)),
	OTHER(NR_capset, SYSCALL_CAPSET_X, RET, OP(CAPS)),
	OTHER(NR_setuid, SYSCALL_SETUID_X, RET, U32(0)),
	OTHER(NR_setgid, SYSCALL_SETGID_X, RET, U32(0)),
	OTHER(NR_setreuid, SYSCALL_SETREUID_X, RET, U32(0), U32(1)),
	OTHER(NR_setregid, SYSCALL_SETREGID_X, RET, U32(0), U32(1)),
	OTHER(NR_setresuid, SYSCALL_SETRESUID_X, RET, U32(0), U32(1), U32(2)),
	OTHER(NR_setresgid, SYSCALL_SETRESGID_X, RET, U32(0), U32(1), U32(2)),
	PLAIN(NR_getuid, SYSCALL_GETUID_X, RETU32),
	PLAIN(NR_geteuid, SYSCALL_GETEUID_X, RETU32),
	PLAIN(NR_getgid, SYSCALL_GETGID_X, RETU32),
	PLAIN(NR_getegid, SYSCALL_GETEGID_X, RETU32),
	PLAIN(NR_getresuid, SYSCALL_GETRESUID_X, RET, UREAD32(0), UREAD32(1), UREAD32(2)),
	PLAIN(NR_getresgid, SYSCALL_GETRESGID_X, RET, UREAD32(0), UREAD32(1), UREAD32(2)),
	MISC(NR_getrlimit, SYSCALL_GETRLIMIT_X, RET, OP(RLIMIT, 1, 1), CONV8(0, C_RLIMIT)),
	MISC(NR_setrlimit, SYSCALL_SETRLIMIT_X, RET, OP(RLIMIT, 1), CONV8(0, C_RLIMIT)),
	MISC(NR_prlimit64, SYSCALL_PRLIMIT_X, RET, OP(RLIMIT, 2), OP(RLIMIT, 3, 1), S32(0), CONV8(1, C_RLIMIT)),
	/* the rest */
	PLAIN(NR_futex, SYSCALL_FUTEX_X, RET, U64(0), U16(1), U64(2)),
	PLAIN(NR_nanosleep, SYSCALL_NANOSLEEP_X, RET, TIMESPEC(0)),
	PLAIN(NR_semget, SYSCALL_SEMGET_X, RET, U32(0), U32(1), CONV32(2, C_SEMGET)),
	MISC(NR_semop, SYSCALL_SEMOP_X, RET, U32(2), OP(SEMBUF), U32(0)),
	MISC(NR_semctl, SYSCALL_SEMCTL_X, RET, U32(0), U32(1), CONV16(2, C_SEMCTL), OP(SEMVAL)),
	PLAIN(NR_seccomp, SYSCALL_SECCOMP_X, RET, U64(0), U64(1)),
	PLAIN(NR_init_module, SYSCALL_INIT_MODULE_X, RET, WDATA(0, 1), U64(1), STR(2)),
	PLAIN(NR_finit_module, SYSCALL_FINIT_MODULE_X, RET, FD(0), STR(1), CONV32(2, C_FINIT)),
	PLAIN(NR_delete_module, SYSCALL_DELETE_MODULE_X, RET, STR(0), CONV32(1, C_DELETE_MODULE)),
	MISC(NR_keyctl, SYSCALL_KEYCTL_X, RET, U32(0), OP(KEYCTL)),
};

/* What a step's number names. */
static __always_inline __u64 value(struct scratch *s, __u8 which)
{
	if (which >= VAR)
		return s->var[which & 7];
	return which == RESULT ? s->ret : s->args[which & 7];
}

const __u16 sc_codes[CALLS] = { SC_CODES };
/* 32-bit number to x86-64 number plus one, 0 where there is none. */
const __u16 ia32_calls[CALLS] = { IA32_MAP };

#endif
