//! Hit records: what the kernel says about single packets, as bytes from the ring buffer in, typed records out. The layout
//! is `struct hit` in bpf/policy.h. Nothing panics on any bytes.

use crate::interpret::Reason;
use crate::policy::{Direction, Verdict, protocols};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One packet and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// CLOCK_MONOTONIC.
    pub time_nanos: u64,
    pub ifindex: u32,
    pub bytes: u32,
    pub direction: Direction,
    pub verdict: Verdict,
    pub passed: bool,
    pub reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audited: Option<String>,
    pub ethertype: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u8>,
    pub source_port: u16,
    /// Port, or ICMP `type << 8 | code`.
    pub destination_port: u16,
}

impl Hit {
    /// Reads a record; `rules` are the names of the policy's effective rules. `None` for what is no record.
    pub fn parse(bytes: &[u8], rules: &[String]) -> Option<Hit> {
        let record: &[u8; HIT_BYTES] = bytes.first_chunk()?;
        let name = |at: usize| rules.get(usize::from(u16_at(record, at)?)).cloned();
        let family = record[63];
        let address = |at: usize| address(record.get(at..at + 16)?, family);
        Some(Hit {
            time_nanos: u64::from_ne_bytes(*record.first_chunk()?),
            ifindex: u32_at(record, 8)?,
            bytes: u32_at(record, 12)?,
            direction: if record[58] == 0 { Direction::In } else { Direction::Out },
            verdict: if record[60] == 1 { Verdict::Allow } else { Verdict::Deny },
            passed: record[61] == 1,
            reason: *Reason::ALL.get(usize::from(record[59]))?,
            rule: name(52),
            audited: name(54),
            ethertype: u16_at(record, 56)?,
            source: address(16),
            destination: address(32),
            protocol: (family != 0).then_some(record[62]),
            source_port: u16_at(record, 48)?,
            destination_port: u16_at(record, 50)?,
        })
    }

    /// One line for people: `drop out tcp 10.0.0.1:40000 -> 1.1.1.1:443 60 bytes: default`.
    pub fn line(&self) -> String {
        let done = match (self.verdict, self.passed) {
            (Verdict::Allow, _) => "pass",
            (Verdict::Deny, false) => "drop",
            (Verdict::Deny, true) => "AUDIT drop",
        };
        let rule = self.rule.as_ref().map_or(String::new(), |rule| format!(" {rule}"));
        let audited = self.audited.as_ref().map_or(String::new(), |rule| format!(" (AUDIT {rule})"));
        format!("{done} {} {} {} bytes: {}{rule}{audited}", self.direction, self.what(), self.bytes, self.reason)
    }

    fn what(&self) -> String {
        let (Some(source), Some(destination), Some(protocol)) = (self.source, self.destination, self.protocol) else {
            return format!("ethertype {:#06x}", self.ethertype);
        };
        let name = protocols::name(protocol);
        if protocols::WITH_PORTS.contains(&protocol) {
            let (from, to) = (end(source, self.source_port), end(destination, self.destination_port));
            return format!("{name} {from} -> {to}");
        }
        format!("{name} {source} -> {destination}")
    }
}

/// `1.2.3.4:80` or `[2001:db8::1]:80`.
pub fn end(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

fn address(bytes: &[u8], family: u8) -> Option<IpAddr> {
    match family {
        4 => bytes.get(12..16)?.first_chunk::<4>().map(|b| Ipv4Addr::from(*b).into()),
        6 => bytes.first_chunk::<16>().map(|b| Ipv6Addr::from(*b).into()),
        _ => None,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_ne_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

/// `sizeof(struct hit)`.
const HIT_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_record_or_none(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..90)) {
            if let Some(hit) = Hit::parse(&bytes, &["a".into()]) {
                proptest::prop_assert!(hit.line().len() < 200);
            }
        }
    }
}
