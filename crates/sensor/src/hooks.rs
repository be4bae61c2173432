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
    /// Slot of the tail-call table (bpf/recipes.h).
    Filler(u32),
}

/// Every program. `sys_exit` comes first: without it the fillers have no caller.
pub const HOOKS: &[Hook] = &[
    Hook { program: "sys_exit", place: Place::Attach, events: "every system call", wanted: any_call },
    Hook { program: "fill_plain", place: Place::Filler(0), events: "most system calls", wanted: any_call },
    Hook { program: "fill_net", place: Place::Filler(1), events: "connections, socket input and output", wanted: any_call },
    Hook { program: "fill_io", place: Place::Filler(2), events: "readv, writev and their relatives", wanted: any_call },
    Hook { program: "fill_misc", place: Place::Filler(3), events: "poll, ptrace, prctl, limits, quotas, keys, file handles", wanted: any_call },
];

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
