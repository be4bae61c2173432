//! An event made of field values, for tests: what a field yields is what the test says, everything else is absent.

#![allow(dead_code)] // each test file uses another part of it

use bumpalo::Bump;
use event::{FieldRef, FieldSource, Value};
use std::cell::Cell;
use std::collections::HashMap;
use std::net::IpAddr;

/// A value that owns its text.
#[derive(Clone, Debug)]
pub enum Owned {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Str(Vec<u8>),
    Bytes(Vec<u8>),
    Ip(IpAddr),
    List(Vec<Owned>),
}

#[derive(Debug, Default)]
pub struct FakeEvent {
    pub values: HashMap<String, Owned>,
    pub candidates: HashMap<String, Vec<Owned>>,
    pub hosts: HashMap<String, Vec<IpAddr>>,
    /// How often anything was extracted.
    pub extractions: Cell<usize>,
}

impl Owned {
    fn view<'a>(&'a self, arena: &'a Bump) -> Value<'a> {
        match self {
            Owned::Bool(value) => Value::Bool(*value),
            Owned::Int(value) => Value::Int(*value),
            Owned::Uint(value) => Value::Uint(*value),
            Owned::Double(value) => Value::Double(*value),
            Owned::Str(value) => Value::Str(value),
            Owned::Bytes(value) => Value::Bytes(value),
            Owned::Ip(value) => Value::Ip(*value),
            Owned::List(items) => Value::List(arena.alloc_slice_fill_iter(items.iter().map(|i| i.view(arena)))),
        }
    }
}

impl FieldSource for FakeEvent {
    fn extract<'a>(&'a self, field: &FieldRef, arena: &'a Bump) -> Option<Value<'a>> {
        self.extractions.set(self.extractions.get() + 1);
        self.values.get(&field.text).map(|v| v.view(arena))
    }

    fn candidates<'a>(&'a self, field: &FieldRef, arena: &'a Bump) -> &'a [Value<'a>] {
        self.extractions.set(self.extractions.get() + 1);
        let values = self.candidates.get(&field.text).map_or(&[][..], Vec::as_slice);
        arena.alloc_slice_fill_iter(values.iter().map(|v| v.view(arena)))
    }

    fn rendered<'a>(&'a self, _: &FieldRef, _: &'a Bump) -> Option<&'a [u8]> {
        None
    }

    fn addresses_of(&self, host_name: &[u8]) -> &[IpAddr] {
        let name = String::from_utf8_lossy(host_name);
        self.hosts.get(&*name).map_or(&[], Vec::as_slice)
    }
}
