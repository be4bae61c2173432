//! Reads counters of instrumented programs out of the running kernel: walks all maps, picks ours by name and header, copies
//! their values. Needs no wrapper and no pin. Several loads of one object are several maps of one build: they are summed.

use crate::layout::{HEADER_BYTES, Header};
use crate::profile::{Counters, Profile};
use load::live::{LiveMap, maps};

/// An instrumented map in the kernel.
#[derive(Debug)]
pub struct Found {
    pub map: LiveMap,
    pub counters: Counters,
}

/// All counter maps of ours, and why maps that look like ones could not be read.
pub fn live() -> (Vec<Found>, Vec<load::Error>) {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for map in maps().filter(may_be_ours) {
        match read(&map) {
            Ok(Some(counters)) => found.push(Found { map, counters }),
            Ok(None) => {}
            // The program was unloaded while we looked.
            Err(error) if error.errno() == Some(ENOENT) => {}
            Err(error) => failed.push(error),
        }
    }
    (found, failed)
}

/// Sums maps of the same build.
///
/// # Errors
/// Two maps claim one build but differ in size.
pub fn sum(found: &[Found]) -> Result<Profile, crate::Error> {
    let mut profile = Profile::default();
    for Found { counters, .. } in found {
        profile.add(counters)?;
    }
    Ok(profile)
}

/// Sets all counters of a map to zero while its programs run; the header stays.
///
/// # Errors
/// The map is gone or cannot be written.
pub fn reset(map: &LiveMap) -> Result<(), load::Error> {
    let map = map.open()?;
    if let Some(mut value) = map.lookup(&FIRST_KEY)? {
        value.iter_mut().skip(HEADER_BYTES).for_each(|byte| *byte = 0);
        map.update(&FIRST_KEY, &value)?;
    }
    Ok(())
}

/// Data sections are arrays of one value. The name is a cheap filter; the header decides.
pub(crate) fn may_be_ours(map: &LiveMap) -> bool {
    map.ty == load::MapType::Array
        && map.max_entries == 1
        && map.value_bytes as usize >= HEADER_BYTES
        && (map.name.starts_with(".data.c") || map.name.ends_with(".data"))
}

fn read(map: &LiveMap) -> Result<Option<Counters>, load::Error> {
    let value = map.open()?.lookup(&FIRST_KEY)?.unwrap_or_default();
    Ok(Header::decode(&value).and_then(|_| Counters::from_map_value(&value)))
}

const FIRST_KEY: [u8; 4] = [0; 4];
const ENOENT: i32 = 2;
