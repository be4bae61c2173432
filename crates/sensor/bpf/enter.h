/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Copies of paths and addresses at the entry of open, creat, openat, openat2 and connect. Another thread can change that
 * memory before the call ends, so the consumer prefers these copies. Hook: the entry of every call, which measures no
 * dearer than perf tracepoints of the five, needs no tracefs and sees 32-bit callers. Reads that would have to wait for
 * a page fail and leave the parameter empty.
 */

enum { ENTER_OPEN, ENTER_CREAT, ENTER_OPENAT, ENTER_OPENAT2, ENTER_CONNECT };

const struct recipe enter_recipes[] = {
	ROW(ENTER_OPEN, SYSCALL_OPEN_E, 0, DROP_OPEN_ENTER, STR(0), OP(OPENFLAGS, 1), OP(OPENMODE, 1, 2)),
	ROW(ENTER_CREAT, SYSCALL_CREAT_E, 0, DROP_OPEN_ENTER, STR(0), CONV32(1, C_MODE)),
	ROW(ENTER_OPENAT, SYSCALL_OPENAT_2_E, 0, DROP_OPEN_ENTER, FD(0), STR(1), OP(OPENFLAGS, 2), OP(OPENMODE, 2, 3)),
	ROW(ENTER_OPENAT2, SYSCALL_OPENAT2_E, 0, DROP_OPEN_ENTER, OP(FILE, 2), FD(0), STR(1), OP(OPENFLAGS, VAR + 4),
	    OP(OPENMODE, VAR + 4, VAR + 5), CONV32(VAR + 6, C_RESOLVE)),
};

static __always_inline int enter_with(struct scratch *s, __u32 number, __u32 call)
{
	const struct recipe *r;

	if (call == ENTER_CONNECT) {
		begin(s, SOCKET_CONNECT_E, SOCKET_CONNECT_E_PARAMS);
		put64(s, (__s64)(__s32)s->args[0]);
		put_sockaddr(number, s->args[1], (__u32)s->args[2]);
		emit(s, DROP_CONNECT_ENTER);
		return 0;
	}
	if (call > ENTER_CONNECT)
		return 0;
	r = &enter_recipes[call];
	s->ret = -1; /* nothing is open yet */
	follow(s, number, r, FILL_PLAIN);
	emit(s, r->drop);
	return 0;
}

static __always_inline __u32 entered(__u32 nr)
{
	switch (nr) {
	case NR_open: return ENTER_OPEN;
	case NR_creat: return ENTER_CREAT;
	case NR_openat: return ENTER_OPENAT;
	case NR_openat2: return ENTER_OPENAT2;
	case NR_connect: return ENTER_CONNECT;
	}
	return ENTER_CONNECT + 1;
}

/* Arguments: registers, number. */
SEC("tp_btf/sys_enter")
int sys_enter(__u64 *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	__u32 nr = ctx[1], original = nr, number, call;
	struct scratch *s;
	bool compat;

	hidden_value(nr);
	if (nr >= CALLS || !selected[nr])
		return 0;
	compat = is_compat();
	if (compat)
		nr = compat_call(regs, nr);
	call = entered(nr);
	if (call > ENTER_CONNECT || !(selected[nr & (CALLS - 1)] & WANTED))
		return 0;
	number = area(AREA_ENTER);
	s = scratch(number);
	if (!s) {
		count(DROP_SCRATCH);
		return 0;
	}
	s->compat = compat;
	take_arguments(s, regs, original);
	return enter_with(s, number, call);
}
