/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet program of one's own: UDP passes only to odd ports from INPUT on; everything else passes.
 *   hawkbell traffic header > hawkbell_program.h
 *   clang -O2 -g -target bpf -I . -c odd_ports.bpf.c -o odd_ports.bpf.o
 *   hawkbell traffic -i eth0 --program-file odd_ports.bpf.o odd_ports 1024
 */
#include "hawkbell_program.h"

HAWKBELL_PROGRAM("name=odd_ports input=port layer=l4 fail=closed");

int hawkbell_judge(struct __sk_buff *skb, const struct hawkbell_input *input)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 port;

	if (data + 14 > end)
		return HAWKBELL_UNSURE;
	if (data[12] != 8 || data[13] != 0)
		return HAWKBELL_PASS;
	if (data + 38 > end || data[14] != 0x45)
		return HAWKBELL_UNSURE;
	if (data[23] != 17)
		return HAWKBELL_PASS;
	port = data[36] << 8 | data[37];
	return port % 2 == 1 && port >= input->values[0];
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
