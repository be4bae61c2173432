/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * allow_ipv4: passes IPv4 to one destination and to 127.0.0.0/8; fragments are judged by destination alone.
 * Input: one address. Alone it drops what is not IPv4; in a chain it leaves that to the other stages.
 * Never: passes a header whose version is not 4 or whose options leave the frame.
 */
static __always_inline int judge_allow_ipv4(const struct view *frame, const volatile struct stage *stage, bool chained)
{
	if (!has(frame, ETHERNET))
		return DROP;
	if (frame->type != ETHERTYPE_IPV4)
		return chained;
	if (!has(frame, WHOLE_IPV4 | VERSION_4))
		return DROP;
	return frame->destination >> 24 == 127 || frame->destination == stage->values[0];
}
