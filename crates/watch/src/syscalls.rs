//! Which system calls the sensor lets through: what rules need and what configuration says come in, a set goes out,
//! together with what the rules will miss. The base set keeps the process and file tables right; high-volume input and
//! output is left out unless asked for.

use crate::config::Syscalls;
use event::{EventFlags, EventInfo, Kind, Sc, tables};
use std::collections::BTreeSet;

/// What was decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    pub selected: BTreeSet<Sc>,
    /// Needed by rules, but not selected.
    pub missing: BTreeSet<Sc>,
    /// Names in `custom_set` that no system call has.
    pub unknown_positive: Vec<String>,
    pub unknown_negative: Vec<String>,
}

/// Decides for rules that need `needed`.
pub fn select(needed: &BTreeSet<Sc>, config: &Syscalls) -> Selection {
    let mut result = Selection::default();
    let (mut positive, mut negative) = (BTreeSet::new(), BTreeSet::new());
    for name in &config.custom {
        match name.strip_prefix('!') {
            Some(name) => match Sc::by_name(name) {
                Some(sc) => _ = negative.insert(sc),
                None => result.unknown_negative.push(name.to_owned()),
            },
            None => match Sc::by_name(name) {
                Some(sc) => _ = positive.insert(sc),
                None => result.unknown_positive.push(name.clone()),
            },
        }
    }
    let custom = !positive.is_empty();
    let mut selected: BTreeSet<Sc> = match (custom, config.repair) {
        (false, true) => repaired(needed),
        (true, _) => needed.union(&positive).copied().collect(),
        (false, false) => needed.union(&state_set()).copied().collect(),
    };
    selected.retain(|sc| !negative.contains(sc));
    if !config.all {
        let ignored = ignored_set();
        selected.retain(|sc| !ignored.contains(sc));
    }
    if config.repair && custom {
        selected = repaired(&selected);
    }
    // Without the end of processes the tables would only grow.
    selected.insert(Sc::SCHED_PROCESS_EXIT);
    result.missing = needed.difference(&selected).copied().collect();
    result.selected = selected;
    result
}

/// The calls whose events change the process or file tables.
pub fn state_set() -> BTreeSet<Sc> {
    by_exit_kind(|kind| kind.has(EventFlags::MODIFIES_STATE))
}

/// High-volume input and output that no table depends on.
pub fn ignored_set() -> BTreeSet<Sc> {
    let moves_data = |kind: Kind| kind.info().is_some_and(|info| matches!(info.category, "io_read" | "io_write"));
    by_exit_kind(|kind| moves_data(kind) && !kind.has(EventFlags::MODIFIES_STATE))
}

/// `set` and the least that keeps what its events say right.
fn repaired(set: &BTreeSet<Sc>) -> BTreeSet<Sc> {
    let mut all: BTreeSet<Sc> = set.iter().copied().chain(named(PROCESSES)).collect();
    let category = |sc: &Sc| sc.exit_kind().and_then(Kind::info).map_or("", |info| info.category);
    let needs_sockets = set.iter().any(|sc| matches!(category(sc), "net" | "ipc"));
    let uses_fds = set.iter().any(|sc| sc.exit_kind().is_some_and(|kind| kind.has(USES_FDS)));
    if needs_sockets {
        all.extend(named(SOCKETS));
    }
    if uses_fds {
        all.extend(named(CLOSE));
    }
    all
}

fn by_exit_kind(wanted: impl Fn(Kind) -> bool) -> BTreeSet<Sc> {
    Sc::all().filter(|sc| kind_of(*sc).is_some_and(&wanted)).collect()
}

/// The exit event of a call; for calls that only 32-bit programs make (`recv`, `setuid32`, `fcntl64`), the event of the
/// same name.
fn kind_of(sc: Sc) -> Option<Kind> {
    let old = EventFlags(EventFlags::OLD_VERSION.0 | EventFlags::UNUSED.0);
    let name = sc.name()?;
    let plain = name.strip_suffix("32").or_else(|| name.strip_suffix("64")).unwrap_or(name);
    let is_its = |info: &&EventInfo| info.name == plain && !info.is_enter && !info.flags.has(old);
    sc.exit_kind().or_else(|| tables::events().iter().find(is_its).map(|info| info.kind))
}

fn named(names: &'static [&'static str]) -> impl Iterator<Item = Sc> {
    names.iter().filter_map(|name| Sc::by_name(name))
}

/// The lower-case names of `set`, sorted.
pub fn names(set: &BTreeSet<Sc>) -> Vec<&'static str> {
    let mut names: Vec<&str> = set.iter().filter_map(|sc| sc.name()).collect();
    names.sort_unstable();
    names
}

const USES_FDS: EventFlags = EventFlags(EventFlags::CREATES_FD.0 | EventFlags::USES_FD.0 | EventFlags::DESTROYS_FD.0);
const PROCESSES: &[&str] = &[
    "clone",
    "clone3",
    "fork",
    "vfork",
    "execve",
    "execveat",
    "chdir",
    "fchdir",
    "chroot",
    "capset",
    "setuid",
    "setgid",
    "setresuid",
    "setresgid",
    "setreuid",
    "setregid",
    "setpgid",
    "setsid",
    "prctl",
];
const SOCKETS: &[&str] = &["socket", "getsockopt", "bind", "close"];
const CLOSE: &[&str] = &["close"];

#[cfg(test)]
mod tests {
    use super::*;

    fn sc(name: &str) -> Sc {
        Sc::by_name(name).unwrap()
    }

    fn config(custom: &[&str], repair: bool, all: bool) -> Syscalls {
        Syscalls { custom: custom.iter().map(|n| (*n).to_owned()).collect(), repair, all }
    }

    #[test]
    fn the_base_set_holds_state_and_no_bulk_data() {
        assert_eq!(state_set().len(), 67, "the 70 of the reference without three scheduler hooks");
        let needed = BTreeSet::from([sc("mount"), sc("read")]);
        let chosen = select(&needed, &config(&[], false, false));
        assert!(chosen.selected.contains(&sc("mount")) && chosen.selected.contains(&sc("openat")));
        assert_eq!(chosen.missing, BTreeSet::from([sc("read")]));
        assert!(select(&needed, &config(&[], false, true)).missing.is_empty());
    }

    #[test]
    fn custom_sets_replace_the_base() {
        let needed = BTreeSet::from([sc("mount"), sc("open")]);
        let chosen = select(&needed, &config(&["ptrace", "!open", "nonsense", "!rubbish"], false, false));
        assert_eq!(chosen.selected, BTreeSet::from([sc("mount"), sc("ptrace"), Sc::SCHED_PROCESS_EXIT]));
        assert_eq!(chosen.missing, BTreeSet::from([sc("open")]));
        assert_eq!(
            (chosen.unknown_positive, chosen.unknown_negative),
            (vec!["nonsense".into()], vec!["rubbish".into()])
        );
    }

    #[test]
    fn repair_adds_the_least() {
        let chosen = select(&BTreeSet::from([sc("connect")]), &config(&[], true, false)).selected;
        assert!(chosen.contains(&sc("execve")) && chosen.contains(&sc("socket")) && !chosen.contains(&sc("openat")));
    }
}
