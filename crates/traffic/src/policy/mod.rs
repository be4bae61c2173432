//! The model of a policy: what [`read`] makes of a file and what [`crate::tables`], [`crate::interpret`] and
//! [`crate::plan`] work on. Plain data: no text positions, no kernel, no I/O.

pub mod protocols;
pub mod ranges;
pub mod read;
pub mod schema;

use ranges::{Addresses, Ranges};
use serde::Serialize;
use std::fmt;

/// One named policy for one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub name: String,
    pub target: Target,
    pub direction: Directions,
    /// The verdict on what no rule matches.
    pub default: Verdict,
    /// Everything is judged and counted, nothing is dropped.
    pub audit: bool,
    pub state: State,
    pub essentials: Vec<Essential>,
    /// The verdict on what cannot be read: cut-off headers, too many tags, fragments of unseen packets.
    pub malformed: Verdict,
    pub log: Log,
    /// Allowed packets skip the filters of others that come later.
    pub last_word: bool,
    pub rules: Vec<Rule>,
}

/// Where a policy applies; all `None` when the caller (CNI, a flag) says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Target {
    pub interface: Option<String>,
    /// Name under /run/netns or path of a network namespace.
    pub netns: Option<String>,
    /// Container id (or a unique beginning of it).
    pub container: Option<String>,
}

/// Seen from the interface: `in` is what it receives, `out` what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    In,
    Out,
}

impl Direction {
    /// As seen from the other end of the cable.
    #[must_use]
    pub fn opposite(self) -> Direction {
        match self {
            Direction::In => Direction::Out,
            Direction::Out => Direction::In,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Directions {
    In,
    Out,
    Both,
}

impl Directions {
    pub fn each(self) -> &'static [Direction] {
        match self {
            Directions::In => &[Direction::In],
            Directions::Out => &[Direction::Out],
            Directions::Both => &[Direction::In, Direction::Out],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Allow,
    Deny,
}

/// Which decisions leave a hit record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Log {
    None,
    /// Denied packets and matches of audited rules.
    Denied,
    All,
}

/// Memory of flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct State {
    /// Answers to allowed packets pass.
    pub enabled: bool,
    /// Flows remembered of each address family; the least recently used one gives way.
    pub capacity: u32,
    /// After an update, judge flows of the earlier version again instead of keeping them.
    pub recheck: bool,
}

/// Traffic without which a network does not work; a visible rule each, in front of all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Essential {
    Arp,
    Nd,
    Dhcp,
    Pmtu,
}

impl Essential {
    pub const ALL: [Essential; 4] = [Essential::Arp, Essential::Nd, Essential::Dhcp, Essential::Pmtu];

    pub fn name(self) -> &'static str {
        match self {
            Essential::Arp => "arp",
            Essential::Nd => "nd",
            Essential::Dhcp => "dhcp",
            Essential::Pmtu => "pmtu",
        }
    }

    /// The rule that stands for it.
    pub fn rule(self) -> Rule {
        let flows = match self {
            Essential::Arp => vec![Flow { ethertypes: Ranges::one(ETHERTYPE_ARP), ..Flow::any() }],
            Essential::Nd => vec![Flow::icmpv6(&[(130, 137), (143, 143)])],
            Essential::Dhcp => vec![Flow::udp(68, 67), Flow::udp(67, 68), Flow::udp(546, 547), Flow::udp(547, 546)],
            Essential::Pmtu => vec![Flow::icmp_fragmentation_needed(), Flow::icmpv6(&[(2, 2)])],
        };
        Rule { name: format!("essential:{}", self.name()), verdict: Verdict::Allow, audit: false, flows }
    }
}

/// A verdict on every packet that matches one of its flows. The first rule that matches decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub name: String,
    pub verdict: Verdict,
    /// Matches are counted and logged, then the next rule is asked.
    pub audit: bool,
    pub flows: Vec<Flow>,
}

/// Conditions that must all hold; `None` or an empty range set holds always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    pub direction: Option<Direction>,
    pub from: Option<Addresses>,
    pub to: Option<Addresses>,
    /// IP protocol numbers.
    pub protocols: Ranges<u8>,
    pub source_ports: Ranges<u16>,
    pub ports: Ranges<u16>,
    /// ICMP or ICMPv6 `type << 8 | code`, according to the protocol.
    pub icmp: Ranges<u16>,
    /// EtherTypes other than IPv4 and IPv6.
    pub ethertypes: Ranges<u16>,
}

impl Flow {
    pub fn any() -> Flow {
        Flow {
            direction: None,
            from: None,
            to: None,
            protocols: Ranges::default(),
            source_ports: Ranges::default(),
            ports: Ranges::default(),
            icmp: Ranges::default(),
            ethertypes: Ranges::default(),
        }
    }

    /// Whether only IPv4 and IPv6 packets can match.
    pub fn wants_ip(&self) -> bool {
        self.from.is_some()
            || self.to.is_some()
            || !(self.protocols.is_any() && self.source_ports.is_any() && self.ports.is_any() && self.icmp.is_any())
    }

    fn udp(source: u16, destination: u16) -> Flow {
        Flow {
            protocols: Ranges::one(protocols::UDP),
            source_ports: Ranges::one(source),
            ports: Ranges::one(destination),
            ..Flow::any()
        }
    }

    fn icmpv6(types: &[(u16, u16)]) -> Flow {
        let ranges = types.iter().map(|(first, last)| (first << 8, last << 8 | 0xff)).collect();
        Flow { protocols: Ranges::one(protocols::ICMPV6), icmp: Ranges::new(ranges), ..Flow::any() }
    }

    fn icmp_fragmentation_needed() -> Flow {
        Flow { protocols: Ranges::one(protocols::ICMP), icmp: Ranges::one(3 << 8 | 4), ..Flow::any() }
    }
}

impl Policy {
    /// The rules as they are judged: essentials first.
    pub fn effective_rules(&self) -> Vec<Rule> {
        self.essentials.iter().map(|e| e.rule()).chain(self.rules.iter().cloned()).collect()
    }
}

macro_rules! words {
    ($type:ty, $($variant:ident => $word:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}
words!(Direction, In => "in", Out => "out");
words!(Directions, In => "in", Out => "out", Both => "both");
words!(Verdict, Allow => "allow", Deny => "deny");

/// Flows of one policy after `any:` is written out (`TERM_MAX` in policy.h).
pub const MAX_FLOWS: usize = 1024;
const ETHERTYPE_ARP: u16 = 0x0806;
