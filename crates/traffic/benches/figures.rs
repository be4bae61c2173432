//! What a packet costs: BPF_PROG_TEST_RUN of policies and programs, minus a program that does nothing, in the same run; and what
//! loading and judging captures cost. `cargo bench -p traffic`; needs root. Figures are information, never an assertion.

#![allow(clippy::print_stdout)] // a bench prints

use std::time::Instant;
use traffic::chain::{self, Selection};
use traffic::kernel::{LoadedPolicy, LoadedPrograms, Purpose};
use traffic::policy::{Direction, Policy, read};
use traffic::replay::Judge;
use traffic::{catalogue, flow_text};

fn main() {
    if !testkit::root::may_filter() {
        return;
    }
    let frame = flow_text::frame("tcp 10.0.0.1:40000 -> 10.0.0.10:443 ack").expect("a flow");
    let nop = bare(&frame);
    println!("a bare program {nop} ns, subtracted from all others; the least of {ROUNDS} rounds of {REPEAT} runs");
    let four = "allow_ethertype:ipv4+arp,allow_ipv4:10.0.0.10,allow_proto:tcp+udp,allow_port:443";
    let fused = programs(&Selection::Chain(chain::parse(four).expect("a chain")), &frame);
    println!("chain of four, fused, with counters: {} ns", fused.saturating_sub(nop));
    println!("the program `nop`, which counts: {} ns", programs(&single("nop"), &frame).saturating_sub(nop));
    for (name, text) in [
        ("one rule", many_ports(1)),
        ("64 rules, the last one matches", many_ports(64)),
        ("10,000 CIDRs with ports", many_nets(10_000)),
    ] {
        let cold = policy(&format!("{text}stateful: no\n"));
        let known = policy(&text);
        println!(
            "{name}: {} ns cold, {} ns established; loaded in {:.1} ms",
            time(&cold, &frame).saturating_sub(nop),
            time(&known, &frame).saturating_sub(nop),
            load_millis(&cold),
        );
    }
    println!("a million frames of a capture judged in {:.1} s", replay_seconds(&frame));
}

fn single(name: &str) -> Selection {
    let program = catalogue::find(name).expect("a program");
    Selection::Single(chain::Stage { program, input: traffic::input::Input::None })
}

fn bare(frame: &[u8]) -> u64 {
    let object = load::Loader::new("bare", BARE).load().expect("load");
    least(|| object.run_packet("bare", &load::PacketInput { frame, tstamp: 0, repeat: REPEAT }).expect("run").nanos)
}

fn programs(selection: &Selection, frame: &[u8]) -> u64 {
    let loaded = LoadedPrograms::load(selection, false, -1).expect("load");
    least(|| loaded.run(frame, REPEAT).expect("run").1)
}

fn time(policy: &Policy, frame: &[u8]) -> u64 {
    let loaded = load(policy);
    least(|| loaded.time(frame, Direction::Out, REPEAT).expect("run"))
}

fn load(policy: &Policy) -> LoadedPolicy {
    let purpose = Purpose::Attach { generation: 1, link_header: 14, meta: &[0; 8], flows: None, mirrored: false };
    LoadedPolicy::load(policy, &purpose).expect("load")
}

fn load_millis(policy: &Policy) -> f64 {
    let micros = least(|| {
        let start = Instant::now();
        drop(load(policy));
        u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
    });
    micros as f64 / 1000.0
}

fn replay_seconds(frame: &[u8]) -> f64 {
    let mut judge = Judge::new(&policy(&many_ports(64))).expect("load");
    let start = Instant::now();
    for time in 0..1_000_000 {
        judge.judge(frame, Direction::Out, time).expect("agreement");
    }
    start.elapsed().as_secs_f64()
}

/// The least of some rounds: a shared machine only ever adds.
fn least(sample: impl FnMut() -> u64) -> u64 {
    std::iter::repeat_with(sample).take(ROUNDS).min().unwrap_or_default()
}

fn policy(text: &str) -> Policy {
    read::read("bench", text, &|_| Err(std::io::ErrorKind::NotFound.into())).expect("valid").remove(0)
}

fn many_ports(count: u16) -> String {
    let rule = |n: u16| {
        format!("  - {{name: r{n}, action: allow, to: 10.0.0.{}, protocol: tcp, port: {}}}\n", n % 250, 443 + count - n)
    };
    let rules: String = (1..count).map(rule).collect();
    format!("name: p\nrules:\n{rules}  - {{name: last, action: allow, to: 10.0.0.10, protocol: tcp, port: 443}}\n")
}

fn many_nets(count: u32) -> String {
    let net = |n: u32| format!("{}/28", std::net::Ipv4Addr::from(0x0a00_0000 + n * 64));
    let nets: Vec<String> = (0..count).map(net).collect();
    format!(
        "name: p\nsets: {{many: [{}]}}\nrules:\n  - {{name: r, action: allow, to: many, protocol: tcp, port: [443, 8000-8100]}}\n",
        nets.join(", ")
    )
}

static BARE: &[u8] = include!(concat!(env!("OUT_DIR"), "/bare.bpf.rs"));
const ROUNDS: usize = 15;
const REPEAT: u32 = 300_000;
