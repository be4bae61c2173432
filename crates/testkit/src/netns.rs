//! A network namespace of a test's own, with a pair of cable ends in it, and mounts that vanish with the test. Made with
//! `ip` of iproute2; a machine without it skips the test. Dropping the guard removes everything.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A named network namespace.
#[derive(Debug)]
pub struct Netns {
    pub name: String,
}

impl Netns {
    /// A new one, its loopback up; `None` (with a printed reason) when it cannot be made here.
    #[allow(clippy::print_stdout)] // the reason for a skip belongs in the test's output
    pub fn new() -> Option<Netns> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("hbt{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let netns = Netns { name };
        let made = Command::new("ip").args(["netns", "add", &netns.name]).stderr(Stdio::null()).status();
        if !made.is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("HAWKBELL_REQUIRE_ROOT").is_none(), "`ip netns add` is required here");
            println!("skipped: `ip netns add` does not work here");
            return None;
        }
        netns.ip("link set dev lo up");
        Some(netns)
    }

    /// One with a cable: both ends (`a`, `b`) in it and up.
    pub fn with_cable() -> Option<Netns> {
        let netns = Netns::new()?;
        netns.ip("link add name a type veth peer name b");
        netns.ip("link set dev a up");
        netns.ip("link set dev b up");
        Some(netns)
    }

    pub fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// Runs `ip -n NAME ARGUMENTS`, which must succeed.
    ///
    /// # Panics
    /// It does not succeed.
    pub fn ip(&self, arguments: &str) {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name]).args(arguments.split(' '));
        let done = command.output();
        assert!(done.as_ref().is_ok_and(|o| o.status.success()), "ip {arguments}: {done:?}");
    }

    /// A command that will run inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg(program);
        command
    }

    /// Runs a line of words inside and returns what it said.
    ///
    /// # Panics
    /// The program cannot be started.
    pub fn run(&self, line: &str) -> Output {
        let mut words = line.split(' ');
        let program = words.next().unwrap_or_default();
        match self.command(program).args(words).output() {
            Ok(output) => output,
            Err(error) => panic!("{line}: {error}"),
        }
    }

    /// Standard output of a line of words.
    ///
    /// # Panics
    /// As [`Netns::run`].
    pub fn text(&self, line: &str) -> String {
        String::from_utf8_lossy(&self.run(line).stdout).into_owned()
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// A BPF file system mounted for one test.
#[derive(Debug)]
pub struct Bpffs {
    pub path: PathBuf,
}

impl Bpffs {
    /// # Panics
    /// It cannot be mounted.
    pub fn mount() -> Bpffs {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hawkbell-bpffs-{}-{number}", std::process::id()));
        let made = std::fs::create_dir_all(&path);
        assert!(made.is_ok(), "{made:?}");
        let mounted = Command::new("mount").args(["-t", "bpf", "bpf"]).arg(&path).status();
        assert!(mounted.is_ok_and(|status| status.success()), "mount a BPF file system");
        Bpffs { path }
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.path).status();
        let _ = std::fs::remove_dir(&self.path);
    }
}
