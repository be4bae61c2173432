// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Loads on stock kernels: function entry and exit, LSM (also sleepable), kprobe, iterator, BTF tracepoint with a relocation.
// In: whatever the hooks give; out: nothing. Only ever loaded, never attached.

#define SEC(name) __attribute__((section(name), used))

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

SEC("fentry/do_unlinkat") int on_entry(unsigned long long *ctx) { return 0; }
SEC("fexit/do_unlinkat") int on_exit(unsigned long long *ctx) { return 0; }
SEC("lsm/file_open") int on_open(unsigned long long *ctx) { return 0; }
SEC("lsm.s/file_open") int on_open_sleeping(unsigned long long *ctx) { return 0; }
SEC("kprobe/do_exit") int on_probe(void *ctx) { return 0; }
SEC("iter/task") int on_task(void *ctx) { return 0; }

SEC("tp_btf/sched_switch") int on_switch(unsigned long long *ctx)
{
	struct task_struct *next = (void *)ctx[2];

	return next->pid == 1;
}

char _license[] SEC("license") = "GPL";
