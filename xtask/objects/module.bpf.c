// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Reads a field of a type that only the kernel module `veth` has: resolved from the types of the module.
// In: any raw tracepoint; out: nothing. Only ever loaded, never attached.

#define SEC(name) __attribute__((section(name), used))

struct veth_priv {
	unsigned int requested_headroom;
} __attribute__((preserve_access_index));

SEC("raw_tp/sys_enter") int on_enter(unsigned long long *ctx)
{
	unsigned int value = 0;
	struct veth_priv *priv = (void *)ctx[0];
	int (*read_kernel)(void *, unsigned int, const void *) = (void *)113;

	read_kernel(&value, sizeof(value), &priv->requested_headroom);
	return value == 1;
}

char _license[] SEC("license") = "GPL";
