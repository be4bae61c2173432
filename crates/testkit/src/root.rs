//! Whether a test may use privileged parts of the kernel. Without the rights it is skipped with a printed reason; with
//! `HAWKBELL_REQUIRE_ROOT` set it fails instead, so that a run meant to test everything cannot pass by skipping.

use std::fs;

/// True when all of these capabilities (bit numbers of linux/capability.h) are effective.
#[allow(clippy::print_stdout)] // the reason for a skip belongs in the test's output
pub fn has_capabilities(bits: &[u32]) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
    let effective = u64::from_str_radix(effective.trim(), 16).unwrap_or(0);
    let missing: Vec<u32> = bits.iter().copied().filter(|bit| effective >> bit & 1 == 0).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("HAWKBELL_REQUIRE_ROOT").is_none(), "capabilities {missing:?} are required here");
    println!("skipped: capabilities {missing:?} are missing (run as root)");
    false
}

/// What network programs need: CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF.
pub fn may_filter() -> bool {
    has_capabilities(&[12, 21, 39])
}
