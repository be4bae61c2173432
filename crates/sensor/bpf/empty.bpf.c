/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs that do nothing, on the hooks of the sensor: what a hook costs by itself; and two that no kernel takes.
 * Used by measurements and tests only.
 */
#include "common.h"

SEC("tp_btf/sys_exit")
int empty_exit(__u64 *ctx)
{
	return 0;
}

SEC("tp_btf/sys_enter")
int empty_enter(__u64 *ctx)
{
	return 0;
}

/* The verifier refuses to follow a number. */
SEC("?tp_btf/sys_exit")
int unsafe(__u64 *ctx)
{
	return *(int *)ctx[1];
}

/* No kernel has this hook. */
SEC("?tp_btf/hawkbell_no_such_tracepoint")
int misplaced(__u64 *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
