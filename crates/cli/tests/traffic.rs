//! `hawkbell traffic` as a user runs it, in network namespaces that each test makes: programs on real cables, policies
//! applied, updated, killed and detached, filters of others left alone. Frames are sent by AF_PACKET: a drop at egress
//! comes back to the sender as ENOBUFS.

#![allow(clippy::print_stdout)] // reasons for skips and what was compared belong in the output

mod packets;

use packets::Sender;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use testkit::netns::{Bpffs, Netns};
use testkit::root::may_filter;

const HAWKBELL: &str = env!("CARGO_BIN_EXE_hawkbell");

fn place() -> Option<Netns> {
    if may_filter() { Netns::with_cable() } else { None }
}

/// `hawkbell` under another name.
fn named(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::os::unix::fs::symlink(HAWKBELL, &path).unwrap();
    (folder, path)
}

/// Starts a holding process and waits for its first dot.
fn start(netns: &Netns, program: &Path, arguments: &str) -> Child {
    let mut child = netns
        .command(program)
        .args(arguments.split(' '))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap_or_else(|_| panic!("no dot: {arguments}"));
    assert_eq!(&first, b".");
    child
}

fn stop(mut child: Child, signal: &str) -> Option<i32> {
    Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    child.wait().unwrap().code()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

const CLSACT: &str = "qdisc clsact ffff: parent ffff:fff1 \n";

#[test]
fn a_program_holds_filters_and_cleans_up() {
    let Some(netns) = place() else { return };
    let (_folder, traffico) = named("traffico");
    for (at, signal) in [("EGRESS", "-INT"), ("INGRESS", "-TERM")] {
        let child = start(&netns, &traffico, &format!("-i a --at {at} block_port 443"));
        assert_eq!(netns.text("tc qdisc show dev a clsact"), CLSACT);
        let comm = std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap();
        assert_eq!(comm, "traffico\n");
        assert_eq!(stop(child, signal), Some(0));
        assert_eq!(netns.text("tc qdisc show dev a clsact"), "", "{at}");
    }
}

#[test]
fn verdicts_on_a_real_cable_are_those_of_the_reference() {
    let Some(netns) = place() else { return };
    let (_folder, traffico) = named("traffico");
    let sender = Sender::open(&netns, "a");
    for (arguments, frames) in packets::EXPECTED {
        let child = start(&netns, &traffico, &format!("-i a {arguments}"));
        for (frame, passes) in *frames {
            assert_eq!(sender.send(&packets::frame(frame)), *passes, "{arguments}: {frame}");
        }
        assert_eq!(stop(child, "-TERM"), Some(0));
    }
}

/// The corpus of measured verdicts, live at egress through the older name.
#[test]
fn the_corpus_agrees_live() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/traffic/vectors.json");
    let Ok(file) = std::fs::read(path) else {
        println!("skipped: no shared corpus");
        return;
    };
    let Some(netns) = place() else { return };
    let corpus: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let (_folder, traffico) = named("traffico");
    let sender = Sender::open(&netns, "a");
    let mut judged = 0;
    for (program, input) in corpus["inputs"].as_object().unwrap() {
        let child = start(&netns, &traffico, format!("-i a {program} {}", input.as_str().unwrap_or("")).trim());
        for vector in corpus["vectors"].as_array().unwrap() {
            let frame = packets::unhex(vector["hex"].as_str().unwrap());
            let expected = vector["verdict"][format!("{program}/standalone")] == "ok";
            // the kernel takes no frame without a full Ethernet header
            if frame.len() < 14 {
                continue;
            }
            assert_eq!(sender.send(&frame), expected, "{program}: {}", vector["name"]);
            judged += 1;
        }
        stop(child, "-TERM");
    }
    assert!(judged > 1000, "{judged}");
}

/// A frame whose headers lie in page fragments (a guest chooses that by its virtio header) is judged all the same.
#[test]
fn paged_frames_are_no_way_around() {
    let Some(netns) = place() else { return };
    if !netns.run("python3 -V").status.success() {
        println!("skipped: no python3 to send paged frames with");
        return;
    }
    netns.ip("link set dev a mtu 9000");
    netns.ip("link set dev b mtu 9000");
    let (_folder, traffico) = named("traffico");
    let frame: String = packets::frame("tcp 443").iter().map(|byte| format!("{byte:02x}")).collect();
    let child = start(&netns, &traffico, "-i a block_port 443");
    for (header_bytes, length) in [(14, 5000), (34, 5000), (54, 5000), (14, 60)] {
        let script = PAGED
            .replace("FRAME", &frame)
            .replace("HEADER", &header_bytes.to_string())
            .replace("LENGTH", &length.to_string());
        let output = netns.command("python3").args(["-c", &script]).output().unwrap();
        assert_eq!(text(&output), "dropped\n", "{header_bytes} of {length} bytes linear");
    }
    stop(child, "-TERM");
}

/// Sends through PACKET_VNET_HDR: `hdr_len` bytes are linear, the rest is in pages.
const PAGED: &str = r#"
import socket, struct
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
s.bind(("a", 0))
s.setsockopt(263, 15, 1)
try:
    s.send(struct.pack("<BBHHHH", 0, 0, HEADER, 0, 0, 0) + bytes.fromhex("FRAME").ljust(LENGTH, b"\0"))
    print("passed")
except OSError as e:
    print("dropped" if e.errno == 105 else e)
"#;

#[test]
fn instances_stack_and_leave_filters_of_others_alone() {
    let Some(netns) = place() else { return };
    let (_folder, traffico) = named("traffico");
    let sender = Sender::open(&netns, "a");
    assert!(netns.run("tc qdisc add dev a clsact").status.success());
    let before = (
        netns.text("tc qdisc show dev a"),
        netns.text("tc filter show dev a ingress"),
        netns.text("tc filter show dev a egress"),
    );
    let blocking = start(&netns, &traffico, "-i a block_port 443");
    let gate = start(&netns, &traffico, "-i a allow_ethertype ipv4");
    assert!(!sender.send(&packets::frame("tcp 443")), "the later instance must not override the earlier one");
    assert!(sender.send(&packets::frame("tcp 80")));
    assert!(!sender.send(&packets::frame("arp")));
    assert_eq!(stop(blocking, "-TERM"), Some(0));
    assert!(sender.send(&packets::frame("tcp 443")));
    assert!(!sender.send(&packets::frame("arp")), "the other instance still filters");
    assert_eq!(stop(gate, "-TERM"), Some(0));
    let after = (
        netns.text("tc qdisc show dev a"),
        netns.text("tc filter show dev a ingress"),
        netns.text("tc filter show dev a egress"),
    );
    assert_eq!(before, after);
}

#[test]
fn no_cleanup_leaves_the_filter_and_chains_need_no_pins() {
    let Some(netns) = place() else { return };
    let (_folder, traffico) = named("traffico");
    let sender = Sender::open(&netns, "a");
    let chain = "-i a --no-cleanup --chain allow_ethertype:ipv4,allow_proto:tcp,allow_port:443";
    assert_eq!(stop(start(&netns, &traffico, chain), "-TERM"), Some(0));
    assert_eq!(netns.text("tc qdisc show dev a clsact"), CLSACT);
    assert!(sender.send(&packets::frame("tcp 443")));
    assert!(!sender.send(&packets::frame("tcp 80")), "a chain without its process must not fail open");
    assert!(!sender.send(&packets::frame("udp 443")));
}

/// Compiles C text against the header that the command prints.
fn compile(folder: &Path, source: &str) -> PathBuf {
    let header = Command::new(HAWKBELL).args(["traffic", "header"]).output().unwrap().stdout;
    std::fs::write(folder.join("hawkbell_program.h"), header).unwrap();
    std::fs::write(folder.join("user.bpf.c"), source).unwrap();
    let mut clang = Command::new("clang");
    clang.args(["-O2", "-g", "-Wall", "-Werror", "-target", "bpf", "-I", ".", "-c", "user.bpf.c", "-o", "user.bpf.o"]);
    let done = clang.current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", text(&done));
    folder.join("user.bpf.o")
}

const ODD_PORTS: &str = include_str!("../../../examples/odd_ports.bpf.c");

#[test]
fn a_users_program_filters_alone_and_in_chains() {
    let Some(netns) = place() else { return };
    let (folder, hawkbell) = named("hawkbell");
    let sender = Sender::open(&netns, "a");
    let object = compile(folder.path(), ODD_PORTS);
    let run = |arguments: &str, frames: &[(&str, bool)]| {
        let line = format!("traffic -i a --program-file {} {arguments}", object.display());
        let child = start(&netns, &hawkbell, &line);
        for (frame, passes) in frames {
            assert_eq!(sender.send(&packets::frame(frame)), *passes, "{arguments}: {frame}");
        }
        assert_eq!(stop(child, "-TERM"), Some(0));
    };
    run(
        "odd_ports 1024",
        &[("udp 1025", true), ("udp 1026", false), ("udp 53", false), ("tcp 80", true), ("arp", true)],
    );
    run("--chain allow_ethertype:ipv4,odd_ports:7", &[("udp 53", true), ("udp 54", false), ("arp", false)]);
    // the catalogue's own programs are there all the same
    run("block_port 53", &[("udp 53", false), ("udp 54", true)]);
}

#[test]
fn a_users_program_fails_as_it_says_and_mistakes_are_told() {
    let Some(netns) = place() else { return };
    let (folder, hawkbell) = named("hawkbell");
    let sender = Sender::open(&netns, "a");
    for (fail, passes) in [("fail=closed", false), ("fail=open", true)] {
        let unsure = format!(
            "#include \"hawkbell_program.h\"\nHAWKBELL_PROGRAM(\"name=unsure {fail}\");\n\
             int hawkbell_judge(struct __sk_buff *skb, const struct hawkbell_input *input) {{ return HAWKBELL_UNSURE; }}\n"
        );
        let object = compile(folder.path(), &unsure);
        let child = start(&netns, &hawkbell, &format!("traffic -i a --program-file {}", object.display()));
        assert_eq!(sender.send(&packets::frame("tcp 80")), passes, "{fail}");
        stop(child, "-TERM");
    }
    let said = |source: &str| {
        let object = compile(folder.path(), source);
        let mut command = netns.command(&hawkbell);
        let output = command.args(["traffic", "-i", "a", "--program-file"]).arg(object).output().unwrap();
        assert_ne!(output.status.code(), Some(0));
        assert_eq!(netns.text("tc filter show dev a egress"), "");
        text(&output)
    };
    let header = "#include \"hawkbell_program.h\"\n";
    let wild = "int hawkbell_judge(struct __sk_buff *skb, const struct hawkbell_input *input) \
                { return *(__u8 *)(long)skb->data; }\n";
    let check = |source: String, message: &str| {
        let said = said(&source);
        assert!(said.contains(message), "{said}");
    };
    check(format!("{header}{wild}"), "says nothing about itself");
    check(format!("{header}HAWKBELL_PROGRAM(\"name=Wild\");\n{wild}"), "`name=Wild`: a name is");
    check(format!("{header}HAWKBELL_PROGRAM(\"name=wild\");\n{wild}"), "outside of the packet");
    check(format!("{header}HAWKBELL_PROGRAM(\"name=none\");\n"), "hawkbell_judge");
}

#[test]
fn a_legacy_ingress_qdisc_is_refused_at_egress() {
    let Some(netns) = place() else { return };
    let (_folder, traffico) = named("traffico");
    if !netns.run("tc qdisc add dev a ingress").status.success() {
        println!("skipped: no ingress qdisc in this kernel");
        return;
    }
    let output = netns.command(&traffico).args(["-i", "a", "block_port", "443"]).output().unwrap();
    assert_eq!(output.status.code(), Some(22));
    assert!(text(&output).contains("ingress"), "{}", text(&output));
    assert!(netns.text("tc filter show dev a ingress").is_empty());
}

#[test]
fn usage_errors_end_with_one_and_two_lines() {
    let (_folder, traffico) = named("traffico");
    for (arguments, message) in [
        (&["bogus"][..], "argument 'bogus' is not a traffico program"),
        (&[], "program name is mandatory"),
        (&["-i", "lo", "allow_port", "0"], "invalid port number: '0'"),
        (&["-i", "lo", "--chain", "allow_port:1"], "L3/L4 chains must start with allow_ethertype"),
        (&["-i", "nope0", "nop"], "option '--ifname' requires an existing interface: got 'nope0'\n"),
    ] {
        let output = Command::new(&traffico).args(arguments).output().unwrap();
        let expected =
            format!("traffico: {message}\nTry `traffico --help' or `traffico --usage' for more information.\n");
        assert_eq!((output.status.code(), text(&output)), (Some(1), expected));
    }
    let help = Command::new(&traffico).arg("--help").output().unwrap();
    assert!(text(&help).starts_with("Usage: traffico [OPTION...] PROGRAM [INPUT]\n"));
}

/// One namespace with pins of its own.
struct Site {
    netns: Netns,
    bpffs: Bpffs,
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Option<Site> {
        let netns = place()?;
        Some(Site { netns, bpffs: Bpffs::mount(), folder: tempfile::tempdir().unwrap() })
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("policy.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(HAWKBELL);
        command.arg("traffic").args(arguments.split(' ')).arg("--bpffs").arg(&self.bpffs.path);
        command.args(["--netns", &self.netns.name]);
        command
    }

    fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn ok(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments}: {}", text(&output));
        text(&output)
    }

    fn apply(&self, policy: &str, more: &str) -> String {
        let path = self.file(policy);
        self.ok(format!("apply {} {more}", path.display()).trim())
    }

    /// A counter of the policy `web`.
    fn counter(&self, rule: &str, field: &str) -> u64 {
        let shown: serde_json::Value = serde_json::from_str(&self.ok("show web --json")).unwrap();
        let counters = &shown[0]["counters"];
        let mut rows = counters["rules"].as_array().unwrap().clone();
        rows.push(counters["default"].clone());
        rows.iter().find(|row| row["name"] == rule).unwrap()[field].as_u64().unwrap()
    }
}

const WEB: &str = "name: web\ninterface: a\ndirection: out\nrules:\n  - name: dns-or-https\n    action: allow\n    any:\n      - {to: 10.0.0.53, protocol: [udp, tcp], port: 53}\n      - {to: 10.0.0.0/8, protocol: tcp, port: 443}\n";

#[test]
fn a_policy_with_two_flows_filters_counts_updates_and_detaches() {
    let Some(site) = Site::new() else { return };
    let sender = Sender::open(&site.netns, "a");
    for mechanism in ["tcx", "clsact"] {
        let applied = site.apply(WEB, &format!("--mechanism {mechanism}"));
        assert!(applied.contains(&format!("attached on a out by {mechanism}")), "{applied}");
        assert!(sender.send(&packets::frame("tcp 443")) && !sender.send(&packets::frame("tcp 80")));
        assert!(sender.send(&packets::frame("arp")), "essentials pass");
        assert_eq!((site.counter("dns-or-https", "packets"), site.counter("default", "denied")), (1, 1));
        let plan = site.ok(&format!("plan {}", site.file(&WEB.replace("443", "80")).display()));
        assert!(plan.contains("web on a: replace") && plan.contains("\n  + "), "{plan}");
        let again = site.apply(&WEB.replace("443", "80"), "");
        assert!(again.contains("replaced on a out"), "{again}");
        assert!(sender.send(&packets::frame("tcp 80")));
        // what the earlier version counted is carried over by rule name
        assert_eq!(site.counter("dns-or-https", "packets"), 2);
        let listed: serde_json::Value = serde_json::from_str(&site.ok("list --json")).unwrap();
        assert_eq!((listed.as_array().unwrap().len(), &listed[0]["generation"]), (1, &serde_json::json!(2)));
        let metrics = site.ok("metrics");
        let is_sample = |line: &str| {
            line.starts_with("hawkbell_traffic_packets_total{policy=\"web\",interface=\"a\",direction=\"out\",")
                && line.ends_with(",rule=\"dns-or-https\"} 2")
        };
        assert!(metrics.lines().any(is_sample), "{metrics}");
        site.ok("detach web");
        assert!(sender.send(&packets::frame("tcp 25")));
        assert_eq!(site.netns.text("tc qdisc show dev a clsact"), "");
    }
    assert_eq!(site.run("show web").status.code(), Some(1));
}

#[test]
fn answers_pass_and_others_do_not() {
    let Some(site) = Site::new() else { return };
    let policy = "name: web\ninterface: a\ndirection: both\nrules:\n  - {name: out, action: allow, direction: out, protocol: tcp, port: 443}\n";
    site.apply(policy, "");
    let (near, far) = (Sender::open(&site.netns, "a"), Sender::open(&site.netns, "b"));
    far.send(&packets::reply("tcp 443"));
    assert_eq!(site.counter("default", "denied"), 1, "no connection yet");
    assert!(near.send(&packets::frame("tcp 443")));
    far.send(&packets::reply("tcp 443"));
    assert_eq!(site.counter("out", "established"), 1);
    // an update keeps known flows; which no rule of the new version allows are counted beside its rules
    site.apply(&policy.replace("443", "444"), "");
    far.send(&packets::reply("tcp 443"));
    assert_eq!((site.counter("out", "established"), site.counter("default", "established")), (1, 1));
    // and rules that move take their flows along
    let moved = policy.replace("rules:\n", "rules:\n  - {name: first, action: deny, protocol: 47}\n");
    site.apply(&moved, "");
    assert!(near.send(&packets::frame("tcp 443")));
    far.send(&packets::reply("tcp 443"));
    assert_eq!((site.counter("out", "established"), site.counter("first", "established")), (2, 0));
    site.ok("detach web");
}

#[test]
fn audit_drops_nothing_and_says_what_it_would() {
    let Some(site) = Site::new() else { return };
    let sender = Sender::open(&site.netns, "a");
    let applied = site.apply(&format!("{WEB}mode: audit\n"), "");
    assert!(applied.contains("AUDIT"), "{applied}");
    assert!(sender.send(&packets::frame("tcp 80")));
    assert_eq!((site.counter("default", "audited"), site.counter("default", "denied")), (1, 0));
    let seen = site.ok("watch web --count 1 --duration 5s --json");
    let hit: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert_eq!((&hit["verdict"], &hit["passed"], &hit["destination_port"]), (&"deny".into(), &true.into(), &80.into()));
    site.ok("detach web");
}

#[test]
fn mistakes_are_shown_together_and_nothing_is_attached() {
    let Some(site) = Site::new() else { return };
    let path =
        site.file("name: web\ninterface: a\ncolour: red\nrules:\n  - {name: x, action: maybe, to: 10.0.0.300}\n");
    let output = site.run(&format!("apply {}", path.display()));
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1));
    for place in [":3:1: error[unknown-key]", ":5:23: error[bad-choice]", ":5:34: error[bad-cidr]"] {
        assert!(said.contains(place), "{place} in {said}");
    }
    assert!(site.ok("list").contains("no policy is attached"));
    let missing = site.run(&format!("apply {} -i nope0", site.file(WEB).display()));
    assert!(text(&missing).contains("interface `nope0`: no such device"), "{}", text(&missing));
}

#[test]
fn without_confirmation_the_earlier_version_comes_back() {
    let Some(site) = Site::new() else { return };
    let sender = Sender::open(&site.netns, "a");
    site.apply(WEB, "");
    let path = site.file(&WEB.replace("443", "80"));
    let output = site.command(&format!("apply {} --confirm 1s", path.display())).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(sender.send(&packets::frame("tcp 443")) && !sender.send(&packets::frame("tcp 80")));
    // a direction that only the earlier version has is there until the new one is confirmed
    let directions = || {
        let listed: serde_json::Value = serde_json::from_str(&site.ok("list --json")).unwrap();
        listed.as_array().unwrap().len()
    };
    site.apply(&WEB.replace("direction: out", "direction: both"), "");
    let output =
        site.command(&format!("apply {} --confirm 1s", site.file(WEB).display())).stdin(Stdio::null()).output();
    assert_eq!((output.unwrap().status.code(), directions()), (Some(1), 2));
    assert!(!site.ok("list").contains("MIXED"));
    site.apply(WEB, "");
    assert_eq!(directions(), 1);
    site.ok("detach web");
}

/// Killed at any moment, `apply` leaves the old version or the new one: there is always exactly one, and never a gap.
#[test]
fn kill_at_any_point_leaves_one_version() {
    let Some(site) = Site::new() else { return };
    let sender = Sender::open(&site.netns, "a");
    site.apply(WEB, "");
    let versions = [WEB.replace("443", "80"), WEB.to_owned()];
    let mut finished = 0;
    for round in 0..40u64 {
        let path = site.file(&versions[round as usize % 2]);
        let mut child = site
            .command(&format!("apply {}", path.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = std::time::Instant::now() + std::time::Duration::from_micros(round * 1500);
        while std::time::Instant::now() < end {
            let (https, http) = (sender.send(&packets::frame("tcp 443")), sender.send(&packets::frame("tcp 80")));
            // the two sends may lie on both sides of the swap, but mail is never let out
            assert!(!sender.send(&packets::frame("tcp 25")), "a gap in round {round}: {https} {http}");
        }
        child.kill().unwrap();
        finished += u32::from(child.wait().unwrap().success());
        let (https, http) = (sender.send(&packets::frame("tcp 443")), sender.send(&packets::frame("tcp 80")));
        assert!(https != http, "round {round}: exactly one version ({https} {http})");
        let listed: serde_json::Value = serde_json::from_str(&site.ok("list --json")).unwrap();
        assert_eq!(listed.as_array().unwrap().len(), 1);
    }
    println!("{finished} of 40 finished before they were killed");
    site.ok("detach web");
}

/// An update of both directions, killed at each of its system calls that change something: each direction has the old or
/// the new version, never none, and the one place where they can differ is shown and repaired by applying again.
#[test]
fn kill_at_every_call_leaves_each_direction_whole() {
    let Some(site) = Site::new() else { return };
    if !Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("skipped: no strace to kill at system calls");
        return;
    }
    let sender = Sender::open(&site.netns, "a");
    let both = WEB.replace("direction: out", "direction: both");
    site.apply(&both, "");
    let versions = [both.replace("443", "80"), both];
    let log = site.folder.path().join("calls");
    let traced = |version: &str, what: &str| {
        let path = site.file(version);
        let apply = site.command(&format!("apply {}", path.display()));
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o"]).arg(&log).args(["-e", what]).arg(apply.get_program()).args(apply.get_args());
        strace.output().unwrap()
    };
    assert!(traced(&versions[0], "trace=bpf").status.success());
    let calls = std::fs::read_to_string(&log).unwrap().lines().filter(|line| line.contains(" bpf(")).count();
    // the calls before these only ask and load
    let points: Vec<usize> = (1..=calls).filter(|call| call + 60 > calls || call % 20 == 0).collect();
    let mut mixed = 0;
    for &call in &points {
        let done = traced(&versions[call % 2], &format!("inject=bpf:signal=KILL:when={call}"));
        assert!(!done.status.success(), "call {call} of {calls}");
        let (https, http) = (sender.send(&packets::frame("tcp 443")), sender.send(&packets::frame("tcp 80")));
        assert!(https != http && !sender.send(&packets::frame("tcp 25")), "call {call}: {https} {http}");
        let listed: serde_json::Value = serde_json::from_str(&site.ok("list --json")).unwrap();
        let generations: Vec<u64> =
            listed.as_array().unwrap().iter().map(|a| a["generation"].as_u64().unwrap()).collect();
        assert_eq!(generations.len(), 2, "call {call}: a direction is lost");
        assert_eq!(listed[0]["mixed"], generations[0] != generations[1], "call {call}: {listed}");
        if generations[0] != generations[1] {
            mixed += 1;
            assert!(site.ok("list").contains("MIXED"));
            site.apply(&versions[call % 2], "");
            assert!(!site.ok("list").contains("MIXED"));
        }
    }
    println!("killed at {} of {calls} calls, at {mixed} of them between the two directions", points.len());
    assert!(mixed <= 1, "{mixed}");
    site.ok("detach web");
}

#[test]
fn captures_are_judged_without_an_interface() {
    if !may_filter() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (policy, capture) = (folder.path().join("p.yaml"), folder.path().join("c.pcap"));
    std::fs::write(&policy, WEB).unwrap();
    let frames: Vec<Vec<u8>> = ["tcp 443", "tcp 80", "arp", "tcp 80"].iter().map(|f| packets::frame(f)).collect();
    std::fs::write(&capture, packets::pcap(&frames)).unwrap();
    let run = |arguments: &[&str]| {
        Command::new(HAWKBELL)
            .args(["traffic", "test", "--policy"])
            .arg(&policy)
            .arg(&capture)
            .args(arguments)
            .output()
            .unwrap()
    };
    let shown = text(&run(&[]));
    assert!(shown.contains("pass rule dns-or-https out") && shown.contains("4 frames: 2 pass, 2 dropped"), "{shown}");
    let json = text(&run(&["--json"]));
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&value["judged_by"], &value["verdicts"]),
        (&"kernel".into(), &serde_json::json!(["allow", "deny", "allow", "deny"]))
    );
    let expected = folder.path().join("e.json");
    std::fs::write(&expected, &json).unwrap();
    assert_eq!(run(&["--expect", expected.to_str().unwrap()]).status.code(), Some(0));
    std::fs::write(&expected, r#"{"verdicts":["allow","allow","allow"]}"#).unwrap();
    let differing = run(&["--expect", expected.to_str().unwrap()]);
    assert_eq!(differing.status.code(), Some(1));
    assert!(text(&differing).contains("4 frames, 2 differ"), "{}", text(&differing));
    let other = folder.path().join("o.yaml");
    std::fs::write(&other, WEB.replace("443", "80")).unwrap();
    assert!(text(&run(&["--diff", other.to_str().unwrap()])).contains("2 of 3 flows change their verdict"));
    let flow = ["tcp", "10.0.0.1:40000", "->", "10.1.1.1:443"];
    let explain = ["traffic", "explain", "--policy"];
    let explained = Command::new(HAWKBELL).args(explain).arg(&policy).args(flow).output().unwrap();
    assert!(text(&explained).starts_with("pass rule dns-or-https out"), "{}", text(&explained));
}
