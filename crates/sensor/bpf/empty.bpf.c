/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs that do nothing, on the hooks of the sensor: what a hook costs by itself. Used by measurements only.
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

char LICENSE[] SEC("license") = "Dual BSD/GPL";
