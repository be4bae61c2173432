//! Where a policy goes: the names in a file or on the command line come in, a place in a network namespace goes out.
//! Containers are found by their id in /proc/PID/cgroup.

use crate::exit::Failure;
use std::path::{Path, PathBuf};
use traffic::attach::Place;
use traffic::policy::Policy;

/// The network namespace of a policy (`None`: this one) and its interface.
pub struct Target {
    pub netns: Option<PathBuf>,
    pub interface: String,
}

impl Target {
    /// What the command line says wins over the file.
    pub fn of(policy: &Policy, interface: Option<&str>, netns: Option<&str>) -> Result<Target, Failure> {
        let netns = match (netns.or(policy.target.netns.as_deref()), &policy.target.container) {
            (Some(name), _) => Some(netns_path(name)),
            (None, Some(container)) => Some(container_netns(container)?),
            (None, None) => None,
        };
        let interface = interface.map(str::to_owned).or_else(|| policy.target.interface.clone()).ok_or_else(|| {
            Failure::message(format!("policy `{}`: no interface", policy.name))
                .help("add `interface: NAME` to the file or use `--interface NAME`")
        })?;
        Ok(Target { netns, interface })
    }

    /// Runs `work` with the place, in its namespace.
    pub fn run<T: Send>(&self, work: impl FnOnce(&Place) -> Result<T, Failure> + Send) -> Result<T, Failure> {
        inside(self.netns.as_deref(), || work(&Place::here(&self.interface)?))
    }
}

/// Runs `work` in a network namespace.
pub fn inside<T: Send>(netns: Option<&Path>, work: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    let Some(path) = netns else { return work() };
    traffic::attach::netns::run(path, work)
        .map_err(|e| Failure::message(format!("network namespace `{}`: {e}", path.display())))?
}

/// A name under /run/netns, or a path.
pub fn netns_path(name: &str) -> PathBuf {
    if name.contains('/') { PathBuf::from(name) } else { Path::new("/run/netns").join(name) }
}

/// The namespace of the first process whose cgroup names the container.
fn container_netns(id: &str) -> Result<PathBuf, Failure> {
    let long_enough = id.len() >= MIN_ID_BYTES && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let found = pids.find(|pid| {
        long_enough && std::fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| names(&text, id))
    });
    found.map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net"))).ok_or_else(|| {
        Failure::message(format!("container `{id}`: no running process belongs to it"))
            .help("give at least the first 8 characters of the id of a running container")
    })
}

/// Whether a part of a cgroup path begins with the id, with or without a runtime's prefix such as `docker-`.
fn names(cgroups: &str, id: &str) -> bool {
    cgroups
        .split(['/', '\n', ':'])
        .any(|part| part.starts_with(id) || part.rsplit_once('-').is_some_and(|(_, tail)| tail.starts_with(id)))
}

const MIN_ID_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn finds_ids_in_cgroup_paths() {
        assert!(names("0::/system.slice/docker-0123456789ab.scope", "0123456789"));
        assert!(names("1:cpu:/default/web-container", "web-cont"));
        assert!(!names("0::/user.slice/user-0.slice", "01234567"));
    }
}
