//! Transformers: which arguments they take, and what they make of values. Results live in the per-event arena.
//!
//! As in the re-created system, a result buffer carries one terminating NUL: scalar text drops it again, but bytes and
//! list elements keep it, so that set operators on transformed lists of text never match.

use super::types::{Class, type_name};
use super::value::{ArgExpr, ValueExpr, ValueNode};
use super::{CheckError, resolve_field};
use crate::lang::ast::{Arg, Function, Operand};
use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use event::{Catalogue, ParamType, Value};

/// Resolves an operand of a condition of `source` into a typed expression.
pub fn typed_operand(operand: &Operand, source: &str, catalogue: &Catalogue) -> Result<ValueExpr, CheckError> {
    match operand {
        Operand::Field { name, arg, .. } => {
            let field = resolve_field(name, arg.as_deref(), source, catalogue)?;
            let info = catalogue.info(field.id);
            let (ty, is_list) = (raw_type(&info.name, &field).unwrap_or(info.ty), info.is_list);
            Ok(ValueExpr { text: field.text.clone(), ty, is_list, node: ValueNode::Field(field) })
        }
        Operand::Call { function, args, selector, .. } => {
            if selector.is_some() && *function != Function::Getopt {
                let name = function.as_str();
                return Err(CheckError(format!("'{name}' transformer does not support an argument in brackets")));
            }
            let typed = args.iter().map(|a| typed_arg(a, source, catalogue)).collect::<Result<Vec<_>, _>>()?;
            let (ty, is_list) = result_type(*function, &typed, selector.is_some())?;
            let node = ValueNode::Call { function: *function, args: typed, selector: selector.clone() };
            Ok(ValueExpr { text: operand.to_string(), ty, is_list, node })
        }
    }
}

/// `evt.rawarg.X` has the type of the parameter called X.
fn raw_type(name: &str, field: &event::FieldRef) -> Option<ParamType> {
    let event::FieldArg::Key(key) = field.arg.as_ref().filter(|_| name == "evt.rawarg")? else { return None };
    let mut params = event::tables::events().iter().flat_map(|e| e.params);
    params.find(|p| p.name == key).map(|p| p.ty)
}

fn typed_arg(arg: &Arg, source: &str, catalogue: &Catalogue) -> Result<ArgExpr, CheckError> {
    match arg {
        Arg::Number(number) => Ok(ArgExpr::Text(number.clone().into_bytes())),
        Arg::Text(text) => Ok(ArgExpr::Text(text.clone())),
        Arg::List(items) => {
            let items = items.iter().map(|i| typed_arg(i, source, catalogue)).collect::<Result<Vec<_>, _>>()?;
            Ok(ArgExpr::List(items))
        }
        Arg::Operand(operand) => {
            let value = typed_operand(operand, source, catalogue)?;
            if let Some(field) = value.as_field().filter(|f| catalogue.info(f.id).no_transformer) {
                return Err(CheckError(format!("field '{}' does not support transformers", field.text)));
            }
            Ok(ArgExpr::Value(value))
        }
    }
}

/// The type that `function` yields for `args`, or why it does not take them.
fn result_type(function: Function, args: &[ArgExpr], selected: bool) -> Result<(ParamType, bool), CheckError> {
    let name = function.as_str();
    let (least, most) = match function {
        Function::Join | Function::Getopt => (2, 2),
        Function::Concat => (2, usize::MAX),
        _ => (1, 1),
    };
    if args.len() < least || args.len() > most {
        let wanted = if most == usize::MAX { format!("at least {least}") } else { format!("exactly {least}") };
        return Err(CheckError(format!("'{name}' transformer takes {wanted} arguments, found {}", args.len())));
    }
    let text = Ok((ParamType::Charbuf, false));
    match function {
        Function::Tolower | Function::Toupper => {
            let (ty, is_list) = expect(function, &args[0], |class, _| class == Class::Text)?;
            Ok((ty, is_list))
        }
        Function::B64 => expect(function, &args[0], |class, list| !list && matches!(class, Class::Text | Class::Bytes)),
        Function::Basename => expect(function, &args[0], |class, list| !list && class == Class::Text),
        Function::Len => {
            expect(function, &args[0], |class, list| list || matches!(class, Class::Text | Class::Bytes))?;
            Ok((ParamType::Uint64, false))
        }
        Function::Join => {
            expect(function, &args[0], |class, list| !list && class == Class::Text)?;
            expect(function, &args[1], |class, list| list && class == Class::Text)?;
            text
        }
        Function::Concat => {
            args.iter().try_for_each(|a| expect(function, a, |class, list| !list && class == Class::Text).map(drop))?;
            text
        }
        Function::Getopt => {
            expect(function, &args[0], |class, list| list && class == Class::Text)?;
            expect(function, &args[1], |class, list| !list && class == Class::Text)?;
            Ok((ParamType::Charbuf, !selected))
        }
    }
}

fn expect(
    function: Function,
    arg: &ArgExpr,
    fits: impl Fn(Class, bool) -> bool,
) -> Result<(ParamType, bool), CheckError> {
    let (ty, is_list) = match arg {
        ArgExpr::Value(value) => (value.ty, value.is_list),
        ArgExpr::Text(_) => (ParamType::Charbuf, false),
        ArgExpr::List(_) => (ParamType::Charbuf, true),
    };
    if fits(Class::of(ty), is_list) {
        return Ok((ty, is_list));
    }
    let field = match arg {
        ArgExpr::Value(value) => value.text.clone(),
        ArgExpr::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ArgExpr::List(_) => "(...)".to_owned(),
    };
    let list = if is_list { "list " } else { "" };
    let (ty, name) = (type_name(ty), function.as_str());
    let message = format!("can't add field transformer: type '{ty}' is not supported by '{name}' transformer");
    Err(CheckError(format!("{message} applied on {list}field '{field}'")))
}

/// Applies `function`; `None` = absent. The argument count was checked when the rule loaded.
pub fn apply<'a>(
    function: Function,
    args: &[Value<'a>],
    selector: Option<&[u8]>,
    arena: &'a Bump,
) -> Option<Value<'a>> {
    match (function, args) {
        (Function::Tolower, [value]) => Some(map_case(*value, u8::to_ascii_lowercase, arena)),
        (Function::Toupper, [value]) => Some(map_case(*value, u8::to_ascii_uppercase, arena)),
        (Function::B64, [value]) => base64(*value, arena),
        (Function::Basename, [value]) => {
            let path = text(*value)?;
            let start = memchr::memrchr(b'/', path).map_or(0, |at| at + 1);
            Some(Value::Str(&path[start..]))
        }
        (Function::Len, [Value::List(items)]) => Some(Value::Uint(items.len() as u64)),
        (Function::Len, [value]) => Some(Value::Uint(text(*value)?.len() as u64)),
        (Function::Join, [separator, Value::List(items)]) => join(text(*separator)?, items, arena),
        (Function::Concat, values) => join(b"", values, arena),
        (Function::Getopt, [Value::List(argv), optstring]) => getopt(argv, text(*optstring)?, selector, arena),
        _ => None,
    }
}

/// Text or bytes without trailing NULs.
fn text(value: Value<'_>) -> Option<&[u8]> {
    let (Value::Str(bytes) | Value::Bytes(bytes)) = value else { return None };
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
    Some(&bytes[..end])
}

fn map_case<'a>(value: Value<'a>, map: fn(&u8) -> u8, arena: &'a Bump) -> Value<'a> {
    match value {
        Value::List(items) => Value::List(arena.alloc_slice_fill_iter(items.iter().map(|item| {
            let bytes = text(*item).unwrap_or_default();
            Value::Str(arena.alloc_slice_fill_with(bytes.len() + 1, |i| bytes.get(i).map_or(0, map)))
        }))),
        other => {
            let bytes = text(other).unwrap_or_default();
            Value::Str(arena.alloc_slice_fill_iter(bytes.iter().map(map)))
        }
    }
}

fn join<'a>(separator: &[u8], items: &[Value<'a>], arena: &'a Bump) -> Option<Value<'a>> {
    let mut out = ArenaVec::new_in(arena);
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice_copy(separator);
        }
        out.extend_from_slice_copy(text(*item)?);
    }
    Some(Value::Str(out.into_bump_slice()))
}

fn base64<'a>(value: Value<'a>, arena: &'a Bump) -> Option<Value<'a>> {
    let mut out = ArenaVec::new_in(arena);
    decode_base64(text(value)?, &mut out)?;
    if matches!(value, Value::Bytes(_)) {
        out.push(0);
        return Some(Value::Bytes(out.into_bump_slice()));
    }
    let bytes = out.into_bump_slice();
    Some(Value::Str(&bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]))
}

/// Standard alphabet; padding may be missing. `None` on anything else.
fn decode_base64(input: &[u8], out: &mut ArenaVec<'_, u8>) -> Option<()> {
    let padding = input.iter().rev().take_while(|b| **b == b'=').count();
    let digits = &input[..input.len() - padding];
    if padding > 2 || digits.len() % 4 == 1 || (padding > 0 && !input.len().is_multiple_of(4)) {
        return None;
    }
    for group in digits.chunks(4) {
        let bits = group.iter().try_fold(0u32, |bits, b| Some(bits << 6 | u32::from(base64_digit(*b)?)))?;
        let bits = bits << (6 * (4 - group.len()));
        let bytes = bits.to_be_bytes();
        out.extend_from_slice_copy(&bytes[1..group.len()]);
    }
    Some(())
}

fn base64_digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Reads `argv` as `getopt(3)` does: stops at `--` or the first word that is no option, skips `--long` words.
fn getopt<'a>(argv: &[Value<'a>], optstring: &[u8], selector: Option<&[u8]>, arena: &'a Bump) -> Option<Value<'a>> {
    let mut found: ArenaVec<(u8, Option<&'a [u8]>)> = ArenaVec::new_in(arena);
    let mut words = argv.iter().filter_map(|v| text(*v));
    while let Some(word) = words.next() {
        match word {
            b"--" => break,
            [b'-', b'-', ..] => {}
            [b'-', letters @ ..] if !letters.is_empty() => read_letters(letters, &mut words, optstring, &mut found),
            _ => break,
        }
    }
    match selector {
        Some(selector) => {
            let (letter, value) = found.iter().rev().find(|(letter, _)| [*letter] == *selector)?;
            Some(Value::Str(value.unwrap_or_else(|| arena.alloc_slice_copy(&[*letter]))))
        }
        None => Some(Value::List(flatten(&found, arena))),
    }
}

/// The letters of one word; a letter that takes a value ends the word.
fn read_letters<'a>(
    letters: &'a [u8],
    words: &mut impl Iterator<Item = &'a [u8]>,
    optstring: &[u8],
    found: &mut ArenaVec<'_, (u8, Option<&'a [u8]>)>,
) {
    for (i, letter) in letters.iter().enumerate() {
        let Some(at) = optstring.iter().position(|o| o == letter && *o != b':') else {
            found.push((b'?', None));
            continue;
        };
        if optstring.get(at + 1) != Some(&b':') {
            found.push((*letter, None));
            continue;
        }
        let rest = &letters[i + 1..];
        let value = if rest.is_empty() { words.next().unwrap_or_default() } else { rest };
        found.push((*letter, Some(value)));
        return;
    }
}

fn flatten<'a>(found: &[(u8, Option<&'a [u8]>)], arena: &'a Bump) -> &'a [Value<'a>] {
    let mut out = ArenaVec::new_in(arena);
    for (letter, value) in found {
        out.push(Value::Str(&*arena.alloc_slice_copy(&[*letter])));
        out.extend(value.iter().map(|v| Value::Str(v)));
    }
    out.into_bump_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: Option<Value<'_>>) -> String {
        format!("{value:?}")
    }

    fn text_of(value: Option<Value<'_>>) -> Option<String> {
        match value? {
            Value::Str(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            other => Some(shown(Some(other))),
        }
    }

    #[test]
    fn transforms_text() {
        let arena = Bump::new();
        let one = |function, text: &'static [u8]| text_of(apply(function, &[Value::Str(text)], None, &arena));
        assert_eq!(one(Function::Tolower, b"AbC\0"), Some("abc".into()));
        assert_eq!(one(Function::Toupper, b"AbC"), Some("ABC".into()));
        assert_eq!(one(Function::Basename, b"/usr/bin/cat"), Some("cat".into()));
        assert_eq!(one(Function::Basename, b"/usr/"), Some(String::new()));
        assert_eq!(one(Function::B64, b"aGVsbG8="), Some("hello".into()));
        assert_eq!(one(Function::B64, b"aGVsbG8"), Some("hello".into()));
        assert_eq!(one(Function::B64, b"a"), None);
        assert_eq!(one(Function::B64, b"a*b="), None);
        assert_eq!(apply(Function::Len, &[Value::Str(b"abc")], None, &arena), Some(Value::Uint(3)));
        let pair = [Value::Str(b"a"), Value::Str(b"b")];
        assert_eq!(text_of(apply(Function::Concat, &pair, None, &arena)), Some("ab".into()));
        let joined = apply(Function::Join, &[Value::Str(b", "), Value::List(&pair)], None, &arena);
        assert_eq!(text_of(joined), Some("a, b".into()));
    }

    #[test]
    fn reads_options() {
        let arena = Bump::new();
        let words = |line: &'static str| line.split(' ').map(|w| Value::Str(w.as_bytes())).collect::<Vec<_>>();
        let run = |line, selector: Option<&[u8]>| {
            let argv = words(line);
            let argv = arena.alloc_slice_copy(&argv);
            apply(Function::Getopt, &[Value::List(argv), Value::Str(b"ab:c:")], selector, &arena)
        };
        let Some(Value::List(items)) = run("-ab v --long -cx -z stop -a", None) else { panic!("a list") };
        let items: Vec<_> = items.iter().filter_map(|v| text_of(Some(*v))).collect();
        assert_eq!(items, ["a", "b", "v", "c", "x", "?"]);
        assert_eq!(text_of(run("-b 1 -b 2", Some(b"b"))), Some("2".into()));
        assert_eq!(text_of(run("-a", Some(b"a"))), Some("a".into()));
        assert_eq!(text_of(run("-c", Some(b"c"))), Some(String::new()));
        assert_eq!(run("-a", Some(b"b")), None);
    }
}
