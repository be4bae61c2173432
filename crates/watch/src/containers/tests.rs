//! Containers of each runtime, in made-up roots: the files that the runtime writes go in, the fields that rules see come out.

use super::*;
use engine::state::containers::Pod;
use std::fs;

const ID: &str = "697956520d891b5cb0e215093970c733549a3f745f52263c05b37f8a488994f3";
const SANDBOX: &str = "aa7956520d891b5cb0e215093970c733549a3f745f52263c05b37f8a488994f3";

fn describe(root: &Root, pid: i64, full_id: &str) -> Option<ContainerInfo> {
    super::describe(root, pid, full_id, &Settings::parse(r#"{"label_max_len": 5}"#))
}

struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Host {
        Host(tempfile::tempdir().expect("a directory"))
    }

    fn root(&self) -> Root {
        Root::new(self.0.path())
    }

    fn file(&self, path: &str, text: &str) -> &Host {
        let path = self.root().at(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(path, text).expect("written");
        self
    }

    fn process(&self, pid: i64, comm: &str, parent: i64) -> &Host {
        self.file(&format!("/proc/{pid}/stat"), &format!("{pid} ({comm}) S {parent} 0 0"))
    }
}

#[test]
fn a_pod_of_containerd_is_found_through_its_shim() {
    let host = Host::new();
    let tasks = "/run/elsewhere/io.containerd.runtime.v2.task/k8s.io";
    host.process(70, "sh", 60).process(60, "containerd-shim", 1);
    std::os::unix::fs::symlink(format!("{tasks}/{SANDBOX}"), host.root().at("/proc/60/cwd")).expect("linked");
    host.file(
        &format!("{tasks}/{ID}/config.json"),
        r#"{"annotations": {"io.kubernetes.cri.container-name": "shop", "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.image-name": "registry.example:5000/team/shop:1.2@sha256:00ff",
            "io.kubernetes.cri.sandbox-id": "aa7956520d891b5cb0e215093970c733549a3f745f52263c05b37f8a488994f3",
            "io.kubernetes.cri.sandbox-name": "shop-7f", "io.kubernetes.cri.sandbox-namespace": "prod",
            "io.kubernetes.cri.sandbox-uid": "u-1"},
          "process": {"capabilities": {"bounding": ["CAP_CHOWN"]}},
          "linux": {"namespaces": [{"type": "pid"}, {"type": "ipc", "path": "/proc/60/ns/ipc"}], "maskedPaths": ["/proc/kcore"]},
          "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]},
                     {"destination": "/etc/hosts", "type": "bind", "source": "/var/lib/kubelet/hosts", "options": ["rbind", "rprivate", "ro"]}]}"#,
    );
    let info = describe(&host.root(), 70, ID).expect("described");
    assert_eq!((info.name.as_str(), info.runtime.as_str()), ("shop", "containerd"));
    assert_eq!(
        (info.image_repository.as_str(), info.image_tag.as_str(), info.image_digest.as_str()),
        ("registry.example:5000/team/shop", "1.2", "sha256:00ff")
    );
    assert_eq!((info.privileged, info.host_pid, info.host_network), (Some(false), Some(false), Some(true)));
    assert_eq!(info.host_ipc, None, "the namespace that is joined cannot be read here");
    let [mount] = info.mounts.as_slice() else { panic!("{:?}", info.mounts) };
    assert_eq!((mount.dest.as_str(), mount.rdwr, mount.propagation.as_str()), ("/etc/hosts", false, "rprivate"));
    let pod = info.pod.expect("a pod");
    let expect = Pod {
        name: "shop-7f".into(),
        namespace: "prod".into(),
        uid: "u-1".into(),
        full_sandbox_id: SANDBOX.into(),
        ..Pod::default()
    };
    assert_eq!(pod, expect);
}

#[test]
fn docker_says_what_its_user_said() {
    let host = Host::new();
    let own = format!("/data/docker/containers/{ID}");
    host.file(
        &format!("/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/{ID}/config.json"),
        &format!(r#"{{"mounts": [{{"type": "bind", "source": "{own}/hostname", "destination": "/etc/hostname", "options": ["rbind"]}}]}}"#),
    );
    host.file(
        &format!("{own}/config.v2.json"),
        r#"{"Name": "/web", "Image": "sha256:beef", "Config": {"Image": "nginx", "Labels": {"team": "blue", "story": "too long"}},
            "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
            "MountPoints": {"/srv": {"Source": "/data", "Destination": "/srv", "RW": true, "Propagation": "rprivate", "Relabel": "z"}}}"#,
    );
    host.file(
        &format!("{own}/hostconfig.json"),
        r#"{"Privileged": true, "NetworkMode": "host", "PidMode": "", "IpcMode": "private"}"#,
    );
    let info = describe(&host.root(), 70, ID).expect("described");
    assert_eq!((info.name.as_str(), info.runtime.as_str(), info.image_id.as_str()), ("web", "docker", "beef"));
    assert_eq!((info.image_repository.as_str(), info.image_tag.as_str()), ("nginx", "latest"));
    assert_eq!((info.privileged, info.host_network, info.host_pid), (Some(true), Some(true), Some(false)));
    assert_eq!((info.ip.as_str(), info.labels.len(), info.mounts.len()), ("172.17.0.2", 1, 1));
}

#[test]
fn podman_is_found_through_conmon() {
    let host = Host::new();
    let storage = "/home/me/storage/overlay-containers";
    host.process(70, "sleep", 60).process(60, "conmon", 1);
    host.file("/proc/60/cmdline", &format!("conmon\0-c\0{ID}\0-b\0{storage}/{ID}/userdata\0"));
    host.file(&format!("{storage}/{ID}/userdata/config.json"), r#"{"annotations": {"io.container.manager": "libpod", "io.kubernetes.cri-o.TTY": "false"}, "linux": {"namespaces": []}}"#);
    host.file(
        &format!("{storage}/containers.json"),
        &format!(r#"[{{"id": "{ID}", "names": ["happy_hawk"], "image": "cafe", "metadata": "{{\"image-name\": \"docker.io/library/alpine:3.20\"}}"}}]"#),
    );
    let info = describe(&host.root(), 70, ID).expect("described");
    assert_eq!((info.name.as_str(), info.runtime.as_str(), info.image_id.as_str()), ("happy_hawk", "podman", "cafe"));
    assert_eq!((info.image_repository.as_str(), info.image_tag.as_str()), ("docker.io/library/alpine", "3.20"));
    assert_eq!((info.host_pid, info.privileged), (Some(true), None));
}

#[test]
fn cri_o_notes_names_labels_and_addresses() {
    let host = Host::new();
    host.file(
        &format!("/run/containers/storage/overlay-containers/{ID}/userdata/config.json"),
        r#"{"annotations": {"io.kubernetes.container.name": "shop", "io.kubernetes.cri-o.ImageName": "quay.io/shop:9",
            "io.kubernetes.cri-o.ImageRef": "feed", "io.kubernetes.cri-o.IP.0": "10.88.0.4", "io.kubernetes.pod.name": "shop-7f",
            "io.kubernetes.pod.namespace": "prod", "io.kubernetes.cri-o.Labels": "{\"tier\": \"front\"}"}}"#,
    );
    let info = describe(&host.root(), 70, ID).expect("described");
    assert_eq!((info.name.as_str(), info.runtime.as_str(), info.image.as_str()), ("shop", "cri-o", "quay.io/shop:9"));
    assert_eq!((info.ip.as_str(), info.image_id.as_str()), ("10.88.0.4", "feed"));
    assert_eq!(info.labels, [("tier".to_owned(), "front".to_owned())]);
    assert_eq!(info.pod.map(|pod| pod.namespace).as_deref(), Some("prod"));
}

#[test]
fn what_nobody_wrote_down_stays_unknown() {
    let host = Host::new();
    assert_eq!(describe(&host.root(), 70, ID), None);
    host.file(&format!("/run/containerd/io.containerd.runtime.v2.task/default/{ID}/config.json"), "{");
    assert_eq!(describe(&host.root(), 70, ID), None, "no JSON");
    for id in ["", "..", "../../etc"] {
        assert_eq!(describe(&host.root(), 70, id), None);
    }
}

#[test]
fn engines_can_be_switched_off() {
    let all = Settings::parse("");
    assert_eq!((all.runtimes.len(), all.label_max_bytes), (Runtime::ALL.len(), 100));
    let some = Settings::parse(
        r#"{"label_max_len": 7, "engines": {"docker": {"enabled": false}, "libvirt_lxc": {"enabled": false},
            "containerd": {"any_controller": true}}}"#,
    );
    assert_eq!((some.runtimes.len(), some.label_max_bytes), (Runtime::ALL.len() - 2, 7));
    assert_eq!((all.any_controller, some.any_controller), (false, true));
    assert!(!some.runtimes.contains(&Runtime::Docker) && !some.runtimes.contains(&Runtime::LibvirtLxc));
}
