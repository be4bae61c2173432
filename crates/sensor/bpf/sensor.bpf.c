/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel half of `hawkbell watch`. Hook: the end of every system call of the machine. In: registers and result.
 * Out: one event per wanted call in the ring of the CPU. An unwanted call costs the lookup of one byte.
 * Events are filled by programs of their family, reached by tail call, so that a kernel that refuses one family still
 * sees the rest. Must never: read user memory before the filter, wake the consumer, block.
 */
#include "steps.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, FILLS);
	__type(key, __u32);
	__type(value, __u32);
} fillers SEC(".maps");

enum { TS_COMPAT = 2, NR_socketcall32 = 102 };

/* A register of the caller: BTF hooks know what they are given, raw tracepoints get an address. */
#define REG(regs, name) (raw ? GET(pt_regs, regs, name) : (regs)->name)

/* Calls of socketcall(2) in their order, as x86-64 numbers. */
const __u16 socket_calls[32] = {
	[1] = NR_socket, [2] = NR_bind, [3] = NR_connect, [4] = NR_listen, [5] = NR_accept, [6] = NR_getsockname,
	[7] = NR_getpeername, [8] = NR_socketpair, [9] = NR_send, [10] = NR_recv, [11] = NR_sendto, [12] = NR_recvfrom,
	[13] = NR_shutdown, [14] = NR_setsockopt, [15] = NR_getsockopt, [16] = NR_sendmsg, [17] = NR_recvmsg,
	[18] = NR_accept4, [19] = NR_recvmmsg, [20] = NR_sendmmsg,
};

static __always_inline bool is_compat(void)
{
	__u32 status;

	if (bpf_core_enum_value_exists(enum bpf_func_id___task, BPF_FUNC_get_current_task_btf)) {
		struct task_struct *task = bpf_get_current_task_btf();

		status = task->thread_info.status;
	} else {
		status = BPF_CORE_READ(this_task(), thread_info.status);
	}
	return status & TS_COMPAT;
}

/* The 64-bit number of a 32-bit call, and its arguments; 0xffff = not one that has an event. */
static __always_inline __u32 compat_call(struct pt_regs *regs, __u32 nr)
{
	__u32 call;

	/* execve and execveat of a 64-bit task into a 32-bit image end as 32-bit calls with 64-bit numbers */
	if (nr == NR_execve || nr == NR_execveat)
		return nr;
	if (nr == NR_socketcall32)
		return socket_calls[REG(regs, bx) & 31] ?: 0xffff;
	call = ia32_calls[nr & (CALLS - 1)];
	return call ? call - 1 : 0xffff;
}

static __always_inline void take_arguments(struct scratch *s, struct pt_regs *regs, __u32 original)
{
	__u32 i;

	if (!s->compat) {
		s->args[0] = REG(regs, di);
		s->args[1] = REG(regs, si);
		s->args[2] = REG(regs, dx);
		s->args[3] = REG(regs, r10);
		s->args[4] = REG(regs, r8);
		s->args[5] = REG(regs, r9);
		return;
	}
	s->args[0] = (__u32)REG(regs, bx);
	s->args[1] = (__u32)REG(regs, cx);
	s->args[2] = (__u32)REG(regs, dx);
	s->args[3] = (__u32)REG(regs, si);
	s->args[4] = (__u32)REG(regs, di);
	s->args[5] = (__u32)REG(regs, bp);
	if (original == NR_socketcall32) {
		__u32 given[6] = {};

		user_read(given, s->args[1]);
		for (i = 0; i < 6; i++)
			s->args[i] = given[i];
	}
}

SEC("tp_btf/sys_exit")
int sys_exit(__u64 *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	__u32 nr = REG(regs, orig_ax), original = nr;
	struct scratch *s;
	bool compat;
	__u8 wanted;

	/* -1, no call at all, is out of range as well */
	hidden_value(nr); /* one copy of the number, the one that was compared */
	if (nr >= CALLS)
		return 0;
	wanted = selected[nr];
	if (!wanted)
		return 0;
	compat = is_compat();
	if (!(wanted & (compat ? WANTED_32 : WANTED)))
		return 0;
	if (compat)
		nr = compat_call(regs, nr);
	/* socketcall is one number for calls that are not all wanted */
	if (nr >= CALLS || !(selected[nr] & WANTED))
		return 0;
	if (drop_failed && (__s64)ctx[1] < 0)
		return 0;
	s = scratch(area(AREA_EXIT));
	if (!s) {
		count(DROP_SCRATCH);
		return 0;
	}
	s->ret = ctx[1];
	s->nr = nr;
	s->compat = compat;
	take_arguments(s, regs, original);
	bpf_tail_call(ctx, &fillers, recipes[nr].fill);
	count(DROP_NO_PROGRAM);
	return 0;
}

#define FILLER(family)                                                                                                 \
	__u32 number = area(AREA_EXIT);                                                                                \
	struct scratch *s = scratch(number);                                                                           \
	const struct recipe *recipe;                                                                                   \
	if (!s)                                                                                                        \
		return 0;                                                                                              \
	recipe = &recipes[s->nr & (CALLS - 1)];                                                                        \
	follow(s, number, recipe, family);                                                                             \
	emit(s, recipe->drop);                                                                                         \
	return 0;

SEC("tp_btf/sys_exit")
int fill_plain(__u64 *ctx)
{
	FILLER(FILL_PLAIN)
}

SEC("tp_btf/sys_exit")
int fill_misc(__u64 *ctx)
{
	FILLER(FILL_MISC)
}

FN int fill_net_one(__u32 number)
{
	SCRATCH(number)
	const struct recipe *recipe = &recipes[s->nr & (CALLS - 1)];

	follow(s, number, recipe, FILL_NET);
	emit(s, recipe->drop);
	return 0;
}

enum { MESSAGES = 16, MSGHDR = 64, MSGHDR_COMPAT = 32, MSG_LEN = 56, MSG_LEN_COMPAT = 28 };

/* Message `i` of sendmmsg or recvmmsg: its own length becomes `ret`, the result of the call is in args[CALL]. */
FN int fill_message(__u32 number, __u32 i)
{
	SCRATCH(number)
	__u64 at = s->args[1] + i * (s->compat ? MSGHDR_COMPAT : MSGHDR);
	__u32 len = 0;

	if ((__s64)s->args[CALL] > 0)
		user_read(len, at + (s->compat ? MSG_LEN_COMPAT : MSG_LEN));
	s->ret = (__s64)s->args[CALL] < 0 ? s->args[CALL] : len;
	read_msghdr(number, at);
	read_iovecs(number, s->var[6], s->var[7]);
	fill_net_one(number);
	return 0;
}

SEC("tp_btf/sys_exit")
int fill_net(__u64 *ctx)
{
	__u32 number = area(AREA_EXIT), i, n;
	struct scratch *s = scratch(number);

	if (!s)
		return 0;
	s->var[2] = 0;
	if (s->nr != NR_sendmmsg && s->nr != NR_recvmmsg) {
		fill_net_one(number);
		return 0;
	}
	n = s->ret > MESSAGES ? MESSAGES : s->ret < 1 ? 1 : s->ret;
	s->args[CALL] = s->ret;
	for (i = 0; i < MESSAGES; i++) {
		if (i >= n)
			break;
		fill_message(number, i);
	}
	return 0;
}

#include "process.h"
#include "rare.h"
#include "enter.h"
#include "existing.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
