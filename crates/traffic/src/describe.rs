//! A policy in words: one line per setting, rule and flow. The lines are what `plan` compares and what `show` prints, so
//! equal policies have equal lines. Pure.

use crate::policy::protocols::{self, ICMPV6};
use crate::policy::ranges::{Addresses, Number, Ranges};
use crate::policy::{Flow, Policy, Rule};
use ipnet::{Ipv4Subnets, Ipv6Subnets};
use sha2::{Digest, Sha256};
use std::fmt::{Display, Write};

/// The lines of a policy, essentials among the rules.
pub fn lines(policy: &Policy) -> Vec<String> {
    let mut lines = vec![
        format!("direction {}", policy.direction),
        format!("default {}", policy.default),
        format!("malformed {}", policy.malformed),
        format!("mode {}", if policy.audit { "audit" } else { "enforce" }),
    ];
    lines.push(if policy.state.enabled {
        let existing = if policy.state.recheck { "recheck" } else { "keep" };
        format!("stateful, {} flows, existing {existing}", policy.state.capacity)
    } else {
        "stateless".to_owned()
    });
    lines.push(format!("log {:?}", policy.log).to_lowercase());
    if policy.last_word {
        lines.push("final".to_owned());
    }
    lines.extend(policy.effective_rules().iter().enumerate().flat_map(|(at, rule)| rule_lines(at, rule)));
    lines
}

/// Hex SHA-256 over the lines, shortened to 16 digits.
pub fn digest(policy: &Policy) -> String {
    hex(&Sha256::digest(lines(policy).join("\n")), 8)
}

/// The first `bytes` bytes as hex digits.
pub fn hex(digest: &[u8], bytes: usize) -> String {
    digest.iter().take(bytes).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What `new` has and `old` has not (`+`), and the other way round (`-`), in order.
pub fn difference(old: &[String], new: &[String]) -> Vec<String> {
    let removed = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
    let added = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"));
    removed.chain(added).collect()
}

fn rule_lines(at: usize, rule: &Rule) -> Vec<String> {
    let audit = if rule.audit { " (audit)" } else { "" };
    let line = |flow| format!("rule {} {}: {}{audit} {}", at + 1, rule.name, rule.verdict, self::flow(flow));
    rule.flows.iter().map(line).collect()
}

/// A flow in words: `in from 10.0.0.0/8 tcp to port 443`.
pub fn flow(flow: &Flow) -> String {
    let mut words = Vec::new();
    words.extend(flow.direction.map(|d| d.to_string()));
    words.extend(flow.from.as_ref().map(|a| format!("from {}", addresses(a))));
    words.extend(flow.to.as_ref().map(|a| format!("to {}", addresses(a))));
    words.extend(numbers(&flow.ethertypes, |n| format!("{n:#06x}")).map(|n| format!("ethertype {n}")));
    words.extend(numbers(&flow.protocols, protocols::name));
    words.extend(numbers(&flow.source_ports, |n| n.to_string()).map(|n| format!("source port {n}")));
    words.extend(numbers(&flow.ports, |n| n.to_string()).map(|n| format!("port {n}")));
    let is_v6 = flow.protocols.contains(ICMPV6);
    words.extend(numbers(&flow.icmp, |n| icmp(n, is_v6)).map(|n| format!("type {n}")));
    if words.is_empty() { "everything".to_owned() } else { words.join(" ") }
}

fn icmp(number: u16, is_v6: bool) -> String {
    let table = if is_v6 { protocols::ICMPV6_TYPES } else { protocols::ICMP_TYPES };
    let [kind, code] = number.to_be_bytes();
    let name = table.iter().find(|(_, n)| *n == kind).map_or_else(|| kind.to_string(), |(name, _)| (*name).to_owned());
    if code == 0 || code == u8::MAX { name } else { format!("{name}/{code}") }
}

fn numbers<T: Number + Display>(ranges: &Ranges<T>, name: impl Fn(T) -> String) -> Option<String> {
    let text = |&(first, last): &(T, T)| {
        let (first, last) = (name(first), name(last));
        if first == last { first } else { format!("{first}-{last}") }
    };
    let all: Vec<String> = ranges.as_slice().iter().map(text).collect();
    (!all.is_empty()).then(|| all.join(","))
}

/// As CIDRs; long sets by their size and digest.
fn addresses(addresses: &Addresses) -> String {
    let v4 = addresses.v4.as_slice().iter().flat_map(|&(a, b)| Ipv4Subnets::new(a.into(), b.into(), 0));
    let v6 = addresses.v6.as_slice().iter().flat_map(|&(a, b)| Ipv6Subnets::new(a.into(), b.into(), 0));
    let all: Vec<String> = v4.map(|n| n.to_string()).chain(v6.map(|n| n.to_string())).collect();
    if all.len() <= MAX_SHOWN {
        return if all.is_empty() { "nothing".to_owned() } else { all.join(",") };
    }
    format!("{} prefixes (digest {})", all.len(), hex(&Sha256::digest(all.join(",")), 4))
}

const MAX_SHOWN: usize = 12;
