//! Arbitrary events must never panic the engine nor break what holds between its tables. In come random kinds with
//! random parameters, biased towards ids and descriptors that meet each other.

mod events;

use engine::{Engine, Options, State};
use event::{Event, Kind, wire};
use proptest::prelude::*;
use proptest::test_runner::Config;

/// A parameter: a small number (ids, descriptors, flags), an address, text or noise.
fn param() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![-3i64..14, Just(-100), any::<i64>()];
    let text = prop_oneof![Just("a"), Just("../b"), Just("/x//y/.."), Just(""), Just("<NA>")];
    prop_oneof![
        4 => number.prop_map(|n| n.to_le_bytes().to_vec()),
        2 => (0u32..40).prop_map(|n| n.to_le_bytes().to_vec()),
        1 => any::<u32>().prop_map(|n| n.to_le_bytes().to_vec()),
        2 => text.prop_map(|t| [t.as_bytes(), b"\0"].concat()),
        2 => (prop_oneof![Just(1u8), Just(2), Just(10)], proptest::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(family, rest)| [vec![family], rest].concat()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => Just(Vec::new()),
    ]
}

fn hostile_event() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![3 => proptest::sample::select(STATEFUL), 1 => (0u16..454).prop_map(Kind)];
    let params = proptest::collection::vec(param(), 0..32);
    (any::<u32>(), 0i64..12, kind, params).prop_map(|(ts, tid, kind, params)| {
        let mut bytes = Vec::new();
        let params: Vec<&[u8]> = params.iter().map(Vec::as_slice).collect();
        wire::encode(&mut bytes, u64::from(ts) << 4, tid, kind, &params);
        bytes
    })
}

/// What runs of the fuzz target `event_decode` kept: an event whose parameters lie within it, or an error.
#[test]
fn what_fuzzing_kept_decodes_or_not() {
    let seeds =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/event_decode")).expect("seeds");
    let (mut good, mut bad) = (0, 0);
    for bytes in seeds.flatten().filter_map(|seed| std::fs::read(seed.path()).ok()) {
        match Event::decode(&bytes, 0) {
            Err(_) => bad += 1,
            Ok(event) => {
                let inside: usize = (0..event.nparams()).filter_map(|i| event.param(i)).map(<[u8]>::len).sum();
                assert!(inside <= event.raw().len());
                Engine::default().begin(&event);
                good += 1;
            }
        }
    }
    assert!(good > 0 && bad > 0, "{good} good, {bad} bad");
}

const STATEFUL: &[Kind] = &[
    Kind::SYSCALL_CLONE_20_X,
    Kind::SYSCALL_CLONE3_X,
    Kind::SYSCALL_EXECVE_19_X,
    Kind::SYSCALL_EXECVEAT_X,
    Kind::PROCEXIT_1_E,
    Kind::SYSCALL_OPENAT_2_E,
    Kind::SYSCALL_OPENAT_2_X,
    Kind::SYSCALL_DUP2_X,
    Kind::SYSCALL_CLOSE_X,
    Kind::SYSCALL_CLOSE_RANGE_X,
    Kind::SOCKET_SOCKET_X,
    Kind::SOCKET_CONNECT_E,
    Kind::SOCKET_CONNECT_X,
    Kind::SOCKET_BIND_X,
    Kind::SOCKET_SENDTO_X,
    Kind::SOCKET_RECVMSG_X,
    Kind::SYSCALL_PRCTL_X,
    Kind::SYSCALL_CHDIR_X,
];

/// What must hold between the tables whatever happened.
fn check(state: &State) {
    let mut fds = 0;
    for thread in state.threads() {
        fds += if thread.flags.has(engine::state::ThreadFlags::CLONE_FILES) { 0 } else { table_len(state, thread) };
        if let Some(group) = state.group_of(thread).filter(|g| g.tids.contains(&thread.tid)) {
            let alive = group.tids.iter().filter(|t| state.thread(**t).is_some_and(|t| !t.dead)).count();
            assert_eq!(alive, group.alive as usize, "group of {}", thread.tid);
            assert!(group.tids.iter().all(|t| state.thread(*t).is_some()), "group of {} names the dead", thread.tid);
        }
        assert!(state.children(thread).all(|child| child.ptid == thread.tid), "children of {}", thread.tid);
        assert!(state.ancestors(thread).count() <= 2 * state.thread_count() + 2, "ancestors of {}", thread.tid);
    }
    assert!(fds <= state.fd_count(), "{fds} descriptors, {} counted", state.fd_count());
}

fn table_len(state: &State, thread: &engine::Thread) -> usize {
    state.fds_of(thread).map_or(0, engine::state::FdTable::len)
}

fn run(events: &[Vec<u8>]) {
    let mut engine = Engine::new(Options::default());
    for bytes in events {
        let Ok(event) = Event::decode(bytes, 0) else { continue };
        let context = engine.push(&event, "syscall");
        if let (Some(fd), Some(thread)) = (context.fd, context.thread) {
            assert!(context.state.fds_of(thread).is_some_and(|t| t.iter().any(|(_, e)| std::ptr::eq(e, fd))));
        }
        check(engine.state());
    }
}

proptest! {
    #![proptest_config(Config { cases: 300, failure_persistence: None, ..Config::default() })]

    #[test]
    fn sequences_never_break_the_tables(events in proptest::collection::vec(hostile_event(), 1..60)) {
        run(&events);
    }

    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(event) = Event::decode(&noise, 0) {
            Engine::default().push(&event, "syscall");
        }
    }
}
