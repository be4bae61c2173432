//! Shared by the tests: root-or-skip, a small random source, random policies and frames that hit their conditions.

#![allow(dead_code)] // each test binary uses a part

pub mod frames;
pub mod policies;

/// Whether the test may use the kernel; prints why not otherwise.
pub fn may_load() -> bool {
    let root = std::fs::read_to_string("/proc/self/status").is_ok_and(|s| {
        s.lines().any(|l| {
            l.strip_prefix("CapEff:").is_some_and(|c| {
                u64::from_str_radix(c.trim(), 16).is_ok_and(|bits| bits >> 12 & 1 == 1 && bits >> 39 & 1 == 1)
            })
        })
    });
    if !root {
        assert!(std::env::var_os("HAWKBELL_REQUIRE_ROOT").is_none(), "root is required here");
        println!("skipped: needs CAP_NET_ADMIN and CAP_BPF");
    }
    root
}

/// xorshift64*: repeatable, good enough to reach every branch.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 32) as usize % bound.max(1)
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}
