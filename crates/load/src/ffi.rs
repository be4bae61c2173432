//! Calls of libbpf that libbpf-rs has no safe door for. The only unsafe code of this crate; pointers come from
//! libbpf-rs values that outlive the calls.

#![allow(unsafe_code)]

use libbpf_rs::{AsRawLibbpf, OpenObject, OpenProgramMut};
use libbpf_sys as bpf;
use std::ffi::{CStr, CString};
use std::ptr::NonNull;

/// A buffer for verifier logs. libbpf loads programs one after the other and stops at the first failure, so one
/// buffer serves a whole object. It must live as long as the object: libbpf keeps the pointer.
#[derive(Debug)]
pub struct LogBuffer(Vec<u8>);

impl LogBuffer {
    pub fn new() -> LogBuffer {
        LogBuffer(vec![0; LOG_BYTES]) // zeroed pages, untouched until the verifier writes
    }

    pub fn attach(&mut self, program: &mut OpenProgramMut<'_>) {
        let (address, len) = (self.0.as_mut_ptr().cast(), self.0.len() as bpf::size_t);
        // SAFETY: the program is not loaded yet; the buffer outlives the object (field order in `Object`).
        unsafe { bpf::bpf_program__set_log_buf(program.as_libbpf_object().as_ptr(), address, len) };
    }

    pub fn text(&self) -> String {
        CStr::from_bytes_until_nul(&self.0).map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// Loads; the error is a positive errno. After a failure libbpf has unloaded everything again.
pub fn load(open: OpenObject) -> Result<libbpf_rs::Object, i32> {
    // SAFETY: a valid, unloaded bpf_object.
    let status = unsafe { bpf::bpf_object__load(open.as_libbpf_object().as_ptr()) };
    if status < 0 {
        return Err(-status);
    }
    // SAFETY: loaded just now; ownership moves from `open` into the new value.
    Ok(unsafe { libbpf_rs::Object::from_ptr(open.take_ptr()) })
}

/// Where the global variable `name` lies: (section such as `.rodata`, offset, size), from the object's BTF.
pub fn global_place(open: &OpenObject, name: &str) -> Option<(String, usize, usize)> {
    // SAFETY: a valid object; the BTF belongs to it and lives as long.
    let btf = unsafe { bpf::bpf_object__btf(open.as_libbpf_object().as_ptr()) };
    if btf.is_null() {
        return None;
    }
    // SAFETY: `btf` is not null.
    let count = unsafe { bpf::btf__type_cnt(btf) };
    (1..count).find_map(|id| variable_in_section(btf, id, name))
}

fn variable_in_section(btf: *const bpf::btf, id: u32, name: &str) -> Option<(String, usize, usize)> {
    // SAFETY: `id` is below btf__type_cnt; a DATASEC is followed by `vlen` btf_var_secinfo records
    // (uapi/linux/btf.h), which libbpf checked when it parsed the object.
    let (section, variables) = unsafe {
        let ty = bpf::btf__type_by_id(btf, id);
        let info = (*ty).info;
        if (info >> 24) & 0x1f != BTF_KIND_DATASEC {
            return None;
        }
        let first = ty.add(1).cast::<bpf::btf_var_secinfo>();
        (ty, std::slice::from_raw_parts(first, (info & 0xffff) as usize))
    };
    // SAFETY: name_off of a checked type.
    let section = text(btf, unsafe { (*section).name_off })?;
    let found = variables.iter().find(|v| variable_name(btf, v.type_).as_deref() == Some(name))?;
    Some((section, found.offset as usize, found.size as usize))
}

fn variable_name(btf: *const bpf::btf, id: u32) -> Option<String> {
    // SAFETY: an id out of a DATASEC of the same BTF.
    let name_off = unsafe { bpf::btf__type_by_id(btf, id).as_ref()?.name_off };
    text(btf, name_off)
}

fn text(btf: *const bpf::btf, offset: u32) -> Option<String> {
    // SAFETY: libbpf answers null for offsets outside its string section.
    let text = unsafe { bpf::btf__name_by_offset(btf, offset) };
    // SAFETY: NUL-terminated, belongs to the BTF.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// Attaches to a tcx hook (Linux 6.6): `before` puts the program first, otherwise last.
pub fn attach_tcx(program: &libbpf_rs::ProgramMut<'_>, ifindex: i32, first: bool) -> Result<libbpf_rs::Link, i32> {
    let flags = if first { bpf::BPF_F_BEFORE } else { bpf::BPF_F_AFTER };
    let opts = bpf::bpf_tcx_opts { sz: size_of::<bpf::bpf_tcx_opts>() as bpf::size_t, flags, ..Default::default() };
    // SAFETY: a loaded program; the options live through the call.
    let link = unsafe { bpf::bpf_program__attach_tcx(program.as_libbpf_object().as_ptr(), ifindex, &raw const opts) };
    // SAFETY: a link that libbpf made for us.
    NonNull::new(link).map(|l| unsafe { libbpf_rs::Link::from_ptr(l) }).ok_or_else(last_errno)
}

/// Attaches by section name to a raw tracepoint (BPF_RAW_TRACEPOINT_OPEN) or any other automatic hook.
pub fn attach_auto(program: &libbpf_rs::ProgramMut<'_>) -> Result<libbpf_rs::Link, i32> {
    // SAFETY: a loaded program.
    let link = unsafe { bpf::bpf_program__attach(program.as_libbpf_object().as_ptr()) };
    // SAFETY: a link that libbpf made for us.
    NonNull::new(link).map(|l| unsafe { libbpf_rs::Link::from_ptr(l) }).ok_or_else(last_errno)
}

/// BPF_OBJ_PIN of a descriptor (program, map or link).
pub fn pin(fd: std::os::fd::BorrowedFd<'_>, path: &std::path::Path) -> Result<(), i32> {
    use std::os::{fd::AsRawFd, unix::ffi::OsStrExt};
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| 22)?;
    // SAFETY: a valid descriptor and a NUL-terminated path.
    let status = unsafe { bpf::bpf_obj_pin(fd.as_raw_fd(), path.as_ptr()) };
    if status < 0 { Err(-status) } else { Ok(()) }
}

/// BPF_MAP_GET_NEXT_ID; the error is a positive errno, ENOENT after the last map.
pub fn next_map_id(after: u32) -> Result<u32, i32> {
    let mut next = 0;
    // SAFETY: the call writes one u32, which outlives it.
    let status = unsafe { bpf::bpf_map_get_next_id(after, &raw mut next) };
    if status < 0 { Err(-status) } else { Ok(next) }
}

/// BPF_PROG_TEST_RUN: (what the program returned last, mean nanoseconds of a run); the error is a positive errno.
pub fn test_run(program: std::os::fd::BorrowedFd<'_>, input: &[u8], times: u32) -> Result<(u32, u32), i32> {
    let mut opts = bpf::bpf_test_run_opts {
        sz: size_of::<bpf::bpf_test_run_opts>() as bpf::size_t,
        data_in: input.as_ptr().cast(),
        data_size_in: u32::try_from(input.len()).map_err(|_| 7)?,
        repeat: i32::try_from(times).unwrap_or(i32::MAX),
        ..Default::default()
    };
    // SAFETY: the kernel reads `data_size_in` bytes of `input` and fills fields of `opts`; both outlive the call.
    let status = unsafe { bpf::bpf_prog_test_run_opts(std::os::fd::AsRawFd::as_raw_fd(&program), &raw mut opts) };
    if status < 0 { Err(-status) } else { Ok((opts.retval, opts.duration)) }
}

/// Sizes of a loaded program; the error is a positive errno.
pub fn figures(program: std::os::fd::BorrowedFd<'_>) -> Result<crate::live::Figures, i32> {
    let mut info = bpf::bpf_prog_info::default();
    let mut len = u32::try_from(size_of::<bpf::bpf_prog_info>()).map_err(|_| 7)?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&program);
    // SAFETY: the kernel fills at most `len` bytes of `info`; all buffers in it are null, so it writes nowhere else.
    let status = unsafe { bpf::bpf_prog_get_info_by_fd(fd, &raw mut info, &raw mut len) };
    if status < 0 {
        return Err(-status);
    }
    let instructions = info.xlated_prog_len / 8;
    Ok(crate::live::Figures {
        instructions,
        jited_bytes: info.jited_prog_len,
        verified: info.verified_insns,
        runs: info.run_cnt,
        run_nanos: info.run_time_ns,
    })
}

/// Links objects into a new file; the error is a positive errno. libbpf-rs panics on the library's negative ones.
pub fn link_objects(path: &CStr, objects: &[&[u8]]) -> Result<(), i32> {
    // SAFETY: a string with its zero; no options.
    let linker = unsafe { bpf::bpf_linker__new(path.as_ptr(), std::ptr::null_mut()) };
    let linker = NonNull::new(linker).ok_or_else(last_errno)?;
    let add = |object: &&[u8]| {
        let (bytes, len) = (object.as_ptr().cast_mut().cast(), object.len() as bpf::size_t as _);
        // SAFETY: the linker lives; libbpf reads `len` bytes and keeps nothing of them.
        unsafe { bpf::bpf_linker__add_buf(linker.as_ptr(), bytes, len, std::ptr::null_mut()) }
    };
    let added = objects.iter().map(add).find(|status| *status != 0).unwrap_or(0);
    // SAFETY: as above; nothing is added afterwards.
    let status = if added == 0 { unsafe { bpf::bpf_linker__finalize(linker.as_ptr()) } } else { added };
    // SAFETY: made above, not used any more.
    unsafe { bpf::bpf_linker__free(linker.as_ptr()) };
    if status == 0 { Ok(()) } else { Err(status.abs()) }
}

fn last_errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(22)
}

const BTF_KIND_DATASEC: u32 = 15;
/// Enough for the end of any log that a person would read; the verifier keeps the tail on 6.4 and later.
const LOG_BYTES: usize = 1 << 20;

/// Ids of the maps that a program uses, at most [`MAX_MAPS`], and the instructions the verifier went through.
pub fn program_maps(fd: std::os::fd::BorrowedFd<'_>) -> Result<(Vec<u32>, u32), i32> {
    use std::os::fd::AsRawFd;
    let mut ids = vec![0u32; MAX_MAPS];
    // SAFETY: an all-zero bpf_prog_info asks for nothing but the fixed fields.
    let mut info: bpf::bpf_prog_info = unsafe { std::mem::zeroed() };
    info.nr_map_ids = MAX_MAPS as u32;
    info.map_ids = ids.as_mut_ptr() as u64;
    let mut len = size_of::<bpf::bpf_prog_info>() as u32;
    // SAFETY: `info` and `ids` outlive the call; the kernel writes at most `len` and `nr_map_ids` entries.
    let status = unsafe { bpf::bpf_prog_get_info_by_fd(fd.as_raw_fd(), &raw mut info, &raw mut len) };
    if status < 0 {
        return Err(-status);
    }
    ids.truncate(info.nr_map_ids as usize);
    Ok((ids, info.verified_insns))
}

/// A program of this project uses a dozen maps at most.
const MAX_MAPS: usize = 64;

/// Exchanges the program of a link.
pub fn update_link(link: std::os::fd::BorrowedFd<'_>, program: std::os::fd::BorrowedFd<'_>) -> Result<(), i32> {
    use std::os::fd::AsRawFd;
    // SAFETY: two open descriptors; without options the kernel replaces whatever program is there.
    let status = unsafe { bpf::bpf_link_update(link.as_raw_fd(), program.as_raw_fd(), std::ptr::null()) };
    if status < 0 { Err(-status) } else { Ok(()) }
}
