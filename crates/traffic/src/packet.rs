//! Frames read in Rust: bytes in, the fields that policies judge out, or why the frame cannot be read.
//! The same reading as bpf/packet.h, written a second time; differential tests hold the two together.
//! Nothing panics on any bytes.

use crate::policy::protocols::{ICMP, ICMPV6, TCP, WITH_PORTS};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a policy can know about a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// No IP: the EtherType behind the VLAN tags.
    Other(u16),
    Ip(Ip),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ip {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    pub fragment: Fragment,
    pub transport: Transport,
}

/// Where in a fragmented packet this one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    Whole,
    /// Has the transport header.
    First(u32),
    /// Has none: judged by the first one's verdict.
    Later(u32),
}

/// What the transport header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    None,
    Ports {
        source: u16,
        destination: u16,
        /// TCP flags (byte 13 of its header); 0 for the others.
        flags: u8,
    },
    Icmp {
        /// `type << 8 | code`.
        kind: u16,
        /// Identifier of an echo request or reply.
        echo: Option<u16>,
    },
}

/// Why a frame cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// A header is cut off.
    Short,
    /// More than two VLAN tags.
    Tags,
    /// A version or length field contradicts the rest.
    Header,
    /// More IPv6 extension headers than are followed.
    Extensions,
}

/// Reads a frame that begins with an Ethernet header.
///
/// # Errors
/// Why it cannot be read.
pub fn read(frame: &[u8]) -> Result<Packet, Malformed> {
    let mut kind = be16(frame, 12)?;
    let mut at = 14;
    for _ in 0..MAX_TAGS {
        if is_tag(kind) {
            kind = be16(frame, at + 2)?;
            at += 4;
        }
    }
    let rest = frame.get(at..).ok_or(Malformed::Short)?;
    match kind {
        kind if is_tag(kind) => Err(Malformed::Tags),
        0x0800 => ipv4(rest).map(Packet::Ip),
        0x86dd => ipv6(rest).map(Packet::Ip),
        kind => Ok(Packet::Other(kind)),
    }
}

fn ipv4(packet: &[u8]) -> Result<Ip, Malformed> {
    let header: &[u8; 20] = packet.first_chunk().ok_or(Malformed::Short)?;
    let header_bytes = usize::from(header[0] & 15) * 4;
    if header[0] >> 4 != 4 || header_bytes < 20 {
        return Err(Malformed::Header);
    }
    let rest = packet.get(header_bytes..).ok_or(Malformed::Short)?;
    let id = u32::from(be16(header, 4)?);
    let field = be16(header, 6)?;
    let fragment = fragment(field & 0x1fff != 0, field & 0x2000 != 0, id);
    let protocol = header[9];
    Ok(Ip {
        source: Ipv4Addr::from(be32(header, 12)?).into(),
        destination: Ipv4Addr::from(be32(header, 16)?).into(),
        protocol,
        fragment,
        transport: transport(protocol, ICMP, fragment, rest)?,
    })
}

fn fragment(later: bool, more: bool, id: u32) -> Fragment {
    match (later, more) {
        (true, _) => Fragment::Later(id),
        (false, true) => Fragment::First(id),
        (false, false) => Fragment::Whole,
    }
}

fn ipv6(packet: &[u8]) -> Result<Ip, Malformed> {
    let header: &[u8; 40] = packet.first_chunk().ok_or(Malformed::Short)?;
    if header[0] >> 4 != 6 {
        return Err(Malformed::Header);
    }
    let (protocol, fragment, at) = extensions(packet, header[6])?;
    let rest = packet.get(at..).ok_or(Malformed::Short)?;
    Ok(Ip {
        source: address6(header, 8)?,
        destination: address6(header, 24)?,
        protocol,
        fragment,
        transport: transport(protocol, ICMPV6, fragment, rest)?,
    })
}

/// Walks the extension headers: (upper protocol, fragment, offset of the upper header).
fn extensions(packet: &[u8], first: u8) -> Result<(u8, Fragment, usize), Malformed> {
    let (mut next, mut at, mut place) = (first, 40, Fragment::Whole);
    for _ in 0..MAX_EXTENSIONS {
        if !EXTENSIONS.contains(&next) && next != FRAGMENT_HEADER {
            return Ok((next, place, at));
        }
        let head: &[u8; 8] = packet.get(at..).and_then(<[u8]>::first_chunk).ok_or(Malformed::Short)?;
        if next == FRAGMENT_HEADER {
            let field = be16(head, 2)?;
            place = fragment(field & 0xfff8 != 0, field & 1 != 0, be32(head, 4)?);
            at += 8;
        } else {
            at += (usize::from(head[1]) + 1) * 8;
        }
        next = head[0];
        if matches!(place, Fragment::Later(_)) {
            return Ok((next, place, at));
        }
        if at > 40 + MAX_EXTENSION_BYTES {
            return Err(Malformed::Extensions);
        }
    }
    if EXTENSIONS.contains(&next) || next == FRAGMENT_HEADER {
        Err(Malformed::Extensions)
    } else {
        Ok((next, place, at))
    }
}

fn transport(protocol: u8, icmp: u8, fragment: Fragment, rest: &[u8]) -> Result<Transport, Malformed> {
    if matches!(fragment, Fragment::Later(_)) {
        return Ok(Transport::None);
    }
    if WITH_PORTS.contains(&protocol) {
        let flags = if protocol == TCP { *rest.get(13).ok_or(Malformed::Short)? } else { 0 };
        return Ok(Transport::Ports { source: be16(rest, 0)?, destination: be16(rest, 2)?, flags });
    }
    if protocol != icmp {
        return Ok(Transport::None);
    }
    let kind = be16(rest, 0)?;
    let is_echo = matches!((icmp, kind >> 8), (ICMP, 0 | 8) | (ICMPV6, 128 | 129));
    Ok(Transport::Icmp { kind, echo: if is_echo { be16(rest, 4).ok() } else { None } })
}

fn is_tag(kind: u16) -> bool {
    kind == 0x8100 || kind == 0x88a8
}

fn be16(bytes: &[u8], at: usize) -> Result<u16, Malformed> {
    let rest = bytes.get(at..).ok_or(Malformed::Short)?;
    rest.first_chunk().map(|b| u16::from_be_bytes(*b)).ok_or(Malformed::Short)
}

fn be32(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    let rest = bytes.get(at..).ok_or(Malformed::Short)?;
    rest.first_chunk().map(|b| u32::from_be_bytes(*b)).ok_or(Malformed::Short)
}

fn address6(bytes: &[u8], at: usize) -> Result<IpAddr, Malformed> {
    let rest = bytes.get(at..).ok_or(Malformed::Short)?;
    rest.first_chunk::<16>().map(|b| Ipv6Addr::from(*b).into()).ok_or(Malformed::Short)
}

const MAX_TAGS: usize = 2;
const MAX_EXTENSIONS: usize = 6;
const MAX_EXTENSION_BYTES: usize = 256;
const FRAGMENT_HEADER: u8 = 44;
/// Hop-by-hop, routing, destination options, mobility, HIP, shim6: all `length = (byte 1 + 1) * 8`.
const EXTENSIONS: [u8; 6] = [0, 43, 60, 135, 139, 140];

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(frame in proptest::collection::vec(proptest::num::u8::ANY, 0..200), kind in 0usize..3) {
            let mut frame = frame;
            if let Some(bytes) = frame.get_mut(12..14) {
                bytes.copy_from_slice([&[8u8, 0], &[0x86, 0xdd], &[0x81, 0]][kind]);
            }
            if let Ok(Packet::Ip(ip)) = read(&frame) {
                proptest::prop_assert_eq!(ip.source.is_ipv4(), ip.destination.is_ipv4());
            }
        }
    }
}
