//! Socket addresses as events carry them. In: the bytes of an address, tuple or descriptor list parameter. Out: text
//! and addresses. A cut or unknown encoding yields `None`, never a panic. Layouts: see `event::wire`.

use super::text::Text;
use crate::state::net;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Address families as the kernel numbers them.
const AF_UNIX: u8 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Appends `ip:port` (IPv4 inside IPv6 as IPv4) or a path; nothing for other families.
pub(crate) fn push_sockaddr(out: &mut Text<'_>, bytes: &[u8]) -> Option<()> {
    let (family, rest) = bytes.split_first()?;
    if *family == AF_UNIX {
        out.push_valid(super::text::c_string(rest));
        return Some(());
    }
    let (ip, rest) = take_ip(*family, rest)?;
    let (port, _) = take_u16(rest)?;
    out.put(format_args!("{}:{port}", net::unmapped(ip)));
    Some(())
}

/// Appends `ip:port->ip:port`, or `source->destination path` for unix sockets.
pub(crate) fn push_tuple(out: &mut Text<'_>, bytes: &[u8]) -> Option<()> {
    let (family, rest) = bytes.split_first()?;
    if *family == AF_UNIX {
        let (source, rest) = take_u64(rest)?;
        let (destination, path) = take_u64(rest)?;
        out.put(format_args!("{source:x}->{destination:x} "));
        out.push_valid(super::text::c_string(path));
        return Some(());
    }
    let (sip, rest) = take_ip(*family, rest)?;
    let (sport, rest) = take_u16(rest)?;
    let (dip, rest) = take_ip(*family, rest)?;
    let (dport, _) = take_u16(rest)?;
    let (sip, dip) = net::unmapped_pair(sip, dip);
    out.put(format_args!("{sip}:{sport}->{dip}:{dport}"));
    Some(())
}

/// Descriptors and their flags in a poll list.
pub(crate) fn poll_list(bytes: &[u8]) -> impl Iterator<Item = (i64, u16)> {
    let (count, entries) = take_u16(bytes).unwrap_or((0, &[]));
    entries.chunks_exact(POLL_ENTRY_BYTES).take(usize::from(count)).filter_map(|entry| {
        let (fd, flags) = take_u64(entry)?;
        Some((fd.cast_signed(), take_u16(flags)?.0))
    })
}

/// 4 or 16 bytes as an address.
pub(crate) fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::V4(Ipv4Addr::from(*bytes.first_chunk()?))),
        16 => Some(IpAddr::V6(Ipv6Addr::from(*bytes.first_chunk()?))),
        _ => None,
    }
}

fn take_ip(family: u8, bytes: &[u8]) -> Option<(IpAddr, &[u8])> {
    let len = match family {
        AF_INET => 4,
        AF_INET6 => 16,
        _ => return None,
    };
    let (head, rest) = bytes.split_at_checked(len)?;
    Some((ip(head)?, rest))
}

fn take_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = bytes.split_first_chunk()?;
    Some((u16::from_le_bytes(*head), rest))
}

fn take_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*head), rest))
}

/// i64 descriptor, i16 flags.
const POLL_ENTRY_BYTES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use bumpalo::Bump;

    fn tuple(bytes: &[u8]) -> Option<String> {
        let arena = Bump::new();
        let mut text = Text::new(&arena);
        push_tuple(&mut text, bytes)?;
        Some(String::from_utf8_lossy(text.finish()).into_owned())
    }

    #[test]
    fn prints_tuples() {
        let v4 = [2, 127, 0, 0, 1, 0x50, 0, 10, 0, 0, 9, 0xbb, 1];
        assert_eq!(tuple(&v4).as_deref(), Some("127.0.0.1:80->10.0.0.9:443"));
        let mut unix = vec![1, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0];
        unix.extend_from_slice(b"/run/x\0");
        assert_eq!(tuple(&unix).as_deref(), Some("f->ff /run/x"));
        assert_eq!(tuple(&[16, 1, 2, 3]), None);
        let mut mapped = vec![10];
        for port in [80u16, 443] {
            mapped.extend(Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
            mapped.extend(port.to_le_bytes());
        }
        assert_eq!(tuple(&mapped).as_deref(), Some("127.0.0.1:80->127.0.0.1:443"));
    }

    #[test]
    fn every_cut_is_refused() {
        let v6: Vec<u8> = std::iter::once(10).chain(0..36).collect();
        assert!(tuple(&v6).is_some());
        assert!((0..v6.len()).all(|end| tuple(&v6[..end]).is_none()));
    }

    #[test]
    fn reads_poll_lists_as_far_as_they_go() {
        let mut bytes = vec![2, 0];
        bytes.extend_from_slice(&4i64.to_le_bytes());
        bytes.extend_from_slice(&0x204u16.to_le_bytes());
        assert_eq!(poll_list(&bytes).collect::<Vec<_>>(), [(4, 0x204)]);
        assert_eq!(poll_list(&[]).count(), 0);
    }
}
