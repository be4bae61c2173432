/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Steps for the calls that need code of their own: lists of polled descriptors, limits, ptrace, prctl, keys, quotas,
 * semaphores, file system configuration, io_uring, file handles.
 */
#ifndef HAWKBELL_MISC_H
#define HAWKBELL_MISC_H

#include "recipes.h"
#include "file.h"

enum { POLLED = 16 };

/* count u16, then (fd i64, flags i16): what was asked for, or after success what happened. */
FN int put_polled(__u32 area, __u64 address, __u32 count)
{
	SCRATCH(area)
	__u8 *to = here(s);
	__u32 i, n = count > POLLED ? POLLED : count;

	if (!address) {
		put_empty(s);
		return 0;
	}
	for (i = 0; i < POLLED; i++) {
		struct {
			__s32 fd;
			__u16 events, revents;
		} p = {};

		if (i >= n)
			break;
		if (user_read(p, address + i * sizeof(p))) {
			put_empty(s);
			return 0;
		}
		*(__s64 *)(to + 2 + i * 10) = p.fd;
		*(__u16 *)(to + 10 + i * 10) = convert(C_POLL, s->ret >= 0 ? p.revents : p.events);
	}
	*(__u16 *)to = n;
	done(s, 2 + n * 10);
	return 0;
}

/* Two limits; -1 where the call read or wrote none. */
FN int put_rlimit(__u32 area, __u64 address, bool written)
{
	SCRATCH(area)
	__s64 limit[2] = { -1, -1 };

	if (address && !(written && s->ret)) {
		if (s->compat && !(s->nr == NR_prlimit64)) {
			__u32 narrow[2];

			if (!user_read(narrow, address)) {
				limit[0] = narrow[0];
				limit[1] = narrow[1];
			}
		} else {
			user_read(limit, address);
		}
	}
	put64(s, limit[0]);
	put64(s, limit[1]);
	return 0;
}

enum { PTRACE_PEEKTEXT = 1, PTRACE_PEEKUSR = 3, PTRACE_POKEUSR = 6, PTRACE_CONT = 7, PTRACE_KILL = 8, PTRACE_SINGLESTEP = 9,
       PTRACE_DETACH = 17, PTRACE_SYSCALL = 24 };

/* Address and data: a number, or for the calls that resume the tracee, a signal. */
FN int put_ptrace(__u32 area)
{
	SCRATCH(area)
	__u64 request = s->args[0], data = s->args[3];
	__u8 *to;

	if (s->ret < 0) {
		put_empty(s);
		put_empty(s);
		return 0;
	}
	to = here(s);
	to[0] = 0;
	*(__u64 *)(to + 1) = s->args[2];
	done(s, 9);
	to = here(s);
	if (request == PTRACE_CONT || request == PTRACE_SINGLESTEP || request == PTRACE_DETACH || request == PTRACE_SYSCALL) {
		to[0] = 1;
		to[1] = data;
		done(s, 2);
		return 0;
	}
	if (request >= PTRACE_PEEKTEXT && request <= PTRACE_PEEKUSR) {
		__u64 address = data;

		data = 0;
		user_read(data, address);
	}
	to[0] = 0;
	*(__u64 *)(to + 1) = data;
	done(s, 9);
	return 0;
}

enum { PR_SET_NAME = 15, PR_GET_NAME = 16, PR_GET_CHILD_SUBREAPER = 37 };

FN int put_prctl(__u32 area)
{
	SCRATCH(area)
	__u32 option = s->args[0], got = 0;
	__u64 number = s->args[1];

	if (option == PR_SET_NAME || option == PR_GET_NAME) {
		put_user_string(s, number);
		number = 0;
	} else {
		put_empty(s);
		if (option == PR_GET_CHILD_SUBREAPER) {
			user_read(got, number);
			number = got;
		}
	}
	put64(s, number);
	return 0;
}

enum { KEYCTL_JOIN_SESSION_KEYRING = 1, KEYCTL_SEARCH = 10, KEYCTL_RESTRICT_KEYRING = 29 };

/* Arguments 2 to 5: a text where the operation takes one, else a number. */
FN int put_keyctl(__u32 area)
{
	SCRATCH(area)
	__u32 operation = s->args[0], i;
	/* bit n: argument n is text */
	__u32 texts = operation == KEYCTL_JOIN_SESSION_KEYRING ? 2 : 0;

	if (operation == KEYCTL_SEARCH || operation == KEYCTL_RESTRICT_KEYRING)
		texts = 4 | 8;
	for (i = 1; i <= 4; i++) {
		__u8 *to = here(s);
		long len = 0;

		if (texts >> i & 1 && s->args[i]) {
			to[0] = 1;
			len = user_string(to + 1, s->args[i]);
			done(s, len > 0 ? 1 + len : 0);
		} else {
			to[0] = 0;
			*(__u64 *)(to + 1) = s->args[i];
			done(s, 9);
		}
	}
	return 0;
}

/* uapi/linux/quota.h and dqblk_xfs.h: commands */
enum { Q_SYNC = 0x800001, Q_QUOTAON, Q_QUOTAOFF, Q_GETFMT, Q_GETINFO, Q_SETINFO, Q_GETQUOTA, Q_SETQUOTA };
enum { Q_XQUOTAON = 0x5801, Q_XQUOTAOFF, Q_XGETQUOTA, Q_XSETQLIM, Q_XGETQSTAT, Q_XQUOTARM, Q_XQUOTASYNC };

static __always_inline __u16 quota_command(__u32 command)
{
	switch (command) {
	case Q_QUOTAON: return 1;
	case Q_QUOTAOFF: return 2;
	case Q_GETFMT: return 4;
	case Q_GETINFO: return 8;
	case Q_SETINFO: return 16;
	case Q_GETQUOTA: return 32;
	case Q_SETQUOTA: return 64;
	case Q_SYNC: return 128;
	case Q_XQUOTAON: return 256;
	case Q_XQUOTAOFF: return 512;
	case Q_XGETQUOTA: return 1024;
	case Q_XSETQLIM: return 2048;
	case Q_XGETQSTAT: return 4096;
	case Q_XQUOTARM: return 8192;
	case Q_XQUOTASYNC: return 16384;
	}
	return 0;
}

/* 1 none, 2 old, 4 vfsv0, 8 vfsv1 */
static __always_inline __u8 quota_format(__u32 format)
{
	return format == 1 ? 2 : format == 2 ? 4 : format == 4 ? 8 : 1;
}

struct if_dqblk {
	__u64 bhardlimit, bsoftlimit, curspace, ihardlimit, isoftlimit, curinodes, btime, itime;
	__u32 valid;
};

struct if_dqinfo {
	__u64 bgrace, igrace;
	__u32 flags, valid;
};

FN int put_quotactl(__u32 area)
{
	SCRATCH(area)
	__u32 command = (__u32)s->args[0] >> 8, type = s->args[0] & 0xff, id = s->args[2], format = 0;
	struct if_dqblk block = {};
	struct if_dqinfo info = {};
	bool about_id = command == Q_GETQUOTA || command == Q_SETQUOTA || command == Q_XGETQUOTA || command == Q_XSETQLIM;

	put_user_string(s, s->args[1]);
	if (command == Q_QUOTAON)
		put_user_string(s, s->args[3]);
	else
		put_empty(s);
	if (command == Q_GETQUOTA || command == Q_SETQUOTA)
		user_read(block, s->args[3]);
	if (command == Q_GETINFO || command == Q_SETINFO)
		user_read(info, s->args[3]);
	if (command == Q_GETFMT)
		user_read(format, s->args[3]);
	put64(s, block.valid & 1 ? block.bhardlimit : 0);
	put64(s, block.valid & 1 ? block.bsoftlimit : 0);
	put64(s, block.valid & 2 ? block.curspace : 0);
	put64(s, block.valid & 4 ? block.ihardlimit : 0);
	put64(s, block.valid & 4 ? block.isoftlimit : 0);
	put64(s, block.valid & 16 ? block.btime : 0);
	put64(s, block.valid & 32 ? block.itime : 0);
	put64(s, info.valid & 1 ? info.bgrace : 0);
	put64(s, info.valid & 2 ? info.igrace : 0);
	put8(s, info.valid & 4 ? info.flags : 0);
	put8(s, quota_format(command == Q_GETFMT ? format : 0));
	put16(s, quota_command(command));
	put8(s, type == 0 ? 1 : type == 1 ? 2 : 0);
	put32(s, about_id ? id : 0);
	put8(s, quota_format(command == Q_QUOTAON ? id : 0));
	return 0;
}

/* The first two operations of a semop call. */
FN int put_sembuf(__u32 area)
{
	SCRATCH(area)
	__u32 count = s->args[2], i;

	for (i = 0; i < 2; i++) {
		struct {
			__u16 num;
			__s16 op, flags;
		} b = {};

		if (i < count)
			user_read(b, s->args[1] + i * sizeof(b));
		put16(s, b.num);
		put16(s, b.op);
		put16(s, convert(C_SEMOP, (__u16)b.flags));
	}
	return 0;
}

enum { SETVAL = 16 };
enum { FSCONFIG_SET_STRING = 1, FSCONFIG_SET_BINARY, FSCONFIG_SET_PATH, FSCONFIG_SET_PATH_EMPTY };

/* The value as bytes or as text, whichever the command takes. */
FN int put_fsconfig(__u32 area)
{
	SCRATCH(area)
	__u32 command = s->args[1];

	if (command == FSCONFIG_SET_BINARY)
		put_user_bytes(s, s->args[3], (__u32)s->args[4]);
	else
		put_empty(s);
	if (command == FSCONFIG_SET_STRING || command == FSCONFIG_SET_PATH || command == FSCONFIG_SET_PATH_EMPTY)
		put_user_string(s, s->args[3]);
	else
		put_empty(s);
	return 0;
}

/* uapi/linux/io_uring.h: struct io_uring_params */
FN int put_uring(__u32 area, __u64 address)
{
	SCRATCH(area)
	__u32 p[6] = {};

	user_read(p, address);
	put32(s, p[0]);
	put32(s, p[1]);
	put32(s, convert(C_URING_SETUP, p[2]));
	put32(s, p[3]);
	put32(s, p[4]);
	put32(s, convert(C_URING_FEATURES, p[5]));
	return 0;
}

/* A handle names no path; the path of the opened file does. */
FN int put_handle(__u32 area)
{
	SCRATCH(area)
	__u64 file = s->ret >= 0 ? file_of(s->ret) : 0;

	if (file)
		put_file_path(area, file);
	else
		put_empty(s);
	return 0;
}

FN int misc_step(__u32 area, __u32 op, __u32 a, __u32 b)
{
	SCRATCH(area)
	switch (op) {
	case OP_POLL:
		put_polled(area, value(s, a), value(s, b));
		break;
	case OP_RLIMIT:
		put_rlimit(area, value(s, a), b);
		break;
	case OP_PTRACE:
		put_ptrace(area);
		break;
	case OP_PRCTL:
		put_prctl(area);
		break;
	case OP_KEYCTL:
		put_keyctl(area);
		break;
	case OP_QUOTACTL:
		put_quotactl(area);
		break;
	case OP_SEMBUF:
		put_sembuf(area);
		break;
	case OP_SEMVAL:
		put32(s, s->args[2] == SETVAL ? s->args[3] : 0);
		break;
	case OP_FSCONFIG:
		put_fsconfig(area);
		break;
	case OP_URING:
		put_uring(area, value(s, a));
		break;
	case OP_HANDLE:
		put_handle(area);
		break;
	}
	return 0;
}

#endif
