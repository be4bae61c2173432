/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The catalogue programs as tc classifiers, each under its own name, and `dispatcher`, which runs a chain of them fused.
 * Hook: tc (clsact) or tcx, either direction, Ethernet devices. Input: read-only data set before load (stages, flags).
 * The frozen data lets the verifier delete every branch the input rules out, so a chain costs one parse and its comparisons.
 * Map: `verdicts`, per CPU, packets and bytes per dropping stage and for "passed". Cost: 1-5 ns per packet.
 * Never: tail calls, CO-RE, writes to the packet.
 */
#include "common.h"
#include "skb.h"
#include "frame.h"
#include "catalogue_files.h" /* generated: one include per row of catalogue.def */

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
	__u16 type = view->outer_type;

#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (!is_tag(type))
			break;
		if (at + 4 > end)
			return;
		type = be16_at(at + 2);
		at += 4;
	}
	view->too_many_tags = strict_vlan && is_tag(type);
	view->inner_ok = !is_tag(type);
	view->inner_type = type;
	if (strict_vlan && view->inner_ok)
		view->type = type;
	if (type == ETHERTYPE_IPV4)
		look_at_ipv4(&view->ip, at, end);
}

static __always_inline void look(struct view *view, const void *data, const void *end)
{
	if (data + 14 > end)
		return;
	view->ethernet = true;
	view->outer_type = be16_at(data + 12);
	view->type = view->outer_type;
	look_behind_tags(view, data + 14, end);
}

/* Whether everything the programs look at lies in these bytes: no tags to step over, no options before the ports. */
static __always_inline bool is_plain(const void *data, const void *end)
{
	__u16 type;

	if (data + PLAIN_BYTES > end)
		return false;
	type = be16_at(data + 12);
	return !is_tag(type) && (type != ETHERTYPE_IPV4 || (*(const __u8 *)(data + 14) & 15) <= MINIMUM_IHL);
}

/* Headers in page fragments are pulled into the linear part first: a sender must not choose what is looked at. */
static __always_inline void linearize(struct __sk_buff *skb)
{
	__u32 wanted = skb->len < PULL_BYTES ? skb->len : PULL_BYTES;

	if (skb->data_end - skb->data >= wanted || is_plain((void *)(long)skb->data, (void *)(long)skb->data_end))
		return;
	bpf_skb_pull_data(skb, wanted);
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

static __always_inline int judge(__u32 program, const struct view *view, const volatile struct stage *stage, bool chained)
{
	switch (program) {
#define PROGRAM(number, name, input, layer) \
	case number: \
		return judge_##name(view, stage, chained);
#include "catalogue.def"
#undef PROGRAM
	}
	return DROP;
}

static __always_inline void view_of(struct __sk_buff *skb, struct view *view)
{
	linearize(skb);
	look(view, (void *)(long)skb->data, (void *)(long)skb->data_end);
}

#define PROGRAM(number, name, input, layer) \
	SEC("tc") \
	int name(struct __sk_buff *skb) \
	{ \
		struct view view = {}; \
		view_of(skb, &view); \
		return decided(skb, judge(number, &view, &stages[0], false) ? ROW_PASSED : 0); \
	}
#include "catalogue.def"
#undef PROGRAM

SEC("tc")
int dispatcher(struct __sk_buff *skb)
{
	struct view view = {};

	view_of(skb, &view);
#pragma unroll
	for (int i = 0; i < STAGES_PER_CHAIN; i++) {
		if (i >= stage_count)
			break;
		if (judge(stages[i].program, &view, &stages[i], true) == DROP)
			return decided(skb, i);
	}
	return decided(skb, ROW_PASSED);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
