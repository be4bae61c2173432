// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Loads nowhere: the return value of this function must not be changed.
// In and out: nothing. Only ever tried to load, never attached.

#define SEC(name) __attribute__((section(name), used))

SEC("fmod_ret/do_unlinkat") int refused(unsigned long long *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
