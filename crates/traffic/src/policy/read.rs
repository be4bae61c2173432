//! Policy files: YAML text in; policies out, or every problem at once, each with file, line, column and the fix.
//! No policy comes out of a text with a problem. No I/O: sets from files are read by the caller's function.

mod flow;
mod node;

use super::{Directions, Essential, Log, MAX_FLOWS, Policy, Rule, State, Target, Verdict};
use diag::{Finding, Severity, Span};
use ipnet::IpNet;
use node::{Node, Problems};

pub use node::net;
use saphyr::{LoadableYamlNode, MarkedYaml};
use std::collections::{BTreeMap, HashSet};

/// Reads a set file: one CIDR or address per line.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> std::io::Result<String>;

/// Reads all documents of `text`; `file` is the name used in findings.
///
/// # Errors
/// Every problem found.
pub fn read(file: &str, text: &str, read_file: ReadFile<'_>) -> Result<Vec<Policy>, Vec<Finding>> {
    let documents = MarkedYaml::load_from_str(text).map_err(|e| vec![syntax_problem(file, text, &e)])?;
    let problems = Problems::new(file, text);
    let policies: Vec<Policy> = documents.iter().filter_map(|d| policy(&Node::root(d, &problems), read_file)).collect();
    check_names(&policies, &problems);
    if documents.is_empty() {
        problems.general("empty-policy", "the file holds no policy", "write at least `name:` and `rules:`");
    }
    let found = problems.into_findings();
    if found.is_empty() { Ok(policies) } else { Err(found) }
}

fn syntax_problem(file: &str, text: &str, error: &impl std::fmt::Display) -> Finding {
    let message = error.to_string();
    let number_after = |word: &str| {
        let digits = message.split(word).nth(1).map(|rest| rest.trim_start().chars().take_while(char::is_ascii_digit));
        digits.and_then(|d| d.collect::<String>().parse::<u32>().ok())
    };
    let line = number_after("line").unwrap_or(1);
    let column = number_after("column").unwrap_or(1);
    let offset = text.lines().take(line.saturating_sub(1) as usize).map(|l| l.len() + 1).sum();
    Finding::new(Severity::Error, "yaml-syntax", format!("`{file}`"), message).at(Span {
        file: file.to_owned(),
        line,
        column,
        offset,
        len: 0,
    })
}

fn check_names(policies: &[Policy], problems: &Problems<'_>) {
    let mut seen = HashSet::new();
    for policy in policies.iter().filter(|p| !seen.insert(&p.name)) {
        problems.general("duplicate-policy", &format!("policy `{}` occurs twice", policy.name), "rename one of them");
    }
}

fn policy(node: &Node<'_>, read_file: ReadFile<'_>) -> Option<Policy> {
    node.mapping(KEYS)?;
    let sets = sets(node, read_file);
    let name = name(node);
    let log = [("none", Log::None), ("denied", Log::Denied), ("all", Log::All)];
    let policy = Policy {
        name: name.clone().unwrap_or_default(),
        target: target(node),
        direction: direction(node).unwrap_or(Directions::Out),
        default: node.verdict("default").unwrap_or(Verdict::Deny),
        audit: node.choice("mode", &MODES).unwrap_or(false),
        state: state(node),
        essentials: essentials(node),
        malformed: node.verdict("malformed").unwrap_or(Verdict::Deny),
        log: node.choice("log", &log).unwrap_or(Log::Denied),
        last_word: node.boolean("final").unwrap_or(false),
        rules: rules(node, &sets),
    };
    check_size(&policy, node);
    name.map(|_| policy)
}

fn check_size(policy: &Policy, node: &Node<'_>) {
    let flows: usize = policy.effective_rules().iter().map(|r| r.flows.len()).sum();
    if flows > MAX_FLOWS {
        let text = format!("policy has {flows} flows, at most {MAX_FLOWS} are possible");
        node.problem("too-many-flows", &text, "put addresses that share a verdict into one rule with a set");
    }
}

fn rules(node: &Node<'_>, sets: &Sets) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for item in node.list("rules") {
        let Some(rule) = rule(&item, sets) else { continue };
        if rules.iter().any(|earlier| earlier.name == rule.name) {
            let text = format!("rule `{}` occurs twice", rule.name);
            item.problem_at("name", "duplicate-rule", &text, "rename one: counters go by it");
        }
        rules.push(rule);
    }
    rules
}

fn name(node: &Node<'_>) -> Option<String> {
    let name = node.text("name");
    let Some(name) = name else {
        node.problem("missing-name", "policy has no `name`", "add `name: something`");
        return None;
    };
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !fits {
        node.problem_at(
            "name",
            "bad-name",
            &format!("`{name}` is no policy name"),
            "use up to 63 letters, digits, `-` and `_`",
        );
    }
    fits.then_some(name)
}

fn target(node: &Node<'_>) -> Target {
    let target =
        Target { interface: node.text("interface"), netns: node.text("netns"), container: node.text("container") };
    if target.netns.is_some() && target.container.is_some() {
        node.problem_at("container", "two-selectors", "`netns` and `container` both given", "keep one of them");
    }
    target
}

fn direction(node: &Node<'_>) -> Option<Directions> {
    node.choice(
        "direction",
        &[
            ("in", Directions::In),
            ("ingress", Directions::In),
            ("out", Directions::Out),
            ("egress", Directions::Out),
            ("both", Directions::Both),
        ],
    )
}

fn state(node: &Node<'_>) -> State {
    let mut state = State { enabled: true, capacity: DEFAULT_CAPACITY, recheck: false };
    let Some(value) = node.get("stateful") else { return state };
    if value.is_mapping() {
        value.mapping(&["capacity", "existing"]);
        state.capacity = value.number("capacity", 64..=16_777_216).unwrap_or(DEFAULT_CAPACITY);
        state.recheck = value.choice("existing", &[("keep", false), ("recheck", true)]).unwrap_or(false);
    } else {
        state.enabled = node.boolean("stateful").unwrap_or(true);
    }
    state
}

fn essentials(node: &Node<'_>) -> Vec<Essential> {
    let Some(value) = node.get("essential") else { return Essential::ALL.to_vec() };
    if value.as_text().as_deref() == Some("none") {
        return Vec::new();
    }
    let choices: Vec<(&str, Essential)> = Essential::ALL.iter().map(|e| (e.name(), *e)).collect();
    let mut chosen = Vec::new();
    for item in value.items() {
        match item.one_of(&choices) {
            Some(essential) if chosen.contains(&essential) => {}
            Some(essential) => chosen.push(essential),
            None => {}
        }
    }
    chosen
}

/// Named address sets.
type Sets = BTreeMap<String, Vec<IpNet>>;

fn sets(node: &Node<'_>, read_file: ReadFile<'_>) -> Sets {
    let mut sets = Sets::new();
    let Some(all) = node.get("sets") else { return sets };
    for (name, value) in all.entries() {
        let nets = if value.is_mapping() { set_from_file(&value, read_file) } else { value.nets(&Sets::new()) };
        sets.insert(name, nets);
    }
    sets
}

fn set_from_file(node: &Node<'_>, read_file: ReadFile<'_>) -> Vec<IpNet> {
    node.mapping(&["file"]);
    let Some(path) = node.text("file") else {
        node.problem("bad-set", "set has no `file`", "write a list of CIDRs or `{file: path}`");
        return Vec::new();
    };
    let text = match read_file(&path) {
        Ok(text) => text,
        Err(e) => {
            node.problem_at(
                "file",
                "set-file",
                &format!("set file `{path}`: {e}"),
                "give a readable file, one CIDR per line",
            );
            return Vec::new();
        }
    };
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.split('#').next().unwrap_or_default().trim()));
    lines
        .filter(|(_, line)| !line.is_empty())
        .filter_map(|(at, line)| {
            let net = node::net(line);
            if net.is_none() {
                let text = format!("set file `{path}`, line {at}: `{line}` is no address and no CIDR");
                node.problem_at("file", "bad-cidr", &text, "write for example 10.0.0.0/8 or 2001:db8::1");
            }
            net
        })
        .collect()
}

fn rule(node: &Node<'_>, sets: &Sets) -> Option<Rule> {
    node.mapping(RULE_KEYS)?;
    let name = node.text("name");
    if name.as_ref().is_none_or(|n| n.is_empty() || n.len() > MAX_NAME_BYTES || n.starts_with("essential:")) {
        node.problem(
            "rule-name",
            "rule has no usable `name`",
            "add a name of up to 63 bytes: counters and hits go by it",
        );
    }
    let verdict = node.verdict("action");
    if verdict.is_none() && node.get("action").is_none() {
        node.problem("rule-action", "rule has no `action`", "add `action: allow` or `action: deny`");
    }
    let audit = node.choice("mode", &MODES).unwrap_or(false);
    let flows = flow::flows(node, sets);
    Some(Rule { name: name?, verdict: verdict?, audit, flows })
}

const KEYS: &[&str] = &[
    "name",
    "interface",
    "netns",
    "container",
    "direction",
    "default",
    "mode",
    "stateful",
    "essential",
    "malformed",
    "log",
    "final",
    "sets",
    "rules",
];
const RULE_KEYS: &[&str] = &[
    "name",
    "action",
    "mode",
    "any",
    "direction",
    "from",
    "to",
    "except",
    "family",
    "protocol",
    "port",
    "source_port",
    "icmp",
    "icmpv6",
    "ethertype",
];
/// Whether a mode only watches.
const MODES: [(&str, bool); 2] = [("enforce", false), ("audit", true)];
const MAX_NAME_BYTES: usize = 63;
/// Per address family; both tables together take 6 MiB of kernel memory.
const DEFAULT_CAPACITY: u32 = 16_384;

#[cfg(test)]
mod tests;
