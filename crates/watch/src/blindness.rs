//! What a start cannot see, in terms of rules: programs that the kernel refused come in, lines that name the lost events,
//! the cause and the rules that will stay silent go out. A rule is blind only when every event it runs on is lost; a rule
//! that loses some is named as weakened.

use crate::log::Log;
use crate::prepare::Prepared;
use event::Sc;
use sensor::Blind;
use serde_json::Value;
use std::collections::BTreeSet;

/// Which events each enabled rule runs on.
#[derive(Debug, Clone, Default)]
pub struct Needs(Vec<(String, BTreeSet<String>)>);

impl Needs {
    pub fn of(prepared: &Prepared) -> Needs {
        let description = prepared.loader.describe();
        let rules = description["rules"].as_array().cloned().unwrap_or_default();
        let is_enabled =
            |name: &str| prepared.rules.by_name(name).is_some_and(|rule| prepared.rules.is_enabled(rule.id));
        let needs = rules.iter().filter_map(|rule| {
            let name = rule["info"]["name"].as_str().filter(|name| is_enabled(name))?.to_owned();
            let events = rule["details"]["events"].as_array()?;
            Some((name, events.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
        });
        Needs(needs.collect())
    }

    /// The rules all of whose events are in `lost`, and those that lose some.
    pub fn affected(&self, lost: &BTreeSet<&str>) -> (Vec<&str>, Vec<&str>) {
        let (mut blind, mut weakened) = (Vec::new(), Vec::new());
        for (rule, events) in self.0.iter().filter(|(_, events)| !events.is_empty()) {
            match events.iter().filter(|event| lost.contains(event.as_str())).count() {
                0 => {}
                count if count == events.len() => blind.push(rule.as_str()),
                _ => weakened.push(rule.as_str()),
            }
        }
        (blind, weakened)
    }
}

/// Logs what `blind` means for the rules.
pub fn report(blind: &[Blind], needs: &Needs, log: &Log) {
    for program in blind {
        log.warning(&format!(
            "not seen on this kernel: {} (program `{}`): {}",
            program.events, program.program, program.cause
        ));
        tell(needs, &lost_with(&program.program), log);
    }
}

/// Logs which rules miss the system calls that configuration left out.
pub fn report_unselected(missing: &BTreeSet<Sc>, needs: &Needs, log: &Log) {
    let lost = missing.iter().filter_map(|sc| sc.name()).collect();
    tell(needs, &lost, log);
}

fn tell(needs: &Needs, lost: &BTreeSet<&str>, log: &Log) {
    let (blind, weakened) = needs.affected(lost);
    if !blind.is_empty() {
        log.warning(&format!("   these rules cannot fire: {}", blind.join(", ")));
    }
    if !weakened.is_empty() {
        log.warning(&format!("   these rules see only some of their events: {}", weakened.join(", ")));
    }
}

/// The names of the events that a program of the sensor carries.
fn lost_with(program: &str) -> BTreeSet<&'static str> {
    CARRIES
        .iter()
        .find(|(name, _)| *name == program)
        .map(|(_, events)| events.iter().copied().collect())
        .unwrap_or_default()
}

/// Programs without which watching goes on, and the events (as rules name them) that come through each alone. The rows of
/// bpf/recipes.h say the same for the kernel side.
const CARRIES: &[(&str, &[&str])] = &[
    (
        "fill_net",
        &[
            "accept",
            "accept4",
            "bind",
            "connect",
            "getsockopt",
            "preadv",
            "process_vm_readv",
            "process_vm_writev",
            "pwritev",
            "readv",
            "recv",
            "recvfrom",
            "recvmmsg",
            "recvmsg",
            "send",
            "sendmmsg",
            "sendmsg",
            "sendto",
            "setsockopt",
            "socketpair",
            "writev",
        ],
    ),
    (
        "fill_misc",
        &[
            "fsconfig",
            "getrlimit",
            "io_uring_setup",
            "keyctl",
            "open_by_handle_at",
            "poll",
            "ppoll",
            "prctl",
            "prlimit",
            "ptrace",
            "quotactl",
            "semctl",
            "semop",
            "setrlimit",
        ],
    ),
    ("fill_clone", &["clone", "clone3", "fork", "vfork"]),
    // Execs that fail come through `fill_exec`, the others through this one.
    ("on_exec", &["execve", "execveat"]),
    ("on_exit", &["procexit"]),
    ("on_switch", &["switch"]),
    ("on_signal", &["signaldeliver"]),
    ("on_fault_user", &["page_fault"]),
    ("on_fault_kernel", &["page_fault"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carried_events_exist() {
        let exists = |name: &str| event::tables::events().iter().any(|info| info.name == name);
        for (program, events) in CARRIES {
            assert!(events.iter().all(|name| exists(name)), "{program}");
        }
    }

    #[test]
    fn tells_blind_from_weakened() {
        let events = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let needs = Needs(vec![
            ("a".into(), events(&["connect"])),
            ("b".into(), events(&["connect", "open"])),
            ("c".into(), events(&["open"])),
        ]);
        assert_eq!(needs.affected(&BTreeSet::from(["connect"])), (vec!["a"], vec!["b"]));
    }
}
