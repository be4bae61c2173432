//! Names of IP protocols, ICMP types and EtherTypes as policies spell them. Tables only.

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;

/// Protocols whose header begins with source and destination port.
pub const WITH_PORTS: [u8; 5] = [TCP, UDP, 33, 132, 136];

/// IP protocols (IANA protocol numbers).
pub const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", ICMP),
    ("igmp", 2),
    ("tcp", TCP),
    ("udp", UDP),
    ("dccp", 33),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", ICMPV6),
    ("icmp6", ICMPV6),
    ("ospf", 89),
    ("vrrp", 112),
    ("sctp", 132),
    ("udplite", 136),
];

/// ICMP types (IANA ICMP parameters).
pub const ICMP_TYPES: &[(&str, u8)] = &[
    ("echo-reply", 0),
    ("unreachable", 3),
    ("redirect", 5),
    ("echo-request", 8),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
];

/// ICMPv6 types (IANA ICMPv6 parameters).
pub const ICMPV6_TYPES: &[(&str, u8)] = &[
    ("unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("router-solicitation", 133),
    ("router-advertisement", 134),
    ("neighbour-solicitation", 135),
    ("neighbour-advertisement", 136),
    ("redirect", 137),
];

/// EtherTypes (IEEE 802 numbers).
pub const ETHERTYPES: &[(&str, u16)] = &[("arp", 0x0806), ("lldp", 0x88cc), ("mpls", 0x8847), ("pppoe", 0x8864)];

/// The number of `name` in a table.
pub fn number<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, number)| *number)
}

/// The name of an IP protocol, or its number.
pub fn name(protocol: u8) -> String {
    PROTOCOLS.iter().find(|(_, n)| *n == protocol).map_or_else(|| protocol.to_string(), |(name, _)| (*name).to_owned())
}
