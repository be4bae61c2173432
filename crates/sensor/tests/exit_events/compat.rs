//! Calls through the 32-bit interface (int 0x80), which numbers and passes everything differently.

use crate::harness::*;
use P::*;
use event::{Kind, Sc};

/// A call as a 32-bit program makes it. Pointers must lie in the first 4 GiB.
fn call_32(nr: u32, args: [u32; 5]) -> i32 {
    let result: i32;
    // SAFETY: the arguments are numbers that the kernel refuses or addresses inside [`Low`].
    unsafe {
        std::arch::asm!(
            "push rbx", "mov ebx, {b:e}", "int 0x80", "pop rbx", b = in(reg) args[0],
            inlateout("eax") nr as i32 => result, in("ecx") args[1], in("edx") args[2], in("esi") args[3], in("edi") args[4],
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result
}

/// A page that 32-bit addresses reach.
struct Low(u32);

impl Low {
    fn with(bytes: &[u8]) -> Low {
        let flags = i64::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT);
        let address = call(libc::SYS_mmap, &[0, 4096, 3, flags, -1, 0]);
        let low = Low(u32::try_from(address).expect("a mapping in the first 4 GiB"));
        // SAFETY: a fresh mapping of a page, larger than the bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len().min(4096)) };
        low
    }
}

impl Drop for Low {
    fn drop(&mut self) {
        call(libc::SYS_munmap, &[self.0.into(), 4096]);
    }
}

/// Kernels without the 32-bit interface kill the caller, so a child tries first.
fn is_there() -> bool {
    // SAFETY: the child makes one call and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        call_32(20, [0; 5]); // getpid
        unsafe { libc::_exit(0) };
    }
    let mut status = 0i32;
    call(libc::SYS_wait4, &[child.into(), at_mut(&mut status), 0, 0]);
    status == 0
}

#[test]
fn numbers_and_arguments_are_translated() {
    if !is_there() {
        return println!("skipped: this kernel has no 32-bit system calls");
    }
    let Some(mut w) = Watch::on(&[Sc::UNLINK, Sc::DUP2, Sc::SOCKET, Sc::WRITEV, Sc::GETPPID, Sc::NANOSLEEP]) else {
        return;
    };
    let path = Low::with(b"/nonexistent/32\0");
    let events = w.during(|| assert_eq!(call_32(10, [path.0, 0, 0, 0, 0]), -libc::ENOENT));
    assert_eq!(events[0].kind, Kind::SYSCALL_UNLINK_2_X);
    events[0].check(&[fails(libc::ENOENT), s("/nonexistent/32")]);
    let events = w.during(|| assert_eq!(call_32(63, [-5i32 as u32, 7, 0, 0, 0]), -libc::EBADF));
    events[0].check(&[fails(libc::EBADF), I(-5), I(7)]);
    let events = w.during(|| {
        call_32(64, [0; 5]);
    });
    events[0].check(&[U16(Sc::GETPPID.0), U16(110)]);
}

#[test]
fn socketcall_is_unpacked() {
    if !is_there() {
        return println!("skipped: this kernel has no 32-bit system calls");
    }
    let Some(mut w) = Watch::on(&[Sc::SOCKET]) else { return };
    let args = Low::with(&[999u32, 1, 0].map(u32::to_le_bytes).concat());
    let events = w.during(|| {
        call_32(102, [1, args.0, 0, 0, 0]);
        call_32(102, [4, args.0, 0, 0, 0]); // listen is not wanted
    });
    assert_eq!(events.len(), 1, "{events:?}");
    events[0].check(&[Len(8), U32(999), U32(1), U32(0), U32(0)]);
}

/// Calls that only this interface has (tables/only32.csv); their numbers here are those of 32-bit x86.
#[test]
fn calls_without_a_64_bit_one_are_seen() {
    if !is_there() {
        return println!("skipped: this kernel has no 32-bit system calls");
    }
    let only = [Sc::MMAP2, Sc::UMOUNT, Sc::STAT64, Sc::LSTAT64, Sc::FSTAT64, Sc::_LLSEEK, Sc::SEND, Sc::RECV];
    let Some(mut w) = Watch::on(&only) else { return };
    let (path, bad) = (Low::with(b"/nonexistent/32\0"), BAD_FD as u32);
    let message = Low::with(&[bad, path.0, 5, 0].map(u32::to_le_bytes).concat());
    let (missing, not_open) = (fails(libc::ENOENT), fails(libc::EBADF));
    let mut see = |nr: u32, args: [u32; 5], kind: Kind| {
        let mut events = w.during(|| _ = call_32(nr, args));
        let event = events.pop().unwrap_or_else(|| panic!("no event for call {nr}"));
        assert_eq!((event.kind, events.len()), (kind, 0), "call {nr}");
        event
    };
    let named = |p: &P| [p.clone(), s("/nonexistent/32")];
    see(22, [path.0, 0, 0, 0, 0], Kind::SYSCALL_UMOUNT_1_X).check(&named(&missing));
    see(195, [path.0, path.0, 0, 0, 0], Kind::SYSCALL_STAT64_X).check(&named(&missing));
    see(196, [path.0, path.0, 0, 0, 0], Kind::SYSCALL_LSTAT64_X).check(&named(&missing));
    see(197, [bad, path.0, 0, 0, 0], Kind::SYSCALL_FSTAT64_X).check(std::slice::from_ref(&not_open));
    see(140, [bad, 1, 2, path.0, 0], Kind::SYSCALL_LLSEEK_X).check(&[
        not_open.clone(),
        I(BAD_FD),
        I(1 << 32 | 2),
        U8(0),
    ]);
    let mapped = see(192, [0, 0, 1, 2, bad], Kind::SYSCALL_MMAP2_X);
    assert!(mapped.i64(0) < 0 && mapped.i64(8) == BAD_FD, "{mapped:?}");
    let sent = see(102, [9, message.0, 0, 0, 0], Kind::SOCKET_SEND_X);
    assert_eq!((sent.i64(0), sent.i64(2)), (-i64::from(libc::EBADF), BAD_FD), "{sent:?}");
    let received = see(102, [10, message.0, 0, 0, 0], Kind::SOCKET_RECV_X);
    assert_eq!((received.i64(0), received.i64(2)), (-i64::from(libc::EBADF), BAD_FD), "{received:?}");
}

#[test]
fn structures_of_32_bit_callers_are_read_as_such() {
    if !is_there() {
        return println!("skipped: this kernel has no 32-bit system calls");
    }
    let Some(mut w) = Watch::on(&[Sc::WRITEV, Sc::NANOSLEEP]) else { return };
    let time = Low::with(&[0u32, 1500].map(u32::to_le_bytes).concat());
    let events = w.during(|| {
        call_32(162, [time.0, 0, 0, 0, 0]);
    });
    events[0].check(&[I(0), I(1500)]);
    let text = Low::with(b"abcdef");
    let vectors = Low::with(&[text.0, 2, text.0 + 3, 3].map(u32::to_le_bytes).concat());
    let events = w.during(|| assert_eq!(call_32(146, [BAD_FD as u32, vectors.0, 2, 0, 0]), -libc::EBADF));
    events[0].check(&[fails(libc::EBADF), B(b"abdef".to_vec()), I(BAD_FD), U32(5)]);
}
