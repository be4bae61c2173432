//! `test` and `explain`: recorded or described packets come in, verdicts with rule and reason go out. No interface is
//! touched. Where the kernel may not be used the interpreter judges alone, and the output says so.

use super::args::{DirectionArg, ExplainArgs, TestArgs};
use super::policy::{read_file, refuse};
use super::{print, print_json};
use crate::exit::{Exit, Failure, Outcome};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use traffic::flow_text;
use traffic::interpret::Decision;
use traffic::packet::{self, Packet};
use traffic::pcap::Frames;
use traffic::policy::read::net;
use traffic::policy::{Direction, Directions, Policy, Verdict};
use traffic::replay::{Group, Groups, Judge};

/// The one policy that is meant, or the exit after its problems were shown.
fn one_policy(file: &Path, name: Option<&str>, as_json: bool) -> Result<Result<Policy, Exit>, Failure> {
    let policies = match read_file(file)? {
        Ok(policies) => policies,
        Err(findings) => return refuse(&findings, as_json).map(Err),
    };
    let several = policies.len() > 1;
    let mut fitting = policies.into_iter().filter(|p| name.is_none_or(|name| p.name == name));
    match (fitting.next(), several && name.is_none()) {
        (Some(policy), false) => Ok(Ok(policy)),
        (_, true) => Err(Failure::message(format!("policy file `{}`: holds several policies", file.display()))
            .help("choose one with `--name`")),
        (None, _) => Err(Failure::message(format!("policy file `{}`: has no policy of that name", file.display()))),
    }
}

/// Which way frames go.
struct Compass {
    fixed: Direction,
    local: Vec<ipnet::IpNet>,
}

impl Compass {
    fn new(wanted: Option<DirectionArg>, local: &[String], policy: &Policy) -> Result<Compass, Failure> {
        let fixed = match (wanted, policy.direction) {
            (Some(DirectionArg::In), _) | (None, Directions::In) => Direction::In,
            _ => Direction::Out,
        };
        let local = local.iter().map(|text| net(text).ok_or_else(|| Failure::message(format!("`{text}` is no CIDR"))));
        Ok(Compass { fixed, local: local.collect::<Result<_, _>>()? })
    }

    fn of(&self, frame: &[u8]) -> Direction {
        if self.local.is_empty() {
            return self.fixed;
        }
        match packet::read(frame) {
            Ok(Packet::Ip(ip)) if self.local.iter().any(|net| net.contains(&ip.source)) => Direction::Out,
            _ => Direction::In,
        }
    }
}

pub fn test(args: &TestArgs) -> Outcome {
    let policy = match one_policy(&args.policy, args.name.as_deref(), args.json)? {
        Ok(policy) => policy,
        Err(exit) => return Ok(exit),
    };
    let capture = std::fs::read(&args.capture);
    let capture = capture.map_err(|e| Failure::message(format!("capture `{}`: {e}", args.capture.display())))?;
    let compass = Compass::new(args.direction, &args.local, &policy)?;
    let replayed = replay(&policy, &capture, args, &compass)?;
    if let Some(other) = &args.diff {
        let other = match one_policy(other, None, args.json)? {
            Ok(other) => other,
            Err(exit) => return Ok(exit),
        };
        return tell_difference(args, &replayed, &replay(&other, &capture, args, &compass)?);
    }
    if let Some(expected) = &args.expect {
        return compare(expected, &replayed, args.json);
    }
    tell(&replayed, args.json)
}

/// What became of a capture.
struct Replayed {
    groups: Vec<Group>,
    judge: Judge,
    frames: u64,
    passed: u64,
    /// Per frame: whether it passes.
    verdicts: Vec<Verdict>,
}

fn replay(policy: &Policy, capture: &[u8], args: &TestArgs, compass: &Compass) -> Result<Replayed, Failure> {
    let broken = |e| Failure::message(format!("capture `{}`: {e}", args.capture.display()));
    let mut judge = Judge::new(policy)?;
    let (mut groups, mut frames, mut passed, mut verdicts) = (Groups::default(), 0, 0, Vec::new());
    for frame in Frames::open(capture).map_err(broken)? {
        let frame = frame.map_err(broken)?;
        frames += 1;
        let direction = compass.of(frame.bytes);
        let decision = judge
            .judge(frame.bytes, direction, frame.time_nanos)
            .map_err(|e| Failure::message(format!("frame {frames}: {e}")))?;
        passed += u64::from(decision.passes);
        verdicts.push(decision.verdict);
        groups.add(frame.bytes, direction, decision, frames);
    }
    Ok(Replayed { groups: groups.into_vec(), judge, frames, passed, verdicts })
}

fn described(replayed: &Replayed, group: &Group) -> Value {
    json!({
        "flow": group.flow,
        "direction": group.direction,
        "verdict": group.decision.verdict,
        "passes": group.decision.passes,
        "reason": group.decision.reason,
        "rule": replayed.judge.rule(group.decision.rule),
        "audited": replayed.judge.rule(group.decision.audited),
        "packets": group.packets,
        "bytes": group.bytes,
        "first": group.first,
    })
}

fn tell(replayed: &Replayed, as_json: bool) -> Outcome {
    let dropped = replayed.frames - replayed.passed;
    if as_json {
        let flows: Vec<Value> = replayed.groups.iter().map(|group| described(replayed, group)).collect();
        return print_json(&json!({
            "frames": replayed.frames,
            "passed": replayed.passed,
            "dropped": dropped,
            "judged_by": if replayed.judge.without_kernel.is_some() { "interpreter" } else { "kernel" },
            "refused_by_kernel": replayed.judge.refused_by_kernel,
            "forgotten": replayed.judge.forgotten,
            "verdicts": replayed.verdicts,
            "flows": flows,
        }));
    }
    let mut text = String::new();
    for group in &replayed.groups {
        let _ = writeln!(text, "{}", line(&replayed.judge, group));
    }
    let _ = writeln!(text, "{} frames: {} pass, {dropped} dropped", replayed.frames, replayed.passed);
    note_judges(&replayed.judge, &mut text);
    Ok(print(&text)?)
}

fn line(judge: &Judge, group: &Group) -> String {
    let packets = if group.packets == 1 { "packet" } else { "packets" };
    format!("{} {:<4} {}  ({} {packets})", why(judge, &group.decision), group.direction, group.flow, group.packets)
}

/// `drop default`, `pass rule web`, `pass (AUDIT drop) rule web`.
fn why(judge: &Judge, decision: &Decision) -> String {
    let done = match (decision.verdict, decision.passes) {
        (Verdict::Allow, _) => "pass",
        (Verdict::Deny, false) => "drop",
        (Verdict::Deny, true) => "pass (AUDIT drop)",
    };
    let rule = judge.rule(decision.rule).map_or(String::new(), |rule| format!(" {rule}"));
    let audited = judge.rule(decision.audited).map_or(String::new(), |rule| format!(" (AUDIT {rule})"));
    format!("{done} {}{rule}{audited}", decision.reason)
}

fn note_judges(judge: &Judge, text: &mut String) {
    if let Some(why) = &judge.without_kernel {
        let _ = writeln!(text, "judged by the interpreter alone: {why}");
        return;
    }
    if judge.forgotten > 0 {
        let _ = writeln!(
            text,
            "{} frames of flows for which the memory had no room, judged anew (see `stateful: {{capacity: N}}`)",
            judge.forgotten
        );
    }
    if judge.refused_by_kernel > 0 {
        let _ = writeln!(
            text,
            "{} frames too short for a test run, judged by the interpreter alone",
            judge.refused_by_kernel
        );
    }
}

fn tell_difference(args: &TestArgs, old: &Replayed, new: &Replayed) -> Outcome {
    let fate = |replayed: &Replayed| -> BTreeMap<(String, Direction), Vec<String>> {
        let mut fates = BTreeMap::new();
        for group in &replayed.groups {
            let all: &mut Vec<String> = fates.entry((group.flow.clone(), group.direction)).or_default();
            let verdict = group.decision.verdict.to_string();
            if !all.contains(&verdict) {
                all.push(verdict);
            }
        }
        fates
    };
    let (old, new) = (fate(old), fate(new));
    let changed: Vec<_> = old
        .iter()
        .filter_map(|(flow, was)| Some((flow, was, new.get(flow)?)))
        .filter(|(_, was, is)| was != is)
        .collect();
    if args.json {
        let described: Vec<Value> = changed
            .iter()
            .map(|((flow, direction), was, is)| json!({"flow": flow, "direction": direction, "was": was, "is": is}))
            .collect();
        print_json(&described)?;
    } else {
        for ((flow, direction), was, is) in &changed {
            print(&format!("{direction:<4} {flow}: {} -> {}", was.join("+"), is.join("+")))?;
        }
        print(&format!("{} of {} flows change their verdict", changed.len(), old.len()))?;
    }
    Ok(Exit::OK)
}

/// The part of `test --json` that `--expect` looks at.
#[derive(Deserialize)]
struct Expected {
    verdicts: Vec<String>,
}

fn compare(path: &Path, replayed: &Replayed, as_json: bool) -> Outcome {
    let wrong = |e: &dyn std::fmt::Display| Failure::message(format!("expectations `{}`: {e}", path.display()));
    let text = std::fs::read(path).map_err(|e| wrong(&e))?;
    let expected: Expected = serde_json::from_slice(&text).map_err(|e| {
        wrong(&e)
            .help("write `{\"verdicts\": [\"allow\", \"deny\", ...]}`, one per frame, or keep the output of `--json`")
    })?;
    let mut differences = Vec::new();
    let frames = replayed.verdicts.len().max(expected.verdicts.len());
    for at in 0..frames {
        let is = replayed.verdicts.get(at).map(ToString::to_string);
        let wanted = expected.verdicts.get(at);
        if is.as_ref() != wanted {
            differences.push(json!({"frame": at + 1, "expected": wanted, "verdict": is}));
        }
    }
    if as_json {
        print_json(&json!({"frames": frames, "differences": differences}))?;
    } else {
        for difference in &differences {
            print(&difference.to_string())?;
        }
        print(&format!("{frames} frames, {} differ from what was expected", differences.len()))?;
    }
    Ok(if differences.is_empty() { Exit::OK } else { Exit::FAILED })
}

pub fn explain(args: &ExplainArgs) -> Outcome {
    let policy = match one_policy(&args.policy, args.name.as_deref(), args.json)? {
        Ok(policy) => policy,
        Err(exit) => return Ok(exit),
    };
    let frame = flow_text::frame(&args.flow.join(" ")).map_err(Failure::message)?;
    let direction = Compass::new(args.direction, &[], &policy)?.fixed;
    let mut judge = Judge::new(&policy)?;
    let decision = judge.judge(&frame, direction, 1)?;
    let flow = traffic::replay::flow_name(&frame);
    if args.json {
        return print_json(&json!({
            "flow": flow,
            "direction": direction,
            "verdict": decision.verdict,
            "passes": decision.passes,
            "reason": decision.reason,
            "rule": judge.rule(decision.rule),
            "audited": judge.rule(decision.audited),
        }));
    }
    let mut text = format!("{} {direction} {flow}\n", why(&judge, &decision));
    note_judges(&judge, &mut text);
    Ok(print(&text)?)
}
