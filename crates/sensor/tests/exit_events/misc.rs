//! Everything else that has an event of its own, and one call that has none.

use crate::harness::*;
use P::*;
use event::{Kind, Sc};
use libc::*;

#[test]
fn calls_without_an_event_of_their_own() {
    let Some(mut w) = Watch::on(&[Sc::GETPPID]) else { return };
    w.raw(SYS_getppid, Kind::GENERIC_X, &[], |_| vec![U16(Sc::GETPPID.0), U16(110)]);
}

#[test]
fn semaphores_and_sleeping() {
    let Some(mut w) = Watch::on(&[Sc::SEMGET, Sc::SEMOP, Sc::SEMCTL, Sc::FUTEX, Sc::NANOSLEEP, Sc::SECCOMP]) else {
        return;
    };
    w.raw(SYS_semget, Kind::SYSCALL_SEMGET_X, &[0x7777, 999_999, 0o1000 | 0o600], |r| {
        vec![I(r), U32(0x7777), U32(999_999), U32(8192 | 0o600)]
    });
    let operations = [1u16, 0xffff, 0o4000, 2, 5, 0x1000];
    w.raw(SYS_semop, Kind::SYSCALL_SEMOP_X, &[-1, at(&operations), 2], |r| {
        vec![I(r), U32(2), U16(1), U16(0xffff), U16(1), U16(2), U16(5), U16(2), U32(u32::MAX)]
    });
    w.raw(SYS_semop, Kind::SYSCALL_SEMOP_X, &[-1, at(&operations), 1], |r| {
        vec![I(r), U32(1), U16(1), U16(0xffff), U16(1), U16(0), U16(0), U16(0), U32(u32::MAX)]
    });
    w.raw(SYS_semctl, Kind::SYSCALL_SEMCTL_X, &[-1, 3, 16, 42], |r| {
        vec![I(r), U32(u32::MAX), U32(3), U16(4096), U32(42)]
    });
    w.raw(SYS_semctl, Kind::SYSCALL_SEMCTL_X, &[-1, 3, 0, 42], |r| vec![I(r), U32(u32::MAX), U32(3), U16(4), U32(0)]);
    let word = 0u32;
    w.raw(SYS_futex, Kind::SYSCALL_FUTEX_X, &[at(&word), 1 | 128, 3], |_| vec![I(0), I(at(&word)), U16(129), I(3)]);
    let time = [0i64, 1500];
    w.raw(SYS_nanosleep, Kind::SYSCALL_NANOSLEEP_X, &[at(&time), 0], |_| vec![I(0), I(1500)]);
    w.raw(SYS_nanosleep, Kind::SYSCALL_NANOSLEEP_X, &[NOWHERE, 0], |_| vec![fails(EFAULT), I(0)]);
    w.raw(SYS_seccomp, Kind::SYSCALL_SECCOMP_X, &[99, 5, 0], |_| vec![fails(EINVAL), I(99), I(5)]);
}

#[test]
fn modules_keys_and_quotas() {
    let calls = [Sc::INIT_MODULE, Sc::FINIT_MODULE, Sc::DELETE_MODULE, Sc::KEYCTL, Sc::QUOTACTL, Sc::FSCONFIG];
    let Some(mut w) = Watch::on(&calls) else { return };
    let (name, other) = (cstring("no_such_module"), cstring("a=1"));
    w.raw(SYS_init_module, Kind::SYSCALL_INIT_MODULE_X, &[at(b"not a module"), 12, at(other.as_c_str())], |r| {
        vec![I(r), B(b"not a module".to_vec()), I(12), s("a=1")]
    });
    w.raw(SYS_finit_module, Kind::SYSCALL_FINIT_MODULE_X, &[BAD_FD, at(other.as_c_str()), 1], |r| {
        vec![I(r), I(BAD_FD), s("a=1"), U32(1)]
    });
    w.raw(SYS_delete_module, Kind::SYSCALL_DELETE_MODULE_X, &[at(name.as_c_str()), O_NONBLOCK.into()], |r| {
        vec![I(r), s("no_such_module"), U32(2)]
    });
    let number = |v: i64| B([&[0u8][..], &v.to_le_bytes()].concat());
    w.raw(SYS_keyctl, Kind::SYSCALL_KEYCTL_X, &[99, 1, 2, 3, 4], |r| {
        vec![I(r), U32(99), number(1), number(2), number(3), number(4)]
    });
    w.raw(SYS_keyctl, Kind::SYSCALL_KEYCTL_X, &[10, -3, at(name.as_c_str()), at(other.as_c_str()), 0], |r| {
        vec![I(r), U32(10), number(-3), B(b"\x01no_such_module\0".to_vec()), B(b"\x01a=1\0".to_vec()), number(0)]
    });
    let (device, file) = (cstring("/dev/nothing"), cstring("/nonexistent/aquota"));
    let command = i64::from(0x0080_0002u32 << 8);
    w.raw(SYS_quotactl, Kind::SYSCALL_QUOTACTL_X, &[command, at(device.as_c_str()), 4, at(file.as_c_str())], |r| {
        let numbers = (0..9).map(|_| I(0));
        let tail = [U8(0), U8(1), U16(1), U8(1), U32(0), U8(8)];
        [I(r), s("/dev/nothing"), s("/nonexistent/aquota")].into_iter().chain(numbers).chain(tail).collect()
    });
    w.raw(SYS_fsconfig, Kind::SYSCALL_FSCONFIG_X, &[BAD_FD, 1, at(name.as_c_str()), at(other.as_c_str()), 0], |r| {
        vec![I(r), I(BAD_FD), U32(1), s("no_such_module"), Empty, s("a=1"), U32(0)]
    });
    w.raw(SYS_fsconfig, Kind::SYSCALL_FSCONFIG_X, &[BAD_FD, 2, at(name.as_c_str()), at(b"abc"), 3], |r| {
        vec![I(r), I(BAD_FD), U32(2), s("no_such_module"), B(b"abc".to_vec()), Empty, U32(3)]
    });
}

#[test]
fn rings_of_the_kernel() {
    let Some(mut w) = Watch::on(&[Sc::IO_URING_SETUP, Sc::IO_URING_ENTER, Sc::IO_URING_REGISTER]) else { return };
    let mut parameters = [0u32; 30];
    (parameters[2], parameters[3], parameters[4]) = (1 << 3, 5, 6);
    let fd = w.raw(SYS_io_uring_setup, Kind::SYSCALL_IO_URING_SETUP_X, &[0, at_mut(&mut parameters)], |r| {
        vec![I(r), U32(0), U32(0), U32(0), U32(16), U32(5), U32(6), U32(0)]
    });
    assert!(fd < 0);
    let mask = 5u64;
    w.raw(SYS_io_uring_enter, Kind::SYSCALL_IO_URING_ENTER_X, &[BAD_FD, 1, 2, 1, at(&mask), 8], |r| {
        vec![I(r), I(BAD_FD), U32(1), U32(2), U32(1), U32(5)]
    });
    w.raw(SYS_io_uring_register, Kind::SYSCALL_IO_URING_REGISTER_X, &[BAD_FD, 2, 77, 3], |r| {
        vec![I(r), I(BAD_FD), U16(2), I(77), U32(3)]
    });
}
