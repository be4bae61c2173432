//! The kernel's verdicts against the interpreter's: random policies, random and mutated frames, memory of flows and
//! fragments included. HAWKBELL_FUZZ_FRAMES sets how many frames (default a million, some 15 s), HAWKBELL_FUZZ_SEED where
//! to begin.

#![allow(clippy::print_stdout)] // reasons for skips and what was compared belong in the output

mod common;

use common::{Random, frames, may_load, policies};
use traffic::flow_text;
use traffic::interpret::Interpreter;
use traffic::kernel::{LoadedPolicy, Purpose};
use traffic::policy::{Direction, Verdict, read};
use traffic::replay::Judge;

#[test]
fn kernel_agrees_with_the_interpreter() {
    if !may_load() {
        return;
    }
    let wanted = setting("HAWKBELL_FUZZ_FRAMES", 1_000_000);
    let (mut judged, mut refused, mut seed) = (0, 0, setting("HAWKBELL_FUZZ_SEED", 1));
    while judged < wanted {
        refused += compare(seed);
        judged += FRAMES_PER_POLICY;
        seed += 1;
    }
    println!("{judged} frames judged, {refused} of them refused by the kernel");
    assert!(refused * 4 < judged, "most frames must reach the program: {refused} of {judged} did not");
}

/// The kernel side's shapes are those that counters.rs and hits.rs read (bpf/policy.h).
#[test]
fn shapes_are_the_same_on_both_sides() {
    if !may_load() {
        return;
    }
    let policy = policies::random(&mut Random::new(1));
    let loaded = LoadedPolicy::load(&policy, &Purpose::Judge).unwrap();
    for (map, key_bytes, value_bytes) in [
        ("counters", 4, 64),
        ("carried", 4, 64),
        ("flows4", 16, 24),
        ("flows6", 40, 24),
        ("fragments", 40, 16),
        ("scratch", 4, 56),
    ] {
        let map = loaded.map(map).unwrap();
        assert_eq!((map.key_bytes(), map.value_bytes()), (key_bytes, value_bytes), "{}", map.name());
    }
}

/// Captures may hold more flows than the memory, and frames out of order: neither is a disagreement.
#[test]
fn replay_takes_full_memories_and_clocks_that_go_back() {
    if !may_load() {
        return;
    }
    let text = "name: p\ndirection: both\nstateful: {capacity: 64}\nrules:\n  - {name: out, action: allow, direction: out, protocol: udp}\n";
    let policy = read::read("test", text, &|_| Err(std::io::ErrorKind::NotFound.into())).unwrap().remove(0);
    let mut judge = Judge::new(&policy).unwrap();
    let frame = |source: &str, to: &str| flow_text::frame(&format!("udp {source} -> {to}")).unwrap();
    for port in 1..=2000u64 {
        let (near, far) = (format!("10.0.0.1:{port}"), "10.0.0.2:53");
        let out = judge.judge(&frame(&near, far), Direction::Out, 5_000_000_000 - port).unwrap();
        assert_eq!(out.verdict, Verdict::Allow);
    }
    for port in 1..=2000u64 {
        judge.judge(&frame("10.0.0.2:53", &format!("10.0.0.1:{port}")), Direction::In, 1).unwrap();
    }
    assert!((1000..2000).contains(&judge.forgotten), "{} forgotten", judge.forgotten);
}

fn compare(seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let policy = policies::random(&mut random);
    let loaded = LoadedPolicy::load(&policy, &Purpose::Judge).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    let mut interpreter = Interpreter::new(&policy);
    let (mut now, mut refused) = (1_000_000_000u64, 0);
    for number in 0..FRAMES_PER_POLICY {
        let frame = frames::random(&mut random);
        let direction = *random.pick(&[Direction::In, Direction::Out]);
        now += *random.pick(&[1u64, 1000, 1_000_000_000, 11_000_000_000]);
        match loaded.judge(&frame, direction, now) {
            Ok(decision) => {
                let expected = interpreter.judge(&frame, direction, now);
                assert_eq!(decision, expected, "seed {seed} frame {number} {direction} {frame:02x?}\n{policy:#?}");
            }
            Err(error) => {
                assert_eq!(error.errno(), Some(22), "seed {seed} frame {number}: {error}");
                refused += 1;
            }
        }
    }
    refused
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

const FRAMES_PER_POLICY: u64 = 4_000;
