//! Event sequences and the thread table they must lead to: families, reapers, namespaces, exec, exit, collisions.

mod events;

use engine::state::ThreadFlags;
use engine::state::containers::ContainerInfo;
use engine::{Options, ProcSource};
use event::Kind;
use event::snapshot::Proc;
use events::*;

/// The tree that the facts about reaping speak of: 12 threads of which 76 to 87 live in a pid namespace.
fn family() -> Stage {
    let (tid25, t23, t24) = (process(25, 25, 1), process(23, 25, 1), process(24, 25, 1));
    Stage::new(vec![
        process(1, 1, 0),
        process(2, 2, 1),
        process(6, 2, 1),
        tid25,
        t23,
        t24,
        process(72, 72, 25),
        namespaced(76, 76, 72, (1, 1)),
        namespaced(79, 76, 72, (2, 1)),
        namespaced(82, 82, 79, (10, 10)),
        namespaced(84, 82, 79, (12, 10)),
        namespaced(87, 87, 84, (17, 17)),
    ])
}

fn ptid(stage: &Stage, tid: i64) -> i64 {
    stage.thread(tid).ptid
}

#[test]
fn children_go_to_another_thread_of_the_group() {
    let mut stage = family();
    stage.exit(84, 0);
    stage.tick();
    assert_eq!(ptid(&stage, 87), 82);
    stage.exit(79, 0);
    stage.tick();
    assert_eq!(ptid(&stage, 82), 76);
    assert!(stage.state().thread(79).is_none());
}

#[test]
fn the_kernels_word_about_the_reaper_counts() {
    let mut stage = family();
    stage.exit(79, 0);
    stage.exit(76, 25);
    stage.tick();
    assert_eq!(ptid(&stage, 82), 25);
    let group = stage.state().group_of(stage.thread(25)).expect("a group");
    assert!(group.reaper);
    assert_eq!((group.alive, group.tids.len()), (3, 3));
    assert!(stage.state().thread(76).is_none());
}

#[test]
fn without_a_hint_the_nearest_reaping_ancestor_takes_over() {
    let mut stage = Stage::new(vec![process(1, 1, 0), process(10, 10, 1), process(20, 20, 10), process(30, 30, 20)]);
    stage.feed(10, Kind::SYSCALL_PRCTL_X, &[P::I(0), P::U32(36), P::None, P::I(1)]);
    stage.exit(20, 0);
    stage.tick();
    assert_eq!(ptid(&stage, 30), 10);
    stage.exit(10, -1);
    stage.tick();
    assert_eq!(ptid(&stage, 30), 1);
}

#[test]
fn nobody_left_means_no_parent() {
    let mut stage = Stage::new(vec![process(20, 20, 10), process(30, 30, 20)]);
    stage.exit(20, 0);
    stage.tick();
    assert_eq!(ptid(&stage, 30), 0);
    assert_eq!(stage.state().ancestors(stage.thread(30)).count(), 0);
}

#[test]
fn a_dead_main_thread_stays_while_its_threads_live() {
    let mut stage = Stage::new(vec![process(1, 1, 0), process(50, 50, 1), process(51, 50, 1)]);
    stage.exit(50, 0);
    stage.tick();
    assert!(stage.thread(50).dead);
    assert_eq!(stage.state().main_thread(stage.thread(51)).map(|t| t.tid), Some(50));
    stage.exit(51, 0);
    stage.tick();
    assert!(stage.state().thread(50).is_none() && stage.state().thread(51).is_none());
}

#[test]
fn an_exited_thread_is_visible_for_its_own_event() {
    let mut stage = Stage::new(vec![process(50, 50, 1)]);
    let params = [P::I(0), P::I(0), P::U8(0), P::U8(0), P::I(0)];
    let name = stage.see(50, Kind::PROCEXIT_1_E, &params, |c| c.thread.map(|t| t.comm.to_vec()));
    assert_eq!(name.as_deref(), Some(&b"p50"[..]));
    stage.tick();
    assert!(stage.state().thread(50).is_none());
}

#[test]
fn a_fork_copies_descriptors_and_directory() {
    let mut stage = Stage::new(vec![process(10, 10, 1)]);
    stage.openat(10, 3, AT_FDCWD, "a", 1);
    stage.clone(10, 11, ids(10, 10, 1, CLONE_FILES));
    let child = stage.thread(11);
    assert_eq!((child.pid, child.ptid, child.vtid, child.vpid), (11, 10, 11, 11));
    assert_eq!((&*child.comm, &*child.cmdline, &*child.exepath), (&b"child"[..], &b"child -a"[..], &b"/bin/p10"[..]));
    assert_eq!((child.uid, child.gid, child.clone_ts), (5, 6, stage.now));
    assert_eq!(stage.state().cwd_of(child), b"/root/");
    stage.feed(11, Kind::SYSCALL_CLOSE_X, &[P::I(0), P::I(3)]);
    stage.tick();
    assert_eq!(stage.fd_name(11, 3), None);
    assert_eq!(stage.fd_name(10, 3).as_deref(), Some("/root/a"));
}

#[test]
fn threads_share_descriptors_and_directory() {
    let mut stage = Stage::new(vec![process(10, 10, 1)]);
    stage.clone(10, 11, ids(10, 10, 1, CLONE_THREAD));
    let thread = stage.thread(11);
    assert_eq!((thread.pid, thread.ptid, thread.is_main()), (10, 1, false));
    stage.openat(11, 3, AT_FDCWD, "a", 1);
    assert_eq!(stage.fd_name(10, 3).as_deref(), Some("/root/a"));
    stage.feed(11, Kind::SYSCALL_CHDIR_X, &[P::I(0), P::T("sub")]);
    assert_eq!(stage.state().cwd_of(stage.thread(10)), b"/root/sub/");
}

#[test]
fn the_childs_own_event_wins_over_its_callers() {
    let mut stage = Stage::new(vec![process(10, 10, 1)]);
    stage.clone(11, 0, ids(11, 11, 10, 0));
    let born = stage.thread(11).clone_ts;
    assert!(stage.thread(11).flags.has(ThreadFlags::CLONE_INVERTED));
    stage.clone(10, 11, ids(10, 10, 1, 0));
    assert_eq!(stage.thread(11).clone_ts, born);
    assert_eq!(stage.state().group_of(stage.thread(11)).map(|g| g.alive), Some(1));
}

#[test]
fn a_leftover_with_the_childs_id_is_replaced() {
    let mut stage = Stage::new(vec![process(10, 10, 1), process(11, 11, 1)]);
    stage.clone(10, 11, ids(10, 10, 1, 0));
    assert_eq!((stage.thread(11).ptid, &*stage.thread(11).comm), (10, &b"child"[..]));
    stage.now += 3_000_000_000;
    stage.clone(11, 0, ids(11, 11, 10, 0));
    assert_eq!(stage.thread(11).clone_ts, stage.now);
    stage.now += TICK;
    let born = stage.thread(11).clone_ts;
    stage.clone(11, 0, ids(11, 11, 10, 0));
    assert_eq!(stage.thread(11).clone_ts, born, "younger than two seconds is the same thread");
}

#[test]
fn some_children_only_their_own_event_creates() {
    for flags in [CLONE_PARENT, CLONE_NEWPID, CLONE_VFORK, CHILD_IN_PIDNS] {
        let mut stage = Stage::new(vec![process(10, 10, 1)]);
        stage.clone(10, 11, ids(10, 10, 1, flags));
        assert!(stage.state().thread(11).is_none(), "flags {flags:#x}");
    }
    let mut stage = Stage::new(vec![namespaced(10, 10, 1, (5, 5))]);
    stage.clone(10, 6, CloneIds { pid: 10, ptid: 1, vtid: 5, vpid: 5, flags: 0 });
    assert!(stage.state().thread(6).is_none());
}

#[test]
fn a_child_in_a_pid_namespace_keeps_both_ids_and_its_start() {
    let mut stage = Stage::new(vec![process(10, 10, 1)]);
    stage.clone(11, 0, CloneIds { pid: 11, ptid: 10, vtid: 1, vpid: 1, flags: CLONE_NEWPID });
    let child = stage.thread(11);
    assert_eq!((child.tid, child.vtid, child.vpid), (11, 1, 1));
    assert_eq!(child.pidns_init_start_ts, stage.state().machine.boot_ts + 700);
    assert!(stage.state().group_of(child).is_some_and(|g| g.reaper));
}

#[test]
fn a_late_child_inherits_what_its_parent_had() {
    let mut stage = Stage::new(vec![namespaced(10, 10, 1, (5, 5))]);
    stage.openat(10, 3, AT_FDCWD, "a", 1);
    stage.clone(10, 6, CloneIds { pid: 10, ptid: 1, vtid: 5, vpid: 5, flags: 0 });
    stage.feed(10, Kind::SYSCALL_CLOSE_X, &[P::I(0), P::I(3)]);
    stage.feed(10, Kind::SYSCALL_CHDIR_X, &[P::I(0), P::T("/tmp")]);
    stage.clone(11, 0, CloneIds { pid: 11, ptid: 10, vtid: 6, vpid: 6, flags: 0 });
    let child = stage.thread(11);
    assert_eq!((child.pid, child.ptid, child.vtid, stage.state().cwd_of(child)), (11, 10, 6, &b"/root/"[..]));
    assert_eq!(stage.fd_name(11, 3).as_deref(), Some("/root/a"));
    assert_eq!(stage.fd_name(10, 3), None);
}

#[test]
fn a_late_caller_does_not_bring_a_dead_child_back() {
    let mut stage = Stage::new(vec![process(10, 10, 1)]);
    stage.clone(11, 0, ids(11, 11, 10, 0));
    stage.exit(11, 0);
    stage.clone(10, 11, ids(10, 10, 1, 0));
    assert!(stage.state().thread(11).is_none());
    stage.now += 3_000_000_000;
    stage.clone(10, 11, ids(10, 10, 1, 0));
    assert!(stage.state().thread(11).is_some());
}

#[test]
fn late_events_do_not_bring_ended_threads_back() {
    let mut stage = Stage::new(vec![process(10, 10, 1)]);
    stage.clone(11, 0, ids(11, 10, 1, CLONE_THREAD));
    stage.exit(11, 0);
    stage.clone(10, 11, ids(10, 10, 1, CLONE_THREAD));
    assert!(stage.state().thread(11).is_none(), "a thread that its creator reports late");
    stage.exit(10, 0);
    stage.tick();
    stage.now -= 10 * TICK;
    stage.openat(10, 3, AT_FDCWD, "a", 1);
    stage.clone(10, 12, ids(10, 10, 1, 0));
    assert_eq!(stage.state().thread_count(), 0, "events from before the end");
    stage.now += 20 * TICK;
    stage.openat(10, 3, AT_FDCWD, "a", 1);
    assert!(stage.thread(10).is_invalid(), "the id serves again");
}

#[test]
fn execve_renews_the_process_and_ends_its_threads() {
    let mut stage = Stage::new(vec![process(10, 10, 1), process(12, 10, 1)]);
    stage.openat(10, 3, AT_FDCWD, "kept", 1);
    stage.openat(10, 4, AT_FDCWD, "gone", 1 | O_CLOEXEC);
    stage.execve(10, 10, 1, "/usr/bin/ls");
    let thread = stage.thread(10);
    assert_eq!((&*thread.comm, &*thread.exe, &*thread.exepath), (&b"ls"[..], &b"/usr/bin/ls"[..], &b"/usr/bin/ls"[..]));
    assert_eq!(&*thread.cmdline, b"ls -x two words");
    assert_eq!(thread.args().collect::<Vec<_>>(), [&b"-x"[..], b"two words"]);
    assert_eq!(thread.env().count(), 2);
    assert_eq!((thread.tty, thread.loginuid, thread.uid, thread.gid), (7, 1000, 33, 44));
    assert_eq!((thread.cap_inheritable, thread.cap_permitted, thread.cap_effective), (8, 9, 10));
    assert_eq!((thread.exe_ino, thread.exe_writable, thread.exe_upper_layer), (11, true, false));
    assert_eq!(thread.cgroups().collect::<Vec<_>>(), [(&b"cpu"[..], &b"/a"[..]), (b"memory", b"/b")]);
    assert!(stage.state().thread(12).is_none());
    assert_eq!((stage.fd_name(10, 3).as_deref(), stage.fd_name(10, 4)), (Some("/root/kept"), None));
}

#[test]
fn a_failed_execve_changes_nothing() {
    let mut stage = Stage::new(vec![process(10, 10, 1)]);
    let errno = stage.see(10, Kind::SYSCALL_EXECVE_19_X, &[P::I(-2), P::T("/bin/x")], |c| c.errno);
    assert_eq!((errno, &*stage.thread(10).comm), (2, &b"p10"[..]));
}

#[test]
fn the_command_line_survives_a_new_name() {
    let mut stage = Stage::new(vec![process(10, 10, 1)]);
    stage.execve(10, 10, 1, "/bin/sh");
    stage.feed(10, Kind::SYSCALL_PRCTL_X, &[P::I(0), P::U32(15), P::T("worker"), P::I(0)]);
    assert_eq!((&*stage.thread(10).comm, &*stage.thread(10).cmdline), (&b"worker"[..], &b"sh -x two words"[..]));
}

#[test]
fn an_unknown_thread_becomes_a_placeholder_and_then_real() {
    let mut stage = Stage::new(Vec::new());
    stage.openat(40, 3, AT_FDCWD, "x", 1);
    assert_eq!((&*stage.thread(40).comm, stage.thread(40).pid, stage.thread(40).uid), (&b"<NA>"[..], -1, u32::MAX));
    assert!(stage.thread(40).is_invalid());
    assert!(stage.state().group_of(stage.thread(40)).is_none());
    stage.execve(40, 40, 1, "/bin/true");
    let thread = stage.thread(40);
    assert_eq!((thread.pid, thread.ptid, thread.vpid, &*thread.comm), (40, 1, 40, &b"true"[..]));
    assert_eq!(stage.state().group_of(thread).map(|g| g.alive), Some(1));
}

#[test]
fn an_unknown_caller_is_repaired_by_its_clone() {
    let mut stage = Stage::new(Vec::new());
    stage.clone(40, 41, ids(40, 40, 1, 0));
    let caller = stage.thread(40);
    assert_eq!((caller.pid, caller.ptid, caller.vpid, &*caller.comm), (40, 1, 40, &b"child"[..]));
    assert_eq!(stage.thread(41).ptid, 40);
}

#[test]
fn switches_and_exits_invent_nobody() {
    let mut stage = Stage::new(Vec::new());
    stage.feed(50, Kind::SCHEDSWITCH_6_E, &[P::I(0), P::U64(0), P::U64(0), P::U32(0), P::U32(0), P::U32(0)]);
    stage.feed(51, Kind::PROCINFO_E, &[P::U64(0), P::U64(0)]);
    stage.exit(52, 0);
    assert_eq!(stage.state().thread_count(), 0);
}

#[test]
fn ids_and_rights_change_on_success_only() {
    let mut stage = Stage::new(vec![process(10, 10, 1)]);
    stage.feed(10, Kind::SYSCALL_SETUID_X, &[P::I(0), P::U32(7)]);
    stage.feed(10, Kind::SYSCALL_SETGID_X, &[P::I(-1), P::U32(7)]);
    assert_eq!((stage.thread(10).uid, stage.thread(10).gid), (7, 0));
    stage.feed(10, Kind::SYSCALL_SETRESUID_X, &[P::I(0), P::U32(1), P::U32(u32::MAX), P::U32(3)]);
    assert_eq!(stage.thread(10).uid, 7, "-1 keeps the id");
    stage.feed(10, Kind::SYSCALL_SETRESGID_X, &[P::I(0), P::U32(1), P::U32(2), P::U32(3)]);
    assert_eq!(stage.thread(10).gid, 2);
    stage.feed(10, Kind::SYSCALL_CAPSET_X, &[P::I(0), P::U64(1), P::U64(2), P::U64(3)]);
    assert_eq!(stage.thread(10).cap_effective, 3);
    stage.feed(10, Kind::SYSCALL_UNSHARE_X, &[P::I(0), P::U32(1 << 20)]);
    assert_eq!(stage.thread(10).cap_effective, 0x1ff_ffff_ffff);
    stage.feed(10, Kind::SYSCALL_SETSID_X, &[P::I(10)]);
    assert_eq!(stage.thread(10).sid, 10);
    stage.feed(10, Kind::SYSCALL_CHROOT_X, &[P::I(0), P::T("jail")]);
    assert_eq!(&*stage.thread(10).root, b"/root/jail");
    stage.feed(10, Kind::SYSCALL_SETRLIMIT_X, &[P::I(0), P::I(99), P::I(99), P::U8(7)]);
    assert_eq!(stage.thread(10).fdlimit, 99);
}

#[test]
fn giving_up_root_gives_up_capabilities() {
    let rooted = || {
        let mut root = process(10, 10, 1);
        (root.cap_effective, root.cap_permitted) = (7, 7);
        Stage::new(vec![root])
    };
    let caps = |stage: &Stage| (stage.thread(10).cap_effective, stage.thread(10).cap_permitted);
    let setresuid = |ids: [u32; 3]| [P::I(0), P::U32(ids[0]), P::U32(ids[1]), P::U32(ids[2])];
    let mut stage = rooted();
    stage.feed(10, Kind::SYSCALL_SETRESUID_X, &setresuid([u32::MAX, 33, u32::MAX]));
    assert_eq!(caps(&stage), (0, 7), "the saved id is still root");
    stage.feed(10, Kind::SYSCALL_SETRESUID_X, &setresuid([u32::MAX, 0, u32::MAX]));
    assert_eq!(caps(&stage), (7, 7));
    stage.feed(10, Kind::SYSCALL_SETRESUID_X, &setresuid([33, 33, 33]));
    assert_eq!(caps(&stage), (0, 0));
    let mut stage = rooted();
    stage.feed(10, Kind::SYSCALL_PRCTL_X, &[P::I(0), P::U32(8), P::None, P::I(1)]);
    stage.feed(10, Kind::SYSCALL_SETUID_X, &[P::I(0), P::U32(33)]);
    assert_eq!(caps(&stage), (0, 7), "kept on request");
}

#[test]
fn ancestors_end_at_a_loop() {
    let stage = Stage::new(vec![process(10, 10, 30), process(20, 20, 10), process(30, 30, 20)]);
    assert!(stage.state().ancestors(stage.thread(10)).count() < 8);
}

#[test]
fn ids_beyond_32_bits_work() {
    let big = 1 << 40;
    let mut stage = Stage::new(vec![process(big, big, 1)]);
    stage.clone(big, big + 1, ids(big, big, 1, 0));
    assert_eq!(stage.state().parent(stage.thread(big + 1)).map(|t| t.tid), Some(big));
}

#[test]
fn a_full_table_refuses_and_counts() {
    let mut options = Options::default();
    options.limits.threads = 2;
    options.limits.own_pid = 13;
    let mut stage = Stage::with(options, vec![process(10, 10, 1), process(11, 11, 1)]);
    stage.clone(10, 12, ids(10, 10, 1, 0));
    assert!(stage.state().thread(12).is_none());
    assert_eq!(
        stage.engine.metrics().find(|(n, _)| *n == "n_drops_full_threadtable"),
        Some(("n_drops_full_threadtable", 1))
    );
    stage.clone(10, 13, ids(10, 10, 1, 0));
    assert!(stage.state().thread(13).is_some(), "the watching process always fits");
}

struct FakeProc;

impl ProcSource for FakeProc {
    fn process(&mut self, tid: i64) -> Option<Proc> {
        match tid {
            60 | 61 => Some(process(tid, 60, 1)),
            _ => None,
        }
    }

    fn is_alive(&mut self, tid: i64) -> bool {
        tid == 60
    }

    fn container(&mut self, pid: i64, full_id: &[u8]) -> Option<ContainerInfo> {
        let name = format!("{} of {pid}", String::from_utf8_lossy(full_id));
        Some(ContainerInfo { name, ..ContainerInfo::default() })
    }
}

#[test]
fn containers_are_asked_about_once_at_their_first_process() {
    let mut inside = process(60, 60, 1);
    inside.cgroups = b"cpu=/default/there_before\0".to_vec();
    let mut stage = Stage::new(vec![inside]);
    stage.engine.set_proc_source(Box::new(FakeProc));
    let name = |stage: &Stage| {
        let container = stage.state().containers.lookup(b"there_before")?;
        container.info.as_ref().map(|info| info.name.clone())
    };
    assert_eq!(name(&stage).as_deref(), Some("there_before of 60"));
    stage.clone(60, 61, ids(61, 61, 60, 0));
    assert_eq!(name(&stage).as_deref(), Some("there_before of 60"), "not asked again");
}

#[test]
fn unknown_threads_are_looked_up_where_possible() {
    let mut stage = Stage::new(Vec::new());
    stage.engine.set_proc_source(Box::new(FakeProc));
    stage.openat(61, 3, AT_FDCWD, "x", 1);
    assert_eq!(&*stage.thread(61).comm, b"p60");
    assert_eq!(stage.fd_name(60, 3).as_deref(), Some("/root/x"));
    stage.openat(70, 3, AT_FDCWD, "x", 1);
    assert!(stage.thread(70).is_invalid());
    stage.now += 700_000_000_000;
    stage.tick();
    assert!(stage.state().thread(60).is_some(), "still alive");
    assert!(stage.state().thread(61).is_none() && stage.state().thread(70).is_none(), "idle and gone");
}

#[test]
fn a_snapshot_of_the_state_seeds_the_same_state() {
    let mut stage = family();
    stage.openat(82, 3, AT_FDCWD, "a", 1);
    stage.execve(82, 82, 79, "/bin/ls");
    let pipe = [P::I(0), P::I(4), P::I(5), P::U64(55), P::U32(0)];
    stage.feed(82, Kind::SYSCALL_PIPE2_X, &pipe);
    stage.feed(82, Kind::SOCKET_SOCKET_X, &[P::I(6), P::U32(2), P::U32(1), P::U32(0), P::U32(0)]);
    stage.openat(999, 3, AT_FDCWD, "placeholder", 1);
    let first = stage.state().snapshot();
    let mut copy = Stage::new(Vec::new());
    copy.engine.seed(first.clone());
    assert_eq!(copy.state().thread_count(), stage.state().thread_count() - 1);
    assert_eq!(copy.state().snapshot(), first);
    assert_eq!(&*copy.thread(82).cmdline, b"ls -x two words");
    assert_eq!(copy.fd_name(82, 6).as_deref(), Some(""), "a socket without addresses has no name");
}

#[test]
fn the_engine_can_move_to_another_thread() {
    let engine = engine::Engine::default();
    let events = std::thread::spawn(move || engine.events()).join();
    assert_eq!(events.ok(), Some(0));
}
