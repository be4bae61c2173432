//! Fields: what conditions and outputs may ask about an event. In: a field reference that the rules resolved once, and
//! the event in its context. Out: a value borrowed from the event, the state or the per-event arena; `None` = absent.
//! Nothing here changes state, waits, or allocates outside the arena.

mod address;
mod builtin;
mod container;
mod ends;
mod evt;
mod fd;
mod lineage;
mod names;
mod open;
mod param;
mod paths;
mod proc;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod users;

pub use builtin::{BUILTINS, Builtin};

use crate::context::Context;
use bumpalo::Bump;
use event::{Event, FieldRef, FieldSource, Value};
use hashbrown::HashMap;
use jiff::tz::TimeZone;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// What fields need to know beyond event and state. One per engine; whoever runs the engine fills it.
pub struct Surroundings {
    /// For `evt.time` and its like; UTC unless set.
    pub zone: TimeZone,
    /// Values of the `static.*` fields, by catalogue id.
    statics: HashMap<u16, Box<[u8]>>,
    /// Fields and names that plugins provide.
    pub plugins: Option<Box<dyn PluginFields>>,
    /// Addresses of host names that rules mention, as far as they were resolved.
    pub addresses: HashMap<Box<[u8]>, Vec<IpAddr>>,
    extractions: AtomicU64,
    /// Of `evt.deltatime` and its parts, in the order of the catalogue.
    deltas: [LastAsked; 3],
}

/// When a field that tells the time since it was last asked for was asked, and what it answered.
#[derive(Default)]
struct LastAsked {
    num: AtomicU64,
    ts: AtomicU64,
    answer: AtomicU64,
}

impl LastAsked {
    /// Time since the event before that the field was asked about; 0 for the first one.
    fn delta(&self, num: u64, ts: u64) -> u64 {
        let last = self.num.swap(num, Ordering::Relaxed);
        if last == num {
            return self.answer.load(Ordering::Relaxed);
        }
        let before = self.ts.swap(ts, Ordering::Relaxed);
        let answer = if last == 0 { 0 } else { ts.saturating_sub(before) };
        self.answer.store(answer, Ordering::Relaxed);
        answer
    }
}

/// Fields that plugins provide. Implemented by the owner of the plugin host.
pub trait PluginFields: Send {
    /// The value of a field that the engine does not know itself.
    fn extract<'a>(&'a self, event: &'a Event<'a>, field: &FieldRef, arena: &'a Bump) -> Option<Value<'a>>;

    /// Name of the plugin that a plugin event comes from.
    fn name_of(&self, event: &Event<'_>) -> Option<&str>;

    /// One-line text of a plugin event.
    fn describe<'a>(&'a self, event: &'a Event<'a>, arena: &'a Bump) -> Option<&'a [u8]>;
}

impl Default for Surroundings {
    fn default() -> Self {
        Surroundings {
            zone: TimeZone::UTC,
            statics: HashMap::new(),
            plugins: None,
            addresses: HashMap::new(),
            extractions: AtomicU64::new(0),
            deltas: Default::default(),
        }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("zone", &self.zone).field("statics", &self.statics).finish_non_exhaustive()
    }
}

impl Surroundings {
    /// Gives the `static.*` field with catalogue id `id` its value.
    pub fn set_static(&mut self, id: event::FieldId, value: &str) {
        self.statics.insert(id.0, value.as_bytes().into());
    }

    /// A number that grows with every call (`util.cnt`).
    fn count(&self) -> u64 {
        self.extractions.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl FieldSource for Context<'_> {
    fn extract<'a>(&'a self, field: &FieldRef, arena: &'a Bump) -> Option<Value<'a>> {
        let arg = field.arg.as_ref();
        let Some((builtin, family)) = builtin_of(field) else { return self.foreign(field, arena) };
        match family {
            Family::Event => evt::extract(self, builtin, arg, arena),
            Family::Process => proc::extract(self, builtin, arg, arena),
            Family::Account => users::extract(self, builtin, arena),
            Family::Descriptor => fd::extract(self, builtin, arg, arena),
            Family::Path => paths::extract(self, builtin, arena),
            Family::DescriptorList => ends::extract_list(self, builtin, arena),
            Family::Container => container::extract(self, builtin, arg, arena),
            Family::Counter => Some(Value::Uint(self.around.count())),
        }
    }

    fn candidates<'a>(&'a self, field: &FieldRef, arena: &'a Bump) -> &'a [Value<'a>] {
        use Builtin as B;
        match builtin_of(field).map(|(builtin, _)| builtin) {
            Some(
                ends @ (B::FdIp
                | B::FdNet
                | B::FdPort
                | B::FdProto
                | B::FdCipName
                | B::FdSipName
                | B::FdLipName
                | B::FdRipName),
            ) => ends::candidates(self, ends, arena),
            Some(
                line @ (B::ProcAname | B::ProcAexe | B::ProcAexepath | B::ProcAcmdline | B::ProcApid | B::ProcAenv),
            ) => lineage::candidates(self, line, field.arg.as_ref(), arena),
            _ => self.extract(field, arena).map_or(&[], |value| arena.alloc_slice_copy(&[value])),
        }
    }

    fn rendered<'a>(&'a self, field: &FieldRef, arena: &'a Bump) -> Option<&'a [u8]> {
        match (builtin_of(field)?.0, &field.arg) {
            (Builtin::EvtRawarg, Some(arg)) => evt::rendered(self, arg, arena),
            _ => None,
        }
    }

    fn addresses_of(&self, host_name: &[u8]) -> &[IpAddr] {
        self.around.addresses.get(host_name).map_or(&[], |addresses| addresses.as_slice())
    }
}

impl Context<'_> {
    /// A field that is not built in: configured or of a plugin.
    fn foreign<'a>(&'a self, field: &FieldRef, arena: &'a Bump) -> Option<Value<'a>> {
        if let Some(value) = self.around.statics.get(&field.id.0) {
            return Some(Value::Str(value));
        }
        self.around.plugins.as_ref()?.extract(self.event, field, arena)
    }
}

/// Which part answers a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    Event,
    Process,
    Account,
    Descriptor,
    Path,
    DescriptorList,
    Container,
    Counter,
}

#[inline]
fn builtin_of(field: &FieldRef) -> Option<(Builtin, Family)> {
    let row = usize::from(field.id.0);
    Some((Builtin::of_row(row)?, *FAMILIES.get(row)?))
}

/// The family of every built-in field, by row.
static FAMILIES: [Family; BUILTINS.len()] = {
    let mut families = [Family::Event; BUILTINS.len()];
    let mut row = 0;
    while row < families.len() {
        families[row] = family(BUILTINS[row].0.as_bytes());
        row += 1;
    }
    families
};

const fn family(name: &[u8]) -> Family {
    match name {
        [b'e', b'v', ..] | [b's', ..] => Family::Event,
        [b'c', ..] | [b'k', ..] => Family::Container,
        [b'p', b'r', b'o', b'c', b'.', b'i', b's', b'_', b'c', ..] => Family::Container,
        [b'p', ..] | [b't', ..] => Family::Process,
        [b'u', b't', ..] => Family::Counter,
        [b'u', ..] | [b'g', ..] => Family::Account,
        [b'f', b's', ..] => Family::Path,
        [b'f', b'd', b'l', ..] => Family::DescriptorList,
        _ => Family::Descriptor,
    }
}

#[cfg(test)]
mod families {
    use super::*;

    #[test]
    fn every_field_has_the_family_of_its_class() {
        for (row, field) in event::Catalogue::builtin().iter().enumerate() {
            let expect = match field.class.as_str() {
                "evt" => Family::Event,
                "process" => Family::Process,
                "user" | "group" => Family::Account,
                "fd" => Family::Descriptor,
                "fs.path" => Family::Path,
                "fdlist" => Family::DescriptorList,
                "util" => Family::Counter,
                _ => Family::Container,
            };
            assert_eq!(FAMILIES[row], expect, "{}", field.name);
        }
    }
}
