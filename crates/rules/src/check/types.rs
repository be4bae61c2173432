//! Which operators fit which types, as one table.

use super::CheckError;
use crate::lang::ast::Op;
use event::ParamType;

/// Types that compare alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    Number,
    Bool,
    Text,
    Bytes,
    Ip,
    Net,
    /// Nothing but `exists`.
    Other,
}

impl Class {
    pub fn of(ty: ParamType) -> Class {
        use ParamType as T;
        match ty {
            T::Bool => Class::Bool,
            T::Charbuf | T::Fspath | T::Fsrelpath => Class::Text,
            T::Bytebuf => Class::Bytes,
            T::Ipaddr | T::Ipv4addr | T::Ipv6addr => Class::Ip,
            T::Ipnet => Class::Net,
            T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Uint8 | T::Uint16 | T::Uint32 | T::Uint64 | T::Errno => {
                Class::Number
            }
            T::Fd | T::Fd32 | T::Pid | T::Pid32 | T::Mode | T::Port | T::Syscallid | T::Sigtype => Class::Number,
            T::Flags8 | T::Flags16 | T::Flags32 | T::Enumflags8 | T::Enumflags16 | T::Enumflags32 => Class::Number,
            T::Reltime | T::Abstime | T::Double | T::L4proto | T::Sockfamily => Class::Number,
            T::Uid | T::Gid | T::Sigset | T::Charbufarray | T::CharbufPairArray => Class::Other,
            T::Sockaddr | T::Socktuple | T::Fdlist | T::Dyn => Class::Other,
        }
    }

    fn noun(self) -> Option<&'static str> {
        match self {
            Class::Number => Some("numeric"),
            Class::Bool => Some("boolean"),
            Class::Text => Some("string"),
            Class::Bytes => Some("buffer"),
            Class::Ip | Class::Net => Some("ip address and network"),
            Class::Other => None,
        }
    }

    fn allows(self, op: Op) -> bool {
        use Op::{Bcontains, Bstartswith, Contains, Endswith, Eq, EqEq, Exists, In, Intersects, Ne, Startswith};
        if matches!(op, Exists) {
            return true;
        }
        let equality = matches!(op, Eq | EqEq | Ne | In | Intersects);
        match self {
            Class::Number => equality || op.is_numeric(),
            Class::Bool | Class::Ip | Class::Net => equality,
            Class::Text => !matches!(op, Bcontains | Bstartswith),
            Class::Bytes => equality || matches!(op, Contains | Startswith | Endswith | Bcontains | Bstartswith),
            Class::Other => false,
        }
    }
}

/// Whether values of type `ty`, or lists of them, can be compared by `op`.
pub fn check_operator(op: Op, ty: ParamType, is_list: bool) -> Result<(), CheckError> {
    let name = op.as_str();
    let class = Class::of(ty);
    if is_list {
        let fits = matches!(op, Op::In | Op::Intersects | Op::Exists);
        let message = format!("filter error: '{name}' operator not supported list filters");
        return if fits { Ok(()) } else { Err(CheckError(message)) };
    }
    if class.allows(op) {
        return Ok(());
    }
    Err(CheckError(match class.noun() {
        Some(noun) => format!("filter error: '{name}' operator not supported for {noun} filters"),
        None => format!("filter error: '{name}' operator not supported for type '{}'", type_name(ty)),
    }))
}

/// `UINT64`, `CHARBUF`, `FLAGS32`: the name that messages and field lists use.
pub fn type_name(ty: ParamType) -> String {
    match ty {
        ParamType::CharbufPairArray => "CHARBUF_PAIR_ARRAY".to_owned(),
        other => format!("{other:?}").to_uppercase(),
    }
}

/// Signed types keep a minus sign, unsigned ones wrap. `None` for types that are no integers.
pub fn integer_width(ty: ParamType) -> Option<(bool, u32)> {
    use ParamType as T;
    Some(match ty {
        T::Int8 => (true, 8),
        T::Int16 => (true, 16),
        T::Int32 | T::Fd32 | T::Pid32 => (true, 32),
        T::Int64 | T::Errno | T::Fd | T::Pid | T::Double => (true, 64),
        T::Uint8 | T::Flags8 | T::Enumflags8 | T::Sigtype | T::L4proto | T::Sockfamily => (false, 8),
        T::Uint16 | T::Flags16 | T::Enumflags16 | T::Port | T::Syscallid => (false, 16),
        T::Uint32 | T::Flags32 | T::Enumflags32 | T::Mode => (false, 32),
        T::Uint64 | T::Reltime | T::Abstime => (false, 64),
        _ => return None,
    })
}

/// Fields whose text is a formatted form of the event's time stamp: in JSON they are that time stamp.
pub fn is_time(field: &str) -> bool {
    matches!(
        field,
        "evt.time" | "evt.time.s" | "evt.time.iso8601" | "evt.datetime" | "evt.datetime.s" | "evt.outputtime"
    )
}
