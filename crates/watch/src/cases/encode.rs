//! Synthetic events: `{event: openat, pid: 7, name: /etc/shadow, flags: O_RDONLY}` comes in, the bytes that a sensor would
//! have written go out. Parameters are named and typed by the event table; one that is not given is empty, as when the
//! kernel could not tell it.

use crate::config::Node;
use event::tables::{self, Domain, EventInfo, ParamInfo, ParamType};
use event::{EventFlags, wire};
use std::net::IpAddr;

/// Hands out times, a millisecond apart.
#[derive(Debug)]
pub struct Clock(u64);

impl Default for Clock {
    fn default() -> Self {
        Clock(1_700_000_000_000_000_000)
    }
}

/// Encodes one event.
pub fn event(node: &Node, clock: &mut Clock) -> Result<Vec<u8>, String> {
    let name = node.get("event").and_then(Node::text).ok_or("an event needs a type: `event: openat`")?;
    let info = current(name).ok_or_else(|| format!("no event is called `{name}` (see `hawkbell rules events`)"))?;
    let numbered = |key: &str| node.get(key).and_then(Node::text).and_then(number);
    clock.0 = numbered("ts").and_then(|ts| u64::try_from(ts).ok()).unwrap_or(clock.0 + 1_000_000);
    let tid = numbered("tid").or_else(|| numbered("pid")).ok_or("an event needs the pid it happens in")?;
    let is_param = |key: &str| info.params.iter().any(|param| param.name == key);
    if let Some((key, _)) = node.entries().iter().find(|(key, _)| !FRAME.contains(&key.as_str()) && !is_param(key)) {
        let names: Vec<&str> = info.params.iter().map(|param| param.name).collect();
        return Err(format!("event `{name}` has no parameter `{key}`: it has {}", names.join(", ")));
    }
    let params: Vec<Vec<u8>> = info.params.iter().map(|param| parameter(param, node)).collect::<Result<_, _>>()?;
    let slices: Vec<&[u8]> = params.iter().map(Vec::as_slice).collect();
    let mut bytes = Vec::new();
    wire::encode(&mut bytes, clock.0, tid, info.kind, &slices);
    Ok(bytes)
}

/// The current exit event (or event without halves) of this name.
fn current(name: &str) -> Option<&'static EventInfo> {
    let old = EventFlags(EventFlags::OLD_VERSION.0 | EventFlags::UNUSED.0);
    tables::events()
        .iter()
        .rev()
        .find(|info| info.name == name && !info.flags.has(old) && !info.is_enter)
        .or_else(|| tables::events().iter().rev().find(|info| info.name == name && !info.flags.has(old)))
}

fn parameter(param: &ParamInfo, node: &Node) -> Result<Vec<u8>, String> {
    // `pid` names the process of the event, not the parameter, where both exist.
    let value = if param.name == "pid" { None } else { node.get(param.name) };
    match value {
        Some(value) => encode(param, value).map_err(|reason| format!("parameter `{}`: {reason}", param.name)),
        // A call that says nothing about its result succeeded.
        None if param.name == "res" => Ok(0i64.to_le_bytes().to_vec()),
        None => Ok(Vec::new()),
    }
}

fn encode(param: &ParamInfo, value: &Node) -> Result<Vec<u8>, String> {
    use ParamType as T;
    let text = value.text().unwrap_or_default();
    let terminated = || [text.as_bytes(), &[0]].concat();
    match param.ty {
        T::Charbuf | T::Fspath | T::Fsrelpath => Ok(terminated()),
        T::Charbufarray | T::CharbufPairArray => Ok(strings(value)),
        T::Bytebuf => Ok(text.as_bytes().to_vec()),
        T::Sockaddr => address(text),
        T::Socktuple => tuple(text),
        T::Ipv4addr | T::Ipv6addr | T::Ipaddr => {
            text.parse().map(|ip| ip_bytes(&ip)).map_err(|_| format!("`{text}` is no address"))
        }
        T::Double => {
            text.parse::<f64>().map(|n| n.to_le_bytes().to_vec()).map_err(|_| format!("`{text}` is no number"))
        }
        T::Fdlist | T::Dyn | T::Ipnet => Err("cannot be written in a case; use a capture".into()),
        _ => integer(param, value).map(|n| sized(n, width(param.ty))),
    }
}

/// A number, or the names of flags joined by `|` (or as a list).
fn integer(param: &ParamInfo, value: &Node) -> Result<i64, String> {
    let words: Vec<&str> = match value.text() {
        Some(text) => text.split('|').map(str::trim).collect(),
        None => value.elements().iter().filter_map(Node::text).collect(),
    };
    words.iter().try_fold(0, |all, word| Ok(all | named(param, word)?))
}

fn named(param: &ParamInfo, word: &str) -> Result<i64, String> {
    if let Some(number) = number(word) {
        return Ok(number);
    }
    if param.ty == ParamType::Bool {
        return crate::config::read::bool_of(word).map(i64::from).ok_or_else(|| format!("`{word}` is no boolean"));
    }
    match param.domain {
        Some(Domain::Flags(table)) => {
            let flag = table.flags.iter().find(|flag| flag.name == word);
            flag.map(|flag| flag.value).ok_or_else(|| format!("`{word}` is no flag of table {}", table.name))
        }
        _ => Err(format!("`{word}` is no number")),
    }
}

fn width(ty: ParamType) -> usize {
    use ParamType as T;
    match ty {
        T::Int8 | T::Uint8 | T::Flags8 | T::Enumflags8 | T::Sigtype | T::L4proto | T::Sockfamily => 1,
        T::Int16 | T::Uint16 | T::Flags16 | T::Enumflags16 | T::Syscallid | T::Port => 2,
        T::Int64 | T::Uint64 | T::Errno | T::Fd | T::Pid | T::Reltime | T::Abstime => 8,
        _ => 4,
    }
}

fn sized(number: i64, width: usize) -> Vec<u8> {
    number.to_le_bytes().get(..width).unwrap_or_default().to_vec()
}

/// Decimal, `0x` hexadecimal or `0o` octal, with sign.
pub fn number(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let value = match (digits.strip_prefix("0x"), digits.strip_prefix("0o")) {
        (Some(hex), _) => i64::from_str_radix(hex, 16).ok()?,
        (_, Some(octal)) => i64::from_str_radix(octal, 8).ok()?,
        _ => digits.parse().ok()?,
    };
    Some(if negative { -value } else { value })
}

/// NUL-terminated strings one after the other.
pub fn strings(value: &Node) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in value.elements().iter().filter_map(Node::text) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// `1.2.3.4:80`, `[::1]:80` or a path.
fn address(text: &str) -> Result<Vec<u8>, String> {
    if text.starts_with('/') || text.starts_with('@') {
        return Ok([&[AF_UNIX], text.as_bytes(), &[0]].concat());
    }
    let socket: std::net::SocketAddr =
        text.parse().map_err(|_| format!("`{text}` is no address like 1.2.3.4:80 or /path"))?;
    Ok([&[family(&socket.ip())][..], &end(&socket)].concat())
}

/// `1.2.3.4:1234->5.6.7.8:80`.
fn tuple(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("`{text}` is no pair of addresses like 1.2.3.4:1234->5.6.7.8:80");
    let (from, to) = text.split_once("->").ok_or_else(wrong)?;
    let (from, to): (std::net::SocketAddr, std::net::SocketAddr) =
        (from.trim().parse().map_err(|_| wrong())?, to.trim().parse().map_err(|_| wrong())?);
    Ok([&[family(&to.ip())][..], &end(&from), &end(&to)].concat())
}

fn end(socket: &std::net::SocketAddr) -> Vec<u8> {
    [ip_bytes(&socket.ip()), socket.port().to_le_bytes().to_vec()].concat()
}

fn ip_bytes(ip: &IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// The families as events carry them.
fn family(ip: &IpAddr) -> u8 {
    if ip.is_ipv4() { 2 } else { 10 }
}

const AF_UNIX: u8 = 1;
/// Keys of an event that are no parameters.
const FRAME: &[&str] = &["event", "pid", "tid", "ts"];
