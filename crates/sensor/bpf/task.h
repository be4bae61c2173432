/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Facts about a process: ids in the host's and in the innermost namespace, memory, credentials, cgroups, command line.
 * Read with probe reads, which work for tasks other than the current one and on every kernel since 5.8.
 */
#ifndef HAWKBELL_TASK_H
#define HAWKBELL_TASK_H

#include "sensor.h"

enum { PAGE_KB = 4, RLIMIT_NOFILE = 7, CGROUP_DEPTH = 8 };

static __always_inline struct task_struct *this_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

static __always_inline void *upid_at(struct pid *pid, unsigned int level)
{
	return (void *)pid + bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid);
}

/* Number of `pid` in its innermost namespace. */
static __always_inline int pid_inner(struct pid *pid)
{
	int nr = 0;

	kernel_read(nr, upid_at(pid, BPF_CORE_READ(pid, level)) + bpf_core_field_offset(struct upid, nr));
	return nr;
}

/* Number of `pid` in the initial namespace. */
static __always_inline int pid_outer(struct pid *pid)
{
	int nr = 0;

	kernel_read(nr, upid_at(pid, 0) + bpf_core_field_offset(struct upid, nr));
	return nr;
}

static __always_inline struct pid_namespace *task_pid_ns(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct pid_namespace *ns = NULL;

	kernel_read(ns, upid_at(pid, BPF_CORE_READ(pid, level)) + bpf_core_field_offset(struct upid, ns));
	return ns;
}

static __always_inline __u64 not_negative(__s64 pages)
{
	return pages > 0 ? pages : 0;
}

/* Sizes of an address space in KB; zeros for kernel threads. Small counts may be negative. */
FN int put_vm(__u32 area, __u64 task_address)
{
	struct mm_struct *mm = BPF_CORE_READ((struct task_struct *)task_address, mm);
	struct mm_struct___counts *old = (void *)mm;
	__s64 file = 0, anonymous = 0, swap = 0, shared = 0;
	SCRATCH(area)

	if (mm && bpf_core_field_exists(old->rss_stat.count)) {
		file = BPF_CORE_READ(old, rss_stat.count[0].counter);
		anonymous = BPF_CORE_READ(old, rss_stat.count[1].counter);
		swap = BPF_CORE_READ(old, rss_stat.count[2].counter);
		shared = BPF_CORE_READ(old, rss_stat.count[3].counter);
	} else if (mm) {
		void *at = (void *)mm + bpf_core_field_offset(struct mm_struct, rss_stat) +
			   bpf_core_field_offset(struct percpu_counter, count);
		__u64 size = bpf_core_type_size(struct percpu_counter);

		kernel_read(file, at);
		kernel_read(anonymous, at + size);
		kernel_read(swap, at + 2 * size);
		kernel_read(shared, at + 3 * size);
	}
	put32(s, BPF_CORE_READ(mm, total_vm) * PAGE_KB);
	put32(s, (not_negative(file) + not_negative(anonymous) + not_negative(shared)) * PAGE_KB);
	put32(s, not_negative(swap) * PAGE_KB);
	return 0;
}

/* Eight bytes whatever the kernel calls them. */
#define CAPS(cred, set)                                                                                                \
	({                                                                                                             \
		__u64 caps = 0;                                                                                        \
		bpf_core_read(&caps, sizeof(caps), &cred->set);                                                        \
		caps;                                                                                                  \
	})

static __always_inline void put_caps(struct scratch *s, const struct cred *cred)
{
	put64(s, CAPS(cred, cap_inheritable));
	put64(s, CAPS(cred, cap_permitted));
	put64(s, CAPS(cred, cap_effective));
}

static __always_inline __u32 task_loginuid(struct task_struct *task)
{
	return bpf_core_field_exists(task->loginuid) ? BPF_CORE_READ(task, loginuid.val) : (__u32)-1;
}

/* Device number as stat(2) shows it: minor 0-7, major 8-19, minor 8-19. */
static __always_inline __u32 encode_dev(__u32 major, __u32 minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xff) << 12;
}

FN __u32 task_tty(__u64 task_address)
{
	struct tty_struct *tty = BPF_CORE_READ((struct task_struct *)task_address, signal, tty);
	struct tty_driver *driver;

	if (!tty)
		return 0;
	driver = BPF_CORE_READ(tty, driver);
	return encode_dev(BPF_CORE_READ(driver, major), BPF_CORE_READ(driver, minor_start) + BPF_CORE_READ(tty, index));
}

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___hidden *newer = (void *)node;

	if (bpf_core_field_exists(newer->__parent))
		return BPF_CORE_READ(newer, __parent);
	return BPF_CORE_READ(node, parent);
}

static __always_inline __u8 *at_sum(struct scratch *s)
{
	__u64 at = s->sum[0] & (EVENT_BYTES - 1);

	hidden_value(at);
	return &s->event[at];
}

/* Appends the path of a cgroup at sum[0]: up to eight components below the root, NUL at the end. */
FN int append_cgroup_path(__u32 area, __u64 css_set, __u64 id)
{
	struct kernfs_node *nodes[CGROUP_DEPTH] = {}, *node, *parent;
	struct cgroup_subsys_state *state;
	int i;
	SCRATCH(area)

	kernel_read(state, css_set + bpf_core_field_offset(struct css_set, subsys) + id * sizeof(void *));
	node = BPF_CORE_READ(state, cgroup, kn);
	for (i = 0; i < CGROUP_DEPTH; i++) {
		parent = kernfs_parent(node);
		if (!parent)
			break;
		nodes[i] = node; /* the root itself has no parent and no name */
		node = parent;
	}
	if (!nodes[0]) {
		*at_sum(s) = '/';
		s->sum[0]++;
	}
	for (i = CGROUP_DEPTH - 1; i >= 0; i--) {
		long len;

		if (!nodes[i])
			continue;
		*at_sum(s) = '/';
		len = bpf_probe_read_kernel_str(at_sum(s) + 1, 256, BPF_CORE_READ(nodes[i], name));
		s->sum[0] += len > 0 ? len : 1; /* the place of the NUL makes up for the slash */
	}
	*at_sum(s) = 0;
	s->sum[0]++;
	return 0;
}

/* "name=path" for the controllers that this kernel has, each with a NUL at its end. */
#define CGROUP(name)                                                                                                   \
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, name##_cgrp_id)) {                                       \
		__builtin_memcpy(at_sum(s), #name "=", sizeof(#name));                                                 \
		s->sum[0] += sizeof(#name);                                                                            \
		append_cgroup_path(area, set, bpf_core_enum_value(enum cgroup_subsys_id, name##_cgrp_id));             \
	}

FN int put_cgroups(__u32 area, __u64 task_address)
{
	__u64 set = (__u64)BPF_CORE_READ((struct task_struct *)task_address, cgroups);
	SCRATCH(area)

	s->sum[0] = s->off;
	CGROUP(cpuset)
	CGROUP(cpu)
	CGROUP(cpuacct)
	CGROUP(io)
	CGROUP(memory)
	done(s, s->sum[0] - s->off);
	return 0;
}

/* The byte before the next parameter would start, after `len` bytes were written there. */
static __always_inline void end_with_nul(struct scratch *s, __u64 len)
{
	__u64 last = (s->off + len - 1) & (EVENT_BYTES - 1);

	hidden_value(last);
	s->event[last] = 0;
}

/* argv[0], then the other arguments, as they lie in the memory of the current process; at most 4096 bytes together. */
FN int put_exe_and_args(__u32 area)
{
	struct mm_struct *mm = BPF_CORE_READ(this_task(), mm);
	unsigned long start = BPF_CORE_READ(mm, arg_start), end = BPF_CORE_READ(mm, arg_end), len;
	long exe = -1;
	SCRATCH(area)

	if (mm)
		exe = bpf_probe_read_user_str(here(s), STRING_BYTES, (void *)start);
	if (exe <= 0) {
		*here(s) = 0;
		exe = 1;
	}
	done(s, exe);
	len = end > start + exe ? end - start - exe : 0;
	if (len > STRING_BYTES - exe)
		len = STRING_BYTES - exe;
	len &= STRING_BYTES - 1;
	hidden_value(len);
	len &= STRING_BYTES - 1;
	if (!mm || !len || bpf_probe_read_user(here(s), len, (void *)(start + exe))) {
		put_empty(s);
		return 0;
	}
	end_with_nul(s, len);
	done(s, len);
	return 0;
}

/* The bytes from `start` to `end` of the memory of the current process, at most 4096, a NUL at the end. */
FN int put_own_text(__u32 area, __u64 start, __u64 end)
{
	__u64 len = end > start ? end - start : 0;
	SCRATCH(area)

	if (len > STRING_BYTES)
		len = STRING_BYTES;
	hidden_value(len);
	if (!len || len > STRING_BYTES || bpf_probe_read_user(here(s), len, (void *)start)) {
		put_empty(s);
		return 0;
	}
	end_with_nul(s, len);
	done(s, len);
	return 0;
}

static __always_inline void put_env(__u32 area)
{
	struct mm_struct *mm = BPF_CORE_READ(this_task(), mm);

	put_own_text(area, BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end));
}

#endif
