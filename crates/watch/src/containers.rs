//! What a container is, read from what its runtime wrote on disk before it started it: the OCI bundle of containerd, Docker,
//! Podman, CRI-O and runc, with the annotations that Kubernetes runtimes put there, and the records of Docker and of
//! containers/storage. In: a process of the container and the id that its cgroup names; out: names, image, mounts, pod. No
//! runtime is asked over its socket: nothing waits, nothing has to be allowed, and there is no moment without an answer. What
//! no file tells stays absent.

mod bundle;
mod docker;
mod storage;

use bundle::Bundle;
use engine::state::containers::{ContainerInfo, Runtime};
use host::root::Root;
use serde_json::Value as Json;
use std::io::Read;
use std::path::Path;

/// What the configuration says about containers: the `init_config` of the plugin named `container`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whose containers are told from the host.
    pub runtimes: Vec<Runtime>,
    /// `engines.containerd.any_controller`: two folders below the root of one controller are a container.
    pub any_controller: bool,
    /// Longer labels are left out, bytes.
    pub label_max_bytes: usize,
}

impl Settings {
    /// From the plugin's `init_config`, JSON; what it does not say is as by default.
    pub fn parse(init_config: &str) -> Settings {
        let config: Json = serde_json::from_str(init_config).unwrap_or_default();
        let is_on = |runtime: &Runtime| {
            let key = runtime.name().replace('-', "_");
            config.pointer(&format!("/engines/{key}/enabled")).and_then(Json::as_bool).unwrap_or(true)
        };
        let label_max = config.get("label_max_len").and_then(Json::as_u64).and_then(|n| usize::try_from(n).ok());
        let any_controller = config.pointer("/engines/containerd/any_controller").and_then(Json::as_bool);
        Settings {
            any_controller: any_controller.unwrap_or(false),
            runtimes: Runtime::ALL.into_iter().filter(is_on).collect(),
            label_max_bytes: label_max.unwrap_or(LABEL_MAX_BYTES),
        }
    }
}

/// What is known about the container `full_id`, in which the process `pid` runs.
pub fn describe(root: &Root, pid: i64, full_id: &str, settings: &Settings) -> Option<ContainerInfo> {
    let bundle = Bundle::find(root, pid, full_id);
    let mut info = bundle.as_ref().map(|bundle| bundle.info(root)).unwrap_or_default();
    let recorded = docker::add(&mut info, root, bundle.as_ref(), full_id)
        || bundle.as_ref().is_some_and(|bundle| storage::add(&mut info, bundle, full_id));
    info.labels.retain(|(_, value)| value.len() <= settings.label_max_bytes);
    (bundle.is_some() || recorded).then_some(info)
}

/// Splits `repository[:tag][@digest]`; Docker and Podman mean `latest` when a name has neither.
fn set_image(info: &mut ContainerInfo, image: &str) {
    let (name, digest) = image.split_once('@').unwrap_or((image, ""));
    let tag_at = name.rfind(':').filter(|at| !name[*at..].contains('/'));
    let (repository, tag) = tag_at.map_or((name, ""), |at| (&name[..at], &name[at + 1..]));
    let tag = if tag.is_empty() && digest.is_empty() && !repository.is_empty() { "latest" } else { tag };
    info.image = image.to_owned();
    info.image_repository = repository.to_owned();
    info.image_tag = tag.to_owned();
    info.image_digest = digest.to_owned();
}

/// A JSON file of sensible size.
fn json(path: &Path) -> Option<Json> {
    let mut text = Vec::new();
    std::fs::File::open(path).ok()?.take(LARGEST_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn text(json: &Json, pointer: &str) -> String {
    json.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// The texts of an object, as pairs.
fn pairs(object: Option<&Json>) -> Vec<(String, String)> {
    let entries = object.and_then(Json::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The first of several keys that has a value.
fn first(pairs: &[(String, String)], keys: &[&str]) -> String {
    let value = |key: &&str| pairs.iter().find(|(k, v)| k == key && !v.is_empty()).map(|(_, v)| v.clone());
    keys.iter().find_map(value).unwrap_or_default()
}

/// The reference's default.
const LABEL_MAX_BYTES: usize = 100;
/// A file larger than this is not what we look for.
const LARGEST_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests;
