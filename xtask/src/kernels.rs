//! `cargo xtask kernels [NAME...]`: boots other kernels under software emulation and asks hawkbell in them. Comes in: names of
//! Debian kernels; goes out: one line per expectation and status 1 when any fails. Kernels are fetched with apt into the cache
//! below `target/`, nothing is installed; no virtualisation and no root file system image is needed.

mod covered;

use crate::cpio::Archive;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One boot of one kernel with what hawkbell must say there.
struct Scenario {
    kernel: &'static str,
    /// Words added to the kernel command line.
    boot: &'static str,
    asks: &'static [Ask],
}

/// Counters of an fentry and an LSM program, held, explained and found above zero.
const COVERED: [Ask; 2] = [
    ("cover run -o /tmp/profile -- /cover/attach /cover/trampolines.bpf.o", 0, ""),
    ("cover report --object /cover --fail-under functions=100 /tmp/profile", 0, "100.0% (2/2)"),
];

/// Arguments of hawkbell, expected status, text that must appear.
type Ask = (&'static str, i32, &'static str);

/// What stock distribution kernels can do that a hardened one may refuse, and boots that take it away.
const SCENARIOS: &[Scenario] = &[
    Scenario {
        kernel: "6.1",
        boot: "lsm=lockdown,capability,yama,apparmor,bpf",
        asks: &[
            (
                "check -r btf,kprobe,fentry,tracepoint,bpf-lsm,sleepable-bpf,trace-fs,bpf-fs",
                0,
                "OK: all requirements satisfied",
            ),
            // The cloud kernel of this release is built without it.
            ("check -r kprobe-multi", 1, "CONFIG_FPROBE is off"),
            ("check -r program:tracing/tp_btf,program:lsm,program:ext,program:struct_ops,map:user_ringbuf", 0, "OK"),
            ("check -r map:arena", 1, "came with Linux 6.9"),
            ("check -r attach:tcx", 1, "came with Linux 6.6"),
            ("check -r kernel>=6.12", 1, "this kernel is 6.1"),
            ("check -r helper:lsm:bpf_get_current_uid_gid,helper:tracing:bpf_get_current_pid_tgid", 0, "OK"),
            ("check -r ability:isa-v4", 1, "came with Linux 6.6"),
            COVERED[0],
            COVERED[1],
        ],
    },
    Scenario {
        kernel: "6.1",
        boot: "lsm=lockdown,capability,yama,apparmor",
        asks: &[(
            "check -r bpf-lsm",
            1,
            "CONFIG_BPF_LSM=y but 'bpf' not in active LSM list; add lsm=...,bpf to kernel boot params",
        )],
    },
    Scenario {
        kernel: "6.1",
        boot: "lockdown=confidentiality",
        asks: &[
            ("check -r helper:kprobe:bpf_probe_read_kernel", 1, "refused by kernel lockdown (confidentiality)"),
            ("check -r helper:kprobe:bpf_ktime_get_ns", 0, "OK"),
            ("probe", 0, "lockdown: confidentiality"),
        ],
    },
    Scenario {
        kernel: "6.12",
        boot: "lsm=lockdown,capability,yama,apparmor,bpf",
        asks: &[
            (
                "check -r btf,kprobe,kprobe-multi,fentry,tracepoint,bpf-lsm,sleepable-bpf",
                0,
                "OK: all requirements satisfied",
            ),
            ("check -r attach:tcx,attach:uprobe_multi,ability:isa-v4,ability:token,map:arena", 0, "OK"),
            ("check -r kfunc:bpf_rcu_read_lock,lsm:file_open,iter:task,struct_ops:tcp_congestion_ops", 0, "OK"),
            ("check -r ability:load-acquire", 1, "came with Linux 6.15"),
            ("probe --full", 0, "Helpers by program type"),
            COVERED[0],
            COVERED[1],
        ],
    },
    Scenario {
        kernel: "5.10",
        boot: "",
        asks: &[
            ("check -r btf,kprobe,fentry,tracepoint", 0, "OK: all requirements satisfied"),
            ("check -r kprobe-multi", 1, "5.18"),
            ("check -r map:bloom_filter", 1, "came with Linux 5.16"),
            ("check -r bpf-lsm", 1, "'bpf'"),
        ],
    },
    Scenario {
        kernel: "5.10",
        boot: "lsm=lockdown,capability,yama,apparmor,bpf",
        asks: &[
            // Before 5.14 seccomp notices cannot be answered with a descriptor.
            ("cover run -o /tmp/held -- /cover/attach /cover/trampolines.bpf.o", 0, "followed by ptrace instead"),
            ("cover report --object /cover --fail-under functions=100 /tmp/held", 0, "100.0% (2/2)"),
        ],
    },
];

/// Debian suite of each kernel.
const SUITES: &[(&str, &str)] =
    &[("5.10", "bullseye-security"), ("6.1", "bookworm-security"), ("6.12", "trixie"), ("7", "trixie-backports")];

pub fn run(names: &[String]) -> Result<()> {
    let wanted: Vec<&Scenario> =
        SCENARIOS.iter().filter(|s| names.is_empty() || names.iter().any(|n| n == s.kernel)).collect();
    ensure!(
        !wanted.is_empty(),
        "no scenario for {names:?}; there are {:?}",
        SUITES.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    );
    needs("qemu-system-x86_64", "qemu-system-x86")?;
    let hawkbell = build()?;
    let cache = cache()?;
    let busybox = busybox(&cache)?;
    let mut failed = 0;
    for scenario in wanted {
        let kernel = fetch(&cache, scenario.kernel)?;
        failed += boot(scenario, &kernel, &busybox, &hawkbell)?;
    }
    ensure!(failed == 0, "{failed} expectations failed");
    Ok(())
}

fn build() -> Result<PathBuf> {
    let status = Command::new("cargo").args(["build", "--quiet", "-p", "hawkbell", "--bin", "hawkbell"]).status()?;
    ensure!(status.success(), "hawkbell does not build");
    let status = Command::new("cargo").args(["build", "--quiet", "-p", "coverage", "--example", "attach"]).status()?;
    ensure!(status.success(), "the loader of the covered programs does not build");
    Ok(target_dir().join("debug/hawkbell"))
}

fn target_dir() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

fn cache() -> Result<PathBuf> {
    let cache = std::env::var_os("HAWKBELL_KERNELS").map_or_else(|| target_dir().join("kernels"), PathBuf::from);
    fs::create_dir_all(&cache)?;
    Ok(fs::canonicalize(cache)?)
}

fn needs(program: &str, package: &str) -> Result<()> {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    ensure!(found, "`{program}` is missing: apt-get install {package}");
    Ok(())
}

/// A kernel that was fetched.
struct Kernel {
    image: PathBuf,
    config: PathBuf,
    release: String,
}

fn fetch(cache: &Path, name: &str) -> Result<Kernel> {
    let dir = cache.join(name);
    if !dir.join("release").is_file() {
        let suite =
            SUITES.iter().find(|(known, _)| *known == name).map(|(_, suite)| *suite).context("unknown kernel")?;
        download(cache, suite, &dir).with_context(|| format!("fetch kernel {name} from {suite}"))?;
    }
    let release = fs::read_to_string(dir.join("release"))?.trim().to_owned();
    Ok(Kernel { image: dir.join("vmlinuz"), config: dir.join("config"), release })
}

fn download(cache: &Path, suite: &str, dir: &Path) -> Result<()> {
    let apt = Apt::new(cache, suite)?;
    apt.run("apt-get", &["update"])?;
    let depends = apt.run("apt-cache", &["depends", "linux-image-cloud-amd64"])?;
    let package = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|p| p.starts_with("linux-image-"));
    let package = package.context("linux-image-cloud-amd64 names no kernel")?.to_owned();
    let release = package.trim_start_matches("linux-image-").to_owned();
    // From 7 on the parts of a kernel are packages of their own.
    let split = format!("linux-binary-{release}");
    let is_split = apt.run("apt-cache", &["show", &split]).is_ok();
    let packages = if is_split { vec![split, format!("linux-base-{release}")] } else { vec![package] };
    let unpacked = cache.join("unpacked");
    let _ = fs::remove_dir_all(&unpacked);
    fs::create_dir_all(&unpacked)?;
    for package in &packages {
        unpack(&apt, package, &unpacked)?;
    }
    fs::create_dir_all(dir)?;
    fs::copy(find(&unpacked, "vmlinuz-").or_else(|_| find(&unpacked, "vmlinuz"))?, dir.join("vmlinuz"))?;
    fs::copy(find(&unpacked, "config-").or_else(|_| find(&unpacked, "config"))?, dir.join("config"))?;
    fs::write(dir.join("release"), release)?;
    fs::remove_dir_all(&unpacked)?;
    Ok(())
}

fn unpack(apt: &Apt, package: &str, into: &Path) -> Result<()> {
    apt.run_in(into, "apt-get", &["download", package])?;
    let archive = fs::read_dir(into)?.flatten().map(|e| e.path()).find(|p| p.extension().is_some_and(|e| e == "deb"));
    let archive = archive.with_context(|| format!("package `{package}` was not downloaded"))?;
    command(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(into))?;
    fs::remove_file(archive)?;
    Ok(())
}

/// The first file below `dir` whose name begins so.
fn find(dir: &Path, prefix: &str) -> Result<PathBuf> {
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(at)?.flatten() {
            let path = entry.path();
            let named = entry.file_name().to_string_lossy().starts_with(prefix);
            if named && path.is_file() {
                return Ok(path);
            }
            if path.is_dir() && !path.is_symlink() {
                todo.push(path);
            }
        }
    }
    bail!("no file `{prefix}*` in {}", dir.display())
}

fn busybox(cache: &Path) -> Result<PathBuf> {
    let installed = Path::new("/bin/busybox");
    let is_static = |path: &Path| path.is_file() && libraries(path).is_ok_and(|all| all.is_empty());
    if is_static(installed) {
        return Ok(installed.to_owned());
    }
    let own = cache.join("busybox");
    if !own.is_file() {
        let dir = cache.join("unpacked-busybox");
        fs::create_dir_all(&dir)?;
        command(
            Command::new("apt-get")
                .args(["-q", "-o", "APT::Sandbox::User=root", "download", "busybox-static"])
                .current_dir(&dir),
        )?;
        let archive = find(&dir, "busybox-static")?;
        command(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&dir))?;
        fs::copy(dir.join("bin/busybox"), &own)?;
        fs::remove_dir_all(dir)?;
    }
    Ok(own)
}

/// apt with a state of its own, so that the machine's package lists stay as they are.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn new(cache: &Path, suite: &str) -> Result<Self> {
        let dir = cache.join("apt").join(suite);
        fs::create_dir_all(dir.join("lists/partial"))?;
        fs::create_dir_all(dir.join("cache/archives/partial"))?;
        let mirror = mirror()?;
        let mirror = if suite.ends_with("-security") { format!("{mirror}-security") } else { mirror };
        let source = format!("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {suite} main\n");
        fs::write(dir.join("sources.list"), source)?;
        let at = |name: &str| dir.join(name).display().to_string();
        let options = [
            format!("Dir::Etc::sourcelist={}", at("sources.list")),
            "Dir::Etc::sourceparts=-".into(),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::Cache={}", at("cache")),
            "APT::Sandbox::User=root".into(),
            "Acquire::Languages=none".into(),
        ];
        Ok(Apt { options: options.into_iter().flat_map(|o| ["-o".to_owned(), o]).chain(["-q".to_owned()]).collect() })
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        self.run_in(Path::new("."), program, args)
    }

    fn run_in(&self, dir: &Path, program: &str, args: &[&str]) -> Result<String> {
        command(Command::new(program).args(&self.options).args(args).current_dir(dir))
    }
}

/// The mirror that this machine's own apt uses.
fn mirror() -> Result<String> {
    let targets = command(Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]))?;
    let uri = targets.lines().map(|line| line.trim_end_matches('/')).find(|line| line.ends_with("/debian"));
    Ok(uri.context("apt of this machine names no Debian mirror")?.to_owned())
}

fn command(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Boots once and counts the expectations that failed.
fn boot(scenario: &Scenario, kernel: &Kernel, busybox: &Path, hawkbell: &Path) -> Result<usize> {
    let scratch = std::env::temp_dir().join(format!("hawkbell-kernel-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let initrd = scratch.join("initrd");
    fs::write(&initrd, archive(scenario, kernel, busybox, hawkbell, &scratch)?)?;
    let said = emulate(scenario, kernel, &initrd);
    fs::remove_dir_all(&scratch)?;
    Ok(judge(scenario, kernel, &said?))
}

fn emulate(scenario: &Scenario, kernel: &Kernel, initrd: &Path) -> Result<String> {
    // `-cx16`: QEMU 7.2 miscomputes flags around cmpxchg16b, which Linux 6.12 does not survive.
    let append = format!("console=ttyS0 panic=-1 quiet loglevel=1 mitigations=off nokaslr {}", scenario.boot);
    let output = Command::new("timeout")
        .args(["-k", "5", "300", "qemu-system-x86_64", "-machine", "q35,usb=off", "-accel", "tcg,thread=multi"])
        .args([
            "-cpu",
            "max,-cx16",
            "-smp",
            "2",
            "-m",
            "1024",
            "-display",
            "none",
            "-nodefaults",
            "-no-reboot",
            "-nic",
            "none",
        ])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(initrd)
        .args(["-append", &append, "-serial", "null", "-serial", "stdio"])
        .stdin(Stdio::null())
        .output()
        .context("start qemu-system-x86_64")?;
    Ok(String::from_utf8_lossy(&output.stdout).replace('\r', ""))
}

fn judge(scenario: &Scenario, kernel: &Kernel, said: &str) -> usize {
    let mut failed = 0;
    for (at, (ask, status, text)) in scenario.asks.iter().enumerate() {
        let part = said.split(&format!("@ask {at}\n")).nth(1).and_then(|rest| rest.split_once("@status "));
        let (output, got) =
            part.map_or(("no answer from the guest", ""), |(output, rest)| (output, rest.lines().next().unwrap_or("")));
        let ok = got == status.to_string() && output.contains(text);
        failed += usize::from(!ok);
        let mark = if ok { "ok  " } else { "FAIL" };
        report(&format!("{mark} {} [{}] hawkbell {ask}", kernel.release, scenario.boot));
        if !ok {
            report(&format!("     wanted status {status} with `{text}`, got status {got}:\n{output}"));
        }
    }
    failed
}

#[allow(clippy::print_stdout, reason = "the answers are what this chore is for")]
fn report(line: &str) {
    println!("{line}");
}

/// The guest's file system: busybox, hawkbell with its libraries, and an init that asks one question after the other.
fn archive(scenario: &Scenario, kernel: &Kernel, busybox: &Path, hawkbell: &Path, scratch: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for dir in ["bin", "sbin", "proc", "sys", "dev", "tmp", "boot"] {
        archive.directory(dir);
    }
    archive.file("bin/busybox", 0o755, &fs::read(busybox)?);
    archive.file("bin/hawkbell", 0o755, &fs::read(hawkbell)?);
    for library in libraries(hawkbell)? {
        archive.file(library.trim_start_matches('/'), 0o755, &fs::read(&library)?);
    }
    archive.file(&format!("boot/config-{}", kernel.release), 0o644, &fs::read(&kernel.config)?);
    if scenario.asks.iter().any(|(ask, ..)| ask.contains("/cover/")) {
        covered::add(&mut archive, hawkbell, scratch)?;
    }
    archive.file("init", 0o755, init(scenario).as_bytes());
    Ok(archive.finish())
}

fn init(scenario: &Scenario) -> String {
    let mut script = String::from(INIT);
    for (at, (ask, _, _)) in scenario.asks.iter().enumerate() {
        // Quotes keep the shell away from `>` in a requirement.
        let words: Vec<String> = ask.split(' ').map(|word| format!("'{word}'")).collect();
        script.push_str(&format!("echo '@ask {at}'\n/bin/hawkbell {} 2>&1\necho \"@status $?\"\n", words.join(" ")));
    }
    script.push_str("} > /dev/ttyS1\n/bin/busybox sync\n/bin/busybox poweroff -f\n");
    script
}

const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t securityfs sec /sys/kernel/security; mount -t debugfs dbg /sys/kernel/debug
mount -t tracefs tr /sys/kernel/tracing; mount -t bpf bpf /sys/fs/bpf; mount -t cgroup2 cg /sys/fs/cgroup
stty -F /dev/ttyS1 raw -echo 115200
{
";

/// Shared libraries of a program, by ldd; none for a static one.
fn libraries(program: &Path) -> Result<Vec<String>> {
    let output = Command::new("ldd").arg(program).output().context("start ldd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    Ok(paths.map(ToOwned::to_owned).collect())
}
