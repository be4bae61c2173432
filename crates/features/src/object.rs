//! Will this object run here? In: the bytes of a BPF object and a machine; out, every requirement with its answer, a verdict per
//! CO-RE access and what is wrong with the object itself. Static: nothing of the object is loaded; map definitions are tried
//! with maps of the same shape that are closed at once.

use crate::access::{AccessRow, accesses};
use crate::answer::{Answer, Cause, Reason, errno_words};
use crate::check::{Report, Row, Source};
use crate::denial::libc_errno as errno;
use crate::machine::Machine;
use crate::program::{self, SLEEPABLE, Shape};
use crate::requirement::{Requirement, TargetKind};
use crate::{kernel_btf, link};
use diag::{Finding, Severity};
use elf::btf::{Btf, Kind};
use elf::section::Purpose;
use elf::{Error, Extern, ExternKind, Program, Spec, uapi};
use serde::Serialize;

/// The whole answer about one object.
#[derive(Debug, Clone, Serialize)]
pub struct ObjectReport {
    pub verdict: Verdict,
    /// `prog:6:XDP`, `map:2:Array`, `helper:6:1:FnMapLookupElem`, sorted by kind and number.
    pub derived: Vec<String>,
    pub rows: Vec<Row>,
    pub accesses: Vec<AccessRow>,
    pub findings: Vec<Finding>,
}

/// Whether the object loads on this kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Loads,
    Unknown,
    Fails,
}

/// Program types, map types and helpers of an object, ascending: the same on every machine.
pub fn from_elf(bytes: &[u8]) -> Result<Vec<Requirement>, Error> {
    Ok(basic(&Spec::parse(bytes)?))
}

/// Everything an object needs by name, for asking a saved report.
pub fn all_requirements(bytes: &[u8]) -> Result<Vec<Requirement>, Error> {
    Ok(requirements(&Spec::parse(bytes)?))
}

/// The requirements in the reference's notation.
pub fn derived(spec: &Spec<'_>) -> Vec<String> {
    let title = |row: Option<uapi::Row>| row.map_or("?", |row| row.title);
    let programs = spec.program_types().into_iter().map(|id| format!("prog:{id}:{}", title(uapi::program_type(id))));
    let maps = spec.map_types().into_iter().map(|id| format!("map:{id}:{}", title(uapi::map_type(id))));
    let helpers = spec.helpers().into_iter().map(|(program, id)| {
        format!(
            "helper:{program}:{id}:{}",
            uapi::helper(id).map_or_else(|| "?".into(), |(name, _)| uapi::go_name(name))
        )
    });
    programs.chain(maps).chain(helpers).collect()
}

/// Asks this machine about an object.
pub fn check_object(machine: &Machine, bytes: &[u8]) -> Result<ObjectReport, Error> {
    let spec = Spec::parse(bytes)?;
    let requirements = requirements(&spec);
    let accesses = accesses(machine, &spec, &requirements);
    let mut rows = crate::check(machine, &requirements).rows;
    rows.extend(map_rows(machine, &spec));
    rows.extend(extern_rows(machine, &spec));
    rows.extend(licence_rows(machine, &spec));
    let findings = findings(&spec);
    let verdict = verdict(&rows, &accesses, &findings);
    Ok(ObjectReport { verdict, derived: derived(&spec), rows, accesses, findings })
}

/// Everything the object needs by name, those of optional programs marked so.
pub fn requirements(spec: &Spec<'_>) -> Vec<Requirement> {
    let mut all = Vec::new();
    for program in &spec.programs {
        let needed = program_requirements(program);
        all.extend(
            needed.into_iter().map(|r| if program.purpose.optional && !r.is_optional() { optional(r) } else { r }),
        );
    }
    all.extend(spec.map_types().into_iter().map(Requirement::MapType));
    all.extend(
        spec.struct_ops.iter().map(|(_, ty)| Requirement::Target { kind: TargetKind::StructOps, name: ty.clone() }),
    );
    let kfuncs = spec.externs.iter().filter(|e| e.kind == ExternKind::Kfunc);
    all.extend(kfuncs.map(|e| weak(e, Requirement::Kfunc(e.name.clone()))));
    all
}

fn basic(spec: &Spec<'_>) -> Vec<Requirement> {
    let programs = spec.program_types().into_iter().map(Requirement::ProgramType);
    let maps = spec.map_types().into_iter().map(Requirement::MapType);
    let helpers = spec.helpers().into_iter().map(|(program_type, helper)| Requirement::Helper { program_type, helper });
    programs.chain(maps).chain(helpers).collect()
}

fn program_requirements(program: &Program) -> Vec<Requirement> {
    let purpose = &program.purpose;
    let mut needed = vec![match shape_of(purpose) {
        Some(shape) if shape.name.contains('/') => Requirement::Program(shape),
        _ => Requirement::ProgramType(purpose.program_type),
    }];
    needed.extend(program.helpers.iter().map(|id| match shape_of(purpose).filter(|shape| shape.name.contains('/')) {
        Some(shape) => Requirement::HelperIn { shape, helper: *id },
        None => Requirement::Helper { program_type: purpose.program_type, helper: *id },
    }));
    needed.extend(target_of(purpose));
    needed.extend(link_of(purpose).map(|kind| optional(Requirement::Link(kind))));
    if program.isa_level > 1 {
        let ability = crate::isa::find(&format!("isa-v{}", program.isa_level));
        needed.extend(ability.map(Requirement::Ability));
    }
    if program.loops {
        needed.extend(crate::isa::find("bounded-loops").map(Requirement::Ability));
    }
    needed
}

/// The shape that loads as the section asks, else the closest one.
fn shape_of(purpose: &Purpose) -> Option<&'static Shape> {
    let of_type = || program::SHAPES.iter().filter(|shape| shape.program_type == purpose.program_type);
    let attach = purpose.attach_type.unwrap_or(0);
    let sleepable = of_type().find(|s| purpose.sleepable && s.flags & SLEEPABLE != 0 && s.attach_type == attach);
    let exact = of_type().find(|s| s.attach_type == attach && (s.flags & SLEEPABLE == 0 || purpose.program_type == 31));
    let frags = of_type().find(|s| purpose.frags && s.name == "xdp/frags");
    sleepable.or(frags).or(exact).or_else(|| of_type().next())
}

/// What must exist for the load, and what only for attaching.
fn target_of(purpose: &Purpose) -> Option<Requirement> {
    let name = purpose.target.clone().filter(|name| !name.is_empty())?;
    let target = |kind, name| Requirement::Target { kind, name };
    match (purpose.program_type, purpose.attach_type) {
        (26 | 29, _) => shape_of(purpose).map(|shape| Requirement::Hook { shape, name }),
        (17 | 24, _) => Some(optional(target(TargetKind::RawTracepoint, name))),
        (5, _) => Some(optional(target(TargetKind::Tracepoint, name))),
        (2, None) if purpose.pattern.starts_with('k') && !purpose.pattern.contains("syscall") => {
            Some(optional(target(TargetKind::Kprobe, name)))
        }
        _ => None,
    }
}

fn link_of(purpose: &Purpose) -> Option<&'static link::Kind> {
    let name = match (purpose.program_type, purpose.attach_type) {
        (2, None) if purpose.pattern.starts_with('k') => "kprobe",
        (2, Some(42)) => "kprobe_multi",
        (2, Some(56)) => "kprobe_session",
        (2, Some(48)) => "uprobe_multi",
        (2, Some(57)) => "uprobe_session",
        (3, Some(46 | 47)) => "tcx",
        (3, Some(54 | 55)) => "netkit",
        (32, _) => "netfilter",
        _ => return None,
    };
    link::kind(name)
}

fn optional(requirement: Requirement) -> Requirement {
    Requirement::Optional(Box::new(requirement))
}

fn weak(e: &Extern, requirement: Requirement) -> Requirement {
    if e.weak { optional(requirement) } else { requirement }
}

/// Tries every map definition that can be tried alone.
fn map_rows(machine: &Machine, spec: &Spec<'_>) -> Vec<Row> {
    let tried = spec.maps.iter().filter(|map| !map.is_data && PLAIN_MAPS.contains(&map.map_type));
    tried
        .filter_map(|map| {
            let request = sys::bpf::MapCreate {
                map_type: map.map_type,
                key_bytes: map.key_bytes,
                value_bytes: map.value_bytes,
                max_entries: map.max_entries,
                flags: map.flags,
                extra: map.extra,
                ..sys::bpf::MapCreate::default()
            };
            let bytes =
                u64::from(map.max_entries).saturating_mul(u64::from(map.value_bytes) + u64::from(map.key_bytes));
            let Err(said) = (bytes <= MOST_TRIED_BYTES).then(|| sys::bpf::map_create(&request))? else { return None };
            let kind = uapi::map_type(map.map_type).map_or("?", |row| row.name);
            let text = format!(
                "map `{}` ({kind}, key {} bytes, value {} bytes, {} entries): {}",
                map.name,
                map.key_bytes,
                map.value_bytes,
                map.max_entries,
                errno_words(said)
            );
            let reason = Reason::new(Cause::Object, text).errno(said);
            let answer = if machine.map_type(map.map_type).is_supported() && said == errno::EINVAL {
                Answer::Unsupported(reason.fix("correct the sizes or flags of the map definition"))
            } else {
                Answer::Unknown(reason)
            };
            Some(Row { requirement: format!("map definition {}", map.name), optional: false, answer })
        })
        .collect()
}

/// Variables and settings that the kernel must provide by name.
fn extern_rows(machine: &Machine, spec: &Spec<'_>) -> Vec<Row> {
    let others = spec.externs.iter().filter(|e| e.kind != ExternKind::Kfunc);
    others
        .map(|e| Row { requirement: format!("extern {}", e.name), optional: e.weak, answer: extern_answer(machine, e) })
        .collect()
}

fn extern_answer(machine: &Machine, e: &Extern) -> Answer {
    match e.kind {
        ExternKind::Kconfig if e.name.starts_with("LINUX_") => Answer::Supported,
        ExternKind::Kconfig => match machine.config() {
            Ok(config) if config.value(&e.name).is_some() => Answer::Supported,
            Ok(config) => Answer::no(Cause::CompiledOut, format!("{} is not set in {}", e.name, config.source))
                .fix("declare it __weak"),
            Err(missing) => Answer::unknown(Cause::Unreadable, missing.to_string()),
        },
        ExternKind::TypedVariable => match machine.btf.id(Kind::Var, &e.name) {
            Ok(Some(_)) => Answer::Supported,
            Ok(None) => Answer::no(Cause::Absent, format!("kernel variable {} is not in the kernel's BTF", e.name))
                .fix("declare it __weak"),
            Err(missing) => Answer::unknown(Cause::NoBtf, missing.to_string()),
        },
        ExternKind::Symbol | ExternKind::Kfunc => match machine.root.text("/proc/kallsyms") {
            Ok(text) if text.lines().any(|line| line.split_whitespace().nth(2) == Some(&e.name)) => Answer::Supported,
            Ok(_) => Answer::no(Cause::Absent, format!("kernel symbol {} is not in /proc/kallsyms", e.name))
                .fix("declare it __weak, or use a kernel built with CONFIG_KALLSYMS_ALL=y"),
            Err(error) => Answer::unknown(Cause::Unreadable, format!("/proc/kallsyms: {}", sys::errno::of(&error))),
        },
    }
}

/// Helpers that only programs under a GPL-compatible licence may call.
fn licence_rows(machine: &Machine, spec: &Spec<'_>) -> Vec<Row> {
    if GPL_COMPATIBLE.contains(&spec.license.as_str()) {
        return Vec::new();
    }
    let restricted = spec.helpers().into_iter().filter(|(program, id)| machine.needs_gpl(*program, *id));
    let row = |(_, id): (u32, u32)| {
        let name = uapi::helper(id).map_or("?", |(name, _)| name);
        let text = format!(
            "bpf_{name} may be called only under a GPL-compatible licence; this object says `{}`",
            spec.license
        );
        let answer =
            Answer::no(Cause::Object, text).fix("char _license[] SEC(\"license\") = \"GPL\" or \"Dual BSD/GPL\"");
        Row { requirement: format!("licence for bpf_{name}"), optional: false, answer }
    };
    restricted.map(row).collect()
}

/// What is wrong with the object on any kernel.
fn findings(spec: &Spec<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if spec.programs.is_empty() && spec.maps.is_empty() {
        found.push(
            Finding::new(
                Severity::Error,
                "no-program",
                "object",
                "has no program and no map: nothing of it would be loaded",
            )
            .help("put functions into a named section, for example SEC(\"xdp\")"),
        );
    }
    if spec.endian != kernel_btf::NATIVE {
        found.push(
            Finding::new(Severity::Error, "byte-order", "object", "was compiled for the other byte order")
                .help("compile with -target bpf, or -target bpfel / bpfeb for this machine"),
        );
    }
    for program in spec.programs.iter().filter(|program| !program.purpose.exact) {
        let reason = format!(
            "section `{}` only begins like `{}`; libbpf 1.0 and later refuse it",
            program.section, program.purpose.pattern
        );
        found.push(
            Finding::new(Severity::Error, "section-name", format!("program `{}`", program.name), reason)
                .help(format!("rename the section to SEC(\"{}\")", program.purpose.pattern.trim_end_matches('+'))),
        );
    }
    for program in &spec.programs {
        found.extend(unfit(program));
    }
    found
}

/// Programs that no loader loads as they are.
fn unfit(program: &Program) -> Option<Finding> {
    let subject = format!("program `{}`", program.name);
    match program.purpose.program_type {
        28 => Some(
            Finding::new(
                Severity::Error,
                "needs-target",
                subject,
                "replaces a function of another program, and the object does not say which",
            )
            .help("give the target program at load (bpf_program__set_attach_target)"),
        ),
        27 if !program.in_struct_ops => Some(
            Finding::new(
                Severity::Error,
                "unused",
                subject,
                "is a struct_ops program that no struct_ops variable uses",
            )
            .help("put it into a variable in SEC(\".struct_ops\") or SEC(\".struct_ops.link\")"),
        ),
        _ => None,
    }
}

fn verdict(rows: &[Row], accesses: &[AccessRow], findings: &[Finding]) -> Verdict {
    let report = Report { rows: rows.to_vec() };
    let row = report.failures().map(|row| match &row.answer {
        Answer::Unsupported(_) => Verdict::Fails,
        // A helper that can only be tried with the whole object decides nothing.
        Answer::Unknown(reason) if reason.cause == Cause::Inconclusive => Verdict::Loads,
        _ => Verdict::Unknown,
    });
    let access = accesses.iter().map(|access| match access.verdict {
        "missing" | "malformed" => Verdict::Fails,
        "unknown" => Verdict::Unknown,
        _ => Verdict::Loads,
    });
    let finding = findings.iter().map(|f| if f.severity == Severity::Error { Verdict::Fails } else { Verdict::Loads });
    row.chain(access).chain(finding).max().unwrap_or(Verdict::Loads)
}

/// Hash, array, per-CPU and LRU forms, LPM, ring buffer, queue, stack, bloom filter, user ring buffer.
const PLAIN_MAPS: &[u32] = &[1, 2, 5, 6, 9, 10, 11, 22, 23, 27, 30, 31];
const MOST_TRIED_BYTES: u64 = 64 << 20;
/// `license_is_gpl_compatible` of the kernel's `include/linux/license.h`.
const GPL_COMPATIBLE: &[&str] =
    &["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];

impl Machine {
    /// Like [`Machine::prepare`], from types that are in memory already.
    pub(crate) fn prepare_from(&self, kernel: &Btf<'_>, requirements: &[Requirement]) {
        let leaves = requirements.iter().flat_map(Requirement::leaves);
        self.btf.look_up_in(kernel, leaves.filter_map(crate::check::btf_name).collect());
    }

    fn is_loadable(&self, program_type: u32) -> bool {
        self.answer(&Requirement::ProgramType(program_type)).is_supported()
    }

    /// Whether a helper is refused to programs of another licence.
    pub fn needs_gpl(&self, program_type: u32, helper: u32) -> bool {
        self.is_loadable(program_type) && self.helper_without_gpl(program_type, helper) == Some(false)
    }
}
