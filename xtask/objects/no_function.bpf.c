// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Loads nowhere: its function is in no kernel.
// In and out: nothing. Only ever tried to load, never attached.

#define SEC(name) __attribute__((section(name), used))

SEC("fentry/no_such_function_anywhere") int refused(unsigned long long *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
