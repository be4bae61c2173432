//! The OCI bundle of a container: found through the process that watches over the container (containerd's shim works in the
//! bundle, conmon is told where it is), else in the places where runtimes keep bundles. In: its `config.json` (OCI runtime
//! specification); out: what the specification and the annotations of Kubernetes runtimes say.

use super::{first, json, pairs, set_image, text};
use engine::state::containers::{ContainerInfo, Mount, Pod};
use host::root::Root;
use serde_json::Value as Json;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A bundle and its specification.
#[derive(Debug)]
pub(super) struct Bundle {
    /// Directory with `config.json`, as seen from the root that was asked.
    pub path: PathBuf,
    pub spec: Json,
    id: String,
}

impl Bundle {
    pub fn find(root: &Root, pid: i64, id: &str) -> Option<Bundle> {
        if id.is_empty() || id.contains('/') || id.starts_with('.') {
            return None;
        }
        let places = keepers(root, pid, id).into_iter().chain(usual_places(root, id));
        places
            .into_iter()
            .find_map(|path| Some(Bundle { spec: json(&path.join("config.json"))?, path, id: id.to_owned() }))
    }

    pub fn info(&self, root: &Root) -> ContainerInfo {
        let notes = pairs(self.spec.get("annotations"));
        let shares = |kind: &str| shares_with_host(root, &self.spec, kind);
        let mut info = ContainerInfo {
            name: first(&notes, NAME),
            runtime: runtime(&notes).to_owned(),
            image_id: first(&notes, IMAGE_ID),
            privileged: self.spec.get("process").map(|_| is_privileged(&self.spec)),
            host_pid: shares("pid"),
            host_network: shares("network"),
            host_ipc: shares("ipc"),
            mounts: self.mounts().filter_map(mount).collect(),
            ip: first(&notes, POD_IP),
            labels: labels(&notes),
            pod: pod(&notes),
            ..ContainerInfo::default()
        };
        if info.name.is_empty() {
            // Who starts a container by hand chooses its id as its name.
            info.name.clone_from(&self.id);
        }
        set_image(&mut info, &first(&notes, IMAGE));
        info
    }

    pub fn mounts(&self) -> impl Iterator<Item = &Json> {
        self.spec.get("mounts").and_then(Json::as_array).into_iter().flatten()
    }
}

/// Bundles that the ancestors of a process speak of.
fn keepers(root: &Root, pid: i64, id: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pid = pid;
    for _ in 0..ANCESTORS {
        let Some((comm, parent)) = name_and_parent(root, pid) else { break };
        match comm.as_str() {
            "containerd-shim" => found.extend(shim_bundle(root, pid, id)),
            "conmon" => found.extend(conmon_bundle(root, pid, id)),
            _ => {}
        }
        pid = parent;
    }
    found
}

/// A shim works in the bundle of its first container; those of the same pod lie beside it.
fn shim_bundle(root: &Root, pid: i64, id: &str) -> Option<PathBuf> {
    let cwd = std::fs::read_link(root.at(&format!("/proc/{pid}/cwd"))).ok()?;
    Some(root.at(cwd.parent()?.join(id).to_str()?))
}

fn conmon_bundle(root: &Root, pid: i64, id: &str) -> Option<PathBuf> {
    let command = std::fs::read(root.at(&format!("/proc/{pid}/cmdline"))).ok()?;
    let words: Vec<&str> = command.split(|b| *b == 0).filter_map(|word| std::str::from_utf8(word).ok()).collect();
    let value = |flags: [&str; 2]| words.windows(2).find(|pair| flags.contains(&pair[0])).map(|pair| pair[1]);
    let its_own = value(["-c", "--cid"]).is_some_and(|told| told == id);
    value(["-b", "--bundle"]).filter(|_| its_own).map(|path| root.at(path))
}

/// Name and parent of a process (proc_pid_stat(5)).
fn name_and_parent(root: &Root, pid: i64) -> Option<(String, i64)> {
    let stat = root.text(&format!("/proc/{pid}/stat")).ok().filter(|_| pid > 1)?;
    let (head, tail) = stat.rsplit_once(')')?;
    let comm = head.split_once('(')?.1.chars().take(COMM_CHARS).collect();
    Some((comm, tail.split_whitespace().nth(1)?.parse().ok()?))
}

fn usual_places(root: &Root, id: &str) -> Vec<PathBuf> {
    let below = |dir: &str| std::fs::read_dir(root.at(dir)).into_iter().flatten().flatten().map(|e| e.path().join(id));
    let mut places: Vec<PathBuf> = TASKS.iter().flat_map(|dir| below(dir)).collect();
    places.extend(STORAGE.iter().map(|dir| root.at(dir).join(id).join("userdata")));
    places
}

fn runtime(notes: &[(String, String)]) -> &'static str {
    let has = |prefix: &str| notes.iter().any(|(key, _)| key.starts_with(prefix));
    RUNTIMES.iter().find(|(prefix, _)| has(prefix)).map_or("", |(_, name)| name)
}

/// Privileged containers keep every capability and are neither filtered nor masked.
fn is_privileged(spec: &Json) -> bool {
    let bounding = spec.pointer("/process/capabilities/bounding").and_then(Json::as_array);
    let holds = |name: &str| bounding.is_some_and(|all| all.iter().any(|cap| cap.as_str() == Some(name)));
    let is_empty = |pointer: &str| spec.pointer(pointer).and_then(Json::as_array).is_none_or(Vec::is_empty);
    holds("CAP_SYS_ADMIN")
        && holds("CAP_SYS_MODULE")
        && is_empty("/linux/maskedPaths")
        && is_empty("/linux/readonlyPaths")
}

/// Whether a kind of namespace is the host's: none of its own, or that of process 1.
fn shares_with_host(root: &Root, spec: &Json, kind: &str) -> Option<bool> {
    let namespaces = spec.pointer("/linux/namespaces")?.as_array()?;
    let Some(own) = namespaces.iter().find(|n| n.get("type").and_then(Json::as_str) == Some(kind)) else {
        return Some(true);
    };
    let Some(joined) = own.get("path").and_then(Json::as_str).filter(|path| !path.is_empty()) else {
        return Some(false);
    };
    let file = if kind == "network" { "net" } else { kind };
    let inode = |path: &str| std::fs::metadata(root.at(path)).ok().map(|meta| meta.ino());
    Some(inode(joined)? == inode(&format!("/proc/1/ns/{file}"))?)
}

/// A bind mount; those of kernel file systems are the same everywhere.
fn mount(mount: &Json) -> Option<Mount> {
    let options: Vec<&str> = mount.get("options")?.as_array()?.iter().filter_map(Json::as_str).collect();
    let is_bind = text(mount, "/type") == "bind" || options.iter().any(|o| matches!(*o, "bind" | "rbind"));
    let propagation = options.iter().find(|o| PROPAGATIONS.contains(o)).copied().unwrap_or_default();
    is_bind.then(|| Mount {
        source: text(mount, "/source"),
        dest: text(mount, "/destination"),
        mode: String::new(),
        rdwr: !options.contains(&"ro"),
        propagation: propagation.to_owned(),
    })
}

/// CRI-O notes the labels of a container as JSON.
fn labels(notes: &[(String, String)]) -> Vec<(String, String)> {
    pairs(serde_json::from_str(&first(notes, &["io.kubernetes.cri-o.Labels"])).ok().as_ref())
}

pub(super) fn pod(notes: &[(String, String)]) -> Option<Pod> {
    let name = first(notes, POD_NAME);
    (!name.is_empty()).then(|| Pod {
        name,
        namespace: first(notes, POD_NAMESPACE),
        uid: first(notes, POD_UID),
        full_sandbox_id: first(notes, SANDBOX_ID),
        ip: first(notes, POD_IP),
        ..Pod::default()
    })
}

/// How far up a shim is looked for.
const ANCESTORS: usize = 32;
/// The kernel cuts names (TASK_COMM_LEN).
const COMM_CHARS: usize = 15;
/// Directories of containerd with a directory for each of its namespaces.
const TASKS: &[&str] = &[
    "/run/containerd/io.containerd.runtime.v2.task",
    "/run/k3s/containerd/io.containerd.runtime.v2.task",
    "/run/docker/containerd/daemon/io.containerd.runtime.v2.task",
];
/// Directories of containers/storage (Podman, CRI-O).
const STORAGE: &[&str] =
    &["/var/lib/containers/storage/overlay-containers", "/run/containers/storage/overlay-containers"];
/// The first match decides: Podman's notes hold some of CRI-O as well.
const RUNTIMES: &[(&str, &str)] =
    &[("io.container.manager", "podman"), ("io.kubernetes.cri-o.", "cri-o"), ("io.kubernetes.cri.", "containerd")];
const PROPAGATIONS: &[&str] = &["private", "rprivate", "shared", "rshared", "slave", "rslave"];
const NAME: &[&str] = &["io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name"];
const IMAGE: &[&str] = &["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"];
const IMAGE_ID: &[&str] = &["io.kubernetes.cri-o.ImageRef"];
const POD_NAME: &[&str] = &["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"];
const POD_NAMESPACE: &[&str] = &["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"];
const POD_UID: &[&str] = &["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"];
const SANDBOX_ID: &[&str] =
    &["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID", "io.kubernetes.sandbox.id"];
const POD_IP: &[&str] = &["io.kubernetes.cri-o.IP.0"];
