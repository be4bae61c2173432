//! The open files of one thread. In comes one block (`u64 tid`, then entries); out go [`Fd`]s. Entries of the newer
//! version carry their length, so unknown kinds can be skipped there; in the older one they end the reading.

use crate::Error;
use crate::metadata::Fields;
use event::snapshot::{Fd, FdDetail, FdType, L4};
use std::io::Read;

/// The thread and its open files. `weight` grows by the memory they take.
pub fn read<R: Read>(fields: &mut Fields<'_, R>, sized: bool, weight: &mut u64) -> Result<(i64, Vec<Fd>), Error> {
    let tid = fields.i64()?;
    let mut fds = Vec::new();
    while fields.left() >= MIN_ENTRY_BYTES {
        fds.push(if sized { sized_entry(fields)? } else { entry(fields, false)? });
        *weight += size_of::<Fd>() as u64;
        fields.check_weight(*weight)?;
    }
    Ok((tid, fds))
}

fn sized_entry<R: Read>(fields: &mut Fields<'_, R>) -> Result<Fd, Error> {
    let bytes = u64::from(fields.u32()?);
    let Some(rest) = bytes.checked_sub(4) else {
        return Err(fields.damaged("a file entry is shorter than its length field"));
    };
    fields.begin_entry(rest)?;
    let fd = entry(fields, true)?;
    fields.end_entry()?;
    Ok(fd)
}

fn entry<R: Read>(fields: &mut Fields<'_, R>, sized: bool) -> Result<Fd, Error> {
    let (fd, ino, code) = (fields.i64()?, fields.u64()?, fields.u8()?);
    let ty = FdType::from_code(code);
    if sized && (code == 0 || code > FdType::Pidfd as u8) {
        return Ok(Fd { fd, ino, ty: FdType::Unsupported, detail: FdDetail::Named(Vec::new()) });
    }
    Ok(Fd { fd, ino, ty, detail: detail(fields, ty, sized)? })
}

fn detail<R: Read>(fields: &mut Fields<'_, R>, ty: FdType, sized: bool) -> Result<FdDetail, Error> {
    Ok(match ty {
        FdType::Ipv4Sock => {
            let (sip, dip) = (fields.ipv4()?, fields.ipv4()?);
            FdDetail::Socket { sip, dip, sport: fields.u16()?, dport: fields.u16()?, l4: l4(fields)? }
        }
        FdType::Ipv6Sock => {
            let (sip, dip) = (fields.ipv6()?, fields.ipv6()?);
            FdDetail::Socket { sip, dip, sport: fields.u16()?, dport: fields.u16()?, l4: l4(fields)? }
        }
        FdType::Ipv4ServSock => FdDetail::Server { ip: fields.ipv4()?, port: fields.u16()?, l4: l4(fields)? },
        FdType::Ipv6ServSock => FdDetail::Server { ip: fields.ipv6()?, port: fields.u16()?, l4: l4(fields)? },
        FdType::UnixSock => FdDetail::Unix { source: fields.u64()?, destination: fields.u64()?, path: fields.text()? },
        FdType::FileV2 => {
            let (open_flags, name) = (fields.u32()?, fields.text()?);
            let dev = if sized && fields.left() >= 4 { fields.u32()? } else { 0 };
            FdDetail::File { open_flags, name, dev }
        }
        FdType::Unknown => return Err(fields.damaged("an open file is of kind 0")),
        _ => FdDetail::Named(fields.text()?),
    })
}

fn l4<R: Read>(fields: &mut Fields<'_, R>) -> Result<L4, Error> {
    Ok(match fields.u8()? {
        1 => L4::Na,
        2 => L4::Tcp,
        3 => L4::Udp,
        4 => L4::Icmp,
        5 => L4::Raw,
        _ => L4::Unknown,
    })
}

/// Number, inode and kind: less is padding.
const MIN_ENTRY_BYTES: u64 = 17;
