/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The catalogue programs as tc classifiers, each under its own name, and `dispatcher`, which runs a chain of them fused.
 * Hook: tc (clsact) or tcx, either direction, Ethernet devices. Input: read-only data set before load (stages, flags).
 * The frozen data lets the verifier delete every branch the input rules out, so a chain costs one parse and its comparisons; every program exists
 * twice, once for plain frames, whose copy the compiler reduces to comparisons.
 * Map: `verdicts`, per CPU, packets and bytes per dropping stage and for "passed". Cost: 1-5 ns per packet.
 * Never: tail calls, CO-RE, writes to the packet.
 */
#include "common.h"
#include "skb.h"
#include "frame.h"
#include "catalogue_files.h" /* generated: one include per row of catalogue.def */
#ifdef WITH_USER_PROGRAM
#include "user.h"
#endif

enum {
	SHOT = 2,
	PLAIN_BYTES = 14 + 20 + 4,
	PULL_BYTES = 14 + 8 + 60 + 4,	/* Ethernet, two tags, the longest IPv4 header, ports */
	ROW_PASSED = STAGES_PER_CHAIN,
	ROWS = STAGES_PER_CHAIN + 1,
};

const volatile struct stage stages[STAGES_PER_CHAIN];
const volatile __u32 stage_count;
const volatile __s32 pass_verdict;	/* TC_ACT_OK ends classification, TC_ACT_UNSPEC (-1) leaves it to later filters */
const volatile __u32 strict_vlan;	/* judge what is behind the tags, so that a tag is no way around a program */

struct verdict_row {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ROWS);
	__type(key, __u32);
	__type(value, struct verdict_row);
} verdicts SEC(".maps");

static __always_inline void look_behind_tags(struct view *view, const void *at, const void *end)
{
	__u32 type = view->outer_type;

#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (!is_tag(type))
			break;
		if (at + 4 > end)
			return;
		type = be16_at(at + 2);
		at += 4;
	}
	view->inner_type = type;
	if (is_tag(type)) {
		view->bits |= strict_vlan ? TOO_MANY_TAGS : 0;
		return;
	}
	view->bits |= INNER_TYPE;
	if (strict_vlan)
		view->type = type;
	if (type == ETHERTYPE_IPV4)
		look_at_ipv4(view, at, end);
}

static __always_inline void look(struct view *view, const void *data, const void *end)
{
	if (data + 14 > end)
		return;
	view->bits = ETHERNET;
	view->outer_type = be16_at(data + 12);
	view->type = view->outer_type;
	look_behind_tags(view, data + 14, end);
}

/*
 * Fills the view of the frames that most frames are: IPv4 without tags, options and fragment offset. The bits are
 * constant then, so that a copy of the programs for these frames is little more than their comparisons.
 */
static __always_inline bool look_at_plain(struct view *view, const void *data, const void *end)
{
	const __u8 *ip = data + 14;

	if (data + PLAIN_BYTES > end || *(const __u16 *)(data + 12) != bpf_htons(ETHERTYPE_IPV4))
		return false;
	if (ip[0] != 0x45 || *(const __u16 *)(ip + 6) & bpf_htons(0x1fff))
		return false;
	*view = (struct view){
		.bits = ETHERNET | INNER_TYPE | WHOLE_IPV4 | VERSION_4 | PORTS,
		.outer_type = ETHERTYPE_IPV4,
		.type = ETHERTYPE_IPV4,
		.inner_type = ETHERTYPE_IPV4,
		.protocol = ip[9],
		.destination = bpf_ntohl(*(const __u32 *)(ip + 16)),
		.source_port = be16_at(ip + 20),
		.destination_port = be16_at(ip + 22),
	};
	return true;
}

/* Headers in page fragments are pulled into the linear part first: a sender must not choose what is looked at. */
static __always_inline void look_at_any(struct view *view, struct __sk_buff *skb)
{
	__u32 wanted = skb->len < PULL_BYTES ? skb->len : PULL_BYTES;

	if (skb->data_end - skb->data < wanted)
		bpf_skb_pull_data(skb, wanted);
	look(view, (void *)(long)skb->data, (void *)(long)skb->data_end);
	/* what the compiler knows of the bits it would turn back into a flag each */
	asm volatile("" : "+r"(view->bits));
}

static __always_inline void count(__u32 row, __u32 bytes)
{
	struct verdict_row *counter = bpf_map_lookup_elem(&verdicts, &row);

	if (counter) {
		counter->packets++;
		counter->bytes += bytes;
	}
}

static __always_inline int decided(struct __sk_buff *skb, __u32 row)
{
	count(row, skb->len);
	return row == ROW_PASSED ? pass_verdict : SHOT;
}

/* The stage `stage` of a chain; only programs with a layer stand in chains, the others would be dead code to be removed. */
static __always_inline int judge_stage(struct __sk_buff *skb, const struct view *view, const volatile struct stage *stage)
{
#define CHAINS_none(number, name)
#define CHAINS_l2(number, name) \
	case number: \
		return judge_##name(view, stage, true);
#define CHAINS_l3 CHAINS_l2
#define CHAINS_l4 CHAINS_l2
	switch (stage->program) {
#ifdef WITH_USER_PROGRAM
	case USER_PROGRAM:
		return judge_user(skb, stage);
#endif
#define PROGRAM(number, name, input, layer) CHAINS_##layer(number, name)
#include "catalogue.def"
#undef PROGRAM
	}
	return DROP;
}

#ifdef WITH_USER_PROGRAM
#define PLAIN_FIRST 0	/* a user's program looks at more bytes than ours do */
#else
#define PLAIN_FIRST 1
#endif

/* Judges by `judged`, which may be a copy of the programs for plain frames. */
#define JUDGE(judged) \
	do { \
		struct view plain, any = {}; \
		if (PLAIN_FIRST && look_at_plain(&plain, (void *)(long)skb->data, (void *)(long)skb->data_end)) \
			return judged(skb, &plain); \
		look_at_any(&any, skb); \
		return judged(skb, &any); \
	} while (0)

#define PROGRAM(number, name, input, layer) \
	static __always_inline int name##_alone(struct __sk_buff *skb, const struct view *view) \
	{ \
		return decided(skb, judge_##name(view, &stages[0], false) ? ROW_PASSED : 0); \
	} \
	SEC("tc") \
	int name(struct __sk_buff *skb) \
	{ \
		JUDGE(name##_alone); \
	}
#include "catalogue.def"
#undef PROGRAM

/* Written out, not a loop: the compiler would compute before the loop whatever any of the programs might compare. */
#define STAGE(slot) \
	do { \
		if (slot >= stage_count) \
			return decided(skb, ROW_PASSED); \
		if (judge_stage(skb, view, &stages[slot]) == DROP) \
			return decided(skb, slot); \
	} while (0)

static __always_inline int chain(struct __sk_buff *skb, const struct view *view)
{
	STAGE(0);
	STAGE(1);
	STAGE(2);
	STAGE(3);
	STAGE(4);
	STAGE(5);
	STAGE(6);
	STAGE(7);
	return decided(skb, ROW_PASSED);
}

#ifdef WITH_USER_PROGRAM
static __always_inline int user_alone(struct __sk_buff *skb, const struct view *view)
{
	return decided(skb, judge_user(skb, &stages[0]) ? ROW_PASSED : 0);
}

SEC("tc")
int hawkbell_user(struct __sk_buff *skb)
{
	JUDGE(user_alone);
}
#endif

SEC("tc")
int dispatcher(struct __sk_buff *skb)
{
	JUDGE(chain);
}

#ifndef WITH_USER_PROGRAM
char LICENSE[] SEC("license") = "Dual BSD/GPL";
#endif
