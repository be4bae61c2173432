//! Fields: what conditions and outputs may ask about an event. In: a field reference that the rules resolved once, and
//! the event in its context. Out: a value borrowed from the event, the state or the per-event arena; `None` = absent.
//! Nothing here changes state, waits, or allocates outside the arena.

mod builtin;
mod text;
mod time;

pub use builtin::{BUILTINS, Builtin};

use crate::context::Context;
use bumpalo::Bump;
use event::{Event, FieldRef, Value};
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
}

/// Fields that plugins provide. Implemented by the owner of the plugin host.
pub trait PluginFields: Send + Sync {
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
