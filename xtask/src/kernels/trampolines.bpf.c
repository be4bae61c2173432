// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Two programs that the kernel calls through a trampoline, which some machines refuse: one at the entry of a kernel function,
// one at an LSM hook. They decide nothing; each branch that runs is counted.
#define SEC(name) __attribute__((section(name), used))

enum { AT_FDCWD = -100 };

SEC("fentry/do_unlinkat")
int on_unlink(unsigned long long *arguments)
{
	if ((int)arguments[0] == AT_FDCWD)
		return 0;
	return 0;
}

SEC("lsm/file_open")
int on_open(unsigned long long *arguments)
{
	return arguments[0] ? 0 : -1;
}

char LICENSE[] SEC("license") = "GPL";
