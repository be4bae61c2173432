/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * allow_proto: passes IPv4 whose protocol is in the set; the only program that looks behind up to two VLAN tags.
 * Input: up to 8 protocol numbers. Alone it drops what is not IPv4; in a chain it leaves that to the other stages.
 * Never: passes a frame whose tags are cut off or number more than two.
 */
static __always_inline int judge_allow_proto(const struct view *frame, const volatile struct stage *stage, bool chained)
{
	if (!has(frame, ETHERNET | INNER_TYPE))
		return DROP;
	if (frame->inner_type != ETHERTYPE_IPV4)
		return chained;
	return has(frame, WHOLE_IPV4) && in_set(stage, frame->protocol);
}
