//! Kernel settings below /proc/sys: in, a dotted name; out, its value, its absence, or why it cannot be read. A hidden /proc/sys
//! (procfs with subset=pid) is never taken for a missing setting.

use crate::answer::{Answer, Cause, Reason};
use crate::machine::Machine;

/// The trimmed value; `Ok(None)` when this kernel has no such setting.
pub fn value(machine: &Machine, name: &str) -> Result<Option<String>, Reason> {
    let path = path(name);
    match machine.root.value(&path) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if machine.root.exists("/proc/sys/kernel") {
                return Ok(None);
            }
            Err(Reason::new(
                Cause::Unreadable,
                format!("{path} cannot be read: /proc/sys is not there (procfs is absent or mounted with subset=pid)"),
            )
            .fix("mount procfs in full: mount -t proc proc /proc"))
        }
        Err(error) => {
            Err(Reason::new(Cause::Unreadable, format!("{path}: {}", sys::errno::of(&error))).fix("run as root"))
        }
    }
}

/// A setting that must be neither 0 nor empty.
pub fn on(machine: &Machine, name: &str, off: &str, fix: &str) -> Answer {
    match value(machine, name) {
        Ok(Some(value)) if !value.is_empty() && value != "0" => Answer::Supported,
        Ok(Some(_)) => Answer::no(Cause::NotEnabled, format!("{off} ({name}=0)")).fix(fix),
        Ok(None) => Answer::no(Cause::Absent, format!("{off}: this kernel has no {name}")),
        Err(reason) => Answer::Unknown(reason),
    }
}

pub fn path(name: &str) -> String {
    format!("/proc/sys/{}", name.replace('.', "/"))
}
