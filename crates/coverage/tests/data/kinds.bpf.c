// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One program of each kind that the running kernel takes without trampolines; each has two places that count.
#define SEC(name) __attribute__((section(name), used))

struct task_struct;
struct seq_file;

struct iterator {
	struct {
		struct seq_file *seq;
	} *meta;
	struct task_struct *task;
};

static __attribute__((noinline)) int counted(long value)
{
	return value ? 1 : 0;
}

SEC("tc") int on_packet(unsigned int *skb)
{
	return counted(skb[0]);
}

SEC("xdp") int on_frame(unsigned int *frame)
{
	return counted(frame[0]);
}

SEC("raw_tp/sys_enter") int on_raw(unsigned long long *arguments)
{
	return counted(arguments[1]);
}

SEC("tp_btf/sys_enter") int on_btf(unsigned long long *arguments)
{
	return counted(arguments[1]);
}

SEC("tracepoint/raw_syscalls/sys_enter") int on_tracepoint(unsigned long long *record)
{
	return counted(record[1]);
}

SEC("iter/task") int on_task(struct iterator *iterator)
{
	return counted(iterator->task != 0) > 1;
}

char LICENSE[] SEC("license") = "GPL";
