/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads a frame once: VLAN tags, IPv4 with options, IPv6 with extension headers, fragments, ports, ICMP types.
 * In: the linear part of an skb. Out: struct packet, or why it cannot be read. Rust twin: packet.rs.
 * Never: unbounded walks; a look at bytes that are not there counts as CUT_OFF, so that the caller can pull and read again.
 */
#ifndef HAWKBELL_PACKET_H
#define HAWKBELL_PACKET_H

/*
 * What was written to memory before is read back after it, so that the verifier knows nothing about it any more and can
 * take all the ways that lead here for one.
 */
#define FORGET() asm volatile("" ::: "memory")

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
	__u16 network;		/* offset of the network header */
	__u16 offset;		/* of the header to be read next, from the network header */
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
	UDP = 17,
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

/* Membership by bit mask: one branch where a chain of comparisons would give the verifier six states to follow. */
static __always_inline bool in_masks(__u8 number, __u64 low, __u64 from_128)
{
	if (number < 64)
		return low >> number & 1;
	return number >= 128 && number < 192 && (from_128 >> (number - 128) & 1);
}

#define BIT(number) (1ULL << (number))

/* TCP, UDP, DCCP; SCTP (132), UDP-Lite (136) */
static __always_inline bool has_ports(__u8 protocol)
{
	return in_masks(protocol, BIT(6) | BIT(17) | BIT(33), BIT(4) | BIT(8));
}

/* Hop-by-hop, routing, destination options; mobility (135), HIP (139), shim6 (140) */
static __always_inline bool is_extension(__u8 next)
{
	return in_masks(next, BIT(0) | BIT(43) | BIT(60), BIT(7) | BIT(11) | BIT(12));
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
	__u32 offset;

	FORGET();
	offset = p->offset;
	if (offset > 40 + MAX_EXTENSION_BYTES + 2048)
		return UNREADABLE;
	at += offset;
	if (at > end)
		return CUT_OFF;
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
	p->offset = header;
	p->family = 4;
	p->fragment_id = be16_at(at + 4);
	field = be16_at(at + 6);
	p->place = place_of(field & 0x1fff, field & 0x2000);
	p->protocol = byte[9];
	p->source[3] = *(const __u32 *)(at + 12);
	p->destination[3] = *(const __u32 *)(at + 16);
	return read_transport(p, at, end);
}

/* The extension header at `offset` of the IPv6 packet at `at`; moves on to the one behind it. */
static __always_inline enum reading skip_extension(struct packet *p, const void *at, const void *end)
{
	__u32 offset = p->offset;
	const __u8 *byte = at + offset;
	__u16 field;

	if (offset > 40 + MAX_EXTENSION_BYTES)
		return UNREADABLE;
	if ((const void *)byte + 8 > end)
		return CUT_OFF;
	if (p->protocol == FRAGMENT_HEADER) {
		field = be16_at(byte + 2);
		p->place = place_of(field & 0xfff8, field & 1);
		p->fragment_id = bpf_ntohl(*(const __u32 *)(byte + 4));
		p->offset = offset + 8;
	} else {
		p->offset = offset + (byte[1] + 1) * 8;
	}
	p->protocol = byte[0];
	return READ;
}

static __always_inline enum reading read_extensions(struct packet *p, const void *at, const void *end)
{
	enum reading reading;

#pragma clang loop unroll(disable)
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		FORGET();
		if (!is_extension(p->protocol) && p->protocol != FRAGMENT_HEADER)
			return READ;
		reading = skip_extension(p, at, end);
		if (reading != READ)
			return reading;
		if (p->place == LATER)
			return READ;
		if (p->offset > 40 + MAX_EXTENSION_BYTES)
			return UNREADABLE;
	}
	return is_extension(p->protocol) || p->protocol == FRAGMENT_HEADER ? UNREADABLE : READ;
}

static __always_inline enum reading read_ipv6(struct packet *p, const void *at, const void *end)
{
	enum reading reading;

	if (at + 40 > end)
		return CUT_OFF;
	if (*(const __u8 *)at >> 4 != 6)
		return UNREADABLE;
	p->family = 6;
	p->protocol = *(const __u8 *)(at + 6);
	p->offset = 40;
	__builtin_memcpy(p->source, at + 8, 16);
	__builtin_memcpy(p->destination, at + 24, 16);
	reading = read_extensions(p, at, end);
	return reading == READ ? read_transport(p, at, end) : reading;
}

/* Steps over up to two tags: `network` and `ethertype` are those behind them. */
static __always_inline enum reading read_tags(struct packet *p, const void *data, const void *end, __u32 at)
{
	__u16 type = p->ethertype;

#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (!is_tag(type))
			break;
		if (data + at + 4 > end)
			return CUT_OFF;
		type = be16_at(data + at + 2);
		at += 4;
	}
	p->ethertype = type;
	p->network = at;
	return is_tag(type) ? UNREADABLE : READ;
}

/*
 * Reads the frames that most frames are: whole TCP and UDP over IPv4 behind an Ethernet header, without tags and options.
 * Says the same of them as read_packet in a third of the time; false for all others, of which it says nothing.
 */
static __always_inline bool read_plain(struct packet *p, const void *data, const void *end)
{
	const __u8 *ip = data + 14;
	__u8 protocol;

	if (data + 14 + 20 + 14 > end || *(const __u16 *)(data + 12) != bpf_htons(ETHERTYPE_IPV4))
		return false;
	protocol = ip[9];
	if (ip[0] != 0x45 || *(const __u16 *)(ip + 6) & bpf_htons(0x3fff) || (protocol != TCP && protocol != UDP))
		return false;
	*p = (struct packet){
		.source[3] = *(const __u32 *)(ip + 12),
		.destination[3] = *(const __u32 *)(ip + 16),
		.fragment_id = be16_at(ip + 4),
		.ethertype = ETHERTYPE_IPV4,
		.source_port = be16_at(ip + 20),
		.destination_port = be16_at(ip + 22),
		.family = 4,
		.protocol = protocol,
		.transport = PORTS,
		.tcp_flags = protocol == TCP ? ip[33] : 0,
		.has_identity = true,
	};
	return true;
}

static __always_inline enum reading read_packet(struct packet *p, const void *data, const void *end, __u16 protocol, __u32 link_header)
{
	enum reading reading;
	__u32 network;

	if (link_header && data + 14 > end)
		return CUT_OFF;
	p->ethertype = link_header ? be16_at(data + 12) : protocol;
	reading = read_tags(p, data, end, link_header);
	if (reading != READ)
		return reading;
	FORGET();
	network = p->network;
	if (network > 14 + 8 || data + network > end)
		return CUT_OFF;
	if (p->ethertype == ETHERTYPE_IPV4)
		return read_ipv4(p, data + network, end);
	if (p->ethertype == ETHERTYPE_IPV6)
		return read_ipv6(p, data + network, end);
	return READ;
}
#endif
