//! Route netlink: one request in, the payloads of its answers out, or the errno the kernel gave. Attributes are built
//! and read here; what they mean is for callers. Answers are read from bytes without trusting their lengths.
//! Kernel interface: linux/netlink.h, linux/rtnetlink.h; man 7 netlink.

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket};
use std::os::fd::{AsRawFd, OwnedFd};

/// A socket of the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

/// Type of an answer and its payload behind the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub kind: u16,
    pub payload: Vec<u8>,
}

impl Socket {
    /// # Errors
    /// EMFILE and the like; no privilege is needed.
    pub fn open() -> Result<Socket, Errno> {
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
        Ok(Socket { fd, sequence: 0 })
    }

    /// Sends one message and collects what comes back until the kernel has answered (an acknowledgement, the end of a
    /// dump, or an error).
    ///
    /// # Errors
    /// What the kernel answered, EPERM without CAP_NET_ADMIN for changes.
    pub fn request(&mut self, kind: u16, flags: u16, payload: &[u8]) -> Result<Vec<Message>, Errno> {
        self.sequence += 1;
        let message = message(kind, flags | REQUEST | ACK, self.sequence, payload);
        sendto(self.fd.as_raw_fd(), &message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        let mut answers = Vec::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let len = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            if take(buffer.get(..len).unwrap_or_default(), self.sequence, &mut answers)? {
                return Ok(answers);
            }
        }
    }
}

fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(HEADER_BYTES + payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend(len.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend(payload);
    bytes
}

/// Adds the messages of one datagram; true when the answer is complete.
fn take(mut datagram: &[u8], sequence: u32, answers: &mut Vec<Message>) -> Result<bool, Errno> {
    while let Some(header) = datagram.first_chunk::<HEADER_BYTES>() {
        let len = u32_at(header, 0) as usize;
        let Some(body) = datagram.get(HEADER_BYTES..len) else { return Err(Errno::EBADMSG) };
        let (kind, ours) = (u16_at(header, 4), u32_at(header, 8) == sequence);
        match kind {
            _ if !ours => {}
            ERROR => match i32::from_ne_bytes(body.first_chunk().copied().unwrap_or_default()) {
                0 => return Ok(true),
                error => return Err(Errno::from_raw(-error)),
            },
            DONE => return Ok(true),
            _ => answers.push(Message { kind, payload: body.to_vec() }),
        }
        datagram = datagram.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Appends an attribute: length, type, value, padding.
pub fn put(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let len = u16::try_from(ATTRIBUTE_BYTES + value.len()).unwrap_or(u16::MAX);
    message.extend(len.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// The value of the first attribute of this type.
pub fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some(header) = attributes.first_chunk::<ATTRIBUTE_BYTES>() {
        let len = usize::from(u16_at(header, 0));
        let value = attributes.get(ATTRIBUTE_BYTES..len)?;
        if u16_at(header, 2) & TYPE_MASK == wanted {
            return Some(value);
        }
        attributes = attributes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u16::from_ne_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from_ne_bytes(*b))
}

/// Flags for [`Socket::request`] (linux/netlink.h).
pub const DUMP: u16 = 0x300;
pub const REPLACE: u16 = 0x100;
pub const EXCLUSIVE: u16 = 0x200;
pub const CREATE: u16 = 0x400;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const HEADER_BYTES: usize = 16;
const ATTRIBUTE_BYTES: usize = 4;
/// Nested and byte-order bits are not part of the type.
const TYPE_MASK: u16 = 0x3fff;
/// The kernel fills at most 32 KiB per datagram of a dump.
const BUFFER_BYTES: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_again() {
        let mut bytes = Vec::new();
        put(&mut bytes, 1, b"bpf\0");
        put(&mut bytes, 0x8002, b"x");
        assert_eq!(find(&bytes, 2), Some(&b"x"[..]));
        assert_eq!(find(&bytes, 3), None);
        assert_eq!(find(&[9, 0, 1, 0, 1], 1), None);
        assert_eq!(find(&[0, 0, 0, 0, 0, 0, 0, 0], 1), None);
    }

    #[test]
    fn datagrams_with_lying_lengths_are_refused() {
        let mut answers = Vec::new();
        assert_eq!(take(&[255; 16], 1, &mut answers), Err(Errno::EBADMSG));
        let mut short = message(20, 0, 1, &[]);
        short[0] = 3;
        assert_eq!(take(&short, 1, &mut answers), Err(Errno::EBADMSG));
    }

    #[test]
    fn loopback_has_index_one() {
        let mut request = vec![0; 16];
        request[4] = 1;
        let answers = Socket::open().unwrap().request(18, 0, &request).unwrap();
        assert_eq!(u32_at(&answers[0].payload, 4), 1);
    }
}
