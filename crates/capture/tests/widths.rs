//! After conversion every event of the recorded captures is of a current kind, complete, and each parameter is empty or
//! as wide as its type says.

mod common;

use event::wire::Event;
use event::{EventFlags, Kind, ParamType};

#[test]
fn converted_events_are_current_and_well_formed() {
    for path in common::corpus() {
        let name = path.file_name().unwrap().display();
        for owned in common::read(&std::fs::read(&path).unwrap()).events {
            check(&name, &Event::decode(&owned.raw, owned.cpu).unwrap());
        }
    }
}

fn check(capture: &dyn std::fmt::Display, event: &Event<'_>) {
    let info = event.kind.info().unwrap();
    let is_kept_enter = info.flags.has(EventFlags::CONVERTER_MANAGED) && info.is_enter;
    assert!(!info.flags.has(EventFlags::OLD_VERSION) || is_kept_enter, "{capture}: {}", info.symbol);
    assert!(event.nparams() <= info.params.len() || event.kind == Kind::PROCEXIT_1_E, "{capture}: {}", info.symbol);
    for (index, param) in info.params.iter().enumerate().take(event.nparams()) {
        let bytes = event.param(index).unwrap();
        let wanted = width(param.ty);
        assert!(
            bytes.is_empty() || wanted.is_none_or(|w| w == bytes.len()),
            "{capture}: {} {} has {} bytes",
            info.symbol,
            param.name,
            bytes.len()
        );
    }
}

/// Bytes of a type of fixed width.
fn width(ty: ParamType) -> Option<usize> {
    use ParamType as T;
    match ty {
        T::Int8 | T::Uint8 | T::Flags8 | T::Enumflags8 | T::Sigtype | T::L4proto | T::Sockfamily => Some(1),
        T::Int16 | T::Uint16 | T::Flags16 | T::Enumflags16 | T::Syscallid | T::Port => Some(2),
        T::Int32 | T::Uint32 | T::Bool | T::Flags32 | T::Enumflags32 | T::Mode | T::Uid | T::Gid => Some(4),
        T::Int64 | T::Uint64 | T::Errno | T::Fd | T::Pid | T::Reltime | T::Abstime => Some(8),
        _ => None,
    }
}
