//! CO-RE: whether the types and fields that an object was built against exist in a kernel. In: the object's BTF, an access and the
//! kernel's BTF; out, a verdict per access. Follows libbpf's matching rules (`relo_core.c`): same name without flavour suffix,
//! fields by name through anonymous members, compatible kinds. Offsets are not computed: only existence decides.

use crate::btf::{Btf, Kind, Member, Type};
use crate::btf_ext::Access;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the running kernel says to one access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Resolved,
    /// A question (`bpf_core_field_exists` and its kin) with its answer.
    Answered(bool),
    /// Not in the kernel; the loader makes the instruction invalid, which fails unless it is never reached.
    Absent(String),
    /// The object's own BTF contradicts itself.
    Malformed(String),
}

/// One access in words with its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// For example `task_struct.nonexistent_field`.
    pub access: String,
    pub kind: Question,
    pub verdict: Verdict,
}

/// What an access wants to know; `enum bpf_core_relo_kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    Field,
    FieldExists,
    LocalType,
    Type,
    TypeExists,
    EnumValue,
    EnumValueExists,
}

/// Types of the kernel by name, for the names an object uses.
#[derive(Debug, Default)]
pub struct Candidates(BTreeMap<String, Vec<u32>>);

impl Candidates {
    /// One pass over the kernel's types.
    pub fn find(kernel: &Btf<'_>, names: &BTreeSet<&str>) -> Self {
        Self::among(kernel, &kernel.offsets_of(names))
    }

    /// The types of a module alone; `base` are the offsets of the names in the kernel's strings, which it shares.
    pub fn find_in_module(module: &Btf<'_>, names: &BTreeSet<&str>, base: &HashMap<u32, &str>) -> Self {
        let mut offsets = module.own_offsets_of(names);
        offsets.extend(base);
        Self::among(module, &offsets)
    }

    fn among(kernel: &Btf<'_>, offsets: &HashMap<u32, &str>) -> Self {
        let mut found = BTreeMap::new();
        for id in kernel.ids() {
            let Some(ty) = kernel.get(id) else { continue };
            if ty.name_off != 0
                && is_root(ty.kind)
                && let Some(name) = offsets.get(&ty.name_off)
            {
                found.entry((*name).to_owned()).or_insert_with(Vec::new).push(id);
            }
        }
        Candidates(found)
    }
}

/// Whether there is any type that an access could be about; where not, modules may have one.
pub fn is_known(local: &Btf<'_>, kernel: &Btf<'_>, candidates: &Candidates, access: &Access) -> bool {
    let ids = candidates.0.get(essential(local.name_of(access.type_id))).map_or(&[][..], Vec::as_slice);
    let wanted = local.get(access.type_id).map_or(Kind::Void, |ty| ty.kind);
    ids.iter().any(|id| kernel.get(*id).is_some_and(|ty| is_same_kind(ty.kind, wanted)))
}

/// The names whose types [`resolve`] will look for.
pub fn names<'a>(local: &Btf<'a>, accesses: &[Access]) -> BTreeSet<&'a str> {
    accesses.iter().map(|access| essential(local.name_of(access.type_id))).filter(|name| !name.is_empty()).collect()
}

/// Decides one access.
pub fn resolve(local: &Btf<'_>, kernel: &Btf<'_>, candidates: &Candidates, access: &Access) -> Resolution {
    let root = essential(local.name_of(access.type_id)).to_owned();
    let Some(kind) = question(access.kind) else {
        let verdict = Verdict::Malformed(format!("relocation kind {} is not known", access.kind));
        return Resolution { access: root, kind: Question::Field, verdict };
    };
    let text = local.text(access.spec_off);
    let path = match local_path(local, access.type_id, text, kind) {
        Ok(path) => path,
        Err(why) => return Resolution { access: root, kind, verdict: Verdict::Malformed(why) },
    };
    let described = describe(&root, &path, kind);
    if kind == Question::LocalType {
        return Resolution { access: described, kind, verdict: Verdict::Resolved };
    }
    let ids = candidates.0.get(&root).map_or(&[][..], Vec::as_slice);
    let local_kind = local.get(access.type_id).map_or(Kind::Void, |ty| ty.kind);
    let matches = ids.iter().any(|id| matches(local, kernel, *id, local_kind, &path, kind));
    let verdict = match kind {
        Question::FieldExists | Question::TypeExists | Question::EnumValueExists => Verdict::Answered(matches),
        _ if matches => Verdict::Resolved,
        _ if ids.is_empty() => {
            Verdict::Absent(format!("type `{root}` is not in the kernel's BTF, nor in that of a loaded module"))
        }
        _ => Verdict::Absent(format!("`{described}` is not in the kernel's BTF")),
    };
    Resolution { access: described, kind, verdict }
}

/// The name without the flavour that follows three underscores.
pub fn essential(name: &str) -> &str {
    match name.rfind("___") {
        Some(at) if at > 0 && at + 3 < name.len() => name.get(..at).unwrap_or(name),
        _ => name,
    }
}

fn question(kind: u32) -> Option<Question> {
    Some(match kind {
        0 | 1 | 3 | 4 | 5 => Question::Field,
        2 => Question::FieldExists,
        6 => Question::LocalType,
        7 | 9 => Question::Type,
        8 | 12 => Question::TypeExists,
        10 => Question::EnumValueExists,
        11 => Question::EnumValue,
        _ => return None,
    })
}

/// One step from a type into it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A field with the BTF number of its type in the object.
    Field(String, u32),
    Index(u32),
    Enumerator(String),
}

fn local_path(local: &Btf<'_>, root: u32, text: &str, kind: Question) -> Result<Vec<Step>, String> {
    let indices: Vec<u32> =
        text.split(':').map(str::parse).collect::<Result<_, _>>().map_err(|_| format!("bad access string `{text}`"))?;
    match kind {
        Question::Type | Question::TypeExists | Question::LocalType => Ok(Vec::new()),
        Question::EnumValue | Question::EnumValueExists => {
            let (_, ty) = local.skip_modifiers(root).ok_or("type chain does not end")?;
            let wanted =
                ty.enumerators().nth(indices.first().copied().unwrap_or(0) as usize).ok_or("no such enumerator")?;
            Ok(vec![Step::Enumerator(local.text(wanted.name_off).to_owned())])
        }
        _ => field_path(local, root, &indices),
    }
}

fn field_path(local: &Btf<'_>, root: u32, indices: &[u32]) -> Result<Vec<Step>, String> {
    if indices.len() > MAX_STEPS {
        return Err("access string is too long".into());
    }
    let mut steps = Vec::new();
    let mut at = root;
    for index in indices.iter().skip(1) {
        let (_, ty) = local.skip_modifiers(at).ok_or("type chain does not end")?;
        match ty.kind {
            Kind::Struct | Kind::Union => {
                let member = ty.member(*index as usize).ok_or("no such member")?;
                let name = local.text(member.name_off);
                at = member.type_id;
                if !name.is_empty() {
                    steps.push(Step::Field(name.to_owned(), at));
                }
            }
            Kind::Array => {
                at = ty.array().ok_or("array without element")?.0;
                steps.push(Step::Index(*index));
            }
            _ => return Err("access goes into a plain value".into()),
        }
    }
    Ok(steps)
}

fn describe(root: &str, path: &[Step], kind: Question) -> String {
    let mut out = root.to_owned();
    for step in path {
        match step {
            Step::Field(name, _) => out.extend([".", name]),
            Step::Index(index) => out.push_str(&format!("[{index}]")),
            Step::Enumerator(name) => out.extend(["::", name]),
        }
    }
    if kind == Question::LocalType { format!("{out} (own type)") } else { out }
}

fn matches(local: &Btf<'_>, kernel: &Btf<'_>, id: u32, local_kind: Kind, path: &[Step], kind: Question) -> bool {
    let Some(target) = kernel.get(id) else { return false };
    if !is_same_kind(target.kind, local_kind) {
        return false;
    }
    match kind {
        Question::EnumValue | Question::EnumValueExists => {
            path.first().is_some_and(|step| has_enumerator(kernel, &target, step))
        }
        _ => has_path(local, kernel, id, path),
    }
}

fn is_same_kind(a: Kind, b: Kind) -> bool {
    a == b || a.is_enum() && b.is_enum()
}

fn has_enumerator(kernel: &Btf<'_>, ty: &Type<'_>, step: &Step) -> bool {
    let Step::Enumerator(wanted) = step else { return false };
    ty.enumerators().any(|e| essential(kernel.text(e.name_off)) == essential(wanted))
}

fn has_path(local: &Btf<'_>, kernel: &Btf<'_>, root: u32, path: &[Step]) -> bool {
    let mut at = root;
    for step in path {
        let Some((_, ty)) = kernel.skip_modifiers(at) else { return false };
        let next = match step {
            Step::Field(name, local_type) => find_field(kernel, &ty, name, &mut { MOST_MEMBERS })
                .filter(|m| alike(local, kernel, *local_type, m.type_id))
                .map(|m| m.type_id),
            Step::Index(index) => {
                ty.array().filter(|(_, count)| *count == 0 || index < count).map(|(element, _)| element)
            }
            Step::Enumerator(_) => None,
        };
        match next {
            Some(next) => at = next,
            None => return false,
        }
    }
    true
}

/// A member by name, looking into anonymous structs and unions until the budget of members is used up.
fn find_field(btf: &Btf<'_>, ty: &Type<'_>, name: &str, budget: &mut usize) -> Option<Member> {
    for member in ty.members() {
        *budget = budget.checked_sub(1)?;
        let own = btf.text(member.name_off);
        if own == name {
            return Some(member);
        }
        if own.is_empty() {
            let inner = btf.skip_modifiers(member.type_id).filter(|(_, ty)| ty.kind.is_composite());
            // An anonymous struct lies before its user in every sound BTF, so this cannot turn in circles for long.
            if let Some(found) = inner.filter(|_| *budget > 0).and_then(|(_, ty)| find_field(btf, &ty, name, budget)) {
                return Some(found);
            }
        }
    }
    None
}

/// Whether two fields can stand for each other, after `bpf_core_fields_are_compat`.
fn alike(local: &Btf<'_>, kernel: &Btf<'_>, a: u32, b: u32) -> bool {
    let (mut a, mut b) = (a, b);
    for _ in 0..MAX_DEPTH {
        let (Some((_, x)), Some((_, y))) = (local.skip_modifiers(a), kernel.skip_modifiers(b)) else { return false };
        match (x.kind, y.kind) {
            (Kind::Struct | Kind::Union, Kind::Struct | Kind::Union) => return true,
            (Kind::Ptr, Kind::Ptr) | (Kind::Float, Kind::Float) | (Kind::Int, Kind::Int) => return true,
            (p, q) if p.is_enum() && q.is_enum() => return true,
            (Kind::Fwd, Kind::Fwd) => return essential(local.name(&x)) == essential(kernel.name(&y)),
            (Kind::Array, Kind::Array) => match (x.array(), y.array()) {
                (Some((p, _)), Some((q, _))) => (a, b) = (p, q),
                _ => return false,
            },
            _ => return false,
        }
    }
    false
}

fn is_root(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Int | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Fwd | Kind::Typedef | Kind::Float
    )
}

/// `BPF_CORE_SPEC_MAX_LEN` of libbpf.
const MAX_STEPS: usize = 64;
const MAX_DEPTH: usize = 32;
/// The largest kernel structs have a few hundred members; a circle of anonymous members ends here.
const MOST_MEMBERS: usize = 2_000;

#[cfg(test)]
mod tests {
    #[test]
    fn flavours_are_cut() {
        assert_eq!(super::essential("task_struct___old"), "task_struct");
        assert_eq!(super::essential("___x"), "___x");
        assert_eq!(super::essential("a___"), "a___");
    }
}
