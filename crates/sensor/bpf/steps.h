/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The interpreter that follows a recipe. Every program that fills events contains it with the plain steps and the
 * steps of its own family; the family is a constant, so the others' code is not in the program.
 */
#ifndef HAWKBELL_STEPS_H
#define HAWKBELL_STEPS_H

#include "recipes.h"
#include "file.h"
#include "net.h"
#include "misc.h"

/* Device, inode and flags of the file just opened, and the options of openat2. */
FN int look_at_file(__u32 area, __u8 how)
{
	SCRATCH(area)
	struct file *file;
	struct inode *inode;

	s->var[0] = s->var[1] = s->var[2] = 0;
	if (how) {
		__u64 given[3] = {};

		user_read(given, s->args[how & 7]);
		s->var[4] = given[0];
		s->var[5] = given[1];
		s->var[6] = given[2];
	}
	if (s->ret <= 0)
		return 0;
	file = (void *)file_of(s->ret);
	inode = GET(file, file, f_inode);
	if (!inode)
		return 0;
	s->var[0] = inode_dev(inode);
	s->var[1] = GET(inode, inode, i_ino);
	s->var[2] = overlay_layer(inode);
	if (GET(file, file, f_mode) & FMODE_CREATED)
		s->var[2] |= OPEN_CREATED;
	return 0;
}

FN int put_timespec(__u32 area, __u64 address)
{
	SCRATCH(area)
	__u64 ns = 0;

	if (s->compat) {
		__s32 t[2] = {};

		if (address && !user_read(t, address))
			ns = t[0] * 1000000000ULL + t[1];
	} else {
		__s64 t[2] = {};

		if (address && !user_read(t, address))
			ns = t[0] * 1000000000ULL + t[1];
	}
	put64(s, ns);
	return 0;
}

FN int put_pipe(__u32 area)
{
	SCRATCH(area)
	__s32 fds[2] = { -1, -1 };
	struct file *file;
	__u64 ino = 0;

	if (!s->ret && !user_read(fds, s->args[0])) {
		file = (void *)file_of(fds[0]);
		ino = BPF_CORE_READ(file, f_inode, i_ino);
	}
	put64(s, (__s64)fds[0]);
	put64(s, (__s64)fds[1]);
	put64(s, ino);
	return 0;
}

FN int put_data(__u32 area, __u64 address, __u8 len, __s64 wanted)
{
	SCRATCH(area)
	__s64 bytes = s->ret;

	if (len != RESULT && bytes < 0)
		bytes = wanted; /* a failed write still shows what it meant to write */
	if (bytes <= 0)
		put_empty(s);
	else
		put_user_bytes(s, address, bytes);
	return 0;
}

static __always_inline void put_zero(struct scratch *s, __u8 bytes)
{
	*(__u64 *)here(s) = 0;
	done(s, bytes & 15);
}

/* Whether the step was one of the plain ones. */
FN int plain_step(__u32 area, __u32 op, __u32 a, __u32 b)
{
	SCRATCH(area)
	__u64 v = value(s, a), out;

	switch (op) {
	case OP_U16:
		put16(s, v);
		return true;
	case OP_U8:
		put8(s, v);
		return true;
	case OP_STR_OK:
		if (s->ret < 0) {
			put_empty(s);
			return true;
		}
		/* fall through */
	case OP_STR:
		put_user_string(s, v);
		return true;
	case OP_CONV32:
	case OP_CONV16:
	case OP_CONV8:
		*(__u64 *)here(s) = convert(b, v);
		done(s, op == OP_CONV32 ? 4 : op == OP_CONV16 ? 2 : 1);
		return true;
	case OP_ZERO:
		put_zero(s, a);
		return true;
	case OP_UREAD64:
		out = 0;
		if (v)
			user_read(out, v);
		put64(s, out);
		return true;
	case OP_UREAD32: {
		__u32 low = 0;

		if (v)
			user_read(low, v);
		put32(s, low);
		return true;
	}
	case OP_TIMESPEC:
		put_timespec(area, v);
		return true;
	case OP_DATA:
		put_data(area, v, b, value(s, b));
		return true;
	case OP_VM:
		put_vm(area, (__u64)this_task());
		return true;
	case OP_MOUNTFLAGS:
		put32(s, (v & 0xffff0000) == 0xc0ed0000 ? v & 0xffff : v);
		return true;
	case OP_CAPS:
		put_caps(s, BPF_CORE_READ(this_task(), cred));
		return true;
	case OP_FILE:
		look_at_file(area, a);
		return true;
	case OP_OPENFLAGS:
		put32(s, open_flags(v) | s->var[2]);
		return true;
	case OP_OPENMODE:
		put32(s, creates(v) ? value(s, b) & 07777 : 0);
		return true;
	case OP_LAYER16:
		put16(s, (s->var[2] >> 15) & 3);
		return true;
	case OP_PIPE:
		put_pipe(area);
		return true;
	case OP_HALVES:
		put64(s, v << 32 | (__u32)value(s, b));
		return true;
	case OP_SC:
		put16(s, sc_codes[s->nr & (CALLS - 1)]);
		put16(s, s->nr);
		return true;
	}
	return false;
}

static __always_inline void follow(struct scratch *s, __u32 area, const struct recipe *r, const int family)
{
	__u32 i;

	begin(s, r->kind, r->params);
	for (i = 0; i < STEPS; i++) {
		__u8 op = r->step[i].op, a = r->step[i].a, b = r->step[i].b;

		if (op == OP_END)
			break;
		if (op <= OP_U32) { /* the most frequent ones, without a call */
			__u64 v = value(s, a);

			*(__u64 *)here(s) = op == OP_S32 ? (__s64)(__s32)v : v;
			done(s, op == OP_U32 ? 4 : 8);
			continue;
		}
		if (plain_step(area, op, a, b))
			continue;
		if (family == FILL_NET)
			net_step(area, op, a, b);
		if (family == FILL_MISC)
			misc_step(area, op, a, b);
	}
}

#endif
