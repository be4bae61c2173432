//! One entry of a process list, versions 1 to 9. In come its fields; out goes a [`Proc`] in which everything that the
//! version lacks is unknown. Only version 9 entries carry their length, which makes their tail optional field by field.

use crate::Error;
use crate::metadata::Fields;
use event::snapshot::Proc;
use std::io::Read;

/// Memory that one thread costs besides its bytes in the file.
pub const WEIGHT_BYTES: u64 = size_of::<Proc>() as u64;

/// Reads one entry of a list of `version`.
pub fn read<R: Read>(fields: &mut Fields<'_, R>, version: u8) -> Result<Proc, Error> {
    if version < 9 {
        return base(fields, version);
    }
    let bytes = u64::from(fields.u32()?);
    let Some(rest) = bytes.checked_sub(4) else {
        return Err(fields.damaged("a process entry is shorter than its length field"));
    };
    fields.begin_entry(rest)?;
    let mut proc = base(fields, version)?;
    tail(fields, &mut proc)?;
    fields.end_entry()?;
    Ok(proc)
}

/// Field order is that of the file, and struct literals evaluate in the order they are written.
fn base<R: Read>(fields: &mut Fields<'_, R>, version: u8) -> Result<Proc, Error> {
    let since = |first: u8| version >= first;
    let mut proc = Proc { tid: fields.i64()?, pid: fields.i64()?, ptid: fields.i64()?, ..Proc::default() };
    proc.sid = if since(6) { fields.i64()? } else { -1 };
    proc.vpgid = if since(8) { fields.i64()? } else { -1 };
    proc.comm = fields.text()?;
    proc.exe = fields.text()?;
    proc.exepath = if since(7) { fields.text()? } else { Vec::new() };
    proc.args = fields.text()?;
    proc.cwd = fields.text()?;
    proc.fdlimit = fields.i64()?;
    proc.flags = fields.u32()?;
    proc.uid = fields.u32()?;
    proc.gid = fields.u32()?;
    if since(2) {
        proc.vmsize_kb = fields.u32()?;
        proc.vmrss_kb = fields.u32()?;
        proc.vmswap_kb = fields.u32()?;
        proc.pfmajor = fields.u64()?;
        proc.pfminor = fields.u64()?;
    }
    if since(3) {
        proc.env = fields.text()?;
    }
    if since(4) {
        proc.vtid = fields.i64()?;
        proc.vpid = fields.i64()?;
        proc.cgroups = fields.text()?;
    }
    if since(5) {
        proc.root = fields.text()?;
    }
    Ok(proc)
}

/// Each field is there if it still fits into the entry.
fn tail<R: Read>(fields: &mut Fields<'_, R>, proc: &mut Proc) -> Result<(), Error> {
    if fields.left() > TAIL_WITHOUT_START_BYTES {
        optional(fields, 8, &mut proc.pidns_init_start_ts, Fields::u64)?;
        optional(fields, 4, &mut proc.tty, Fields::u32)?;
    }
    optional(fields, 4, &mut proc.loginuid, Fields::u32)?;
    optional(fields, 1, &mut proc.exe_writable, flag)?;
    optional(fields, 8, &mut proc.cap_inheritable, Fields::u64)?;
    optional(fields, 8, &mut proc.cap_permitted, Fields::u64)?;
    optional(fields, 8, &mut proc.cap_effective, Fields::u64)?;
    optional(fields, 1, &mut proc.exe_upper_layer, flag)?;
    optional(fields, 8, &mut proc.exe_ino, Fields::u64)?;
    optional(fields, 8, &mut proc.exe_ino_ctime, Fields::u64)?;
    optional(fields, 8, &mut proc.exe_ino_mtime, Fields::u64)?;
    optional(fields, 1, &mut proc.exe_from_memfd, flag)?;
    optional(fields, 1, &mut proc.exe_lower_layer, flag)?;
    optional(fields, 8, &mut proc.pgid, Fields::i64)
}

fn optional<'w, R: Read, T>(
    fields: &mut Fields<'w, R>,
    bytes: u64,
    slot: &mut T,
    read: impl FnOnce(&mut Fields<'w, R>) -> Result<T, Error>,
) -> Result<(), Error> {
    if fields.left() >= bytes {
        *slot = read(fields)?;
    }
    Ok(())
}

fn flag<R: Read>(fields: &mut Fields<'_, R>) -> Result<bool, Error> {
    Ok(fields.u8()? != 0)
}

/// loginuid, exe_writable and three capability sets: all that the first version 9 lists had behind the root directory.
const TAIL_WITHOUT_START_BYTES: u64 = 29;
