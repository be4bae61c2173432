/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hooks that fire at any moment, even while another program builds an event: they write straight into the ring.
 * Attached only when asked for; each costs something on every switch, signal or fault of the machine.
 */

/* Room for an event of known size in the ring of this CPU, its header filled in; NULL counts as a drop. */
static __always_inline __u8 *reserve(__u16 kind, __u32 params, const __u64 bytes)
{
	__u32 cpu = bpf_get_smp_processor_id();
	void *ring = bpf_map_lookup_elem(&rings, &cpu);
	__u8 *e;

	count(EVENTS);
	if (!ring)
		return NULL;
	e = bpf_ringbuf_reserve(ring, bytes, 0);
	if (!e) {
		count(DROP_BUFFER);
		return NULL;
	}
	*(__u64 *)e = boot_ns + bpf_ktime_get_boot_ns();
	*(__u64 *)(e + 8) = (__u32)bpf_get_current_pid_tgid();
	*(__u32 *)(e + 16) = bytes;
	*(__u16 *)(e + 20) = kind;
	*(__u32 *)(e + 22) = params;
	return e;
}

#define SIZED(e, n, bytes) *(__u16 *)((e) + 26 + 2 * (n)) = bytes

/* Arguments: preempted, from, to. Faults and sizes are those of the task that leaves the CPU. */
SEC("tp_btf/sched_switch")
int on_switch(__u64 *ctx)
{
	struct task_struct *from = (struct task_struct *)ctx[1], *to = (struct task_struct *)ctx[2];
	struct mm_struct *mm = BPF_CORE_READ(from, mm);
	struct mm_struct___counts *old = (void *)mm;
	__u64 base = (__u64)mm + bpf_core_field_offset(struct mm_struct, rss_stat) +
		     bpf_core_field_offset(struct percpu_counter, count);
	__s64 pages[4] = {};
	__u8 *e;
	int i;

	if (mm && bpf_core_field_exists(old->rss_stat.count))
		kernel_read(pages, (__u64)mm + bpf_core_field_offset(struct mm_struct___counts, rss_stat.count));
	else if (mm)
		for (i = 0; i < 4; i++)
			kernel_read(pages[i], base + i * bpf_core_type_size(struct percpu_counter));
	e = reserve(SCHEDSWITCH_6_E, SCHEDSWITCH_6_E_PARAMS, 26 + 12 + 36);
	if (!e)
		return 0;
	SIZED(e, 0, 8);
	SIZED(e, 1, 8);
	SIZED(e, 2, 8);
	SIZED(e, 3, 4);
	SIZED(e, 4, 4);
	SIZED(e, 5, 4);
	e += 38;
	*(__u64 *)e = BPF_CORE_READ(to, pid);
	*(__u64 *)(e + 8) = BPF_CORE_READ(from, maj_flt);
	*(__u64 *)(e + 16) = BPF_CORE_READ(from, min_flt);
	*(__u32 *)(e + 24) = BPF_CORE_READ(mm, total_vm) * PAGE_KB;
	*(__u32 *)(e + 28) = (not_negative(pages[0]) + not_negative(pages[1]) + not_negative(pages[3])) * PAGE_KB;
	*(__u32 *)(e + 32) = not_negative(pages[2]) * PAGE_KB;
	bpf_ringbuf_submit(e - 38, BPF_RB_NO_WAKEUP);
	return 0;
}

/* uapi/asm-generic/siginfo.h: for these codes and for SIGCHLD the sender's pid comes first among the fields. */
enum { SI_USER = 0, SI_QUEUE = -1, SI_TKILL = -6, SIGCHLD = 17, SIGINFO_FIELDS = 16 };

/* Arguments: signal, siginfo (0 and 1 = none), action. */
SEC("tp_btf/signal_deliver")
int on_signal(__u64 *ctx)
{
	struct kernel_siginfo *info = (struct kernel_siginfo *)ctx[1];
	int signal = ctx[0], from = 0, code;
	__u8 *e;

	if ((__u64)info > 1) {
		code = BPF_CORE_READ(info, si_code);
		if (code == SI_USER || code == SI_QUEUE || code == SI_TKILL || signal == SIGCHLD)
			kernel_read(from, (void *)info + SIGINFO_FIELDS);
	}
	e = reserve(SIGNALDELIVER_E, SIGNALDELIVER_E_PARAMS, 26 + 6 + 17);
	if (!e)
		return 0;
	SIZED(e, 0, 8);
	SIZED(e, 1, 8);
	SIZED(e, 2, 1);
	*(__s64 *)(e + 32) = from;
	*(__s64 *)(e + 40) = (__u32)bpf_get_current_pid_tgid();
	*(e + 48) = signal;
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

/* arch/x86/include/asm/trap_pf.h to the numbers of the format */
static __always_inline __u32 fault_flags(__u64 error)
{
	return (error & 1 ? 1 : 2) | (error & 2 ? 4 : 8) | (error & 4 ? 16 : 32) | (error & 8 ? 64 : 0) | (error & 16 ? 128 : 0);
}

static __always_inline int page_fault(__u64 *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[1];
	__u64 ip = BPF_CORE_READ(regs, ip);
	__u8 *e = reserve(PAGE_FAULT_E, PAGE_FAULT_E_PARAMS, 26 + 6 + 20);

	if (!e)
		return 0;
	SIZED(e, 0, 8);
	SIZED(e, 1, 8);
	SIZED(e, 2, 4);
	*(__u64 *)(e + 32) = ctx[0];
	*(__u64 *)(e + 40) = ip;
	*(__u32 *)(e + 48) = fault_flags(ctx[2]);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Arguments: address, registers, error code. */
SEC("tp_btf/page_fault_user")
int on_fault_user(__u64 *ctx)
{
	return page_fault(ctx);
}

SEC("tp_btf/page_fault_kernel")
int on_fault_kernel(__u64 *ctx)
{
	return page_fault(ctx);
}
