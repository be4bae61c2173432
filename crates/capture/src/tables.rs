//! The tables in front of the events, as the current version of the format has them. In comes a [`Snapshot`]; out go
//! blocks. The counterpart of `metadata`, `proclist`, `fdlist` and `lists`.

use crate::block;
use event::snapshot::{Fd, FdDetail, FdType, Group, Interface, L4, Machine, Proc, Snapshot, User};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr};

/// Writes a section header and all tables; returns how many texts had to be clipped.
pub fn write<W: Write>(snapshot: &Snapshot, out: &mut W) -> io::Result<u64> {
    let mut blocks = Blocks { bytes: Vec::new(), clipped: 0 };
    blocks.section_header();
    blocks.machine(&snapshot.machine);
    blocks.framed(block::INTERFACES, &snapshot.interfaces, Blocks::interface);
    blocks.accounts(&snapshot.users, &snapshot.groups);
    blocks.flush(out)?;
    let mut procs = snapshot.procs.as_slice();
    while !procs.is_empty() {
        procs = blocks.procs(procs);
        blocks.flush(out)?;
    }
    for proc in snapshot.procs.iter().filter(|p| !p.fds.is_empty()) {
        blocks.fds(proc);
        blocks.flush(out)?;
    }
    Ok(blocks.clipped)
}

struct Blocks {
    bytes: Vec<u8>,
    clipped: u64,
}

impl Blocks {
    fn flush<W: Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }

    fn section_header(&mut self) {
        let start = block::begin(&mut self.bytes, block::SECTION);
        self.u32(block::SECTION_MAGIC);
        self.u16(1);
        self.u16(2);
        self.u64(u64::MAX); // the length of the section is not known
        block::end(&mut self.bytes, start);
    }

    fn machine(&mut self, machine: &Machine) {
        let start = block::begin(&mut self.bytes, block::MACHINE);
        self.u32(machine.num_cpus);
        self.u64(machine.memory_bytes);
        self.u64(machine.max_pid);
        let mut hostname = [0u8; block::HOSTNAME_BYTES];
        let (name, _terminator) = hostname.split_at_mut(block::HOSTNAME_BYTES - 1);
        name.iter_mut().zip(machine.hostname.bytes()).for_each(|(to, from)| *to = from);
        self.bytes.extend_from_slice(&hostname);
        self.u64(machine.boot_ts);
        self.bytes.extend_from_slice(&[0; 24]); // flags and two reserved numbers
        block::end(&mut self.bytes, start);
    }

    /// One block with an entry per item; none when there are no items.
    fn framed<T>(&mut self, ty: u32, items: &[T], entry: impl Fn(&mut Self, &T)) {
        if items.is_empty() {
            return;
        }
        let start = block::begin(&mut self.bytes, ty);
        items.iter().for_each(|item| entry(self, item));
        block::end(&mut self.bytes, start);
    }

    /// The length of this entry, alone of all, does not count itself.
    fn interface(&mut self, interface: &Interface) {
        let start = self.bytes.len();
        self.u32(0);
        let is_ipv4 = [interface.addr, interface.netmask, interface.broadcast].iter().all(IpAddr::is_ipv4);
        self.u16(if is_ipv4 { 1 } else { 2 });
        let name = self.clip(&interface.name, MAX_TEXT_BYTES).to_vec();
        self.u16(u16::try_from(name.len()).unwrap_or(0));
        for ip in [interface.addr, interface.netmask, interface.broadcast] {
            self.ip(ip, is_ipv4);
        }
        self.u64(interface.linkspeed);
        self.bytes.extend_from_slice(&name);
        self.set_length(start, self.bytes.len() - start - 4);
    }

    fn accounts(&mut self, users: &[User], groups: &[Group]) {
        if users.is_empty() && groups.is_empty() {
            return;
        }
        let start = block::begin(&mut self.bytes, block::USERS);
        for user in users {
            self.sized(|b| {
                b.u8(0);
                b.u32(user.uid);
                b.u32(user.gid);
                b.text(&user.name);
                b.text(&user.homedir);
                b.text(&user.shell);
            });
        }
        for group in groups {
            self.sized(|b| {
                b.u8(1);
                b.u32(group.gid);
                b.text(&group.name);
            });
        }
        block::end(&mut self.bytes, start);
    }

    /// One process list of limited size; returns the rest.
    fn procs<'a>(&mut self, procs: &'a [Proc]) -> &'a [Proc] {
        let start = block::begin(&mut self.bytes, block::PROCS_V9);
        let mut rest = procs;
        while let Some((proc, behind)) = rest.split_first()
            && self.bytes.len() < MAX_PROC_BLOCK_BYTES
        {
            self.sized(|b| {
                b.proc_head(proc);
                b.proc_tail(proc);
            });
            rest = behind;
        }
        block::end(&mut self.bytes, start);
        rest
    }

    fn proc_head(&mut self, proc: &Proc) {
        for id in [proc.tid, proc.pid, proc.ptid, proc.sid, proc.vpgid] {
            self.i64(id);
        }
        self.text(&proc.comm);
        self.text(&proc.exe);
        self.text(&proc.exepath);
        self.long_text(&proc.args);
        self.text(&proc.cwd);
        self.i64(proc.fdlimit);
        for number in [proc.flags, proc.uid, proc.gid, proc.vmsize_kb, proc.vmrss_kb, proc.vmswap_kb] {
            self.u32(number);
        }
        self.u64(proc.pfmajor);
        self.u64(proc.pfminor);
        self.long_text(&proc.env);
        self.i64(proc.vtid);
        self.i64(proc.vpid);
        self.long_text(&proc.cgroups);
        self.text(&proc.root);
    }

    fn proc_tail(&mut self, proc: &Proc) {
        self.u64(proc.pidns_init_start_ts);
        self.u32(proc.tty);
        self.u32(proc.loginuid);
        self.u8(proc.exe_writable.into());
        self.u64(proc.cap_inheritable);
        self.u64(proc.cap_permitted);
        self.u64(proc.cap_effective);
        self.u8(proc.exe_upper_layer.into());
        self.u64(proc.exe_ino);
        self.u64(proc.exe_ino_ctime);
        self.u64(proc.exe_ino_mtime);
        self.u8(proc.exe_from_memfd.into());
        self.u8(proc.exe_lower_layer.into());
        self.i64(proc.pgid);
    }

    fn fds(&mut self, proc: &Proc) {
        let start = block::begin(&mut self.bytes, block::FDS);
        self.i64(proc.tid);
        for fd in &proc.fds {
            if fd.ty != FdType::Unknown {
                self.sized(|b| b.fd(fd));
            }
        }
        block::end(&mut self.bytes, start);
    }

    fn fd(&mut self, fd: &Fd) {
        let ty = type_of(fd);
        self.i64(fd.fd);
        self.u64(fd.ino);
        self.u8(ty as u8);
        match &fd.detail {
            FdDetail::Socket { sip, sport, dip, dport, l4 } => {
                self.ip(*sip, ty == FdType::Ipv4Sock);
                self.ip(*dip, ty == FdType::Ipv4Sock);
                self.u16(*sport);
                self.u16(*dport);
                self.l4(*l4);
            }
            FdDetail::Server { ip, port, l4 } => {
                self.ip(*ip, ty == FdType::Ipv4ServSock);
                self.u16(*port);
                self.l4(*l4);
            }
            FdDetail::Unix { source, destination, path } => {
                self.u64(*source);
                self.u64(*destination);
                self.text(path);
            }
            FdDetail::File { open_flags, name, dev } => {
                self.u32(*open_flags);
                self.text(name);
                self.u32(*dev);
            }
            FdDetail::Named(name) => self.text(name),
        }
    }

    /// Writes an entry behind its length, which counts itself.
    fn sized(&mut self, entry: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.u32(0);
        entry(self);
        self.set_length(start, self.bytes.len() - start);
    }

    fn set_length(&mut self, at: usize, length: usize) {
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        if let Some(slot) = self.bytes.get_mut(at..at + length.len()) {
            slot.copy_from_slice(&length);
        }
    }

    fn u8(&mut self, n: u8) {
        self.bytes.push(n);
    }

    fn u16(&mut self, n: u16) {
        self.bytes.extend_from_slice(&n.to_le_bytes());
    }

    fn u32(&mut self, n: u32) {
        self.bytes.extend_from_slice(&n.to_le_bytes());
    }

    fn u64(&mut self, n: u64) {
        self.bytes.extend_from_slice(&n.to_le_bytes());
    }

    fn i64(&mut self, n: i64) {
        self.bytes.extend_from_slice(&n.to_le_bytes());
    }

    fn l4(&mut self, l4: L4) {
        self.u8(l4 as u8);
    }

    fn ip(&mut self, ip: IpAddr, as_ipv4: bool) {
        match ip {
            IpAddr::V4(ip) if as_ipv4 => self.bytes.extend_from_slice(&ip.octets()),
            ip => self.bytes.extend_from_slice(&v6(ip).octets()),
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.text_up_to(text, MAX_TEXT_BYTES);
    }

    fn long_text(&mut self, text: &[u8]) {
        self.text_up_to(text, MAX_LONG_TEXT_BYTES);
    }

    fn text_up_to(&mut self, text: &[u8], limit: usize) {
        let text = self.clip(text, limit);
        self.u16(u16::try_from(text.len()).unwrap_or(0));
        self.bytes.extend_from_slice(text);
    }

    fn clip<'a>(&mut self, text: &'a [u8], limit: usize) -> &'a [u8] {
        match text.get(..limit) {
            Some(start) if text.len() > limit => {
                self.clipped += 1;
                start
            }
            _ => text,
        }
    }
}

/// The type that the detail has in the file; a name alone can only be of a type that has no more than a name.
fn type_of(fd: &Fd) -> FdType {
    match &fd.detail {
        FdDetail::Socket { sip: IpAddr::V4(_), dip: IpAddr::V4(_), .. } => FdType::Ipv4Sock,
        FdDetail::Socket { .. } => FdType::Ipv6Sock,
        FdDetail::Server { ip: IpAddr::V4(_), .. } => FdType::Ipv4ServSock,
        FdDetail::Server { .. } => FdType::Ipv6ServSock,
        FdDetail::Unix { .. } => FdType::UnixSock,
        FdDetail::File { .. } => FdType::FileV2,
        FdDetail::Named(_) => match fd.ty {
            FdType::Ipv4Sock | FdType::Ipv6Sock | FdType::Ipv4ServSock | FdType::Ipv6ServSock => FdType::Unsupported,
            FdType::UnixSock | FdType::FileV2 | FdType::Unknown => FdType::Unsupported,
            named => named,
        },
    }
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// Readers of the reference refuse longer ones.
const MAX_TEXT_BYTES: usize = 1024;
/// The same for arguments, environment and control groups.
const MAX_LONG_TEXT_BYTES: usize = 4096;
/// A process list is split at this size, so that writing one needs little memory.
const MAX_PROC_BLOCK_BYTES: usize = 1 << 20;
