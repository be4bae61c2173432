//! A policy carried out in Rust, rule by rule: the oracle for the kernel's program and the judge where no kernel can be
//! asked. Comes in: a policy, frames in order, a direction and a time. Goes out: decisions with rule and reason.
//! It knows nothing of tables and maps: it must not share the kernel program's mistakes.

use crate::packet::{self, Fragment, Ip, Packet, Transport};
use crate::policy::{Direction, Flow, Policy, Rule, Verdict};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

/// What happens to a packet and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decision {
    /// What the policy says; in audit mode a denied packet passes all the same.
    pub verdict: Verdict,
    pub passes: bool,
    pub reason: Reason,
    /// Index into [`Policy::effective_rules`].
    pub rule: Option<usize>,
    /// The first audited rule that matched before the deciding one.
    pub audited: Option<usize>,
}

/// Which part of the policy decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// No rule matched.
    Default,
    Rule,
    /// The packet belongs to a flow that was allowed before.
    Established,
    /// The packet cannot be read.
    Malformed,
    /// A later fragment of a packet whose first fragment was not seen.
    Fragment,
}

impl Reason {
    /// In the order of the kernel side's numbers (`enum reason` in policy.h).
    pub const ALL: [Reason; 5] =
        [Reason::Default, Reason::Rule, Reason::Established, Reason::Malformed, Reason::Fragment];
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Default => "default",
            Reason::Rule => "rule",
            Reason::Established => "established",
            Reason::Malformed => "malformed",
            Reason::Fragment => "fragment",
        })
    }
}

/// A policy with its memory of flows and fragments.
#[derive(Debug)]
pub struct Interpreter {
    policy: Policy,
    rules: Vec<Rule>,
    flows: HashMap<FlowKey, FlowMemory>,
    fragments: HashMap<FragmentKey, FragmentMemory>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FlowKey {
    lower: (IpAddr, u16),
    upper: (IpAddr, u16),
    protocol: u8,
}

#[derive(Debug, Clone, Copy)]
struct FlowMemory {
    last_seen_nanos: u64,
    rule: Option<usize>,
    /// 0 new, 1 answered, 2 closing.
    phase: Phase,
    from_lower: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Answered,
    Closing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FragmentKey {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    protocol: u8,
}

#[derive(Debug, Clone, Copy)]
struct FragmentMemory {
    seen_nanos: u64,
    verdict: Verdict,
    rule: Option<usize>,
}

impl Interpreter {
    pub fn new(policy: &Policy) -> Self {
        Interpreter {
            rules: policy.effective_rules(),
            policy: policy.clone(),
            flows: HashMap::new(),
            fragments: HashMap::new(),
        }
    }

    /// Judges one frame at a time (nanoseconds on any clock that does not go back).
    pub fn judge(&mut self, frame: &[u8], direction: Direction, now_nanos: u64) -> Decision {
        let packet = match packet::read(frame) {
            Ok(packet) => packet,
            Err(_) => return self.decision(self.policy.malformed, Reason::Malformed, None, None),
        };
        if let Some(decision) = self.by_memory(&packet, now_nanos) {
            return decision;
        }
        let (rule, audited) = self.by_rules(&packet, direction);
        let (verdict, reason) = match rule.and_then(|at| self.rules.get(at)) {
            Some(rule) => (rule.verdict, Reason::Rule),
            None => (self.policy.default, Reason::Default),
        };
        self.remember(&packet, verdict, rule, now_nanos);
        self.decision(verdict, reason, rule, audited)
    }

    /// How many flows and fragments were remembered; none is ever forgotten.
    pub fn remembered(&self) -> (usize, usize) {
        (self.flows.len(), self.fragments.len())
    }

    fn decision(&self, verdict: Verdict, reason: Reason, rule: Option<usize>, audited: Option<usize>) -> Decision {
        Decision { verdict, passes: self.policy.audit || verdict == Verdict::Allow, reason, rule, audited }
    }

    fn by_memory(&mut self, packet: &Packet, now_nanos: u64) -> Option<Decision> {
        let Packet::Ip(ip) = packet else { return None };
        if let Fragment::Later(id) = ip.fragment {
            let known = self.fragments.get(&fragment_key(ip, id));
            let known = known.filter(|f| now_nanos.saturating_sub(f.seen_nanos) < FRAGMENT_NANOS).copied();
            return Some(match known {
                Some(first) => self.decision(first.verdict, Reason::Fragment, first.rule, None),
                None => self.decision(self.policy.malformed, Reason::Fragment, None, None),
            });
        }
        if !self.policy.state.enabled || opens_tcp(ip) {
            return None;
        }
        let (key, from_lower) = flow_key(ip)?;
        let memory = self.flows.get_mut(&key)?;
        if now_nanos.saturating_sub(memory.last_seen_nanos) >= lifetime(ip.protocol, memory.phase) {
            return None;
        }
        memory.last_seen_nanos = now_nanos;
        if closes_tcp(ip) {
            memory.phase = Phase::Closing;
        } else if memory.phase == Phase::New && from_lower != memory.from_lower {
            memory.phase = Phase::Answered;
        }
        let rule = memory.rule;
        if let Fragment::First(_) = ip.fragment {
            self.remember_fragment(ip, Verdict::Allow, rule, now_nanos);
        }
        Some(self.decision(Verdict::Allow, Reason::Established, rule, None))
    }

    /// The deciding rule and the first audited one before it.
    fn by_rules(&self, packet: &Packet, direction: Direction) -> (Option<usize>, Option<usize>) {
        let mut audited = None;
        for (at, rule) in self.rules.iter().enumerate() {
            if !rule.flows.iter().any(|flow| matches(flow, packet, direction)) {
                continue;
            }
            if !rule.audit {
                return (Some(at), audited);
            }
            audited = audited.or(Some(at));
        }
        (None, audited)
    }

    fn remember(&mut self, packet: &Packet, verdict: Verdict, rule: Option<usize>, now_nanos: u64) {
        let Packet::Ip(ip) = packet else { return };
        self.remember_fragment(ip, verdict, rule, now_nanos);
        if !self.policy.state.enabled || verdict == Verdict::Deny {
            return;
        }
        let Some((key, from_lower)) = flow_key(ip) else { return };
        let phase = if closes_tcp(ip) { Phase::Closing } else { Phase::New };
        self.flows.insert(key, FlowMemory { last_seen_nanos: now_nanos, rule, phase, from_lower });
    }

    fn remember_fragment(&mut self, ip: &Ip, verdict: Verdict, rule: Option<usize>, now_nanos: u64) {
        if let Fragment::First(id) = ip.fragment {
            self.fragments.insert(fragment_key(ip, id), FragmentMemory { seen_nanos: now_nanos, verdict, rule });
        }
    }
}

fn matches(flow: &Flow, packet: &Packet, direction: Direction) -> bool {
    if flow.direction.is_some_and(|wanted| wanted != direction) {
        return false;
    }
    match packet {
        Packet::Other(kind) => !flow.wants_ip() && flow.ethertypes.admits(*kind),
        Packet::Ip(ip) => flow.ethertypes.is_any() && matches_ip(flow, ip),
    }
}

fn matches_ip(flow: &Flow, ip: &Ip) -> bool {
    flow.from.as_ref().is_none_or(|set| set.contains(ip.source))
        && flow.to.as_ref().is_none_or(|set| set.contains(ip.destination))
        && flow.protocols.admits(ip.protocol)
        && matches_transport(flow, ip.transport)
}

fn matches_transport(flow: &Flow, transport: Transport) -> bool {
    match transport {
        Transport::None => flow.ports.is_any() && flow.source_ports.is_any() && flow.icmp.is_any(),
        Transport::Ports { source, destination, .. } => {
            flow.source_ports.admits(source) && flow.ports.admits(destination) && flow.icmp.is_any()
        }
        Transport::Icmp { kind, .. } => flow.icmp.admits(kind) && flow.ports.is_any() && flow.source_ports.is_any(),
    }
}

/// The same for both directions, and whether the packet comes from the lower end.
fn flow_key(ip: &Ip) -> Option<(FlowKey, bool)> {
    let (source, destination) = match ip.transport {
        Transport::Ports { source, destination, .. } => (source, destination),
        Transport::Icmp { echo: Some(id), .. } => (id, id),
        _ => return None,
    };
    let (from, to) = ((ip.source, source), (ip.destination, destination));
    let from_lower = from <= to;
    let (lower, upper) = if from_lower { (from, to) } else { (to, from) };
    Some((FlowKey { lower, upper, protocol: ip.protocol }, from_lower))
}

fn fragment_key(ip: &Ip, id: u32) -> FragmentKey {
    let protocol = if ip.source.is_ipv4() { ip.protocol } else { 0 };
    FragmentKey { source: ip.source, destination: ip.destination, id, protocol }
}

/// SYN without ACK: a new connection, always judged by the rules.
fn opens_tcp(ip: &Ip) -> bool {
    matches!(ip.transport, Transport::Ports { flags, .. } if flags & (TCP_SYN | TCP_ACK) == TCP_SYN)
}

fn closes_tcp(ip: &Ip) -> bool {
    matches!(ip.transport, Transport::Ports { flags, .. } if flags & (TCP_FIN | TCP_RST) != 0)
}

fn lifetime(protocol: u8, phase: Phase) -> u64 {
    match (protocol == packet_tcp(), phase) {
        (_, Phase::Closing) => CLOSING_NANOS,
        (true, Phase::Answered) => ESTABLISHED_TCP_NANOS,
        (true, Phase::New) => NEW_TCP_NANOS,
        (false, _) => DATAGRAM_NANOS,
    }
}

fn packet_tcp() -> u8 {
    crate::policy::protocols::TCP
}

const TCP_FIN: u8 = 1;
const TCP_SYN: u8 = 2;
const TCP_RST: u8 = 4;
const TCP_ACK: u8 = 16;
const SECOND: u64 = 1_000_000_000;
/// How long a fragment's fellows are expected (RFC 8200 gives 60 s for reassembly, Linux 30 s).
pub const FRAGMENT_NANOS: u64 = 30 * SECOND;
pub const CLOSING_NANOS: u64 = 10 * SECOND;
pub const NEW_TCP_NANOS: u64 = 60 * SECOND;
/// RFC 5382: at least 2 hours and 4 minutes for established connections.
pub const ESTABLISHED_TCP_NANOS: u64 = 7440 * SECOND;
/// RFC 4787: at least 2 minutes for UDP.
pub const DATAGRAM_NANOS: u64 = 120 * SECOND;
