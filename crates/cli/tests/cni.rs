//! `hawkbell-cni` behind the real plugins of the containernetworking project, as a runtime calls them: one namespace
//! stands for the host, one for the pod. Skips with a printed reason where the plugins are not installed.

#![allow(clippy::print_stdout)] // reasons for skips and what was compared belong in the output

mod packets;

use packets::Sender;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use testkit::netns::{Bpffs, Netns};
use testkit::root::may_filter;

const PLUGIN: &str = env!("CARGO_BIN_EXE_hawkbell-cni");

struct Node {
    host: Netns,
    pod: Netns,
    bpffs: Bpffs,
    plugins: PathBuf,
    folder: tempfile::TempDir,
}

impl Node {
    fn new() -> Option<Node> {
        if !may_filter() {
            return None;
        }
        let folders = ["/usr/lib/cni", "/opt/cni/bin"];
        let Some(plugins) = folders.iter().map(Path::new).find(|folder| folder.join("ptp").exists()) else {
            println!("skipped: no CNI plugins (install containernetworking-plugins)");
            return None;
        };
        let (host, pod) = (Netns::with_cable()?, Netns::new()?);
        host.ip("link add name br0 type bridge");
        host.ip("link add name d0 link a type macvlan");
        let folder = tempfile::tempdir().unwrap();
        Some(Node { host, pod, bpffs: Bpffs::mount(), plugins: plugins.to_owned(), folder })
    }

    fn call(&self, plugin: &Path, command: &str, config: &Value) -> Output {
        self.call_for((&self.pod, "pod1"), plugin, command, config)
    }

    fn call_for(&self, (pod, id): (&Netns, &str), plugin: &Path, command: &str, config: &Value) -> Output {
        let mut child = self
            .host
            .command(plugin)
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", id)
            .env("CNI_NETNS", pod.path())
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", &self.plugins)
            .env("HAWKBELL_BPFFS", &self.bpffs.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(config.to_string().as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Lets a real plugin make the pod's interface and returns its result.
    fn interface(&self, kind: &str) -> Value {
        let ipam = json!({
            "type": "host-local", "subnet": "10.0.0.0/24", "dataDir": self.folder.path(),
        });
        let config = match kind {
            "ptp" => json!({"type": "ptp", "ipam": ipam}),
            "bridge" => json!({"type": "bridge", "bridge": "br0", "ipam": ipam}),
            "macvlan" => json!({"type": "macvlan", "master": "a", "ipam": ipam}),
            _ => json!({"type": "host-device", "device": "d0", "ipam": ipam}),
        };
        let output = self.call(&self.plugins.join(kind), "ADD", &network(&config));
        assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn ours(&self, command: &str, config: &Value) -> Output {
        self.call(Path::new(PLUGIN), command, config)
    }

    fn ok(&self, command: &str, config: &Value) -> String {
        let output = self.ours(command, config);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{command}: {text}");
        text
    }

    /// Lines of `tc filter show` over all devices and directions of both namespaces.
    fn filters(&self) -> usize {
        let count = |netns: &Netns| {
            let names = netns.text("ip -o link");
            let names: Vec<String> =
                names.lines().filter_map(|l| Some(l.split(": ").nth(1)?.split('@').next()?.to_owned())).collect();
            let directions = ["ingress", "egress"];
            let all = names.iter().flat_map(|n| directions.iter().map(move |d| format!("tc filter show dev {n} {d}")));
            all.map(|line| netns.text(&line).matches("handle 0x").count()).sum::<usize>()
        };
        count(&self.host) + count(&self.pod)
    }
}

fn network(plugin: &Value) -> Value {
    let mut config = json!({"cniVersion": "1.0.0", "name": "net1"});
    config.as_object_mut().unwrap().extend(plugin.as_object().unwrap().clone());
    config
}

const KINDS: [&str; 4] = ["ptp", "bridge", "macvlan", "host-device"];

/// What the pod sends is filtered on the right device, whatever made it; nothing is left behind.
#[test]
fn programs_filter_the_pod_behind_every_kind_of_plugin() {
    for kind in KINDS {
        let Some(node) = Node::new() else { return };
        let result = node.interface(kind);
        let config = network(
            &json!({"type": "hawkbell-cni", "program": "block_port", "input": "443", "direction": "out", "prevResult": result}),
        );
        let given = node.ok("ADD", &config);
        assert_eq!(serde_json::from_str::<Value>(&given).unwrap(), result, "{kind}");
        assert_eq!(node.ok("ADD", &config), given, "{kind}: again");
        assert_eq!(node.filters(), 1, "{kind}: repeated ADD must not stack");
        node.ok("CHECK", &config);
        blocks_443(&node, kind);
        node.ok("DEL", &config);
        node.ok("DEL", &config);
        assert_eq!(node.filters(), 0, "{kind}");
        let check = node.ours("CHECK", &config);
        assert!(!check.status.success() && String::from_utf8_lossy(&check.stdout).contains("\"code\":\t100"), "{kind}");
    }
}

/// Frames at the pod's end: dropped at its egress, or at the host's end of the cable, where the filter counts them.
fn blocks_443(node: &Node, kind: &str) {
    let sender = Sender::open(&node.pod, "eth0");
    let inside = ["macvlan", "host-device"].contains(&kind);
    let passes = sender.send(&packets::frame("tcp 443"));
    assert_eq!(passes, !inside, "{kind}");
    assert!(sender.send(&packets::frame("tcp 80")), "{kind}");
    if !inside {
        let verdicts = verdicts_of_the_program(node);
        // the pod itself talks, too: neighbour discovery passes
        assert!(verdicts[0] == 1 && verdicts[8] >= 1, "{kind}: one dropped, others passed: {verdicts:?}");
    }
}

/// Packets dropped per stage, and passed (last), of the only catalogue program on the host.
fn verdicts_of_the_program(node: &Node) -> Vec<u64> {
    let names = node.host.text("ip -o link");
    for name in names.lines().filter_map(|l| l.split(": ").nth(1)?.split('@').next()) {
        let shown = node.host.text(&format!("tc filter show dev {name} ingress"));
        let Some(id) = shown.split(" id ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()) else {
            continue;
        };
        return traffic::kernel::LoadedPrograms::verdicts_of(id)
            .unwrap()
            .into_iter()
            .map(|(packets, _)| packets)
            .collect();
    }
    panic!("no filter at ingress of the host")
}

#[test]
fn policies_and_chains_come_and_go() {
    for kind in ["ptp", "macvlan"] {
        let Some(node) = Node::new() else { return };
        let result = node.interface(kind);
        let policy = json!({
            "name": "quarantine", "direction": "both",
            "rules": [{"name": "https", "action": "allow", "direction": "out", "protocol": "tcp", "port": 443}],
        });
        let config = network(&json!({"type": "hawkbell-cni", "policy": policy, "prevResult": result}));
        node.ok("ADD", &config);
        node.ok("ADD", &config);
        node.ok("CHECK", &config);
        let pins = || std::fs::read_dir(node.bpffs.path.join("hawkbell/traffic")).map_or(0, Iterator::count);
        assert_eq!(pins(), 2, "{kind}: one pin per direction");
        let garbage = |attachments: Value| {
            let mut config = network(&json!({"type": "hawkbell-cni", "cni.dev/valid-attachments": attachments}));
            config["cniVersion"] = "1.1.0".into();
            config
        };
        node.ok("GC", &garbage(json!([{"containerID": "pod1", "ifname": "eth0"}])));
        assert_eq!(pins(), 2, "{kind}");
        node.ok("GC", &garbage(json!([])));
        assert_eq!(pins(), 0, "{kind}");
        let chain = network(
            &json!({"type": "hawkbell-cni", "chain": "allow_ethertype:ipv4+arp,allow_port:443", "prevResult": result}),
        );
        node.ok("ADD", &chain);
        node.ok("CHECK", &chain);
        node.ok("DEL", &chain);
        assert_eq!(node.filters(), 0);
        // a filter inside the pod goes with the pod; one on the host is found
        if kind == "ptp" {
            node.ok("ADD", &chain);
            node.ok("GC", &garbage(json!([{"containerID": "pod1", "ifname": "eth0"}])));
            assert_eq!(node.filters(), 1);
            node.ok("GC", &garbage(json!([])));
            assert_eq!(node.filters(), 0);
        }
        node.ok("STATUS", &network(&json!({})));
    }
}

/// Pods come and go in the hands of a real plugin, each with a policy, every third one losing its cable before its DEL: nothing is
/// left of any of them. HAWKBELL_PODS says how many.
#[test]
fn nothing_is_left_of_many_pods() {
    let Some(node) = Node::new() else { return };
    let count = std::env::var("HAWKBELL_PODS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let policy = json!({
        "name": "quarantine", "direction": "both",
        "rules": [{"name": "https", "action": "allow", "direction": "out", "protocol": "tcp", "port": 443}],
    });
    let ptp = json!({"type": "ptp", "ipam": {
        "type": "host-local", "subnet": "10.0.0.0/16", "dataDir": node.folder.path(),
    }});
    let pins = || std::fs::read_dir(node.bpffs.path.join("hawkbell/traffic")).map_or(0, Iterator::count);
    let links = || node.host.text("ip -o link").lines().count();
    let (links_before, programs_before) = (links(), programs_of_policies());
    for number in 0..count {
        let Some(pod) = Netns::new() else { return };
        let id = format!("pod{number}");
        let call = |plugin: &Path, command: &str, config: &Value| {
            let output = node.call_for((&pod, &id), plugin, command, config);
            assert!(output.status.success(), "{id} {command}: {}", String::from_utf8_lossy(&output.stdout));
            output.stdout
        };
        let made = call(&node.plugins.join("ptp"), "ADD", &network(&ptp));
        let result: Value = serde_json::from_slice(&made).unwrap();
        let config = network(&json!({"type": "hawkbell-cni", "policy": policy, "prevResult": result}));
        call(Path::new(PLUGIN), "ADD", &config);
        assert_eq!(pins(), 2, "{id}");
        let delete_cable = || call(&node.plugins.join("ptp"), "DEL", &network(&ptp));
        if number % 3 == 0 {
            // the other way round: our filter's device is gone before we are asked
            delete_cable();
            call(Path::new(PLUGIN), "DEL", &config);
        } else {
            call(Path::new(PLUGIN), "DEL", &config);
            delete_cable();
        }
        assert_eq!((pins(), node.filters()), (0, 0), "{id}");
    }
    assert_eq!(links(), links_before);
    println!(
        "{count} pods; programs of policies on this machine: {programs_before} before, {} after",
        programs_of_policies()
    );
}

/// Loaded programs by our names; other tests at the same time have some, too.
fn programs_of_policies() -> usize {
    let listed = std::process::Command::new("bpftool").args(["prog", "list"]).output();
    listed.map_or(0, |o| String::from_utf8_lossy(&o.stdout).matches(" name hawkbell_").count())
}

/// The older plugin's contract: a bare configuration, the device of the previous result, the text layout of results.
#[test]
fn the_older_name_takes_what_it_took() {
    let Some(node) = Node::new() else { return };
    let older = node.folder.path().join("traffico-cni");
    std::os::unix::fs::symlink(PLUGIN, &older).unwrap();
    let mut child = node
        .host
        .command(&older)
        .env("CNI_COMMAND", "ADD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = r#"{"program":"nop","prevResult":{"interfaces":[{"name":"a"}],"cniVersion":"0.1.0"}} trailing"#;
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let expected = "{\n\t\"interfaces\":\t[{\n\t\t\t\"name\":\t\"a\"\n\t\t}],\n\t\"cniVersion\":\t\"0.1.0\"\n}\n";
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()), (Some(0), expected));
    assert_eq!(node.host.text("tc qdisc show dev a clsact"), "qdisc clsact ffff: parent ffff:fff1 \n");
    assert!(node.host.text("tc filter show dev a egress").contains("nop"));
}
