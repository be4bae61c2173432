//! Questions that kfeatures 0.6.0 answers wrongly, by the answers that are right: made-up machines (trees of files) where the
//! kernel need not be asked, the running kernel where it must. Other questions of this kind are held elsewhere: capabilities,
//! namespaces, seccomp and hidden files in the command line's `environments.rs`; objects in its `objects.rs` and `elf`'s
//! `corpus.rs`; MCP and flags in its `kernel/tests.rs`; lockdown, LSM lists and real loads on other kernels in `make kernels`.

#![allow(clippy::print_stdout, reason = "says what was skipped or answered")]

use features::{Answer, Cause, Machine, Requirement, check};
use host::Root;
use std::path::Path;

/// A machine made of files; system calls still go to the running kernel.
struct Made(tempfile::TempDir);

impl Made {
    fn with(files: &[(&str, &str)]) -> Self {
        let made = Made(tempfile::tempdir().unwrap());
        for (path, text) in files {
            let path = made.0.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        made
    }

    fn link(self, path: &str, to: &str) -> Self {
        let path = self.0.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(to, path).unwrap();
        self
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn ask(&self, release: &str, word: &str) -> Answer {
        let mut machine = Machine::at(Root::new(self.root()));
        machine.release = release.to_owned();
        ask(&machine, word)
    }
}

fn ask(machine: &Machine, word: &str) -> Answer {
    check(machine, &[word.parse::<Requirement>().unwrap()]).rows.remove(0).answer
}

#[test]
fn w3_and_w4_a_policy_refuses_some_tracing_programs_and_is_named() {
    let machine = Machine::here();
    if !rustix::process::geteuid().is_root() || ask(&machine, "cap-bpf") != Answer::Supported {
        println!("skipped: needs root with CAP_BPF");
        return;
    }
    for word in ["program:tracing/fentry", "program:lsm", "fentry"] {
        let Answer::Unsupported(reason) = ask(&machine, word) else { continue };
        if reason.errno.as_deref() == Some("EPERM") {
            assert_eq!(reason.cause, Cause::Policy, "{word}");
            assert!(!reason.to_string().contains("run as root"), "{reason}");
        }
    }
    // Tracing programs are told apart: what one way to load is refused says nothing about another.
    let tp_btf = ask(&machine, "program:tracing/tp_btf");
    assert!(!tp_btf.is_supported() || ask(&machine, "program:tracing").is_supported());
}

#[test]
fn w5_a_kprobe_program_that_cannot_attach_is_no_kprobe() {
    let machine = Machine::here();
    let has_events = Path::new("/sys/bus/event_source/devices/kprobe").exists();
    if !Path::new("/sys/bus/event_source/devices").exists() || !ask(&machine, "program:kprobe").is_supported() {
        println!("skipped: kprobe programs cannot be loaded, or there is no sysfs");
        return;
    }
    assert_eq!(ask(&machine, "kprobe").is_supported(), has_events);
}

#[test]
fn w7_and_w22_measuring_is_seen_before_linux_6_9_and_executes_nothing() {
    let made = Made::with(&[
        ("/sys/kernel/security/lsm", "lockdown,capability"),
        ("/sys/kernel/security/ima/runtime_measurements_count", "2\n"),
    ]);
    assert_eq!(made.ask("6.1.0", "ima"), Answer::Supported);
    assert_eq!(made.ask("6.1.0", "ima-any-measurement-active"), Answer::Supported);
    let idle = Made::with(&[
        ("/sys/kernel/security/lsm", "lockdown,capability,ima"),
        ("/sys/kernel/security/ima/runtime_measurements_count", "1\n"),
    ]);
    assert_eq!(idle.ask("6.12.0", "ima-any-measurement-active").cause(), Some(Cause::NotEnabled));
}

#[test]
fn w8_namespaces_are_known_by_their_first_numbers() {
    let first = Made::with(&[]).link("/proc/self/ns/user", "user:[4026531837]");
    assert_eq!(first.ask("6.1.0", "init-user-ns"), Answer::Supported);
    let child = Made::with(&[]).link("/proc/self/ns/user", "user:[4026532999]");
    assert_eq!(child.ask("6.1.0", "init-user-ns").cause(), Some(Cause::UserNamespace));
}

#[test]
fn w9_a_bare_directory_is_no_mount() {
    let made = Made::with(&[("/sys/kernel/debug/x", ""), ("/sys/kernel/security/x", "")]);
    assert!(!made.ask("6.1.0", "mount:/sys/kernel/debug:debugfs").is_supported());
    assert!(!made.ask("6.1.0", "mount:/sys/kernel/security:securityfs").is_supported());
}

#[test]
fn w11_what_is_hidden_is_unknown_and_not_off() {
    let made = Made::with(&[("/proc/version", "Linux")]);
    for word in ["unprivileged-bpf-disabled", "jit-enabled", "jit-hardened", "bpf-stats-enabled"] {
        let answer = made.ask("6.1.0", word);
        assert!(matches!(&answer, Answer::Unknown(reason) if reason.cause == Cause::Unreadable), "{word}: {answer}");
    }
}

#[test]
fn w16_every_helper_of_a_type_that_loads_has_an_answer() {
    let machine = Machine::here();
    if !ask(&machine, "program:sched_cls").is_supported() {
        println!("skipped: programs cannot be loaded here");
        return;
    }
    for word in [
        "helper:sched_cls:bpf_copy_from_user",
        "helper:xdp:bpf_copy_from_user_task",
        "helper:tracepoint:bpf_get_func_ip",
        "helper:perf_event:bpf_get_func_ip",
        "helper:syscall:bpf_d_path",
        "helper:syscall:bpf_sk_storage_get",
    ] {
        let answer = ask(&machine, word);
        assert!(!matches!(answer, Answer::Unknown(_)), "{word}: {answer}");
    }
}

#[test]
fn w18_sleeping_is_a_load_and_not_a_preemption_model() {
    let machine = Machine::here();
    if ask(&machine, "program:syscall").is_supported() {
        assert_eq!(ask(&machine, "sleepable-bpf"), Answer::Supported);
    }
}

#[test]
fn w21_asking_for_perf_events_opens_none() {
    let _ = ask(&Machine::here(), "perf-event-open");
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let mut targets = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    assert!(targets.all(|target| !target.to_string_lossy().contains("perf_event")));
}

#[test]
fn w23_statistics_by_sysctl_are_told_as_such() {
    let made = Made::with(&[("/proc/sys/kernel/bpf_stats_enabled", "0\n")]);
    let answer = made.ask("6.1.0", "bpf-stats-enabled");
    assert!(answer.reason().is_some_and(|reason| reason.text.contains("BPF_ENABLE_STATS")), "{answer}");
}

#[test]
fn w24_the_configuration_is_found_where_distributions_put_it() {
    for place in [
        "/usr/lib/modules/6.1.0/config",
        "/boot/config",
        "/lib/kernel/config-6.1.0",
        "/usr/lib/ostree-boot/config-6.1.0",
    ] {
        let made = Made::with(&[(place, "# a comment\nCONFIG_BPF=y\nCONFIG_HZ=250\n  CONFIG_INDENTED=m\n")]);
        for word in ["CONFIG_BPF", "CONFIG_HZ=250", "CONFIG_INDENTED=m", "CONFIG_B=n"] {
            assert_eq!(made.ask("6.1.0", word), Answer::Supported, "{place}: {word}");
        }
        assert!(!made.ask("6.1.0", "CONFIG_HZ=25").is_supported());
    }
}

#[test]
fn w27_little_locked_memory_is_blamed_before_5_11_only() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let was = getrlimit(Resource::Memlock);
    setrlimit(Resource::Memlock, Rlimit { current: Some(65536), ..was }).unwrap();
    let mut machine = Machine::here();
    machine.release = "5.4.0".into();
    if machine.holds(features::denial::CAP_SYS_ADMIN) && machine.initial_user_namespace().is_supported() {
        let answer = features::denial::explain(&machine, "hash maps", &[], 1);
        assert_eq!(answer.cause(), Some(Cause::Memlock), "{answer}");
        machine.release = "5.11.0".into();
        assert_eq!(features::denial::explain(&machine, "hash maps", &[], 1).cause(), Some(Cause::Policy));
    } else {
        println!("skipped: needs root in the initial user namespace");
    }
    setrlimit(Resource::Memlock, was).unwrap();
}

#[test]
fn w28_what_is_newer_than_this_tool_is_unknown() {
    let machine = Machine::here();
    for answer in [machine.map_type(9_999), machine.program_type(9_999)] {
        assert!(
            matches!(&answer, Answer::Unknown(reason) if reason.text.contains("newer than this tool knows")),
            "{answer}"
        );
    }
}
