//! Flows as text, for `explain`: `tcp 10.0.0.5:40000 -> 1.1.1.1:443` in, a frame of such a packet out. Pure.

use crate::policy::protocols::{self, ICMP, ICMP_TYPES, ICMPV6, ICMPV6_TYPES, PROTOCOLS, TCP, WITH_PORTS};
use std::net::IpAddr;

/// A frame like the first packet of the flow: `PROTOCOL SOURCE[:PORT] -> DESTINATION[:PORT] [TYPE]`, or an EtherType word
/// such as `arp`. For ICMP the last word is the type (default echo-request); for TCP `syn` (default) or `ack`.
///
/// # Errors
/// What is wrong and how to write it.
pub fn frame(text: &str) -> Result<Vec<u8>, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if let [word] = words[..] {
        let kind = protocols::number(protocols::ETHERTYPES, word).ok_or_else(|| usage(text))?;
        return Ok(ethernet(kind, &[0; 46]));
    }
    let [protocol, source, "->", destination, ref last @ ..] = words[..] else { return Err(usage(text)) };
    let number = protocols::number(PROTOCOLS, protocol).or_else(|| protocol.parse().ok());
    let number = number.ok_or_else(|| format!("unknown protocol `{protocol}`"))?;
    let with_ports = WITH_PORTS.contains(&number);
    let (source, source_port) = end(source, with_ports)?;
    let (destination, destination_port) = end(destination, with_ports)?;
    let last = last.first().copied();
    let payload = match number {
        TCP => tcp(source_port, destination_port, last)?,
        ICMP | ICMPV6 => icmp(number, last)?,
        _ if with_ports => ports(source_port, destination_port, &[0, 12, 0, 0, 0, 0, 0, 0]),
        _ => vec![0; 16],
    };
    network(number, source, destination, &payload)
}

fn usage(text: &str) -> String {
    format!(
        "`{text}` is no flow (write for example `tcp 10.0.0.5:40000 -> 1.1.1.1:443`, `icmp 10.0.0.5 -> 1.1.1.1 echo-request` or `arp`)"
    )
}

/// `1.2.3.4:80`, `[2001:db8::1]:80`, or an address alone where there are no ports.
fn end(text: &str, with_ports: bool) -> Result<(IpAddr, u16), String> {
    let wanted = if with_ports { "an address with a port" } else { "an address" };
    let refuse = || format!("`{text}` is not {wanted}");
    if with_ports {
        let end: std::net::SocketAddr = text.parse().map_err(|_| refuse())?;
        return Ok((end.ip(), end.port()));
    }
    text.parse().map(|address| (address, 0)).map_err(|_| refuse())
}

fn ports(source: u16, destination: u16, rest: &[u8]) -> Vec<u8> {
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), rest].concat()
}

fn tcp(source: u16, destination: u16, last: Option<&str>) -> Result<Vec<u8>, String> {
    let flags = match last {
        None | Some("syn") => 2,
        Some("ack") => 16,
        Some(other) => return Err(format!("`{other}` is no TCP packet (write `syn` or `ack`)")),
    };
    Ok(ports(source, destination, &[0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 255, 255, 0, 0, 0, 0]))
}

fn icmp(protocol: u8, last: Option<&str>) -> Result<Vec<u8>, String> {
    let table = if protocol == ICMP { ICMP_TYPES } else { ICMPV6_TYPES };
    let word = last.unwrap_or("echo-request");
    let (kind, code) = word.split_once('/').unwrap_or((word, "0"));
    let kind = protocols::number(table, kind).or_else(|| kind.parse().ok());
    let refuse = || format!("`{word}` is no ICMP type (write for example `echo-request` or `3/4`)");
    let (kind, code) = (kind.ok_or_else(refuse)?, code.parse().map_err(|_| refuse())?);
    Ok(vec![kind, code, 0, 0, 0, 1, 0, 1])
}

fn network(protocol: u8, source: IpAddr, destination: IpAddr, payload: &[u8]) -> Result<Vec<u8>, String> {
    let len = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let total = (len + 20).to_be_bytes();
            let head = [0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, protocol, 0, 0];
            Ok(ethernet(0x0800, &[&head[..], &source.octets(), &destination.octets(), payload].concat()))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let len = len.to_be_bytes();
            let head = [0x60, 0, 0, 0, len[0], len[1], protocol, 64];
            Ok(ethernet(0x86dd, &[&head[..], &source.octets(), &destination.octets(), payload].concat()))
        }
        _ => Err("source and destination are of different address families".to_owned()),
    }
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &kind.to_be_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{self, Packet, Transport};

    #[test]
    fn frames_read_as_written() {
        let read = |text| packet::read(&frame(text).unwrap()).unwrap();
        let Packet::Ip(ip) = read("tcp 10.0.0.5:40000 -> 1.1.1.1:443") else { panic!("no IP") };
        assert_eq!(ip.transport, Transport::Ports { source: 40000, destination: 443, flags: 2 });
        let Packet::Ip(ip) = read("icmpv6 fe80::1 -> fe80::2 135") else { panic!("no IP") };
        assert_eq!(ip.transport, Transport::Icmp { kind: 135 << 8, echo: None });
        let Packet::Ip(ip) = read("udp [2001:db8::1]:5 -> [2001:db8::2]:53") else { panic!("no IP") };
        assert_eq!(ip.transport, Transport::Ports { source: 5, destination: 53, flags: 0 });
        assert_eq!(read("arp"), Packet::Other(0x0806));
    }

    #[test]
    fn refuses_with_the_fix() {
        for text in [
            "",
            "tcp",
            "tcp 1.1.1.1 -> 2.2.2.2:1",
            "tcp 1.1.1.1:1 -> [::1]:1",
            "foo 1.1.1.1 -> 2.2.2.2",
            "icmp 1.1.1.1 -> 2.2.2.2 wat",
        ] {
            assert!(frame(text).is_err(), "{text}");
        }
    }
}
