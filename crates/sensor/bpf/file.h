/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Open files: from descriptor to file, device and inode, overlay layer, and the path as seen from the root of the mount
 * tree. The path is walked by hand because bpf_d_path may not be called from system call hooks; it does not honour chroot.
 */
#ifndef HAWKBELL_FILE_H
#define HAWKBELL_FILE_H

#include "task.h"

enum { OVERLAY_MAGIC = 0x794c7630, FMODE_CREATED = 0x100000, S_IFMT = 0170000, S_IFSOCK = 0140000 };
/* Where a file of an overlay mount lives, as bits of the open flags. */
enum { OPEN_CREATED = 1 << 14, OPEN_UPPER = 1 << 15, OPEN_LOWER = 1 << 16 };
enum { PATH_DEPTH = 96, NAME_BYTES = 256 };

/* Address of the open file behind a descriptor of the current process, 0 = none. */
FN __u64 file_of(__s64 fd)
{
	struct fdtable *table = GET(files_struct, GET(task_struct, this_task(), files), fdt);

	__u64 file = 0;

	if (fd < 0 || fd >= GET(fdtable, table, max_fds))
		return 0;
	/* a probe read at last: functions return numbers, not what the verifier knows to be pointers */
	kernel_read(file, GET(fdtable, table, fd) + fd);
	return file;
}

/* OPEN_UPPER or OPEN_LOWER for files of overlay mounts, else 0. Right behind the inode lies the upper dentry. */
static __always_inline __u32 overlay_layer(struct inode *inode)
{
	__u64 at = (__u64)inode + bpf_core_type_size(struct inode);
	struct dentry *upper = NULL;

	if (GET(super_block, GET(inode, inode, i_sb), s_magic) != OVERLAY_MAGIC)
		return 0;
	kernel_read(upper, at);
	return upper && BPF_CORE_READ(upper, d_inode) ? OPEN_UPPER : OPEN_LOWER;
}

static __always_inline __u32 inode_dev(struct inode *inode)
{
	__u32 dev = GET(super_block, GET(inode, inode, i_sb), s_dev);

	return encode_dev(dev >> 20, dev & 0xfffff);
}

/* One step up from the dentry in sum[2] of the mount in sum[3], its name put before sum[1]. 1 = at the top, or no room. */
FN int walk_up(__u32 area)
{
	SCRATCH(area)
	struct dentry *dentry = (void *)s->sum[2], *parent;
	struct mount *mount = (void *)s->sum[3], *up;
	__u64 at, len;

	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		up = BPF_CORE_READ(mount, mnt_parent);
		s->sum[2] = (__u64)BPF_CORE_READ(mount, mnt_mountpoint);
		s->sum[3] = (__u64)up;
		return up == mount;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	at = s->sum[1] & (WORK_BYTES - 1);
	if (parent == dentry || at < WORK_BYTES - STRING_BYTES + NAME_BYTES)
		return 1;
	len = BPF_CORE_READ(dentry, d_name.len) & (NAME_BYTES - 1);
	at = (at - len) & (WORK_BYTES - 1);
	hidden_value(at);
	bpf_probe_read_kernel(&s->work[at], len, BPF_CORE_READ(dentry, d_name.name));
	at = (at - 1) & (WORK_BYTES - 1);
	hidden_value(at);
	s->work[at] = '/';
	s->sum[1] = at;
	s->sum[2] = (__u64)parent;
	return 0;
}

/* Writes the path of a struct path into the upper half of the work area, from its end to its beginning, sum[1]. */
FN int walk_path(__u32 area, __u64 path_address)
{
	SCRATCH(area)
	struct path *path = (void *)path_address;
	int i;

	s->sum[1] = WORK_BYTES - 1;
	s->sum[2] = (__u64)BPF_CORE_READ(path, dentry);
	s->sum[3] = (__u64)BPF_CORE_READ(path, mnt) - bpf_core_field_offset(struct mount, mnt);
	s->work[WORK_BYTES - 1] = 0;
	for (i = 0; i < PATH_DEPTH; i++)
		if (walk_up(area))
			break;
	if (s->sum[1] == WORK_BYTES - 1) {
		s->work[WORK_BYTES - 2] = '/';
		s->sum[1] = WORK_BYTES - 2;
	}
	return 0;
}

FN int put_path(__u32 area, __u64 path_address)
{
	__u64 at, len;
	SCRATCH(area)

	walk_path(area, path_address);
	at = s->sum[1] & (WORK_BYTES - 1);
	len = WORK_BYTES - at;
	hidden_value(at);
	hidden_value(len);
	at &= WORK_BYTES - 1;
	if (len > STRING_BYTES || bpf_probe_read_kernel(here(s), len, &s->work[at]))
		len = 0;
	done(s, len);
	return 0;
}

static __always_inline int put_file_path(__u32 area, __u64 file)
{
	return put_path(area, file + bpf_core_field_offset(struct file, f_path));
}

#endif
