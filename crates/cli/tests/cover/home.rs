//! What the tests of `cover` share: a scratch directory with instrumented objects, our binary, and this test program as a loader.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

/// A scratch directory with instrumented objects.
pub struct Home(pub tempfile::TempDir);

impl Home {
    /// `None` when this machine cannot: said on standard output.
    pub fn build() -> Option<Home> {
        let made = load::Map::create(load::MapType::Array, "try", 4, 8, 1);
        let clang = Command::new("sh").args(["-c", "command -v clang || ls /usr/bin/clang-*"]).output();
        if made.is_err() || !clang.is_ok_and(|o| o.status.success()) {
            println!("skipped: needs a clang and the right to load programs");
            return None;
        }
        let home = Home(tempfile::tempdir().expect("a scratch directory"));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        home.compile("guard", &root.join("examples/covered/guard.bpf.c"), "-DX");
        let golden = root.join("crates/coverage/tests/data/golden");
        home.compile("golden", &golden.join("golden.bpf.c"), &format!("-I{}", golden.join("bpf").display()));
        Some(home)
    }

    pub fn compile(&self, name: &str, source: &Path, flag: &str) {
        let done = self
            .cover(&["cc", "-O2", "-g", "-target", "bpf", flag, "-c"])
            .args([source, Path::new("-o"), Path::new(&self.object(name))])
            .output()
            .expect("cover cc");
        assert!(done.status.success(), "{}", said(&done));
    }

    pub fn object(&self, name: &str) -> String {
        self.0.path().join(format!("{name}.bpf.o")).display().to_string()
    }

    pub fn tag(&self, name: &str) -> String {
        let sidecar = fs::read(self.0.path().join(format!("{name}.bpf.covobj"))).expect("a sidecar");
        coverage::layout::BuildId::of(&sidecar).tag()
    }

    pub fn cover(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hawkbell"));
        command.arg("cover").args(args).current_dir(self.0.path()).env("XDG_STATE_HOME", self.0.path());
        command
    }

    /// Runs our loader under `cover run`.
    pub fn run(&self, options: &[&str], orders: &str) -> ExitStatus {
        let mut command = self.cover(&["run"]);
        command.args(options).arg("--").arg(this()).args(ARGS.split(' '));
        command.env(ORDERS, orders).stdout(Stdio::null()).status().expect("cover run")
    }

    /// A loader whose program has run so often and stays loaded.
    pub fn loaded(&self, times: u32) -> Child {
        let up = self.0.path().join("loaded");
        let orders = format!("{},guard,{times} touch={}", self.object("guard"), up.display());
        let mut loader = Command::new(this());
        let loader = loader.args(ARGS.split(' ')).env(ORDERS, orders).stdout(Stdio::null()).spawn().expect("start");
        wait_for(&up);
        loader
    }

    /// Entries of the programs named like that, as the report has them.
    pub fn entries(&self) -> Vec<(String, u64)> {
        let out = self.cover(&["out", "-f", "lcov", "-o", "entries", "--known-only"]).output().expect("out");
        assert!(out.status.success(), "{}", said(&out));
        let text = fs::read_to_string(self.0.path().join("entries")).expect("a report");
        let entry = |line: &str| {
            line.strip_prefix("FNDA:")?.split_once(',').map(|(n, f)| (f.to_owned(), n.parse().unwrap_or(0)))
        };
        let mut found: Vec<_> =
            text.lines().filter_map(entry).filter(|(name, _)| ["guard", "hot"].contains(&name.as_str())).collect();
        found.sort();
        found
    }
}

pub fn this() -> PathBuf {
    env::current_exe().expect("this program")
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "{} appears", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn terminate(child: &Child) {
    let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(status.is_ok_and(|s| s.success()));
}

/// Ends this process as the kernel's memory killer would.
pub fn kill_self() {
    let _ = Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
    std::thread::sleep(Duration::from_secs(20));
}

pub const ORDERS: &str = "HAWKBELL_TEST_LOADER";
pub const ARGS: &str = "loader --exact --nocapture --test-threads=1";
