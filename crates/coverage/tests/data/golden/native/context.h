// The same fields, wide enough for pointers of a process.
#define SEC(name) __attribute__((used))
struct xdp_md {
	unsigned long data, data_end;
};
