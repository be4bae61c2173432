//! CO-RE accesses of an object against this kernel. In: a parsed object and a machine; out, one verdict per access. A type is looked
//! for in the kernel first and, where it is not there at all, in every loaded module that has types, as libbpf does. The kernel's
//! types are read once, and the names that requirements need are taken from them on the way.

use crate::check::Source;
use crate::machine::Machine;
use crate::requirement::Requirement;
use elf::btf::Btf;
use elf::btf_ext::Access;
use elf::core_relo::{self, Candidates, Question, Resolution, Verdict as Core};
use elf::{Program, Spec};
use serde::Serialize;
use std::collections::BTreeSet;

/// One CO-RE access of one program.
#[derive(Debug, Clone, Serialize)]
pub struct AccessRow {
    pub program: String,
    pub access: String,
    /// `resolved`, `present`, `absent`, `guarded`, `missing`, `malformed` or `unknown`.
    pub verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The module whose types decided, where it was not the kernel itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// `file:line` where the object has line information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Decides all accesses of an object.
pub(crate) fn accesses(machine: &Machine, spec: &Spec<'_>, requirements: &[Requirement]) -> Vec<AccessRow> {
    let all: Vec<_> = spec.programs.iter().flat_map(|p| p.accesses.iter().map(move |a| (p, *a))).collect();
    let (Some(local), false) = (&spec.btf, all.is_empty()) else {
        machine.prepare(requirements);
        return Vec::new();
    };
    let bytes = machine.btf.bytes();
    let kernel =
        bytes.as_deref().map_err(ToString::to_string).and_then(|bytes| Btf::parse(bytes).map_err(|e| e.to_string()));
    let kernel = match kernel {
        Ok(kernel) => kernel,
        Err(why) => return all.iter().map(|(p, a)| unreadable(spec, p, *a, &why)).collect(),
    };
    machine.prepare_from(&kernel, requirements);
    let wanted: Vec<Access> = all.iter().map(|(_, access)| *access).collect();
    let decided = decide(machine, local, &kernel, &wanted);
    let resolved: Vec<_> =
        all.iter().zip(decided).map(|((p, a), d)| Resolved { program: p, access: *a, decided: d }).collect();
    resolved.iter().map(|one| access_row(spec, one, is_guarded(&resolved, one))).collect()
}

struct Resolved<'a> {
    program: &'a Program,
    access: Access,
    decided: Decided,
}

/// A resolution and the module that gave it.
type Decided = (Resolution, Option<String>);

fn decide(machine: &Machine, local: &Btf<'_>, kernel: &Btf<'_>, wanted: &[Access]) -> Vec<Decided> {
    let names = core_relo::names(local, wanted);
    let candidates = Candidates::find(kernel, &names);
    let mut decided: Vec<Decided> =
        wanted.iter().map(|access| (core_relo::resolve(local, kernel, &candidates, access), None)).collect();
    let strange: Vec<usize> = wanted
        .iter()
        .enumerate()
        .filter(|(at, access)| {
            let asks = decided.get(*at).is_some_and(|(r, _)| r.kind != Question::LocalType);
            asks && !core_relo::is_known(local, kernel, &candidates, access)
        })
        .map(|(at, _)| at)
        .collect();
    if !strange.is_empty() {
        in_modules(machine, local, kernel, (wanted, &strange), &mut decided);
    }
    decided
}

/// Looks for the types that the kernel itself does not know. Unreadable types of a module are as if it were not loaded.
fn in_modules(
    machine: &Machine,
    local: &Btf<'_>,
    kernel: &Btf<'_>,
    (wanted, strange): (&[Access], &[usize]),
    decided: &mut [Decided],
) {
    let open: Vec<Access> = strange.iter().filter_map(|at| wanted.get(*at).copied()).collect();
    let names: BTreeSet<&str> = core_relo::names(local, &open);
    let shared = kernel.offsets_of(&names);
    for (module, bytes) in machine.btf.modules() {
        let Ok(types) = Btf::parse_on(&bytes, Some(kernel)) else { continue };
        let candidates = Candidates::find_in_module(&types, &names, &shared);
        for (at, access) in strange.iter().zip(&open) {
            let Some(slot) = decided.get_mut(*at) else { continue };
            if !is_met(&slot.0) && core_relo::is_known(local, &types, &candidates, access) {
                *slot = (core_relo::resolve(local, &types, &candidates, access), Some(module.clone()));
            }
        }
    }
}

fn is_met(resolution: &Resolution) -> bool {
    matches!(resolution.verdict, Core::Resolved | Core::Answered(true))
}

fn unreadable(spec: &Spec<'_>, program: &Program, access: Access, why: &str) -> AccessRow {
    AccessRow {
        program: program.name.clone(),
        access: spec.btf.as_ref().map_or("", |local| local.name_of(access.type_id)).to_owned(),
        verdict: "unknown",
        reason: Some(format!("the kernel's types cannot be read: {why}")),
        module: None,
        source: spec.source_line(program, access.offset),
    }
}

/// The same program asks whether the type or field exists and the answer is no: the access is then never reached.
fn is_guarded(all: &[Resolved<'_>], one: &Resolved<'_>) -> bool {
    all.iter().any(|other| {
        let question = &other.decided.0;
        other.program.name == one.program.name
            && question.verdict == Core::Answered(false)
            && one.decided.0.access.starts_with(root_of(&question.access))
    })
}

fn root_of(access: &str) -> &str {
    access.split([':', '[']).next().unwrap_or(access)
}

fn access_row(spec: &Spec<'_>, one: &Resolved<'_>, guarded: bool) -> AccessRow {
    let (resolution, module) = &one.decided;
    let (verdict, reason) = match &resolution.verdict {
        Core::Resolved => ("resolved", None),
        Core::Answered(true) => ("present", None),
        Core::Answered(false) => ("absent", None),
        Core::Absent(why) if guarded => ("guarded", Some(format!("{why}; the program asks before it uses it"))),
        Core::Absent(why) => ("missing", Some(why.clone())),
        Core::Malformed(why) => ("malformed", Some(why.clone())),
    };
    AccessRow {
        program: one.program.name.clone(),
        access: resolution.access.clone(),
        verdict,
        reason,
        module: module.clone(),
        source: spec.source_line(one.program, one.access.offset),
    }
}
