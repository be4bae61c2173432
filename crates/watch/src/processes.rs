//! What was there before the first event, and what events alone cannot tell: the iterators of the sensor or the files of
//! /proc come in, a snapshot and answers about single processes go out. Answers are looked up between two events, so they
//! read files of the kernel only.

use crate::containers;
use crate::log::Log;
use engine::ProcSource;
use engine::state::containers::ContainerInfo;
use event::snapshot::{Fd, Group, Proc, Snapshot, User};
use host::procs::{self, Procs};
use host::root::Root;
use host::{accounts, interfaces};
use sensor::{Existing, Sensor};
use std::collections::HashMap;
use std::path::Path;

/// Everything known before the first event; `boot_ns` is the wall clock of boot.
pub fn snapshot(sensor: Option<&mut Sensor>, boot_ns: u64, log: &Log) -> Snapshot {
    Snapshot {
        machine: procs::machine(Path::new(PROC), Path::new(SYS), boot_ns),
        procs: existing(sensor, boot_ns, log),
        users: accounts::users(Path::new("/")),
        groups: accounts::groups(Path::new("/")),
        interfaces: interfaces::interfaces(Path::new(SYS)),
    }
}

/// Existing processes: from the iterators, else from /proc.
fn existing(sensor: Option<&mut Sensor>, boot_ns: u64, log: &Log) -> Vec<Proc> {
    let mut procs = Procs::new(PROC, boot_ns);
    match sensor.filter(|sensor| sensor.options().iterators).map(Sensor::existing) {
        Some(Ok(existing)) => from_iterators(existing, &mut procs),
        Some(Err(cause)) => {
            log.info(&format!("existing processes are read from /proc, the kernel has no iterators for us: {cause}"));
            procs.scan()
        }
        None => procs.scan(),
    }
}

/// Iterators do not say what sockets are connected to; the tables below /proc do, read once per network namespace.
fn from_iterators(existing: Existing, procs: &mut Procs) -> Vec<Proc> {
    let mut open: HashMap<i64, Vec<Fd>> = HashMap::new();
    for file in existing.files {
        let pid = file.pid;
        open.entry(pid).or_default().extend(procs.describe(file));
    }
    let with_files = |mut task: Proc| {
        if task.tid == task.pid {
            task.fds = open.remove(&task.pid).unwrap_or_default();
        }
        task
    };
    existing.tasks.into_iter().map(with_files).collect()
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

#[cfg(test)]
#[allow(clippy::print_stdout)] // a skipped test says why
mod tests {
    use super::*;
    use event::Sc;
    use event::snapshot::FdType;
    use std::collections::BTreeSet;
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::process::{Child, Command, Stdio};

    /// A process tree of this test: a shell with arguments, an environment, a folder, a session and open files of every
    /// common kind, and below it one more process; it ends when its input does.
    fn tree(dir: &Path) -> Child {
        // Asleep in its first read: before that its memory still grows.
        let script = "exec 9<&0; cat <&9 & until grep -q cat /proc/$!/comm && grep -q State:.S /proc/$!/status; do :; done; \
                      exec 7>log 8</etc/passwd; echo up; read line; wait";
        let mut command = Command::new("setsid");
        command
            .args(["sh", "-c", script, "first argument", "second"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TREE", "yes")
            .current_dir(dir);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().expect("setsid of util-linux")
    }

    /// What both ways must agree on: everything but counters that grow meanwhile, what /proc cuts off of
    /// times (it counts ticks since boot), and controllers that events do not carry.
    fn comparable(mut p: Proc, boot_ns: u64) -> Proc {
        let ticks = |ts: u64| ts.saturating_sub(boot_ns) / NS_PER_TICK;
        let known = [&b"cpuset="[..], b"cpu=", b"cpuacct=", b"memory="];
        let mut groups: Vec<&[u8]> =
            p.cgroups.split(|b| *b == 0).filter(|c| known.iter().any(|k| c.starts_with(k))).collect();
        groups.sort_unstable();
        p.cgroups = groups.join(&0);
        p.fds.sort_by_key(|fd| fd.fd);
        p.clone_ts = ticks(p.clone_ts);
        p.pidns_init_start_ts = ticks(p.pidns_init_start_ts);
        Proc { pfmajor: 0, pfminor: 0, vmrss_kb: 0, ..p }
    }

    /// USER_HZ is 100 everywhere hawkbell runs.
    const NS_PER_TICK: u64 = 10_000_000;

    fn release() -> (u32, u32) {
        let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut numbers = text.split(['.', '-']).map_while(|n| n.parse().ok());
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    #[test]
    fn iterators_tell_what_proc_tells() {
        let options = sensor::Options { selected: BTreeSet::from([Sc::UNLINK]), ..sensor::Options::default() };
        let mut sensor = match Sensor::open(options) {
            Ok((sensor, _)) => sensor,
            Err(e) => return println!("skipped: {e}"),
        };
        if let Err(e) = sensor.existing() {
            let is_old = release() < (5, 18);
            assert!(is_old, "iterators are refused: {e}");
            return println!("skipped: {e}");
        }
        let dir = std::env::temp_dir();
        let mut child = tree(&dir);
        let (near, _far) = UnixStream::pair().expect("a pair of sockets");
        let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut up = [0; 3];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut up).expect("the tree stands");
        let pid = i64::from(child.id());
        let is_ours = |p: &Proc| p.pid == pid || p.ptid == pid;
        let boot_ns = sensor.boot_ns();
        let ours = |procs: Vec<Proc>| -> Vec<Proc> {
            procs.into_iter().filter(is_ours).map(|p| comparable(p, boot_ns)).collect()
        };
        let mut procs = Procs::new(PROC, boot_ns);
        let all = from_iterators(sensor.existing().expect("iterators"), &mut procs);
        let me = all.iter().find(|p| p.tid == i64::from(std::process::id())).cloned().expect("this process");
        let (told, read) = (ours(all), ours(Procs::new(PROC, boot_ns).scan()));
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told, read);
        let shell = told.first().expect("the shell");
        assert!(shell.env.windows(9).any(|w| w == b"TREE=yes\0") && shell.args.ends_with(b"first argument\0second\0"));
        let kinds: BTreeSet<u8> = me.fds.iter().map(|fd| fd.ty as u8).collect();
        assert!([FdType::Ipv4ServSock, FdType::UnixSock].iter().all(|ty| kinds.contains(&(*ty as u8))), "{:?}", me.fds);
        drop((near, server));
        drop(child.stdin.take());
        child.wait().expect("the tree ends");
        let _ = std::fs::remove_file(dir.join("log"));
    }
}
