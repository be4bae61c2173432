/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * block_private_ipv4: drops IPv4 to 10/8, 172.16/12 and 192.168/16, save TCP from source port 22 (answers of an SSH server).
 * Input: none. Later fragments and TCP without readable ports pass.
 * Never: drops what goes to a public address.
 */
static __always_inline int judge_block_private_ipv4(const struct view *frame, const volatile struct stage *stage, bool chained)
{
	__u32 destination = frame->ip.destination;

	if (!frame->ethernet || frame->type != ETHERTYPE_IPV4)
		return !frame->too_many_tags;
	if (!frame->ip.fixed || frame->ip.ihl < MINIMUM_IHL || frame->ip.later_fragment)
		return PASS;
	if (destination >> 24 != 10 && destination >> 20 != 0xac1 && destination >> 16 != 0xc0a8)
		return PASS;
	if (frame->ip.protocol != PROTOCOL_TCP)
		return DROP;
	return !frame->ip.ports || frame->ip.source_port == 22;
}
