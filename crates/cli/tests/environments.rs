//! Broken environments and what `check` says in each: the right cause, and where the printed remedy can be applied, a green
//! check after it. Runs itself again as the confined process. Needs root; says so and passes without it.

#![allow(clippy::print_stdout, reason = "says what was skipped or answered")]

use serde_json::Value;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Output};

/// A broken environment: how to make it, what to ask, what must be said.
struct Case {
    name: &'static str,
    setup: &'static [&'static str],
    ask: &'static str,
    expect: Expect,
}

enum Expect {
    Ok,
    /// Cause and a part of reason or remedy.
    No(&'static str, &'static str),
    Unknown(&'static str, &'static str),
    /// Like `No` with the file system missing; then the printed mount command is carried out and the check must pass.
    Mount(&'static str),
    /// Like `No`; then these words are applied as well and the check must pass.
    Fix {
        cause: &'static str,
        part: &'static str,
        with: &'static [&'static str],
    },
}

use Expect::{Fix, Mount, No, Ok as Fine, Unknown};

const CASES: &[Case] = &[
    Case { name: "plain root", setup: &[], ask: "bpf-syscall", expect: Fine },
    Case {
        name: "no capability at all",
        setup: &["drop-caps=all"],
        ask: "cap-bpf",
        expect: No("missing-capability", "CAP_BPF"),
    },
    Case {
        name: "no capability, load",
        setup: &["drop-caps=all"],
        ask: "program:xdp",
        expect: No("missing-capability", "CAP_BPF and CAP_NET_ADMIN"),
    },
    Case {
        name: "no CAP_BPF",
        setup: &["drop-caps=bpf,sys_admin"],
        ask: "program:sched_cls",
        expect: No("missing-capability", "does not hold CAP_BPF although it runs as root"),
    },
    Case {
        name: "no CAP_PERFMON",
        setup: &["drop-caps=perfmon,sys_admin"],
        ask: "program:tracepoint",
        expect: No("missing-capability", "CAP_PERFMON"),
    },
    Case {
        name: "no CAP_NET_ADMIN",
        setup: &["drop-caps=net_admin,sys_admin"],
        ask: "program:xdp",
        expect: No("missing-capability", "CAP_NET_ADMIN"),
    },
    Case {
        name: "nobody",
        setup: &["nobody"],
        ask: "cap-sys-admin",
        expect: No("missing-capability", "CAP_SYS_ADMIN"),
    },
    Case { name: "nobody, map", setup: &["nobody"], ask: "map:lpm_trie", expect: No("missing-capability", "CAP_BPF") },
    Case { name: "nobody is granted CAP_BPF", setup: &["nobody-with=bpf"], ask: "cap-bpf", expect: Fine },
    Case {
        name: "nobody is granted what xdp needs",
        setup: &["nobody-with=bpf,net_admin"],
        ask: "program:xdp",
        expect: Fine,
    },
    Case {
        name: "nobody with CAP_BPF only",
        setup: &["nobody-with=bpf"],
        ask: "cap-perfmon",
        expect: No("missing-capability", "CAP_PERFMON"),
    },
    Case {
        name: "user namespace",
        setup: &["userns"],
        ask: "cap-bpf",
        expect: No("user-namespace", "child user namespace"),
    },
    Case {
        name: "user namespace, load",
        setup: &["userns"],
        ask: "program:xdp",
        expect: No("user-namespace", "initial"),
    },
    Case {
        name: "user namespace, itself",
        setup: &["userns"],
        ask: "init-user-ns",
        expect: No("user-namespace", "4026531837"),
    },
    Case {
        name: "seccomp refuses bpf",
        setup: &["seccomp=bpf:1"],
        ask: "bpf-syscall",
        expect: No("seccomp", "seccomp"),
    },
    Case {
        name: "seccomp refuses bpf, load",
        setup: &["seccomp=bpf:1"],
        ask: "program:xdp",
        expect: No("seccomp", "seccomp"),
    },
    Case {
        name: "seccomp refuses bpf, map",
        setup: &["seccomp=bpf:1"],
        ask: "map:hash",
        expect: No("seccomp", "seccomp"),
    },
    Case {
        name: "seccomp hides bpf",
        setup: &["seccomp=bpf:38"],
        ask: "bpf-syscall",
        expect: No("seccomp", "seccomp"),
    },
    Case {
        name: "seccomp refuses perf_event_open",
        setup: &["seccomp=perf_event_open:1"],
        ask: "perf-event-open",
        expect: No("seccomp", "perf_event_open"),
    },
    Case {
        name: "seccomp refuses perf, bpf works",
        setup: &["seccomp=perf_event_open:1"],
        ask: "program:xdp",
        expect: Fine,
    },
    Case { name: "no bpffs", setup: &["namespace=mount", "umount=/sys/fs/bpf"], ask: "bpf-fs", expect: Mount("bpffs") },
    Case {
        name: "tmpfs where bpffs should be",
        setup: &["namespace=mount", "umount=/sys/fs/bpf", "hide=/sys/fs/bpf"],
        ask: "bpf-fs",
        expect: Mount("found tmpfs"),
    },
    Case {
        name: "no tracefs",
        setup: &["namespace=mount", "umount=/sys/kernel/tracing", "umount=/sys/kernel/debug"],
        ask: "trace-fs",
        expect: Mount("tracefs"),
    },
    Case {
        name: "no securityfs, modules still known",
        setup: &["namespace=mount", "umount=/sys/kernel/security"],
        ask: "mount:/sys/kernel/security:securityfs",
        expect: Fix { cause: "not-mounted", part: "0x73636673", with: &["mount=securityfs:/sys/kernel/security"] },
    },
    Case {
        name: "procfs without /proc/sys: JIT",
        setup: &["namespace=mount", "proc-subset"],
        ask: "jit-hardened",
        expect: Unknown("unreadable", "subset=pid"),
    },
    Case {
        name: "procfs without /proc/sys: unprivileged",
        setup: &["namespace=mount", "proc-subset"],
        ask: "unprivileged-bpf-disabled",
        expect: Mount("/proc/sys is not there"),
    },
    Case {
        name: "procfs without config.gz",
        setup: &["namespace=mount", "proc-subset", "hide=/boot"],
        ask: "CONFIG_BPF",
        expect: Unknown("unreadable", "/proc/config.gz"),
    },
    Case {
        name: "no procfs, capabilities still known",
        setup: &["namespace=mount", "hide=/proc"],
        ask: "cap-bpf",
        expect: Fine,
    },
    Case {
        name: "no procfs, namespace unknown",
        setup: &["namespace=mount", "hide=/proc"],
        ask: "init-user-ns",
        expect: Mount("/proc/self/ns/user"),
    },
    Case {
        name: "no BTF directory",
        setup: &["namespace=mount", "hide=/sys/kernel/btf"],
        ask: "btf",
        expect: Fix { cause: "no-btf", part: "CONFIG_DEBUG_INFO_BTF", with: &["umount=/sys/kernel/btf"] },
    },
    Case {
        name: "no BTF directory, BTF tracepoint",
        setup: &["namespace=mount", "hide=/sys/kernel/btf"],
        ask: "program:tracing/tp_btf",
        expect: No("no-btf", "BTF"),
    },
    Case {
        name: "broken BTF",
        setup: &["namespace=mount", "file=/sys/kernel/btf/vmlinux:this is no type information"],
        ask: "btf",
        expect: Unknown("unreadable", "not valid BTF"),
    },
    Case {
        name: "no /sys/kernel",
        setup: &["namespace=mount", "hide=/sys/kernel"],
        ask: "btf",
        expect: Fix { cause: "no-btf", part: "/sys/kernel/btf/vmlinux", with: &["umount=/sys/kernel"] },
    },
    Case {
        name: "no sysfs",
        setup: &["namespace=mount", "hide=/sys"],
        ask: "bpf-fs",
        expect: No("not-mounted", "sysfs is not mounted either"),
    },
    Case {
        name: "unprivileged BPF on",
        setup: &["namespace=mount", "file=/proc/sys/kernel/unprivileged_bpf_disabled:0"],
        ask: "unprivileged-bpf-disabled",
        expect: Fix {
            cause: "not-enabled",
            part: "to 1 or 2",
            with: &["file=/proc/sys/kernel/unprivileged_bpf_disabled:2"],
        },
    },
    Case {
        name: "JIT off",
        setup: &["namespace=mount", "file=/proc/sys/net/core/bpf_jit_enable:0"],
        ask: "jit-enabled",
        expect: Fix {
            cause: "not-enabled",
            part: "net.core.bpf_jit_enable to 1",
            with: &["file=/proc/sys/net/core/bpf_jit_enable:1"],
        },
    },
    Case {
        name: "JIT not hardened",
        setup: &["namespace=mount", "file=/proc/sys/net/core/bpf_jit_harden:0"],
        ask: "jit-hardened",
        expect: Fix {
            cause: "not-enabled",
            part: "bpf_jit_harden to 1",
            with: &["file=/proc/sys/net/core/bpf_jit_harden:1"],
        },
    },
    Case {
        name: "statistics off",
        setup: &["namespace=mount", "file=/proc/sys/kernel/bpf_stats_enabled:0"],
        ask: "bpf-stats-enabled",
        expect: Fix {
            cause: "not-enabled",
            part: "bpf_stats_enabled to 1",
            with: &["file=/proc/sys/kernel/bpf_stats_enabled:1"],
        },
    },
    Case { name: "little locked memory", setup: &["memlock=65536"], ask: "map:hash", expect: Fine },
    Case { name: "no_new_privs alone harms nothing", setup: &["no-new-privs"], ask: "program:xdp", expect: Fine },
    Case { name: "network namespace", setup: &["namespace=net"], ask: "program:sched_cls", expect: Fine },
];

/// `hawkbell watch` in a broken environment: words of confinement, exit status, what standard error must and must not say.
struct Watching {
    setup: &'static [&'static str],
    exit: i32,
    says: &'static [&'static str],
    silent: &'static [&'static str],
}

const WATCHING: &[Watching] = &[
    Watching { setup: &[], exit: 0, says: &["Watching: "], silent: &["CAP_", "/proc"] },
    Watching {
        setup: &["drop-caps=all"],
        exit: 1,
        says: &[
            "system calls cannot be seen",
            "`map:ringbuf`",
            "does not hold CAP_BPF",
            "fix: run as root",
            "help: `hawkbell replay",
        ],
        silent: &["CAP_SYS_PTRACE"],
    },
    Watching { setup: &["drop-caps=perfmon,sys_admin"], exit: 1, says: &["CAP_PERFMON"], silent: &["`map:ringbuf`"] },
    Watching {
        setup: &["nobody-with=bpf,perfmon"],
        exit: 0,
        says: &["missing CAP_SYS_PTRACE", "without it executable", "missing CAP_DAC_READ_SEARCH", "Watching: "],
        silent: &["/proc, the kernel"],
    },
    Watching { setup: &["seccomp=bpf:1"], exit: 1, says: &["`bpf-syscall`", "seccomp"], silent: &[] },
    Watching {
        setup: &["namespace=mount", "hide=/sys/kernel/btf"],
        exit: 1,
        says: &["`btf`", "CONFIG_DEBUG_INFO_BTF=y"],
        silent: &["CAP_"],
    },
];

/// Why a case is wrong, if it is.
fn watch(case: &Watching) -> Result<(), String> {
    let program = Command::new(std::env::current_exe().expect("this test"))
        .arg("--confined")
        .args(case.setup)
        .args(["--", env!("CARGO_BIN_EXE_hawkbell"), "watch", "-M", "1"])
        .output()
        .map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&program.stderr);
    let as_wanted = program.status.code() == Some(case.exit)
        && case.says.iter().all(|part| said.contains(part))
        && !case.silent.iter().any(|part| said.contains(part));
    if as_wanted {
        Ok(())
    } else {
        Err(format!("status {:?}: {said}{}", program.status, String::from_utf8_lossy(&program.stdout)))
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().map(String::as_str) == Some("--confined") {
        return confined(&args[1..]);
    }
    if args.iter().any(|arg| arg == "--list") {
        return ExitCode::SUCCESS;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: broken environments need root");
        return ExitCode::SUCCESS;
    }
    let mut wrong: Vec<String> =
        CASES.iter().filter_map(|case| run(case).err().map(|why| format!("{}: {why}", case.name))).collect();
    let watching =
        WATCHING.iter().filter_map(|case| watch(case).err().map(|why| format!("watch {:?}: {why}", case.setup)));
    wrong.extend(watching);
    println!("{} environments, {} wrong", CASES.len() + WATCHING.len(), wrong.len());
    wrong.iter().for_each(|line| println!("  {line}"));
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `WORD... -- PROGRAM ARG...`: confines this process, then becomes the program.
fn confined(args: &[String]) -> ExitCode {
    let at = args.iter().position(|arg| arg == "--").expect("a program to run");
    for word in &args[..at] {
        if let Err(why) = testkit::confine::apply(word) {
            println!("{{\"confine\": \"{why}\"}}");
            return ExitCode::from(99);
        }
    }
    let error = Command::new(&args[at + 1]).args(&args[at + 2..]).exec();
    println!("exec: {error}");
    ExitCode::from(98)
}

fn run(case: &Case) -> Result<(), String> {
    let first = ask(case.setup, case.ask)?;
    let (word, cause, text) = row(&first);
    match &case.expect {
        Fine => same(&word, "supported", &text),
        No(want, part) => says(&word, "unsupported", &cause, want, &text, part),
        Unknown(want, part) => says(&word, "unknown", &cause, want, &text, part),
        Mount(part) => {
            let kind = if cause == "not-mounted" { "unsupported" } else { "unknown" };
            says(&word, kind, &cause, &cause, &text, part)?;
            let fix = mount_word(&text).ok_or_else(|| format!("no mount command in: {text}"))?;
            fixed(case, &[&fix])
        }
        Fix { cause: want, part, with } => {
            says(&word, "unsupported", &cause, want, &text, part)?;
            fixed(case, with)
        }
    }
}

fn fixed(case: &Case, with: &[&str]) -> Result<(), String> {
    let both: Vec<&str> = case.setup.iter().chain(with).copied().collect();
    let (word, _, text) = row(&ask(&both, case.ask)?);
    same(&word, "supported", &format!("after the remedy {with:?}: {text}"))
}

/// `mount -t bpf bpf /sys/fs/bpf` as a word of the confinement.
fn mount_word(text: &str) -> Option<String> {
    let mut words = text.split("mount -t ").nth(1)?.split_whitespace();
    let (fs, _, path) = (words.next()?, words.next()?, words.next()?);
    Some(format!("mount={fs}:{path}"))
}

fn ask(setup: &[&str], requirement: &str) -> Result<Value, String> {
    let me = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new(me)
        .arg("--confined")
        .args(setup)
        .args(["--", env!("CARGO_BIN_EXE_hawkbell"), "check", "--json", "-r", requirement])
        .output()
        .map_err(|e| e.to_string())?;
    let Output { status, stdout, stderr } = output;
    let said = || format!("{status}: {}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let value: Value = serde_json::from_slice(&stdout).map_err(|_| said())?;
    let ok = value["ok"].as_bool().ok_or_else(said)?;
    if status.code() == Some(i32::from(!ok)) { Ok(value) } else { Err(format!("status does not fit: {}", said())) }
}

/// Answer, cause, reason with remedy of the only row.
fn row(value: &Value) -> (String, String, String) {
    let row = &value["requirements"][0];
    let text = |key: &str| row[key].as_str().unwrap_or("").to_owned();
    (text("answer"), text("cause"), format!("{}; {}", text("reason"), text("fix")))
}

fn says(word: &str, kind: &str, cause: &str, want: &str, text: &str, part: &str) -> Result<(), String> {
    same(word, kind, text)?;
    same(cause, want, text)?;
    if text.contains(part) { Ok(()) } else { Err(format!("`{part}` is not said in: {text}")) }
}

fn same(is: &str, want: &str, text: &str) -> Result<(), String> {
    if is == want { Ok(()) } else { Err(format!("`{is}` instead of `{want}`: {text}")) }
}
