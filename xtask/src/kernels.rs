//! `cargo xtask kernels [NAME...]`: boots other kernels under software emulation and asks hawkbell in them. Comes in: names of
//! Debian kernels; goes out: one line per expectation and status 1 when any fails. Kernels are fetched with apt into the cache
//! below `target/`, nothing is installed; no virtualisation and no root file system image is needed.

mod covered;

use crate::cpio::Archive;
use crate::debian::{self, Kernel, MODULES, command};
use anyhow::{Context, Result, ensure};
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

/// The verdict without loading, and what the kernel said to a load, agree.
const OBJECTS: [Ask; 5] = [
    ("check --load --elf /objects/hooks.o", 0, AGREED),
    ("check --load --elf /objects/module.o", 0, AGREED),
    ("check --load --elf /objects/no_function.o", 1, AGREED_NOT),
    ("check --load --elf /objects/not_sleepable.o", 1, AGREED_NOT),
    ("check --load --elf /objects/not_modifiable.o", 1, AGREED_NOT),
];
const AGREED: &str = "should load here; the kernel loaded it";
const AGREED_NOT: &str = "does not load here; the kernel refused it";

/// Watching starts, and the iterators tell of tasks (numbers that are zero are left out).
const WATCHED: Ask = (
    "watch -M 2 -o json_output=true -o metrics.enabled=true -o metrics.output_rule=true -o metrics.interval=200ms",
    0,
    "\"scap.n_evts_task\":",
);

/// A policy that drops pings of the loopback, and that it does: by a clsact filter where there is no tcx.
const FILTERED: [Ask; 6] = [
    ("traffic apply /policy.yaml", 0, "by clsact (no tcx"),
    PING_DROPPED,
    ("traffic show quiet", 0, "pings                                     1"),
    ("traffic list", 0, "clsact"),
    ("traffic detach quiet", 0, "detached from lo"),
    PING_PASSED,
];
const PING_DROPPED: Ask = ("/bin/ping -c 1 -W 1 127.0.0.1", 1, "100% packet loss");
const PING_PASSED: Ask = ("/bin/ping -c 1 -W 1 127.0.0.1", 0, "0% packet loss");
const POLICY: &str = "name: quiet\ninterface: lo\ndirection: out\ndefault: allow\nrules:\n  \
                      - {name: pings, action: deny, protocol: icmp, icmp: echo-request}\n";

/// Arguments of hawkbell, or a program of the guest with its own; expected status, text that must appear.
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
            WATCHED,
            COVERED[0],
            COVERED[1],
            ("probe --full", 0, "Helpers by program type"),
            OBJECTS[0],
            OBJECTS[1],
            OBJECTS[2],
            OBJECTS[3],
            OBJECTS[4],
            FILTERED[0],
            FILTERED[1],
            FILTERED[2],
            FILTERED[3],
            FILTERED[4],
            FILTERED[5],
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
            ("check -r helper:ext:bpf_xdp_adjust_head,helper:struct_ops:bpf_tcp_send_ack", 0, "OK"),
            ("check -r program:lsm/sleepable:file_open,program:tracing/fexit:do_unlinkat", 0, "OK"),
            // The cloud kernel is built without it, so no function takes sleepable programs.
            ("check -r program:tracing/fentry/sleepable", 1, "CONFIG_FUNCTION_ERROR_INJECTION is off"),
            ("check -r program:lsm/sleepable:task_free", 1, "is not sleepable"),
            OBJECTS[0],
            OBJECTS[1],
            OBJECTS[2],
            OBJECTS[3],
            OBJECTS[4],
            ("probe --full", 0, "Helpers by program type"),
            WATCHED,
            COVERED[0],
            COVERED[1],
            ("traffic apply /policy.yaml", 0, "by tcx"),
            PING_DROPPED,
            ("traffic detach quiet", 0, "detached from lo"),
            PING_PASSED,
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
            ("watch -M 2", 0, "existing processes are read from /proc"),
            FILTERED[0],
            FILTERED[1],
            FILTERED[2],
            FILTERED[3],
            FILTERED[4],
            FILTERED[5],
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

pub fn run(names: &[String]) -> Result<()> {
    let if_possible = names.iter().any(|name| name == IF_POSSIBLE);
    let names: Vec<&String> = names.iter().filter(|name| *name != IF_POSSIBLE).collect();
    let wanted: Vec<&Scenario> =
        SCENARIOS.iter().filter(|s| names.is_empty() || names.iter().any(|n| *n == s.kernel)).collect();
    ensure!(
        !wanted.is_empty(),
        "no scenario for {names:?}; there are {:?}",
        SCENARIOS.iter().map(|scenario| scenario.kernel).collect::<Vec<_>>()
    );
    let (guest, kernels) = match prepare(&wanted) {
        Err(why) if if_possible => {
            report(&format!("skipped: other kernels cannot be booted here: {why:#}"));
            return Ok(());
        }
        prepared => prepared?,
    };
    let mut failed = 0;
    for (scenario, kernel) in wanted.iter().zip(&kernels) {
        failed += boot(scenario, kernel, &guest)?;
    }
    report(&format!("{} boots of other kernels", wanted.len()));
    ensure!(failed == 0, "{failed} expectations failed");
    Ok(())
}

/// What every guest gets.
struct Guest {
    hawkbell: PathBuf,
    busybox: PathBuf,
    /// Name and bytes of the objects that are checked and loaded.
    objects: Vec<(String, Vec<u8>)>,
}

fn prepare(wanted: &[&Scenario]) -> Result<(Guest, Vec<Kernel>)> {
    needs("qemu-system-x86_64", "qemu-system-x86")?;
    let cache = cache()?;
    let kernels = wanted.iter().map(|scenario| debian::fetch(&cache, scenario.kernel)).collect::<Result<_>>()?;
    Ok((Guest { hawkbell: build()?, busybox: debian::busybox(&cache)?, objects: objects(&cache)? }, kernels))
}

/// Compiles the objects beside this program's source.
fn objects(cache: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("objects"))?.flatten() {
        let name = entry.file_name().to_string_lossy().replace(".bpf.c", ".o");
        let object = cache.join(&name);
        let clang = ["-O2", "-g", "-target", "bpf", "-mcpu=v2", "-c"];
        command(Command::new("clang").args(clang).arg(entry.path()).arg("-o").arg(&object))?;
        all.push((name, fs::read(object)?));
    }
    Ok(all)
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

/// Boots once and counts the expectations that failed.
fn boot(scenario: &Scenario, kernel: &Kernel, guest: &Guest) -> Result<usize> {
    let scratch = std::env::temp_dir().join(format!("hawkbell-kernel-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let initrd = scratch.join("initrd");
    fs::write(&initrd, archive(scenario, kernel, guest, &scratch)?)?;
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
        report(&format!("{mark} {} [{}] {ask}", kernel.release, scenario.boot));
        if !ok {
            report(&format!("     wanted status {status} with `{text}`, got status {got}:\n{output}"));
        }
    }
    let log = said.split_once("@log\n").and_then(|(_, rest)| rest.split_once("@end")).map(|(log, _)| log);
    if log != Some("") {
        report(&format!("FAIL {} [{}] asking left words in the kernel's log:\n{log:?}", kernel.release, scenario.boot));
        failed += 1;
    }
    failed
}

#[allow(clippy::print_stdout, reason = "the answers are what this chore is for")]
fn report(line: &str) {
    println!("{line}");
}

/// The guest's file system: busybox, hawkbell with its libraries, and an init that asks one question after the other.
fn archive(scenario: &Scenario, kernel: &Kernel, guest: &Guest, scratch: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for dir in ["bin", "sbin", "proc", "sys", "dev", "tmp", "boot", "objects"] {
        archive.directory(dir);
    }
    archive.file("bin/busybox", 0o755, &fs::read(&guest.busybox)?);
    archive.file("bin/hawkbell", 0o755, &fs::read(&guest.hawkbell)?);
    for (name, module) in MODULES.iter().zip(&kernel.modules) {
        archive.file(name, 0o644, &fs::read(module)?);
    }
    archive.file("policy.yaml", 0o644, POLICY.as_bytes());
    for (name, bytes) in &guest.objects {
        archive.file(&format!("objects/{name}"), 0o644, bytes);
    }
    for library in libraries(&guest.hawkbell)? {
        archive.file(library.trim_start_matches('/'), 0o755, &fs::read(&library)?);
    }
    archive.file(&format!("boot/config-{}", kernel.release), 0o644, &fs::read(&kernel.config)?);
    if scenario.asks.iter().any(|(ask, ..)| ask.contains("/cover/")) {
        covered::add(&mut archive, &guest.hawkbell, scratch)?;
    }
    archive.file("init", 0o755, init(scenario).as_bytes());
    Ok(archive.finish())
}

fn init(scenario: &Scenario) -> String {
    let mut script = String::from(INIT);
    for (at, (ask, _, _)) in scenario.asks.iter().enumerate() {
        // Quotes keep the shell away from `>` in a requirement.
        let words: Vec<String> = ask.split(' ').map(|word| format!("'{word}'")).collect();
        let program = if ask.starts_with('/') { "" } else { "/bin/hawkbell " };
        script.push_str(&format!("echo '@ask {at}'\n{program}{} 2>&1\necho \"@status $?\"\n", words.join(" ")));
    }
    script.push_str(
        "echo @log; dmesg | grep hawkbell; echo @end\n} > /dev/ttyS1\n/bin/busybox sync\n/bin/busybox poweroff -f\n",
    );
    script
}

/// The flag for runs that must not fail where nothing can be booted.
const IF_POSSIBLE: &str = "--if-possible";
const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t securityfs sec /sys/kernel/security; mount -t debugfs dbg /sys/kernel/debug
mount -t tracefs tr /sys/kernel/tracing; mount -t bpf bpf /sys/fs/bpf; mount -t cgroup2 cg /sys/fs/cgroup
insmod /veth.ko; insmod /sch_ingress.ko; insmod /cls_bpf.ko; ip link set lo up
stty -F /dev/ttyS1 raw -echo 115200
{
";

/// Shared libraries of a program, by ldd; none for a static one.
pub fn libraries(program: &Path) -> Result<Vec<String>> {
    let output = Command::new("ldd").arg(program).output().context("start ldd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    Ok(paths.map(ToOwned::to_owned).collect())
}
