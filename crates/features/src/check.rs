//! Gating: in, requirements and a machine (or a saved report); out, every finding, not only the first. Only what the requirements
//! name is probed.

use crate::answer::{Answer, Cause};
use crate::machine::Machine;
use crate::requirement::{Requirement, TargetKind};
use crate::{mount, program};
use elf::btf::Kind;
use serde::{Deserialize, Serialize};

/// The answers to a list of requirements, in the order asked, each once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    pub rows: Vec<Row>,
}

/// One requirement with its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Canonical text of the requirement.
    pub requirement: String,
    #[serde(default)]
    pub optional: bool,
    #[serde(flatten)]
    pub answer: Answer,
}

/// Whoever can answer a requirement.
pub trait Source {
    fn answer(&self, requirement: &Requirement) -> Answer;

    /// Told before what will be asked, so that it can be looked up together.
    fn prepare(&self, _: &[Requirement]) {}
}

impl Report {
    /// Nothing required is missing; an unknown answer does not pass.
    pub fn is_ok(&self) -> bool {
        self.failures().next().is_none()
    }

    pub fn failures(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.optional && !row.answer.is_supported())
    }

    /// Optional things that are not there.
    pub fn degraded(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.optional && !row.answer.is_supported())
    }

    /// The row of one requirement.
    pub fn of(&self, requirement: &Requirement) -> Option<&Row> {
        let text = requirement.to_string();
        self.rows.iter().find(|row| row.requirement == text)
    }
}

/// Answers every requirement once.
pub fn check(source: &impl Source, requirements: &[Requirement]) -> Report {
    source.prepare(requirements);
    let mut rows: Vec<Row> = Vec::new();
    for requirement in flat(requirements) {
        let text = requirement.to_string();
        if rows.iter().all(|row| row.requirement != text) {
            rows.push(Row {
                requirement: text,
                optional: requirement.is_optional(),
                answer: source.answer(requirement),
            });
        }
    }
    Report { rows }
}

/// Groups that need all their parts are the same as their parts.
fn flat(requirements: &[Requirement]) -> Vec<&Requirement> {
    requirements.iter().flat_map(parts).collect()
}

fn parts(requirement: &Requirement) -> Vec<&Requirement> {
    match requirement {
        Requirement::AllOf(parts) => flat(parts),
        single => vec![single],
    }
}

/// Answers groups from their parts.
pub fn answer_group(source: &impl Source, requirement: &Requirement) -> Option<Answer> {
    match requirement {
        Requirement::AllOf(parts) => {
            let failed = parts.iter().map(|part| source.answer(part)).find(|answer| !answer.is_supported());
            Some(failed.unwrap_or(Answer::Supported))
        }
        Requirement::AnyOf(parts) => Some(any_of(source, parts)),
        Requirement::Optional(inner) => Some(source.answer(inner)),
        _ => None,
    }
}

fn any_of(source: &impl Source, parts: &[Requirement]) -> Answer {
    let answers: Vec<Answer> = parts.iter().map(|part| source.answer(part)).collect();
    if answers.iter().any(Answer::is_supported) {
        return Answer::Supported;
    }
    let reasons: Vec<String> =
        parts.iter().zip(&answers).filter_map(|(part, a)| a.reason().map(|r| format!("{part}: {r}"))).collect();
    let text = format!("none of these is there: {}", reasons.join("; "));
    let cause = answers.first().and_then(Answer::cause).unwrap_or(Cause::Absent);
    if answers.iter().any(|a| matches!(a, Answer::Unknown(_))) {
        Answer::unknown(cause, text)
    } else {
        Answer::no(cause, text)
    }
}

impl Source for Machine {
    fn answer(&self, requirement: &Requirement) -> Answer {
        if let Some(answer) = answer_group(self, requirement) {
            return answer;
        }
        match requirement {
            Requirement::Feature(feature) => feature.on(self),
            Requirement::ProgramType(id) => self.program_type(*id),
            Requirement::Program(shape) => self.loads(shape),
            Requirement::Hook { shape, name } => self.hook(shape, name),
            Requirement::MapType(id) => self.map_type(*id),
            Requirement::Helper { program_type, helper } => self.helper(*program_type, *helper),
            Requirement::HelperIn { shape, helper } => self.helper_in(shape, *helper),
            Requirement::Kfunc(name) => self.kfunc(name),
            Requirement::Target { kind, name } => self.target(*kind, name),
            Requirement::Link(kind) => self.attach(kind.name),
            Requirement::Ability(ability) => ability.on(self),
            Requirement::Config { key, value } => self.config_is(key, value.as_deref()),
            Requirement::KernelAtLeast(version) => self.kernel_at_least(*version),
            Requirement::Capability(number) => crate::feature::capability(self, *number),
            Requirement::Mount { path, magic } => mount::requirement(self, path, *magic),
            Requirement::AllOf(_) | Requirement::AnyOf(_) | Requirement::Optional(_) => Answer::Supported,
        }
    }

    /// Looks all BTF names up in one pass.
    fn prepare(&self, requirements: &[Requirement]) {
        let leaves = requirements.iter().flat_map(Requirement::leaves);
        let names: Vec<_> = leaves.filter_map(btf_name).collect();
        if !names.is_empty() {
            // A failure shows again, with its reason, at the requirement that needs the name.
            let _ = self.btf.look_up(&names);
        }
    }
}

impl Machine {
    fn kfunc(&self, name: &str) -> Answer {
        match self.btf.id(Kind::Func, name) {
            Ok(Some(_)) => Answer::Supported,
            Ok(None) if self.in_modules(Kind::Func, name) => Answer::Supported,
            Ok(None) => Answer::no(
                Cause::Absent,
                format!("kernel function {name} is not in the BTF of this kernel or its modules"),
            )
            .fix("use a newer kernel, or load the module that has it"),
            Err(missing) => Answer::unknown(Cause::NoBtf, format!("kernel functions cannot be looked up: {missing}")),
        }
    }

    /// Whether a place to attach to exists.
    pub fn target(&self, kind: TargetKind, name: &str) -> Answer {
        match kind {
            TargetKind::Kprobe => self.kprobe_target(name),
            TargetKind::Tracepoint => self.tracepoint_target(name),
            _ => self.btf_target(kind, name),
        }
    }

    fn btf_target(&self, kind: TargetKind, name: &str) -> Answer {
        let Some((btf_kind, full)) = target_name(kind, name) else {
            return Answer::unknown(Cause::Inconclusive, format!("{name}: not a name that BTF holds"));
        };
        match self.btf.id(btf_kind, &full) {
            Ok(Some(_)) => Answer::Supported,
            Ok(None) if self.in_modules(btf_kind, &full) => Answer::Supported,
            Ok(None) => {
                Answer::no(Cause::Absent, format!("this kernel has no {} `{name}` (no {full} in its BTF)", word(kind)))
                    .fix(format!("use another {}, or mark the program optional (SEC(\"?...\"))", word(kind)))
            }
            Err(missing) => {
                Answer::unknown(Cause::NoBtf, format!("{} `{name}` cannot be looked up: {missing}", word(kind)))
            }
        }
    }

    fn kprobe_target(&self, name: &str) -> Answer {
        let bare = name.split('+').next().unwrap_or(name);
        if bare.contains(['*', '?']) || matches!(self.btf.id(Kind::Func, bare), Ok(Some(_))) {
            return Answer::Supported;
        }
        match self.root.text("/proc/kallsyms") {
            Ok(text) if text.lines().any(|line| line.split_whitespace().nth(2) == Some(bare)) => Answer::Supported,
            Ok(_) => Answer::no(Cause::Absent, format!("this kernel has no function `{bare}` in /proc/kallsyms"))
                .fix("the function may be inlined or renamed: use another one, a tracepoint or fentry"),
            Err(error) => Answer::unknown(Cause::Unreadable, format!("/proc/kallsyms: {}", sys::errno::of(&error))),
        }
    }

    fn tracepoint_target(&self, name: &str) -> Answer {
        let Some((category, event)) = name.split_once('/') else {
            return Answer::no(Cause::Object, format!("tracepoint `{name}` is not category/name"));
        };
        let places = ["/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"];
        let events = places.iter().find(|place| self.root.exists(&format!("{place}/header_page")));
        if let Some(events) = events {
            if self.root.exists(&format!("{events}/{category}/{event}")) {
                return Answer::Supported;
            }
            return Answer::no(
                Cause::Absent,
                format!("this kernel has no tracepoint `{name}` ({events}/{category}/{event} does not exist)"),
            );
        }
        if category == "syscalls" && self.option("FTRACE_SYSCALLS") == Some(false) {
            return Answer::no(Cause::CompiledOut, format!("tracepoint `{name}`: CONFIG_FTRACE_SYSCALLS is off"));
        }
        match self.btf_target(TargetKind::RawTracepoint, event) {
            Answer::Supported => Answer::Supported,
            _ => Answer::unknown(
                Cause::NotMounted,
                format!("tracepoint `{name}` cannot be looked up: tracefs is not mounted"),
            )
            .fix("mount -t tracefs tracefs /sys/kernel/tracing"),
        }
    }

    fn in_modules(&self, kind: Kind, name: &str) -> bool {
        let modules = self.btf.modules();
        if modules.is_empty() {
            return false;
        }
        let Ok(bytes) = self.btf.bytes() else { return false };
        let Ok(base) = elf::btf::Btf::parse(&bytes) else { return false };
        let holds = |(_, bytes): &(String, Vec<u8>)| {
            elf::btf::Btf::parse_on(bytes, Some(&base)).is_ok_and(|module| {
                module.ids().any(|id| module.get(id).is_some_and(|ty| ty.kind == kind && module.name(&ty) == name))
            })
        };
        modules.iter().any(holds)
    }

    fn config_is(&self, key: &str, value: Option<&str>) -> Answer {
        match (self.config(), value) {
            (Err(missing), _) => Answer::unknown(Cause::Unreadable, missing.to_string())
                .fix("build with CONFIG_IKCONFIG_PROC=y, install the kernel's config file, or run as root"),
            (Ok(config), Some("n")) if config.value(key).is_none() => Answer::Supported,
            (Ok(config), Some(want)) if config.value(key) == Some(want) => Answer::Supported,
            (Ok(config), None) if config.enabled(key) => Answer::Supported,
            (Ok(config), want) => {
                let is = config.value(key).unwrap_or("not set");
                let want = want.unwrap_or("y");
                Answer::no(Cause::CompiledOut, format!("{key} is {is} in {}, {want} is required", config.source))
                    .fix(format!("use a kernel built with {key}={want}"))
            }
        }
    }

    fn kernel_at_least(&self, version: crate::Version) -> Answer {
        if self.version() >= version {
            return Answer::Supported;
        }
        let need = Requirement::KernelAtLeast(version).to_string().replace("kernel>=", "");
        Answer::no(Cause::TooOld, format!("this kernel is {}, {need} or later is required", self.release))
            .fix(format!("boot Linux {need} or later"))
    }
}

/// What a requirement is called in BTF.
pub(crate) fn btf_name(requirement: &Requirement) -> Option<crate::kernel_btf::Name> {
    match requirement {
        Requirement::Kfunc(name) => Some((Kind::Func, name.clone())),
        Requirement::Hook { shape, name } => crate::hook::names(shape, name).map(|(_, name)| name),
        Requirement::Target { kind: TargetKind::Tracepoint, name } => {
            target_name(TargetKind::RawTracepoint, name.rsplit('/').next().unwrap_or(name))
        }
        Requirement::Target { kind, name } => target_name(*kind, name),
        _ => None,
    }
}

/// How a target is called in BTF.
fn target_name(kind: TargetKind, name: &str) -> Option<crate::kernel_btf::Name> {
    Some(match kind {
        TargetKind::Function | TargetKind::Kprobe => (Kind::Func, name.split('+').next().unwrap_or(name).to_owned()),
        TargetKind::RawTracepoint => (Kind::Typedef, format!("btf_trace_{name}")),
        TargetKind::LsmHook => (Kind::Func, format!("bpf_lsm_{name}")),
        TargetKind::Iterator => (Kind::Struct, format!("bpf_iter__{name}")),
        TargetKind::StructOps => (Kind::Struct, format!("bpf_struct_ops_{name}")),
        TargetKind::Tracepoint => return None,
    })
}

fn word(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Function | TargetKind::Kprobe => "function",
        TargetKind::RawTracepoint | TargetKind::Tracepoint => "tracepoint",
        TargetKind::LsmHook => "LSM hook",
        TargetKind::Iterator => "iterator",
        TargetKind::StructOps => "struct_ops type",
    }
}

/// A reason told as the reference tells program, map and helper failures, without its wrong diagnoses.
pub fn subject(requirement: &Requirement) -> String {
    match requirement {
        Requirement::ProgramType(id) => format!("program type {}", title(*id)),
        Requirement::MapType(id) => {
            format!("map type {}", elf::uapi::map_type(*id).map_or_else(|| id.to_string(), |r| r.title.into()))
        }
        Requirement::Helper { program_type, helper } => {
            let name =
                elf::uapi::helper(*helper).map_or_else(|| helper.to_string(), |(name, _)| elf::uapi::go_name(name));
            format!("helper {name} for program type {}", title(*program_type))
        }
        Requirement::Mount { path, magic } => format!("mount {path} (magic 0x{magic:x})"),
        other => other.to_string(),
    }
}

fn title(program_type: u32) -> String {
    elf::uapi::program_type(program_type).map_or_else(|| program::type_name(program_type), |row| row.title.to_owned())
}
