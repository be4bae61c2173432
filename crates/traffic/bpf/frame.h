/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a catalogue program may look at: one parsed view of a frame and its own stage (input values).
 * In: a frame whose headers are linear. Out: struct view, filled once per packet and shared by all stages of a chain.
 * Never: a second look at packet bytes by a program, a verdict in here, a loop over packet-controlled lengths.
 */
#ifndef HAWKBELL_FRAME_H
#define HAWKBELL_FRAME_H

enum { VALUES_PER_STAGE = 8, STAGES_PER_CHAIN = 8 };

/* One stage: the program's catalogue number and its input, in host byte order. Rust: kernel::programs::Stage. */
struct stage {
	__u32 program;
	__u32 count;
	__u32 values[VALUES_PER_STAGE];
};

/* The IPv4 header at one offset, as far as the frame goes. */
struct ipv4 {
	bool fixed;		/* the 20 fixed bytes are there */
	bool ports;		/* four bytes behind IHL*4 are there */
	bool fits;		/* IHL*4 bytes are there */
	bool later_fragment;	/* fragment offset != 0 */
	__u8 version;
	__u8 ihl;
	__u8 protocol;
	__u16 source_port;
	__u16 destination_port;
	__u32 destination;
};

struct view {
	bool ethernet;		/* the 14 bytes of an Ethernet header are there */
	bool too_many_tags;	/* strict reading met a third VLAN tag */
	__u16 outer_type;	/* bytes 12-13 */
	__u16 type;		/* outer_type, or the one behind the tags in strict reading */
	bool inner_ok;		/* behind up to two tags there is an EtherType that is not a tag */
	__u16 inner_type;	/* that one */
	struct ipv4 ip;		/* behind the tags: to be read when `type` (or `inner_type`) says IPv4 */
};

enum { DROP = 0, PASS = 1 };

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_QINQ = 0x88a8,
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	MINIMUM_IHL = 5,
};

static __always_inline bool is_tag(__u16 type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ;
}

static __always_inline __u16 be16_at(const void *at)
{
	return bpf_ntohs(*(const __u16 *)at);
}

static __always_inline void look_at_ports(struct ipv4 *ip, const void *l4, const void *end)
{
	if (l4 + 4 > end)
		return;
	ip->ports = true;
	ip->source_port = be16_at(l4);
	ip->destination_port = be16_at(l4 + 2);
}

static __always_inline void look_at_ipv4(struct ipv4 *ip, const void *at, const void *end)
{
	const __u8 *byte = at;

	if (at + 20 > end)
		return;
	ip->fixed = true;
	ip->version = byte[0] >> 4;
	ip->ihl = byte[0] & 15;
	ip->later_fragment = (be16_at(at + 6) & 0x1fff) != 0;
	ip->protocol = byte[9];
	ip->destination = bpf_ntohl(*(const __u32 *)(at + 16));
	ip->fits = at + ip->ihl * 4 <= end;
	if (ip->ihl >= MINIMUM_IHL)
		look_at_ports(ip, at + ip->ihl * 4, end);
}

/* A readable IPv4 header whose options are within the frame: the test all allow_* programs begin with. */
static __always_inline bool whole_ipv4(const struct ipv4 *ip)
{
	return ip->fixed && ip->ihl >= MINIMUM_IHL && ip->fits;
}

static __always_inline bool tcp_or_udp(const struct ipv4 *ip)
{
	return ip->protocol == PROTOCOL_TCP || ip->protocol == PROTOCOL_UDP;
}

static __always_inline bool in_set(const volatile struct stage *stage, __u32 value)
{
	__u32 count = stage->count;

#pragma unroll
	for (int i = 0; i < VALUES_PER_STAGE; i++) {
		if (i >= count)
			return false;
		if (stage->values[i] == value)
			return true;
	}
	return false;
}
#endif
