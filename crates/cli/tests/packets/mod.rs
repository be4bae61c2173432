//! Frames for tests, and a sender that learns whether they got through: at egress a dropped frame is ENOBUFS.
#![allow(dead_code)] // each test binary uses a part

use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, sendto, socket};
use std::os::fd::{AsRawFd, OwnedFd};
use testkit::netns::Netns;

/// An AF_PACKET socket on an interface of a namespace.
pub struct Sender {
    socket: OwnedFd,
    address: LinkAddr,
}

impl Sender {
    pub fn open(netns: &Netns, interface: &str) -> Sender {
        let open = || {
            let protocol = SockProtocol::EthAll;
            let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap();
            let mut interfaces = nix::ifaddrs::getifaddrs().unwrap();
            let found = interfaces
                .find_map(|i| if i.interface_name == interface { i.address?.as_link_addr().copied() } else { None });
            Sender { socket, address: found.unwrap() }
        };
        traffic::attach::netns::run(&netns.path(), open).unwrap()
    }

    /// Whether the frame left the interface.
    pub fn send(&self, frame: &[u8]) -> bool {
        match sendto(self.socket.as_raw_fd(), frame, &self.address, MsgFlags::empty()) {
            Ok(_) => true,
            Err(nix::errno::Errno::ENOBUFS) => false,
            Err(error) => panic!("send: {error}"),
        }
    }
}

/// `tcp 443`, `udp 53`, `icmp`, `arp`, `vlan tcp 443`: from 10.0.0.1 port 40000 to 10.0.0.53.
pub fn frame(words: &str) -> Vec<u8> {
    build(words, [10, 0, 0, 1], [10, 0, 0, 53], false)
}

/// The answer to [`frame`].
pub fn reply(words: &str) -> Vec<u8> {
    build(words, [10, 0, 0, 53], [10, 0, 0, 1], true)
}

fn build(words: &str, source: [u8; 4], destination: [u8; 4], swapped: bool) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    let words = words.strip_prefix("vlan ").inspect(|_| frame.extend([0x81, 0, 0, 7])).unwrap_or(words);
    let (protocol, port) = words.split_once(' ').unwrap_or((words, "0"));
    let number = match protocol {
        "arp" => {
            frame.extend([8, 6]);
            frame.extend([0; 46]);
            return frame;
        }
        "tcp" => 6,
        "udp" => 17,
        _ => 1,
    };
    frame.extend([8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, number, 0, 0]);
    frame.extend(source);
    frame.extend(destination);
    let mut ports = [40000u16.to_be_bytes(), port.parse::<u16>().unwrap().to_be_bytes()];
    if swapped {
        ports.reverse();
    }
    frame.extend(ports.concat());
    frame.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, if swapped { 0x12 } else { 2 }, 0, 0, 0, 0, 0, 0]);
    frame
}

/// Programs at egress of a cable and what becomes of frames, under the older name.
pub const EXPECTED: &[(&str, &[(&str, bool)])] = &[
    ("nop", &[("tcp 443", true), ("arp", true)]),
    ("allow_dns 10.0.0.53", &[("udp 53", true), ("tcp 80", true), ("arp", false)]),
    ("allow_dns 10.0.0.54", &[("udp 53", false), ("tcp 80", true), ("icmp", true)]),
    ("allow_ethertype arp", &[("arp", true), ("tcp 443", false), ("vlan tcp 443", false)]),
    ("allow_ipv4 10.0.0.53", &[("tcp 443", true), ("arp", false)]),
    ("allow_port 443", &[("tcp 443", true), ("tcp 80", false), ("icmp", true)]),
    ("allow_proto tcp+1", &[("tcp 1", true), ("udp 1", false), ("icmp", true), ("vlan tcp 1", true)]),
    ("block_ipv4 10.0.0.53", &[("tcp 1", false), ("arp", true)]),
    ("block_port 443", &[("tcp 443", false), ("tcp 80", true), ("vlan tcp 443", true)]),
    ("--strict block_port 443", &[("tcp 443", false), ("vlan tcp 443", false), ("vlan tcp 80", true)]),
    ("block_private_ipv4", &[("tcp 443", false), ("arp", true)]),
];

pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

pub fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    traffic::pcap::write(frames.iter().zip(1u64..).map(|(frame, second)| (second * 1_000_000_000, frame.as_slice())))
}
