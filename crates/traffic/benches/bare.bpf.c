/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The least a tc program can do, to be subtracted from what the others take.
 * In: any frame. Out: TC_ACT_UNSPEC. Never: a look at the frame, a map.
 */
#include "common.h"
#include "skb.h"

SEC("tc")
int bare(struct __sk_buff *skb)
{
	return -1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
