//! Collecting: in, a machine and how far to look; out, a [`Snapshot`] with an answer for every item, which can be saved, compared
//! and asked later or elsewhere. Each item is probed once; nothing stays loaded.

use crate::answer::{Answer, Cause, Reason};
use crate::check::{Source, answer_group};
use crate::context::Context;
use crate::machine::{Machine, Version};
use crate::requirement::{Requirement, TargetKind};
use crate::{FEATURES, Feature, isa, link, program};
use elf::btf::{Btf, Kind};
use elf::uapi;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What one kernel said, to keep.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Version of this form.
    pub format: u32,
    pub context: Context,
    /// Answers by canonical requirement text.
    pub answers: BTreeMap<String, Answer>,
    /// Every option of the kernel configuration.
    pub config: BTreeMap<String, String>,
    /// What the kernel's BTF lists, by kind; empty when it was not asked.
    pub known: Known,
}

/// Names in the kernel's BTF: known to this kernel, whether or not they may be used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    pub program_types: Vec<String>,
    pub map_types: Vec<String>,
    pub attach_types: Vec<String>,
    pub link_types: Vec<String>,
    pub commands: Vec<String>,
    pub helpers: Vec<String>,
    pub kfuncs: BTreeSet<String>,
    pub lsm_hooks: BTreeSet<String>,
    pub iterators: BTreeSet<String>,
    pub tracepoints: BTreeSet<String>,
    pub struct_ops: BTreeSet<String>,
}

/// How far to look. Who we are and what guards the kernel is always told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Features, program and map types, attach kinds, abilities.
    Usual,
    /// Also every helper of every program type, the names in BTF and the kernel configuration.
    Full,
    Only(&'a [Part]),
}

/// One kind of things to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Features,
    /// Program types and the ways to load them.
    Programs,
    Maps,
    AttachKinds,
    Abilities,
    /// Every helper of every program type.
    Helpers,
    /// What the kernel's BTF lists.
    Names,
    Config,
}

/// Looks at the running machine.
///
/// ```
/// use features::{Part, Scope, diagnose, feature, probe};
///
/// let snapshot = probe(Scope::Only(&[Part::Features]));
/// if let Some(reason) = feature::find("fentry").and_then(|fentry| diagnose(fentry, &snapshot)) {
///     println!("no fentry here: {reason}");
/// }
/// ```
pub fn probe(scope: Scope<'_>) -> Snapshot {
    Snapshot::take(&Machine::here(), scope)
}

/// Why a feature is not there, with the remedy; `None` when it is there or the snapshot has no answer.
pub fn diagnose<'a>(feature: &Feature, snapshot: &'a Snapshot) -> Option<&'a Reason> {
    snapshot.answers.get(feature.name)?.reason()
}

impl Scope<'_> {
    fn parts(&self) -> &[Part] {
        match self {
            Scope::Usual => USUAL,
            Scope::Full => FULL,
            Scope::Only(parts) => parts,
        }
    }
}

impl Snapshot {
    pub fn take(machine: &Machine, scope: Scope<'_>) -> Snapshot {
        let mut snapshot = Snapshot { format: FORMAT, context: Context::of(machine), ..Snapshot::default() };
        for part in scope.parts() {
            snapshot.add(machine, *part);
        }
        snapshot
    }

    fn add(&mut self, machine: &Machine, part: Part) {
        match part {
            Part::Helpers => self.helpers(machine),
            Part::Names => self.known = known(machine),
            Part::Config => {
                let options = machine.config().into_iter().flat_map(host::kconfig::Config::options);
                self.config = options.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            }
            _ => {
                let named = requirements(part).into_iter().map(|r| (r.to_string(), machine.answer(&r)));
                self.answers.extend(named);
            }
        }
    }

    fn helpers(&mut self, machine: &Machine) {
        for helpers in machine.all_helpers() {
            let program_type = helpers.program_type;
            let named = helpers.answers.into_iter().zip(1u32..);
            self.answers.extend(
                named.map(|(answer, helper)| (Requirement::Helper { program_type, helper }.to_string(), answer)),
            );
        }
    }

    /// Helper names that each program type may call, by program type.
    pub fn helpers_by_program(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, answer) in &self.answers {
            if let Some((program, helper)) = key.strip_prefix("helper:").and_then(|rest| rest.split_once(':'))
                && answer.is_supported()
            {
                all.entry(program).or_default().push(helper);
            }
        }
        all
    }

    /// Items whose answers differ: key, here, there.
    pub fn differences<'a>(&'a self, other: &'a Snapshot) -> Vec<(&'a str, Option<&'a Answer>, Option<&'a Answer>)> {
        let keys: BTreeSet<&String> = self.answers.keys().chain(other.answers.keys()).collect();
        let pairs = keys.into_iter().map(|key| (key.as_str(), self.answers.get(key), other.answers.get(key)));
        pairs.filter(|(_, a, b)| a.map(Answer::word) != b.map(Answer::word)).collect()
    }

    fn not_recorded(&self, requirement: &Requirement) -> Answer {
        let text = format!("the report of {} does not say anything about {requirement}", self.context.release);
        Answer::unknown(Cause::NotRecorded, text).fix("save the report again with `hawkbell probe --save`")
    }

    fn listed(&self, names: &BTreeSet<String>, name: &str, requirement: &Requirement) -> Answer {
        if names.is_empty() {
            return self.not_recorded(requirement);
        }
        if names.contains(name) {
            return Answer::Supported;
        }
        Answer::no(Cause::Absent, format!("{requirement} is not in the BTF of {}", self.context.release))
    }

    fn config_is(&self, key: &str, value: Option<&str>, requirement: &Requirement) -> Answer {
        let is = self.config.get(key).map(String::as_str);
        match value {
            _ if self.config.is_empty() => self.not_recorded(requirement),
            Some("n") if is.is_none() => Answer::Supported,
            Some(want) if is == Some(want) => Answer::Supported,
            None if matches!(is, Some("y" | "m")) => Answer::Supported,
            _ => Answer::no(
                Cause::CompiledOut,
                format!("{key} is {} on {}", is.unwrap_or("not set"), self.context.release),
            ),
        }
    }
}

impl Source for Snapshot {
    fn answer(&self, requirement: &Requirement) -> Answer {
        if let Some(answer) = answer_group(self, requirement) {
            return answer;
        }
        match requirement {
            Requirement::Kfunc(name) => self.listed(&self.known.kfuncs, name, requirement),
            Requirement::Target { kind: TargetKind::LsmHook, name } => {
                self.listed(&self.known.lsm_hooks, name, requirement)
            }
            Requirement::Target { kind: TargetKind::Iterator, name } => {
                self.listed(&self.known.iterators, name, requirement)
            }
            Requirement::Target { kind: TargetKind::StructOps, name } => {
                self.listed(&self.known.struct_ops, name, requirement)
            }
            Requirement::Target { kind: TargetKind::RawTracepoint, name } => {
                self.listed(&self.known.tracepoints, name, requirement)
            }
            Requirement::Hook { shape, name } => {
                let target =
                    crate::hook::names(shape, name).map(|(kind, _)| Requirement::Target { kind, name: name.clone() });
                let parts = std::iter::once(Requirement::Program(shape)).chain(target);
                let mut answers = parts.map(|part| self.answer(&part));
                answers.find(|answer| !answer.is_supported()).unwrap_or(Answer::Supported)
            }
            Requirement::HelperIn { shape, helper } => {
                let parts = [
                    Requirement::Program(shape),
                    Requirement::Helper { program_type: shape.program_type, helper: *helper },
                ];
                let mut answers = parts.iter().map(|part| self.answer(part));
                answers.find(|answer| !answer.is_supported()).unwrap_or(Answer::Supported)
            }
            Requirement::Config { key, value } => self.config_is(key, value.as_deref(), requirement),
            Requirement::KernelAtLeast(version) => match Version::parse(&self.context.release) {
                Some(has) if has >= *version => Answer::Supported,
                Some(_) => Answer::no(
                    Cause::TooOld,
                    format!("the report is of {}, {requirement} is required", self.context.release),
                ),
                None => self.not_recorded(requirement),
            },
            Requirement::Capability(number) => {
                let name = crate::denial::capability_name(*number);
                match self.context.effective.iter().any(|held| held == name) {
                    true => Answer::Supported,
                    false => {
                        Answer::no(Cause::MissingCapability, format!("{name} was not held when the report was made"))
                    }
                }
            }
            _ => self.answers.get(&requirement.to_string()).cloned().unwrap_or_else(|| self.not_recorded(requirement)),
        }
    }
}

/// The members of a part that is asked one by one.
fn requirements(part: Part) -> Vec<Requirement> {
    match part {
        Part::Features => FEATURES.iter().map(Requirement::Feature).collect(),
        Part::Programs => {
            let types = (1..=uapi::PROGRAM_TYPES.len() as u32).map(Requirement::ProgramType);
            let ways = program::SHAPES.iter().filter(|shape| shape.name.contains('/')).map(Requirement::Program);
            types.chain(ways).collect()
        }
        Part::Maps => (1..=uapi::MAP_TYPES.len() as u32).map(Requirement::MapType).collect(),
        Part::AttachKinds => link::KINDS.iter().map(Requirement::Link).collect(),
        Part::Abilities => isa::ABILITIES.iter().map(Requirement::Ability).collect(),
        Part::Helpers | Part::Names | Part::Config => Vec::new(),
    }
}

/// One pass over the kernel's BTF; empty without BTF.
pub fn known(machine: &Machine) -> Known {
    let Ok(bytes) = machine.btf.bytes() else { return Known::default() };
    let Ok(btf) = Btf::parse(&bytes) else { return Known::default() };
    machine.btf.look_up_in(&btf, Vec::new());
    let mut known = Known::default();
    for id in btf.ids() {
        let Some(ty) = btf.get(id) else { continue };
        match ty.kind {
            Kind::Func => note(&btf, ty.name_off, "bpf_lsm_", &mut known.lsm_hooks),
            Kind::Typedef => note(&btf, ty.name_off, "btf_trace_", &mut known.tracepoints),
            Kind::Struct => {
                note(&btf, ty.name_off, "bpf_iter__", &mut known.iterators);
                if is_struct_ops_value(&btf, &ty) {
                    note(&btf, ty.name_off, "bpf_struct_ops_", &mut known.struct_ops);
                }
            }
            Kind::DeclTag if btf.begins(ty.name_off, "bpf_kfunc\0") => {
                known.kfuncs.insert(btf.name_of(ty.target()).to_owned());
            }
            Kind::Enum => enumerators(&btf, &ty, &mut known),
            _ => {}
        }
    }
    known
}

/// `struct bpf_struct_ops_X` that wraps `struct X` behind a common head.
fn is_struct_ops_value(btf: &Btf<'_>, ty: &elf::btf::Type<'_>) -> bool {
    let wrapped = || ty.member(1).map(|member| btf.name_of(member.type_id));
    btf.begins(ty.name_off, "bpf_struct_ops_")
        && ty.vlen == 2
        && btf.name(ty).strip_prefix("bpf_struct_ops_") == wrapped()
}

fn note(btf: &Btf<'_>, name: u32, prefix: &str, into: &mut BTreeSet<String>) {
    if btf.begins(name, prefix) {
        into.extend(btf.text(name).strip_prefix(prefix).map(ToOwned::to_owned));
    }
}

fn enumerators(btf: &Btf<'_>, ty: &elf::btf::Type<'_>, known: &mut Known) {
    if !btf.begins(ty.name_off, "bpf_") {
        return;
    }
    let (list, prefix) = match btf.name(ty) {
        "bpf_prog_type" => (&mut known.program_types, "BPF_PROG_TYPE_"),
        "bpf_map_type" => (&mut known.map_types, "BPF_MAP_TYPE_"),
        "bpf_attach_type" => (&mut known.attach_types, "BPF_"),
        "bpf_link_type" => (&mut known.link_types, "BPF_LINK_TYPE_"),
        "bpf_cmd" => (&mut known.commands, "BPF_"),
        "bpf_func_id" => (&mut known.helpers, "BPF_FUNC_"),
        _ => return,
    };
    let names = ty.enumerators().map(|e| btf.text(e.name_off)).filter(|name| !name.starts_with("__"));
    list.extend(
        names.filter_map(|name| name.strip_prefix(prefix)).map(str::to_lowercase).filter(|name| name != "unspec"),
    );
}

/// Version of the saved form; raised when a reader of the old form would misread it.
pub const FORMAT: u32 = 1;
const USUAL: &[Part] = &[Part::Features, Part::Programs, Part::Maps, Part::AttachKinds, Part::Abilities];
/// Names first: probes then find the numbers they need without a pass of their own.
const FULL: &[Part] = &[
    Part::Names,
    Part::Features,
    Part::Programs,
    Part::Maps,
    Part::AttachKinds,
    Part::Abilities,
    Part::Helpers,
    Part::Config,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_parts_asked_for_are_looked_at() {
        let features = probe(Scope::Only(&[Part::Features]));
        assert_eq!(features.answers.len(), FEATURES.len());
        assert!(
            features.config.is_empty() && features.known == Known::default() && !features.context.release.is_empty()
        );
        assert!(probe(Scope::Only(&[])).answers.is_empty());
        for feature in FEATURES {
            assert_eq!(diagnose(feature, &features).is_none(), features.answers[feature.name].is_supported());
        }
    }
}
