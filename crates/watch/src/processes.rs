//! What was there before the first event, and what events alone cannot tell: the files of /proc come in, a snapshot and
//! answers about single processes go out. Answers are looked up between two events, so they read files of the kernel only.

use crate::containers;
use engine::ProcSource;
use engine::state::containers::ContainerInfo;
use event::snapshot::{Fd, Group, Proc, Snapshot, User};
use host::procs::{self, Procs};
use host::root::Root;
use host::{accounts, interfaces};
use std::path::Path;

/// Everything known before the first event; `boot_ns` is the wall clock of boot.
pub fn snapshot(boot_ns: u64) -> Snapshot {
    Snapshot {
        machine: procs::machine(Path::new(PROC), Path::new(SYS), boot_ns),
        procs: Procs::new(PROC, boot_ns).scan(),
        users: accounts::users(Path::new("/")),
        groups: accounts::groups(Path::new("/")),
        interfaces: interfaces::interfaces(Path::new(SYS)),
    }
}

/// Answers about single processes.
#[derive(Debug)]
pub struct Lookup {
    boot_ns: u64,
    containers: containers::Settings,
}

impl Lookup {
    pub fn new(boot_ns: u64, containers: containers::Settings) -> Self {
        Lookup { boot_ns, containers }
    }

    fn read(&self, tid: i64) -> Option<Proc> {
        // Sockets change, so what was read for one process is not kept for the next.
        Procs::new(PROC, self.boot_ns).thread(tid)
    }
}

impl ProcSource for Lookup {
    fn process(&mut self, tid: i64) -> Option<Proc> {
        self.read(tid)
    }

    fn is_alive(&mut self, tid: i64) -> bool {
        Path::new(PROC).join(tid.to_string()).exists()
    }

    fn fd(&mut self, pid: i64, fd: i64) -> Option<Fd> {
        self.read(pid)?.fds.into_iter().find(|open| open.fd == fd)
    }

    fn environment(&mut self, pid: i64) -> Option<Vec<u8>> {
        std::fs::read(Path::new(PROC).join(pid.to_string()).join("environ")).ok()
    }

    fn accounts(&mut self, pid: i64) -> Option<(Vec<User>, Vec<Group>)> {
        let root = Path::new(PROC).join(pid.to_string()).join("root");
        root.exists().then(|| (accounts::users(&root), accounts::groups(&root)))
    }

    fn container(&mut self, pid: i64, full_id: &[u8]) -> Option<ContainerInfo> {
        containers::describe(&Root::default(), pid, std::str::from_utf8(full_id).ok()?, &self.containers)
    }
}

const PROC: &str = "/proc";
const SYS: &str = "/sys";
