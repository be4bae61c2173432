//! `list`, `show`, `detach`, `watch` and `metrics`: what is attached comes from the kernel, tables and JSON go out.

use super::args::{DetachArgs, ListArgs, NamedArgs, WatchArgs};
use super::target::{inside, netns_path};
use super::{print, print_json};
use crate::exit::{Exit, Failure, Outcome};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use traffic::attach::{self, Attached, Ring};
use traffic::counters::{self, Counters, escaped};
use traffic::hits::Hit;

/// All attached policies, in the namespace that is asked for.
fn all(args: &ListArgs) -> Result<Vec<Attached>, Failure> {
    let netns = args.netns.as_deref().map(netns_path);
    inside(netns.as_deref(), || Ok(attach::list(args.place.bpffs.as_deref())?))
}

pub fn list(args: &ListArgs) -> Outcome {
    let all = all(args)?;
    if args.json {
        let described = all.iter().map(|a| {
            let mut value = summary(a, None);
            value["mixed"] = a.is_mixed(&all).into();
            value
        });
        return print_json(&described.collect::<Vec<_>>());
    }
    if all.is_empty() {
        let hidden = attach::are_hidden(args.place.bpffs.as_deref());
        let more =
            if hidden { " as far as can be seen: no BPF file system is visible here (see `--netns`)" } else { "" };
        return Ok(print(&format!("no policy is attached{more}"))?);
    }
    let mut text = format!(
        "{:<24} {:<12} {:<5} {:<7} {:>4} {:<8} {:>10} {:>10}\n",
        "POLICY", "INTERFACE", "DIR", "BY", "VER", "MODE", "PACKETS", "DENIED"
    );
    for group in groups(&all)? {
        let a = group.first;
        let (packets, denied) = group.counters.rows().fold((0, 0), |(p, d), row| (p + row.packets, d + row.denied));
        let mode = match (a.is_stale(), a.is_mixed(&all), a.meta.audit) {
            (true, ..) => "STALE",
            (_, true, _) => "MIXED",
            (_, _, true) => "AUDIT",
            _ => "enforce",
        };
        let by = format!("{:?}", a.mechanism).to_lowercase();
        let _ = writeln!(
            text,
            "{:<24} {:<12} {:<5} {by:<7} {:>4} {mode:<8} {packets:>10} {denied:>10}",
            a.meta.policy, a.meta.interface, group.direction, a.meta.generation
        );
    }
    if all.iter().any(|a| a.is_mixed(&all) && !a.is_stale()) {
        text.push_str("MIXED: an update was interrupted between the directions; `apply` the policy again\n");
    }
    if all.iter().any(Attached::is_stale) {
        text.push_str("STALE: the interface is gone; `hawkbell traffic detach --stale` cleans up\n");
    }
    Ok(print(&text)?)
}

/// What counts together: the programs of a policy's directions share their counters.
struct Group<'a> {
    first: &'a Attached,
    /// `in`, `out` or `both`.
    direction: String,
    counters: Counters,
}

/// The attachments by their counters, in the order of the first ones.
fn groups(all: &[Attached]) -> Result<Vec<Group<'_>>, Failure> {
    let mut groups: Vec<(u32, Group<'_>)> = Vec::new();
    for a in all {
        let id = a.map("counters")?.id()?;
        match groups.iter_mut().find(|(known, _)| *known == id) {
            Some((_, group)) => "both".clone_into(&mut group.direction),
            None => groups.push((id, Group { first: a, direction: a.direction.to_string(), counters: a.counters()? })),
        }
    }
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

fn summary(a: &Attached, counters: Option<&Counters>) -> Value {
    let mut value = json!({
        "policy": a.meta.policy,
        "interface": a.meta.interface,
        "ifindex": a.ifindex,
        "netns_inode": a.meta.netns_inode,
        "direction": a.direction,
        "mechanism": a.mechanism,
        "program_id": a.program_id,
        "generation": a.meta.generation,
        "digest": a.meta.digest,
        "audit": a.meta.audit,
        "stale": a.is_stale(),
    });
    if let (Some(counters), Some(object)) = (counters, value.as_object_mut()) {
        object.insert("rules".to_owned(), json!(a.meta.lines));
        object.insert("counters".to_owned(), json!(counters));
    }
    value
}

/// The attachments of one policy.
fn named(args: &NamedArgs) -> Result<Vec<Attached>, Failure> {
    let found: Vec<Attached> = all(&args.list)?.into_iter().filter(|a| a.meta.policy == args.policy).collect();
    if found.is_empty() {
        let text = format!("policy `{}`: is not attached", args.policy);
        return Err(Failure::message(text).help("`hawkbell traffic list` shows what is"));
    }
    Ok(found)
}

pub fn show(args: &NamedArgs) -> Outcome {
    let found = named(args)?;
    let mut values = Vec::new();
    for group in groups(&found)? {
        if args.list.json {
            let mut value = summary(group.first, Some(&group.counters));
            value["direction"] = group.direction.into();
            values.push(value);
        } else {
            print(&page(&group))?;
        }
    }
    if args.list.json { print_json(&values) } else { Ok(Exit::OK) }
}

fn page(group: &Group<'_>) -> String {
    let Group { first: a, direction, counters } = group;
    let mode = if a.meta.audit { "AUDIT: nothing is dropped" } else { "enforce" };
    let mut text = format!(
        "policy {} on {}, direction {direction} (version {}, {mode})\n",
        a.meta.policy, a.meta.interface, a.meta.generation
    );
    a.meta.lines.iter().for_each(|line| _ = writeln!(text, "  {line}"));
    let _ = writeln!(
        text,
        "  {:<32} {:>10} {:>12} {:>11} {:>8} {:>8} {:>9}",
        "COUNTER", "PACKETS", "BYTES", "ESTABLISHED", "AUDITED", "DENIED", "LOST-HITS"
    );
    for row in counters.rows() {
        let _ = writeln!(
            text,
            "  {:<32} {:>10} {:>12} {:>11} {:>8} {:>8} {:>9}",
            row.name, row.packets, row.bytes, row.established, row.audited, row.denied, row.lost_hits
        );
    }
    let _ = writeln!(text, "  flows remembered: {} ({} without room)", counters.flows.packets, counters.flows.denied);
    text
}

pub fn detach(args: &DetachArgs) -> Outcome {
    let netns = args.list.netns.as_deref().map(netns_path);
    let mut detached = Vec::new();
    let missing = inside(netns.as_deref(), || {
        let all = attach::list(args.list.place.bpffs.as_deref())?;
        let missing: Vec<String> =
            args.policies.iter().filter(|name| !all.iter().any(|a| a.meta.policy == **name)).cloned().collect();
        for a in all.into_iter().filter(|a| is_meant(a, args)) {
            detached.push(summary(&a, None));
            attach::detach(a)?;
        }
        Ok(missing)
    })?;
    if args.list.json {
        print_json(&json!({"detached": detached, "not_attached": missing}))?;
    } else {
        for a in &detached {
            print(&format!(
                "policy {}: detached from {} {}",
                text(a, "policy"),
                text(a, "interface"),
                text(a, "direction")
            ))?;
        }
    }
    match missing.first() {
        Some(name) => Err(Failure::message(format!("policy `{name}`: is not attached"))),
        None => Ok(Exit::OK),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn is_meant(a: &Attached, args: &DetachArgs) -> bool {
    let by_name = args.all || args.policies.contains(&a.meta.policy);
    let by_place = args.interface.as_ref().is_none_or(|name| *name == a.meta.interface);
    if args.stale { a.is_stale() && (by_name || args.policies.is_empty()) } else { by_name && by_place }
}

pub fn metrics(args: &ListArgs) -> Outcome {
    let mut samples = String::new();
    for group in groups(&all(args)?)? {
        let labels = format!(
            "policy=\"{}\",interface=\"{}\",direction=\"{}\",netns=\"{}\"",
            escaped(&group.first.meta.policy),
            escaped(&group.first.meta.interface),
            group.direction,
            group.first.meta.netns_inode
        );
        group.counters.prometheus(&labels, &mut samples);
    }
    Ok(print(&counters::exposition(&samples))?)
}

pub fn watch(args: &WatchArgs) -> Outcome {
    let found = named(&NamedArgs { policy: args.policy.clone(), list: clone(&args.list) })?;
    let first = found.first().ok_or_else(|| Failure::message("no attachment"))?;
    let signals = signals()?;
    let hits = first.map("hits")?;
    let mut ring = Ring::map(hits.as_fd(), hits.max_entries() as usize)?;
    let end = args.duration.map(|time| Instant::now() + time);
    let lost_before = lost_hits(first)?;
    let mut shown = 0;
    while args.count.is_none_or(|count| shown < count) && end.is_none_or(|end| Instant::now() < end) {
        let mut lines = Vec::new();
        while let Some(bytes) = ring.peek() {
            lines.extend(Hit::parse(bytes, &first.meta.rules));
            ring.advance();
        }
        ring.publish();
        for hit in lines {
            print(&if args.list.json { serde_json::to_string(&hit)? } else { hit.line() })?;
            shown += 1;
        }
        if stopped(&signals)? {
            break;
        }
    }
    let lost = lost_hits(first)?.saturating_sub(lost_before);
    if lost > 0 {
        let _ = writeln!(
            std::io::stderr(),
            "{lost} more were not shown: over ten a second and rule, or no room in the ring"
        );
    }
    Ok(Exit::OK)
}

fn lost_hits(a: &Attached) -> Result<u64, Failure> {
    Ok(a.counters()?.rows().map(|row| row.lost_hits).sum())
}

fn clone(args: &ListArgs) -> ListArgs {
    ListArgs {
        place: super::args::BpffsArgs { bpffs: args.place.bpffs.clone() },
        netns: args.netns.clone(),
        json: args.json,
    }
}

/// The signals that end a command, as a descriptor.
pub fn signals() -> Result<SignalFd, std::io::Error> {
    let mut mask = SigSet::empty();
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().for_each(|signal| mask.add(signal));
    mask.thread_block()?;
    Ok(SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC)?)
}

/// Waits a moment for a signal.
fn stopped(signals: &SignalFd) -> Result<bool, std::io::Error> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut waiting = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(Duration::from_millis(POLL_MILLIS)).unwrap_or(PollTimeout::ZERO);
    Ok(poll(&mut waiting, timeout)? > 0)
}

/// Rare records need no wake-ups: a look ten times a second is enough for eyes.
const POLL_MILLIS: u64 = 100;
