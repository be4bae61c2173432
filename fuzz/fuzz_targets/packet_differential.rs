//! Any bytes as a few frames: the program in the kernel and the interpreter judge each by a policy that asks for
//! everything a frame can say, and have to agree. Needs root; without it nothing is compared and the run ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use traffic::policy::{Direction, Policy, read};
use traffic::replay::Judge;

const POLICY: &str = "name: fuzz
direction: both
stateful: {capacity: 4096}
rules:
  - {name: audited, action: deny, mode: audit, to: 10.0.0.0/8}
  - {name: web, action: allow, direction: out, to: [10.0.0.0/8, '2001:db8::/32'], except: 10.1.0.0/16, protocol: tcp, port: [80, 443, 8000-8100]}
  - {name: dns, action: allow, any: [{protocol: udp, port: 53}, {protocol: tcp, port: 53, from: 192.0.2.0/24}]}
  - {name: ping, action: allow, protocol: icmp, icmp: echo-request}
  - {name: low, action: deny, protocol: [sctp, 47]}
  - {name: six, action: allow, from: 'fe80::/10'}
";
/// Before the memories of flows and fragments could be full, which the interpreter's never are.
const INPUTS_PER_JUDGE: u32 = 1000;

fn policy() -> Policy {
    let policies = read::read("fuzz", POLICY, &|_| Err(std::io::ErrorKind::NotFound.into()));
    policies.unwrap_or_else(|findings| panic!("{findings:?}")).remove(0)
}

thread_local! {
    static JUDGE: RefCell<(u32, u64, Option<Judge>)> = const { RefCell::new((0, 0, None)) };
}

fuzz_target!(|bytes: &[u8]| {
    JUDGE.with_borrow_mut(|(inputs, now, judge)| {
        if *inputs % INPUTS_PER_JUDGE == 0 {
            *judge = Some(Judge::new(&policy()).expect("the policy loads"));
            *now = 1_000_000_000;
        }
        *inputs += 1;
        let judge = judge.as_mut().expect("made above");
        assert!(judge.without_kernel.is_none(), "needs root: {:?}", judge.without_kernel);
        // a length, a direction and a time, then a frame
        let mut rest = bytes;
        while let Some(([len, how], tail)) = rest.split_first_chunk() {
            let (frame, tail) = tail.split_at(tail.len().min(usize::from(*len)));
            let direction = if how & 1 == 0 { Direction::In } else { Direction::Out };
            *now += u64::from(*how) * 100_000_000;
            judge.judge(frame, direction, *now).expect("agreement");
            rest = tail;
        }
    });
});
