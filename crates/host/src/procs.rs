//! The process table as /proc shows it: every thread, or one by its id, with the open files of processes.
//! Comes in: the folder that is /proc. Goes out: [`Proc`] values; what a file does not say keeps its "unknown" value.
//! A process that ends while it is read is left out; nothing read here is trusted to have a certain shape.

use crate::fds;
use crate::sockets::Namespaces;
use event::snapshot::{Fd, Machine, OpenFile, Proc};
use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Reads the threads of one /proc. Sockets of a network namespace are read once and kept, so one value serves one scan.
#[derive(Debug)]
pub struct Procs {
    proc: PathBuf,
    boot_ns: u64,
    namespaces: Namespaces,
    /// Start of the first process by pid namespace, ns since the epoch.
    init_starts: HashMap<u64, u64>,
}

impl Procs {
    /// `proc` is the mounted proc file system; `boot_ns` the wall clock of boot, for times relative to it.
    pub fn new(proc: impl Into<PathBuf>, boot_ns: u64) -> Procs {
        Procs { proc: proc.into(), boot_ns, namespaces: Namespaces::default(), init_starts: HashMap::new() }
    }

    /// Every thread; leaders come before their other threads and carry the open files.
    pub fn scan(&mut self) -> Vec<Proc> {
        let mut found = Vec::new();
        for pid in numbers(&self.proc) {
            let Some(leader) = self.process(pid) else { continue };
            let others: Vec<i64> =
                numbers(&self.proc.join(pid.to_string()).join("task")).filter(|t| *t != pid).collect();
            let threads: Vec<Proc> = others.into_iter().filter_map(|tid| self.other_thread(&leader, tid)).collect();
            found.push(leader);
            found.extend(threads);
        }
        found
    }

    /// One thread by its id in the namespace of this /proc; `None` when it is gone.
    pub fn thread(&mut self, tid: i64) -> Option<Proc> {
        let status = Status::read(&self.proc.join(tid.to_string()))?;
        let pid = status.number("Tgid")?;
        let leader = self.process(pid)?;
        if pid == tid { Some(leader) } else { self.other_thread(&leader, tid) }
    }

    /// What an open file that was found by other means is; the tables below /proc say what sockets are connected to.
    pub fn describe(&mut self, open: OpenFile) -> Option<Fd> {
        let dir = self.proc.join(open.pid.to_string());
        let flags = open.open_flags;
        fds::describe(open, &dir, &mut self.namespaces, || flags)
    }

    fn process(&mut self, pid: i64) -> Option<Proc> {
        let dir = self.proc.join(pid.to_string());
        let mut p = self.own_facts(&dir, pid)?;
        p.set_command_line(&slurp(&dir.join("cmdline")).unwrap_or_default());
        p.set_env(slurp(&dir.join("environ")).unwrap_or_default());
        p.exepath = link(&dir.join("exe"));
        p.set_cwd(link(&dir.join("cwd")));
        p.root = link(&dir.join("root"));
        p.loginuid = number(&text(&dir.join("loginuid"))).unwrap_or(u32::MAX);
        p.cgroups = cgroups(&text(&dir.join("cgroup")));
        p.fdlimit = limit(&text(&dir.join("limits")));
        about_exe(&mut p, &dir.join("exe"));
        p.fds = fds::read(&dir, &mut self.namespaces);
        Some(p)
    }

    /// A thread that is not the leader: shares everything of its process that has one value per process.
    fn other_thread(&mut self, leader: &Proc, tid: i64) -> Option<Proc> {
        let dir = self.proc.join(leader.pid.to_string()).join("task").join(tid.to_string());
        let own = self.own_facts(&dir, tid)?;
        let shared = leader.clone();
        Some(Proc {
            fds: Vec::new(),
            flags: CLONE_THREAD | CLONE_FILES,
            exe: shared.exe,
            args: shared.args,
            env: shared.env,
            exepath: shared.exepath,
            cwd: shared.cwd,
            root: shared.root,
            fdlimit: shared.fdlimit,
            loginuid: shared.loginuid,
            cgroups: shared.cgroups,
            exe_writable: shared.exe_writable,
            exe_ino: shared.exe_ino,
            exe_ino_ctime: shared.exe_ino_ctime,
            exe_ino_mtime: shared.exe_ino_mtime,
            exe_from_memfd: shared.exe_from_memfd,
            ..own
        })
    }

    /// What `status` and `stat` say.
    fn own_facts(&mut self, dir: &Path, tid: i64) -> Option<Proc> {
        let status = Status::read(dir)?;
        let stat = Stat::read(dir)?;
        let mut p = Proc { tid, pid: status.number("Tgid")?, ptid: status.number("PPid")?, ..Proc::default() };
        p.comm = stat.comm.clone();
        (p.vtid, p.vpid) = (status.last("NSpid").unwrap_or(p.tid), status.last("NStgid").unwrap_or(p.pid));
        (p.pgid, p.sid) = (stat.number(2), stat.number(3));
        p.vpgid = status.last("NSpgid").unwrap_or(p.pgid);
        p.uid = status.second("Uid");
        p.gid = status.second("Gid");
        p.tty = u32::try_from(stat.number(4)).unwrap_or(0);
        p.pfminor = stat.number(7).unsigned_abs();
        p.pfmajor = stat.number(9).unsigned_abs();
        p.vmsize_kb = status.kb("VmSize");
        p.vmrss_kb = status.kb("VmRSS");
        p.vmswap_kb = status.kb("VmSwap");
        p.cap_inheritable = status.hex("CapInh");
        p.cap_permitted = status.hex("CapPrm");
        p.cap_effective = status.hex("CapEff");
        p.clone_ts = self.boot_ns + stat.number(19).unsigned_abs() * NS_PER_TICK;
        p.pidns_init_start_ts = self.namespace_start(dir, &p);
        Some(p)
    }

    /// The first process of a pid namespace is met before the others, because its number is the smallest of them.
    fn namespace_start(&mut self, dir: &Path, p: &Proc) -> u64 {
        if p.vpid == p.pid && p.vtid == p.tid {
            return self.boot_ns;
        }
        let Ok(namespace) = fs::metadata(dir.join("ns/pid")) else { return 0 };
        if p.vpid == 1 {
            self.init_starts.insert(namespace.ino(), p.clone_ts);
        }
        self.init_starts.get(&namespace.ino()).copied().unwrap_or(0)
    }
}

/// Facts about the machine, from `proc` and `sys` folders.
pub fn machine(proc: &Path, sys: &Path, boot_ts: u64) -> Machine {
    let text = |path: &str| fs::read_to_string(proc.join(path)).unwrap_or_default();
    let memory = Status(text("meminfo")).kb_wide("MemTotal");
    let online = fs::read_to_string(sys.join("devices/system/cpu/online")).unwrap_or_default();
    Machine {
        num_cpus: count_cpus(&online),
        memory_bytes: memory * 1024,
        max_pid: number(&text("sys/kernel/pid_max")).unwrap_or(0),
        hostname: text("sys/kernel/hostname").trim().to_owned(),
        boot_ts,
    }
}

fn count_cpus(list: &str) -> u32 {
    let count = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(number::<u32>(last)?.checked_sub(number(first)?)? + 1)
    };
    list.split(',').filter_map(count).sum()
}

/// `Name:\tvalue` lines.
struct Status(String);

impl Status {
    fn read(dir: &Path) -> Option<Status> {
        Some(Status(String::from_utf8_lossy(&slurp(&dir.join("status")).ok()?).into_owned()))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    fn number(&self, name: &str) -> Option<i64> {
        number(self.value(name)?)
    }

    fn last(&self, name: &str) -> Option<i64> {
        number(self.value(name)?.split_whitespace().last()?)
    }

    /// Real, effective, saved, file system: the effective one.
    fn second(&self, name: &str) -> u32 {
        self.value(name).and_then(|v| number(v.split_whitespace().nth(1)?)).unwrap_or(u32::MAX)
    }

    fn kb_wide(&self, name: &str) -> u64 {
        self.value(name).and_then(|v| number(v.split_whitespace().next()?)).unwrap_or(0)
    }

    fn kb(&self, name: &str) -> u32 {
        u32::try_from(self.kb_wide(name)).unwrap_or(u32::MAX)
    }

    fn hex(&self, name: &str) -> u64 {
        self.value(name).and_then(|v| u64::from_str_radix(v, 16).ok()).unwrap_or(0)
    }
}

/// /proc/PID/stat: `pid (comm) state ppid pgrp session tty ...`; comm may hold blanks and parentheses.
struct Stat {
    comm: Vec<u8>,
    /// The fields behind comm; 0 is the state.
    rest: Vec<String>,
}

impl Stat {
    fn read(dir: &Path) -> Option<Stat> {
        Stat::parse(&slurp(&dir.join("stat")).ok()?)
    }

    fn parse(line: &[u8]) -> Option<Stat> {
        let open = line.iter().position(|b| *b == b'(')?;
        let close = line.iter().rposition(|b| *b == b')')?;
        let comm = line.get(open + 1..close)?.to_vec();
        let rest = String::from_utf8_lossy(line.get(close + 1..)?).split_whitespace().map(str::to_owned).collect();
        Some(Stat { comm, rest })
    }

    fn number(&self, index: usize) -> i64 {
        self.rest.get(index).and_then(|f| number(f)).unwrap_or(0)
    }
}

/// `subsys=path` with a NUL each. Controllers that only the unified hierarchy has get its path, as live events do.
fn cgroups(text: &str) -> Vec<u8> {
    let lines = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        rest.split_once(':')
    });
    let (mut named, mut unified) = (Vec::new(), None);
    for (controllers, path) in lines {
        match controllers {
            "" => unified = Some(path),
            _ => named.extend(controllers.split(',').filter(|c| !c.starts_with("name=")).map(|c| (c, path))),
        }
    }
    let missing = CONTROLLERS.iter().filter(|c| !named.iter().any(|(n, _)| n == *c)).copied().collect::<Vec<_>>();
    named.extend(missing.into_iter().filter_map(|c| Some((c, unified?))));
    named.iter().flat_map(|(c, path)| format!("{c}={path}\0").into_bytes()).collect()
}

fn about_exe(p: &mut Proc, exe: &Path) {
    p.exe_from_memfd = p.exepath.starts_with(b"/memfd:");
    let Ok(file) = fs::metadata(exe) else { return };
    p.exe_ino = file.ino();
    p.exe_ino_ctime = nanos(file.ctime(), file.ctime_nsec());
    p.exe_ino_mtime = nanos(file.mtime(), file.mtime_nsec());
    let overrides = p.cap_effective & (1 << CAP_DAC_OVERRIDE | 1 << CAP_FOWNER) != 0;
    p.exe_writable =
        p.uid == file.uid() || file.mode() & 0o002 != 0 || file.mode() & 0o020 != 0 && p.gid == file.gid() || overrides;
}

fn nanos(seconds: i64, nanos: i64) -> u64 {
    u64::try_from(seconds.saturating_mul(1_000_000_000).saturating_add(nanos)).unwrap_or(0)
}

/// Soft limit of open files; -1 = unlimited.
fn limit(text: &str) -> i64 {
    let line = text.lines().find_map(|l| l.strip_prefix("Max open files"));
    line.and_then(|l| number(l.split_whitespace().next()?)).unwrap_or(-1)
}

pub(crate) fn link(path: &Path) -> Vec<u8> {
    fs::read_link(path).map(|target| target.into_os_string().into_vec()).unwrap_or_default()
}

/// The whole of a small file. The files of /proc have no length to plan with, and asking them in small pieces costs
/// more than the answer.
pub(crate) fn slurp(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let (mut bytes, mut used) = (vec![0; CHUNK_BYTES], 0);
    loop {
        let Some(room) = bytes.get_mut(used..).filter(|r| !r.is_empty()) else {
            bytes.resize(bytes.len() * 4, 0);
            continue;
        };
        match file.read(room) {
            Ok(0) => break,
            Ok(n) => used += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(used);
    Ok(bytes)
}

/// The same as text; empty when it cannot be read.
pub(crate) fn text(path: &Path) -> String {
    slurp(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

/// Names in a folder that are numbers, ascending.
pub(crate) fn numbers(dir: &Path) -> impl Iterator<Item = i64> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<i64> = entries.filter_map(|e| number(e.file_name().to_str()?)).collect();
    found.sort_unstable();
    found.into_iter()
}

/// `clone_flags` of the flag tables.
const CLONE_FILES: u32 = 1;
const CLONE_THREAD: u32 = 8192;
/// uapi/linux/capability.h
const CAP_DAC_OVERRIDE: u32 = 1;
const CAP_FOWNER: u32 = 3;
/// /proc counts in USER_HZ, which is 100 on every architecture that Linux supports today.
const NS_PER_TICK: u64 = 10_000_000;
/// First read of a file; most files of /proc are smaller.
const CHUNK_BYTES: usize = 4096;
/// Those that live events carry.
const CONTROLLERS: [&str; 5] = ["cpuset", "cpu", "cpuacct", "io", "memory"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_with_its_facts() {
        let mut procs = Procs::new("/proc", 1_000_000_000_000_000_000);
        let me = procs.thread(i64::from(std::process::id())).expect("this process");
        assert_eq!((me.pid, me.tid), (i64::from(std::process::id()), i64::from(std::process::id())));
        let exe = std::env::current_exe().expect("an executable");
        assert_eq!(me.exepath, exe.into_os_string().into_vec());
        let folder = std::env::current_dir().expect("a folder").into_os_string().into_vec();
        assert_eq!(me.cwd.strip_suffix(b"/"), Some(folder.as_slice()));
        assert!(me.exe_ino != 0 && me.vmsize_kb > 0 && me.clone_ts > 1_000_000_000_000_000_000);
        assert!(me.fds.iter().any(|fd| fd.fd == 0 || fd.fd == 1));
    }

    #[test]
    fn threads_follow_their_leader() {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("other".into()).spawn(move || wait.recv());
        let pid = i64::from(std::process::id());
        let found = Procs::new("/proc", 0).scan();
        drop(done);
        let _ = thread.expect("a thread").join();
        let mine: Vec<&Proc> = found.iter().filter(|p| p.pid == pid).collect();
        assert_eq!(mine.first().map(|p| p.tid), Some(pid));
        let other = mine.iter().find(|p| p.comm == b"other").expect("the thread");
        assert_eq!((other.flags, other.fds.len()), (CLONE_THREAD | CLONE_FILES, 0));
        assert_eq!(other.exe, mine[0].exe);
    }

    #[test]
    fn command_names_may_hold_anything() {
        let stat = Stat::parse(b"12 (a) b (c) S 1 12 12 0 -1").expect("a stat line");
        assert_eq!((stat.comm.as_slice(), stat.number(1), stat.number(99)), (&b"a) b (c"[..], 1, 0));
        assert!(Stat::parse(b"12 nothing").is_none());
    }

    #[test]
    fn unified_paths_stand_in_for_missing_controllers() {
        let text = "4:memory:/m\n3:cpu,cpuacct:/c\n1:name=systemd:/s\n0::/u\n";
        let expected = b"memory=/m\0cpu=/c\0cpuacct=/c\0cpuset=/u\0io=/u\0";
        assert_eq!(cgroups(text), expected);
        assert_eq!(cgroups("garbage"), b"");
    }

    #[test]
    fn machines_are_counted() {
        let machine = machine(Path::new("/proc"), Path::new("/sys"), 7);
        assert!(machine.num_cpus > 0 && machine.memory_bytes > 1 << 20 && machine.max_pid > 100);
        assert_eq!(count_cpus("0-3,8\n"), 5);
    }
}
