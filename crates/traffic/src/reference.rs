//! The catalogue programs written a second time, in Rust, straight from their descriptions: the oracle for the kernel's
//! verdicts, and the judge of frames that the kernel refuses to run (shorter than their own header).
//! Comes in: a stage and the bytes of a frame. Goes out: pass or drop. Must never happen here: a look past the bytes.

use crate::chain::{Selection, Stage};
use crate::input::Input;

/// Reading of a frame: behind VLAN tags or not, alone or as part of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Another stage follows or precedes: what is not understood passes.
    pub chained: bool,
    /// Judge what is behind up to two tags instead of taking a tag for the end of the matter.
    pub strict_vlan: bool,
}

/// Whether the selection lets `frame` pass.
pub fn passes(selection: &Selection, strict_vlan: bool, frame: &[u8]) -> bool {
    dropping_stage(selection, strict_vlan, frame).is_none()
}

/// The stage that drops `frame`, `None` when all let it pass.
pub fn dropping_stage(selection: &Selection, strict_vlan: bool, frame: &[u8]) -> Option<usize> {
    let reading = Reading { chained: matches!(selection, Selection::Chain(_)), strict_vlan };
    selection.stages().iter().position(|stage| !stage_passes(stage, reading, frame))
}

/// Whether one stage lets `frame` pass. Programs this module does not know drop everything.
pub fn stage_passes(stage: &Stage, reading: Reading, frame: &[u8]) -> bool {
    let judge = match stage.program.name {
        "nop" => return true,
        "allow_ethertype" => return allow_ethertype(&stage.input, frame),
        "allow_proto" => return allow_proto(&stage.input, reading, frame),
        "allow_ipv4" => allow_ipv4,
        "allow_port" => allow_port,
        "allow_dns" => allow_dns,
        "block_ipv4" => block_ipv4,
        "block_port" => block_port,
        "block_private_ipv4" => block_private_ipv4,
        _ => return false,
    };
    let allows = stage.program.name.starts_with("allow");
    match network_layer(frame, reading.strict_vlan) {
        Network::None => !allows,
        Network::TooManyTags => allows && reading.chained,
        Network::Other => !allows || reading.chained,
        Network::Ipv4(packet) => judge(&stage.input, packet),
    }
}

fn allow_ethertype(input: &Input, frame: &[u8]) -> bool {
    match (input, be16(frame, 12)) {
        (Input::EtherTypes(types), Some(found)) => types.contains(&found),
        _ => false,
    }
}

fn allow_proto(input: &Input, reading: Reading, frame: &[u8]) -> bool {
    let Some((ETHERTYPE_IPV4, packet)) = behind_tags(frame) else {
        return reading.chained && behind_tags(frame).is_some_and(|(kind, _)| !is_tag(kind));
    };
    let (true, Input::Protocols(protocols)) = (whole(packet), input) else { return false };
    packet.get(9).is_some_and(|p| protocols.contains(p))
}

fn allow_ipv4(input: &Input, packet: &[u8]) -> bool {
    let version = packet.first().map(|b| b >> 4);
    whole(packet) && version == Some(4) && (packet.get(16) == Some(&127) || is_destination(input, packet))
}

fn allow_port(input: &Input, packet: &[u8]) -> bool {
    if !whole(packet) {
        return false;
    }
    if !tcp_or_udp(packet) {
        return true;
    }
    !later_fragment(packet) && destination_port(packet).is_some_and(|port| is_port(input, port))
}

fn allow_dns(input: &Input, packet: &[u8]) -> bool {
    if !whole(packet) || later_fragment(packet) {
        return false;
    }
    !tcp_or_udp(packet) || destination_port(packet).is_some_and(|port| port != 53 || is_destination(input, packet))
}

fn block_ipv4(input: &Input, packet: &[u8]) -> bool {
    !readable(packet) || !is_destination(input, packet)
}

fn block_port(input: &Input, packet: &[u8]) -> bool {
    if !readable(packet) || later_fragment(packet) || !tcp_or_udp(packet) {
        return true;
    }
    !destination_port(packet).is_some_and(|port| is_port(input, port))
}

fn block_private_ipv4(_: &Input, packet: &[u8]) -> bool {
    if !readable(packet) || later_fragment(packet) || !is_private(packet) {
        return true;
    }
    let ssh_answer_or_unreadable = source_port(packet).is_none_or(|port| port == 22);
    packet.get(9) == Some(&PROTOCOL_TCP) && ssh_answer_or_unreadable
}

enum Network<'a> {
    /// Not even an Ethernet header.
    None,
    TooManyTags,
    Other,
    Ipv4(&'a [u8]),
}

fn network_layer(frame: &[u8], strict_vlan: bool) -> Network<'_> {
    let Some(outer) = be16(frame, 12) else { return Network::None };
    if outer == ETHERTYPE_IPV4 {
        return Network::Ipv4(frame.get(14..).unwrap_or_default());
    }
    match behind_tags(frame) {
        Some((ETHERTYPE_IPV4, packet)) if strict_vlan => Network::Ipv4(packet),
        Some((kind, _)) if strict_vlan && is_tag(kind) => Network::TooManyTags,
        _ => Network::Other,
    }
}

/// EtherType and payload behind at most two tags; `None` when a tag is cut off.
fn behind_tags(frame: &[u8]) -> Option<(u16, &[u8])> {
    let mut kind = be16(frame, 12)?;
    let mut rest = frame.get(14..)?;
    for _ in 0..2 {
        if !is_tag(kind) {
            break;
        }
        kind = be16(rest, 2)?;
        rest = rest.get(4..)?;
    }
    Some((kind, rest))
}

fn is_tag(kind: u16) -> bool {
    kind == 0x8100 || kind == 0x88a8
}

fn header_bytes(packet: &[u8]) -> usize {
    usize::from(packet.first().unwrap_or(&0) & 15) * 4
}

/// The fixed header is there and claims to be at least as long.
fn readable(packet: &[u8]) -> bool {
    packet.len() >= 20 && header_bytes(packet) >= 20
}

/// Options included.
fn whole(packet: &[u8]) -> bool {
    readable(packet) && header_bytes(packet) <= packet.len()
}

fn later_fragment(packet: &[u8]) -> bool {
    be16(packet, 6).is_some_and(|field| field & 0x1fff != 0)
}

fn tcp_or_udp(packet: &[u8]) -> bool {
    matches!(packet.get(9), Some(&PROTOCOL_TCP | &PROTOCOL_UDP))
}

fn is_private(packet: &[u8]) -> bool {
    match packet.get(16..18) {
        Some(&[10, _] | &[192, 168]) => true,
        Some(&[172, second]) => (16..32).contains(&second),
        _ => false,
    }
}

fn is_destination(input: &Input, packet: &[u8]) -> bool {
    matches!(input, Input::Address(address) if packet.get(16..20) == Some(&address.octets()))
}

fn is_port(input: &Input, port: u16) -> bool {
    *input == Input::Port(port)
}

/// Both ports or none: four bytes behind the header.
fn source_port(packet: &[u8]) -> Option<u16> {
    let at = header_bytes(packet);
    packet.get(at..at + 4).and_then(|ports| be16(ports, 0))
}

fn destination_port(packet: &[u8]) -> Option<u16> {
    let at = header_bytes(packet);
    packet.get(at..at + 4).and_then(|ports| be16(ports, 2))
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(pair.try_into().ok()?))
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
