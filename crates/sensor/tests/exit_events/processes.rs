//! Calls about processes, identities and limits; and what the scheduler tells.

use crate::harness::*;
use P::*;
use event::{Kind, Sc};
use libc::*;
use std::process::Command;

#[test]
fn identities() {
    let calls: Vec<Sc> = [
        "setuid",
        "setgid",
        "setreuid",
        "setregid",
        "setresuid",
        "setresgid",
        "getuid",
        "geteuid",
        "getgid",
        "getegid",
        "getresuid",
        "getresgid",
        "capset",
        "setpgid",
        "setsid",
        "setns",
        "unshare",
        "kill",
        "tkill",
        "tgkill",
    ]
    .iter()
    .map(|n| Sc::by_name(n).expect("a call"))
    .collect();
    let Some(mut w) = Watch::on(&calls) else { return };
    let keep = u32::MAX;
    w.raw(SYS_setuid, Kind::SYSCALL_SETUID_X, &[-1], |_| vec![fails(EINVAL), U32(keep)]);
    w.raw(SYS_setgid, Kind::SYSCALL_SETGID_X, &[-1], |_| vec![fails(EINVAL), U32(keep)]);
    w.raw(SYS_setreuid, Kind::SYSCALL_SETREUID_X, &[-1, -1], |_| vec![I(0), U32(keep), U32(keep)]);
    w.raw(SYS_setregid, Kind::SYSCALL_SETREGID_X, &[-1, -1], |_| vec![I(0), U32(keep), U32(keep)]);
    w.raw(SYS_setresuid, Kind::SYSCALL_SETRESUID_X, &[-1, 0, -1], |_| vec![I(0), U32(keep), U32(0), U32(keep)]);
    w.raw(SYS_setresgid, Kind::SYSCALL_SETRESGID_X, &[-1, 0, -1], |_| vec![I(0), U32(keep), U32(0), U32(keep)]);
    for (nr, kind) in [
        (SYS_getuid, Kind::SYSCALL_GETUID_X),
        (SYS_geteuid, Kind::SYSCALL_GETEUID_X),
        (SYS_getgid, Kind::SYSCALL_GETGID_X),
        (SYS_getegid, Kind::SYSCALL_GETEGID_X),
    ] {
        w.raw(nr, kind, &[], |id| vec![U32(id as u32)]);
    }
    let mut ids = [7u32; 3];
    let [a, b, c] = ids.each_mut().map(at_mut);
    w.raw(SYS_getresuid, Kind::SYSCALL_GETRESUID_X, &[a, b, c], |_| vec![I(0), U32(0), U32(0), U32(0)]);
    w.raw(SYS_getresgid, Kind::SYSCALL_GETRESGID_X, &[a, b, c], |_| vec![I(0), U32(0), U32(0), U32(0)]);
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("status");
    let caps = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).expect("a line");
        I(u64::from_str_radix(line.trim_start_matches(':').trim(), 16).expect("hex") as i64)
    };
    w.raw(SYS_capset, Kind::SYSCALL_CAPSET_X, &[NOWHERE, 0], |r| {
        vec![I(r), caps("CapInh"), caps("CapPrm"), caps("CapEff")]
    });
    w.raw(SYS_setpgid, Kind::SYSCALL_SETPGID_X, &[-5, 3], |r| vec![I(r), I(-5), I(3)]);
    w.raw(SYS_setns, Kind::SYSCALL_SETNS_X, &[BAD_FD, 0x0200_0000], |_| vec![fails(EBADF), I(BAD_FD), U32(1 << 28)]);
    w.raw(SYS_unshare, Kind::SYSCALL_UNSHARE_X, &[1], |_| vec![fails(EINVAL), U32(0)]);
    w.raw(SYS_kill, Kind::SYSCALL_KILL_X, &[999_999_999, 15], |_| vec![fails(ESRCH), I(999_999_999), U8(15)]);
    w.raw(SYS_tkill, Kind::SYSCALL_TKILL_X, &[999_999_999, 9], |_| vec![fails(ESRCH), I(999_999_999), U8(9)]);
    w.raw(SYS_tgkill, Kind::SYSCALL_TGKILL_X, &[999_999_999, 999_999_998, 9], |_| {
        vec![fails(ESRCH), I(999_999_999), I(999_999_998), U8(9)]
    });
}

#[test]
fn limits_and_attributes() {
    let Some(mut w) = Watch::on(&[Sc::GETRLIMIT, Sc::SETRLIMIT, Sc::PRLIMIT64, Sc::PRCTL, Sc::PTRACE]) else { return };
    let mut limit = [0i64; 2];
    assert_eq!(call(SYS_getrlimit, &[7, at_mut(&mut limit)]), 0);
    w.raw(SYS_getrlimit, Kind::SYSCALL_GETRLIMIT_X, &[7, at_mut(&mut limit.clone())], |_| {
        vec![I(0), I(limit[0]), I(limit[1]), U8(7)]
    });
    w.raw(SYS_getrlimit, Kind::SYSCALL_GETRLIMIT_X, &[99, at_mut(&mut limit.clone())], |_| {
        vec![fails(EINVAL), I(-1), I(-1), U8(255)]
    });
    w.raw(SYS_setrlimit, Kind::SYSCALL_SETRLIMIT_X, &[7, at(&limit)], |_| vec![I(0), I(limit[0]), I(limit[1]), U8(7)]);
    w.raw(SYS_prlimit64, Kind::SYSCALL_PRLIMIT_X, &[0, 7, at(&limit), at_mut(&mut limit.clone())], |_| {
        vec![I(0), I(limit[0]), I(limit[1]), I(limit[0]), I(limit[1]), I(0), U8(7)]
    });
    let name = cstring("a name");
    let before = std::fs::read_to_string("/proc/thread-self/comm").expect("a name");
    w.raw(SYS_prctl, Kind::SYSCALL_PRCTL_X, &[15, at(name.as_c_str())], |_| vec![I(0), U32(15), s("a name"), I(0)]);
    let before = cstring(before.trim_end());
    call(SYS_prctl, &[15, at(before.as_c_str())]);
    w.raw(SYS_prctl, Kind::SYSCALL_PRCTL_X, &[24, 999], |r| vec![I(r), U32(24), Empty, I(999)]);
    w.raw(SYS_ptrace, Kind::SYSCALL_PTRACE_X, &[16, 999_999_999, 5, 6], |_| {
        vec![fails(ESRCH), Empty, Empty, U16(11), I(999_999_999)]
    });
}

fn own_cgroups(seen: &Seen, param: usize) -> Vec<String> {
    seen.params[param]
        .split(|b| *b == 0)
        .filter(|p| !p.is_empty())
        .map(|p| String::from_utf8_lossy(p).into_owned())
        .collect()
}

#[test]
fn births_are_told_by_both_sides() {
    let Some(mut w) = Watch::on(&[Sc::CLONE, Sc::CLONE3, Sc::FORK, Sc::VFORK]) else { return };
    let me = i64::from(std::process::id());
    let tid = call(SYS_gettid, &[]);
    let mut child = 0;
    let events = w.everything(|| {
        // SAFETY: the child only exits.
        child = unsafe { i64::from(libc::fork()) };
        if child == 0 {
            unsafe { libc::_exit(0) };
        }
        call(SYS_wait4, &[child, 0, 0, 0]);
    });
    let of = |who: i64| events.iter().find(|e| e.tid == who && e.params.len() == 21).expect("a clone event");
    let (parent, born) = (of(tid), of(child));
    assert_eq!((parent.i64(0), born.i64(0)), (child, 0));
    assert_eq!((parent.i64(3), parent.i64(4)), (tid, me));
    assert_eq!(
        (born.i64(3), born.i64(4), born.i64(5)),
        (child, child, tid),
        "tid, pid, and the forking thread as parent"
    );
    assert_eq!((born.i64(18), born.i64(19)), (child, child), "numbers in the innermost namespace");
    let exe = std::env::args().next().expect("a name");
    assert_eq!((born.text(1), parent.text(1)), (exe.clone(), exe));
    assert!(own_cgroups(born, 14).iter().any(|c| c.starts_with("memory=/")), "{:?}", own_cgroups(born, 14));
    assert_eq!(born.params[6], b"", "no working directory");
    assert_eq!(parent.i64(20), 0);
    assert!(born.i64(20) > 0, "start of the namespace's first process");
}

#[test]
fn threads_and_vforks_have_their_flags() {
    let Some(mut w) = Watch::on(&[Sc::CLONE, Sc::CLONE3, Sc::VFORK, Sc::EXECVE]) else { return };
    let flags = |e: &Seen| u32::from_le_bytes(e.params[15].as_slice().try_into().expect("4 bytes"));
    let events = w.during(|| std::thread::spawn(|| ()).join().expect("a thread"));
    let sides: Vec<_> = events.iter().filter(|e| e.params.len() == 21).map(flags).collect();
    assert!(!sides.is_empty());
    for flags in sides {
        assert_eq!(flags & (8192 | 1 | 32768), 8192 | 1 | 32768, "CLONE_THREAD, CLONE_FILES, CLONE_VM");
        assert_eq!(flags & (1 << 4 | 1 << 6 | 1 << 20), 0, "no namespaces: {flags:x}");
    }
    let failing = [0xffffi64, 0, 0, 0, 0, 0, 0, 0];
    w.raw(SYS_clone3, Kind::SYSCALL_CLONE3_X, &[at(&failing), 3], |_| {
        let mut expected = vec![Any; 21];
        expected[0] = fails(EINVAL);
        expected[4] = I(i64::from(std::process::id()));
        expected
    });
}

#[test]
fn a_program_that_starts_shows_itself() {
    let Some(mut w) = Watch::on(&[Sc::EXECVE, Sc::EXECVEAT, Sc::SCHED_PROCESS_EXIT]) else { return };
    let mut child = 0;
    let events = w.everything(|| {
        let mut run = Command::new("/bin/true")
            .args(["one", "two words"])
            .env_clear()
            .env("KEY", "value")
            .spawn()
            .expect("a child");
        child = i64::from(run.id());
        run.wait().expect("an end");
    });
    let exec = events.iter().find(|e| e.tid == child && e.kind == Kind::SYSCALL_EXECVE_19_X).expect("an exec event");
    let file = std::fs::metadata("/bin/true").expect("the program");
    let real = std::fs::canonicalize("/bin/true").expect("the program");
    use std::os::unix::fs::MetadataExt;
    let nanos = |s: i64, n: i64| I(s * 1_000_000_000 + n);
    let mut expected = vec![Any; 31];
    expected[0] = I(0);
    expected[1] = s("/bin/true");
    expected[2] = B(b"one\0two words\0".to_vec());
    expected[3] = I(child);
    expected[4] = I(child);
    expected[6] = Empty;
    expected[13] = s("true");
    expected[15] = B(b"KEY=value\0".to_vec());
    expected[19] = U32(1);
    expected[23] = I(file.ino() as i64);
    expected[24] = nanos(file.ctime(), file.ctime_nsec());
    expected[25] = nanos(file.mtime(), file.mtime_nsec());
    expected[26] = U32(0);
    expected[27] = s(real.to_str().expect("UTF-8"));
    expected[29] = U32(0);
    expected[30] = s("/bin/true");
    exec.check(&expected);
    let end = events.iter().find(|e| e.tid == child && e.kind == Kind::PROCEXIT_1_E).expect("an exit event");
    end.check(&[I(0), I(0), U8(0), U8(0), I(0)]);
}

#[test]
fn a_program_that_does_not_start_shows_what_was_asked_for() {
    let Some(mut w) = Watch::on(&[Sc::EXECVE, Sc::EXECVEAT]) else { return };
    let path = cstring("/nonexistent/program");
    let (zero, one, env) = (cstring("zero"), cstring("one"), cstring("K=V"));
    let argv = [at(zero.as_c_str()), at(one.as_c_str()), 0];
    let envp = [at(env.as_c_str()), 0];
    let mut expected = vec![Any; 31];
    expected[0] = fails(ENOENT);
    expected[1] = s("zero");
    expected[2] = B(b"one\0".to_vec());
    expected[15] = B(b"K=V\0".to_vec());
    expected[30] = s("/nonexistent/program");
    w.raw(SYS_execve, Kind::SYSCALL_EXECVE_19_X, &[at(path.as_c_str()), at(&argv), at(&envp)], |_| expected.clone());
    expected.pop();
    w.raw(SYS_execveat, Kind::SYSCALL_EXECVEAT_X, &[CWD, at(path.as_c_str()), at(&argv), at(&envp), 0], |_| expected);
}

#[test]
fn a_memory_file_that_runs_is_marked() {
    let Some(mut w) = Watch::on(&[Sc::EXECVE, Sc::EXECVEAT]) else { return };
    let name = cstring("hidden");
    let fd = call(SYS_memfd_create, &[at(name.as_c_str()), 0]);
    let program = std::fs::read("/bin/true").expect("the program");
    let mut written = 0;
    while written < program.len() {
        written += usize::try_from(call(SYS_write, &[fd, at(&program[written..]), (program.len() - written) as i64]))
            .expect("room");
    }
    let path = format!("/proc/self/fd/{fd}");
    let mut child = 0;
    let events = w.everything(|| {
        let mut run = Command::new(&path).spawn().expect("a child");
        child = i64::from(run.id());
        run.wait().expect("an end");
    });
    let exec = events
        .iter()
        .find(|e| e.tid == child && e.kind == Kind::SYSCALL_EXECVE_19_X && e.i64(0) == 0)
        .expect("an exec event");
    let flags = u32::from_le_bytes(exec.params[19].as_slice().try_into().expect("4 bytes"));
    assert_eq!((flags & 4, exec.text(27)), (4, "memfd:hidden".to_owned()));
    call(SYS_close, &[fd]);
}

#[test]
fn ends_have_their_cause() {
    let Some(mut w) = Watch::on(&[Sc::SCHED_PROCESS_EXIT]) else { return };
    for (script, expected) in
        [("exit 3", [I(768), I(3), U8(0), U8(0), I(0)]), ("kill -9 $$", [I(9), I(0), U8(9), U8(0), I(0)])]
    {
        let mut child = 0;
        let events = w.everything(|| {
            let mut run = Command::new("/bin/sh").args(["-c", script]).spawn().expect("a child");
            child = i64::from(run.id());
            run.wait().expect("an end");
        });
        events.iter().find(|e| e.tid == child && e.kind == Kind::PROCEXIT_1_E).expect("an exit event").check(&expected);
    }
}

#[test]
fn orphans_go_to_the_ancestor_that_asked_for_them() {
    let Some(mut w) = Watch::on(&[Sc::SCHED_PROCESS_EXIT]) else { return };
    let me = call(SYS_gettid, &[]);
    assert_eq!(call(SYS_prctl, &[PR_SET_CHILD_SUBREAPER.into(), 1]), 0);
    let mut child = 0;
    let events = w.everything(|| {
        let mut run = Command::new("/bin/sh").args(["-c", "sleep 0.3 & exit 0"]).spawn().expect("a child");
        child = i64::from(run.id());
        run.wait().expect("an end");
    });
    call(SYS_wait4, &[-1, 0, 0, 0]);
    call(SYS_prctl, &[PR_SET_CHILD_SUBREAPER.into(), 0]);
    let reaper = events.iter().find(|e| e.tid == child && e.kind == Kind::PROCEXIT_1_E).expect("an exit event").i64(4);
    let group: Vec<i64> = std::fs::read_dir("/proc/self/task")
        .expect("threads")
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .collect();
    assert!(group.contains(&reaper), "{reaper} is a thread of {me}'s process: {group:?}");
}

#[test]
fn switches_signals_and_faults() {
    let calls = [Sc::SCHED_SWITCH, Sc::SIGNAL_DELIVER, Sc::PAGE_FAULT_USER, Sc::PAGE_FAULT_KERNEL];
    let Some(mut w) = Watch::on(&calls) else { return };
    let mut child = 0;
    let tid = call(SYS_gettid, &[]);
    let events = w.everything(|| {
        let mut run = Command::new("/bin/sh")
            .args(["-c", "trap 'exit 0' TERM; kill -TERM $$; sleep 1"])
            .spawn()
            .expect("a child");
        child = i64::from(run.id());
        run.wait().expect("an end");
    });
    let signal = events.iter().find(|e| e.tid == child && e.kind == Kind::SIGNALDELIVER_E).expect("a signal");
    signal.check(&[I(child), I(child), U8(15)]);
    let switch = events.iter().find(|e| e.tid == tid && e.kind == Kind::SCHEDSWITCH_6_E).expect("a switch");
    switch.check(&[Len(8), Len(8), Len(8), Len(4), Len(4), Len(4)]);
    let fault = events.iter().find(|e| e.tid == child && e.kind == Kind::PAGE_FAULT_E).expect("a fault");
    fault.check(&[Len(8), Len(8), Len(4)]);
}

#[test]
fn the_set_of_calls_changes_live() {
    let Some(mut w) = Watch::on(&[Sc::GETPPID]) else { return };
    assert!(
        w.during(|| {
            call(SYS_getpgrp, &[]);
        })
        .is_empty()
    );
    let blind = w.sensor().select(&selection(&[Sc::CLOSE, Sc::GETPGRP, Sc::SCHED_PROCESS_EXIT])).expect("the map");
    assert!(blind.is_empty(), "{blind:?}");
    let events = w.during(|| {
        call(SYS_getppid, &[]);
        call(SYS_getpgrp, &[]);
    });
    assert_eq!(events.len(), 1);
    events[0].check(&[U16(Sc::GETPGRP.0), U16(111)]);
    let events = w.everything(|| assert!(Command::new("/bin/true").status().expect("a child").success()));
    assert!(events.iter().any(|e| e.kind == Kind::PROCEXIT_1_E), "the hook was attached while running");
}
