//! What is kept in the kernel with an attached policy, so that `list`, `show` and `plan` need no database: a JSON text in
//! the program's map `meta`. Comes in: a policy or such a text. Nothing panics on a text written by another version.

use crate::describe;
use crate::policy::{Direction, Policy};
use serde::{Deserialize, Serialize};

/// The facts of one attached version of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Version of this format.
    pub format: u32,
    pub policy: String,
    /// Counts the versions of the policy at this place, from 1.
    pub generation: u32,
    pub digest: String,
    pub audit: bool,
    pub stateful: bool,
    pub capacity: u32,
    /// In how many directions it is attached when it is attached as a whole.
    #[serde(default)]
    pub directions: u8,
    /// Names of the effective rules, in the order of their counters.
    pub rules: Vec<String>,
    /// `describe::lines` of the policy.
    pub lines: Vec<String>,
    pub interface: String,
    pub netns_inode: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cni: Option<CniAttachment>,
}

/// Which pod interface a policy was attached for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CniAttachment {
    #[serde(rename = "containerID")]
    pub container_id: String,
    pub ifname: String,
}

impl Meta {
    pub fn of(policy: &Policy, generation: u32, interface: &str, netns_inode: u64) -> Meta {
        Meta {
            format: FORMAT,
            policy: policy.name.clone(),
            generation,
            digest: describe::digest(policy),
            audit: policy.audit,
            stateful: policy.state.enabled,
            capacity: policy.state.capacity,
            directions: if policy.direction.each().len() == 1 { 1 } else { 2 },
            rules: policy.effective_rules().into_iter().map(|r| r.name).collect(),
            lines: describe::lines(policy),
            interface: interface.to_owned(),
            netns_inode,
            cni: None,
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    /// `None` for what is no such text.
    pub fn from_bytes(bytes: &[u8]) -> Option<Meta> {
        let text = bytes.split(|b| *b == 0).next()?;
        serde_json::from_slice(text).ok().filter(|meta: &Meta| meta.format == FORMAT)
    }
}

/// Name of the pin (or filter) of a policy at a place: stable over updates, restarts and renamed interfaces.
pub fn identity(netns_inode: u64, ifindex: i32, direction: Direction, policy: &str) -> String {
    format!("{netns_inode}-{ifindex}-{direction}-{policy}")
}

const FORMAT: u32 = 1;
