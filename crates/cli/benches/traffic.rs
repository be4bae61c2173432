//! What filtering costs where it happens: packets on a cable beside nftables in the same run, attaching, updating under
//! load with every packet accounted for, CNI calls. `cargo bench -p hawkbell --bench traffic`; needs root, works in network
//! namespaces of its own. Figures are information; the only thing that fails the run is a leaked packet.

#![allow(clippy::print_stdout)] // a bench prints

#[path = "../tests/packets/mod.rs"]
mod packets;

use packets::Sender;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::netns::{Bpffs, Netns};
use traffic::attach::{self, FilterPlace, Hook, HookDirection, Options, Place, ProgramAttachment};
use traffic::chain::{self, Selection};
use traffic::kernel::{LoadedPolicy, LoadedPrograms, Purpose};
use traffic::policy::{Direction, Policy, read};

fn main() -> ExitCode {
    if !testkit::root::may_filter() {
        return ExitCode::SUCCESS;
    }
    let Some(netns) = Netns::with_cable() else { return ExitCode::SUCCESS };
    on_a_cable();
    attaching(&netns);
    pods(&netns);
    updating(&netns)
}

/// One place with one filter, which every frame sent passes.
struct Lane {
    name: &'static str,
    _netns: Netns,
    sender: Sender,
    least_nanos: u64,
}

/// Nanoseconds per packet of the whole way over the cable, beside a lane whose filter does nothing.
fn on_a_cable() {
    let bpffs = Bpffs::mount();
    let lanes = [
        ("nop", lane(|n| attach_programs(n, "nop"))),
        ("chain of four", lane(|n| attach_programs(n, FOUR))),
        ("policy, the same as rules", lane(|n| apply(n, &bpffs, &four_as_policy()))),
        ("policy, 64 rules", lane(|n| apply(n, &bpffs, &policy(64, Direction::Out)))),
        ("nftables, the same as rules", lane(nftables)),
    ];
    let mut lanes: Vec<Lane> = lanes
        .into_iter()
        .filter_map(|(name, made)| {
            let (_netns, sender) = made?;
            Some(Lane { name, _netns, sender, least_nanos: u64::MAX })
        })
        .collect();
    let frame = packets::frame("tcp 443");
    for _ in 0..ROUNDS {
        for lane in &mut lanes {
            let start = cpu_nanos();
            (0..FRAMES_PER_ROUND).for_each(|_| assert!(lane.sender.send(&frame)));
            lane.least_nanos = lane.least_nanos.min((cpu_nanos() - start) / FRAMES_PER_ROUND);
        }
    }
    let nop = lanes.first().map_or(0, |lane| lane.least_nanos);
    println!("a packet over a cable with `nop`: {nop} ns; all others minus nop, the least of {ROUNDS} rounds");
    for lane in lanes.iter().skip(1) {
        println!("  {:28} {} ns", lane.name, lane.least_nanos.saturating_sub(nop));
    }
}

/// CPU time of this thread. Filters at egress run in the sender's context, so that what others do is not in it.
fn cpu_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
}

fn lane(filter: impl FnOnce(&Netns) -> bool) -> Option<(Netns, Sender)> {
    let netns = Netns::with_cable()?;
    let filtered = filter(&netns);
    let sender = Sender::open(&netns, "a");
    filtered.then_some((netns, sender))
}

/// Catalogue programs at egress of `a`.
fn attach_programs(netns: &Netns, programs: &str) -> bool {
    let selection = match programs {
        "nop" => Selection::Single(chain::Stage {
            program: traffic::catalogue::find("nop").expect("a program"),
            input: traffic::input::Input::None,
        }),
        chain => Selection::Chain(chain::parse(chain).expect("a chain")),
    };
    let loaded = LoadedPrograms::load(&selection, true, -1).expect("load");
    let attach = || {
        let place = Place::here("a").expect("an interface");
        let hook = Hook { ifindex: place.ifindex, direction: HookDirection::Egress };
        ProgramAttachment::attach(&loaded, "a", hook, Some(FilterPlace { priority: 1, handle: 1 })).is_ok()
    };
    attach::netns::run(&netns.path(), attach).expect("a namespace")
}

fn apply(netns: &Netns, bpffs: &Bpffs, policy: &Policy) -> bool {
    let options = Options { bpffs: Some(bpffs.path.clone()), ..Options::default() };
    let apply = || attach::apply(policy, &Place::here("a").expect("an interface"), &options).is_ok();
    attach::netns::run(&netns.path(), apply).expect("a namespace")
}

/// The four conditions as one rule of the hook that is nearest to ours; no lane where nft or the hook is missing.
fn nftables(netns: &Netns) -> bool {
    let rules = "table netdev t {\nchain c {\ntype filter hook egress device a priority 0; policy drop;\n\
                 ether type arp accept\n\
                 ether type ip ip daddr 10.0.0.53 meta l4proto { tcp, udp } th dport 443 counter accept\n}\n}\n";
    let made = netns.command("nft").arg(rules).stderr(Stdio::null()).status();
    let made = made.is_ok_and(|status| status.success());
    if !made {
        println!("nftables: not measured, nft or its netdev hook is missing");
    }
    made
}

/// From the start of the process to the first dot, or to its end.
fn attaching(netns: &Netns) {
    let chain = format!("-i a --chain {FOUR}");
    println!("attaching, the whole process, median of {RUNS}");
    for (name, arguments) in [("nop", "-i a nop"), ("block_port", "-i a block_port 443"), ("chain of four", &chain)] {
        let millis = median(|| {
            let start = Instant::now();
            let mut child = Command::new(HAWKBELL)
                .args(["traffic"])
                .args(arguments.split(' '))
                .stdout(Stdio::piped())
                .in_netns(netns)
                .expect("start");
            let mut dot = [0];
            child.stdout.as_mut().expect("piped").read_exact(&mut dot).expect("a dot");
            let elapsed = start.elapsed();
            Command::new("kill").arg(child.id().to_string()).status().expect("kill");
            child.wait().expect("wait");
            elapsed
        });
        println!("  {name:28} {millis}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let bpffs = Bpffs::mount();
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, text(64, Direction::Out)).expect("write");
    let run = |words: &[&str]| {
        let mut command = Command::new(HAWKBELL);
        command.arg("traffic").args(words).arg("--bpffs").arg(&bpffs.path).stdout(Stdio::null());
        assert!(command.in_netns(netns).expect("start").wait().expect("wait").success());
    };
    let path = file.to_str().expect("a path");
    let millis = median(|| {
        let start = Instant::now();
        run(&["apply", "-i", "a", path]);
        let elapsed = start.elapsed();
        run(&["detach", "p"]);
        elapsed
    });
    println!("  {:28} {millis}", "policy, 64 rules");
}

/// ADD for a pod on a cable: the whole plugin process, after the plugin that makes the cable.
fn pods(netns: &Netns) {
    let pod = Netns::new().expect("a namespace");
    netns.ip(&format!("link add name host0 type veth peer name eth0 netns {}", pod.name));
    let bpffs = Bpffs::mount();
    println!("hawkbell-cni ADD, the whole process, median of {RUNS}");
    for (name, what) in [
        ("program", r#""program":"block_port","input":"443""#),
        ("chain of four", &format!(r#""chain":"{FOUR}""#)),
        (
            "policy",
            r#""policy":{"name":"p","direction":"out","rules":[{"name":"r","action":"allow","protocol":"tcp","port":443}]}"#,
        ),
    ] {
        let config = format!(
            r#"{{"cniVersion":"1.0.0","name":"net","type":"hawkbell-cni",{what},"prevResult":{{"cniVersion":"1.0.0","interfaces":[{{"name":"host0"}}]}}}}"#
        );
        let call = |verb: &str| {
            let mut command = Command::new(PLUGIN);
            command
                .env("CNI_COMMAND", verb)
                .env("CNI_CONTAINERID", "pod")
                .env("CNI_IFNAME", "eth0")
                .env("CNI_NETNS", pod.path())
                .env("HAWKBELL_BPFFS", &bpffs.path)
                .stdin(Stdio::piped())
                .stdout(Stdio::null());
            let start = Instant::now();
            let mut child = command.in_netns(netns).expect("start");
            child.stdin.take().expect("piped").write_all(config.as_bytes()).expect("write");
            assert!(child.wait().expect("wait").success(), "{verb}");
            start.elapsed()
        };
        let millis = median(|| {
            let elapsed = call("ADD");
            call("DEL");
            elapsed
        });
        println!("  {name:28} {millis}");
    }
}

/// Two versions that both deny what a sender floods: nothing of it may pass while they take turns.
fn updating(netns: &Netns) -> ExitCode {
    let bpffs = Bpffs::mount();
    let options = Options { bpffs: Some(bpffs.path.clone()), ..Options::default() };
    let versions = [1, 2].map(|rules| policy(rules, Direction::Out));
    let sender = Sender::open(netns, "a");
    let frame = packets::frame("udp 9999");
    let (started, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let flood = || {
        let (mut sent, mut leaked) = (0u64, 0u64);
        while sent < FLOOD || !done.load(Ordering::Relaxed) {
            leaked += u64::from(sender.send(&frame));
            sent += 1;
            started.store(true, Ordering::Relaxed);
        }
        (sent, leaked)
    };
    let update = || {
        let place = Place::here("a").expect("an interface");
        attach::apply(&versions[0], &place, &options).expect("apply");
        std::thread::scope(|scope| {
            let flooding = scope.spawn(flood);
            while !started.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            let swap = median(|| swap(&versions, &place));
            let whole = median_of(RUNS * 4, |n| {
                let start = Instant::now();
                attach::apply(&versions[n % 2], &place, &options).expect("apply");
                start.elapsed()
            });
            done.store(true, Ordering::Relaxed);
            (swap, whole, flooding.join().expect("a count"))
        })
    };
    let (swap, whole, (sent, leaked)) = attach::netns::run(&netns.path(), update).expect("a namespace");
    println!("policy update: the swap {swap}, with loading {whole}, under load");
    println!("  {leaked} of {sent} denied packets leaked during {} updates", RUNS * 4);
    if leaked == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The step in which the kernel goes from one version to the other.
fn swap(versions: &[Policy; 2], place: &Place) -> Duration {
    let purpose = Purpose::Attach { generation: 1, link_header: 14, meta: &[0; 8], flows: None, mirrored: false };
    let [old, new] = versions.each_ref().map(|policy| LoadedPolicy::load(policy, &purpose).expect("load"));
    let link = old.attach_tcx(Direction::Out, place.ifindex).expect("attach");
    let program = new.program(Direction::Out).expect("a program");
    let start = Instant::now();
    link.replace_with(program.as_fd()).expect("replace");
    start.elapsed()
}

/// Starts a process in a namespace without another process in between, whose start would be measured, too.
trait InNetns {
    fn in_netns(&mut self, netns: &Netns) -> std::io::Result<std::process::Child>;
}

impl InNetns for Command {
    fn in_netns(&mut self, netns: &Netns) -> std::io::Result<std::process::Child> {
        attach::netns::run(&netns.path(), || self.spawn())?
    }
}

/// In words; the least is what the machine's other work cannot spoil.
fn median(mut sample: impl FnMut() -> Duration) -> String {
    median_of(RUNS, |_| sample())
}

fn median_of(runs: usize, sample: impl FnMut(usize) -> Duration) -> String {
    let mut all: Vec<Duration> = (0..runs).map(sample).collect();
    all.sort_unstable();
    let [median, least] = [all[runs / 2], all[0]].map(|time| time.as_secs_f64() * 1e3);
    format!("{median:.3} ms (least {least:.3})")
}

fn policy(rules: u16, direction: Direction) -> Policy {
    parsed(&text(rules, direction))
}

/// The chain of four as a policy without state: what nftables gets, too.
fn four_as_policy() -> Policy {
    parsed(
        "name: p\ndirection: out\nstateful: no\nessential: [arp]\nrules:\n  \
         - {name: r, action: allow, to: 10.0.0.53, protocol: [tcp, udp], port: 443}\n",
    )
}

fn parsed(text: &str) -> Policy {
    read::read("bench", text, &|_| Err(std::io::ErrorKind::NotFound.into())).expect("valid").remove(0)
}

/// The last rule matches.
fn text(rules: u16, direction: Direction) -> String {
    let rule = |n: u16| {
        format!("  - {{name: r{n}, action: allow, to: 10.0.0.{}, protocol: tcp, port: {}}}\n", n % 50, 1000 + n)
    };
    let rules: String = (1..rules).map(rule).collect();
    format!(
        "name: p\ndirection: {direction}\nstateful: no\nrules:\n{rules}  - {{name: last, action: allow, to: 10.0.0.53, protocol: tcp, port: 443}}\n"
    )
}

const HAWKBELL: &str = env!("CARGO_BIN_EXE_hawkbell");
const PLUGIN: &str = env!("CARGO_BIN_EXE_hawkbell-cni");
const FOUR: &str = "allow_ethertype:ipv4+arp,allow_ipv4:10.0.0.53,allow_proto:tcp+udp,allow_port:443";
const ROUNDS: usize = 15;
const FRAMES_PER_ROUND: u64 = 50_000;
const RUNS: usize = 15;
const FLOOD: u64 = 1_000_000;
