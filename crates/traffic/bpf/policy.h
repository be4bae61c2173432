/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shapes shared by the policy program and its loader (Rust: tables.rs, counters.rs, hits.rs).
 * In: nothing. Out: types and numbers. All integers are in host byte order unless said otherwise, all padding is explicit.
 * Never: a shape changed on one side only; tests compare sizes with the object's BTF.
 */
#ifndef HAWKBELL_POLICY_H
#define HAWKBELL_POLICY_H

enum { IN = 0, OUT = 1 };

/* Order of interpret::Reason::ALL. */
enum reason { BY_DEFAULT, BY_RULE, ESTABLISHED, MALFORMED, FRAGMENT };

enum { NO_RULE = 0xffff, NOT_USED = 0xffffffff };

/* A sorted array of 2^steps lower bounds at byte offset `keys` of the blob, with a row number (u16) for each at `rows`. */
struct search {
	__u32 used;
	__u32 steps;
	__u32 keys;
	__u32 rows;
};

/* What the policy is, known before load: the verifier removes what a policy does not use. Rust: tables::Config. */
struct config {
	struct search source4, destination4, source6, destination6;
	struct search source_port, destination_port, icmp, ethertype;
	__u32 words;		/* 64-bit words per row: one bit per flow of the policy */
	__u32 row_shift;	/* rows lie 2^row_shift bytes apart: verifiers of some kernels cannot bound a product */
	__u32 rows;		/* byte offset of the rows */
	__u32 row_mask;		/* number of rows - 1, a power of two - 1 */
	__u32 protocols;	/* byte offset of 256 row numbers, NOT_USED when no flow names a protocol */
	__u32 no_transport;	/* row of flows without conditions on ports and ICMP types */
	__u32 ports_only;	/* row of flows without conditions on ICMP types */
	__u32 icmp_only;	/* row of flows without conditions on ports */
	__u32 ip;		/* row of flows that an IP packet can match */
	__u32 direction[2];	/* rows of flows for packets in and out, NOT_USED when no flow names a direction */
	__u32 audited;		/* row of flows of audited rules, NOT_USED when there are none */
	__u32 terms;		/* byte offset of the rule number (u16) of each flow, and its verdict in bit 15 */
	__u32 default_allow;
	__u32 malformed_allow;
	__u32 audit;
	__u32 stateful;
	__u32 recheck;
	__u32 generation;
	__u32 log;		/* 0 nothing, 1 denied and audited, 2 everything */
	__s32 pass_verdict;
	__u32 trace;		/* answer with the whole decision instead of a verdict, take the time from the packet */
	__u32 link_header;	/* 14, or 0 on devices without Ethernet header */
	__u32 coarse_clock;	/* the kernel has bpf_ktime_get_coarse_ns (5.11) */
	__u32 never;		/* 0: what hangs on it is only there to keep maps with the program */
};

/* One per rule after four of the policy itself; per CPU. Rust: counters::Row. */
struct counter {
	__u64 packets;
	__u64 bytes;
	__u64 established;	/* of `packets`, those that passed as part of a known flow */
	__u64 audited;		/* packets this row would have judged otherwise were it enforced */
	__u64 denied;
	__u64 lost_hits;
	__u64 window;		/* second in which hits were last sent */
	__u32 hits_in_window;
	__u32 reserved;
};

enum {
	ROW_DEFAULT = 0,
	ROW_MALFORMED = 1,
	ROW_FRAGMENT = 2,
	ROW_STATE = 3,		/* flows created (packets) and refused by the table (denied) */
	FIRST_RULE_ROW = 4,
};

/* Keys of known flows, one table per family: hashing is what a lookup costs. Addresses in network byte order. */
struct flow_key4 {
	__u32 lower;
	__u32 upper;
	__u32 ports;		/* lower end's, upper end's << 16: one store, because the hash reads one word */
	__u32 protocol;
};

struct flow_key6 {
	__u32 lower[4];
	__u32 upper[4];
	__u32 ports;		/* lower end's, upper end's << 16: one store, because the hash reads one word */
	__u32 protocol;
};

enum { NEW = 0, ANSWERED = 1, CLOSING = 2 };

struct flow_memory {
	__u64 last_seen;
	__u32 generation;
	__u16 rule;
	__u8 phase;
	__u8 from_lower;
	__u32 tick;		/* jiffies when last_seen was written */
	__u32 reserved;
};

/* IPv4 addresses lie in the last four bytes, the others are zero. */
struct fragment_key {
	__u32 source[4];
	__u32 destination[4];
	__u32 id;
	__u8 protocol;
	__u8 family;
	__u16 reserved;
};

struct fragment_memory {
	__u64 seen;
	__u16 rule;
	__u8 allow;
	__u8 reserved[5];
};

/* A hit record. Rust: hits::Hit. */
struct hit {
	__u64 time;		/* CLOCK_MONOTONIC, ns */
	__u32 ifindex;
	__u32 bytes;
	__u32 source[4];
	__u32 destination[4];
	__u16 source_port;
	__u16 destination_port;
	__u16 rule;
	__u16 audited;
	__u16 ethertype;
	__u8 direction;
	__u8 reason;
	__u8 allow;
	__u8 passed;
	__u8 protocol;
	__u8 family;
};
#endif
