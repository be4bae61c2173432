//! Network interfaces, users and groups. In comes a block; its entries are appended to the [`Snapshot`]. Entries of the
//! newer versions carry their length, which lets unknown kinds be skipped; in the older ones an unknown kind is damage.

use crate::Error;
use crate::metadata::Fields;
use event::snapshot::{Group, Interface, Snapshot, User};
use std::io::Read;

/// `[u32 length of the rest] · type u16 · namelen u16 · address, netmask, broadcast · [linkspeed u64] · name`.
pub fn interfaces<R: Read>(fields: &mut Fields<'_, R>, sized: bool, snapshot: &mut Snapshot) -> Result<(), Error> {
    while fields.left() >= 4 {
        if sized {
            let bytes = u64::from(fields.u32()?);
            fields.begin_entry(bytes)?;
        }
        snapshot.interfaces.extend(interface(fields, sized)?);
        fields.check_weight(fields.taken * MEMORY_PER_BYTE)?;
        if sized {
            fields.end_entry()?;
        }
    }
    Ok(())
}

fn interface<R: Read>(fields: &mut Fields<'_, R>, sized: bool) -> Result<Option<Interface>, Error> {
    let (kind, name_bytes) = (fields.u16()?, usize::from(fields.u16()?));
    let ip = match kind {
        1 | 3 => Fields::ipv4,
        2 | 4 => Fields::ipv6,
        _ if sized => return Ok(None),
        _ => return Err(fields.damaged("a network interface is of an unknown kind")),
    };
    let (addr, netmask, broadcast) = (ip(fields)?, ip(fields)?, ip(fields)?);
    let linkspeed = if kind < 3 { fields.u64()? } else { 0 };
    let name = fields.take(name_bytes)?.to_vec();
    Ok(Some(Interface { name, addr, netmask, broadcast, linkspeed }))
}

/// `[u32 length including itself] · type u8`, then `0: uid u32 · gid u32 · name · home · shell` or `1: gid u32 · name`.
pub fn users<R: Read>(fields: &mut Fields<'_, R>, sized: bool, snapshot: &mut Snapshot) -> Result<(), Error> {
    while fields.left() >= 4 {
        if sized {
            let bytes = u64::from(fields.u32()?);
            let Some(rest) = bytes.checked_sub(4) else {
                return Err(fields.damaged("a user entry is shorter than its length field"));
            };
            fields.begin_entry(rest)?;
        }
        user_or_group(fields, sized, snapshot)?;
        fields.check_weight(fields.taken * MEMORY_PER_BYTE)?;
        if sized {
            fields.end_entry()?;
        }
    }
    Ok(())
}

fn user_or_group<R: Read>(fields: &mut Fields<'_, R>, sized: bool, snapshot: &mut Snapshot) -> Result<(), Error> {
    match fields.u8()? {
        0 => {
            let (uid, gid) = (fields.u32()?, fields.u32()?);
            let (name, homedir, shell) = (fields.text()?, fields.text()?, fields.text()?);
            snapshot.users.push(User { uid, gid, name, homedir, shell });
        }
        1 => snapshot.groups.push(Group { gid: fields.u32()?, name: fields.text()? }),
        _ if sized => {}
        _ => return Err(fields.damaged("a user entry is of an unknown kind")),
    }
    Ok(())
}

/// An upper bound for the memory of a user or interface relative to its smallest entry.
const MEMORY_PER_BYTE: u64 = 12;
