//! What the name of a code section says about its program: type, attach type, sleepable, target. In: a name such as
//! `fentry.s/do_unlinkat`; out: a [`Purpose`] or `None` for a name that says nothing. The table follows libbpf's section
//! definitions; older loaders matched by prefix, which is kept and marked as not exact.

/// What a section name asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    pub program_type: u32,
    pub attach_type: Option<u32>,
    pub sleepable: bool,
    /// XDP with multi-buffer support.
    pub frags: bool,
    /// What follows the first `/`: function, tracepoint, hook or iterator name.
    pub target: Option<String>,
    /// Marked with `?`: not loaded unless asked for.
    pub optional: bool,
    /// Whether libbpf 1.0 and later accept the name; they refuse names that only begin like a known one.
    pub exact: bool,
    /// The pattern that matched, for example `fentry.s+`.
    pub pattern: &'static str,
}

/// Reads a section name; `None` when no pattern matches.
pub fn purpose(name: &str) -> Option<Purpose> {
    let (optional, bare) = name.strip_prefix('?').map_or((false, name), |rest| (true, rest));
    let row = TABLE.iter().find(|row| matches(row.0, bare))?;
    let (pattern, program_type, attach, flags) = *row;
    Some(Purpose {
        program_type,
        attach_type: (attach >= 0).then_some(attach as u32),
        sleepable: flags & SLEEP != 0,
        frags: flags & FRAGS != 0,
        target: target(pattern, bare),
        optional,
        exact: exact(pattern, bare),
        pattern,
    })
}

fn matches(pattern: &str, name: &str) -> bool {
    let head = name.split('/').next().unwrap_or(name);
    match pattern.strip_suffix('+') {
        Some(stem) => head == stem,
        None => name.starts_with(pattern),
    }
}

fn exact(pattern: &str, name: &str) -> bool {
    pattern.ends_with(['+', '/']) || name == pattern
}

fn target(pattern: &str, name: &str) -> Option<String> {
    let rest = name.split_once('/')?.1;
    pattern.ends_with('+').then(|| rest.to_owned())
}

const NONE: i32 = -1;
const SLEEP: u8 = 1;
const FRAGS: u8 = 2;

type Row = (&'static str, u32, i32, u8);

/// Pattern (`+`: the text before the first `/` is the stem; else a prefix), program type, attach type, flags.
/// Order matters: the first match wins.
const TABLE: &[Row] = &[
    ("xdp.frags_devmap/", 6, 33, FRAGS),
    ("xdp.frags_cpumap/", 6, 35, FRAGS),
    ("xdp_devmap/", 6, 33, 0),
    ("xdp_cpumap/", 6, 35, 0),
    ("seccomp", 1, NONE, 0),
    ("socket", 1, NONE, 0),
    ("sk_reuseport/migrate", 21, 40, 0),
    ("sk_reuseport", 21, 39, 0),
    ("kprobe+", 2, NONE, 0),
    ("uprobe+", 2, NONE, 0),
    ("uprobe.s+", 2, NONE, SLEEP),
    ("kretprobe+", 2, NONE, 0),
    ("uretprobe+", 2, NONE, 0),
    ("uretprobe.s+", 2, NONE, SLEEP),
    ("kprobe.multi+", 2, 42, 0),
    ("kretprobe.multi+", 2, 42, 0),
    ("kprobe.session+", 2, 56, 0),
    ("uprobe.multi+", 2, 48, 0),
    ("uretprobe.multi+", 2, 48, 0),
    ("uprobe.session+", 2, 57, 0),
    ("uprobe.multi.s+", 2, 48, SLEEP),
    ("uretprobe.multi.s+", 2, 48, SLEEP),
    ("uprobe.session.s+", 2, 57, SLEEP),
    ("ksyscall+", 2, NONE, 0),
    ("kretsyscall+", 2, NONE, 0),
    ("usdt+", 2, NONE, 0),
    ("usdt.s+", 2, NONE, SLEEP),
    ("tc/ingress", 3, 46, 0),
    ("tc/egress", 3, 47, 0),
    ("tcx/ingress", 3, 46, 0),
    ("tcx/egress", 3, 47, 0),
    ("tc", 3, NONE, 0),
    ("classifier", 3, NONE, 0),
    ("action", 4, NONE, 0),
    ("netkit/primary", 3, 54, 0),
    ("netkit/peer", 3, 55, 0),
    ("tracepoint+", 5, NONE, 0),
    ("tp+", 5, NONE, 0),
    ("raw_tracepoint+", 17, NONE, 0),
    ("raw_tp+", 17, NONE, 0),
    ("raw_tracepoint.w+", 24, NONE, 0),
    ("raw_tp.w+", 24, NONE, 0),
    ("tp_btf+", 26, 23, 0),
    ("fentry+", 26, 24, 0),
    ("fmod_ret+", 26, 26, 0),
    ("fexit+", 26, 25, 0),
    ("fsession+", 26, 58, 0),
    ("fentry.s+", 26, 24, SLEEP),
    ("fmod_ret.s+", 26, 26, SLEEP),
    ("fexit.s+", 26, 25, SLEEP),
    ("fsession.s+", 26, 58, SLEEP),
    ("freplace+", 28, NONE, 0),
    ("lsm+", 29, 27, 0),
    ("lsm.s+", 29, 27, SLEEP),
    ("lsm_cgroup+", 29, 43, 0),
    ("iter+", 26, 28, 0),
    ("iter.s+", 26, 28, SLEEP),
    ("syscall", 31, NONE, SLEEP),
    ("xdp.frags/devmap", 6, 33, FRAGS),
    ("xdp/devmap", 6, 33, 0),
    ("xdp.frags/cpumap", 6, 35, FRAGS),
    ("xdp/cpumap", 6, 35, 0),
    ("xdp.frags", 6, 37, FRAGS),
    ("xdp", 6, 37, 0),
    ("perf_event", 7, NONE, 0),
    ("lwt_in", 10, NONE, 0),
    ("lwt_out", 11, NONE, 0),
    ("lwt_xmit", 12, NONE, 0),
    ("lwt_seg6local", 19, NONE, 0),
    ("sockops", 13, 3, 0),
    ("sk_skb/stream_parser", 14, 4, 0),
    ("sk_skb/stream_verdict", 14, 5, 0),
    ("sk_skb/verdict", 14, 38, 0),
    ("sk_skb", 14, NONE, 0),
    ("sk_msg", 16, 7, 0),
    ("lirc_mode2", 20, 16, 0),
    ("flow_dissector", 22, 17, 0),
    ("cgroup_skb/ingress", 8, 0, 0),
    ("cgroup_skb/egress", 8, 1, 0),
    ("cgroup/skb", 8, NONE, 0),
    ("cgroup/sock_create", 9, 2, 0),
    ("cgroup/sock_release", 9, 34, 0),
    ("cgroup/sock", 9, 2, 0),
    ("cgroup/post_bind4", 9, 12, 0),
    ("cgroup/post_bind6", 9, 13, 0),
    ("cgroup/bind4", 18, 8, 0),
    ("cgroup/bind6", 18, 9, 0),
    ("cgroup/connect4", 18, 10, 0),
    ("cgroup/connect6", 18, 11, 0),
    ("cgroup/connect_unix", 18, 49, 0),
    ("cgroup/sendmsg4", 18, 14, 0),
    ("cgroup/sendmsg6", 18, 15, 0),
    ("cgroup/sendmsg_unix", 18, 50, 0),
    ("cgroup/recvmsg4", 18, 19, 0),
    ("cgroup/recvmsg6", 18, 20, 0),
    ("cgroup/recvmsg_unix", 18, 51, 0),
    ("cgroup/getpeername4", 18, 29, 0),
    ("cgroup/getpeername6", 18, 30, 0),
    ("cgroup/getpeername_unix", 18, 52, 0),
    ("cgroup/getsockname4", 18, 31, 0),
    ("cgroup/getsockname6", 18, 32, 0),
    ("cgroup/getsockname_unix", 18, 53, 0),
    ("cgroup/sysctl", 23, 18, 0),
    ("cgroup/getsockopt", 25, 21, 0),
    ("cgroup/setsockopt", 25, 22, 0),
    ("cgroup/dev", 15, 6, 0),
    ("struct_ops+", 27, 44, 0),
    ("struct_ops.s+", 27, 44, SLEEP),
    ("sk_lookup", 30, 36, 0),
    ("netfilter", 32, 45, 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> Option<u32> {
        purpose(name).map(|p| p.program_type)
    }

    #[test]
    fn stems_prefixes_and_strangers() {
        assert_eq!(kind("kprobe"), Some(2));
        assert_eq!(kind("kprobe/do_unlinkat"), Some(2));
        assert_eq!((kind("kprobefoo"), kind("foobar"), kind("")), (None, None, None));
        assert_eq!((kind("tcpfoo"), kind("xdp_whatever"), kind("socket1")), (Some(3), Some(6), Some(1)));
        assert_eq!(purpose("tcpfoo").map(|p| p.exact), Some(false));
        assert_eq!(purpose("xdp").map(|p| p.exact), Some(true));
        assert_eq!((kind("cgroup/sock_release"), kind("cgroup/sockfoo")), (Some(9), Some(9)));
    }

    #[test]
    fn flags_and_target() {
        let p = purpose("?fentry.s/do_unlinkat").unwrap();
        assert_eq!((p.program_type, p.attach_type, p.sleepable, p.optional), (26, Some(24), true, true));
        assert_eq!(p.target.as_deref(), Some("do_unlinkat"));
        assert!(purpose("xdp.frags/devmap").unwrap().frags);
        assert_eq!(purpose("xdp/t").unwrap().target, None);
    }
}
