//! Whether a program loads for one named hook: in, a shape and a function, LSM hook, tracepoint or iterator; or a struct_ops type.
//! Out, a three-valued answer from loading `r0 = 0; exit` for exactly that target, which is closed at once and never attached.
//! So a hook that exists but takes no sleepable or no modifying program is told apart from one that is missing.

use crate::answer::{Answer, Cause, Reason, errno_words};
use crate::kernel_btf::Name;
use crate::machine::Machine;
use crate::program::{self, RETURN_0, SLEEPABLE, Shape};
use crate::requirement::TargetKind;
use elf::btf::Kind;

/// What a shape's targets are called in BTF, for looking up and for loading.
pub(crate) fn names(shape: &Shape, name: &str) -> Option<(TargetKind, Name)> {
    Some(match (shape.program_type, shape.attach_type) {
        (TRACING, TRACE_RAW_TP) => (TargetKind::RawTracepoint, (Kind::Typedef, format!("btf_trace_{name}"))),
        (TRACING, TRACE_ITER) => (TargetKind::Iterator, (Kind::Func, format!("bpf_iter_{name}"))),
        (TRACING, _) => (TargetKind::Function, (Kind::Func, name.to_owned())),
        (LSM, _) => (TargetKind::LsmHook, (Kind::Func, format!("bpf_lsm_{name}"))),
        _ => return None,
    })
}

/// Whether programs of this shape are made for one named hook each.
pub(crate) fn has_hooks(shape: &Shape) -> bool {
    names(shape, "").is_some()
}

impl Machine {
    /// Whether a program of this shape loads for one named hook.
    pub fn hook(&self, shape: &Shape, name: &str) -> Answer {
        let general = self.loads(shape);
        let Some((kind, (btf_kind, full))) = names(shape, name).filter(|_| general.is_supported()) else {
            return general;
        };
        match self.btf.id(btf_kind, &full) {
            Ok(Some(id)) => self.load_for(shape, name, id),
            _ => self.target(kind, name),
        }
    }

    fn load_for(&self, shape: &Shape, name: &str, id: u32) -> Answer {
        let mut request = program::request(self, shape, RETURN_0);
        request.attach_btf_id = id;
        let mut log = Vec::new();
        let Err(said) = sys::bpf::program_load(&request, None) else { return Answer::Supported };
        if sys::bpf::program_load(&request, Some(&mut log)).is_ok() {
            return Answer::Supported;
        }
        let log = String::from_utf8_lossy(&log);
        // The hook was taken: only what the probe returns is not what this hook wants.
        if log.contains("At program exit") {
            return Answer::Supported;
        }
        let why = log.lines().find(|line| !line.starts_with("processed ")).unwrap_or("").trim();
        let why = if why.is_empty() { errno_words(said) } else { why.to_owned() };
        let text = format!("{} programs for `{name}` are refused: {why}", shape.name);
        let answer = Answer::Unsupported(Reason::new(Cause::Absent, text).errno(said));
        match () {
            () if shape.flags & SLEEPABLE != 0 => answer.fix("use a program that may not sleep (section without `.s`)"),
            () if shape.attach_type == MODIFY_RETURN => answer.fix("use fentry or fexit, or another function"),
            () => answer,
        }
    }
}

const TRACING: u32 = 26;
const LSM: u32 = 29;
const TRACE_RAW_TP: u32 = 23;
const MODIFY_RETURN: u32 = 26;
const TRACE_ITER: u32 = 28;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_that_exists_is_told_apart_from_one_that_does_not() {
        let machine = Machine::here();
        let shape = program::shape("tracing/tp_btf").unwrap();
        if !machine.loads(shape).is_supported() {
            println!("skipped: BTF tracepoint programs cannot be loaded here");
            return;
        }
        assert!(machine.hook(shape, "sched_switch").is_supported());
        assert_eq!(machine.hook(shape, "no_such_tracepoint").cause(), Some(Cause::Absent));
    }
}
