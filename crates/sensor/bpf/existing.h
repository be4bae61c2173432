/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes and open files that were there before the first event. Hooks: the iterators over tasks and open files, read
 * once at the start; the ends of calls and of exec, only until that is done. Out: records laid out as events are, with
 * kinds of their own (crates/sensor/src/existing.rs). Must never: follow a pointer of another task other than by a read
 * that may fail, since it may be exiting; tell what a task is in the middle of an event.
 */

enum { TASK_RECORD = 0xff00, FILE_RECORD = 0xff01, TASK_PARAMS = 31, FILE_PARAMS = 2, ANCESTORS = 8 };

/* Parameter 26 of a task record. */
struct task_numbers {
	__s64 ptid, vtid, vpid, sid;	/* parent's process, ids in the innermost namespace, session */
	__u64 namespace_start;		/* of the first process of its pid namespace, ns since boot */
	__u64 start;			/* ns since boot */
	__u64 namespace_level;		/* 0 = the host's */
};

/* Parameter 0 of a file record. */
struct file_numbers {
	__s64 pid, fd;
	__u64 ino;
	__u32 mode, flags, dev, net_namespace;
};

FN int put_task_numbers(__u32 area, __u64 task_address)
{
	SCRATCH(area)
	struct task_struct *task = (void *)task_address;
	struct pid_namespace *ns = task_pid_ns(task);
	struct task_numbers *n = (void *)here(s);

	n->ptid = BPF_CORE_READ(task, real_parent, tgid);
	n->vtid = pid_inner(BPF_CORE_READ(task, thread_pid));
	n->vpid = pid_inner(BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]));
	n->sid = pid_outer(BPF_CORE_READ(task, signal, pids[PIDTYPE_SID]));
	n->namespace_start = BPF_CORE_READ(ns, child_reaper, start_boottime);
	n->start = BPF_CORE_READ(task, start_boottime);
	n->namespace_level = BPF_CORE_READ(ns, level);
	done(s, sizeof(*n));
	return 0;
}

/* Everything about a task but its command line and environment, which lie in its own memory. */
FN int put_task(__u32 area, __u64 task_address)
{
	SCRATCH(area)
	__u64 fs = (__u64)BPF_CORE_READ((struct task_struct *)task_address, fs);

	begin(s, TASK_RECORD, TASK_PARAMS);
	put_process(area, task_address);
	put_credentials_and_exe(area, task_address);
	put_task_numbers(area, task_address);
	if (!fs) {
		put_empty(s);
		put_empty(s);
		return 0;
	}
	put_path(area, fs + bpf_core_field_offset(struct fs_struct, pwd));
	put_path(area, fs + bpf_core_field_offset(struct fs_struct, root));
	return 0;
}

/* Text in the memory of another task; may wait for it to be paged in. */
static __always_inline void put_text_of(struct scratch *s, struct task_struct *task, __u64 start, __u64 end)
{
	__u64 len = end > start ? end - start : 0;

	if (len > STRING_BYTES)
		len = STRING_BYTES;
	hidden_value(len);
	if (!len || len > STRING_BYTES || bpf_copy_from_user_task(here(s), len, (void *)start, task, 0)) {
		put_empty(s);
		return;
	}
	end_with_nul(s, len);
	done(s, len);
}

static __always_inline void write_record(struct scratch *s, struct seq_file *seq)
{
	__u64 len = s->off;

	hidden_value(len);
	if (len > EVENT_BYTES)
		return;
	*(__u32 *)&s->event[16] = len;
	bpf_seq_write(seq, s->event, len);
}

/* An address that the verifier takes for one, as a number, which is what functions take. */
static __always_inline __u64 as_number(struct scratch *s, const void *address)
{
	*(volatile __u64 *)&s->var[0] = (__u64)address;
	return *(volatile __u64 *)&s->var[0];
}

/* Sleeps while it reads the memory of others, which iterators can since 5.18. */
SEC("iter.s/task")
int tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct scratch *s = scratch(snapshot_area);
	struct mm_struct *mm;

	if (!task || !s)
		return 0;
	put_task(snapshot_area, as_number(s, task));
	mm = BPF_CORE_READ(task, mm);
	put_text_of(s, task, BPF_CORE_READ(mm, arg_start), BPF_CORE_READ(mm, arg_end));
	put_text_of(s, task, BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end));
	write_record(s, ctx->meta->seq);
	return 0;
}

/* O_CLOEXEC as open(2) takes it: a flag of the descriptor, not of the file. */
static __always_inline __u32 closes_on_exec(struct task_struct *task, __u32 fd)
{
	unsigned long *bits = BPF_CORE_READ(task, files, fdt, close_on_exec), word = 0;

	kernel_read(word, bits + fd / 64);
	return word >> (fd % 64) & 1 ? 02000000 : 0;
}

/* Open files of every process. The iterator holds each file while it is looked at, so its path may be asked for. */
SEC("iter/task_file")
int task_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct scratch *s = scratch(snapshot_area);
	struct file_numbers *n;
	struct inode *inode;
	long len;

	if (!task || !file || !s)
		return 0;
	begin(s, FILE_RECORD, FILE_PARAMS);
	inode = BPF_CORE_READ(file, f_inode);
	n = (void *)here(s);
	n->pid = task->tgid;
	n->fd = ctx->fd;
	n->ino = BPF_CORE_READ(inode, i_ino);
	n->mode = BPF_CORE_READ(inode, i_mode);
	n->flags = open_flags(BPF_CORE_READ(file, f_flags) | closes_on_exec(task, ctx->fd)) | overlay_layer(inode);
	n->dev = inode_dev(inode);
	n->net_namespace = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	done(s, sizeof(*n));
	len = bpf_d_path(&file->f_path, (char *)here(s), STRING_BYTES);
	done(s, len > 0 ? len : 0);
	write_record(s, ctx->meta->seq);
	return 0;
}

/* Tasks that were told of; the oldest are forgotten first and told of again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u8);
} told SEC(".maps");

static __always_inline bool is_told(__u32 tid)
{
	__u8 yes = 1;

	return bpf_map_lookup_elem(&told, &tid) || bpf_map_update_elem(&told, &tid, &yes, BPF_ANY);
}

/* The command line of another task cannot be read here: an ancestor has none. */
FN int tell_task(__u32 area, __u64 task_address, __u32 is_current)
{
	SCRATCH(area)
	struct mm_struct *mm = BPF_CORE_READ((struct task_struct *)task_address, mm);

	if (!is_current)
		mm = NULL;
	put_task(area, task_address);
	put_own_text(area, BPF_CORE_READ(mm, arg_start), BPF_CORE_READ(mm, arg_end));
	put_own_text(area, BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end));
	emit(s, DROP_BUFFER);
	return 0;
}

/*
 * Whoever acts between the attaching of the other hooks and the end of the look at existing processes may be gone by
 * then; so the first event of every task is preceded by what the task is, and who its ancestors are.
 */
static __always_inline void tell_lineage(__u32 area)
{
	struct task_struct *task = this_task();
	int i;

	for (i = 0; i < ANCESTORS; i++) {
		__u32 tid = BPF_CORE_READ(task, pid);

		if (!tid || is_told(tid)) /* 0 starts the first process and is none itself */
			break;
		tell_task(area, (__u64)task, !i);
		task = BPF_CORE_READ(task, real_parent);
	}
}

static __always_inline void tell_caller(struct pt_regs *regs, __u32 class)
{
	__u32 nr = REG(regs, orig_ax);

	hidden_value(nr);
	if (nr < CALLS && selected[nr])
		tell_lineage(area(class));
}

SEC("tp_btf/sys_enter")
int first_enter(__u64 *ctx)
{
	tell_caller((struct pt_regs *)ctx[0], AREA_ENTER);
	return 0;
}

/* Of calls that began before the hook at their entry was there. */
SEC("tp_btf/sys_exit")
int first_call(__u64 *ctx)
{
	tell_caller((struct pt_regs *)ctx[0], AREA_EXIT);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int first_exec(__u64 *ctx)
{
	tell_lineage(area(AREA_TASK));
	return 0;
}
