//! Which events a condition can be true for: an over-approximation from its checks of `evt.type`. Computed over event
//! kinds (where the rule is tried) and over system call codes (what the sensor has to deliver). Checks of anything else
//! restrict nothing, negated or not.

use super::ast::{Check, Expr, Op, Operand, Right};
use crate::bits::Bits;
use event::{Kind, Sc, tables};

/// The two answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Events {
    pub kinds: Bits,
    pub syscalls: Bits,
}

impl Events {
    fn all() -> Events {
        Events { kinds: all_kinds(), syscalls: Bits::of(Sc::all().map(|sc| sc.0)) }
    }

    fn none() -> Events {
        Events { kinds: Bits::default(), syscalls: Bits::default() }
    }

    fn combine(self, other: Events, with: impl Fn(Bits, Bits) -> Bits) -> Events {
        Events { kinds: with(self.kinds, other.kinds), syscalls: with(self.syscalls, other.syscalls) }
    }

    /// The events called by any of `names`; `is_async` tells names of asynchronous events.
    fn named<'n>(names: impl Iterator<Item = &'n str>, is_async: &dyn Fn(&str) -> bool) -> Events {
        let mut events = Events::none();
        for name in names {
            events.add_name(name, is_async);
        }
        events
    }

    fn add_name(&mut self, name: &str, is_async: &dyn Fn(&str) -> bool) {
        let kinds: Vec<Kind> = kinds_named(name).collect();
        kinds.iter().for_each(|k| self.kinds.insert(k.0));
        syscalls_of(&kinds).for_each(|sc| self.syscalls.insert(sc.0));
        let sc = Sc::by_name(name);
        sc.into_iter().for_each(|sc| self.syscalls.insert(sc.0));
        if is_async(name) {
            self.kinds.insert(Kind::ASYNCEVENT_E.0);
        } else if kinds.is_empty() && sc.is_some() {
            self.kinds = self.kinds.union(Bits::of([Kind::GENERIC_E.0, Kind::GENERIC_X.0]));
        }
    }
}

/// Why the events of a condition cannot be told.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct EventsError(pub String);

/// The events that `expr`, with macros resolved, can be true for.
///
/// # Errors
/// A transformer or a right-hand field around the event type.
pub fn events_of(expr: &Expr, is_async: &dyn Fn(&str) -> bool) -> Result<Events, EventsError> {
    analyse(expr, false, is_async)
}

/// Whether `name` is what some event is called.
pub fn is_event_name(name: &str) -> bool {
    kinds_named(name).next().is_some() || Sc::by_name(name).is_some()
}

/// Names of the events in a set, generic calls by their own name.
pub fn names_of(events: &Events) -> std::collections::BTreeSet<&'static str> {
    let kinds = events.kinds.iter().filter(|k| *k > Kind::GENERIC_X.0).filter_map(|k| Kind(k).info());
    let kinds = kinds.map(|i| i.name).filter(|n| *n != "NA");
    kinds.chain(events.syscalls.iter().filter_map(|sc| Sc(sc).name())).collect()
}

fn analyse(expr: &Expr, negated: bool, is_async: &dyn Fn(&str) -> bool) -> Result<Events, EventsError> {
    match expr {
        Expr::And(children) => chain(children, negated, is_async, !negated),
        Expr::Or(children) => chain(children, negated, is_async, negated),
        Expr::Not(child) => analyse(child, !negated, is_async),
        Expr::Macro { body: Some(body), .. } => analyse(body, negated, is_async),
        Expr::Macro { .. } => Ok(Events::all()),
        Expr::Check(check) => of_check(check, negated, is_async),
    }
}

fn chain(children: &[Expr], negated: bool, is_async: &dyn Fn(&str) -> bool, all: bool) -> Result<Events, EventsError> {
    let mut out = if all { Events::all() } else { Events::none() };
    for child in children {
        let events = analyse(child, negated, is_async)?;
        out = out.combine(events, if all { Bits::intersection } else { Bits::union });
    }
    Ok(out)
}

fn of_check(check: &Check, negated: bool, is_async: &dyn Fn(&str) -> bool) -> Result<Events, EventsError> {
    let Operand::Field { name, arg: None, .. } = &check.left else {
        return refuse_transformed_type(check).map(|()| Events::all());
    };
    refuse_type_on_the_right(check)?;
    match name.as_str() {
        "evt.type" | "syscall.type" => of_type_check(name, check, negated, is_async),
        "evt.num" => Ok(of_number_check(check, negated)),
        _ => Ok(Events::all()),
    }
}

fn of_type_check(
    field: &str,
    check: &Check,
    negated: bool,
    is_async: &dyn Fn(&str) -> bool,
) -> Result<Events, EventsError> {
    if matches!(check.right, Right::Operand(_)) {
        let reason = format!("right-hand field comparisons on `{field}` checks are not supported by event code search");
        return Err(EventsError(reason));
    }
    let inverted = match check.op {
        Op::Exists => return Ok(if negated { Events::none() } else { Events::all() }),
        Op::Eq | Op::EqEq | Op::In => negated,
        Op::Ne => !negated,
        _ => return Ok(Events::all()),
    };
    if check.modifier.is_some() {
        return Ok(Events::all());
    }
    let named = Events::named(texts(&check.right), is_async);
    Ok(if inverted { Events::all().combine(named, Bits::difference) } else { named })
}

/// Event numbers start at 1, so some checks of them are never or always true.
fn of_number_check(check: &Check, negated: bool) -> Events {
    let mut values = texts(&check.right).map(|v| v.parse::<i64>().ok());
    let only = match &check.right {
        Right::Value(_) => values.next().flatten(),
        _ => None,
    };
    let constant = match (check.op, only) {
        (Op::Eq | Op::EqEq, Some(0)) | (Op::Lt, Some(0 | 1)) | (Op::Le, Some(0)) => Some(false),
        (Op::Ne | Op::Gt, Some(0)) | (Op::Ge, Some(0 | 1)) => Some(true),
        (Op::In, _) if matches!(check.right, Right::List(_)) && values.all(|v| v == Some(0)) => Some(false),
        _ => None,
    };
    match constant {
        Some(value) if value == negated => Events::none(),
        _ => Events::all(),
    }
}

fn refuse_transformed_type(check: &Check) -> Result<(), EventsError> {
    let mut found = None;
    check.left.each_field(&mut |name, _| {
        if matches!(name, "evt.type" | "syscall.type") && matches!(check.left, Operand::Call { .. }) {
            found = Some(name.to_owned());
        }
    });
    match found {
        Some(name) => Err(EventsError(format!("event code search does not support `{name}` checks with transformers"))),
        None => refuse_type_on_the_right(check),
    }
}

fn refuse_type_on_the_right(check: &Check) -> Result<(), EventsError> {
    let Right::Operand(operand) = &check.right else { return Ok(()) };
    let mut found = None;
    operand.each_field(&mut |name, _| {
        if matches!(name, "evt.type" | "syscall.type") {
            found = Some(name.to_owned());
        }
    });
    let reason =
        |name| format!("right-hand field comparisons on `{name}` checks are not supported by event code search");
    found.map_or(Ok(()), |name| Err(EventsError(reason(name))))
}

fn texts(right: &Right) -> impl Iterator<Item = &str> {
    let values = match right {
        Right::Value(value) => std::slice::from_ref(value),
        Right::List(values) => values.as_slice(),
        Right::None | Right::Operand(_) => &[],
    };
    values.iter().map(|v| std::str::from_utf8(v).unwrap_or_default())
}

fn all_kinds() -> Bits {
    Bits::of(tables::events().iter().map(|e| e.kind.0))
}

fn kinds_named(name: &str) -> impl Iterator<Item = Kind> {
    let unused = name == "NA";
    tables::events().iter().filter(move |e| e.name == name && !unused).map(|e| e.kind)
}

/// The system calls (and tracepoints) behind event kinds.
fn syscalls_of(kinds: &[Kind]) -> impl Iterator<Item = Sc> {
    let has = |kind: Kind| kinds.contains(&kind);
    let generic = |kind| matches!(kind, Kind::GENERIC_E | Kind::GENERIC_X);
    let calls = tables::syscalls().iter().filter(move |s| has(s.exit) && !generic(s.exit)).map(|s| s.sc);
    let points = TRACEPOINTS
        .iter()
        .filter(move |(symbol, _)| kinds.iter().any(|k| k.info().is_some_and(|i| i.symbol.contains(symbol))));
    calls.chain(points.filter_map(|(_, name)| Sc::by_name(name)))
}

/// Tracepoints have codes among the system calls, under other names than their events.
const TRACEPOINTS: &[(&str, &str)] = &[
    ("PROCEXIT", "sched_process_exit"),
    ("SCHEDSWITCH", "sched_switch"),
    ("PAGE_FAULT", "page_fault_user"),
    ("PAGE_FAULT", "page_fault_kernel"),
    ("SIGNALDELIVER", "signal_deliver"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::parse_condition;

    fn kinds(condition: &str) -> Bits {
        let expr = parse_condition(condition, 1000).expect("a condition");
        events_of(&expr, &|n| n == "container").expect("events").kinds
    }

    fn all() -> Bits {
        Events::all().kinds
    }

    #[test]
    fn intersects_unites_and_inverts() {
        let open = kinds("evt.type = open");
        assert_eq!(open, Bits::of([Kind::SYSCALL_OPEN_E.0, Kind::SYSCALL_OPEN_X.0]));
        assert_eq!(kinds("evt.type in (open, close) and not evt.type = close"), open);
        assert_eq!(kinds("not (evt.type != open)"), open);
        assert_eq!(kinds("not evt.type = open"), all().difference(open));
        assert_eq!(kinds("evt.type = open or proc.name = x"), all());
        assert_eq!(kinds("not proc.name = x and evt.type = open"), open);
        assert_eq!(kinds("evt.type startswith op"), all());
        assert_eq!(kinds("evt.type = container").iter().last(), Some(Kind::ASYNCEVENT_E.0));
    }

    #[test]
    fn knows_that_event_numbers_start_at_one() {
        assert_eq!(kinds("evt.num = 0").len(), 0);
        assert_eq!(kinds("evt.num < 1").len(), 0);
        assert_eq!(kinds("not evt.num > 0").len(), 0);
        assert_eq!(kinds("not evt.num = 0"), all());
        assert_eq!(kinds("evt.num = 3"), all());
        assert_eq!(kinds("evt.type = open and not (evt.num = 0)"), kinds("evt.type = open"));
    }

    #[test]
    fn generic_calls_share_two_kinds() {
        let expr = parse_condition("evt.type in (madvise, open)", 1000).expect("a condition");
        let events = events_of(&expr, &|_| false).expect("events");
        assert!(events.kinds.contains(0) && events.kinds.contains(1));
        let names: Vec<_> = events.syscalls.iter().filter_map(|sc| Sc(sc).name()).collect();
        assert_eq!(names, ["open", "madvise"]);
    }

    #[test]
    fn transformers_around_the_event_type_are_refused() {
        let expr = parse_condition("tolower(evt.type) = open", 1000).expect("a condition");
        assert!(events_of(&expr, &|_| false).is_err());
        let expr = parse_condition("evt.type = val(proc.name)", 1000).expect("a condition");
        assert!(events_of(&expr, &|_| false).is_err());
    }
}
