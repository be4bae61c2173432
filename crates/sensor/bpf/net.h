/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Steps for sockets and for scattered data: addresses given by the caller, both ends of a socket, message headers.
 * A file is a socket iff its inode says so; no symbol of the kernel is looked up.
 */
#ifndef HAWKBELL_NET_H
#define HAWKBELL_NET_H

#include "recipes.h"
#include "file.h"

enum { AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, UNIX_PATH = 108, IOVECS = 32, EINPROGRESS = 115 };
enum { ADDRESS_AT = 1024, CONTROL_BYTES = 4096 };

/* Address of the socket behind a descriptor of the current process, 0 = none. */
FN __u64 sock_of(__s64 fd)
{
	struct file *file = (void *)file_of(fd);
	struct socket *socket;

	if ((GET(inode, GET(file, file, f_inode), i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = GET(file, file, private_data);
	return (__u64)BPF_CORE_READ(socket, sk);
}

/* Room for a name of so many bytes and a NUL. A path ends with a NUL or with its length, an abstract name only with
 * its length. */
static __always_inline __u32 name_room(__u64 bytes)
{
	if (bytes > UNIX_PATH)
		bytes = UNIX_PATH;
	hidden_value(bytes);
	return bytes > UNIX_PATH ? 0 : bytes + 1;
}

/* Name of a socket of family AF_UNIX, `bytes` long in kernel memory or the work area; the event gets it with one NUL at
 * the end. Abstract names lose their leading NUL. */
static __always_inline __u32 unix_path(__u8 *to, const char *from, __u64 bytes)
{
	char first = 0;
	long len = 0;

	kernel_read(first, from);
	if (bytes)
		len = bpf_probe_read_kernel_str(to, name_room(first ? bytes : bytes - 1), first ? from : from + 1);
	if (len <= 0) {
		*to = 0;
		len = 1;
	}
	return len;
}

/* A socket address as the caller gave it. */
FN int put_sockaddr(__u32 area, __u64 address, __u64 len)
{
	SCRATCH(area)
	__u8 *from = &s->work[ADDRESS_AT], *to = here(s);
	__u16 family;

	if (len > 127)
		len = 127;
	hidden_value(len);
	if (!address || len < 2 || len > 127 || bpf_probe_read_user(from, len, (void *)address)) {
		put_empty(s);
		return 0;
	}
	family = *(__u16 *)from;
	*to = family;
	if (family == AF_INET && len >= 8) {
		*(__u32 *)(to + 1) = *(__u32 *)(from + 4);
		*(__u16 *)(to + 5) = bpf_ntohs(*(__u16 *)(from + 2));
		done(s, 7);
	} else if (family == AF_INET6 && len >= 24) {
		__builtin_memcpy(to + 1, from + 8, 16);
		*(__u16 *)(to + 17) = bpf_ntohs(*(__u16 *)(from + 2));
		done(s, 19);
	} else if (family == AF_UNIX) {
		done(s, 1 + unix_path(to + 1, (char *)from + 2, len - 2));
	} else {
		put_empty(s);
	}
	return 0;
}

struct ends {
	__u32 local[4], remote[4];
	__u16 local_port, remote_port;
};

/* An unconnected datagram socket has no remote end of its own; the caller's address stands in for it. */
static __always_inline void remote_from_user(struct scratch *s, struct ends *e, __u16 family)
{
	__u8 given[28] = {};

	if (!s->var[2] || bpf_probe_read_user(given, family == AF_INET ? 16 : 28, (void *)s->var[2]))
		return;
	if (*(__u16 *)given != family)
		return;
	e->remote_port = bpf_ntohs(*(__u16 *)(given + 2));
	if (family == AF_INET)
		e->remote[0] = *(__u32 *)(given + 4);
	else
		__builtin_memcpy(e->remote, given + 8, 16);
}

FN int put_unix_tuple(__u32 area, __u64 sock, bool inbound)
{
	SCRATCH(area)
	struct sock *sk = (void *)sock;
	struct unix_sock *us = (void *)sk;
	struct sock *peer = BPF_CORE_READ(us, peer);
	struct unix_sock *named = inbound ? us : (void *)peer;
	struct unix_address *address = BPF_CORE_READ(named, addr);
	__u8 *to = here(s);
	__u32 len;

	to[0] = AF_UNIX;
	*(__u64 *)(to + 1) = inbound ? (__u64)peer : (__u64)sk;
	*(__u64 *)(to + 9) = inbound ? (__u64)sk : (__u64)peer;
	to[17] = 0;
	len = 1;
	if (address)
		len = unix_path(to + 17, (char *)address + bpf_core_field_offset(struct unix_address, name) + 2,
				(__u32)BPF_CORE_READ(address, len) - 2);
	else if (!inbound && s->var[2] && s->var[3] > 2) {
		char first = 0;
		long got;

		user_read(first, s->var[2] + 2);
		got = bpf_probe_read_user_str(to + 17, name_room(s->var[3] - (first ? 2 : 3)),
					      (void *)(s->var[2] + (first ? 2 : 3)));
		if (got > 0)
			len = got;
	}
	done(s, 17 + len);
	return 0;
}

FN int put_tuple(__u32 area, __s64 fd, __u8 how)
{
	SCRATCH(area)
	struct sock *sk;
	struct ends e = {};
	__u8 *to;
	__u16 family;
	bool in = how & INBOUND;

	if (s->ret < 0 && !(how & CONNECTING && s->ret == -EINPROGRESS)) {
		put_empty(s);
		return 0;
	}
	sk = (void *)sock_of(fd);
	family = GET(sock, sk, __sk_common.skc_family);
	if (family == AF_UNIX) {
		put_unix_tuple(area, (__u64)sk, in);
		return 0;
	}
	if (family != AF_INET && family != AF_INET6) {
		put_empty(s);
		return 0;
	}
	e.local_port = GET(sock, sk, __sk_common.skc_num);
	e.remote_port = bpf_ntohs(GET(sock, sk, __sk_common.skc_dport));
	if (family == AF_INET) {
		e.local[0] = GET(sock, sk, __sk_common.skc_rcv_saddr);
		e.remote[0] = GET(sock, sk, __sk_common.skc_daddr);
	} else {
		BPF_CORE_READ_INTO(&e.local, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32);
		BPF_CORE_READ_INTO(&e.remote, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32);
	}
	if (!e.remote_port)
		remote_from_user(s, &e, family);
	to = here(s);
	*to = family;
	if (family == AF_INET) {
		*(__u32 *)(to + 1) = in ? e.remote[0] : e.local[0];
		*(__u16 *)(to + 5) = in ? e.remote_port : e.local_port;
		*(__u32 *)(to + 7) = in ? e.local[0] : e.remote[0];
		*(__u16 *)(to + 11) = in ? e.local_port : e.remote_port;
		done(s, 13);
	} else {
		__builtin_memcpy(to + (in ? 19 : 1), e.local, 16);
		__builtin_memcpy(to + (in ? 1 : 19), e.remote, 16);
		*(__u16 *)(to + 17) = in ? e.remote_port : e.local_port;
		*(__u16 *)(to + 35) = in ? e.local_port : e.remote_port;
		done(s, 37);
	}
	return 0;
}

/* How full the queue of a listening socket is. */
FN int put_queue(__u32 area, __s64 fd)
{
	SCRATCH(area)
	__u32 len = 0, max = 0;
	struct sock *sk;

	if (s->ret >= 0) {
		sk = (void *)sock_of(fd);
		len = BPF_CORE_READ(sk, sk_ack_backlog);
		max = BPF_CORE_READ(sk, sk_max_ack_backlog);
	}
	put8(s, max ? (__u64)len * 100 / max : 0);
	put32(s, len);
	put32(s, max);
	return 0;
}

/* struct user_msghdr to var[]: 2 name, 3 its length, 4 control, 5 its length, 6 io vectors, 7 how many. */
FN int read_msghdr(__u32 area, __u64 address)
{
	SCRATCH(area)
	int i;

	if (s->compat) {
		__u32 h[6] = {};

		user_read(h, address);
		for (i = 0; i < 6; i++)
			s->var[i < 2 ? 2 + i : i < 4 ? 4 + i : i] = h[i];
	} else {
		__u64 h[6] = {};

		user_read(h, address);
		for (i = 0; i < 6; i++)
			s->var[i < 2 ? 2 + i : i < 4 ? 4 + i : i] = h[i];
		s->var[3] = (__u32)s->var[3];
	}
	return 0;
}

/* Copies the io vectors into the work area and adds their lengths up: var[0] bytes, var[1] vectors. */
FN int read_iovecs(__u32 area, __u64 address, __u64 vectors)
{
	SCRATCH(area)
	__u32 n = vectors > IOVECS ? IOVECS : vectors, i;
	__u32 bytes = s->compat ? n * 8 : n * 16;

	s->var[0] = 0;
	s->var[1] = n;
	hidden_value(bytes);
	if (!bytes || bytes > IOVECS * 16 || bpf_probe_read_user(s->work, bytes, (void *)address)) {
		s->var[1] = 0;
		return 0;
	}
	for (i = 0; i < IOVECS; i++) {
		if (i >= s->var[1])
			break;
		s->var[0] += s->compat ? *(__u32 *)&s->work[i * 8 + 4] : *(__u64 *)&s->work[i * 16 + 8];
	}
	return 0;
}

/* Copies from one vector. sum[0] = taken so far, sum[1] = wanted in all. 0 = go on. */
FN int gather_one(__u32 area, __u32 i)
{
	SCRATCH(area)
	__u64 spot = (s->off + s->sum[0]) & (EVENT_BYTES - 1), left = s->sum[1] - s->sum[0], at = i & (IOVECS - 1);
	__u64 base = s->compat ? *(__u32 *)&s->work[at * 8] : *(__u64 *)&s->work[at * 16];
	__u64 len = s->compat ? *(__u32 *)&s->work[at * 8 + 4] : *(__u64 *)&s->work[at * 16 + 8];

	if (len > left)
		len = left;
	hidden_value(spot);
	len &= 0xffff;
	hidden_value(len);
	len &= 0xffff;
	if (len && bpf_probe_read_user(&s->event[spot], len, (void *)base))
		return 1;
	s->sum[0] += len;
	return s->sum[0] >= s->sum[1];
}

/* The first bytes of the vectors, up to what was transferred and to the snap length. */
FN int put_gathered(__u32 area, bool reading)
{
	SCRATCH(area)
	__u64 wanted = s->ret >= 0 ? s->ret : reading ? 0 : s->var[0];
	__u32 i;

	s->sum[0] = 0;
	s->sum[1] = wanted > snaplen ? snaplen : wanted;
	for (i = 0; i < IOVECS; i++)
		if (i >= s->var[1] || gather_one(area, i))
			break;
	done(s, s->sum[0] & 0xffff);
	return 0;
}

FN int put_control(__u32 area)
{
	SCRATCH(area)
	__u64 len = s->var[5];

	if (len > CONTROL_BYTES)
		len = CONTROL_BYTES;
	hidden_value(len);
	if (s->ret < 0 || !len || len > CONTROL_BYTES || bpf_probe_read_user(here(s), len, (void *)s->var[4]))
		len = 0;
	done(s, len);
	return 0;
}

FN int put_socketpair(__u32 area)
{
	SCRATCH(area)
	__s32 fds[2] = { -1, -1 };
	struct sock *sk = NULL, *peer = NULL;

	if (!s->ret && !user_read(fds, s->args[3])) {
		sk = (void *)sock_of(fds[0]);
		if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX)
			peer = BPF_CORE_READ((struct unix_sock *)sk, peer);
	}
	put64(s, (__s64)fds[0]);
	put64(s, (__s64)fds[1]);
	put64(s, (__u64)sk);
	put64(s, (__u64)peer);
	return 0;
}

/* Variants of a socket option's value (flag_tables.csv: sockopt_dynamic_param). */
enum { VALUE_BYTES, VALUE_ERRNO, VALUE_U32, VALUE_U64, VALUE_RELTIME };
enum { SOL_SOCKET = 1, SO_ERROR = 4, SO_RCVTIMEO = 20, SO_SNDTIMEO = 21, SO_COOKIE = 57, SO_RCVTIMEO_NEW = 66, SO_SNDTIMEO_NEW = 67 };

/* Options of SOL_SOCKET whose value is an int, as a bit set over the option's number (uapi/asm-generic/socket.h). */
static const __u64 int_options = 1ULL << 1 | 1ULL << 2 | 1ULL << 3 | 1ULL << 5 | 1ULL << 6 | 1ULL << 7 | 1ULL << 8 | 1ULL << 9 |
				 1ULL << 10 | 1ULL << 11 | 1ULL << 12 | 1ULL << 14 | 1ULL << 15 | 1ULL << 16 | 1ULL << 18 |
				 1ULL << 19 | 1ULL << 29 | 1ULL << 30 | 1ULL << 32 | 1ULL << 33 | 1ULL << 34 | 1ULL << 35 |
				 1ULL << 36 | 1ULL << 37 | 1ULL << 38 | 1ULL << 39 | 1ULL << 40 | 1ULL << 41 | 1ULL << 42 |
				 1ULL << 43 | 1ULL << 44 | 1ULL << 45 | 1ULL << 46 | 1ULL << 47 | 1ULL << 48 | 1ULL << 49;

/* Option name, value and length; a failed getsockopt has no value. */
FN int put_sockopt(__u32 area, bool get)
{
	SCRATCH(area)
	__u32 level = s->args[1], option = s->args[2], len = s->args[4];
	__u64 address = s->args[3], v = 0;
	__u8 *to;

	if (get) {
		len = 0;
		user_read(len, s->args[4]);
	}
	put8(s, level != SOL_SOCKET ? 0 : option <= 50 ? option : convert(C_SOCKOPT, option));
	to = here(s);
	if (get && s->ret < 0) {
		put_empty(s);
	} else if (level == SOL_SOCKET && option == SO_ERROR) {
		__s32 e = 0;

		user_read(e, address);
		to[0] = VALUE_ERRNO;
		*(__s64 *)(to + 1) = -(__s64)e;
		done(s, 9);
	} else if (level == SOL_SOCKET && (option == SO_RCVTIMEO || option == SO_SNDTIMEO || option == SO_RCVTIMEO_NEW ||
					   option == SO_SNDTIMEO_NEW)) {
		__s64 t[2] = {};

		user_read(t, address);
		to[0] = VALUE_RELTIME;
		*(__u64 *)(to + 1) = t[0] * 1000000000ULL + t[1] * 1000ULL;
		done(s, 9);
	} else if (level == SOL_SOCKET && option == SO_COOKIE) {
		user_read(v, address);
		to[0] = VALUE_U64;
		*(__u64 *)(to + 1) = v;
		done(s, 9);
	} else if (level == SOL_SOCKET && option < 64 && int_options >> option & 1) {
		__u32 i = 0;

		user_read(i, address);
		to[0] = VALUE_U32;
		*(__u32 *)(to + 1) = i;
		done(s, 5);
	} else {
		__u64 bytes = len;

		if (bytes > snaplen)
			bytes = snaplen;
		bytes &= 0x7fff;
		hidden_value(bytes);
		bytes &= 0x7fff;
		to[0] = VALUE_BYTES;
		if (!bytes || bpf_probe_read_user(to + 1, bytes, (void *)address))
			bytes = 0;
		done(s, 1 + bytes);
	}
	put32(s, len);
	return 0;
}

FN int net_step(__u32 area, __u32 op, __u32 a, __u32 b)
{
	SCRATCH(area)
	switch (op) {
	case OP_IOVEC:
		read_iovecs(area, value(s, a), value(s, b));
		break;
	case OP_GATHER:
		put_gathered(area, a);
		break;
	case OP_TUPLE:
		put_tuple(area, (__s32)value(s, a), b);
		break;
	case OP_SOCKADDR:
		put_sockaddr(area, value(s, a), (__u32)value(s, b));
		break;
	case OP_QUEUE:
		put_queue(area, (__s32)value(s, a));
		break;
	case OP_MSGHDR:
		if (b)
			s->var[2] = value(s, a), s->var[3] = value(s, b);
		else
			read_msghdr(area, value(s, a));
		break;
	case OP_CONTROL:
		put_control(area);
		break;
	case OP_SOCKETPAIR:
		put_socketpair(area);
		break;
	case OP_SOCKOPT:
		put_sockopt(area, a);
		break;
	}
	return 0;
}

#endif
