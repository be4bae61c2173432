//! Events made by hand for tests: an engine with a few processes, and one short call per event. Nothing here asserts.

#![allow(dead_code)] // every test binary uses its part

use engine::{Context, Engine, Options, State, Thread};
use event::snapshot::{Machine, Proc, Snapshot};
use event::{Event, Kind, wire};

/// Time of the first event, ns since the epoch.
pub const START: u64 = 1_700_000_000_000_000_000;
/// Between two events.
pub const TICK: u64 = 1_000_000;

/// An engine fed with events one by one.
pub struct Stage {
    pub engine: Engine,
    pub now: u64,
}

/// A parameter in its wire form.
pub enum P<'a> {
    I(i64),
    U64(u64),
    U32(u32),
    U16(u16),
    U8(u8),
    /// Text; the terminating NUL is added.
    T(&'a str),
    /// Raw bytes.
    B(&'a [u8]),
    /// Not available.
    None,
}

impl P<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            P::I(v) => v.to_le_bytes().to_vec(),
            P::U64(v) => v.to_le_bytes().to_vec(),
            P::U32(v) => v.to_le_bytes().to_vec(),
            P::U16(v) => v.to_le_bytes().to_vec(),
            P::U8(v) => vec![*v],
            P::T(text) => [text.as_bytes(), b"\0"].concat(),
            P::B(bytes) => bytes.to_vec(),
            P::None => Vec::new(),
        }
    }
}

/// One process for the snapshot, called `p<pid>`, working in `/root`.
pub fn process(tid: i64, pid: i64, ptid: i64) -> Proc {
    Proc {
        tid,
        pid,
        ptid,
        vtid: tid,
        vpid: pid,
        comm: format!("p{pid}").into_bytes(),
        exe: format!("/bin/p{pid}").into_bytes(),
        exepath: format!("/bin/p{pid}").into_bytes(),
        cwd: b"/root/".to_vec(),
        uid: 0,
        gid: 0,
        ..Proc::default()
    }
}

/// The same inside a pid namespace.
pub fn namespaced(tid: i64, pid: i64, ptid: i64, virtual_ids: (i64, i64)) -> Proc {
    Proc { vtid: virtual_ids.0, vpid: virtual_ids.1, ..process(tid, pid, ptid) }
}

impl Stage {
    pub fn new(procs: Vec<Proc>) -> Stage {
        Stage::with(Options::default(), procs)
    }

    pub fn with(options: Options, procs: Vec<Proc>) -> Stage {
        let mut engine = Engine::new(options);
        let machine = Machine { boot_ts: START - 1_000 * TICK, hostname: "host".into(), ..Machine::default() };
        engine.seed(Snapshot { machine, procs, ..Snapshot::default() });
        Stage { engine, now: START }
    }

    /// Feeds one event and looks at it in its context.
    pub fn see<R>(&mut self, tid: i64, kind: Kind, params: &[P<'_>], look: impl FnOnce(&Context<'_>) -> R) -> R {
        let bytes = self.encoded(tid, kind, params);
        let event = Event::decode(&bytes, 0).expect("an event as it is encoded");
        look(&self.engine.push(&event, "syscall"))
    }

    /// The next event as it lies in memory.
    pub fn encoded(&mut self, tid: i64, kind: Kind, params: &[P<'_>]) -> Vec<u8> {
        self.now += TICK;
        let mut bytes = Vec::new();
        let params: Vec<Vec<u8>> = params.iter().map(P::bytes).collect();
        let params: Vec<&[u8]> = params.iter().map(Vec::as_slice).collect();
        wire::encode(&mut bytes, self.now, tid, kind, &params);
        bytes
    }

    pub fn feed(&mut self, tid: i64, kind: Kind, params: &[P<'_>]) {
        self.see(tid, kind, params, |_| ());
    }

    pub fn state(&self) -> &State {
        self.engine.state()
    }

    pub fn thread(&self, tid: i64) -> &Thread {
        self.state().thread(tid).unwrap_or_else(|| panic!("thread {tid}"))
    }

    /// clone in the caller (`result` = child) or in the child (`result` 0).
    pub fn clone(&mut self, tid: i64, result: i64, ids: CloneIds) {
        self.feed(tid, Kind::SYSCALL_CLONE_20_X, &clone_params(result, tid, ids));
    }

    pub fn exit(&mut self, tid: i64, reaper: i64) {
        self.feed(tid, Kind::PROCEXIT_1_E, &[P::I(0), P::I(0), P::U8(0), P::U8(0), P::I(reaper)]);
    }

    /// Any event that changes nothing, to let what was postponed happen.
    pub fn tick(&mut self) {
        self.feed(-1, Kind::SCHEDSWITCH_6_E, &[]);
    }

    pub fn execve(&mut self, tid: i64, pid: i64, ptid: i64, path: &str) {
        let comm = path.rsplit('/').next().unwrap_or(path);
        let params = [
            P::I(0),
            P::T(path),
            P::B(b"-x\0two words\0"),
            P::I(tid),
            P::I(pid),
            P::I(ptid),
            P::None,
            P::U64(1024),
            P::U64(1),
            P::U64(2),
            P::U32(3),
            P::U32(4),
            P::U32(5),
            P::T(comm),
            P::B(b"cpu=/a\0mem_cgroup=/b\0"),
            P::B(b"A=1\0B=2\0"),
            P::U32(7),
            P::I(pid),
            P::U32(1000),
            P::U32(1),
            P::U64(8),
            P::U64(9),
            P::U64(10),
            P::U64(11),
            P::U64(12),
            P::U64(13),
            P::U32(33),
            P::T(path),
            P::I(pid),
            P::U32(44),
            P::T(path),
        ];
        self.feed(tid, Kind::SYSCALL_EXECVE_19_X, &params);
    }

    pub fn openat(&mut self, tid: i64, fd: i64, dirfd: i64, name: &str, flags: u32) {
        let params = [P::I(fd), P::I(dirfd), P::T(name), P::U32(flags), P::U32(0), P::U32(3), P::U64(99)];
        self.feed(tid, Kind::SYSCALL_OPENAT_2_X, &params);
    }

    /// Name of descriptor `fd` of thread `tid`.
    pub fn fd_name(&self, tid: i64, fd: i64) -> Option<String> {
        let entry = self.state().fd(self.thread(tid), fd)?;
        Some(String::from_utf8_lossy(&entry.name).into_owned())
    }
}

/// What a clone event says about ids; the child's view has its own, the caller's view the caller's.
#[derive(Clone, Copy)]
pub struct CloneIds {
    pub pid: i64,
    pub ptid: i64,
    pub vtid: i64,
    pub vpid: i64,
    pub flags: u32,
}

/// Ids outside of any pid namespace.
pub fn ids(tid: i64, pid: i64, ptid: i64, flags: u32) -> CloneIds {
    CloneIds { pid, ptid, vtid: tid, vpid: pid, flags }
}

fn clone_params(result: i64, tid: i64, ids: CloneIds) -> [P<'static>; 21] {
    [
        P::I(result),
        P::T("/bin/child"),
        P::B(b"-a\0"),
        P::I(tid),
        P::I(ids.pid),
        P::I(ids.ptid),
        P::T(""),
        P::I(1024),
        P::U64(0),
        P::U64(1),
        P::U32(2),
        P::U32(3),
        P::U32(4),
        P::T("child"),
        P::B(b"cpu=/\0"),
        P::U32(ids.flags),
        P::U32(5),
        P::U32(6),
        P::I(ids.vtid),
        P::I(ids.vpid),
        P::U64(700),
    ]
}

pub const CLONE_FILES: u32 = 1;
pub const CLONE_NEWPID: u32 = 1 << 6;
pub const CLONE_PARENT: u32 = 1 << 8;
pub const CLONE_THREAD: u32 = 1 << 13;
pub const CLONE_VFORK: u32 = 1 << 27;
pub const CHILD_IN_PIDNS: u32 = 1 << 29;
pub const AT_FDCWD: i64 = -100;
pub const O_CLOEXEC: u32 = 4096;
pub const O_DIRECTORY: u32 = 1024;

/// `family 2` address and tuple parameters.
pub fn v4(ip: [u8; 4], port: u16) -> Vec<u8> {
    [&[2][..], &ip, &port.to_le_bytes()].concat()
}

pub fn v4_tuple(source: ([u8; 4], u16), destination: ([u8; 4], u16)) -> Vec<u8> {
    let (sip, sport) = source;
    let (dip, dport) = destination;
    [&[2][..], &sip, &sport.to_le_bytes(), &dip, &dport.to_le_bytes()].concat()
}
