/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * block_ipv4: drops IPv4 to one destination, fragments included; everything else passes.
 * Input: one address. Never: drops a frame whose destination cannot be read.
 */
static __always_inline int judge_block_ipv4(const struct view *frame, const volatile struct stage *stage, bool chained)
{
	if (!frame->ethernet || frame->type != ETHERTYPE_IPV4)
		return !frame->too_many_tags;
	if (!frame->ip.fixed || frame->ip.ihl < MINIMUM_IHL)
		return PASS;
	return frame->ip.destination != stage->values[0];
}
