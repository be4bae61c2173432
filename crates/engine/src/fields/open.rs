//! How a file is opened: for reading, writing, to create or to make something executable. In: an event. Out: answers
//! that are false for every event that opens nothing. Success is not required, except where said.

use event::{Event, Kind};

/// Opened with the read bit.
pub(super) fn reads(event: &Event<'_>) -> bool {
    flags(event) & O_RDONLY != 0
}

/// Opened with the write bit.
pub(super) fn writes(event: &Event<'_>) -> bool {
    flags(event) & O_WRONLY != 0
}

/// Creates a file that somebody may execute.
pub(super) fn makes_executable(event: &Event<'_>) -> bool {
    let (makes, mode) = match event.kind {
        Kind::SYSCALL_CREAT_X => (true, event.u64(2)),
        Kind::SYSCALL_OPEN_X => (flags(event) & (O_CREAT | O_TMPFILE) != 0, event.u64(3)),
        Kind::SYSCALL_OPENAT_2_X | Kind::SYSCALL_OPENAT2_X => (flags(event) & (O_CREAT | O_TMPFILE) != 0, event.u64(4)),
        _ => (false, None),
    };
    makes && mode.unwrap_or(0) & ANY_EXECUTE != 0
}

/// Created the file: the kernel said so, or an unnamed one was asked for and the call succeeded.
pub(super) fn creates(event: &Event<'_>) -> bool {
    let flags = flags(event);
    flags & O_F_CREATED != 0 || (flags & O_TMPFILE != 0 && event.i64(0).is_some_and(|fd| fd >= 0))
}

/// The `flags` parameter of exit events that open by flags, else 0.
fn flags(event: &Event<'_>) -> u64 {
    let index = match event.kind {
        Kind::SYSCALL_OPEN_X | Kind::SYSCALL_OPEN_BY_HANDLE_AT_X => 2,
        Kind::SYSCALL_OPENAT_2_X | Kind::SYSCALL_OPENAT2_X => 3,
        _ => return 0,
    };
    event.u64(index).unwrap_or(0)
}

// Bits of the `file_flags` table.
const O_RDONLY: u64 = 1;
const O_WRONLY: u64 = 1 << 1;
const O_CREAT: u64 = 1 << 2;
const O_TMPFILE: u64 = 1 << 13;
const O_F_CREATED: u64 = 1 << 14;
/// `S_IXUSR | S_IXGRP | S_IXOTH`.
const ANY_EXECUTE: u64 = 0o111;

#[cfg(test)]
mod tests {
    use super::*;
    use event::wire::encode;

    fn openat(result: i64, flags: u32, mode: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (result, dirfd) = (result.to_le_bytes(), (-100i64).to_le_bytes());
        let (flags, mode) = (flags.to_le_bytes(), mode.to_le_bytes());
        let params: &[&[u8]] = &[&result, &dirfd, b"/tmp/x\0", &flags, &mode, &[0; 4], &[0; 8]];
        encode(&mut bytes, 1, 1, Kind::SYSCALL_OPENAT_2_X, params);
        bytes
    }

    fn check(result: i64, flags: u32, mode: u32, expect: [bool; 4]) {
        let bytes = openat(result, flags, mode);
        let event = Event::decode(&bytes, 0).expect("a good event");
        let got = [reads(&event), writes(&event), makes_executable(&event), creates(&event)];
        assert_eq!(got, expect, "flags {flags:#x}, mode {mode:o}, result {result}");
    }

    #[test]
    fn tells_how_a_file_is_opened() {
        check(3, 1, 0, [true, false, false, false]);
        check(-13, 3, 0, [true, true, false, false]);
        check(3, 2 | 4, 0o755, [false, true, true, false]);
        check(3, 2 | 4 | 1 << 14, 0o644, [false, true, false, true]);
        check(3, 1 << 13, 0o600, [false, false, false, true]);
        check(-2, 1 << 13, 0o100, [false, false, true, false]);
        check(3, 2, 0o777, [false, true, false, false]);
    }
}
