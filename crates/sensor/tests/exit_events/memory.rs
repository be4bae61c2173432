//! Calls about address spaces.

use crate::harness::*;
use P::*;
use event::{Kind, Sc};
use libc::*;

#[test]
fn mappings() {
    let calls: Vec<Sc> = ["brk", "mmap", "munmap", "mprotect", "mlock", "munlock", "mlockall", "munlockall", "mlock2"]
        .iter()
        .map(|n| Sc::by_name(n).expect("a call"))
        .collect();
    let Some(mut w) = Watch::on(&calls) else { return };
    let sizes = || [Len(4), Len(4), Len(4)];
    let with = |before: Vec<P>, after: Vec<P>| [before, sizes().to_vec(), after].concat();
    let flags = i64::from(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    let address = w.raw(SYS_mmap, Kind::SYSCALL_MMAP_X, &[0, 8192, 3, flags, -1, 0], |r| {
        with(vec![I(r)], vec![I(0), I(8192), U32(3), U32(2 | 8 | 64), I(-1), I(0)])
    });
    w.raw(SYS_mprotect, Kind::SYSCALL_MPROTECT_X, &[address, 4096, 1 | 4], |_| {
        vec![I(0), I(address), I(4096), U32(1 | 4)]
    });
    w.raw(SYS_mlock, Kind::SYSCALL_MLOCK_X, &[NOWHERE, 10], |r| vec![I(r), I(NOWHERE), I(10)]);
    w.raw(SYS_mlock2, Kind::SYSCALL_MLOCK2_X, &[NOWHERE, 10, 1], |r| vec![I(r), I(NOWHERE), I(10), U32(1)]);
    w.raw(SYS_munlock, Kind::SYSCALL_MUNLOCK_X, &[NOWHERE, 10], |r| vec![I(r), I(NOWHERE), I(10)]);
    w.raw(SYS_mlockall, Kind::SYSCALL_MLOCKALL_X, &[0], |_| vec![fails(EINVAL), U32(0)]);
    w.raw(SYS_munlockall, Kind::SYSCALL_MUNLOCKALL_X, &[], |_| vec![I(0)]);
    w.raw(SYS_munmap, Kind::SYSCALL_MUNMAP_X, &[address, 8192], |_| with(vec![I(0)], vec![I(address), I(8192)]));
    let event = w.during(|| {
        call(SYS_brk, &[0]);
    });
    let rss = u32::from_le_bytes(event[0].params[2].as_slice().try_into().expect("4 bytes"));
    event[0].check(&with(vec![Len(8)], vec![I(0)]));
    assert!(rss > 100, "resident size in KB: {rss}");
}
