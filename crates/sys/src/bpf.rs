//! The bpf(2) system call for probing: what goes in is a request, what comes out is a file descriptor or the errno with
//! the verifier's log. Structures follow `union bpf_attr` of the kernel's `include/uapi/linux/bpf.h`; a kernel older than a
//! field accepts it while it is zero. Nothing here attaches to a running system except where the caller names a target.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A positive errno.
pub type Errno = i32;

/// A program to hand to the verifier.
#[derive(Debug, Clone, Copy)]
pub struct ProgramLoad<'a> {
    pub program_type: u32,
    pub expected_attach_type: u32,
    /// Encoded instructions, 8 bytes each.
    pub insns: &'a [u64],
    pub license: &'a CStr,
    /// BTF number of the function, hook or type that the program is for; 0 for none.
    pub attach_btf_id: u32,
    /// The program or BTF object that `attach_btf_id` counts in; `None` for the kernel itself.
    pub attach_to: Option<BorrowedFd<'a>>,
    /// `BPF_F_*` load flags.
    pub flags: u32,
    /// `LINUX_VERSION_CODE`, which kprobe programs needed before 5.0.
    pub kernel_version: u32,
    pub btf: Option<BorrowedFd<'a>>,
    /// `struct bpf_func_info` records of 8 bytes.
    pub func_info: &'a [u8],
}

impl<'a> ProgramLoad<'a> {
    pub fn new(program_type: u32, insns: &'a [u64]) -> Self {
        ProgramLoad {
            program_type,
            expected_attach_type: 0,
            insns,
            license: c"GPL",
            attach_btf_id: 0,
            attach_to: None,
            flags: 0,
            kernel_version: 0,
            btf: None,
            func_info: &[],
        }
    }
}

/// A map to create.
#[derive(Debug, Clone, Copy, Default)]
pub struct MapCreate {
    pub map_type: u32,
    pub key_bytes: u32,
    pub value_bytes: u32,
    pub max_entries: u32,
    pub flags: u32,
    pub extra: u64,
    /// Given even when invalid: an inner map that does not exist makes the kernel answer EBADF.
    pub inner_map_fd: i32,
    pub btf_fd: i32,
    pub btf_key_type: u32,
    pub btf_value_type: u32,
    pub btf_vmlinux_value_type: u32,
}

/// A link to create on a target given as a plain number, which may be deliberately invalid.
#[derive(Debug, Clone, Copy, Default)]
pub struct LinkCreate {
    /// File descriptor or interface number, by attach type.
    pub target: i32,
    pub attach_type: u32,
    pub flags: u32,
    /// The words after the flags, whose meaning depends on the attach type.
    pub rest: [u32; 10],
}

/// Loads a program; the log is filled when a buffer is given and the verifier ran.
pub fn program_load(request: &ProgramLoad<'_>, log: Option<&mut Vec<u8>>) -> Result<OwnedFd, Errno> {
    let mut attr = attributes(request)?;
    let Some(log) = log else { return new_fd(PROG_LOAD, &mut attr) };
    load_with_log(&mut attr, LOG_INSTRUCTIONS, log)
}

fn attributes(request: &ProgramLoad<'_>) -> Result<ProgramAttr, Errno> {
    let mut attr = ProgramAttr {
        program_type: request.program_type,
        insn_count: u32::try_from(request.insns.len()).map_err(|_| libc::E2BIG)?,
        insns: request.insns.as_ptr() as u64,
        license: request.license.as_ptr() as u64,
        kernel_version: request.kernel_version,
        flags: request.flags,
        expected_attach_type: request.expected_attach_type,
        btf_fd: request.btf.map_or(0, |fd| fd.as_raw_fd()),
        func_info_record_bytes: if request.func_info.is_empty() { 0 } else { FUNC_INFO_BYTES },
        func_info: request.func_info.as_ptr() as u64,
        func_info_count: u32::try_from(request.func_info.len()).map_err(|_| libc::E2BIG)? / FUNC_INFO_BYTES,
        attach_btf_id: request.attach_btf_id,
        attach_fd: request.attach_to.map_or(0, |fd| fd.as_raw_fd()),
        ..ProgramAttr::default()
    };
    if attr.func_info_count == 0 {
        attr.func_info = 0;
    }
    Ok(attr)
}

/// Loads a program and says how many instructions the verifier went through; `None` when it does not tell (before Linux 5.2)
/// or never started.
pub fn program_load_counted(request: &ProgramLoad<'_>, log: &mut Vec<u8>) -> (Result<OwnedFd, Errno>, Option<usize>) {
    let mut attr = match attributes(request) {
        Ok(attr) => attr,
        Err(errno) => return (Err(errno), None),
    };
    let answer = load_with_log(&mut attr, LOG_STATISTICS, log);
    let text = String::from_utf8_lossy(log);
    let count = text.rsplit_once("processed ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    (answer, count)
}

/// Loads a program and keeps what the verifier prints before it starts: its view of every instruction (Linux 6.15).
pub fn program_load_disassembled(request: &ProgramLoad<'_>, log: &mut Vec<u8>) -> Result<OwnedFd, Errno> {
    load_with_log(&mut attributes(request)?, LOG_EVERYTHING, log)
}

fn load_with_log(attr: &mut ProgramAttr, level: u32, log: &mut Vec<u8>) -> Result<OwnedFd, Errno> {
    let bytes = if level == LOG_EVERYTHING { LONG_LOG_BYTES } else { LOG_BYTES };
    log.clear();
    log.resize(bytes, 0);
    (attr.log_level, attr.log_bytes, attr.log) = (level, bytes as u32, log.as_mut_ptr() as u64);
    let answer = new_fd(PROG_LOAD, attr);
    let end = log.iter().position(|b| *b == 0).unwrap_or(log.len());
    log.truncate(end);
    answer
}

pub fn map_create(request: &MapCreate) -> Result<OwnedFd, Errno> {
    let mut attr = MapAttr {
        map_type: request.map_type,
        key_bytes: request.key_bytes,
        value_bytes: request.value_bytes,
        max_entries: request.max_entries,
        flags: request.flags,
        inner_map_fd: request.inner_map_fd,
        btf_fd: request.btf_fd,
        btf_key_type: request.btf_key_type,
        btf_value_type: request.btf_value_type,
        btf_vmlinux_value_type: request.btf_vmlinux_value_type,
        extra: request.extra,
        ..MapAttr::default()
    };
    new_fd(MAP_CREATE, &mut attr)
}

/// Makes a map's content unchangeable for user space, so that programs may take it for constant.
pub fn map_freeze(map: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut attr = [map.as_raw_fd().cast_unsigned(), 0];
    call(MAP_FREEZE, &mut attr).map(drop)
}

/// Creates a link for a loaded program. Dropping the answer detaches it again.
pub fn link_create(program: BorrowedFd<'_>, request: &LinkCreate) -> Result<OwnedFd, Errno> {
    let mut attr = LinkAttr {
        program: program.as_raw_fd(),
        target: request.target,
        attach_type: request.attach_type,
        flags: request.flags,
        rest: request.rest,
    };
    new_fd(LINK_CREATE, &mut attr)
}

/// Attaches a raw tracepoint or BTF tracepoint program. Dropping the answer detaches it again.
pub fn raw_tracepoint_open(program: BorrowedFd<'_>, name: Option<&CStr>) -> Result<OwnedFd, Errno> {
    let name = name.map_or(0, |name| name.as_ptr() as u64);
    let mut attr = RawTracepointAttr { name, program: program.as_raw_fd(), padding: 0, cookie: 0 };
    new_fd(RAW_TRACEPOINT_OPEN, &mut attr)
}

pub fn btf_load(data: &[u8]) -> Result<OwnedFd, Errno> {
    let bytes = u32::try_from(data.len()).map_err(|_| libc::E2BIG)?;
    let mut attr = BtfAttr { btf: data.as_ptr() as u64, log: 0, bytes, log_bytes: 0, log_level: 0, padding: 0 };
    new_fd(BTF_LOAD, &mut attr)
}

/// What the kernel says to a command with an empty argument: `Ok` or its errno. Changes nothing: every command that has
/// an effect needs a non-empty argument.
pub fn ask_command(command: u32) -> Result<(), Errno> {
    // SAFETY: a null argument of size 0 is valid for bpf(2); the kernel reads nothing.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, libc::c_long::from(command), 0_usize, 0_usize) };
    if answer < 0 { Err(last_errno()) } else { Ok(()) }
}

/// What the kernel says to a token request on a file descriptor that is no bpffs: EBADF where tokens exist (6.9).
pub fn ask_token() -> Errno {
    let mut attr = [0u32, u32::MAX];
    match new_fd(TOKEN_CREATE, &mut attr) {
        Ok(_) => 0,
        Err(errno) => errno,
    }
}

/// How many objects of a kind are loaded in the whole kernel.
pub fn count_ids(kind: IdKind) -> Result<usize, Errno> {
    let command = match kind {
        IdKind::Program => PROG_NEXT_ID,
        IdKind::Map => MAP_NEXT_ID,
        IdKind::Link => LINK_NEXT_ID,
    };
    let (mut count, mut attr) = (0, [0u32; 3]);
    loop {
        match call(command, &mut attr) {
            Ok(_) => (count, attr) = (count + 1, [attr[1], 0, 0]),
            Err(libc::ENOENT) => return Ok(count),
            Err(errno) => return Err(errno),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    Program,
    Map,
    Link,
}

fn new_fd<T: Attr>(command: u32, attr: &mut T) -> Result<OwnedFd, Errno> {
    let fd = call(command, attr)?;
    // SAFETY: the commands used with this function answer a new file descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn call<T: Attr>(command: u32, attr: &mut T) -> Result<i32, Errno> {
    // SAFETY: `attr` is a live value laid out like the command's part of `union bpf_attr`; addresses in it come from
    // borrows that outlive this call (the `Attr` types are private and filled from slices by the functions above).
    let answer = unsafe {
        libc::syscall(libc::SYS_bpf, libc::c_long::from(command), std::ptr::from_mut(attr), std::mem::size_of::<T>())
    };
    if answer < 0 { Err(last_errno()) } else { i32::try_from(answer).map_err(|_| libc::EOVERFLOW) }
}

fn last_errno() -> Errno {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// Layouts of `union bpf_attr`.
trait Attr {}

#[repr(C)]
#[derive(Default)]
struct ProgramAttr {
    program_type: u32,
    insn_count: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    ifindex: u32,
    expected_attach_type: u32,
    btf_fd: i32,
    func_info_record_bytes: u32,
    func_info: u64,
    func_info_count: u32,
    line_info_record_bytes: u32,
    line_info: u64,
    line_info_count: u32,
    attach_btf_id: u32,
    attach_fd: i32,
    padding: u32,
}

#[repr(C)]
#[derive(Default)]
struct MapAttr {
    map_type: u32,
    key_bytes: u32,
    value_bytes: u32,
    max_entries: u32,
    flags: u32,
    inner_map_fd: i32,
    numa_node: u32,
    name: [u8; 16],
    ifindex: u32,
    btf_fd: i32,
    btf_key_type: u32,
    btf_value_type: u32,
    btf_vmlinux_value_type: u32,
    extra: u64,
}

#[repr(C)]
struct LinkAttr {
    program: i32,
    target: i32,
    attach_type: u32,
    flags: u32,
    rest: [u32; 10],
}

#[repr(C)]
struct RawTracepointAttr {
    name: u64,
    program: i32,
    padding: u32,
    cookie: u64,
}

#[repr(C)]
struct BtfAttr {
    btf: u64,
    log: u64,
    bytes: u32,
    log_bytes: u32,
    log_level: u32,
    padding: u32,
}

impl Attr for ProgramAttr {}
impl Attr for MapAttr {}
impl Attr for LinkAttr {}
impl Attr for RawTracepointAttr {}
impl Attr for BtfAttr {}
impl Attr for [u32; 2] {}
impl Attr for [u32; 3] {}

// Numbers of `enum bpf_cmd`.
const MAP_CREATE: u32 = 0;
const PROG_LOAD: u32 = 5;
const PROG_NEXT_ID: u32 = 11;
const MAP_NEXT_ID: u32 = 12;
const RAW_TRACEPOINT_OPEN: u32 = 17;
const BTF_LOAD: u32 = 18;
const MAP_FREEZE: u32 = 22;
const LINK_CREATE: u32 = 28;
const LINK_NEXT_ID: u32 = 31;
const TOKEN_CREATE: u32 = 36;
/// `sizeof(struct bpf_func_info)`.
const FUNC_INFO_BYTES: u32 = 8;
/// `BPF_LOG_LEVEL1`, `BPF_LOG_LEVEL2` and `BPF_LOG_STATS` of the kernel's `include/linux/bpf_verifier.h`.
const LOG_INSTRUCTIONS: u32 = 1;
const LOG_EVERYTHING: u32 = 2;
const LOG_STATISTICS: u32 = 4;
/// Enough for the few instructions of a probe.
const LOG_BYTES: usize = 16384;
/// Enough for a line per helper.
const LONG_LOG_BYTES: usize = 65536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_the_kernels_layout() {
        assert_eq!(std::mem::offset_of!(ProgramAttr, expected_attach_type), 68);
        assert_eq!(std::mem::offset_of!(ProgramAttr, attach_btf_id), 108);
        assert_eq!(std::mem::offset_of!(MapAttr, btf_vmlinux_value_type), 60);
        assert_eq!(std::mem::offset_of!(MapAttr, extra), 64);
        assert_eq!(std::mem::size_of::<LinkAttr>(), 56);
    }

    #[test]
    fn an_unknown_command_is_never_accepted() {
        assert!(ask_command(9999).is_err());
    }
}
