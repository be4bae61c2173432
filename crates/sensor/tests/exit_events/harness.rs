//! Watches the calling thread while a closure runs, and compares events with what they should carry.

use event::{Event, Kind, Sc};
use sensor::{Options, Sensor};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One parameter as it should be.
#[derive(Debug, Clone)]
pub enum P {
    /// Eight bytes: errno, fd, pid, 64-bit numbers.
    I(i64),
    U32(u32),
    U16(u16),
    U8(u8),
    /// Text with its NUL.
    S(String),
    B(Vec<u8>),
    Empty,
    /// Anything of this many bytes.
    Len(usize),
    Any,
}

pub fn s(text: impl Into<String>) -> P {
    P::S(text.into())
}

pub fn fails(errno: i32) -> P {
    P::I(-i64::from(errno))
}

/// An event that outlives the ring it came from.
#[derive(Debug, Clone)]
pub struct Seen {
    pub kind: Kind,
    pub tid: i64,
    pub params: Vec<Vec<u8>>,
}

impl Seen {
    fn of(e: &Event<'_>) -> Seen {
        let params = (0..e.nparams()).map(|i| e.param(i).unwrap_or_default().to_vec()).collect();
        Seen { kind: e.kind, tid: e.tid, params }
    }

    pub fn i64(&self, param: usize) -> i64 {
        self.params[param].as_slice().try_into().map_or(i64::MIN, i64::from_le_bytes)
    }

    pub fn text(&self, param: usize) -> String {
        String::from_utf8_lossy(self.params[param].strip_suffix(b"\0").unwrap_or(&self.params[param])).into_owned()
    }

    pub fn check(&self, expected: &[P]) {
        let info = self.kind.info().expect("a known kind");
        assert_eq!(self.params.len(), info.params.len(), "{}: number of parameters", info.symbol);
        assert_eq!(expected.len(), info.params.len(), "{}: number of expectations", info.symbol);
        for ((param, bytes), wanted) in info.params.iter().zip(&self.params).zip(expected) {
            assert!(
                wanted.is(bytes),
                "{} {}: {bytes:?} ({:?}) is not {wanted:?}",
                info.symbol,
                param.name,
                String::from_utf8_lossy(bytes)
            );
        }
    }
}

impl P {
    fn is(&self, bytes: &[u8]) -> bool {
        match self {
            P::I(v) => bytes == v.to_le_bytes(),
            P::U32(v) => bytes == v.to_le_bytes(),
            P::U16(v) => bytes == v.to_le_bytes(),
            P::U8(v) => bytes == [*v],
            P::S(v) => bytes.split_last() == Some((&0, v.as_bytes())),
            P::B(v) => bytes == v,
            P::Empty => bytes.is_empty(),
            P::Len(n) => bytes.len() == *n,
            P::Any => true,
        }
    }
}

/// A sensor and what it was told to watch.
pub struct Watch(Sensor, #[allow(dead_code)] MutexGuard<'static, ()>);

/// One test at a time: they share descriptors, children and the process's attributes.
static ONE: Mutex<()> = Mutex::new(());

impl Watch {
    /// `None`, with the reason printed, where sensors cannot be opened.
    pub fn on(calls: &[Sc]) -> Option<Watch> {
        Watch::with(Options { selected: calls.iter().copied().collect(), ..Options::default() })
    }

    pub fn with(mut options: Options) -> Option<Watch> {
        let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        options.selected.insert(Sc::CLOSE);
        match Sensor::open(options) {
            Ok((sensor, blind)) => {
                assert!(blind.is_empty(), "{blind:?}");
                Some(Watch(sensor, guard))
            }
            Err(e) => {
                assert!(std::env::var_os("HAWKBELL_REQUIRE_ROOT").is_none(), "{e}");
                println!("skipped: {e}");
                None
            }
        }
    }

    pub fn sensor(&mut self) -> &mut Sensor {
        &mut self.0
    }

    /// Events of this thread while `act` runs; copies at entry and closed descriptors are left out.
    pub fn during(&mut self, act: impl FnOnce()) -> Vec<Seen> {
        let tid = call(libc::SYS_gettid, &[]);
        let enters = |e: &Seen| e.kind.info().is_some_and(|i| i.is_enter);
        self.everything(act)
            .into_iter()
            .filter(|e| e.tid == tid && !enters(e) && e.kind != Kind::SYSCALL_CLOSE_X)
            .collect()
    }

    /// Events of all threads while `act` runs.
    pub fn everything(&mut self, act: impl FnOnce()) -> Vec<Seen> {
        call(libc::SYS_close, &[MARK]);
        act();
        call(libc::SYS_close, &[MARK + 1]);
        let (mut seen, mut marked) = (Vec::new(), false);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !marked && Instant::now() < deadline {
            let taken = self.0.poll(|e| match e.i64(1).filter(|_| e.kind == Kind::SYSCALL_CLOSE_X) {
                Some(MARK) => seen.clear(),
                Some(fd) if fd == MARK + 1 => marked = true,
                _ => seen.push(Seen::of(&e)),
            });
            self.0.rest(taken);
        }
        assert!(marked, "the events never arrived: {:?}", self.0.stats());
        seen
    }

    /// Makes one raw call and checks its event; `expected` may use the result.
    pub fn raw(&mut self, nr: i64, kind: Kind, args: &[i64], expected: impl FnOnce(i64) -> Vec<P>) -> i64 {
        let mut result = 0;
        let tid = call(libc::SYS_gettid, &[]);
        let events = self.everything(|| result = call(nr, args));
        let event = events.iter().find(|e| e.kind == kind && e.tid == tid);
        let Some(event) = event else { panic!("no {:?} among {events:?}", kind.info().map(|i| i.symbol)) };
        event.check(&expected(result));
        result
    }
}

/// A raw system call: the result, or minus errno.
pub fn call(nr: i64, args: &[i64]) -> i64 {
    let a = |i: usize| args.get(i).copied().unwrap_or(0);
    // SAFETY: the tests pass numbers that the kernel refuses, or pointers to memory that outlives the call.
    let result = unsafe { libc::syscall(nr, a(0), a(1), a(2), a(3), a(4), a(5)) };
    if result == -1 { -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { result }
}

pub fn cstring(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

pub fn at<T: ?Sized>(value: &T) -> i64 {
    std::ptr::from_ref(value).cast::<u8>() as i64
}

pub fn at_mut<T: ?Sized>(value: &mut T) -> i64 {
    std::ptr::from_mut(value).cast::<u8>() as i64
}

/// A folder of its own, removed at the end.
pub struct Folder(pub std::path::PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("hawkbell-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    pub fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn selection(calls: &[Sc]) -> BTreeSet<Sc> {
    calls.iter().copied().collect()
}

/// Descriptors that are never open; closing them marks the beginning and the end of what is watched.
const MARK: i64 = 0x0bad_f00d;
pub const CWD: i64 = -100;
pub const BAD_FD: i64 = 999_999;
/// An address where nothing is mapped.
pub const NOWHERE: i64 = 16;
