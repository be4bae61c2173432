/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * block_ipv4: drops IPv4 to one destination, fragments included; everything else passes.
 * Input: one address. Never: drops a frame whose destination cannot be read.
 */
static __always_inline int judge_block_ipv4(const struct view *frame, const volatile struct stage *stage, bool chained)
{
	if (!has(frame, ETHERNET) || frame->type != ETHERTYPE_IPV4)
		return !has(frame, TOO_MANY_TAGS);
	if (!has(frame, IPV4_FIXED | IPV4_LENGTH))
		return PASS;
	return frame->destination != stage->values[0];
}
