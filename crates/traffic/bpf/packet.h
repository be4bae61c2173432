/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads a frame once: VLAN tags, IPv4 with options, IPv6 with extension headers, fragments, ports, ICMP types.
 * In: the linear part of an skb. Out: struct packet, or why it cannot be read. Rust twin: packet.rs.
 * Never: unbounded walks; a look at bytes that are not there counts as CUT_OFF, so that the caller can pull and read again.
 */
#ifndef HAWKBELL_PACKET_H
#define HAWKBELL_PACKET_H

enum reading { READ = 0, CUT_OFF = 1, UNREADABLE = 2 };
enum place { WHOLE = 0, FIRST = 1, LATER = 2 };
enum transport { NO_TRANSPORT = 0, PORTS = 1, ICMP_TYPE = 2 };

struct packet {
	__u32 source[4];	/* network byte order; IPv4 in the last word */
	__u32 destination[4];
	__u32 fragment_id;
	__u16 ethertype;	/* behind the tags */
	__u16 source_port;	/* host byte order; echo identifier */
	__u16 destination_port;
	__u16 icmp;		/* type << 8 | code */
	__u8 family;		/* 4, 6, or 0 for anything but IP */
	__u8 protocol;
	__u8 place;
	__u8 transport;
	__u8 tcp_flags;
	bool has_identity;	/* belongs to a flow that can be remembered */
};

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_QINQ = 0x88a8,
	MAX_EXTENSIONS = 6,
	MAX_EXTENSION_BYTES = 256,
	ICMP = 1,
	TCP = 6,
	ICMPV6 = 58,
	FRAGMENT_HEADER = 44,
};

static __always_inline __u16 be16_at(const void *at)
{
	return bpf_ntohs(*(const __u16 *)at);
}

static __always_inline bool is_tag(__u16 type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ;
}

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == TCP || protocol == 17 || protocol == 33 || protocol == 132 || protocol == 136;
}

static __always_inline bool is_extension(__u8 next)
{
	return next == 0 || next == 43 || next == 60 || next == 135 || next == 139 || next == 140;
}

static __always_inline enum reading read_ports(struct packet *p, const void *at, const void *end)
{
	if (at + 4 > end)
		return CUT_OFF;
	p->source_port = be16_at(at);
	p->destination_port = be16_at(at + 2);
	p->transport = PORTS;
	p->has_identity = true;
	if (p->protocol != TCP)
		return READ;
	if (at + 14 > end)
		return CUT_OFF;
	p->tcp_flags = *(const __u8 *)(at + 13);
	return READ;
}

static __always_inline bool is_echo(const struct packet *p)
{
	__u8 type = p->icmp >> 8;

	return p->family == 4 ? type == 0 || type == 8 : type == 128 || type == 129;
}

static __always_inline enum reading read_icmp(struct packet *p, const void *at, const void *end)
{
	if (at + 2 > end)
		return CUT_OFF;
	p->icmp = be16_at(at);
	p->transport = ICMP_TYPE;
	if (is_echo(p) && at + 6 <= end) {
		p->source_port = be16_at(at + 4);
		p->destination_port = p->source_port;
		p->has_identity = true;
	}
	return READ;
}

static __always_inline enum reading read_transport(struct packet *p, const void *at, const void *end)
{
	if (p->place == LATER)
		return READ;
	if (has_ports(p->protocol))
		return read_ports(p, at, end);
	if (p->protocol == (p->family == 4 ? ICMP : ICMPV6))
		return read_icmp(p, at, end);
	return READ;
}

static __always_inline __u8 place_of(bool later, bool more)
{
	return later ? LATER : more ? FIRST : WHOLE;
}

static __always_inline enum reading read_ipv4(struct packet *p, const void *at, const void *end)
{
	const __u8 *byte = at;
	__u32 header;
	__u16 field;

	if (at + 20 > end)
		return CUT_OFF;
	header = (byte[0] & 15) * 4;
	if (byte[0] >> 4 != 4 || header < 20)
		return UNREADABLE;
	if (at + header > end)
		return CUT_OFF;
	p->family = 4;
	p->fragment_id = be16_at(at + 4);
	field = be16_at(at + 6);
	p->place = place_of(field & 0x1fff, field & 0x2000);
	p->protocol = byte[9];
	p->source[3] = *(const __u32 *)(at + 12);
	p->destination[3] = *(const __u32 *)(at + 16);
	return read_transport(p, at + header, end);
}

/* The header at `offset` of the IPv6 packet at `at`; moves on to the one behind it. */
static __always_inline enum reading skip_extension(struct packet *p, const void *at, const void *end, __u32 *offset)
{
	const __u8 *byte = at + *offset;
	__u16 field;

	if ((const void *)byte + 8 > end)
		return CUT_OFF;
	if (p->protocol == FRAGMENT_HEADER) {
		field = be16_at(byte + 2);
		p->place = place_of(field & 0xfff8, field & 1);
		p->fragment_id = bpf_ntohl(*(const __u32 *)(byte + 4));
		*offset += 8;
	} else {
		*offset += (byte[1] + 1) * 8;
	}
	p->protocol = byte[0];
	return READ;
}

static __always_inline enum reading read_ipv6(struct packet *p, const void *at, const void *end)
{
	enum reading reading;
	__u32 offset = 40;

	if (at + 40 > end)
		return CUT_OFF;
	if (*(const __u8 *)at >> 4 != 6)
		return UNREADABLE;
	p->family = 6;
	p->protocol = *(const __u8 *)(at + 6);
	__builtin_memcpy(p->source, at + 8, 16);
	__builtin_memcpy(p->destination, at + 24, 16);
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		if (!is_extension(p->protocol) && p->protocol != FRAGMENT_HEADER)
			break;
		reading = skip_extension(p, at, end, &offset);
		if (reading != READ)
			return reading;
		if (p->place == LATER)
			break;
		if (offset > 40 + MAX_EXTENSION_BYTES)
			return UNREADABLE;
	}
	if (p->place != LATER && (is_extension(p->protocol) || p->protocol == FRAGMENT_HEADER))
		return UNREADABLE;
	if (offset > 40 + MAX_EXTENSION_BYTES + 2048)
		return UNREADABLE;
	if (at + offset > end)
		return CUT_OFF;
	return read_transport(p, at + offset, end);
}

/* `at` is behind the Ethernet header, whose type is `type`. */
static __always_inline enum reading read_behind(struct packet *p, __u16 type, const void *at, const void *end)
{
#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (!is_tag(type))
			break;
		if (at + 4 > end)
			return CUT_OFF;
		type = be16_at(at + 2);
		at += 4;
	}
	p->ethertype = type;
	if (is_tag(type))
		return UNREADABLE;
	if (type == ETHERTYPE_IPV4)
		return read_ipv4(p, at, end);
	if (type == ETHERTYPE_IPV6)
		return read_ipv6(p, at, end);
	return READ;
}

static __always_inline enum reading read_packet(struct packet *p, const void *data, const void *end, __u16 protocol, __u32 link_header)
{
	if (link_header == 0)
		return read_behind(p, protocol, data, end);
	if (data + 14 > end)
		return CUT_OFF;
	return read_behind(p, be16_at(data + 12), data + 14, end);
}
#endif
