/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes that begin, become something else, end, or are switched and signalled. Hooks: end of clone, fork, vfork and
 * of a failed exec (tail calls), sched_process_exec, sched_process_exit, sched_switch, signal_deliver, page faults.
 * Cost: a few microseconds per exec and clone, which themselves take hundreds.
 */

enum { CAP_DAC_OVERRIDE = 1, CAP_FOWNER = 3, S_IMMUTABLE = 8, SB_RDONLY = 1, S_IWGRP = 020, S_IWOTH = 02 };
enum { EXE_WRITABLE = 1, EXE_UPPER = 2, EXE_MEMFD = 4, EXE_LOWER = 8 };
enum { CLONE_VM = 0x100, CLONE_FS = 0x200, CLONE_FILES = 0x400, CLONE_SIGHAND = 0x800, CLONE_VFORK = 0x4000 };
enum { CLONE_THREAD = 0x10000 };
enum { TMPFS_MAGIC = 0x01021994, ARGUMENTS = 16, CHILD_IN_PIDNS = 1 << 29, PF_EXITING = 4 };

/* tid, pid, ptid, cwd, fdlimit, faults, sizes, comm, cgroups: what clone and exec events have in common. */
FN int put_process(__u32 area, __u64 task_address)
{
	SCRATCH(area)
	struct task_struct *task = (void *)task_address;

	put64(s, BPF_CORE_READ(task, pid));
	put64(s, BPF_CORE_READ(task, tgid));
	put64(s, BPF_CORE_READ(task, real_parent, pid));
	put_empty(s); /* the engine follows the working directory itself */
	put64(s, BPF_CORE_READ(task, signal, rlim[RLIMIT_NOFILE].rlim_cur));
	put64(s, BPF_CORE_READ(task, maj_flt));
	put64(s, BPF_CORE_READ(task, min_flt));
	put_vm(area, task_address);
	put_kernel_string(s, (void *)task + bpf_core_field_offset(struct task_struct, comm));
	put_cgroups(area, task_address);
	return 0;
}

/* What makes a thread, as the kernel has it. clone3 takes its arguments from memory that a new thread shares with its
 * creator, who may use it for something else by now. */
static __always_inline __u64 thread_flags(struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	__u64 flags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;

	if (BPF_CORE_READ(task, files) == BPF_CORE_READ(leader, files))
		flags |= CLONE_FILES;
	if (BPF_CORE_READ(task, fs) == BPF_CORE_READ(leader, fs))
		flags |= CLONE_FS;
	return flags;
}

/* Flags of a call of the clone family in the numbers of the format. */
static __always_inline __u32 clone_flags(struct scratch *s, struct task_struct *task)
{
	struct pid_namespace *own = task_pid_ns(task);
	__u64 given = 0;
	__u32 flags;

	if (s->nr == NR_clone)
		given = s->args[0];
	else if (s->nr == NR_clone3 && !s->ret && BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid))
		given = thread_flags(task);
	else if (s->nr == NR_clone3)
		user_read(given, s->args[0]);
	else if (s->nr == NR_vfork)
		given = CLONE_VFORK | CLONE_VM;
	flags = convert(C_CLONE, given);
	if (BPF_CORE_READ(own, level) || BPF_CORE_READ(task, nsproxy, pid_ns_for_children) != own)
		flags |= CHILD_IN_PIDNS;
	return flags;
}

/* In the parent (result = tid of the child as the parent sees it) and once more in the child (result = 0). */
SEC("tp_btf/sys_exit")
int fill_clone(__u64 *ctx)
{
	__u32 number = area(AREA_EXIT);
	struct scratch *s = scratch(number);
	struct task_struct *task = this_task();
	const struct recipe *r;

	if (!s)
		return 0;
	r = &recipes[s->nr & (CALLS - 1)];
	begin(s, r->kind, r->params);
	put64(s, s->ret);
	put_exe_and_args(number);
	put_process(number, (__u64)this_task());
	put32(s, clone_flags(s, task));
	put32(s, BPF_CORE_READ(task, cred, euid.val));
	put32(s, BPF_CORE_READ(task, cred, egid.val));
	put64(s, pid_inner(BPF_CORE_READ(task, thread_pid)));
	put64(s, pid_inner(BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID])));
	put64(s, s->ret ? 0 : BPF_CORE_READ(task_pid_ns(task), child_reaper, start_boottime));
	emit(s, r->drop);
	return 0;
}

/* Whether a user namespace has a name for an id of the host; the first five ranges of its map are looked at. */
static __always_inline bool is_mapped(struct uid_gid_map *map, __u32 id)
{
	__u32 i, ranges = 0;

	kernel_read(ranges, (void *)map + bpf_core_field_offset(struct uid_gid_map, nr_extents));
	for (i = 0; i < 5; i++) {
		struct uid_gid_extent e = {};

		if (i >= ranges)
			break;
		kernel_read(e, (void *)map + bpf_core_field_offset(struct uid_gid_map, extent) + i * sizeof(e));
		if (id - e.lower_first < e.count)
			return true;
	}
	return false;
}

/* Whether a process could change the file it runs. */
FN int is_writable(__u64 inode_address, __u64 task_address)
{
	struct inode *inode = (void *)inode_address;
	const struct cred *cred = BPF_CORE_READ((struct task_struct *)task_address, cred);
	__u32 mode = BPF_CORE_READ(inode, i_mode), uid = BPF_CORE_READ(inode, i_uid.val), gid = BPF_CORE_READ(inode, i_gid.val);
	struct user_namespace *ns = BPF_CORE_READ(cred, user_ns);
	__u64 caps = CAPS(cred, cap_effective);

	if (BPF_CORE_READ(inode, i_flags) & S_IMMUTABLE || BPF_CORE_READ(inode, i_sb, s_flags) & SB_RDONLY)
		return 0;
	if (BPF_CORE_READ(cred, fsuid.val) == uid || mode & S_IWOTH)
		return 1;
	if (mode & S_IWGRP && BPF_CORE_READ(cred, fsgid.val) == gid)
		return 1;
	if (!(caps & (1 << CAP_DAC_OVERRIDE | 1 << CAP_FOWNER)))
		return 0;
	return is_mapped((void *)ns + bpf_core_field_offset(struct user_namespace, uid_map), uid) &&
	       is_mapped((void *)ns + bpf_core_field_offset(struct user_namespace, gid_map), gid);
}

static __always_inline bool is_memfd(struct dentry *dentry)
{
	char name[8] = {};

	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(dentry, d_name.name));
	return *(__u32 *)name == 0x666d656d && *(__u16 *)(name + 4) == 0x3a64 && /* "memfd:" */
	       BPF_CORE_READ(dentry, d_sb, s_magic) == TMPFS_MAGIC && BPF_CORE_READ(dentry, d_parent) == dentry;
}

/* include/linux/fs.h since 6.13: the top bit of i_ctime_nsec says that somebody looked, not when */
enum { CTIME_NS = 0x7fffffff };

/* Wall clock times of an inode in ns; where they lie depends on the kernel. */
static __always_inline __u64 inode_ctime(struct inode *inode)
{
	struct inode___plain *plain = (void *)inode;
	struct inode___hidden *hidden = (void *)inode;

	if (bpf_core_field_exists(inode->i_ctime_sec))
		return BPF_CORE_READ(inode, i_ctime_sec) * 1000000000ULL + (BPF_CORE_READ(inode, i_ctime_nsec) & CTIME_NS);
	if (bpf_core_field_exists(hidden->__i_ctime))
		return BPF_CORE_READ(hidden, __i_ctime.tv_sec) * 1000000000ULL + BPF_CORE_READ(hidden, __i_ctime.tv_nsec);
	return BPF_CORE_READ(plain, i_ctime.tv_sec) * 1000000000ULL + BPF_CORE_READ(plain, i_ctime.tv_nsec);
}

static __always_inline __u64 inode_mtime(struct inode *inode)
{
	struct inode___plain *plain = (void *)inode;
	struct inode___hidden *hidden = (void *)inode;

	if (bpf_core_field_exists(inode->i_mtime_sec))
		return BPF_CORE_READ(inode, i_mtime_sec) * 1000000000ULL + BPF_CORE_READ(inode, i_mtime_nsec);
	if (bpf_core_field_exists(hidden->__i_mtime))
		return BPF_CORE_READ(hidden, __i_mtime.tv_sec) * 1000000000ULL + BPF_CORE_READ(hidden, __i_mtime.tv_nsec);
	return BPF_CORE_READ(plain, i_mtime.tv_sec) * 1000000000ULL + BPF_CORE_READ(plain, i_mtime.tv_nsec);
}

/* tty to gid: the second half of an exec event, after the environment. */
FN int put_credentials_and_exe(__u32 area, __u64 task_address)
{
	SCRATCH(area)
	struct task_struct *task = (void *)task_address;
	const struct cred *cred = BPF_CORE_READ(task, cred);
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);
	struct dentry *dentry = BPF_CORE_READ(exe, f_path.dentry);
	struct inode *inode = BPF_CORE_READ(exe, f_inode);
	__u32 layer = overlay_layer(inode), flags = 0;
	bool memfd = is_memfd(dentry);

	if (inode && is_writable((__u64)inode, task_address))
		flags |= EXE_WRITABLE;
	if (layer)
		flags |= layer == OPEN_UPPER ? EXE_UPPER : EXE_LOWER;
	if (memfd)
		flags |= EXE_MEMFD;
	put32(s, task_tty(task_address));
	put64(s, pid_inner(BPF_CORE_READ(task, signal, pids[PIDTYPE_PGID])));
	put32(s, task_loginuid(task));
	put32(s, flags);
	put_caps(s, cred);
	put64(s, BPF_CORE_READ(inode, i_ino));
	put64(s, inode_ctime(inode));
	put64(s, inode_mtime(inode));
	put32(s, BPF_CORE_READ(cred, euid.val));
	if (memfd)
		put_kernel_string(s, BPF_CORE_READ(dentry, d_name.name));
	else if (exe)
		put_file_path(area, (__u64)exe);
	else
		put_empty(s);
	put64(s, pid_outer(BPF_CORE_READ(task, signal, pids[PIDTYPE_PGID])));
	put32(s, BPF_CORE_READ(cred, egid.val));
	return 0;
}

/*
 * Texts behind an array of user pointers, from number `first`, at most `count` and 4096 bytes together, as one
 * parameter. sum[0] = bytes so far.
 */
FN int put_pointed(__u32 area, __u64 array, __u32 first, __u32 count)
{
	SCRATCH(area)
	__u32 i;

	s->sum[0] = 0;
	for (i = 0; i < ARGUMENTS; i++) {
		__u64 text = 0, spot = (s->off + s->sum[0]) & (EVENT_BYTES - 1);
		long len;

		if (i >= count || s->sum[0] >= STRING_BYTES)
			break;
		if (s->compat)
			bpf_probe_read_user(&text, 4, (void *)(array + (first + i) * 4));
		else
			bpf_probe_read_user(&text, 8, (void *)(array + (first + i) * 8));
		if (!text)
			break;
		hidden_value(spot);
		len = user_string(&s->event[spot], text);
		if (len > 0)
			s->sum[0] += len;
	}
	if (s->sum[0] > STRING_BYTES) {
		s->sum[0] = STRING_BYTES;
		end_with_nul(s, STRING_BYTES);
	}
	done(s, s->sum[0]);
	return 0;
}

/* A failed exec: what it was asked to run. A successful one is told by sched_process_exec. */
SEC("tp_btf/sys_exit")
int fill_exec(__u64 *ctx)
{
	__u32 number = area(AREA_EXIT), at;
	struct scratch *s = scratch(number);

	if (!s || !s->ret)
		return 0;
	at = s->nr == NR_execveat ? 2 : 1;
	begin(s, s->nr == NR_execveat ? SYSCALL_EXECVEAT_X : SYSCALL_EXECVE_19_X,
	      s->nr == NR_execveat ? SYSCALL_EXECVEAT_X_PARAMS : SYSCALL_EXECVE_19_X_PARAMS);
	put64(s, s->ret);
	put_pointed(number, s->args[at], 0, 1);
	put_pointed(number, s->args[at], 1, 15);
	put_process(number, (__u64)this_task());
	put_pointed(number, s->args[at + 1], 0, 16);
	put_credentials_and_exe(number, (__u64)this_task());
	if (s->nr == NR_execve)
		put_user_string(s, s->args[0]);
	emit(s, DROP_EXECVE_EXIT);
	return 0;
}

/* Arguments: task, former pid, linux_binprm. */
SEC("tp_btf/sched_process_exec")
int on_exec(__u64 *ctx)
{
	__u32 number = area(AREA_TASK);
	struct scratch *s = scratch(number);
	struct linux_binprm *program = (struct linux_binprm *)ctx[2];

	if (!s) {
		count(DROP_SCRATCH);
		return 0;
	}
	begin(s, SYSCALL_EXECVE_19_X, SYSCALL_EXECVE_19_X_PARAMS);
	put64(s, 0);
	put_exe_and_args(number);
	put_process(number, (__u64)this_task());
	put_env(number);
	put_credentials_and_exe(number, (__u64)this_task());
	put_kernel_string(s, BPF_CORE_READ(program, filename));
	emit(s, DROP_EXECVE_EXIT);
	return 0;
}

enum { GROUP_SEARCH = 30, ANCESTOR_SEARCH = 60 };

/* A thread of the group of `task` that is not exiting: its tid, or 0. */
FN __u32 living_thread(__u64 task_address)
{
	struct task_struct *task = (void *)task_address;
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	__u64 head = (__u64)signal + bpf_core_field_offset(struct signal_struct, thread_head), node;
	__u64 offset = bpf_core_field_offset(struct task_struct, thread_node);
	int i;

	node = (__u64)BPF_CORE_READ(signal, thread_head.next);
	for (i = 0; i < GROUP_SEARCH; i++) {
		struct task_struct *other = (void *)(node - offset);

		if (!node || node == head)
			break;
		if (!(BPF_CORE_READ(other, flags) & PF_EXITING))
			return BPF_CORE_READ(other, pid);
		node = (__u64)BPF_CORE_READ(other, thread_node.next);
	}
	return 0;
}

/* The same, if the process takes orphans of its descendants. */
FN __u32 living_subreaper(__u64 task_address)
{
	struct signal_struct *signal = BPF_CORE_READ((struct task_struct *)task_address, signal);

	return BPF_CORE_READ_BITFIELD_PROBED(signal, is_child_subreaper) ? living_thread(task_address) : 0;
}

/*
 * Who adopts the children of the exiting current thread, as kernel/exit.c: find_new_reaper chooses: a thread of its own
 * group, the closest ancestor that asked for it, the first process of the pid namespace. 0 = nobody to adopt, -1 = not
 * found within the search limits.
 */
FN __s64 reaper_of(__u64 task_address)
{
	struct task_struct *task = (void *)task_address, *up = task;
	__u64 children = task_address + bpf_core_field_offset(struct task_struct, children);
	struct pid_namespace *ns = task_pid_ns(task);
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	__u32 level = BPF_CORE_READ(task, thread_pid, level), tid;
	int i;

	if ((__u64)BPF_CORE_READ(task, children.next) == children)
		return 0;
	tid = living_thread(task_address);
	if (tid)
		return tid;
	if (BPF_CORE_READ_BITFIELD_PROBED(signal, has_child_subreaper)) {
		for (i = 0; i < ANCESTOR_SEARCH; i++) {
			up = BPF_CORE_READ(up, real_parent);
			if (!BPF_CORE_READ(up, pid) || BPF_CORE_READ(up, thread_pid, level) != level)
				break;
			tid = living_subreaper((__u64)up);
			if (tid)
				return tid;
		}
		if (i == ANCESTOR_SEARCH)
			return -1;
	}
	return BPF_CORE_READ(ns, child_reaper, pid);
}

/* Argument: task. Every thread, not only the last of a process. */
SEC("tp_btf/sched_process_exit")
int on_exit(__u64 *ctx)
{
	struct scratch *s = scratch(area(AREA_TASK));
	struct task_struct *task = this_task();
	__u32 status;

	if (!s) {
		count(DROP_SCRATCH);
		return 0;
	}
	status = BPF_CORE_READ(task, exit_code);
	begin(s, PROCEXIT_1_E, PROCEXIT_1_E_PARAMS);
	put64(s, status);
	put64(s, (status >> 8) & 0xff);
	put8(s, status & 0x7f);
	put8(s, (status & 0x80) != 0);
	put64(s, reaper_of((__u64)task));
	emit(s, DROP_PROC_EXIT);
	return 0;
}
