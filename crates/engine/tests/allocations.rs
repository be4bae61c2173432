//! Nothing is allocated between a decoded event and "no rule matched". Allocations of this thread are counted while the
//! shipped rules judge events: those of a recorded workload when it is beside the checkout, and a few made by hand.

#![allow(clippy::print_stdout)] // a skipped part says why

mod common;
mod events;

use allocation_counter::measure;
use common::replay_with_containers;
use engine::{Context, Judge};
use event::Kind;
use events::*;
use rules::{Loader, Matching, Setup};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn shipped() -> Judge {
    let mut files: Vec<_> = std::fs::read_dir(format!("{ROOT}/rules")).expect("the rules").flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut loader = Loader::new(Setup::builtin());
    for path in files.iter().map(std::fs::DirEntry::path).filter(|p| p.extension().is_some_and(|e| e == "yaml")) {
        let text = std::fs::read_to_string(&path).expect("a rules file");
        assert!(loader.load(&path.display().to_string(), &text).successful());
    }
    Judge::new(Arc::new(loader.rule_set().program(Matching::First)))
}

/// How often each kind of event that matched nothing made `judge` allocate.
#[derive(Default)]
struct Found {
    silent: u64,
    guilty: BTreeMap<u16, u64>,
}

impl Found {
    fn look(&mut self, judge: &mut Judge, context: &Context<'_>) {
        let mut matched = false;
        let counted = measure(|| matched = !judge.judge(context).is_empty());
        if !matched {
            self.silent += 1;
            if counted.count_total > 0 {
                *self.guilty.entry(context.event.kind.0).or_default() += counted.count_total;
            }
        }
    }
}

#[test]
fn judging_recorded_events_allocates_only_for_matches() {
    let path = Path::new(ROOT).join("../shared/corpus/captures/busy_200k.scap.gz");
    let Ok(capture) = std::fs::read(&path) else {
        return println!("skipped: no recorded workload beside the checkout");
    };
    let mut judge = shipped();
    // The first pass lets buffers grow to the size that this workload needs; a pass after it has no excuse.
    replay_with_containers(&capture, &mut |context| _ = judge.judge(context).len());
    let mut found = Found::default();
    replay_with_containers(&capture, &mut |context| found.look(&mut judge, context));
    assert!(found.silent > 100_000, "{}", found.silent);
    assert_eq!(found.guilty, BTreeMap::new(), "allocations by kind of event");
}

/// Events that change no table: state and verdict together.
#[test]
fn events_that_change_nothing_allocate_nothing() {
    assert_eq!(measure(|| drop(std::hint::black_box(vec![1]))).count_total, 1, "the counter counts");
    let mut stage = Stage::new(vec![process(1, 1, 0), process(10, 10, 1)]);
    let mut judge = shipped();
    stage.openat(10, 3, AT_FDCWD, "notes.txt", 1);
    let failed = [P::I(-2), P::I(AT_FDCWD), P::T("/nowhere/x"), P::U32(1), P::U32(0), P::None, P::None];
    let read = [P::I(5), P::B(b"hello"), P::I(3), P::U32(5)];
    let refused = [P::I(-111), P::None, P::I(7), P::B(&v4([127, 0, 0, 1], 9))];
    let kinds: [(Kind, &[P<'_>]); 3] =
        [(Kind::SYSCALL_OPENAT_2_X, &failed), (Kind::SYSCALL_READ_X, &read), (Kind::SOCKET_CONNECT_X, &refused)];
    for round in 0..3 {
        for (kind, params) in kinds {
            let bytes = stage.encoded(10, kind, params);
            let event = event::Event::decode(&bytes, 0).expect("an event");
            let counted = measure(|| {
                let matched = judge.judge(&stage.engine.push(&event, "syscall")).len();
                assert_eq!(matched, 0);
            });
            assert!(round == 0 || counted.count_total == 0, "{kind:?}: {counted:?}");
        }
    }
}
