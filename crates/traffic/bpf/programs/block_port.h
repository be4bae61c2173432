/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * block_port: drops TCP and UDP over IPv4 to one destination port; everything else passes.
 * Input: one port. Never: drops a frame whose ports cannot be read, later fragments among them.
 */
static __always_inline int judge_block_port(const struct view *frame, const volatile struct stage *stage, bool chained)
{
	if (!frame->ethernet || frame->type != ETHERTYPE_IPV4)
		return !frame->too_many_tags;
	if (!frame->ip.fixed || frame->ip.ihl < MINIMUM_IHL || frame->ip.later_fragment)
		return PASS;
	if (!tcp_or_udp(&frame->ip) || !frame->ip.ports)
		return PASS;
	return frame->ip.destination_port != stage->values[0];
}
