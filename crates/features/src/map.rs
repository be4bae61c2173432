//! Whether map types can be created: in, a type number; out, a three-valued answer. A probe map has one entry and is closed at
//! once. Types that need a map, a type or a file system to refer to are asked with a reference that cannot exist: EBADF or
//! ENOTSUPP then says that the kernel knows the type.

use crate::answer::{Answer, Cause, Reason, errno_words};
use crate::denial::{self, CAP_BPF, CAP_NET_ADMIN, libc_errno as errno};
use crate::machine::Machine;
use crate::program::no_syscall;
use elf::uapi;
use sys::bpf::MapCreate;

impl Machine {
    pub fn map_type(&self, id: u32) -> Answer {
        let Some(row) = uapi::map_type(id) else {
            return Answer::unknown(Cause::Inconclusive, format!("map type {id} is newer than this tool knows"));
        };
        let request = request(id);
        match sys::bpf::map_create(&request) {
            Ok(_) => Answer::Supported,
            Err(errno::EBADF) if request.inner_map_fd < 0 || request.btf_fd < 0 => Answer::Supported,
            Err(errno::ENOTSUPP) if id == STRUCT_OPS => Answer::Supported,
            Err(errno::EINVAL | errno::E2BIG | errno::EOPNOTSUPP) => absent(self, row),
            Err(refusal @ (errno::EPERM | errno::EACCES)) => {
                denial::explain(self, &format!("{} maps", row.name), needs(id), refusal)
            }
            Err(errno::ENOSYS) => no_syscall(self),
            Err(other) => Answer::Unknown(
                Reason::new(Cause::Inconclusive, format!("create {} map: {}", row.name, errno_words(other)))
                    .errno(other),
            ),
        }
    }
}

fn absent(machine: &Machine, row: uapi::Row) -> Answer {
    if !machine.is_at_least(row.since) {
        let text = format!("{} maps came with Linux {}; this is {}", row.name, row.since, machine.release);
        return Answer::no(Cause::TooOld, text).fix(format!("use Linux {} or later", row.since));
    }
    let text = format!("{} maps are not in this kernel", row.name);
    match option(row.id) {
        "" => Answer::no(Cause::Absent, text),
        option => Answer::no(Cause::CompiledOut, format!("{text} ({option} is off)"))
            .fix(format!("use a kernel built with {option}=y")),
    }
}

fn request(id: u32) -> MapCreate {
    let base = MapCreate { map_type: id, key_bytes: 4, value_bytes: 4, max_entries: 1, ..MapCreate::default() };
    let local_storage =
        MapCreate { max_entries: 0, flags: NO_PREALLOC, btf_fd: -1, btf_key_type: 1, btf_value_type: 1, ..base };
    match id {
        7 => MapCreate { value_bytes: 8, ..base },
        11 => MapCreate { key_bytes: 8, value_bytes: 8, flags: NO_PREALLOC, ..base },
        12 | 13 => MapCreate { inner_map_fd: -1, ..base },
        19 | 21 => MapCreate { key_bytes: 16, max_entries: 0, ..base },
        22 | 23 | 30 => MapCreate { key_bytes: 0, ..base },
        24 | 28 | 29 | 32 => local_storage,
        STRUCT_OPS => MapCreate { btf_vmlinux_value_type: 1, ..base },
        27 | 31 => MapCreate { key_bytes: 0, value_bytes: 0, max_entries: rustix::param::page_size() as u32, ..base },
        33 => MapCreate { key_bytes: 0, value_bytes: 0, flags: MMAPABLE, ..base },
        34 => MapCreate { value_bytes: 16, ..base },
        _ => base,
    }
}

fn needs(id: u32) -> &'static [u32] {
    match id {
        14 | 16 | 17 | 25 => &[CAP_BPF, CAP_NET_ADMIN],
        15 | 18 => &[CAP_NET_ADMIN],
        _ => &[CAP_BPF],
    }
}

/// What must be built in, empty where nothing but bpf(2) itself.
pub(crate) fn option(id: u32) -> &'static str {
    match id {
        4 | 7 => "CONFIG_PERF_EVENTS",
        8 => "CONFIG_CGROUPS",
        14 | 16 | 25 | 15 | 18 | 20 => "CONFIG_NET",
        17 => "CONFIG_XDP_SOCKETS",
        19 | 21 => "CONFIG_CGROUP_BPF",
        26 => "CONFIG_BPF_JIT",
        28 => "CONFIG_BPF_LSM",
        32 => "CONFIG_CGROUPS",
        33 => "CONFIG_MMU",
        _ => "",
    }
}

const STRUCT_OPS: u32 = 26;
/// `BPF_F_NO_PREALLOC`.
const NO_PREALLOC: u32 = 1;
/// `BPF_F_MMAPABLE`.
const MMAPABLE: u32 = 1 << 10;
