//! What a field yields for one event, and the trait through which conditions and outputs ask for it.

use crate::fields::FieldRef;
use bumpalo::Bump;
use std::net::IpAddr;

/// The value of a field for one event. Cheap to copy; borrowed from the event, the state tables or the per-event arena.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Bool(bool),
    /// Every signed integer type, pids, fds and errno values.
    Int(i64),
    /// Every unsigned integer type, ports, flags, times in nanoseconds.
    Uint(u64),
    Double(f64),
    /// Text without a terminating NUL; not necessarily UTF-8.
    Str(&'a [u8]),
    Bytes(&'a [u8]),
    Ip(IpAddr),
    List(&'a [Value<'a>]),
}

/// An event in its context, seen through fields.
pub trait FieldSource {
    /// The value of `field` for outputs and for plain comparison; `None` = absent.
    fn extract<'a>(&'a self, field: &FieldRef, arena: &'a Bump) -> Option<Value<'a>>;

    /// For fields with a comparison of their own (`proc.aname` without argument, `fd.ip`, `fd.port`, ...): the values
    /// to compare one by one. How they combine is the comparison's business. Empty = absent.
    fn candidates<'a>(&'a self, field: &FieldRef, arena: &'a Bump) -> &'a [Value<'a>];

    /// Text of `field` where printing differs from the value (`evt.arg.*` of dynamic type, flags, buffers);
    /// `None` = print the extracted value by its type.
    fn rendered<'a>(&'a self, field: &FieldRef, arena: &'a Bump) -> Option<&'a [u8]>;

    /// The addresses that `host_name` resolves to, as far as known now (`fd.sip.name = host`). Never blocks.
    fn addresses_of(&self, _host_name: &[u8]) -> &[IpAddr] {
        &[]
    }
}
