// The context as the kernel passes it (uapi/linux/bpf.h).
#define SEC(name) __attribute__((section(name), used))
struct xdp_md {
	unsigned int data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
