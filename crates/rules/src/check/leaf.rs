//! One comparison, compiled: what to extract and how to test it. Fields with a comparison of their own (any ancestor,
//! either end of a connection, host names) are told apart here once, so that evaluation does not have to.

use super::literal;
use super::set::ByteSet;
use super::test::{Comparison, Test, number_of};
use super::transform::typed_operand;
use super::types::{Class, check_operator, type_name};
use super::value::ValueExpr;
use super::{CheckError, regex};
use crate::lang::ast::{Check, Modifier, Op, Operand, Right};
use bumpalo::Bump;
use event::{Catalogue, FieldArg, FieldSource, ParamType, Value};
use memchr::memmem::Finder;
use std::net::IpAddr;

/// A compiled check.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// As conditions print it.
    pub text: String,
    pub left: ValueExpr,
    pub how: How,
}

/// How the left-hand side is tested.
#[derive(Clone, Debug)]
pub enum How {
    /// The extracted value satisfies the test.
    Plain(Test),
    /// The extracted value compares with another extracted value.
    Against(Op, ValueExpr),
    /// Any candidate value satisfies the test: ancestors, either end of a connection.
    Any(Test),
    /// There are candidates and all of them satisfy the test: `!=` on both ends.
    All(Test),
    /// The host name of an address, or the addresses of a host name.
    Host { test: Test, names: Vec<Vec<u8>>, negated: bool },
    /// The event's time lies within `nanos` of `ts`.
    Around { ts: u64, nanos: u64 },
}

/// What compiling a check needs to know.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    pub source: &'c str,
    pub catalogue: &'c Catalogue,
    /// Whether some plugin sends an asynchronous event of this name.
    pub is_async: &'c dyn Fn(&str) -> bool,
}

impl Leaf {
    pub fn compile(check: &Check, context: Context<'_>) -> Result<Leaf, CheckError> {
        let left = typed_operand(&check.left, context.source, context.catalogue)?;
        check_operator(check.op, left.ty, left.is_list)?;
        check_event_names(check, &left, context)?;
        let special = left.as_field().and_then(Special::of);
        let how = match (special, &check.right) {
            (_, Right::Operand(right)) => against(check.op, &left, right, context)?,
            (Some(special), _) => special.compile(check, &left)?,
            (None, _) => How::Plain(plain(check, &left)?),
        };
        let left = match special {
            // An end of a connection exists when the file descriptor is known.
            Some(Special::Ends) if check.op == Op::Exists => plain_field("fd.type", context)?,
            Some(Special::Around) => plain_field("evt.rawtime", context)?,
            _ => left,
        };
        Ok(Leaf { text: check.to_string(), left, how })
    }

    /// Whether the check holds, given what it compares.
    #[inline]
    pub fn holds<'a>(&self, inputs: &impl Inputs<'a>) -> bool {
        match &self.how {
            How::Plain(test) => inputs.left().is_some_and(|v| test.holds(v)),
            How::Against(op, _) => match (inputs.left(), inputs.right()) {
                (Some(left), Some(right)) => compare(*op, left, right),
                _ => false,
            },
            How::Any(test) => inputs.candidates().iter().any(|v| test.holds(*v)),
            How::All(test) => {
                let candidates = inputs.candidates();
                !candidates.is_empty() && candidates.iter().all(|v| test.holds(*v))
            }
            How::Host { test, names, negated } => match inputs.left() {
                Some(name) => test.holds(name),
                None if matches!(test, Test::Exists) => !inputs.candidates().is_empty(),
                None => resolves_to(inputs, names, *negated),
            },
            How::Around { ts, nanos } => {
                matches!(inputs.left(), Some(Value::Uint(at)) if at.abs_diff(*ts) <= *nanos)
            }
        }
    }

    /// What the check needs besides the left value.
    pub fn needs_candidates(&self) -> bool {
        matches!(self.how, How::Any(_) | How::All(_) | How::Host { .. })
    }
}

/// What a check compares, extracted on demand.
pub trait Inputs<'a> {
    fn left(&self) -> Option<Value<'a>>;
    /// The right-hand field or transformer.
    fn right(&self) -> Option<Value<'a>>;
    fn candidates(&self) -> &'a [Value<'a>];
    /// Whether `host_name` is known to resolve to `address`.
    fn resolves(&self, host_name: &[u8], address: IpAddr) -> bool;
}

/// Extracts from an event every time.
pub struct Direct<'a, 'l, S> {
    pub leaf: &'l Leaf,
    pub event: &'a S,
    pub arena: &'a Bump,
}

impl<'a, S: FieldSource> Inputs<'a> for Direct<'a, '_, S> {
    fn left(&self) -> Option<Value<'a>> {
        self.leaf.left.eval(self.event, self.arena)
    }

    fn right(&self) -> Option<Value<'a>> {
        match &self.leaf.how {
            How::Against(_, right) => right.eval(self.event, self.arena),
            _ => None,
        }
    }

    fn candidates(&self) -> &'a [Value<'a>] {
        self.leaf.left.as_field().map_or(&[], |field| self.event.candidates(field, self.arena))
    }

    fn resolves(&self, host_name: &[u8], address: IpAddr) -> bool {
        self.event.addresses_of(host_name).contains(&address)
    }
}

fn resolves_to<'a>(inputs: &impl Inputs<'a>, names: &[Vec<u8>], negated: bool) -> bool {
    match inputs.candidates().first() {
        Some(Value::Ip(ip)) => names.iter().any(|name| inputs.resolves(name, *ip)) != negated,
        _ => false,
    }
}

/// Fields with a comparison of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Special {
    Ancestors,
    /// Both ends of a connection, or the address of a listening socket.
    Ends,
    Host,
    Around,
}

impl Special {
    fn of(field: &event::FieldRef) -> Option<Special> {
        let name = field.text.split_once('[').map_or(field.text.as_str(), |(name, _)| name);
        match (name, &field.arg) {
            ("proc.aname" | "proc.aexe" | "proc.aexepath" | "proc.acmdline" | "proc.apid", None) => {
                Some(Special::Ancestors)
            }
            ("proc.aenv", None | Some(FieldArg::Index(_))) => Some(Special::Ancestors),
            ("fd.ip" | "fd.net" | "fd.port" | "fd.proto", _) => Some(Special::Ends),
            ("fd.cip.name" | "fd.sip.name" | "fd.lip.name" | "fd.rip.name", _) => Some(Special::Host),
            ("evt.around", _) => Some(Special::Around),
            _ => None,
        }
    }

    /// Modifiers are ignored: only the first value counts then. So does `in` on networks.
    fn compile(self, check: &Check, left: &ValueExpr) -> Result<How, CheckError> {
        let first_only = check.modifier.is_some() || (left.ty == ParamType::Ipnet && check.op.is_list());
        let first = Check { right: first_value(&check.right), modifier: None, ..check.clone() };
        let check = if first_only { &first } else { check };
        match self {
            Special::Ancestors => Ok(How::Any(plain(check, left)?)),
            Special::Ends if check.op == Op::Exists => Ok(How::Plain(Test::Exists)),
            Special::Ends if check.op == Op::Ne => Ok(How::All(plain(check, left)?)),
            Special::Ends => Ok(How::Any(plain(check, left)?)),
            Special::Host => host(check, left),
            Special::Around => around(check, left),
        }
    }
}

fn first_value(right: &Right) -> Right {
    match right {
        Right::List(values) if values.len() > 1 => Right::List(values[..1].to_vec()),
        other => other.clone(),
    }
}

fn plain_field(name: &str, context: Context<'_>) -> Result<ValueExpr, CheckError> {
    let field = Operand::Field { name: name.to_owned(), arg: None, pos: Default::default() };
    typed_operand(&field, context.source, context.catalogue)
}

fn host(check: &Check, left: &ValueExpr) -> Result<How, CheckError> {
    if !matches!(check.op, Op::Eq | Op::EqEq | Op::Ne | Op::In | Op::Exists) {
        let op = check.op.as_str();
        return Err(CheckError(format!("filter error: '{op}' operator not supported for field '{}'", left.text)));
    }
    let names = values(check).iter().map(|v| v.to_vec()).collect();
    Ok(How::Host { test: plain(check, left)?, names, negated: check.op == Op::Ne })
}

fn around(check: &Check, left: &ValueExpr) -> Result<How, CheckError> {
    let ts = match left.as_field().and_then(|f| f.arg.as_ref()) {
        Some(FieldArg::Index(ts)) => *ts,
        _ => return Err(CheckError::new("filter error: field 'evt.around' requires a time stamp in nanoseconds")),
    };
    let millis = match values(check).first() {
        Some(text) => literal::number(text, ParamType::Uint64)?,
        None => 0,
    };
    let nanos = u64::try_from(millis).unwrap_or(u64::MAX).saturating_mul(1_000_000);
    Ok(How::Around { ts, nanos })
}

fn values(check: &Check) -> &[Vec<u8>] {
    match &check.right {
        Right::Value(value) => std::slice::from_ref(value),
        Right::List(values) => values,
        Right::None | Right::Operand(_) => &[],
    }
}

/// Values of the event type have to be names of events.
fn check_event_names(check: &Check, left: &ValueExpr, context: Context<'_>) -> Result<(), CheckError> {
    let compares_names = matches!(check.op, Op::Eq | Op::EqEq | Op::Ne | Op::In | Op::Intersects);
    if !matches!(left.text.as_str(), "evt.type" | "syscall.type") || !compares_names {
        return Ok(());
    }
    let known = |name: &str| crate::lang::events::is_event_name(name) || (context.is_async)(name);
    let names = values(check).iter().map(|v| String::from_utf8_lossy(v));
    match names.into_iter().find(|name| !known(name)) {
        Some(name) => Err(CheckError(format!("unknown event type {name}"))),
        None => Ok(()),
    }
}

/// The test of an ordinary check.
fn plain(check: &Check, left: &ValueExpr) -> Result<Test, CheckError> {
    let (op, ty) = (check.op, left.ty);
    if op == Op::Exists {
        return Ok(Test::Exists);
    }
    if left.is_list {
        let elements = Box::new(among(Op::In, ty, values(check))?);
        return Ok(if op == Op::In { Test::Every(elements) } else { Test::Some(elements) });
    }
    if let Some(modifier) = check.modifier {
        let tests = values(check).iter().map(|v| single(op, ty, v)).collect::<Result<Box<[Test]>, _>>()?;
        return Ok(match modifier {
            _ if tests.is_empty() => Test::Never,
            Modifier::Oneof => Test::OneOf(tests),
            Modifier::Anyof => Test::AnyOf(tests),
            Modifier::Allof => Test::AllOf(tests),
        });
    }
    match values(check) {
        values if op.is_list() => among(op, ty, values),
        [value] => single(op, ty, value),
        _ => Ok(Test::Never),
    }
}

/// Membership in a list of values.
fn among(op: Op, ty: ParamType, values: &[Vec<u8>]) -> Result<Test, CheckError> {
    let texts = values.iter().map(Vec::as_slice);
    match Class::of(ty) {
        _ if op == Op::Pmatch => Ok(Test::Below(texts.collect())),
        Class::Text | Class::Bytes => Ok(Test::In(texts.map(without_nuls).collect::<ByteSet>())),
        Class::Number => {
            let numbers = texts.map(|v| literal::number(v, ty)).collect::<Result<Box<[i128]>, _>>()?;
            Ok(Test::NumberIn(numbers))
        }
        Class::Bool => {
            let bools = texts.map(literal::boolean).collect::<Result<Vec<bool>, _>>()?;
            Ok(Test::Bool { when_true: bools.contains(&true), when_false: bools.contains(&false) })
        }
        Class::Ip => {
            let among = texts.map(literal::address).collect::<Result<_, _>>()?;
            Ok(Test::Address { among, negated: false })
        }
        Class::Net => {
            let among = texts.map(literal::network).collect::<Result<_, _>>()?;
            Ok(Test::Network { among, negated: false })
        }
        Class::Other => Ok(Test::Never),
    }
}

fn without_nuls(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
    &bytes[..end]
}

/// A comparison with one value.
fn single(op: Op, ty: ParamType, value: &[u8]) -> Result<Test, CheckError> {
    let negated = op == Op::Ne;
    match Class::of(ty) {
        Class::Text | Class::Bytes => text_test(op, value),
        Class::Number => {
            let comparison = comparison(op).ok_or_else(|| CheckError::new("filter error: not a numeric operator"))?;
            Ok(Test::Number(comparison, literal::number(value, ty)?))
        }
        Class::Bool => {
            let wanted = literal::boolean(value)? != negated;
            Ok(Test::Bool { when_true: wanted, when_false: !wanted })
        }
        Class::Ip => Ok(Test::Address { among: [literal::address(value)?].into_iter().collect(), negated }),
        Class::Net => Ok(Test::Network { among: [literal::network(value)?].into(), negated }),
        Class::Other => Ok(Test::Never),
    }
}

fn text_test(op: Op, value: &[u8]) -> Result<Test, CheckError> {
    let owned = || Box::<[u8]>::from(value);
    let finder = |needle: &[u8]| Finder::new(needle).into_owned();
    Ok(match op {
        Op::Eq | Op::EqEq => Test::Eq(owned()),
        Op::Ne => Test::Ne(owned()),
        Op::Contains => Test::Contains(finder(value)),
        Op::Icontains => Test::ContainsFolded(finder(&value.to_ascii_lowercase())),
        Op::Bcontains => Test::Contains(finder(&literal::hex(value)?)),
        Op::Startswith => Test::StartsWith(owned()),
        Op::Bstartswith => Test::StartsWith(literal::hex(value)?.into()),
        Op::Endswith => Test::EndsWith(owned()),
        Op::Glob | Op::Iglob => Test::Glob { pattern: owned(), fold_case: op == Op::Iglob },
        Op::Regex => Test::Regex(regex::compile(value)?),
        _ => match comparison(op) {
            Some(comparison) => Test::Order(comparison, owned()),
            None => Test::Never,
        },
    })
}

fn comparison(op: Op) -> Option<Comparison> {
    Some(match op {
        Op::Eq | Op::EqEq => Comparison::Eq,
        Op::Ne => Comparison::Ne,
        Op::Lt => Comparison::Lt,
        Op::Le => Comparison::Le,
        Op::Gt => Comparison::Gt,
        Op::Ge => Comparison::Ge,
        _ => return None,
    })
}

/// A comparison with another field or a transformer.
fn against(op: Op, left: &ValueExpr, right: &Operand, context: Context<'_>) -> Result<How, CheckError> {
    let right = typed_operand(right, context.source, context.catalogue)?;
    let info = |value: &ValueExpr| value.as_field().map(|f| context.catalogue.info(f.id));
    if info(left).is_some_and(|i| i.no_rhs) || left.ty == ParamType::Ipnet || matches!(op, Op::Pmatch | Op::Regex) {
        return Err(CheckError(format!("field '{}' doesn't support right-hand side fields", left.text)));
    }
    if info(&right).is_some_and(|i| i.no_rhs) || right.ty == ParamType::Ipnet {
        return Err(CheckError(format!("field '{}' can't be used as a right-hand side field", right.text)));
    }
    if left.ty != right.ty || left.is_list != right.is_list {
        let (a, t, b, u) = (&left.text, described(left), &right.text, described(&right));
        return Err(CheckError(format!(
            "field '{a}' has type '{t}' while the right-hand side field '{b}' has incompatible type '{u}'"
        )));
    }
    Ok(How::Against(op, right))
}

fn described(value: &ValueExpr) -> String {
    let ty = type_name(value.ty);
    if value.is_list { format!("list of {ty}") } else { ty }
}

/// Compares two extracted values. Both have the same type, which was checked when the rule loaded.
fn compare(op: Op, left: Value<'_>, right: Value<'_>) -> bool {
    match (left, right) {
        (Value::List(left), Value::List(right)) => match op {
            Op::In => left.iter().all(|v| right.contains(v)),
            _ => left.iter().any(|v| right.contains(v)),
        },
        (Value::Str(a) | Value::Bytes(a), Value::Str(b) | Value::Bytes(b)) => compare_text(op, a, b),
        (Value::Double(a), Value::Double(b)) => comparison(equality(op)).is_some_and(|c| c.holds(a.total_cmp(&b))),
        (Value::Bool(a), Value::Bool(b)) => comparison(equality(op)).is_some_and(|c| c.holds(a.cmp(&b))),
        (Value::Ip(a), Value::Ip(b)) => comparison(equality(op)).is_some_and(|c| c.holds(a.cmp(&b))),
        _ => match (number_of(left), number_of(right)) {
            (Some(a), Some(b)) => comparison(equality(op)).is_some_and(|c| c.holds(a.cmp(&b))),
            _ => false,
        },
    }
}

/// On scalars, membership in one other value is equality.
fn equality(op: Op) -> Op {
    if op.is_list() { Op::Eq } else { op }
}

fn compare_text(op: Op, a: &[u8], b: &[u8]) -> bool {
    match op {
        Op::Contains => memchr::memmem::find(a, b).is_some(),
        Op::Icontains => super::test::contains_folded(a, &Finder::new(&b.to_ascii_lowercase())),
        Op::Bcontains => literal::hex(b).is_ok_and(|b| memchr::memmem::find(a, &b).is_some()),
        Op::Startswith => a.starts_with(b),
        Op::Bstartswith => literal::hex(b).is_ok_and(|b| a.starts_with(&b)),
        Op::Endswith => a.ends_with(b),
        Op::Glob | Op::Iglob => super::glob::glob(b, a, op == Op::Iglob),
        other => comparison(equality(other)).is_some_and(|c| c.holds(a.cmp(b))),
    }
}
