// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One XDP program that compiles for eBPF and natively alike: both must count the same on the same packets. `context.h`
// is the only thing that differs.
#include "context.h"

typedef unsigned char u8;

struct tally {
	int odd;
	int big;
};

/* verified on its own */
__attribute__((noinline)) int distance(int a, int b)
{
	if (a > b)
		return a - b;
	else if (a == b)
		return 0;
	return b - a;
}

static __attribute__((noinline)) int steps(int value)
{
	int count = 0;

	for (int i = 0; i < 9 && value; i++) {
		count += value & 1 ? 1 : 0;
		value >>= 1;
	}
	return count;
}

static inline __attribute__((always_inline)) int classify(u8 protocol, struct tally *tally)
{
	switch (protocol) {
	case 1: return 10;
	case 6: return 20;
	case 17: return 30;
	case 58:
	case 59: return 40;
	default: break;
	}
	if (protocol & 1)
		tally->odd++;
	if (protocol > 100 && protocol < 200)
		tally->big++;
	return 50;
}

static inline int never_called(int value)
{
	return value ? 1 : 2;
}

SEC("xdp")
int golden(struct xdp_md *context)
{
	u8 *data = (u8 *)(long)context->data, *end = (u8 *)(long)context->data_end;
	struct tally tally = {};
	int result = 0, turns = 0;

	if (data + 48 > end)
		return 1;
	for (int i = 0; i < 4; i++) {
		if (data[14 + i] == 0xff && i != 3)
			break;
		if (data[14 + i] == 7)
			continue;
		result += classify(data[14 + i], &tally);
	}
	result += distance(data[30], data[31]) + steps(data[32]);
	if ((data[33] > 60 && data[34] & 3) || data[35] == 9)
		result++;
	do {
		turns++;
	} while (data[36] > 99 && turns < 5);
	if (turns == 5)
		goto out;
	result += data[37] ? turns : tally.odd > tally.big;
out:
	return 1 + (result & 1);
}

SEC("xdp")
int hot(struct xdp_md *context)
{
	return 2;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
