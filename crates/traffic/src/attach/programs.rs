//! Catalogue programs on clsact. Comes in: a loaded program, an interface and a direction. Goes out: an attachment that
//! can be taken back, which removes this filter alone, and the qdisc only if it was made here and nobody else uses it.

use super::Error;
use crate::kernel::LoadedPrograms;
use load::net::Direction;
use load::tc::{Hook, Place};
use std::os::fd::AsFd;

/// One filter of ours. Dropping it leaves it attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgramAttachment {
    pub hook: Hook,
    pub priority: u16,
    pub handle: u32,
    pub program_id: u32,
    /// The qdisc was there before.
    pub shared_qdisc: bool,
}

impl ProgramAttachment {
    /// Attaches in front of what is on the hook; `fixed` gives the filter a place of its own, which it takes over when
    /// it is occupied.
    ///
    /// # Errors
    /// EPERM without CAP_NET_ADMIN, ENODEV, [`Error::LegacyIngress`].
    pub fn attach(loaded: &LoadedPrograms, interface: &str, hook: Hook, fixed: Option<Place>) -> Result<Self, Error> {
        if hook.direction == Direction::Egress && hook.slot()?.as_deref() == Some("ingress") {
            return Err(Error::LegacyIngress { interface: interface.to_owned() });
        }
        let made = hook.add_clsact()?;
        let attached = add(loaded, hook, fixed, made);
        if attached.is_err() && made {
            let _ = hook.remove_clsact();
        }
        attached
    }

    /// Removes the filter, if it is still the one that was attached.
    ///
    /// # Errors
    /// ENODEV when the interface is gone, ENOENT when somebody removed the filter.
    pub fn detach(self) -> Result<(), Error> {
        let place = Place { priority: self.priority, handle: self.handle };
        let filters = self.hook.filters()?;
        let ours = filters
            .iter()
            .any(|f| f.priority == place.priority && f.handle == place.handle && f.program_id == Some(self.program_id));
        if ours || filters.is_empty() {
            self.hook.remove_filter(place)?;
        }
        if !self.shared_qdisc {
            remove_empty_clsact(self.hook)?;
        }
        Ok(())
    }
}

fn add(loaded: &LoadedPrograms, hook: Hook, fixed: Option<Place>, made: bool) -> Result<ProgramAttachment, Error> {
    let program = loaded.program()?;
    let program_id = load::LoadedProgram::of(program.try_clone().map_err(|error| Error::File {
        what: "open program",
        path: loaded.name().to_owned(),
        error,
    })?)?
    .id;
    let place = fixed.unwrap_or(Place { priority: 0, handle: FIRST_HANDLE });
    hook.add_filter(program.as_fd(), loaded.filter_name(), place, fixed.is_some())?;
    let filter = hook.filters()?.into_iter().find(|f| f.program_id == Some(program_id));
    let filter = filter.ok_or_else(|| Error::Place("the filter vanished right after it was attached".to_owned()))?;
    Ok(ProgramAttachment { hook, priority: filter.priority, handle: filter.handle, program_id, shared_qdisc: !made })
}

/// Removes clsact when no filter is left in either direction.
pub fn remove_empty_clsact(hook: Hook) -> Result<(), Error> {
    let other = [Direction::Ingress, Direction::Egress].map(|direction| Hook { direction, ..hook }.filters());
    let [ingress, egress] = other;
    if ingress?.is_empty() && egress?.is_empty() && hook.slot()?.as_deref() == Some("clsact") {
        hook.remove_clsact()?;
    }
    Ok(())
}

const FIRST_HANDLE: u32 = 1;
