//! What containers/storage (Podman, CRI-O) records about its containers: `containers.json` above their bundles. In: the
//! bundle; out: name and image.

use super::bundle::Bundle;
use super::{json, set_image, text};
use engine::state::containers::ContainerInfo;
use serde_json::Value as Json;

/// Adds what the storage recorded; false when the container is none of its.
pub(super) fn add(info: &mut ContainerInfo, bundle: &Bundle, id: &str) -> bool {
    let Some(record) = record(bundle, id) else { return false };
    // The record of a container is JSON inside JSON.
    let metadata: Json = serde_json::from_str(&text(&record, "/metadata")).unwrap_or_default();
    if info.runtime != "cri-o" {
        // CRI-O's names are long ones made of pod, namespace and container.
        info.runtime = "podman".to_owned();
        info.name = text(&record, "/names/0");
    }
    if info.image.is_empty() {
        set_image(info, &text(&metadata, "/image-name"));
    }
    if info.image_id.is_empty() {
        info.image_id = text(&record, "/image");
    }
    true
}

fn record(bundle: &Bundle, id: &str) -> Option<Json> {
    let all = bundle.path.ancestors().nth(2)?;
    let lists = ["containers.json", "volatile-containers.json"].map(|name| json(&all.join(name)));
    let mut records = lists.into_iter().flatten().filter_map(|list| match list {
        Json::Array(records) => Some(records),
        _ => None,
    });
    records.find_map(|records| records.into_iter().find(|record| text(record, "/id") == id))
}
