//! `validate`, `plan` and `apply`: policy files come in, findings, differences and attachments go out. Nothing is attached
//! unless every file and every target is right.

use super::args::{ApplyArgs, FilesArgs, MechanismArg};
use super::target::Target;
use super::{print, print_json};
use crate::exit::{Exit, Failure, Outcome};
use diag::Finding;
use serde_json::json;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;
use traffic::attach::{self, Applied, Mechanism, Options};
use traffic::describe;
use traffic::policy::{Policy, read};

pub fn validate(args: &FilesArgs) -> Outcome {
    let mut all = Vec::new();
    for file in &args.files {
        match read_file(file)? {
            Ok(policies) => all.extend(policies),
            Err(findings) => return refuse(&findings, args.json),
        }
    }
    if args.json {
        let described: Vec<_> = all.iter().map(|p| json!({"policy": p.name, "lines": describe::lines(p)})).collect();
        return print_json(&json!({"valid": true, "policies": described}));
    }
    for policy in &all {
        let rules = policy.rules.len();
        print(&format!("policy {}: valid, {rules} {}", policy.name, if rules == 1 { "rule" } else { "rules" }))?;
    }
    Ok(Exit::OK)
}

/// Policies of a file, or its problems.
pub fn read_file(path: &Path) -> Result<Result<Vec<Policy>, Vec<Finding>>, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    read.map_err(|e| Failure::message(format!("policy file `{}`: {e}", path.display())))?;
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    Ok(read::read(&path.display().to_string(), &text, &|set| std::fs::read_to_string(folder.join(set))))
}

/// Shows the problems; nothing else happens.
pub fn refuse(findings: &[Finding], as_json: bool) -> Outcome {
    if as_json {
        print_json(&json!({"valid": false, "findings": findings}))?;
    } else {
        let mut err = std::io::stderr().lock();
        findings.iter().try_for_each(|finding| writeln!(err, "{finding}"))?;
    }
    Ok(Exit::FAILED)
}

/// All policies of all files with their targets, or the exit after problems were shown.
fn prepared(args: &ApplyArgs) -> Result<Result<Vec<(Policy, Target)>, Exit>, Failure> {
    let mut all = Vec::new();
    for file in &args.files {
        match read_file(file)? {
            Err(findings) => return refuse(&findings, args.json).map(Err),
            Ok(policies) => {
                for policy in policies {
                    let target = Target::of(&policy, args.interface.as_deref(), args.netns.as_deref())?;
                    all.push((policy, target));
                }
            }
        }
    }
    for (_, target) in &all {
        target.run(|_| Ok(()))?;
    }
    Ok(Ok(all))
}

fn options(args: &ApplyArgs) -> Options {
    let mechanism = args.mechanism.map(|mechanism| match mechanism {
        MechanismArg::Tcx => Mechanism::Tcx,
        MechanismArg::Clsact => Mechanism::Clsact,
    });
    Options { bpffs: args.place.bpffs.clone(), mechanism, ..Options::default() }
}

pub fn plan(args: &ApplyArgs) -> Outcome {
    let all = match prepared(args)? {
        Ok(all) => all,
        Err(exit) => return Ok(exit),
    };
    let mut changes = Vec::new();
    for (policy, target) in &all {
        let live = target.run(|place| {
            let list = attach::list(args.place.bpffs.as_deref())?;
            let here = |a: &&attach::Attached| {
                a.meta.policy == policy.name && a.ifindex == place.ifindex && a.meta.netns_inode == place.netns_inode
            };
            Ok(list.iter().find(here).map(|a| a.meta.lines.clone()))
        })?;
        let lines = describe::lines(policy);
        let action = match &live {
            None => "attach",
            Some(old) if *old == lines => "keep",
            Some(_) => "replace",
        };
        let difference = describe::difference(&live.unwrap_or_default(), &lines);
        changes.push((policy, target, action, difference));
    }
    if args.json {
        let described: Vec<_> = changes
            .iter()
            .map(|(policy, target, action, difference)| {
                json!({"policy": policy.name, "interface": target.interface, "action": action, "changes": difference})
            })
            .collect();
        return print_json(&described);
    }
    for (policy, target, action, difference) in changes {
        print(&format!("policy {} on {}: {action}", policy.name, target.interface))?;
        difference.iter().try_for_each(|line| print(&format!("  {line}")).map(drop))?;
    }
    Ok(Exit::OK)
}

pub fn apply(args: &ApplyArgs) -> Outcome {
    let all = match prepared(args)? {
        Ok(all) => all,
        Err(exit) => return Ok(exit),
    };
    let options = options(args);
    let mut applied = Vec::new();
    for (policy, target) in &all {
        match target.run(|place| Ok(attach::apply_on_trial(policy, place, &options)?)) {
            Ok(done) => applied.push(done),
            Err(failure) => {
                undo(&all, applied, &options)?;
                return Err(failure.help("nothing was changed"));
            }
        }
    }
    tell(args, &all, &applied)?;
    match args.confirm {
        Some(time) if !confirmed(time)? => {
            undo(&all, applied, &options)?;
            print("not confirmed: the earlier state is back")?;
            Ok(Exit::FAILED)
        }
        _ => {
            for ((_, target), done) in all.iter().zip(&mut applied) {
                target.run(|_| Ok(done.keep()?))?;
            }
            Ok(Exit::OK)
        }
    }
}

fn undo(all: &[(Policy, Target)], applied: Vec<Applied>, options: &Options) -> Result<(), Failure> {
    for ((policy, target), done) in all.iter().zip(applied) {
        target.run(|place| Ok(attach::rollback(done, &policy.name, place, options)?))?;
    }
    Ok(())
}

fn tell(args: &ApplyArgs, all: &[(Policy, Target)], applied: &[Applied]) -> Result<(), Failure> {
    if args.json {
        let described: Vec<_> = all
            .iter()
            .zip(applied)
            .map(|((policy, target), done)| {
                json!({"policy": policy.name, "interface": target.interface, "attachments": done.attachments, "detached": done.detached})
            })
            .collect();
        print_json(&described)?;
        return Ok(());
    }
    for ((policy, target), done) in all.iter().zip(applied) {
        for attachment in &done.attachments {
            let verb = if attachment.replaced { "replaced" } else { "attached" };
            let mode = if policy.audit { ", AUDIT: nothing is dropped" } else { "" };
            let mechanism = format!("{:?}", attachment.mechanism).to_lowercase();
            print(&format!(
                "policy {}: {verb} on {} {} by {mechanism} ({}){mode}",
                policy.name, target.interface, attachment.direction, attachment.reason
            ))?;
        }
    }
    Ok(())
}

/// Whether `yes` was typed in time. An end of input, a hang-up or a signal counts as no.
fn confirmed(time: Duration) -> Result<bool, Failure> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let signals = super::attached::signals()?;
    print(&format!("type `yes` within {} seconds to keep it", time.as_secs()))?;
    let stdin = std::io::stdin();
    let mut waiting = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    let millis = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    let ready = poll(&mut waiting, millis).map_err(std::io::Error::from)?;
    let typed = waiting.first().and_then(PollFd::any).unwrap_or(false);
    if ready == 0 || !typed {
        return Ok(false);
    }
    let mut line = String::new();
    stdin.read_line(&mut line)?;
    Ok(line.trim().eq_ignore_ascii_case("yes"))
}
