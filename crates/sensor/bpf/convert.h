/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers of the x86-64 system call interface to the numbers of the capture format (crates/event/tables/flag_tables.csv),
 * where they differ. BITS: every pair whose native bits are all set contributes. EXACT: the pair with that value, else
 * `other`. MASK: native numbers stay, unknown bits go.
 */
#ifndef HAWKBELL_CONVERT_H
#define HAWKBELL_CONVERT_H

#include "sensor.h"

enum { BITS, EXACT, MASK };
enum { PAIRS = 40 };

struct conversion {
	__u32 how, pairs, other;
	struct {
		__u32 native, scap;
	} pair[PAIRS];
};

enum {
	C_CLONE, C_PROT, C_MMAP, C_FD, C_FCNTL, C_PTRACE, C_SEMCTL, C_SEMGET, C_SEMOP, C_SHUTDOWN, C_RLIMIT, C_MODE, C_UMOUNT,
	C_ACCESS, C_DELETE_MODULE, C_MEMFD, C_MLOCK2, C_MLOCKALL, C_CLOSE_RANGE, C_FINIT, C_FSTATAT, C_UNLINKAT, C_LINKAT,
	C_SPLICE, C_RENAMEAT2, C_URING_SETUP, C_URING_FEATURES, C_URING_ENTER, C_RESOLVE, C_FLOCK, C_PIDFD, C_FCHOWNAT,
	C_EPOLL, C_SOCKLEVEL, C_SOCKOPT, C_POLL, CONVERSIONS = 64,
};

#define COUNT(...) (sizeof((__u32[][2]){ __VA_ARGS__ }) / 8)
#define TABLE(how, other, ...) { how, COUNT(__VA_ARGS__), other, { __VA_ARGS__ } }
#define MASKED(bits) { MASK, 1, 0, { { bits, bits } } }

const struct conversion conversions[CONVERSIONS] = {
	[C_CLONE] = TABLE(BITS, 0, { 0x400, 1 }, { 0x200, 2 }, { 0x80000000, 4 }, { 0x08000000, 8 }, { 0x40000000, 16 },
		{ 0x20000, 32 }, { 0x20000000, 64 }, { 0x04000000, 128 }, { 0x8000, 256 }, { 0x100000, 512 }, { 0x2000, 1024 },
		{ 0x800, 2048 }, { 0x40000, 4096 }, { 0x10000, 8192 }, { 0x800000, 16384 }, { 0x100, 32768 },
		{ 0x10000000, 1 << 20 }, { 0x200000, 1 << 23 }, { 0x1000000, 1 << 24 }, { 0x80000, 1 << 25 }, { 0x4000, 1 << 27 },
		{ 0x02000000, 1 << 28 }),
	[C_PROT] = TABLE(BITS, 0, { 1, 1 }, { 2, 2 }, { 4, 4 }, { 8, 8 }, { 0x01000000, 16 }, { 0x02000000, 32 }),
	[C_MMAP] = TABLE(BITS, 0, { 1, 1 }, { 2, 2 }, { 0x10, 4 }, { 0x20, 8 }, { 0x40, 16 }, { 0x4000, 64 }, { 0x8000, 128 },
		{ 0x10000, 256 }, { 0x100, 512 }, { 0x800, 1024 }, { 0x1000, 2048 }, { 0x2000, 16384 }),
	[C_FD] = TABLE(BITS, 0, { 02000000, 4096 }, { 04000, 64 }, { 040000, 512 }),
	[C_FCNTL] = TABLE(EXACT, 0, { 0, 1 }, { 1, 2 }, { 2, 3 }, { 3, 4 }, { 4, 5 }, { 5, 6 }, { 6, 8 }, { 7, 9 }, { 8, 10 },
		{ 9, 12 }, { 10, 13 }, { 11, 15 }, { 12, 17 }, { 13, 18 }, { 14, 19 }, { 15, 21 }, { 16, 22 }, { 36, 30 },
		{ 37, 31 }, { 38, 32 }, { 1024, 23 }, { 1025, 24 }, { 1026, 27 }, { 1029, 25 }, { 1030, 26 }, { 1031, 28 },
		{ 1032, 29 }),
	[C_PTRACE] = TABLE(EXACT, 0, { 0, 1 }, { 1, 2 }, { 2, 3 }, { 3, 4 }, { 4, 5 }, { 5, 6 }, { 6, 7 }, { 7, 8 }, { 8, 9 },
		{ 9, 10 }, { 12, 26 }, { 13, 27 }, { 14, 28 }, { 15, 29 }, { 16, 11 }, { 17, 12 }, { 18, 30 }, { 19, 31 },
		{ 21, 32 }, { 24, 13 }, { 25, 33 }, { 26, 34 }, { 30, 35 }, { 31, 36 }, { 32, 37 }, { 33, 38 }, { 0x4200, 14 },
		{ 0x4201, 15 }, { 0x4202, 16 }, { 0x4203, 17 }, { 0x4204, 18 }, { 0x4205, 19 }, { 0x4206, 20 }, { 0x4207, 21 },
		{ 0x4208, 22 }, { 0x4209, 23 }, { 0x420a, 24 }, { 0x420b, 25 }),
	[C_SEMCTL] = TABLE(EXACT, 0, { 0, 4 }, { 1, 2 }, { 2, 1 }, { 3, 8 }, { 18, 32 }, { 19, 16 }, { 11, 256 }, { 12, 512 },
		{ 13, 64 }, { 14, 128 }, { 15, 1024 }, { 16, 4096 }, { 17, 2048 }),
	[C_SEMGET] = TABLE(BITS, 0, { 01000, 8192 }, { 02000, 16384 }, { 1, 1 }, { 2, 2 }, { 4, 4 }, { 8, 8 }, { 16, 16 },
		{ 32, 32 }, { 64, 64 }, { 128, 128 }, { 256, 256 }),
	[C_SEMOP] = TABLE(BITS, 0, { 04000, 1 }, { 0x1000, 2 }),
	[C_SHUTDOWN] = TABLE(EXACT, 0xff, { 0, 0 }, { 1, 1 }, { 2, 2 }),
	[C_RLIMIT] = TABLE(EXACT, 0xff, { 0, 0 }, { 1, 1 }, { 2, 2 }, { 3, 3 }, { 4, 4 }, { 5, 5 }, { 6, 6 }, { 7, 7 }, { 8, 8 },
		{ 9, 9 }, { 10, 10 }, { 11, 11 }, { 12, 12 }, { 13, 13 }, { 14, 14 }, { 15, 15 }),
	[C_MODE] = MASKED(07777),
	[C_UMOUNT] = MASKED(15),
	[C_ACCESS] = MASKED(7),
	[C_DELETE_MODULE] = TABLE(BITS, 0, { 04000, 2 }, { 01000, 1 }),
	[C_MEMFD] = MASKED(7),
	[C_MLOCK2] = MASKED(1),
	[C_MLOCKALL] = MASKED(7),
	[C_CLOSE_RANGE] = MASKED(6),
	[C_FINIT] = MASKED(7),
	[C_FSTATAT] = MASKED(0x1900),
	[C_UNLINKAT] = MASKED(0x200),
	[C_LINKAT] = MASKED(0x1400),
	[C_SPLICE] = MASKED(15),
	[C_RENAMEAT2] = MASKED(7),
	[C_URING_SETUP] = TABLE(BITS, 0, { 1, 1 }, { 2, 2 }, { 4, 8 }, { 8, 16 }, { 16, 32 }, { 32, 64 }, { 64, 128 }),
	[C_URING_FEATURES] = MASKED(0x7ff),
	[C_URING_ENTER] = MASKED(15),
	[C_RESOLVE] = TABLE(BITS, 0, { 1, 16 }, { 2, 4 }, { 4, 8 }, { 8, 1 }, { 16, 2 }, { 32, 32 }),
	[C_FLOCK] = MASKED(15),
	[C_PIDFD] = TABLE(BITS, 0, { 04000, 1 }),
	[C_FCHOWNAT] = TABLE(BITS, 0, { 0x100, 1024 }, { 0x1000, 4096 }),
	[C_EPOLL] = TABLE(BITS, 0, { 02000000, 1 }),
	[C_SOCKLEVEL] = TABLE(EXACT, 0, { 1, 1 }, { 6, 2 }),
	[C_SOCKOPT] = TABLE(EXACT, 0, { 55, 52 }, { 57, 53 }, { 59, 51 }, { 66, 20 }, { 67, 21 }),
	[C_POLL] = TABLE(BITS, 0, { 1, 1 }, { 2, 2 }, { 4, 4 }, { 0x2000, 8 }, { 8, 16 }, { 0x10, 32 }, { 0x20, 64 },
		{ 0x40, 128 }, { 0x80, 256 }, { 0x100, 512 }, { 0x200, 1024 }),
};

FN __u32 convert(__u32 table, __u32 v)
{
	const struct conversion *c = &conversions[table & (CONVERSIONS - 1)];
	__u32 out = 0, i;

	if (c->how == MASK)
		return v & c->pair[0].native;
	if (c->how == EXACT)
		out = c->other;
	for (i = 0; i < PAIRS; i++) {
		__u32 native, scap;

		if (i >= c->pairs)
			break;
		native = c->pair[i].native;
		scap = c->pair[i].scap;
		if (c->how == EXACT) {
			if (v == native) {
				out = scap;
				break;
			}
		} else if ((v & native) == native) {
			out |= scap;
		}
	}
	return out;
}

/* uapi/asm-generic/fcntl.h and its x86 numbers */
enum {
	O_ACCMODE = 3, O_CREAT = 0100, O_EXCL = 0200, O_TRUNC = 01000, O_APPEND = 02000, O_NONBLOCK = 04000, O_DSYNC = 010000,
	O_DIRECT = 040000, O_LARGEFILE = 0100000, O_DIRECTORY = 0200000, O_CLOEXEC = 02000000, O_SYNC = 04010000,
	O_TMPFILE = 020200000,
};

/* The hottest conversion, without a loop. O_RDWR is reading and writing. */
static __always_inline __u32 open_flags(__u32 v)
{
	__u32 mode = v & O_ACCMODE, out = mode == 1 ? 2 : mode == 2 ? 3 : mode == 0 ? 1 : 0;

	out |= (v & O_CREAT) >> 4 | (v & O_EXCL) >> 2 | (v & O_TRUNC) >> 1 | (v & O_APPEND) >> 7 | (v & O_NONBLOCK) >> 5;
	out |= (v & O_DIRECT) >> 5 | (v & O_LARGEFILE) >> 4 | (v & O_DIRECTORY) >> 6 | (v & O_CLOEXEC) >> 7;
	out |= (v & O_DSYNC) >> 8;
	if ((v & O_SYNC) == O_SYNC)
		out |= 128;
	if ((v & O_TMPFILE) == O_TMPFILE)
		out |= 8192;
	return out;
}

static __always_inline bool creates(__u32 flags)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

#endif
