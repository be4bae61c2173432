/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a packet program of your own starts from (`hawkbell traffic --program-file`). It includes nothing; include
 * <linux/bpf.h> and <bpf/bpf_helpers.h> before it when you need maps or helpers.
 * In: a frame, of which at least the first 86 bytes can be read directly, and the input from the command line.
 * Out: DROP, PASS or UNSURE. Never: a change to the frame.
 */
#ifndef HAWKBELL_PROGRAM_H
#define HAWKBELL_PROGRAM_H

#ifndef _UAPI__LINUX_BPF_H__
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;

/* The first fields of the kernel's struct (uapi/linux/bpf.h), up to the frame's bytes. */
struct __sk_buff {
	__u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority;
	__u32 ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end;
};
#endif

#ifndef SEC
#define SEC(name) __attribute__((section(name), used))
#endif

enum { HAWKBELL_DROP = 0, HAWKBELL_PASS = 1, HAWKBELL_UNSURE = 2 };

/* The values of INPUT, in host byte order: an address, a port, or up to eight EtherTypes or protocols. */
struct hawkbell_input {
	__u32 count;
	__u32 values[8];
};

/*
 * Says what the program is: HAWKBELL_PROGRAM("name=odd_ports input=port layer=l4 fail=closed").
 *   name   how the command line calls it
 *   input  none (default), address, port, ethertypes, protocols
 *   layer  l2, l3, l4: where in a chain it may stand; none (default): only alone
 *   fail   what a frame gets about which the program is UNSURE: closed (default) drops it, open lets it pass
 */
#define HAWKBELL_PROGRAM(words) const volatile char hawkbell_program[] SEC(".rodata.hawkbell") = words

/* The program. */
int hawkbell_judge(struct __sk_buff *skb, const struct hawkbell_input *input);
#endif
