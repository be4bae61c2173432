//! Counter values of one build: read from a map, summed over loads and runs, checked against the sidecar that explains
//! them, and written for LLVM's tools.

mod raw;

use crate::Error;
use crate::cursor::Cursor;
use crate::layout::{BuildId, HEADER_BYTES, Header};
use crate::sidecar::{Function, Sidecar};
pub use raw::{RawVersion, profraw};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Counters and bitmaps of one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    pub build: BuildId,
    /// One value per 8-byte counter.
    pub counters: Vec<u64>,
    pub bitmaps: Vec<u8>,
    /// How many loads of the object these values come from.
    pub instances: u64,
}

impl Counters {
    /// Reads the value of a counter map; `None` when it is not one of ours.
    pub fn from_map_value(value: &[u8]) -> Option<Counters> {
        let header = Header::decode(value)?;
        let (counters, rest) = value.get(HEADER_BYTES..)?.split_at_checked(header.counter_bytes as usize)?;
        let counters =
            counters.chunks_exact(8).map(|c| c.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b))).collect();
        let bitmaps = rest.get(..header.bitmap_bytes as usize)?.to_vec();
        Some(Counters { build: header.build, counters, bitmaps, instances: 1 })
    }

    /// Adds the values of another load of the same build.
    ///
    /// # Errors
    /// The sizes differ: not the same build.
    pub fn add(&mut self, other: &Counters) -> Result<(), Error> {
        if self.counters.len() != other.counters.len() || self.bitmaps.len() != other.bitmaps.len() {
            return Err(Error::CounterSize { found: other.counters.len() * 8, wanted: self.counters.len() * 8 });
        }
        for (mine, theirs) in self.counters.iter_mut().zip(&other.counters) {
            *mine = mine.saturating_add(*theirs);
        }
        for (mine, theirs) in self.bitmaps.iter_mut().zip(&other.bitmaps) {
            *mine |= theirs;
        }
        self.instances += other.instances;
        Ok(())
    }

    /// Whether these are counters of `sidecar`.
    ///
    /// # Errors
    /// The sizes differ.
    pub fn check(&self, sidecar: &Sidecar) -> Result<(), Error> {
        let found = self.counters.len() * 8 + self.bitmaps.len();
        let wanted = sidecar.data_bytes();
        if found == wanted { Ok(()) } else { Err(Error::CounterSize { found, wanted }) }
    }

    /// The counters of one function; shorter than the function claims when the data does not reach.
    pub fn of(&self, function: &Function) -> &[u64] {
        let start = (function.counters_at / 8).min(self.counters.len());
        let end = start.saturating_add(function.counters).min(self.counters.len());
        &self.counters[start..end]
    }

    /// The MC/DC bitmap of one function.
    pub fn bitmap_of(&self, function: &Function) -> &[u8] {
        let start = function.bitmap_at.min(self.bitmaps.len());
        let end = start.saturating_add(function.bitmap_bytes).min(self.bitmaps.len());
        &self.bitmaps[start..end]
    }
}

/// Counters of several builds, the content of a profile file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub builds: BTreeMap<BuildId, Counters>,
}

impl Profile {
    /// Adds the counters of one load.
    ///
    /// # Errors
    /// The build is known with another size.
    pub fn add(&mut self, counters: &Counters) -> Result<(), Error> {
        match self.builds.get_mut(&counters.build) {
            Some(known) => known.add(counters),
            None => {
                self.builds.insert(counters.build, counters.clone());
                Ok(())
            }
        }
    }

    /// Adds everything of another profile.
    ///
    /// # Errors
    /// A build has another size there.
    pub fn merge(&mut self, other: &Profile) -> Result<(), Error> {
        other.builds.values().try_for_each(|counters| self.add(counters))
    }

    /// The file format: magic, number of builds, then per build header, instances, counters, bitmaps, all little-endian;
    /// then the seal.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = PROFILE_MAGIC.to_vec();
        out.extend_from_slice(&(self.builds.len() as u64).to_le_bytes());
        for counters in self.builds.values() {
            let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
            let (counter_bytes, bitmap_bytes) = (size(counters.counters.len() * 8), size(counters.bitmaps.len()));
            out.extend_from_slice(&Header { build: counters.build, counter_bytes, bitmap_bytes }.encode());
            out.extend_from_slice(&counters.instances.to_le_bytes());
            counters.counters.iter().for_each(|c| out.extend_from_slice(&c.to_le_bytes()));
            out.extend_from_slice(&counters.bitmaps);
        }
        sealed(out)
    }

    /// # Errors
    /// Not a profile, or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Profile, Error> {
        let (content, seal) = bytes.split_at(bytes.len().saturating_sub(SEAL_BYTES));
        let mut cursor = Cursor::new("its counters", content);
        if !cursor.bytes(PROFILE_MAGIC.len()).is_ok_and(|magic| magic == PROFILE_MAGIC) {
            return Err(Error::NotAProfile);
        }
        if seal != seal_of(content) {
            return Err(Error::BrokenSeal);
        }
        let mut profile = Profile::default();
        for _ in 0..cursor.u64()? {
            let head = cursor.bytes(HEADER_BYTES)?;
            let sizes = |at: usize| Cursor::new("its counters", head.get(at..).unwrap_or_default()).u32();
            let (counter_bytes, bitmap_bytes) = (sizes(24)? as usize, sizes(28)? as usize);
            let instances = cursor.u64()?;
            let body = cursor.bytes(counter_bytes.saturating_add(bitmap_bytes))?;
            let counters = Counters::from_map_value(&[head, body].concat());
            let counters = counters.ok_or_else(|| cursor.damaged("counters without a header"))?;
            profile.add(&Counters { instances, ..counters })?;
        }
        if !cursor.is_empty() {
            return Err(cursor.damaged("more than was announced"));
        }
        Ok(profile)
    }
}

/// Closes a profile, so that bytes that changed or were cut off are noticed: numbers alone would not show it.
pub fn sealed(mut content: Vec<u8>) -> Vec<u8> {
    let seal = seal_of(&content);
    content.extend_from_slice(&seal);
    content
}

/// The start of the SHA-256.
fn seal_of(content: &[u8]) -> [u8; SEAL_BYTES] {
    let mut seal = [0; SEAL_BYTES];
    seal.copy_from_slice(&Sha256::digest(content)[..SEAL_BYTES]);
    seal
}

const PROFILE_MAGIC: &[u8] = b"HBPROF\x00\x02";
const SEAL_BYTES: usize = 8;

/// LLVM's text profile, which every version of `llvm-profdata merge` reads.
pub fn proftext(sidecar: &Sidecar, counters: &Counters) -> String {
    let mut out = String::new();
    for function in &sidecar.functions {
        let Some(name) = sidecar.name(function.name_ref) else { continue };
        let values = counters.of(function);
        let _ = writeln!(
            out,
            "{name}\n# Func Hash:\n{}\n# Num Counters:\n{}\n# Counter Values:",
            function.hash,
            values.len()
        );
        for value in values {
            let _ = writeln!(out, "{value}");
        }
        let bitmap = counters.bitmap_of(function);
        if !bitmap.is_empty() {
            let _ = writeln!(out, "# Num Bitmap Bytes:\n${}\n# Bitmap Byte Values:", bitmap.len());
            for byte in bitmap {
                let _ = writeln!(out, "{byte:#x}");
            }
        }
        out.push('\n');
    }
    out
}
