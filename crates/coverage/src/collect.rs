//! Reads counters of instrumented programs out of the running kernel: walks all maps, picks ours by name and header, copies
//! their values. Needs no wrapper and no pin. Several loads of one object are several maps of one build: they are summed.

use crate::layout::HEADER_BYTES;
use crate::profile::{Counters, Profile};
use load::Map;
use load::live::{LiveMap, next_id, open};

/// An instrumented map in the kernel.
#[derive(Debug)]
pub struct Found {
    pub about: LiveMap,
    pub map: Map,
    pub counters: Counters,
}

/// All counter maps of ours, and why maps that look like ones could not be read.
///
/// # Errors
/// The kernel does not list its maps: EPERM without CAP_SYS_ADMIN.
pub fn live() -> Result<(Vec<Found>, Vec<load::Error>), load::Error> {
    let (mut found, mut failed, mut last) = (Vec::new(), Vec::new(), 0);
    while let Some(id) = next_id(last)? {
        last = id;
        match read(id) {
            Ok(one) => found.extend(one),
            // The program was unloaded while we looked.
            Err(error) if error.errno() == Some(ENOENT) => {}
            Err(error) => failed.push(error),
        }
    }
    Ok((found, failed))
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
/// The map cannot be written.
pub fn reset(map: &Map) -> Result<(), load::Error> {
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

/// `None` for a map that is not ours.
fn read(id: u32) -> Result<Option<Found>, load::Error> {
    let (about, map) = open(id)?;
    if !may_be_ours(&about) {
        return Ok(None);
    }
    let value = map.lookup(&FIRST_KEY)?.unwrap_or_default();
    Ok(Counters::from_map_value(&value).map(|counters| Found { about, map, counters }))
}

const FIRST_KEY: [u8; 4] = [0; 4];
const ENOENT: i32 = 2;
