//! What the tests of the command line share: the built program, a scratch capture with a known number of alerts, and
//! waiting for something to become true. Nothing here asserts on behalf of a test.
#![allow(dead_code)] // every test file uses another part
#![allow(clippy::print_stderr)] // a skipped test says why

use capture::{Compression, Writer};
use event::snapshot::{Machine, Proc, Snapshot};
use event::{Event, Kind, wire};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The program under test, with nothing of the environment that would change what it prints.
pub fn hawkbell() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hawkbell"));
    command.env("TZ", "UTC").env("FALCO_HOSTNAME", "test-host");
    for name in [
        "NOTIFY_SOCKET",
        "NO_COLOR",
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        command.env_remove(name);
    }
    command
}

/// The program under another name, through a symbolic link in `dir`.
pub fn called(name: &str, dir: &Path) -> Command {
    let link = dir.join(name);
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hawkbell"), &link).unwrap();
    }
    let mut command = Command::new(link);
    command.env("TZ", "UTC").env("FALCO_HOSTNAME", "test-host");
    command
}

/// Standard output, standard error, status.
pub fn run(command: &mut Command) -> (String, String, Option<i32>) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned(), status.code())
}

/// A capture in which one process opens /etc/shadow `opens` times.
pub fn capture_with(dir: &Path, opens: usize) -> PathBuf {
    let path = dir.join("opens.scap");
    let cat = Proc {
        tid: 7,
        pid: 7,
        ptid: 1,
        vtid: 7,
        vpid: 7,
        comm: b"cat".to_vec(),
        exe: b"cat".to_vec(),
        exepath: b"/bin/cat".to_vec(),
        args: b"/etc/shadow\0".to_vec(),
        cwd: b"/".to_vec(),
        ..Proc::default()
    };
    let machine = Machine { num_cpus: 1, hostname: "recorded".into(), ..Machine::default() };
    let snapshot = Snapshot { machine, procs: vec![cat], ..Snapshot::default() };
    let mut writer = Writer::new(File::create(&path).unwrap(), Compression::Plain, &snapshot).unwrap();
    for at in 0..opens as u64 {
        let mut bytes = Vec::new();
        let (fd, flags, none) = (3i64.to_le_bytes(), 1u32.to_le_bytes(), [].as_slice());
        let params = [&fd[..], &(-100i64).to_le_bytes(), b"/etc/shadow\0", &flags, &0u32.to_le_bytes(), none, none];
        wire::encode(&mut bytes, 1_700_000_000_000_000_000 + at * 1_000_000, 7, Kind::SYSCALL_OPENAT_2_X, &params);
        writer.event(&Event::decode(&bytes, 0).unwrap(), false).unwrap();
    }
    writer.finish().unwrap();
    path
}

/// A rules file with one rule that every open in [`capture_with`] matches.
pub fn rules_in(dir: &Path) -> PathBuf {
    let path = dir.join("rules.yaml");
    let text = "- rule: shadow\n  desc: d\n  condition: evt.type = openat and fd.name = /etc/shadow\n  \
                output: opened %fd.name by %proc.name\n  priority: WARNING\n  tags: [secrets]\n";
    std::fs::write(&path, text).unwrap();
    path
}

/// `replay` of `opens` opens with the rules of [`rules_in`] and `options`.
pub fn replay(dir: &Path, opens: usize, options: &[&str]) -> Command {
    let mut command = hawkbell();
    command.arg("replay").arg(capture_with(dir, opens)).arg("-r").arg(rules_in(dir));
    for option in options {
        command.arg("-o").arg(option);
    }
    command
}

/// Waits up to ten seconds for `ready`.
pub fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !ready() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The lines of a log that say `text`.
pub fn lines_with<'l>(log: &'l str, text: &str) -> Vec<&'l str> {
    log.lines().filter(|line| line.contains(text)).collect()
}

/// Whether live tests can run; says so when not.
pub fn may_watch() -> bool {
    let is_root = std::fs::read_to_string("/proc/self/status").is_ok_and(|s| s.contains("\nUid:\t0\t"));
    if !is_root || !Path::new("/sys/kernel/btf/vmlinux").exists() {
        assert!(std::env::var_os("HAWKBELL_REQUIRE_ROOT").is_none(), "live tests are required but cannot run here");
        eprintln!("skipped: watching this machine needs root and a kernel with BTF");
        return false;
    }
    true
}

/// A file of the corpus; `None` (with a printed reason) where it is not there.
pub fn corpus(path: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus")).join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}
