// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A tiny XDP filter: IPv4 passes unless it is a fragment, TCP to port 23 is dropped, everything else is let through.
// Needs no header; maps and programs are what they are in any other BPF object.
#define SEC(name) __attribute__((section(name), used))
#define uint(name, value) int (*name)[value]

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

enum { XDP_DROP = 1, XDP_PASS = 2 };

struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

struct {
	uint(type, 2 /* array */);
	uint(max_entries, 4);
	u32 *key;
	u64 *value;
} verdicts SEC(".maps");

static void *(*lookup)(void *map, const void *key) = (void *)1;

static int count(u32 verdict)
{
	u64 *seen = lookup(&verdicts, &verdict);

	if (seen)
		__sync_fetch_and_add(seen, 1);
	return verdict;
}

static int is_fragment(const u8 *ip)
{
	return (ip[6] & 0x3f) || ip[7];
}

SEC("xdp")
int guard(struct xdp_md *ctx)
{
	u8 *data = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;
	u8 *ip = data + 14, *tcp = ip + 20;

	if (tcp + 4 > end)
		return count(XDP_PASS);
	if (data[12] != 0x08 || data[13] != 0x00)
		return count(XDP_PASS);
	if (is_fragment(ip))
		return count(XDP_DROP);
	if (ip[9] == 6 && tcp[2] == 0 && tcp[3] == 23)
		return count(XDP_DROP);
	return count(XDP_PASS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
