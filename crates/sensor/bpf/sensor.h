/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every program of the sensor shares: settings, maps, counters and the building of one event.
 * An event is built in a scratch area of the CPU and class of hook, then copied into the ring of the CPU without a
 * wake-up. Layout of an event: crates/event/src/wire.rs. Cursor and parameter count live in memory, not in registers,
 * so that the verifier meets equal states and stays fast.
 */
#ifndef HAWKBELL_SENSOR_H
#define HAWKBELL_SENSOR_H

#include "kernel.h"
#include "kinds.h" /* generated: numbers of events and system calls */

/* Settings, written before loading. */
const volatile __u64 boot_ns;	  /* wall clock of boot */
const volatile __u32 snaplen = 80; /* bytes of I/O data kept */
const volatile bool drop_failed; /* no exit events for failed calls */
const volatile bool raw;	  /* loaded as raw tracepoints: registers are not typed */

const volatile bool casts;	  /* kernel 6.4 or later: addresses can be given a type and followed directly */

/* One byte per system call number, changed live: wanted when called by a 64-bit task under this number, by a 32-bit
 * task under this number (as that interface numbers its calls). Most calls end here, before anything else is looked at. */
enum { WANTED = 1, WANTED_32 = 2 };
__u8 selected[512] SEC(".data.selected");

enum { EVENT_BYTES = 65536, WORK_BYTES = 8192, STRING_BYTES = 4096 };

struct scratch {
	__u64 args[8]; /* six used; eight so that a mask bounds the index */
	__s64 ret;
	__u32 nr;      /* x86-64 number, or one of the numbers above 499 for 32-bit calls without a 64-bit one */
	__u32 off;     /* where the next parameter goes */
	__u32 n;       /* parameters so far */
	__u32 compat;  /* 32-bit caller */
	__u64 var[8];  /* values that the steps of one event share */
	__u64 sum[4];  /* running values of loops: in memory the verifier does not follow them */
	__u8 event[EVENT_BYTES + 65536];
	__u8 work[WORK_BYTES + STRING_BYTES];
};

/* Hooks that may interrupt one another on a CPU build in different areas. */
enum { AREA_EXIT, AREA_ENTER, AREA_TASK, AREAS };
const volatile __u32 snapshot_area; /* one more, for iterators, of which one runs at a time */

enum counter {
	EVENTS, /* seen, dropped ones included */
	DROP_BUFFER,
	DROP_CLONE_FORK_EXIT,
	DROP_EXECVE_EXIT,
	DROP_CONNECT_ENTER,
	DROP_CONNECT_EXIT,
	DROP_OPEN_ENTER,
	DROP_OPEN_EXIT,
	DROP_DIR_FILE_EXIT,
	DROP_OTHER_INTEREST_EXIT,
	DROP_CLOSE_EXIT,
	DROP_PROC_EXIT,
	DROP_EVENT_SIZE,
	DROP_NO_PROGRAM,
	DROP_SCRATCH,
	COUNTERS = 16, /* a power of two, so that a mask bounds the index */
};

struct counters {
	__u64 of[COUNTERS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AREAS); /* times CPUs and one more, set before loading */
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counts SEC(".maps");

/* CPU number to ring buffer; filled by user space before anything is attached. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1); /* CPUs, set before loading */
	__uint(key_size, 4);
	__uint(value_size, 4);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_RINGBUF);
		__uint(max_entries, 4096);
	});
} rings SEC(".maps");

static __always_inline void count(enum counter which)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counts, &zero);

	if (c)
		c->of[which]++;
}

/* Number of the scratch area of this CPU and class of hook. */
static __always_inline __u32 area(__u32 class)
{
	return bpf_get_smp_processor_id() * AREAS + class;
}

static __always_inline struct scratch *scratch(__u32 area)
{
	return bpf_map_lookup_elem(&scratches, &area);
}

/*
 * Functions marked so are checked by the verifier once, on their own, whoever calls them: that keeps its work a sum
 * instead of a product. They take and return numbers only, so they find the scratch area by its number.
 */
#define FN __weak __noinline
#define SCRATCH(area)                                                                                                  \
	struct scratch *s = scratch(area);                                                                             \
	if (!s)                                                                                                        \
		return 0;

/* Starts an event: header now, length at the end. */
static __always_inline void begin(struct scratch *s, __u16 kind, __u32 params)
{
	*(__u64 *)&s->event[0] = boot_ns + bpf_ktime_get_boot_ns();
	*(__u64 *)&s->event[8] = (__u32)bpf_get_current_pid_tgid();
	*(__u16 *)&s->event[20] = kind;
	*(__u32 *)&s->event[22] = params;
	s->off = 26 + 2 * params;
	s->n = 0;
}

/* Where the next parameter goes. The buffer has room for the largest parameter behind every offset it can yield. */
static __always_inline __u8 *here(struct scratch *s)
{
	__u64 off = s->off & (EVENT_BYTES - 1);

	hidden_value(off);
	return &s->event[off];
}

/* The parameter that was written at here() is finished. */
static __always_inline void done(struct scratch *s, __u32 len)
{
	__u64 n = s->n & 31;

	hidden_value(n);
	*(__u16 *)&s->event[26 + 2 * n] = len;
	s->n++;
	s->off += len;
}

static __always_inline void put64(struct scratch *s, __u64 v)
{
	*(__u64 *)here(s) = v;
	done(s, 8);
}

static __always_inline void put32(struct scratch *s, __u32 v)
{
	*(__u32 *)here(s) = v;
	done(s, 4);
}

static __always_inline void put16(struct scratch *s, __u16 v)
{
	*(__u16 *)here(s) = v;
	done(s, 2);
}

static __always_inline void put8(struct scratch *s, __u8 v)
{
	*here(s) = v;
	done(s, 1);
}

static __always_inline void put_empty(struct scratch *s)
{
	done(s, 0);
}

/* Copies text of user space: bytes with the NUL, or negative. Older kernels answer 0 for an empty string. */
static __always_inline long user_string(void *to, __u64 address)
{
	long len = bpf_probe_read_user_str(to, STRING_BYTES, (void *)address);

	if (len)
		return len;
	*(char *)to = 0;
	return 1;
}

/* Text of user space: an empty string is one NUL, a fault is an empty parameter. */
static __always_inline void put_user_string(struct scratch *s, __u64 address)
{
	long len = address ? user_string(here(s), address) : 0;

	done(s, len > 0 ? len : 0);
}

static __always_inline void put_kernel_string(struct scratch *s, const void *address)
{
	long len = address ? bpf_probe_read_kernel_str(here(s), STRING_BYTES, address) : 0;

	done(s, len > 0 ? len : 0);
}

/* At most snaplen of `len` bytes of user space. */
static __always_inline void put_user_bytes(struct scratch *s, __u64 address, __u64 len)
{
	if (len > snaplen)
		len = snaplen;
	len &= 0xffff;
	hidden_value(len);
	len &= 0xffff;
	if (!len || bpf_probe_read_user(here(s), len, (void *)address))
		len = 0;
	done(s, len);
}

/* Hands the event to the ring of this CPU; `drop` says where a loss is counted. */
static __always_inline void emit(struct scratch *s, __u32 drop)
{
	__u32 cpu = bpf_get_smp_processor_id(), zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counts, &zero);
	void *ring = bpf_map_lookup_elem(&rings, &cpu);
	__u64 len = s->off;

	if (!c)
		return;
	c->of[EVENTS]++;
	if (len > EVENT_BYTES) {
		c->of[DROP_EVENT_SIZE]++;
		return;
	}
	*(__u32 *)&s->event[16] = len;
	if (ring && !bpf_ringbuf_output(ring, s->event, len, BPF_RB_NO_WAKEUP))
		return;
	c->of[DROP_BUFFER]++;
	drop &= COUNTERS - 1;
	hidden_value(drop);
	if (drop > DROP_BUFFER)
		c->of[drop & (COUNTERS - 1)]++;
}

extern void *bpf_rdonly_cast(const void *address, __u32 type) __ksym __weak;

/* A field of a structure whose address is a mere number: a plain load where the kernel lets us name the type, else a
 * probe read, which takes some twenty times as long. */
#define GET(type, address, field)                                                                                      \
	({                                                                                                             \
		__u64 where = (__u64)(address);                                                                        \
		typeof(((struct type *)0)->field) got;                                                                 \
		if (casts)                                                                                             \
			got = ((struct type *)bpf_rdonly_cast((void *)where, bpf_core_type_id_kernel(struct type)))    \
				      ->field;                                                                         \
		else                                                                                                   \
			got = BPF_CORE_READ((struct type *)where, field);                                              \
		got;                                                                                                   \
	})

#define user_read(dst, address) bpf_probe_read_user(&(dst), sizeof(dst), (void *)(address))
#define kernel_read(dst, address) bpf_probe_read_kernel(&(dst), sizeof(dst), (void *)(address))

#endif
