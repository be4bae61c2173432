//! Sockets by inode, from the tables below /proc/PID/net, once per network namespace.
//! Comes in: lines of tcp, tcp6, udp, udp6, raw, raw6, unix, netlink. Goes out: both ends, the server's as destination.
//! A line that does not parse is passed over.

use crate::procs::{number, slurp, text};
use event::snapshot::{Fd, FdDetail, FdType, L4};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The sockets of the network namespaces met so far.
#[derive(Debug, Default)]
pub(crate) struct Namespaces(HashMap<u64, Sockets>);

impl Namespaces {
    /// Which network namespace the process at `dir` lives in.
    pub fn number(dir: &Path) -> u64 {
        fs::metadata(dir.join("ns/net")).map_or(0, |m| m.ino())
    }

    /// The sockets of namespace `number`, read through the process at `dir` when they are not known yet.
    pub fn of(&mut self, number: u64, dir: &Path) -> &Sockets {
        self.0.entry(number).or_insert_with(|| Sockets::read(&dir.join("net")))
    }
}

/// What sits behind a socket's inode.
#[derive(Debug, Default)]
pub(crate) struct Sockets(HashMap<u64, (FdType, FdDetail)>);

impl Sockets {
    pub fn find(&self, ino: u64, fd: i64) -> Option<Fd> {
        self.0.get(&ino).map(|(ty, detail)| Fd { fd, ino, ty: *ty, detail: detail.clone() })
    }

    fn read(net: &Path) -> Sockets {
        let mut sockets = Sockets::default();
        for (file, l4) in [
            ("tcp", L4::Tcp),
            ("tcp6", L4::Tcp),
            ("udp", L4::Udp),
            ("udp6", L4::Udp),
            ("raw", L4::Raw),
            ("raw6", L4::Raw),
        ] {
            sockets.internet(&text(&net.join(file)), l4);
        }
        sockets.unix(&slurp(&net.join("unix")).unwrap_or_default());
        sockets.netlink(&text(&net.join("netlink")));
        sockets
    }

    /// `sl local remote st tx:rx tr:tm retr uid timeout inode`
    fn internet(&mut self, text: &str, l4: L4) {
        let rows: Vec<Row> = text.lines().skip(1).filter_map(Row::parse).collect();
        let bound: HashSet<u16> = rows.iter().filter(|r| r.is_server(l4)).map(|r| r.local.1).collect();
        for row in rows {
            let v4 = row.local.0.is_ipv4();
            let entry = if row.is_server(l4) {
                let ty = if v4 { FdType::Ipv4ServSock } else { FdType::Ipv6ServSock };
                (ty, FdDetail::Server { ip: row.local.0, port: row.local.1, l4 })
            } else {
                let ((sip, sport), (dip, dport)) =
                    if bound.contains(&row.local.1) { (row.remote, row.local) } else { (row.local, row.remote) };
                let ty = if v4 { FdType::Ipv4Sock } else { FdType::Ipv6Sock };
                (ty, FdDetail::Socket { sip, sport, dip, dport, l4 })
            };
            self.0.insert(row.ino, entry);
        }
    }

    /// `address: refs protocol flags type state inode path`
    fn unix(&mut self, text: &[u8]) {
        for line in text.split(|b| *b == b'\n').skip(1) {
            let head: Vec<&[u8]> = line.split(|b| *b == b' ').filter(|f| !f.is_empty()).take(7).collect();
            let [address, _, _, _, _, _, ino] = head[..] else { continue };
            let Some(ino) = std::str::from_utf8(ino).ok().and_then(number) else { continue };
            let address = std::str::from_utf8(address).unwrap_or_default().trim_end_matches(':');
            let source = u64::from_str_radix(address, 16).unwrap_or(0);
            let detail = FdDetail::Unix { source, destination: 0, path: path_of(behind(line, 7)) };
            self.0.insert(ino, (FdType::UnixSock, detail));
        }
    }

    /// `sk protocol pid groups rmem wmem dump locks drops inode`
    fn netlink(&mut self, text: &str) {
        let inos = text.lines().skip(1).filter_map(|line| number::<u64>(line.split_whitespace().last()?));
        self.0.extend(inos.map(|ino| (ino, (FdType::Netlink, FdDetail::Named(Vec::new())))));
    }
}

struct Row {
    local: (IpAddr, u16),
    remote: (IpAddr, u16),
    state: u8,
    ino: u64,
}

impl Row {
    fn parse(line: &str) -> Option<Row> {
        let mut fields = line.split_whitespace().skip(1);
        let (local, remote) = (end(fields.next()?)?, end(fields.next()?)?);
        let state = u8::from_str_radix(fields.next()?, 16).ok()?;
        Some(Row { local, remote, state, ino: number(fields.nth(5)?)? })
    }

    fn is_server(&self, l4: L4) -> bool {
        match l4 {
            L4::Tcp => self.state == TCP_LISTEN,
            _ => self.remote.1 == 0,
        }
    }
}

/// `0100007F:1F90`: address in words of the machine's byte order, port in hex.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |i: usize| u32::from_str_radix(address.get(i * 8..i * 8 + 8)?, 16).ok();
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?.to_ne_bytes())),
        32 => {
            let mut bytes = [0; 16];
            for (i, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(i)?.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some((address, port))
}

/// What follows the first `fields` fields and one blank; a path may hold blanks itself.
fn behind(mut line: &[u8], fields: usize) -> &[u8] {
    for _ in 0..fields {
        line = line.trim_ascii_start();
        let end = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
        line = line.get(end..).unwrap_or_default();
    }
    line.strip_prefix(b" ").unwrap_or(line)
}

/// Abstract names begin with `@` in the table and with nothing in events.
fn path_of(text: &[u8]) -> Vec<u8> {
    text.strip_prefix(b"@").unwrap_or(text).to_vec()
}

/// include/net/tcp_states.h
const TCP_LISTEN: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_the_destination() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1\n\
            1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 112 1\n\
            2: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 113 1\n\
            nonsense\n";
        let mut sockets = Sockets::default();
        sockets.internet(text, L4::Tcp);
        let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let connection = FdDetail::Socket { sip: home, sport: 54321, dip: home, dport: 8080, l4: L4::Tcp };
        assert_eq!(
            sockets.find(111, 3).map(|f| f.detail),
            Some(FdDetail::Server { ip: home, port: 8080, l4: L4::Tcp })
        );
        assert_eq!(sockets.find(112, 4).map(|f| f.detail), Some(connection.clone()));
        assert_eq!(sockets.find(113, 5).map(|f| f.detail), Some(connection));
    }

    #[test]
    fn addresses_of_both_families() {
        assert_eq!(end("0100007F:0050"), Some((IpAddr::V4(Ipv4Addr::LOCALHOST), 80)));
        assert_eq!(end("00000000000000000000000001000000:0050"), Some((IpAddr::V6(Ipv6Addr::LOCALHOST), 80)));
        assert_eq!(end("zz:1"), None);
    }

    #[test]
    fn unix_sockets_have_address_and_path() {
        let text = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            ffff888100000001: 00000002 00000000 00010000 0001 01 21001 /run/a b.sock\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 21002 @abstract\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 21003\n";
        let mut sockets = Sockets::default();
        sockets.unix(text);
        let path = |ino| match sockets.find(ino, 0).map(|f| f.detail) {
            Some(FdDetail::Unix { path, source, .. }) => (String::from_utf8(path).expect("text"), source),
            other => panic!("{other:?}"),
        };
        assert_eq!(path(21001), ("/run/a b.sock".to_owned(), 0xffff_8881_0000_0001));
        assert_eq!(path(21002).0, "abstract");
        assert_eq!(path(21003).0, "");
    }
}
