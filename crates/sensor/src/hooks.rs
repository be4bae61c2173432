//! Which programs exist, what each one shows, and which are needed for a set of calls. One row per program.

use event::Sc;
use std::collections::BTreeSet;

/// Something this kernel does not let us see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    /// The program that is not there.
    pub program: String,
    /// What is not seen for it, in words.
    pub events: &'static str,
    /// Who refused and why, the fix included where known.
    pub cause: String,
}

/// One BPF program of the sensor.
#[derive(Debug)]
pub struct Hook {
    pub program: &'static str,
    pub place: Place,
    pub events: &'static str,
    pub wanted: fn(&BTreeSet<Sc>) -> bool,
}

/// How a program gets to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Attached by its section.
    Attach,
    /// Attached by its section, if copies at entry are wanted at all.
    Enter,
    /// Slot of the tail-call table (bpf/recipes.h).
    Filler(u32),
    /// Attached by its section until the look at existing processes is over.
    Start,
    /// Read once at the start.
    Iterator,
}

/// Every program. `sys_exit` comes first: without it the fillers have no caller.
pub const HOOKS: &[Hook] = &[
    call("sys_exit", Place::Attach, "every system call"),
    call("fill_plain", Place::Filler(0), "most system calls"),
    call("fill_net", Place::Filler(1), "connections, input and output of sockets and of several buffers"),
    call("fill_misc", Place::Filler(2), "poll, ptrace, prctl, limits, quotas, keys, file handles"),
    call("fill_clone", Place::Filler(3), "clone, fork, vfork"),
    call("fill_exec", Place::Filler(4), "failed execve and execveat"),
    hook("on_exec", "execve and execveat", |s| s.contains(&Sc::EXECVE) || s.contains(&Sc::EXECVEAT)),
    hook("on_exit", "procexit", |s| s.contains(&Sc::SCHED_PROCESS_EXIT)),
    hook("on_switch", "switch", |s| s.contains(&Sc::SCHED_SWITCH)),
    hook("on_signal", "signaldeliver", |s| s.contains(&Sc::SIGNAL_DELIVER)),
    hook("on_fault_user", "page_fault of user code", |s| s.contains(&Sc::PAGE_FAULT_USER)),
    hook("on_fault_kernel", "page_fault of the kernel", |s| s.contains(&Sc::PAGE_FAULT_KERNEL)),
    hook_at(Place::Start, "first_enter", "who processes were that end during the start"),
    hook_at(Place::Start, "first_call", "who processes were that end during the start"),
    hook_at(Place::Start, "first_exec", "who processes were that end during the start"),
    hook_at(Place::Iterator, TASKS, "existing processes"),
    hook_at(Place::Iterator, TASK_FILES, "existing open files"),
    Hook {
        program: "sys_enter",
        place: Place::Enter,
        events: "paths and addresses at entry",
        wanted: |s| [Sc::OPEN, Sc::CREAT, Sc::OPENAT, Sc::OPENAT2, Sc::CONNECT].iter().any(|c| s.contains(c)),
    },
];

const fn call(program: &'static str, place: Place, events: &'static str) -> Hook {
    Hook { program, place, events, wanted: any_call }
}

const fn hook(program: &'static str, events: &'static str, wanted: fn(&BTreeSet<Sc>) -> bool) -> Hook {
    Hook { program, place: Place::Attach, events, wanted }
}

const fn hook_at(place: Place, program: &'static str, events: &'static str) -> Hook {
    Hook { program, place, events, wanted: any_call }
}

/// The iterators.
pub const TASKS: &str = "tasks";
pub const TASK_FILES: &str = "task_files";

impl Hook {
    pub fn named(program: &str) -> Option<&'static Hook> {
        HOOKS.iter().find(|h| h.program == program)
    }
}

fn any_call(selected: &BTreeSet<Sc>) -> bool {
    selected.iter().any(|sc| !PSEUDO.contains(sc))
}

/// Codes that stand for hooks of the scheduler and the memory manager, not for system calls.
const PSEUDO: [Sc; 5] =
    [Sc::SCHED_PROCESS_EXIT, Sc::SCHED_SWITCH, Sc::PAGE_FAULT_USER, Sc::PAGE_FAULT_KERNEL, Sc::SIGNAL_DELIVER];
