//! What Docker records about its containers: `config.v2.json` and `hostconfig.json` in the directory of the container, which
//! a mount of the bundle betrays wherever Docker keeps its data. In: the directory; out: name, image, labels, addresses,
//! mounts and privileges as the user gave them.

use super::bundle::{Bundle, pod};
use super::{first, json, pairs, set_image, text};
use engine::state::containers::{ContainerInfo, Mount};
use host::root::Root;
use serde_json::Value as Json;
use std::path::PathBuf;

/// Adds what Docker recorded; false when the container is none of Docker's.
pub(super) fn add(info: &mut ContainerInfo, root: &Root, bundle: Option<&Bundle>, id: &str) -> bool {
    let Some(directory) = directory(root, bundle, id) else { return false };
    let Some(config) = json(&directory.join("config.v2.json")) else { return false };
    info.runtime = "docker".to_owned();
    info.name = text(&config, "/Name").trim_start_matches('/').to_owned();
    info.image_id = text(&config, "/Image").trim_start_matches("sha256:").to_owned();
    set_image(info, &text(&config, "/Config/Image"));
    info.labels = pairs(config.pointer("/Config/Labels"));
    info.ip = address(&config);
    info.pod = pod(&info.labels);
    if let Some(mounts) = config.get("MountPoints").and_then(Json::as_object) {
        info.mounts = mounts.values().map(mount).collect();
    }
    if let Some(limits) = json(&directory.join("hostconfig.json")) {
        privileges(info, &limits);
    }
    let label = first(&info.labels, &["io.kubernetes.container.name"]);
    if !label.is_empty() {
        info.name = label;
    }
    true
}

/// Docker mounts files of its own directory into every container.
fn directory(root: &Root, bundle: Option<&Bundle>, id: &str) -> Option<PathBuf> {
    let end = format!("/containers/{id}/hostname");
    let sources = bundle.into_iter().flat_map(Bundle::mounts).filter_map(|mount| mount.get("source")?.as_str());
    let told =
        sources.into_iter().find_map(|source| source.ends_with(&end).then(|| source.trim_end_matches("/hostname")));
    let usual = format!("/var/lib/docker/containers/{id}");
    let directory = root.at(told.unwrap_or(&usual));
    (!id.contains('/') && directory.is_dir()).then_some(directory)
}

fn address(config: &Json) -> String {
    let networks = config.pointer("/NetworkSettings/Networks").and_then(Json::as_object);
    let addresses = networks.into_iter().flat_map(|all| all.values()).map(|network| text(network, "/IPAddress"));
    addresses.into_iter().find(|address| !address.is_empty()).unwrap_or_default()
}

fn mount(point: &Json) -> Mount {
    Mount {
        source: text(point, "/Source"),
        dest: text(point, "/Destination"),
        mode: text(point, "/Relabel"),
        rdwr: point.get("RW").and_then(Json::as_bool).unwrap_or(false),
        propagation: text(point, "/Propagation"),
    }
}

fn privileges(info: &mut ContainerInfo, limits: &Json) {
    let is_host = |pointer: &str| Some(text(limits, pointer) == "host");
    info.privileged = limits.get("Privileged").and_then(Json::as_bool).or(info.privileged);
    info.host_pid = is_host("/PidMode");
    info.host_network = is_host("/NetworkMode");
    info.host_ipc = is_host("/IpcMode");
}
