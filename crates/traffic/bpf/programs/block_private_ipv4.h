/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * block_private_ipv4: drops IPv4 to 10/8, 172.16/12 and 192.168/16, save TCP from source port 22 (answers of an SSH server).
 * Input: none. Later fragments and TCP without readable ports pass.
 * Never: drops what goes to a public address.
 */
static __always_inline int judge_block_private_ipv4(const struct view *frame, const volatile struct stage *stage, bool chained)
{
	__u32 destination = frame->destination;

	if (!has(frame, ETHERNET) || frame->type != ETHERTYPE_IPV4)
		return !has(frame, TOO_MANY_TAGS);
	if (!has(frame, IPV4_FIXED | IPV4_LENGTH) || has(frame, LATER_FRAGMENT))
		return PASS;
	if (destination >> 24 != 10 && destination >> 20 != 0xac1 && destination >> 16 != 0xc0a8)
		return PASS;
	if (frame->protocol != PROTOCOL_TCP)
		return DROP;
	return !has(frame, PORTS) || frame->source_port == 22;
}
