//! What happens in a real container is told apart from the host: containerd and runc start one from an image made on the
//! spot, and the alert carries its id and what its bundle says. Needs root, containerd and a static busybox; nothing is left
//! behind.

#![allow(clippy::print_stdout, reason = "a skip says why, a run says how much it saw")]

mod support;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{Watch, root};
use testkit::netns::{Bpffs, Netns};

const MOUNT: &str = "type=bind,src=/usr,dst=/host/usr,options=rbind:rprivate:ro";
const CONTAINER: &str = "hawkbell-test-container";

/// Tools that the tests need; says so when one is missing.
fn have(tools: &[&str]) -> bool {
    let missing: Vec<_> = tools.iter().filter(|tool| !on_path(tool)).collect();
    if !missing.is_empty() {
        println!("skipped: needs {missing:?}");
    }
    missing.is_empty()
}

#[test]
fn alerts_from_a_container_say_which() {
    if !have(&["containerd", "ctr", "runc", "busybox"]) {
        return;
    }
    let facts = tempfile::NamedTempFile::with_suffix(".yaml").expect("a file");
    fs::write(facts.path(), FACTS).expect("write the rule");
    let Some(mut watch) = Watch::start(&[root().join("rules"), facts.path().to_owned()]) else { return };
    let containerd = Containerd::start(&watch.scratch);
    containerd.run("cp /bin/busybox /tmp/dropped && ln -s dropped /tmp/true && /tmp/true");
    let alerts = watch.until_sentinel();
    // Other tests make containers too.
    let is_ours = |a: &&serde_json::Value| a["output_fields"]["container.id"] == CONTAINER[..12];
    let alert = alerts.iter().filter(is_ours).find(|a| a["rule"] == "Program not from the image run in a container");
    assert!(alert.is_some(), "no alert from the container among {alerts:#?}");
    let facts = alerts.iter().find(|a| a["rule"] == "Facts").expect("an alert with facts");
    let fact = |name: &str| facts["output_fields"][name].clone();
    assert_eq!((fact("container.name"), fact("container.type")), (CONTAINER.into(), "containerd".into()));
    assert_eq!((fact("container.privileged"), fact("container.host_network")), (false.into(), false.into()));
    assert_eq!(fact("container.mounts"), "/usr:/host/usr::false:rprivate");
    assert_eq!(fact("user.name"), "root", "as the image says");
}

const FACTS: &str = "
- rule: Facts
  desc: What is known about a container
  condition: evt.type = execve and evt.rawres = 0 and container.id startswith hawkbell and proc.name = sh
  output: >
    %container.name %container.type %container.privileged %container.host_network %container.mounts %user.name
  priority: INFO
";

/// `ctr run --cni` with ptp and our plugin: the container reaches the port that its policy allows and no other.
#[test]
fn a_policy_of_the_plugin_decides_what_a_container_reaches() {
    if !have(&["containerd", "ctr", "runc", "busybox", "unshare", "nsenter"]) || !testkit::root::may_filter() {
        return;
    }
    let folders = ["/usr/lib/cni", "/opt/cni/bin"];
    let Some(plugins) = folders.iter().find(|folder| Path::new(folder).join("ptp").exists()) else {
        println!("skipped: no CNI plugins (install containernetworking-plugins)");
        return;
    };
    let Some(host) = Netns::new() else { return };
    let (scratch, bpffs) = (tempfile::tempdir().expect("make a folder"), Bpffs::mount());
    let containerd = Containerd::start(scratch.path());
    for port in [80u16, 443] {
        greet_at(&host, port);
    }
    let network = NETWORK.replace("DATA", &scratch.path().join("ipam").to_string_lossy());
    fs::write(scratch.path().join("net.conflist"), network).expect("write the network");
    let script = MOUNTS
        .replace("PLUGINS", plugins)
        .replace("OURS", env!("CARGO_BIN_EXE_hawkbell-cni"))
        .replace("SCRATCH", &scratch.path().to_string_lossy());
    let mut command = host.command("timeout");
    let output = command
        .args(["60", "unshare", "--mount", "sh", "-c", &script])
        .env("HAWKBELL_BPFFS", &bpffs.path)
        .output()
        .expect("run ctr");
    drop(containerd);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.trim(), "at 443: hello 443\nat 80:", "{}", String::from_utf8_lossy(&output.stderr));
    let left = fs::read_dir(bpffs.path.join("hawkbell/traffic")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "pins are gone with the container");
    assert_eq!(host.text("ip -o link").lines().count(), 1, "only the loopback is left: {}", host.text("ip -o link"));
}

/// Answers every connection at a port of the namespace, until the test ends.
fn greet_at(netns: &Netns, port: u16) {
    let bind = || TcpListener::bind(("0.0.0.0", port)).expect("listen");
    let listener = traffic::attach::netns::run(&netns.path(), bind).expect("a namespace");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = writeln!(stream, "hello {port}");
        }
    });
}

/// ctr looks for networks and plugins in fixed folders, which only this process sees.
const MOUNTS: &str = "set -e
mount -t tmpfs tmpfs /opt
mkdir -p /opt/cni/bin /opt/upper /opt/work
mount -t overlay -o lowerdir=/etc,upperdir=/opt/upper,workdir=/opt/work overlay /etc
mkdir -p /etc/cni/net.d
rm -f /etc/cni/net.d/*
cp SCRATCH/net.conflist /etc/cni/net.d/
ln -s PLUGINS/ptp PLUGINS/host-local PLUGINS/loopback /opt/cni/bin/
ln -s OURS /opt/cni/bin/hawkbell-cni
ctr -a SCRATCH/containerd.sock run --rm --cni docker.io/library/hawkbell-test:latest quarantined-pod \\
    sh -c 'for port in 443 80; do echo at $port: $(echo | nc -w 2 10.88.0.1 $port); done'";

const NETWORK: &str = r#"{"cniVersion": "1.0.0", "name": "test", "plugins": [
  {"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.88.0.0/24", "dataDir": "DATA"}},
  {"type": "hawkbell-cni", "policy": {"name": "quarantine", "direction": "both", "rules": [
    {"name": "https", "action": "allow", "direction": "out", "to": "10.88.0.1", "protocol": "tcp", "port": 443}]}}]}"#;

/// A containerd with directories and socket of its own.
struct Containerd {
    child: Child,
    home: PathBuf,
}

impl Containerd {
    fn start(home: &Path) -> Containerd {
        let config = home.join("containerd.toml");
        let text = format!(
            "version = 2\nroot = \"{0}/root\"\nstate = \"{0}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{0}/containerd.sock\"\n",
            home.display()
        );
        fs::write(&config, text).expect("write the configuration");
        let log = fs::File::create(home.join("containerd.log")).expect("make the log");
        let mut command = Command::new("containerd");
        command.arg("--config").arg(&config).stdout(Stdio::null()).stderr(log);
        let containerd = Containerd { child: command.spawn().expect("start containerd"), home: home.to_owned() };
        let image = home.join("image.tar");
        let made = Command::new("sh").arg(root().join("scripts/busybox-image.sh")).arg(&image).status();
        assert!(made.is_ok_and(|s| s.success()), "make the image");
        let deadline = Instant::now() + Duration::from_secs(15);
        while !containerd.ctr(&["version"]) {
            assert!(Instant::now() < deadline, "containerd does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(containerd.ctr(&["images", "import", &image.to_string_lossy()]), "import the image");
        containerd
    }

    fn run(&self, script: &str) {
        let image = "docker.io/library/hawkbell-test:latest";
        assert!(
            self.ctr(&["run", "--rm", "--mount", MOUNT, image, CONTAINER, "sh", "-c", script]),
            "run the container"
        );
    }

    fn ctr(&self, args: &[&str]) -> bool {
        let socket = self.home.join("containerd.sock");
        let mut command = Command::new("timeout");
        command.args(["30", "ctr", "-a"]).arg(socket).args(args).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|s| s.success())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(tool).is_file())
}
