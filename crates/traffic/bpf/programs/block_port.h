/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * block_port: drops TCP and UDP over IPv4 to one destination port; everything else passes.
 * Input: one port. Never: drops a frame whose ports cannot be read, later fragments among them.
 */
static __always_inline int judge_block_port(const struct view *frame, const volatile struct stage *stage, bool chained)
{
	if (!has(frame, ETHERNET) || frame->type != ETHERTYPE_IPV4)
		return !has(frame, TOO_MANY_TAGS);
	if (!has(frame, IPV4_FIXED | IPV4_LENGTH) || has(frame, LATER_FRAGMENT))
		return PASS;
	if (!tcp_or_udp(frame) || !has(frame, PORTS))
		return PASS;
	return frame->destination_port != stage->values[0];
}
