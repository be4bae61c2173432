// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Every construct whose counts a coverage tool has to get right, in functions that compile for eBPF and natively alike.
#include "constructs.h"

#define SEC(name) __attribute__((section(name), used))

static __attribute__((noinline)) int classify(unsigned char protocol)
{
	switch (protocol) {
	case 1: return 10;
	case 6:
	case 17: return 20;
	default: break;
	}
	if (protocol > 100 && protocol < 200)
		return 30;
	return 40;
}

SEC("socket")
int first(unsigned char *packet)
{
	int sum = 0;

	for (int i = 0; i < 8; i++) {
		if (packet[i] == 0xff && i != 3)
			break;
		if (packet[i] & 1)
			continue;
		ADD_TWICE(sum, packet[i]);
	}
#if 0
	sum = 7;
#endif
	do {
		sum++;
	} while (sum < 5 || packet[9] > sum);
	if (!sum) return 1; else if (sum == 6) goto out;
	while (sum > 100)
		sum -= used_in_header(packet[10]) + 100;
out:
	return sum + classify(packet[11]);
}

SEC("socket")
int second(unsigned char *packet)
{
	return packet[0] ? classify(packet[1]) : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
