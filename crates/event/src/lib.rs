//! The event ABI and the field catalogue: which events exist, which parameters they carry, how they lie in memory, and
//! which fields the rule language can name. Everything that sees events (sensor, captures, engine, plugins, rules)
//! speaks through this crate. Bytes from outside are bounds-checked; a bad record is an error value, never a panic.
//! No I/O, no state.

#![forbid(unsafe_code)]

pub mod fields;
pub mod snapshot;
pub mod tables;
pub mod value;
pub mod wire;

pub use fields::{Catalogue, FieldArg, FieldId, FieldInfo, FieldRef};
pub use tables::{EventFlags, EventInfo, Kind, ParamInfo, ParamType, Sc};
pub use value::{FieldSource, Value};
pub use wire::Event;
