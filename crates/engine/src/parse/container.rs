//! Containers described by events. In: the JSON that captures carry in container events and asynchronous events named
//! `container` and `container_removed`, and what the machine is asked at first processes. Out: metadata by container id, and
//! the same JSON for captures. Text that is not the expected JSON changes nothing; unknown members are ignored.

use super::Step;
use crate::proc_source::ProcSource;
use crate::state::containers::{Container, ContainerInfo, Mount, Pod, Runtime};
use crate::state::{State, Str};
use event::Event;
use serde_json::{Value as Json, json};

/// A process shows itself in its container: whoever can tell is asked who its users are and what the container is.
pub(crate) fn meet(state: &mut State, source: &mut dyn ProcSource, tid: i64) {
    let Some(thread) = state.thread(tid) else { return };
    let id = Str::clone(&thread.container_id);
    if id.is_empty() {
        return;
    }
    super::users::learn_accounts(state, source, tid, &id);
    if let Some(full_id) = state.containers.next_question(&id)
        && let Some(info) = source.container(tid, &full_id)
    {
        state.containers.answer(&id, info);
    }
}

/// `CONTAINER_JSON_2_E`: the JSON is parameter 0.
pub(super) fn container_event(state: &mut State, event: &Event<'_>, _: &mut Step<'_>) {
    supply(state, event.text(0));
}

/// `ASYNCEVENT_E`: name in parameter 1, data in parameter 2.
pub(super) fn async_event(state: &mut State, event: &Event<'_>, _: &mut Step<'_>) {
    match event.text(1) {
        Some(b"container") => supply(state, event.text(2)),
        Some(b"container_removed") => {
            if let Some(id) = description(event.text(2)).as_ref().and_then(|c| id_of(c)) {
                state.containers.forget(short(id).as_bytes());
            }
        }
        _ => {}
    }
}

fn supply(state: &mut State, json: Option<&[u8]>) {
    let Some(container) = description(json) else { return };
    let Some(id) = id_of(&container) else { return };
    let name = runtime_name(&container);
    state.containers.supply(id.as_bytes(), runtime_of(&name), info_of(&container, &name));
}

/// The object called `container`, or the whole document.
fn description(json: Option<&[u8]>) -> Option<Json> {
    let end = json?.iter().rposition(|b| *b != 0)?;
    let mut document: Json = serde_json::from_slice(json?.get(..=end)?).ok()?;
    Some(match document.get_mut("container") {
        Some(inner) => inner.take(),
        None => document,
    })
}

fn id_of(container: &Json) -> Option<&str> {
    ["full_id", "id"].iter().filter_map(|key| container.get(key)?.as_str()).find(|id| !id.is_empty())
}

/// Short ids name containers everywhere.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// The runtime by name; old events have a number.
fn runtime_name(container: &Json) -> String {
    let kind = container.get("type");
    let number = kind.and_then(Json::as_u64).and_then(|n| usize::try_from(n).ok());
    match number {
        Some(number) => RUNTIME_NUMBERS.get(number).copied().unwrap_or_default().to_owned(),
        None => kind.and_then(Json::as_str).unwrap_or_default().to_owned(),
    }
}

/// Container types of the capture format, by number.
const RUNTIME_NUMBERS: [&str; 12] =
    ["docker", "lxc", "libvirt-lxc", "mesos", "rkt", "custom", "cri", "containerd", "cri-o", "bpm", "static", "podman"];

fn runtime_of(name: &str) -> Runtime {
    Runtime::ALL.into_iter().find(|r| r.name() == name).unwrap_or(Runtime::Cri)
}

fn info_of(container: &Json, runtime: &str) -> ContainerInfo {
    let text = |key: &str| text_of(container.get(key));
    let flag = |key: &str| container.get(key).and_then(Json::as_bool);
    let labels = labels_of(container.get("labels"));
    let created = container.get("created_time").and_then(Json::as_u64).filter(|s| *s > 0);
    ContainerInfo {
        name: text("name"),
        runtime: runtime.to_owned(),
        image: text("image"),
        image_id: text("imageid"),
        image_repository: text("imagerepo"),
        image_tag: text("imagetag"),
        image_digest: text("imagedigest"),
        privileged: flag("privileged"),
        host_pid: flag("host_pid"),
        host_network: flag("host_network"),
        host_ipc: flag("host_ipc"),
        mounts: container
            .get("Mounts")
            .and_then(Json::as_array)
            .map(|m| m.iter().map(mount_of).collect())
            .unwrap_or_default(),
        start_ts: created.and_then(|seconds| seconds.checked_mul(1_000_000_000)),
        ip: text("ip"),
        cni_json: text("cni_json"),
        pod: pod_of(container, &labels),
        labels,
        ..ContainerInfo::default()
    }
}

fn mount_of(mount: &Json) -> Mount {
    Mount {
        source: text_of(mount.get("Source")),
        dest: text_of(mount.get("Destination")),
        mode: text_of(mount.get("Mode")),
        rdwr: mount.get("RW").and_then(Json::as_bool).unwrap_or(false),
        propagation: text_of(mount.get("Propagation")),
    }
}

/// What the labels that Kubernetes puts on every container say about its pod.
fn pod_of(container: &Json, labels: &[(String, String)]) -> Option<Pod> {
    let label = |key: &str| labels.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
    let sandbox = text_of(container.get("pod_sandbox_id"));
    Some(Pod {
        name: label("io.kubernetes.pod.name")?,
        namespace: label("io.kubernetes.pod.namespace").unwrap_or_default(),
        uid: label("io.kubernetes.pod.uid").unwrap_or_default(),
        full_sandbox_id: if sandbox.is_empty() {
            label("io.kubernetes.sandbox.id").unwrap_or_default()
        } else {
            sandbox
        },
        ip: text_of(container.get("ip")),
        cni_json: text_of(container.get("cni_json")),
        labels: labels_of(container.get("pod_sandbox_labels")),
    })
}

/// The description of a container as events carry it: what [`async_event`] reads.
pub fn to_json(container: &Container) -> Json {
    let none = ContainerInfo::default();
    let info = container.info.as_deref().unwrap_or(&none);
    let full_id = String::from_utf8_lossy(&container.full_id);
    let runtime = if info.runtime.is_empty() { container.runtime.name() } else { &info.runtime };
    let pod = info.pod.as_ref();
    json!({"container": {
        "id": short(&full_id), "full_id": full_id, "name": info.name,
        "type": RUNTIME_NUMBERS.iter().position(|name| *name == runtime).map_or(json!(runtime), |n| json!(n)),
        "image": info.image, "imageid": info.image_id, "imagerepo": info.image_repository,
        "imagetag": info.image_tag, "imagedigest": info.image_digest,
        "privileged": info.privileged, "host_pid": info.host_pid, "host_network": info.host_network,
        "host_ipc": info.host_ipc, "ip": info.ip, "cni_json": info.cni_json,
        "created_time": info.start_ts.map(|ns| ns / 1_000_000_000),
        "Mounts": info.mounts.iter().map(mount_json).collect::<Vec<_>>(),
        "labels": object(info.labels.iter().chain(&pod.map(pod_labels).unwrap_or_default())),
        "pod_sandbox_id": pod.map(|pod| &pod.full_sandbox_id),
        "pod_sandbox_labels": object(pod.iter().flat_map(|pod| &pod.labels)),
    }})
}

fn mount_json(mount: &Mount) -> Json {
    json!({"Source": mount.source, "Destination": mount.dest, "Mode": mount.mode, "RW": mount.rdwr,
           "Propagation": mount.propagation})
}

fn pod_labels(pod: &Pod) -> Vec<(String, String)> {
    let labels = [
        ("io.kubernetes.pod.name", &pod.name),
        ("io.kubernetes.pod.namespace", &pod.namespace),
        ("io.kubernetes.pod.uid", &pod.uid),
    ];
    labels.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

fn object<'p>(pairs: impl Iterator<Item = &'p (String, String)>) -> Json {
    pairs.map(|(key, value)| (key.clone(), Json::from(value.as_str()))).collect()
}

fn labels_of(labels: Option<&Json>) -> Vec<(String, String)> {
    let entries = labels.and_then(Json::as_object).into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), text_of(Some(value)))).collect()
}

fn text_of(value: Option<&Json>) -> String {
    value.and_then(Json::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTION: &[u8] = br#"{"container":{"id":"697956520d89","full_id":"","image":"nginx","imagetag":"latest",
        "type":0,"privileged":false,"Mounts":[{"Source":"/a","Destination":"/b","Mode":"z","RW":true,"Propagation":"rprivate"}],
        "labels":{"io.kubernetes.pod.name":"web","io.kubernetes.pod.namespace":"shop"},"ip":"172.17.0.2","name":"hopeful"}}"#;

    #[test]
    fn a_description_becomes_metadata() {
        let mut state = State::default();
        supply(&mut state, Some(DESCRIPTION));
        let container = state.containers.lookup(b"697956520d89").expect("known");
        let info = container.info.as_ref().expect("described");
        assert_eq!(
            (container.runtime, info.name.as_str(), info.runtime.as_str()),
            (Runtime::Docker, "hopeful", "docker")
        );
        assert_eq!((info.image_tag.as_str(), info.privileged, info.mounts.len()), ("latest", Some(false), 1));
        assert_eq!(info.pod.as_ref().map(|p| p.namespace.as_str()), Some("shop"));
        let mut copy = State::default();
        supply(&mut copy, Some(to_json(container).to_string().as_bytes()));
        let copied = copy.containers.lookup(b"697956520d89").expect("known");
        let without_pod_labels = |info: &ContainerInfo| ContainerInfo { labels: Vec::new(), ..info.clone() };
        assert_eq!(copied.info.as_deref().map(without_pod_labels), Some(without_pod_labels(info)));
        supply(&mut state, Some(b"{\"container\":[]}\0"));
        supply(&mut state, Some(b"\0"));
    }
}
