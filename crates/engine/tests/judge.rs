//! Rules in force: what matches, and exchanging them while events run.

mod events;

use engine::Judge;
use event::Kind;
use events::*;
use rules::{Loader, Matching, Program, RuleId, Setup};
use std::sync::Arc;

fn program(condition: &str) -> Arc<Program> {
    let rule = format!("- rule: R\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n");
    let mut loader = Loader::new(Setup::builtin());
    let result = loader.load("rules.yaml", &rule);
    assert!(result.successful(), "{}", result.verbose());
    Arc::new(loader.rule_set().program(Matching::First))
}

fn open(stage: &mut Stage, judge: &mut Judge, name: &str) -> Vec<RuleId> {
    let params = [P::I(3), P::I(AT_FDCWD), P::T(name), P::U32(1), P::U32(0), P::U32(3), P::U64(9)];
    stage.see(10, Kind::SYSCALL_OPENAT_2_X, &params, |context| judge.judge(context).to_vec())
}

#[test]
fn rules_are_exchanged_without_touching_the_state() {
    let mut stage = Stage::new(vec![process(10, 10, 1)]);
    let mut judge = Judge::new(program("evt.type = openat and fd.name = /root/secret"));
    assert_eq!(open(&mut stage, &mut judge, "secret").len(), 1);
    assert_eq!(open(&mut stage, &mut judge, "other").len(), 0);
    let before = judge.swap(program("evt.type = openat and fd.name = /root/other"));
    assert!(!Arc::ptr_eq(&before, judge.program()));
    assert_eq!(open(&mut stage, &mut judge, "secret").len(), 0);
    assert_eq!(open(&mut stage, &mut judge, "other").len(), 1);
    assert_eq!(stage.fd_name(10, 3).as_deref(), Some("/root/other"));
}

#[test]
fn enter_events_and_foreign_sources_match_nothing() {
    let mut stage = Stage::new(vec![process(10, 10, 1)]);
    let mut judge = Judge::new(program("evt.type in (openat, close)"));
    let enter = [P::I(AT_FDCWD), P::T("a"), P::U32(1), P::U32(0)];
    let matched = stage.see(10, Kind::SYSCALL_OPENAT_2_E, &enter, |c| judge.judge(c).len());
    assert_eq!(matched, 0);
    let close = [P::I(0), P::I(3)];
    let foreign = |c: &engine::Context<'_>| judge.judge(&engine::Context { source: "k8s_audit", ..*c }).len();
    assert_eq!(stage.see(10, Kind::SYSCALL_CLOSE_X, &close, foreign), 0);
    assert_eq!(stage.see(10, Kind::SYSCALL_CLOSE_X, &close, |c| judge.judge(c).len()), 1);
}
