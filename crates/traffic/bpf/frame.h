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

/* What a frame has, one bit each: tests of bits stay in registers where a struct of flags would be spilled at every branch. */
enum {
	ETHERNET = 1 << 0,	/* the 14 bytes of an Ethernet header */
	INNER_TYPE = 1 << 1,	/* behind up to two tags an EtherType that is no tag */
	TOO_MANY_TAGS = 1 << 2,	/* strict reading met a third VLAN tag */
	IPV4_FIXED = 1 << 3,	/* the 20 fixed bytes of the IPv4 header */
	IPV4_LENGTH = 1 << 4,	/* an IHL of at least 5 */
	IPV4_OPTIONS = 1 << 5,	/* all IHL*4 bytes */
	VERSION_4 = 1 << 6,
	LATER_FRAGMENT = 1 << 7,	/* a fragment offset that is not 0 */
	PORTS = 1 << 8,		/* four bytes behind the IPv4 header */
	/* a readable IPv4 header whose options are within the frame: the test all allow_* programs begin with */
	WHOLE_IPV4 = IPV4_FIXED | IPV4_LENGTH | IPV4_OPTIONS,
};

/* One frame; what its bits do not announce is zero. Numbers are in host byte order. */
struct view {
	__u32 bits;
	__u32 outer_type;	/* bytes 12-13 */
	__u32 type;		/* outer_type, or the one behind the tags in strict reading */
	__u32 inner_type;	/* the one behind the tags */
	/* of IPv4 behind the tags: to be read when `type` (or `inner_type`) says so */
	__u32 protocol;
	__u32 destination;
	__u32 source_port;
	__u32 destination_port;
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

static __always_inline bool has(const struct view *view, __u32 bits)
{
	return (view->bits & bits) == bits;
}

static __always_inline void look_at_ports(struct view *view, const void *l4, const void *end)
{
	if (l4 + 4 <= end) {
		view->bits |= IPV4_OPTIONS | PORTS;
		view->source_port = be16_at(l4);
		view->destination_port = be16_at(l4 + 2);
	} else if (l4 <= end) {
		view->bits |= IPV4_OPTIONS;
	}
}

static __always_inline void look_at_ipv4(struct view *view, const void *at, const void *end)
{
	const __u8 *byte = at;
	__u32 ihl;

	if (at + 20 > end)
		return;
	view->bits |= IPV4_FIXED;
	if (byte[0] >> 4 == 4)
		view->bits |= VERSION_4;
	if (be16_at(at + 6) & 0x1fff)
		view->bits |= LATER_FRAGMENT;
	view->protocol = byte[9];
	view->destination = bpf_ntohl(*(const __u32 *)(at + 16));
	ihl = byte[0] & 15;
	if (ihl < MINIMUM_IHL)
		return;
	view->bits |= IPV4_LENGTH;
	look_at_ports(view, at + ihl * 4, end);
}

static __always_inline bool tcp_or_udp(const struct view *frame)
{
	return frame->protocol == PROTOCOL_TCP || frame->protocol == PROTOCOL_UDP;
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
