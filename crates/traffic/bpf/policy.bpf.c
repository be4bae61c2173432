/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One policy as a tc/tcx classifier: every packet is read once, looked up in a handful of sorted tables, and the rows found
 * there (a bit per flow of the policy) are ANDed; the lowest bit left names the deciding rule.
 * Hook: tcx or clsact; hawkbell_in at ingress, hawkbell_out at egress. Input: `config` (read-only data) and the blob in
 * `tables`, made by tables.rs. Maps: counters (per CPU), flows of each family and fragments (LRU), hits (ring buffer), meta (the policy's
 * text, for list and plan). Cost: 11 ns for the smallest policy, 35 with 10,000 prefixes, 45 for a known flow.
 * Never: tail calls, CO-RE, writes to the packet, a loop whose bound comes from the packet.
 */
#include "common.h"
#include "skb.h"
#include "policy.h"
#include "packet.h"

enum {
	SHOT = 2,
	PULL_BYTES = 14 + 8 + 40 + MAX_EXTENSION_BYTES + 64,
	MAX_WORDS = 16,		/* 1,024 flows */
	HITS_PER_SECOND = 10,	/* per rule and CPU */
	RULE_BITS = 0x7fff,
	ALLOW_BIT = 0x8000,
	SYN = 2,
	SYN_ACK = 2 | 16,
	FIN_RST = 1 | 4,
	FRESH_TICKS = 16,	/* 16 to 160 ms, by the kernel's HZ; far below every lifetime */
};

/*
 * Keeps the compiler from making one call with a chosen map out of two calls with fixed ones: the kernel inlines lookups
 * only where it knows the map.
 */
#define STAY_APART(result) asm volatile("%0 = %0" : "+r"(result))

#define SECOND 1000000000ULL
#define FRAGMENT_LIFETIME (30 * SECOND)
#define CLOSING_LIFETIME (10 * SECOND)
#define NEW_TCP_LIFETIME (60 * SECOND)
#define ESTABLISHED_TCP_LIFETIME (7440 * SECOND)
#define DATAGRAM_LIFETIME (120 * SECOND)

const volatile struct config config;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);	/* set before load */
} tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FIRST_RULE_ROW);	/* set before load */
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);	/* set before load */
	__type(key, struct flow_key4);
	__type(value, struct flow_memory);
} flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);	/* set before load */
	__type(key, struct flow_key6);
	__type(value, struct flow_memory);
} flows6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct fragment_key);
	__type(value, struct fragment_memory);
} fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} hits SEC(".maps");

/*
 * The packet being judged. In a map because the verifier forgets what is written there: on the stack it would follow
 * every kind of packet through the whole program separately. One per CPU is enough: tc programs do not nest on a CPU.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} scratch SEC(".maps");

/* The policy as JSON text, for whoever finds the program. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);	/* set before load */
} meta SEC(".maps");

/* What the version of the policy before this one had counted, by row. Written once by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FIRST_RULE_ROW);	/* set before load */
	__type(key, __u32);
	__type(value, struct counter);
} carried SEC(".maps");

struct decision {
	__u16 rule;
	__u16 audited;
	__u8 allow;
	__u8 reason;
};

/*
 * The row for the greatest key that is not above `key`. `zero` is 0 by construction (the blob's first word), which the
 * verifier does not know: with a known start it would follow every path through the search separately.
 */
#define FIND(name, greater_or_equal) \
	static __always_inline __u32 name(const char *blob, const volatile struct search *s, __u64 high, __u64 low) \
	{ \
		__u32 mask = (1u << s->steps) - 1; \
		__u32 base = *(const volatile __u32 *)blob & mask; \
_Pragma("clang loop unroll(disable)") \
		for (__u32 stride = (mask + 1) >> 1; stride; stride >>= 1) { \
			__u32 middle = (base + stride) & mask; \
			if (greater_or_equal) \
				base = middle; \
		} \
		return *(const __u16 *)(blob + s->rows + (base & mask) * 2); \
	}

static __always_inline bool at_least_128(__u64 high, __u64 low, const __u64 *bound)
{
	return high > bound[0] || (high == bound[0] && low >= bound[1]);
}

FIND(find_in_16, (low >= *(const __u16 *)(blob + s->keys + middle * 2)))
FIND(find_in_32, (low >= *(const __u32 *)(blob + s->keys + middle * 4)))
FIND(find_in_128, at_least_128(high, low, (const __u64 *)(blob + s->keys + middle * 16)))

static __always_inline __u64 word_of(const char *blob, __u32 row, __u32 word)
{
	__u32 at = (row & config.row_mask) << config.row_shift;

	return *(const __u64 *)(blob + config.rows + at + word * 8);
}

/* The rows that apply to a packet; NOT_USED ones stand for "all flows". */
struct rows {
	__u32 base;
	__u32 direction;
	__u32 protocol;
	__u32 source;
	__u32 destination;
	__u32 source_port;
	__u32 transport;
};

static __always_inline __u64 and_row(__u64 bits, const char *blob, __u32 row, __u32 word)
{
	return row == NOT_USED ? bits : bits & word_of(blob, row, word);
}

static __always_inline __u64 bits_of(const char *blob, const struct rows *rows, __u32 word)
{
	__u64 bits = word_of(blob, rows->base, word);

	bits = and_row(bits, blob, rows->direction, word);
	bits = and_row(bits, blob, rows->protocol, word);
	bits = and_row(bits, blob, rows->source, word);
	bits = and_row(bits, blob, rows->destination, word);
	bits = and_row(bits, blob, rows->source_port, word);
	return and_row(bits, blob, rows->transport, word);
}

static __always_inline __u64 half(const __u32 *address, int at)
{
	return (__u64)bpf_ntohl(address[at]) << 32 | bpf_ntohl(address[at + 1]);
}

static __always_inline void find_addresses(const char *blob, const struct packet *p, struct rows *rows)
{
	if (p->family == 4) {
		if (config.source4.used)
			rows->source = find_in_32(blob, &config.source4, 0, bpf_ntohl(p->source[3]));
		if (config.destination4.used)
			rows->destination = find_in_32(blob, &config.destination4, 0, bpf_ntohl(p->destination[3]));
		return;
	}
	if (config.source6.used)
		rows->source = find_in_128(blob, &config.source6, half(p->source, 0), half(p->source, 2));
	if (config.destination6.used)
		rows->destination = find_in_128(blob, &config.destination6, half(p->destination, 0), half(p->destination, 2));
}

static __always_inline void find_transport(const char *blob, const struct packet *p, struct rows *rows)
{
	if (p->transport == PORTS) {
		rows->transport = config.ports_only;
		if (config.destination_port.used)
			rows->transport = find_in_16(blob, &config.destination_port, 0, p->destination_port);
		if (config.source_port.used)
			rows->source_port = find_in_16(blob, &config.source_port, 0, p->source_port);
	} else if (p->transport == ICMP_TYPE) {
		rows->transport = config.icmp_only;
		if (config.icmp.used)
			rows->transport = find_in_16(blob, &config.icmp, 0, p->icmp);
	} else {
		rows->transport = config.no_transport;
	}
}

static __always_inline void find_rows(const char *blob, const struct packet *p, __u32 direction, struct rows *rows)
{
	rows->direction = config.direction[direction];
	if (p->family == 0) {
		rows->base = find_in_16(blob, &config.ethertype, 0, p->ethertype);
		return;
	}
	rows->base = config.ip;
	if (config.protocols != NOT_USED)
		rows->protocol = *(const __u16 *)(blob + config.protocols + (__u32)p->protocol * 2);
	find_addresses(blob, p, rows);
	find_transport(blob, p, rows);
}

/* The number of zeros below the lowest bit: BPF has no instruction for it, and clang 14 fails on the builtin. */
static __always_inline __u32 lowest_bit(__u64 bits)
{
	__u64 below = (bits & -bits) - 1;

	below -= below >> 1 & 0x5555555555555555ULL;
	below = (below & 0x3333333333333333ULL) + (below >> 2 & 0x3333333333333333ULL);
	below = (below + (below >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return below * 0x0101010101010101ULL >> 56;
}

static __always_inline __u16 term_at(const char *blob, __u32 word, __u64 bits)
{
	__u32 term = (word * 64 + lowest_bit(bits)) & (MAX_WORDS * 64 - 1);

	return *(const __u16 *)(blob + config.terms + term * 2);
}

/* The first enforced rule, and the first audited one in front of it. */
static __always_inline void by_rules(const char *blob, const struct rows *rows, struct decision *d)
{
#pragma clang loop unroll(disable)
	for (__u32 word = 0; word < config.words; word++) {
		__u64 bits, audited = 0;
		__u16 term;

		bits = bits_of(blob, rows, word);
		if (config.audited != NOT_USED) {
			audited = bits & word_of(blob, config.audited, word);
			bits &= ~audited;
			if (bits)
				audited &= (bits & -bits) - 1;
			if (audited && d->audited == NO_RULE)
				d->audited = term_at(blob, word, audited) & RULE_BITS;
		}
		if (!bits)
			continue;
		term = term_at(blob, word, bits);
		d->rule = term & RULE_BITS;
		d->allow = (term & ALLOW_BIT) != 0;
		d->reason = BY_RULE;
		return;
	}
}

static __always_inline __u64 now_of(const struct __sk_buff *skb)
{
	if (config.trace)
		return skb->tstamp;
	return config.coarse_clock ? bpf_ktime_get_coarse_ns() : bpf_ktime_get_ns();
}

static __always_inline int compare(const struct packet *p)
{
#pragma unroll
	for (int i = 0; i < 4; i++) {
		if (i < 3 && p->family == 4)
			continue;
		if (p->source[i] != p->destination[i])
			return bpf_ntohl(p->source[i]) < bpf_ntohl(p->destination[i]) ? -1 : 1;
	}
	return 0;
}

/* The key of a packet's flow; only the one of its family is filled in. */
struct flow {
	struct flow_key4 v4;
	struct flow_key6 v6;
	bool from_lower;
};

/* The same key for both directions: the lower end comes first. */
static __always_inline void flow_of(const struct packet *p, struct flow *flow)
{
	int order = compare(p);
	bool from_lower = order < 0 || (order == 0 && p->source_port <= p->destination_port);
	__u32 source = p->source_port, destination = p->destination_port;
	__u32 ports = from_lower ? source | destination << 16 : destination | source << 16;

	flow->from_lower = from_lower;
	if (p->family == 4) {
		flow->v4.lower = from_lower ? p->source[3] : p->destination[3];
		flow->v4.upper = from_lower ? p->destination[3] : p->source[3];
		flow->v4.ports = ports;
		flow->v4.protocol = p->protocol;
		return;
	}
	__builtin_memcpy(flow->v6.lower, from_lower ? p->source : p->destination, 16);
	__builtin_memcpy(flow->v6.upper, from_lower ? p->destination : p->source, 16);
	flow->v6.ports = ports;
	flow->v6.protocol = p->protocol;
}

static __always_inline __u64 lifetime(__u8 protocol, __u8 phase)
{
	if (phase == CLOSING)
		return CLOSING_LIFETIME;
	if (protocol != TCP)
		return DATAGRAM_LIFETIME;
	return phase == ANSWERED ? ESTABLISHED_TCP_LIFETIME : NEW_TCP_LIFETIME;
}

/*
 * Whether a flow was seen a moment ago and this packet changes nothing about it: then neither the clock has to be read
 * nor the memory written. The kernel turns bpf_jiffies64 into a load; reading its clock takes some 20 ns.
 */
static __always_inline bool is_fresh(const struct flow_memory *memory, const struct packet *p, const struct flow *flow)
{
	if (config.trace || p->tcp_flags & FIN_RST || (memory->phase == NEW && memory->from_lower != flow->from_lower))
		return false;
	return (__u32)bpf_jiffies64() - memory->tick < FRESH_TICKS;
}

/* Takes note of a packet of a known flow; false when the flow is too old to be known any more. */
static __always_inline bool refresh(const struct __sk_buff *skb, const struct packet *p, const struct flow *flow, struct flow_memory *memory)
{
	__u64 now = now_of(skb);

	if (now - memory->last_seen >= lifetime(p->protocol, memory->phase))
		return false;
	memory->last_seen = now;
	memory->tick = bpf_jiffies64();
	if (p->tcp_flags & FIN_RST)
		memory->phase = CLOSING;
	else if (memory->phase == NEW && memory->from_lower != flow->from_lower)
		memory->phase = ANSWERED;
	return true;
}

/*
 * TCP that opens a connection is always judged by the rules. So is a flow that an earlier version of the policy let in
 * (`earlier`): its rule has another number now, or is gone.
 */
static __always_inline bool by_flow(const struct __sk_buff *skb, const struct packet *p, const struct flow *flow, struct decision *d, bool *earlier)
{
	struct flow_memory *memory;

	if ((p->tcp_flags & SYN_ACK) == SYN)
		return false;
	if (p->family == 4) {
		memory = bpf_map_lookup_elem(&flows4, &flow->v4);
	} else {
		memory = bpf_map_lookup_elem(&flows6, &flow->v6);
		STAY_APART(memory);
	}
	if (!memory || (config.recheck && memory->generation != config.generation))
		return false;
	if (!is_fresh(memory, p, flow) && !refresh(skb, p, flow, memory))
		return false;
	if (memory->generation != config.generation) {
		*earlier = true;
		return false;
	}
	d->rule = memory->rule;
	d->allow = 1;
	d->reason = ESTABLISHED;
	return true;
}

static __always_inline void remember_flow(const struct __sk_buff *skb, const struct packet *p, const struct flow *flow, __u16 rule)
{
	struct flow_memory memory = {
		.last_seen = now_of(skb),
		.generation = config.generation,
		.rule = rule,
		.phase = p->tcp_flags & FIN_RST ? CLOSING : NEW,
		.from_lower = flow->from_lower,
		.tick = bpf_jiffies64(),
	};
	__u32 row = ROW_STATE;
	struct counter *counter = bpf_map_lookup_elem(&counters, &row);
	long failed;

	if (p->family == 4) {
		failed = bpf_map_update_elem(&flows4, &flow->v4, &memory, BPF_ANY);
	} else {
		failed = bpf_map_update_elem(&flows6, &flow->v6, &memory, BPF_ANY);
		STAY_APART(failed);
	}
	if (counter && failed)
		counter->denied++;
	else if (counter)
		counter->packets++;
}

static __always_inline void fragment_key_of(const struct packet *p, struct fragment_key *key)
{
	__builtin_memcpy(key->source, p->source, 16);
	__builtin_memcpy(key->destination, p->destination, 16);
	key->id = p->fragment_id;
	key->protocol = p->family == 4 ? p->protocol : 0;
	key->family = p->family;
	key->reserved = 0;
}

static __always_inline void by_first_fragment(const struct __sk_buff *skb, const struct packet *p, struct decision *d)
{
	struct fragment_memory *first;
	struct fragment_key key;

	fragment_key_of(p, &key);
	first = bpf_map_lookup_elem(&fragments, &key);
	d->reason = FRAGMENT;
	d->allow = config.malformed_allow;
	if (!first || now_of(skb) - first->seen >= FRAGMENT_LIFETIME)
		return;
	d->allow = first->allow;
	d->rule = first->rule;
}

static __always_inline void remember_fragment(const struct __sk_buff *skb, const struct packet *p, const struct decision *d)
{
	struct fragment_memory memory = { .seen = now_of(skb), .rule = d->rule, .allow = d->allow };
	struct fragment_key key;

	fragment_key_of(p, &key);
	bpf_map_update_elem(&fragments, &key, &memory, BPF_ANY);
}

static __always_inline void judge_readable(const struct __sk_buff *skb, const struct packet *p, __u32 direction, struct decision *d)
{
	bool remembers = config.stateful && p->has_identity;
	struct rows rows = { NOT_USED, NOT_USED, NOT_USED, NOT_USED, NOT_USED, NOT_USED, NOT_USED };
	struct flow flow;
	__u32 zero = 0;
	const char *blob;
	bool earlier = false;

	if (p->place == LATER) {
		by_first_fragment(skb, p, d);
		return;
	}
	if (remembers)
		flow_of(p, &flow);
	if (!remembers || !by_flow(skb, p, &flow, d, &earlier)) {
		blob = bpf_map_lookup_elem(&tables, &zero);
		if (!blob)
			return;
		find_rows(blob, p, direction, &rows);
		by_rules(blob, &rows, d);
		if (remembers && d->allow) {
			remember_flow(skb, p, &flow, d->rule);
		} else if (earlier) {
			d->rule = NO_RULE;
			d->allow = 1;
			d->reason = ESTABLISHED;
		}
	}
	if (p->place == FIRST)
		remember_fragment(skb, p, d);
}

static __always_inline bool may_send(struct counter *counter, __u64 now)
{
	__u64 second = now / SECOND;

	if (counter->window != second) {
		counter->window = second;
		counter->hits_in_window = 0;
	}
	return counter->hits_in_window++ < HITS_PER_SECOND;
}

static __always_inline void send_hit(const struct __sk_buff *skb, const struct packet *p, const struct decision *d, struct counter *counter, __u32 direction)
{
	__u64 now = bpf_ktime_get_ns();
	struct hit *hit = 0;

	if (may_send(counter, now))
		hit = bpf_ringbuf_reserve(&hits, sizeof(*hit), 0);
	if (!hit) {
		counter->lost_hits++;
		return;
	}
	*hit = (struct hit){
		.time = now,
		.ifindex = skb->ifindex,
		.bytes = skb->len,
		.source_port = p->source_port,
		.destination_port = p->transport == ICMP_TYPE ? p->icmp : p->destination_port,
		.rule = d->rule,
		.audited = d->audited,
		.ethertype = p->ethertype,
		.direction = direction,
		.reason = d->reason,
		.allow = d->allow,
		.passed = config.audit || d->allow,
		.protocol = p->protocol,
		.family = p->family,
	};
	__builtin_memcpy(hit->source, p->source, 16);
	__builtin_memcpy(hit->destination, p->destination, 16);
	bpf_ringbuf_submit(hit, 0);
}

static __always_inline __u32 row_of(const struct decision *d)
{
	if (d->rule != NO_RULE)
		return FIRST_RULE_ROW + d->rule;
	return d->reason == MALFORMED ? ROW_MALFORMED : d->reason == FRAGMENT ? ROW_FRAGMENT : ROW_DEFAULT;
}

static __always_inline void count_audited(__u16 rule)
{
	__u32 row = FIRST_RULE_ROW + rule;
	struct counter *counter = bpf_map_lookup_elem(&counters, &row);

	if (counter)
		counter->audited++;
}

static __always_inline void account(const struct __sk_buff *skb, const struct packet *p, const struct decision *d, __u32 direction)
{
	__u32 row = row_of(d);
	struct counter *counter = bpf_map_lookup_elem(&counters, &row);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += skb->len;
	if (d->reason == ESTABLISHED)
		counter->established++;
	if (!d->allow) {
		if (config.audit)
			counter->audited++;
		else
			counter->denied++;
	}
	if (config.audited != NOT_USED && d->audited != NO_RULE)
		count_audited(d->audited);
	if (config.log && (config.log == 2 || !d->allow || d->audited != NO_RULE))
		send_hit(skb, p, d, counter, direction);
}

/* Decision::of_trace in kernel/policy.rs takes it apart. */
static __always_inline int trace_of(const struct decision *d)
{
	__u32 rule = d->rule == NO_RULE ? 0 : d->rule + 1, audited = d->audited == NO_RULE ? 0 : d->audited + 1;

	return d->allow | (__u32)d->reason << 1 | rule << 4 | audited << 16;
}

/*
 * Reads the packet into `scratch`. A global function: the verifier goes through it once, on its own, and takes any
 * answer from it, instead of following every way through it to the end of the program.
 */
__attribute__((noinline)) int read_skb(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct packet *p = bpf_map_lookup_elem(&scratch, &zero);

	if (!p)
		return UNREADABLE;
	*p = (struct packet){};
	return read_packet(p, (void *)(long)skb->data, (void *)(long)skb->data_end, bpf_ntohs(skb->protocol), config.link_header);
}

/* Headers in page fragments are pulled into the linear part: a sender must not choose what is looked at. */
static __always_inline int read_all(struct __sk_buff *skb)
{
	int reading = read_skb(skb);
	__u32 wanted;

	if (reading != CUT_OFF)
		return reading;
	wanted = skb->len < PULL_BYTES ? skb->len : PULL_BYTES;
	if (skb->data_end - skb->data >= wanted || bpf_skb_pull_data(skb, wanted))
		return reading;
	return read_skb(skb);
}

static __always_inline int run(struct __sk_buff *skb, __u32 direction)
{
	struct decision d = { .rule = NO_RULE, .audited = NO_RULE, .allow = config.default_allow, .reason = BY_DEFAULT };
	__u32 zero = 0;
	struct packet *p = bpf_map_lookup_elem(&scratch, &zero);
	int reading = READ;

	if (!p)
		return SHOT;
	if (!config.link_header || !read_plain(p, (void *)(long)skb->data, (void *)(long)skb->data_end))
		reading = read_all(skb);
	if (reading == READ) {
		judge_readable(skb, p, direction, &d);
	} else {
		d.reason = MALFORMED;
		d.allow = config.malformed_allow;
	}
	account(skb, p, &d, direction);
	if (config.never && bpf_map_lookup_elem(&meta, &zero) && bpf_map_lookup_elem(&carried, &zero))
		return SHOT;
	if (config.trace)
		return trace_of(&d);
	return d.allow || config.audit ? config.pass_verdict : SHOT;
}

SEC("tc")
int hawkbell_in(struct __sk_buff *skb)
{
	return run(skb, IN);
}

SEC("tc")
int hawkbell_out(struct __sk_buff *skb)
{
	return run(skb, OUT);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
