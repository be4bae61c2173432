// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Loads nowhere: programs for this hook must not sleep.
// In and out: nothing. Only ever tried to load, never attached.

#define SEC(name) __attribute__((section(name), used))

SEC("lsm.s/task_free") int refused(unsigned long long *ctx) { return 0; }

char _license[] SEC("license") = "GPL";
