/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * allow_port: passes TCP and UDP to one destination port; other protocols over IPv4 pass.
 * Input: one port. Alone it drops what is not IPv4; in a chain it leaves that to the other stages.
 * Never: passes a TCP or UDP fragment without its ports.
 */
static __always_inline int judge_allow_port(const struct view *frame, const volatile struct stage *stage, bool chained)
{
	if (!has(frame, ETHERNET))
		return DROP;
	if (frame->type != ETHERTYPE_IPV4)
		return chained;
	if (!has(frame, WHOLE_IPV4))
		return DROP;
	if (!tcp_or_udp(frame))
		return PASS;
	return !has(frame, LATER_FRAGMENT) && has(frame, PORTS) && frame->destination_port == stage->values[0];
}
