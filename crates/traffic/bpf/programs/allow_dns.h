/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * allow_dns: TCP and UDP to port 53 pass only towards one resolver; other ports and protocols pass.
 * Input: the resolver address. Alone it drops what is not IPv4; in a chain it leaves that to the other stages.
 * Never: passes a later fragment of any protocol.
 */
static __always_inline int judge_allow_dns(const struct view *frame, const volatile struct stage *stage, bool chained)
{
	if (!has(frame, ETHERNET))
		return DROP;
	if (frame->type != ETHERTYPE_IPV4)
		return chained;
	if (!has(frame, WHOLE_IPV4) || has(frame, LATER_FRAGMENT))
		return DROP;
	if (!tcp_or_udp(frame))
		return PASS;
	if (!has(frame, PORTS))
		return DROP;
	return frame->destination_port != 53 || frame->destination == stage->values[0];
}
