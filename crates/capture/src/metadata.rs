//! The part of a section before its events. In come the fields of one block after the other, read straight from the
//! window; out goes a [`Snapshot`]. Memory follows the data: no length is believed before its bytes arrived, and a
//! snapshot has a size limit.

use crate::block::{self, Block};
use crate::window::Window;
use crate::{Error, fdlist, lists, proclist};
use event::snapshot::{Fd, Machine, Snapshot};
use std::collections::HashMap;
use std::io::Read;

/// Collects the metadata blocks of one section.
#[derive(Default)]
pub struct Collector {
    snapshot: Snapshot,
    /// Open files by thread, joined at the end because blocks come in any order.
    fds: Vec<(i64, Vec<Fd>)>,
    /// Rough memory of everything collected.
    weight: u64,
}

impl Collector {
    /// Reads one metadata block from `fields`; unknown kinds are left unread.
    pub fn block<R: Read>(&mut self, block: Block, fields: &mut Fields<'_, R>) -> Result<(), Error> {
        match block {
            Block::Machine => self.snapshot.machine = machine(fields)?,
            Block::Procs(version) => self.procs(version, fields)?,
            Block::Fds { sized } => {
                let found = fdlist::read(fields, sized, &mut self.weight)?;
                self.fds.push(found);
            }
            Block::Interfaces { sized } => lists::interfaces(fields, sized, &mut self.snapshot)?,
            Block::Users { sized } => lists::users(fields, sized, &mut self.snapshot)?,
            Block::Section | Block::Event(_) | Block::Unknown => {}
        }
        self.weight += fields.taken;
        fields.check_weight(self.weight)
    }

    fn procs<R: Read>(&mut self, version: u8, fields: &mut Fields<'_, R>) -> Result<(), Error> {
        while fields.left() >= 4 {
            self.snapshot.procs.push(proclist::read(fields, version)?);
            self.weight += proclist::WEIGHT_BYTES;
            fields.check_weight(self.weight)?;
        }
        Ok(())
    }

    /// The snapshot, and how many open files belong to no known thread.
    pub fn finish(mut self) -> (Snapshot, u64) {
        let by_tid: HashMap<i64, usize> = self.snapshot.procs.iter().enumerate().map(|(i, p)| (p.tid, i)).collect();
        let mut orphans = 0;
        for (tid, fds) in self.fds {
            match by_tid.get(&tid).and_then(|i| self.snapshot.procs.get_mut(*i)) {
                Some(proc) if proc.fds.is_empty() => proc.fds = fds,
                Some(proc) => proc.fds.extend(fds),
                None => orphans += fds.len() as u64,
            }
        }
        (self.snapshot, orphans)
    }
}

/// `num_cpus u32 · memory u64 · max_pid u64 · hostname char[128] · boot_ts u64 · flags and reserved u64 × 3`.
fn machine<R: Read>(fields: &mut Fields<'_, R>) -> Result<Machine, Error> {
    let (num_cpus, memory_bytes, max_pid) = (fields.u32()?, fields.u64()?, fields.u64()?);
    let hostname = fields.take(block::HOSTNAME_BYTES)?;
    let hostname = hostname.split(|b| *b == 0).next().unwrap_or_default();
    let hostname = String::from_utf8_lossy(hostname).into_owned();
    let boot_ts = fields.u64()?;
    Ok(Machine { num_cpus, memory_bytes, max_pid, hostname, boot_ts })
}

/// The fields of one block. Within an entry that carries its length, reading stops at the end of the entry.
pub struct Fields<'w, R> {
    window: &'w mut Window<R>,
    block_end: u64,
    entry_end: u64,
    start: u64,
    /// Bytes taken so far.
    pub taken: u64,
}

impl<'w, R: Read> Fields<'w, R> {
    /// The next `bytes` bytes of the window are the body of a block.
    pub fn new(window: &'w mut Window<R>, bytes: u64) -> Self {
        let start = window.offset();
        let end = start + bytes;
        Fields { window, block_end: end, entry_end: end, start, taken: 0 }
    }

    /// Bytes left in the entry, or in the block outside of one.
    pub fn left(&self) -> u64 {
        self.entry_end - self.window.offset()
    }

    /// The next `bytes` bytes are one entry.
    pub fn begin_entry(&mut self, bytes: u64) -> Result<(), Error> {
        let end = self.window.offset() + bytes;
        if end > self.block_end {
            return Err(self.damaged("an entry is longer than its block"));
        }
        self.entry_end = end;
        Ok(())
    }

    /// Skips what is left of the entry.
    pub fn end_entry(&mut self) -> Result<(), Error> {
        let left = self.left();
        self.entry_end = self.block_end;
        if self.window.skip(left) { Ok(()) } else { Err(self.cut()) }
    }

    pub fn take(&mut self, bytes: usize) -> Result<&[u8], Error> {
        if bytes as u64 > self.left() {
            return Err(self.damaged("a field reaches beyond its entry or block"));
        }
        if self.window.want(bytes) < bytes {
            return Err(self.cut());
        }
        self.taken += bytes as u64;
        let at = self.window.consume(bytes);
        Ok(self.window.at(at, bytes))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let bytes = self.take(N)?;
        Ok(bytes.first_chunk().copied().unwrap_or([0; N]))
    }

    pub fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64, Error> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub fn ipv4(&mut self) -> Result<std::net::IpAddr, Error> {
        Ok(self.array::<4>()?.into())
    }

    pub fn ipv6(&mut self) -> Result<std::net::IpAddr, Error> {
        Ok(self.array::<16>()?.into())
    }

    /// `u16 length · bytes`.
    pub fn text(&mut self) -> Result<Vec<u8>, Error> {
        let bytes = self.u16()?;
        Ok(self.take(usize::from(bytes))?.to_vec())
    }

    pub fn damaged(&self, what: &'static str) -> Error {
        Error::Damaged { at: self.window.offset(), events: 0, what }
    }

    fn cut(&mut self) -> Error {
        let at = self.window.offset();
        match self.window.take_failure() {
            Some(source) => Error::Input { at, events: 0, source },
            None => Error::Truncated { at, events: 0 },
        }
    }

    pub fn check_weight(&self, weight: u64) -> Result<(), Error> {
        if weight > MAX_SNAPSHOT_BYTES {
            return Err(Error::Damaged { at: self.start, events: 0, what: "its tables need more than 1 GiB" });
        }
        Ok(())
    }
}

/// More than any machine of the field has in its tables; tests need not fill all of it.
const MAX_SNAPSHOT_BYTES: u64 = if cfg!(test) { 1 << 22 } else { 1 << 30 };

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of a version 9 process list that are as short as they can be, for ever.
    #[test]
    fn a_bomb_of_processes_stops_at_the_limit() {
        let mut entry = [0u8; 150];
        entry[0] = 150;
        let endless = std::iter::repeat_n(entry, 100_000).flatten().collect::<Vec<u8>>();
        let mut window = Window::open(&endless[..]).unwrap();
        let mut fields = Fields::new(&mut window, u64::from(u32::MAX));
        let mut collector = Collector::default();
        let error = collector.block(Block::Procs(9), &mut fields).unwrap_err();
        assert!(error.to_string().ends_with("its tables need more than 1 GiB"), "{error}");
        assert!(collector.snapshot.procs.len() < 20_000);
    }
}
