//! What a program needs from its kernel, as text and as values. In: words such as `btf`, `program:xdp`, `CONFIG_BPF=y`,
//! `kernel>=5.10`, `a|b` (any of), `a&b` (both), `a?` (optional, also of a whole group), `(a|b)&c`; out, a [`Requirement`] whose
//! text form is canonical. Never asks a kernel.

use crate::feature::{self, FEATURES, Feature};
use crate::machine::Version;
use crate::program::Shape;
use crate::{hook, isa, link, mount, program};
use elf::uapi;
use std::fmt;
use std::str::FromStr;

/// One thing, or a group of things, that must be there.
#[derive(Debug, Clone)]
pub enum Requirement {
    Feature(&'static Feature),
    ProgramType(u32),
    /// One way to load a program, for example `tracing/fentry`.
    Program(&'static Shape),
    /// One way to load a program, for one named function, hook, tracepoint or iterator.
    Hook {
        shape: &'static Shape,
        name: String,
    },
    MapType(u32),
    Helper {
        program_type: u32,
        helper: u32,
    },
    /// A helper in programs that are loaded in one way.
    HelperIn {
        shape: &'static Shape,
        helper: u32,
    },
    Kfunc(String),
    /// A place to attach to: kind (`fentry`, `tp_btf`, `lsm`, `kprobe`, `tracepoint`, `iter`, `struct_ops`) and name.
    Target {
        kind: TargetKind,
        name: String,
    },
    /// Whether programs of this kind can be attached at all.
    Link(&'static link::Kind),
    Ability(&'static isa::Ability),
    /// A build option, with the value it must have; without one, `y` or `m`.
    Config {
        key: String,
        value: Option<String>,
    },
    KernelAtLeast(Version),
    Capability(u32),
    Mount {
        path: String,
        magic: u32,
    },
    AllOf(Vec<Requirement>),
    AnyOf(Vec<Requirement>),
    /// Reported, but never a failure.
    Optional(Box<Requirement>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    /// A kernel function for fentry, fexit and fmod_ret.
    Function,
    /// A kernel function for a kprobe.
    Kprobe,
    /// A tracepoint by its BTF name.
    RawTracepoint,
    /// A tracepoint as `category/name`.
    Tracepoint,
    LsmHook,
    Iterator,
    StructOps,
}

/// A word that is no requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("unknown feature: \"{name}\" (available: {}){}", available(), hint(.nearest))]
    UnknownFeature { name: String, nearest: Option<&'static str> },
    #[error("requirement `{text}`: {reason}")]
    Malformed { text: String, reason: String },
}

impl Requirement {
    pub fn parse(text: &str) -> Result<Requirement, ParseError> {
        let text = text.trim();
        if text.len() > LONGEST_TEXT {
            return Err(bad(&text.chars().take(32).collect::<String>(), &format!("longer than {LONGEST_TEXT} bytes")));
        }
        if let Some(inner) = text.strip_suffix('?') {
            return Requirement::parse(inner).map(|r| Requirement::Optional(Box::new(r)));
        }
        for (sign, group) in [('|', Requirement::AnyOf as fn(_) -> _), ('&', Requirement::AllOf)] {
            let parts = outside_brackets(text, sign);
            if parts.len() > 1 {
                return parts.into_iter().map(Requirement::parse).collect::<Result<_, _>>().map(group);
            }
        }
        if let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            return Requirement::parse(inner);
        }
        if let Some(version) = text.strip_prefix("kernel>=") {
            return Version::parse(version.trim())
                .map(Requirement::KernelAtLeast)
                .ok_or_else(|| bad(text, "not a kernel version"));
        }
        if text.starts_with("CONFIG_") {
            let (key, value) = text.split_once('=').map_or((text, None), |(k, v)| (k, Some(v.to_owned())));
            return Ok(Requirement::Config { key: key.to_owned(), value });
        }
        match text.split_once(':') {
            Some((kind, rest)) => kinded(text, kind, rest),
            None => named(text),
        }
    }

    pub fn is_optional(&self) -> bool {
        matches!(self, Requirement::Optional(_))
    }

    /// Every single requirement inside groups.
    pub fn leaves(&self) -> Vec<&Requirement> {
        match self {
            Requirement::AllOf(parts) | Requirement::AnyOf(parts) => {
                parts.iter().flat_map(Requirement::leaves).collect()
            }
            Requirement::Optional(inner) => inner.leaves(),
            leaf => vec![leaf],
        }
    }
}

impl FromStr for Requirement {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Requirement, ParseError> {
        Requirement::parse(text)
    }
}

impl PartialEq for Requirement {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

/// The canonical text, which [`Requirement::parse`] reads back.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Requirement::Feature(feature) => f.write_str(feature.name),
            Requirement::ProgramType(id) => write!(f, "program:{}", program_name(*id)),
            Requirement::Program(shape) => write!(f, "program:{}", shape.name),
            Requirement::Hook { shape, name } => write!(f, "program:{}:{name}", shape.name),
            Requirement::HelperIn { shape, helper } => {
                let name = uapi::helper(*helper).map_or_else(|| helper.to_string(), |(name, _)| format!("bpf_{name}"));
                write!(f, "helper:{}:{name}", shape.name)
            }
            Requirement::MapType(id) => {
                write!(f, "map:{}", uapi::map_type(*id).map_or_else(|| id.to_string(), |r| r.name.into()))
            }
            Requirement::Helper { program_type, helper } => {
                let name = uapi::helper(*helper).map_or_else(|| helper.to_string(), |(name, _)| format!("bpf_{name}"));
                write!(f, "helper:{}:{name}", program_name(*program_type))
            }
            Requirement::Kfunc(name) => write!(f, "kfunc:{name}"),
            Requirement::Target { kind, name } => write!(f, "{}:{name}", kind.name()),
            Requirement::Link(kind) => write!(f, "attach:{}", kind.name),
            Requirement::Ability(ability) => write!(f, "ability:{}", ability.name),
            Requirement::Config { key, value: None } => f.write_str(key),
            Requirement::Config { key, value: Some(value) } => write!(f, "{key}={value}"),
            Requirement::KernelAtLeast(v) if v.patch == 0 => write!(f, "kernel>={}.{}", v.major, v.minor),
            Requirement::KernelAtLeast(v) => write!(f, "kernel>={}.{}.{}", v.major, v.minor, v.patch),
            Requirement::Capability(number) => write!(f, "cap:{}", crate::denial::capability_name(*number)),
            Requirement::Mount { path, magic } => write!(f, "mount:{path}:0x{magic:x}"),
            Requirement::AllOf(parts) => f.write_str(&join(parts, "&")),
            Requirement::AnyOf(parts) => f.write_str(&join(parts, "|")),
            Requirement::Optional(inner) => write!(f, "{inner}?"),
        }
    }
}

impl ParseError {
    /// A name that is none of the features.
    pub fn unknown(name: &str) -> Self {
        ParseError::UnknownFeature { name: name.to_owned(), nearest: nearest(name, FEATURES.iter().map(|f| f.name)) }
    }
}

impl TargetKind {
    pub fn name(self) -> &'static str {
        TARGET_KINDS.iter().find(|(_, kind)| *kind == self).map_or("target", |(name, _)| name)
    }
}

fn named(text: &str) -> Result<Requirement, ParseError> {
    match feature::find(text) {
        Some(feature) => Ok(Requirement::Feature(feature)),
        None => Err(ParseError::unknown(text)),
    }
}

fn kinded(text: &str, kind: &str, rest: &str) -> Result<Requirement, ParseError> {
    let unknown = |what: &str, names: Vec<&'static str>| {
        let near = nearest(rest, names.into_iter()).map(|name| format!("; did you mean `{name}`")).unwrap_or_default();
        bad(text, &format!("no such {what}{near}"))
    };
    let target = TARGET_KINDS.iter().find(|(name, _)| *name == kind).map(|(_, kind)| *kind);
    match kind {
        _ if target.is_some() && rest.is_empty() => Err(bad(text, "a name must follow")),
        _ if let Some(kind) = target => Ok(Requirement::Target { kind, name: rest.to_owned() }),
        "program" => program_of(rest)
            .ok_or_else(|| unknown("program type", program::SHAPES.iter().map(|shape| shape.name).collect())),
        "map" => uapi::map_type_id(rest)
            .map(Requirement::MapType)
            .ok_or_else(|| unknown("map type", uapi::MAP_TYPES.iter().map(|r| r.1).collect())),
        "helper" => helper(text, rest),
        "kfunc" if !rest.is_empty() => Ok(Requirement::Kfunc(rest.to_owned())),
        "attach" => link::kind(rest)
            .map(Requirement::Link)
            .ok_or_else(|| unknown("attach kind", link::KINDS.iter().map(|k| k.name).collect())),
        "ability" => isa::find(rest)
            .map(Requirement::Ability)
            .ok_or_else(|| unknown("ability", isa::ABILITIES.iter().map(|a| a.name).collect())),
        "cap" => host::status::capability(rest)
            .map(Requirement::Capability)
            .ok_or_else(|| unknown("capability", host::status::CAPABILITIES.to_vec())),
        "mount" => mount_at(text, rest),
        _ => Err(bad(text, &format!("unknown kind `{kind}`; there are {KINDS}"))),
    }
}

/// A type, a way to load it, or such a way for a named hook.
fn program_of(text: &str) -> Option<Requirement> {
    match text.split_once(':') {
        Some((shape, name)) => {
            let shape = program::shape(shape).filter(|shape| hook::has_hooks(shape) && !name.is_empty())?;
            Some(Requirement::Hook { shape, name: name.to_owned() })
        }
        None => uapi::program_type_id(text)
            .map(Requirement::ProgramType)
            .or_else(|| program::shape(text).map(Requirement::Program)),
    }
}

fn helper(text: &str, rest: &str) -> Result<Requirement, ParseError> {
    let (program, name) =
        rest.split_once(':').ok_or_else(|| bad(text, "give program type and helper, as helper:xdp:bpf_loop"))?;
    let helper = uapi::helper_id(name).ok_or_else(|| bad(text, &format!("no such helper `{name}`")))?;
    match (uapi::program_type_id(program), program::shape(program)) {
        (Some(program_type), _) => Ok(Requirement::Helper { program_type, helper }),
        (None, Some(shape)) => Ok(Requirement::HelperIn { shape, helper }),
        (None, None) => Err(bad(text, &format!("no such program type `{program}`"))),
    }
}

fn mount_at(text: &str, rest: &str) -> Result<Requirement, ParseError> {
    let wrong = || bad(text, "give path and file system, as mount:/sys/fs/bpf:bpf or mount:/sys/fs/bpf:0xcafe4a11");
    let (path, fs) = rest.rsplit_once(':').ok_or_else(wrong)?;
    let magic = match fs.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => mount::magic_of(fs),
    };
    let magic = magic.filter(|magic| *magic != 0 && path.starts_with('/')).ok_or_else(wrong)?;
    Ok(Requirement::Mount { path: path.to_owned(), magic })
}

fn bad(text: &str, reason: &str) -> ParseError {
    ParseError::Malformed { text: text.to_owned(), reason: reason.to_owned() }
}

fn available() -> String {
    FEATURES.iter().map(|f| f.name).collect::<Vec<_>>().join(", ")
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default()
}

/// The closest of some names, when it is close at all.
pub fn nearest(text: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    let ranked = names.map(|name| (distance(&text, name), name)).filter(|(d, name)| *d <= 2.max(name.len() / 4));
    ranked.min().map(|(_, name)| name)
}

/// Levenshtein distance in bytes, of texts cut to 64.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len().min(64)).collect();
    for (i, x) in a.iter().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().take(64).enumerate() {
            let best = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Groups and optional parts inside a group stand in brackets.
fn join(parts: &[Requirement], with: &str) -> String {
    let part = |part: &Requirement| match part {
        Requirement::AllOf(_) | Requirement::AnyOf(_) | Requirement::Optional(_) => format!("({part})"),
        single => single.to_string(),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(with)
}

/// Splits at a sign that is not inside brackets.
fn outside_brackets(text: &str, sign: char) -> Vec<&str> {
    let mut depth = 0usize;
    let parts = text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && c == sign
    });
    parts.collect()
}

fn program_name(id: u32) -> String {
    uapi::program_type(id).map_or_else(|| id.to_string(), |row| row.name.to_owned())
}

const TARGET_KINDS: &[(&str, TargetKind)] = &[
    ("function", TargetKind::Function),
    ("kprobe", TargetKind::Kprobe),
    ("raw_tracepoint", TargetKind::RawTracepoint),
    ("tracepoint", TargetKind::Tracepoint),
    ("lsm", TargetKind::LsmHook),
    ("iter", TargetKind::Iterator),
    ("struct_ops", TargetKind::StructOps),
];
/// Bounds the depth of nested brackets too.
const LONGEST_TEXT: usize = 4096;
const KINDS: &str = "program, map, helper, kfunc, attach, ability, cap, mount, function, kprobe, raw_tracepoint, tracepoint, lsm, iter, struct_ops";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        for text in [
            "btf",
            "program:xdp",
            "program:tracing/fentry",
            "map:ringbuf",
            "helper:xdp:bpf_loop",
            "helper:tracing/iter:bpf_seq_printf",
            "program:lsm/sleepable:file_open",
            "program:lsm:file_open",
            "kfunc:bpf_rcu_read_lock",
            "attach:tcx",
            "ability:isa-v4",
            "CONFIG_BPF",
            "CONFIG_HZ=250",
            "kernel>=5.10",
            "cap:CAP_BPF",
            "mount:/sys/fs/bpf:0xcafe4a11",
            "fentry|kprobe",
            "lsm:file_open?",
            "fentry|kprobe?",
            "btf&(fentry|kprobe)",
            "(btf&fentry)|kprobe",
            "(attach:tcx?)|btf",
            "tracepoint:syscalls/sys_enter_openat",
        ] {
            assert_eq!(Requirement::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Requirement::parse(" BTF ").unwrap().to_string(), "btf");
        assert_eq!(Requirement::parse("mount:/sys/fs/bpf:bpf").unwrap().to_string(), "mount:/sys/fs/bpf:0xcafe4a11");
    }

    #[test]
    fn strangers_are_named_with_the_nearest() {
        let error = Requirement::parse("fentri").unwrap_err().to_string();
        assert!(error.starts_with("unknown feature: \"fentri\" (available: bpf-lsm, btf,"), "{error}");
        assert!(error.ends_with("did you mean \"fentry\"?"), "{error}");
        assert!(matches!(Requirement::parse("bpffs"), Err(ParseError::UnknownFeature { .. })));
        for text in
            ["program:xpd", "helper:xdp", "mount:relative:bpf", "mount:/x:0x0", "kernel>=new", "what:ever", "lsm:"]
        {
            assert!(matches!(Requirement::parse(text), Err(ParseError::Malformed { .. })), "{text}");
        }
    }
}
