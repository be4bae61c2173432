//! Events of older versions become events of the current ones. In comes any version 2 event; out goes nothing (the event
//! holds no news), the event as it is, or a new one with the parameters of today, taken from the old exit event and from
//! the enter event of the same thread. `tables/conversions.csv` says which; chains of versions are followed to their end.
//! Memory is bounded.

use crate::enters::Enters;
use event::wire::{DecodeError, Event, encode};
use event::{EventFlags, EventInfo, Kind, ParamType};

/// Converts the events of one stream, in order.
pub struct Converter {
    enters: Enters,
    out: Vec<u8>,
    next: Vec<u8>,
}

/// What becomes of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Pass on the event as it is.
    Keep,
    /// Nothing to pass on.
    Drop,
    /// Pass on [`Converter::converted`].
    Converted,
}

/// Why an event cannot be converted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    Malformed(DecodeError),
    NoRule(&'static str),
}

/// What happens to a kind before any parameter is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Drop,
    Keep,
    /// An exit event, kept when it is of a current version and has this many parameters.
    Exit {
        nparams: usize,
    },
    /// Goes by the rules.
    Rules,
}

impl Fate {
    #[inline]
    pub fn of(info: &EventInfo) -> Fate {
        let has = |flag| info.flags.has(flag);
        match (has(EventFlags::UNUSED), has(EventFlags::CONVERTER_MANAGED), has(EventFlags::OLD_VERSION)) {
            (true, _, _) | (_, false, true) => Fate::Drop,
            (_, false, false) => Fate::Keep,
            (_, true, false) if !info.is_enter => Fate::Exit { nparams: info.params.len() },
            _ => Fate::Rules,
        }
    }
}

struct Rule {
    nparams: usize,
    action: Action,
}

enum Action {
    Pass,
    Store,
    StoreAndPass,
    /// The parameters stay and these follow.
    Add(&'static [Source]),
    /// The parameters are exactly these.
    Change(Kind, &'static [Source]),
}

/// Where a parameter comes from.
#[derive(Clone, Copy)]
enum Source {
    Old(usize),
    Enter(usize, Missing),
    New(Missing),
    /// Only for the container events of old: their four parameters as one JSON text.
    ContainerJson,
}

/// What stands for a value that nobody knows.
#[derive(Clone, Copy)]
enum Missing {
    Empty,
    /// Zero in the width of the type; "unset" for user and group ids.
    Default,
}

include!(concat!(env!("OUT_DIR"), "/conversions.rs"));

impl Default for Converter {
    fn default() -> Self {
        let buffer = || Vec::with_capacity(1024);
        Converter { enters: Enters::default(), out: buffer(), next: buffer() }
    }
}

impl Converter {
    /// The last converted event.
    pub fn converted(&self) -> &[u8] {
        &self.out
    }

    /// Forgets all waiting enter events, as a new section begins.
    pub fn reset(&mut self) {
        self.enters.clear();
    }

    /// The thread `tid` is over, and so is the call it was in.
    pub fn end_thread(&mut self, tid: i64) {
        self.enters.remove(tid);
    }

    /// Enter events given up because too many waited.
    pub fn forgotten(&self) -> u64 {
        self.enters.forgotten
    }

    /// Decides over `raw`, a version 2 event.
    ///
    /// # Errors
    /// Bytes that are no event, a parameter count for which there is no rule, rules that never end.
    pub fn convert(&mut self, raw: &[u8]) -> Result<Verdict, Failure> {
        let mut event = Event::decode(raw, 0).map_err(Failure::Malformed)?;
        let tid = event.tid;
        let mut verdict = Verdict::Keep;
        for _ in 0..MAX_ROUNDS {
            let Some(rule) = rule(&event)? else {
                if verdict == Verdict::Converted || event.kind == Kind::PROCEXIT_1_E {
                    self.enters.remove(tid); // used up, or never to be used
                }
                return Ok(verdict);
            };
            let (kind, sources, keep) = match rule {
                Decision::Drop => return Ok(Verdict::Drop),
                Decision::Apply(Action::Pass) => return Ok(verdict),
                Decision::Apply(Action::Store) => {
                    self.enters.store(&event);
                    return Ok(Verdict::Drop);
                }
                Decision::Apply(Action::StoreAndPass) => {
                    self.enters.store(&event);
                    return Ok(verdict);
                }
                Decision::Apply(Action::Add(sources)) => (event.kind, *sources, event.nparams()),
                Decision::Apply(Action::Change(kind, sources)) => (*kind, *sources, 0),
            };
            let enter = self.enters.of(tid).filter(|e| e.kind.0.checked_add(1) == Some(event.kind.0));
            build(&mut self.next, &event, enter.as_ref(), Shape { kind, sources, keep });
            std::mem::swap(&mut self.next, &mut self.out);
            event = Event::decode(&self.out, 0).map_err(Failure::Malformed)?;
            verdict = Verdict::Converted;
        }
        Err(Failure::NoRule("its conversion never ends"))
    }
}

enum Decision {
    Drop,
    Apply(&'static Action),
}

/// The next step for `event`; `None` when it is current and complete.
fn rule(event: &Event<'_>) -> Result<Option<Decision>, Failure> {
    let info = event.kind.info().ok_or(Failure::Malformed(DecodeError::UnknownKind(event.kind.0)))?;
    match Fate::of(info) {
        Fate::Drop => return Ok(Some(Decision::Drop)),
        Fate::Keep => return Ok(None),
        Fate::Exit { nparams } if event.nparams() == nparams => return Ok(None),
        Fate::Exit { nparams } if event.nparams() > nparams => {
            return Err(Failure::NoRule("it has more parameters than this version knows"));
        }
        Fate::Exit { .. } | Fate::Rules => {}
    }
    let rules = RULES.get(usize::from(event.kind.0)).copied().unwrap_or_default();
    match rules.iter().find(|r| r.nparams == event.nparams()) {
        Some(rule) => Ok(Some(Decision::Apply(&rule.action))),
        None => Err(Failure::NoRule("no conversion from this number of parameters is known")),
    }
}

#[derive(Clone, Copy)]
struct Shape {
    kind: Kind,
    sources: &'static [Source],
    /// How many parameters of the old event come first.
    keep: usize,
}

fn build(out: &mut Vec<u8>, old: &Event<'_>, enter: Option<&Event<'_>>, shape: Shape) {
    let json = container_json(old, &shape);
    let types = shape.kind.info().map(|i| i.params).unwrap_or_default();
    let default = |index: usize| types.get(index).map_or(&[][..], |p| default_of(p.ty));
    let mut params: [&[u8]; event::wire::MAX_PARAMS] = [&[]; event::wire::MAX_PARAMS];
    let mut n = 0;
    let kept = (0..shape.keep).map(Source::Old);
    for (slot, source) in params.iter_mut().zip(kept.chain(shape.sources.iter().copied())) {
        *slot = match source {
            Source::Old(index) => old.param(index).unwrap_or_default(),
            Source::Enter(index, missing) => match (enter.and_then(|e| e.param(index)), missing) {
                (Some(value), _) => value,
                (None, Missing::Default) => default(n),
                (None, Missing::Empty) => &[],
            },
            Source::New(Missing::Default) => default(n),
            Source::New(Missing::Empty) => &[],
            Source::ContainerJson => &json,
        };
        n += 1;
    }
    out.clear();
    encode(out, old.ts, old.tid, shape.kind, params.get(..n).unwrap_or_default());
}

/// Empty types (text, buffers, addresses) have no default.
fn default_of(ty: ParamType) -> &'static [u8] {
    use ParamType as T;
    match ty {
        T::Uid | T::Gid => &[0xff; 4],
        T::Int8 | T::Uint8 | T::Flags8 | T::Enumflags8 | T::Sigtype | T::L4proto | T::Sockfamily => &[0; 1],
        T::Int16 | T::Uint16 | T::Flags16 | T::Enumflags16 | T::Syscallid | T::Port => &[0; 2],
        T::Int32 | T::Uint32 | T::Bool | T::Flags32 | T::Enumflags32 | T::Mode | T::Sigset => &[0; 4],
        T::Fd32 | T::Pid32 | T::Ipv4addr => &[0; 4],
        T::Int64 | T::Uint64 | T::Errno | T::Fd | T::Pid | T::Reltime | T::Abstime | T::Double => &[0; 8],
        T::Ipv6addr => &[0; 16],
        T::Charbuf | T::Fspath | T::Fsrelpath | T::Charbufarray | T::CharbufPairArray | T::Bytebuf => &[],
        T::Sockaddr | T::Socktuple | T::Fdlist | T::Dyn | T::Ipaddr | T::Ipnet => &[],
    }
}

/// The container event of old (id, type, name, image) in the shape of its successors.
fn container_json(old: &Event<'_>, shape: &Shape) -> Vec<u8> {
    if !shape.sources.iter().any(|s| matches!(s, Source::ContainerJson)) {
        return Vec::new();
    }
    let mut json = b"{\"container\":{\"id\":".to_vec();
    json_text(&mut json, old.text(0));
    json.extend_from_slice(format!(",\"type\":{},\"name\":", old.u32(1).unwrap_or(0)).as_bytes());
    json_text(&mut json, old.text(2));
    json.extend_from_slice(b",\"image\":");
    json_text(&mut json, old.text(3));
    json.extend_from_slice(b"}}\0");
    json
}

fn json_text(json: &mut Vec<u8>, text: Option<&[u8]>) {
    json.push(b'"');
    for c in String::from_utf8_lossy(text.unwrap_or_default()).chars() {
        match c {
            '"' | '\\' => json.extend_from_slice(&[b'\\', c as u8]),
            c if (c as u32) < 0x20 => json.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
            c => json.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    json.push(b'"');
}

/// More steps than any chain of versions has.
const MAX_ROUNDS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: Kind, tid: i64, params: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, 9, tid, kind, params);
        bytes
    }

    /// Every rule leads, alone, to a complete current event or to none.
    #[test]
    fn every_rule_ends_in_a_current_event() {
        for (kind, rules) in RULES.iter().enumerate() {
            let kind = Kind(u16::try_from(kind).unwrap());
            for rule in *rules {
                let mut converter = Converter::default();
                let raw = event(kind, 1, &vec![&b""[..]; rule.nparams]);
                let verdict = converter.convert(&raw).unwrap();
                let bytes = match verdict {
                    Verdict::Drop => continue,
                    Verdict::Keep => &raw[..],
                    Verdict::Converted => converter.converted(),
                };
                let event = Event::decode(bytes, 0).unwrap();
                let info = event.kind.info().unwrap();
                let is_kept_enter = matches!(rule.action, Action::Pass | Action::StoreAndPass);
                let is_old = info.flags.has(EventFlags::OLD_VERSION);
                assert!(!is_old || info.name.starts_with("execve") || is_kept_enter, "{}", info.symbol);
                assert!(event.nparams() >= info.params.len() || kind == Kind::PROCEXIT_E, "{}", info.symbol);
            }
        }
    }

    #[test]
    fn values_of_the_enter_event_reach_the_exit_event() {
        let mut converter = Converter::default();
        let (fd, size) = (5i64.to_le_bytes(), 80u32.to_le_bytes());
        let enter = event(Kind::SYSCALL_READ_E, 7, &[&fd, &size]);
        let exit = event(Kind::SYSCALL_READ_X, 7, &[&2i64.to_le_bytes(), b"ab"]);
        assert_eq!(converter.convert(&enter), Ok(Verdict::Drop));
        assert_eq!(converter.convert(&exit), Ok(Verdict::Converted));
        let read = Event::decode(converter.converted(), 0).unwrap();
        assert_eq!(
            (read.i64(0), read.param(1), read.i64(2), read.u64(3)),
            (Some(2), Some(&b"ab"[..]), Some(5), Some(80))
        );
        assert_eq!(converter.convert(&exit), Ok(Verdict::Converted));
        let read = Event::decode(converter.converted(), 0).unwrap();
        assert_eq!(read.i64(2), Some(0), "the enter event was used up");
    }

    #[test]
    fn an_enter_event_of_another_thread_or_call_does_not_count() {
        let mut converter = Converter::default();
        let fd = 5i64.to_le_bytes();
        converter.convert(&event(Kind::SYSCALL_CLOSE_E, 8, &[&fd])).unwrap();
        converter.convert(&event(Kind::SYSCALL_FCHDIR_E, 7, &[&fd])).unwrap();
        converter.convert(&event(Kind::SYSCALL_CLOSE_X, 7, &[&0i64.to_le_bytes()])).unwrap();
        assert_eq!(Event::decode(converter.converted(), 0).unwrap().i64(1), Some(0));
    }

    #[test]
    fn versions_chain() {
        let mut converter = Converter::default();
        let old: Vec<Vec<u8>> = (0..8u64).map(|n| n.to_le_bytes().to_vec()).collect();
        let old: Vec<&[u8]> = old.iter().map(Vec::as_slice).collect();
        assert_eq!(converter.convert(&event(Kind::SYSCALL_EXECVE_8_X, 1, &old)), Ok(Verdict::Converted));
        let exec = Event::decode(converter.converted(), 0).unwrap();
        assert_eq!((exec.kind, exec.nparams(), exec.u64(7)), (Kind::SYSCALL_EXECVE_19_X, 31, Some(7)));
    }

    #[test]
    fn a_container_event_becomes_json() {
        let mut converter = Converter::default();
        let old = event(Kind::CONTAINER_E, 1, &[b"ab\"c\0", &0u32.to_le_bytes(), b"web\0", b"nginx\0"]);
        assert_eq!(converter.convert(&old), Ok(Verdict::Converted));
        let json = Event::decode(converter.converted(), 0).unwrap();
        assert_eq!(json.kind, Kind::CONTAINER_JSON_2_E);
        let expected = br#"{"container":{"id":"ab\"c","type":0,"name":"web","image":"nginx"}}"#;
        assert_eq!(json.text(0), Some(&expected[..]));
    }

    #[test]
    fn too_many_parameters_are_refused() {
        let raw = event(Kind::SYSCALL_CLOSE_X, 1, &[b"", b"", b""]);
        assert!(matches!(Converter::default().convert(&raw), Err(Failure::NoRule(_))));
    }
}
