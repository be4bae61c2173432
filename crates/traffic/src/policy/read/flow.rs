//! The flows of a rule: the conditions written in the rule itself, or one set of conditions per entry of `any:`.
//! Comes in: nodes and named sets. Goes out: flows; what contradicts itself is a problem, never a flow that matches nothing.

use super::Sets;
use super::node::Node;
use crate::policy::protocols::{self, ETHERTYPES, ICMP, ICMP_TYPES, ICMPV6, ICMPV6_TYPES, PROTOCOLS, WITH_PORTS};
use crate::policy::ranges::{Addresses, Ranges};
use crate::policy::{Direction, Flow};

pub fn flows(rule: &Node<'_>, sets: &Sets) -> Vec<Flow> {
    if rule.get("any").is_none() {
        return flow(rule, sets).into_iter().collect();
    }
    for key in FLOW_KEYS.iter().filter(|key| **key != "direction" && rule.get(key).is_some()) {
        rule.problem_at(
            key,
            "any-and-conditions",
            &format!("`{key}` next to `any`"),
            "move it into the entries of `any`",
        );
    }
    let items = rule.list("any");
    if items.is_empty() {
        rule.problem_at("any", "empty-any", "`any` has no entries", "add `- {to: ..., protocol: ..., port: ...}`");
    }
    // the direction of the rule is that of its entries, where they say nothing else
    let common = rule.choice("direction", DIRECTIONS);
    let with_common = |flow: Flow| Flow { direction: flow.direction.or(common), ..flow };
    let entries = items.iter().filter(|item| item.mapping(FLOW_KEYS).is_some());
    entries.filter_map(|item| flow(item, sets)).map(with_common).collect()
}

fn flow(node: &Node<'_>, sets: &Sets) -> Option<Flow> {
    let mut flow = Flow {
        direction: node.choice("direction", DIRECTIONS),
        from: addresses(node, "from", sets),
        to: addresses(node, "to", sets),
        protocols: protocols_of(node),
        source_ports: ports(node, "source_port"),
        ports: ports(node, "port"),
        icmp: Ranges::default(),
        ethertypes: ethertypes(node),
    };
    icmp(node, &mut flow);
    family(node, &mut flow);
    check_ports(node, &flow);
    check_ethertypes(node, &flow);
    check_families(node, &flow).then_some(flow)
}

/// `except` is taken from `to`, or from `from` when that is given alone.
fn addresses(node: &Node<'_>, key: &str, sets: &Sets) -> Option<Addresses> {
    let alone = node.get("from").is_some() && node.get("to").is_none();
    let except = node.get("except").filter(|_| (key == "from") == alone);
    let given = node.get(key);
    if given.is_none() && except.is_none() {
        return None;
    }
    let everything = Addresses { v4: Ranges::all(), v6: Ranges::all() };
    let included = given.as_ref().map_or(everything, |value| Addresses::of(&value.nets(sets)));
    let excluded = except.map(|value| Addresses::of(&value.nets(sets))).unwrap_or_default();
    let rest = included.without(&excluded);
    if rest.is_empty() && !included.is_empty() {
        node.problem_at(
            "except",
            "empty-set",
            "`except` leaves no address",
            "make it smaller than what it is taken from",
        );
    }
    Some(rest)
}

fn family(node: &Node<'_>, flow: &mut Flow) {
    let Some(v4) = node.choice("family", &[("ipv4", true), ("ipv6", false)]) else { return };
    let to = flow.to.get_or_insert_with(|| Addresses { v4: Ranges::all(), v6: Ranges::all() });
    if v4 {
        to.v6 = Ranges::default();
    } else {
        to.v4 = Ranges::default();
    }
}

fn protocols_of(node: &Node<'_>) -> Ranges<u8> {
    let Some(value) = node.get("protocol") else { return Ranges::default() };
    let mut numbers = Vec::new();
    for item in value.items() {
        let text = item.as_text().unwrap_or_default();
        match protocols::number(PROTOCOLS, &text).or_else(|| text.parse().ok()) {
            Some(number) => numbers.push((number, number)),
            None => item.problem(
                "bad-protocol",
                &format!("unknown protocol `{text}`"),
                "use tcp, udp, icmp, icmpv6, sctp or a number 0-255",
            ),
        }
    }
    Ranges::new(numbers)
}

fn ports(node: &Node<'_>, key: &str) -> Ranges<u16> {
    let Some(value) = node.get(key) else { return Ranges::default() };
    let mut ranges = Vec::new();
    for item in value.items() {
        let text = item.as_text().unwrap_or_default();
        match port_range(&text) {
            Some(range) => ranges.push(range),
            None => item.problem(
                "bad-port",
                &format!("`{text}` is no port and no port range"),
                "write for example 443 or 8000-8100",
            ),
        }
    }
    Ranges::new(ranges)
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

fn icmp(node: &Node<'_>, flow: &mut Flow) {
    let v4 = icmp_types(node, "icmp", ICMP_TYPES);
    let v6 = icmp_types(node, "icmpv6", ICMPV6_TYPES);
    let (protocol, types) = match (v4, v6) {
        (None, None) => return,
        (Some(_), Some(_)) => {
            return node.problem_at(
                "icmpv6",
                "icmp-twice",
                "`icmp` and `icmpv6` in one flow",
                "make two entries under `any:`",
            );
        }
        (Some(types), None) => (ICMP, types),
        (None, Some(types)) => (ICMPV6, types),
    };
    if !flow.protocols.is_any() && flow.protocols != Ranges::one(protocol) {
        node.problem_at("protocol", "icmp-protocol", "`protocol` contradicts the ICMP types", "leave `protocol` out");
    }
    flow.protocols = Ranges::one(protocol);
    flow.icmp = Ranges::new(types);
}

fn icmp_types(node: &Node<'_>, key: &str, names: &[(&str, u8)]) -> Option<Vec<(u16, u16)>> {
    let value = node.get(key)?;
    let mut ranges = Vec::new();
    for item in value.items() {
        let text = item.as_text().unwrap_or_default();
        match icmp_range(&text, names) {
            Some(range) => ranges.push(range),
            None => item.problem(
                "bad-icmp",
                &format!("`{text}` is no ICMP type"),
                "write for example echo-request, 3 or 3/4 (type/code)",
            ),
        }
    }
    Some(ranges)
}

fn icmp_range(text: &str, names: &[(&str, u8)]) -> Option<(u16, u16)> {
    let (kind, code) = text.split_once('/').map_or((text, None), |(kind, code)| (kind, Some(code)));
    let kind = u16::from(protocols::number(names, kind).or_else(|| kind.parse().ok())?) << 8;
    match code {
        None => Some((kind, kind | 0xff)),
        Some(code) => code.parse::<u8>().ok().map(|code| (kind | u16::from(code), kind | u16::from(code))),
    }
}

fn ethertypes(node: &Node<'_>) -> Ranges<u16> {
    let Some(value) = node.get("ethertype") else { return Ranges::default() };
    let mut numbers = Vec::new();
    for item in value.items() {
        let text = item.as_text().unwrap_or_default();
        let hex = text.strip_prefix("0x").and_then(|digits| u16::from_str_radix(digits, 16).ok());
        match protocols::number(ETHERTYPES, &text).or(hex).or_else(|| text.parse().ok()) {
            Some(0x0800 | 0x86dd) => item.problem(
                "ip-ethertype",
                "IP frames are not named by EtherType",
                "use `family: ipv4` or `family: ipv6`",
            ),
            Some(number) => numbers.push((number, number)),
            None => item.problem(
                "bad-ethertype",
                &format!("unknown EtherType `{text}`"),
                "use arp, lldp or a number such as 0x88cc",
            ),
        }
    }
    Ranges::new(numbers)
}

fn check_ports(node: &Node<'_>, flow: &Flow) {
    let key = if flow.ports.is_any() { "source_port" } else { "port" };
    // a protocol that could not be read was complained about already
    let unreadable = flow.protocols.is_any() && node.get("protocol").is_some();
    if unreadable || (flow.ports.is_any() && flow.source_ports.is_any()) {
        return;
    }
    let all_have_ports =
        flow.protocols.as_slice().iter().all(|(first, last)| first == last && WITH_PORTS.contains(first));
    if flow.protocols.is_any() || !all_have_ports {
        node.problem_at(
            key,
            "port-protocol",
            &format!("`{key}` without a protocol that has ports"),
            "add `protocol: tcp` or `protocol: [tcp, udp]`",
        );
    }
}

fn check_ethertypes(node: &Node<'_>, flow: &Flow) {
    if !flow.ethertypes.is_any() && flow.wants_ip() {
        node.problem_at(
            "ethertype",
            "ethertype-and-ip",
            "`ethertype` next to conditions on IP",
            "make two entries under `any:`",
        );
    }
}

/// Conditions that no packet of either family can fulfil together.
fn check_families(node: &Node<'_>, flow: &Flow) -> bool {
    let (Some(from), Some(to)) = (&flow.from, &flow.to) else { return true };
    let v4 = !from.v4.is_any() && !to.v4.is_any();
    let v6 = !from.v6.is_any() && !to.v6.is_any();
    let possible = v4 || v6 || from.is_empty() || to.is_empty();
    if !possible {
        node.problem(
            "no-family",
            "no packet can match: source and destination share no address family",
            "use addresses of one family",
        );
    }
    possible
}

const DIRECTIONS: &[(&str, Direction)] = &[("in", Direction::In), ("out", Direction::Out)];
pub const FLOW_KEYS: &[&str] =
    &["direction", "from", "to", "except", "family", "protocol", "port", "source_port", "icmp", "icmpv6", "ethertype"];
