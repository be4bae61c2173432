/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fields of kernel structures that are used here, and no others. Every access is relocated by CO-RE against the
 * running kernel's BTF, so order, padding and unnamed parents do not matter; only names and kinds of fields do.
 * A name with ___ is a variant of the same structure in other kernel versions; which one fits is asked at load time.
 * Grow this field by field. Checked on 5.10 to 7.x.
 */
#ifndef HAWKBELL_KERNEL_H
#define HAWKBELL_KERNEL_H

#include "common.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

/* arch/x86/include/asm/thread_info.h: TS_COMPAT is bit 1 of status */
struct thread_info {
	__u32 status;
};

typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	__u32 val;
} kgid_t;

/* Two u32 before 6.3, one u64 since: 8 bytes in the same order on little-endian machines. */
typedef struct {
	__u64 val;
} kernel_cap_t;

struct uid_gid_extent {
	__u32 first, lower_first, count;
};

struct uid_gid_map {
	__u32 nr_extents;
	struct uid_gid_extent extent[5];
};

struct user_namespace {
	struct uid_gid_map uid_map, gid_map;
	struct user_namespace *parent;
	kuid_t owner;
	int level;
};

struct cred {
	kuid_t uid, suid, euid, fsuid;
	kgid_t gid, sgid, egid, fsgid;
	kernel_cap_t cap_inheritable, cap_permitted, cap_effective;
	struct user_namespace *user_ns;
};

struct list_head {
	struct list_head *next, *prev;
};

struct task_struct;

struct pid_namespace {
	struct task_struct *child_reaper;
	unsigned int level;
	struct pid_namespace *parent;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct percpu_counter {
	__s64 count;
};

typedef struct {
	__s64 counter;
} atomic64_t, atomic_long_t;

typedef struct {
	int counter;
} atomic_t;

struct mm_rss_stat {
	atomic_long_t count[4];
};

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct super_block;

struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};

struct inode {
	__u16 i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	unsigned int i_flags;
	struct super_block *i_sb;
	unsigned long i_ino;
	/* since 6.11 */
	__s64 i_mtime_sec, i_ctime_sec;
	__u32 i_mtime_nsec, i_ctime_nsec;
};

/* before 6.6 */
struct inode___plain {
	struct timespec64 i_mtime, i_ctime;
};

/* 6.6 for i_ctime, 6.7 to 6.10 for both */
struct inode___hidden {
	struct timespec64 __i_mtime, __i_ctime;
};

struct super_block {
	__u32 s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
	struct user_namespace *s_user_ns;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	int mnt_flags;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	int mnt_id;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file_operations;

struct file {
	unsigned int f_flags;
	unsigned int f_mode;
	const struct file_operations *f_op;
	void *private_data;
	struct inode *f_inode;
	struct path f_path;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *close_on_exec;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root, pwd;
};

struct mm_struct {
	unsigned long total_vm;
	unsigned long arg_start, arg_end, env_start, env_end;
	struct file *exe_file;
	/* since 6.2 */
	struct percpu_counter rss_stat[4];
};

struct mm_struct___counts {
	struct mm_rss_stat rss_stat;
};

struct tty_driver {
	int major, minor_start;
};

struct tty_struct {
	int index;
	struct tty_driver *driver;
};

struct rlimit {
	unsigned long rlim_cur, rlim_max;
};

struct signal_struct {
	struct list_head thread_head;
	int nr_threads;
	unsigned int is_child_subreaper : 1;
	unsigned int has_child_subreaper : 1;
	struct pid *pids[4];
	struct tty_struct *tty;
	struct rlimit rlim[16];
};

struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
};

/* since 6.15 */
struct kernfs_node___hidden {
	struct kernfs_node *__parent;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

struct nsproxy {
	struct pid_namespace *pid_ns_for_children;
	struct net *net_ns;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	struct mm_struct *mm;
	int exit_code;
	int pid, tgid;
	struct task_struct *real_parent;
	struct list_head children;
	struct task_struct *group_leader;
	struct list_head thread_node;
	struct pid *thread_pid;
	__u64 start_time;
	__u64 start_boottime;
	unsigned long min_flt, maj_flt;
	const struct cred *real_cred, *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	kuid_t loginuid;
	struct css_set *cgroups;
};

struct linux_binprm {
	const char *filename;
};

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__u32 u6_addr32[4];
	} in6_u;
};

struct sock_common {
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	__u16 skc_family;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u32 sk_ack_backlog, sk_max_ack_backlog;
};

struct inet_sock {
	__be32 inet_saddr;
	__be16 inet_sport;
};

struct ipv6_pinfo {
	struct in6_addr saddr;
};

struct socket {
	__s16 type;
	struct sock *sk;
};

struct sockaddr_un {
	__u16 sun_family;
};

struct unix_address {
	int len;
	struct sockaddr_un name[0];
};

struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};

struct kernel_siginfo {
	int si_signo, si_errno, si_code;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id, seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

#pragma clang attribute pop

/* include/linux/cgroup_subsys.h: which exist and their order is configuration, so values come from CO-RE. */
enum cgroup_subsys_id {
	cpuset_cgrp_id = 1000,
	cpu_cgrp_id = 1001,
	cpuacct_cgrp_id = 1002,
	io_cgrp_id = 1003,
	memory_cgrp_id = 1004,
};

/* uapi/linux/bpf.h: asked for existence only */
enum bpf_func_id___task {
	BPF_FUNC_get_current_task_btf = 158,
};

/* include/linux/pid.h: enum pid_type */
enum {
	PIDTYPE_PID = 0,
	PIDTYPE_TGID = 1,
	PIDTYPE_PGID = 2,
	PIDTYPE_SID = 3,
};

#endif
