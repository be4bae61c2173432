//! Containers by id. In: the cgroups of a thread, and what a container runtime told somebody who may ask it. Out: the
//! id, runtime and metadata behind a thread's container id. Cgroup text is matched when a thread's cgroups change and
//! never per event; nothing here talks to a runtime.

use super::strings::Str;
use super::thread::items;
use hashbrown::HashMap;

/// Containers that threads or metadata name.
#[derive(Debug)]
pub struct Containers {
    enabled: [bool; RUNTIMES],
    /// Whether `/<namespace>/<id>` names a container although one controller alone says so.
    any_controller: bool,
    known: HashMap<Str, Container, foldhash::fast::RandomState>,
    sweep_at: usize,
}

/// One container.
#[derive(Clone, Debug)]
pub struct Container {
    /// As it stands in the cgroup path, usually 64 hexadecimal digits.
    pub full_id: Box<[u8]>,
    pub runtime: Runtime,
    /// `None` until somebody told.
    pub info: Option<Box<ContainerInfo>>,
    /// How often somebody was asked; 0 when the metadata came in an event.
    asked: u8,
}

/// Who runs a container. The order is the order in which cgroup paths are matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Runtime {
    Podman,
    Docker,
    Cri,
    Containerd,
    Lxc,
    LibvirtLxc,
    Bpm,
}

/// What only a runtime knows. Empty text and `None` mean unknown: the fields are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerInfo {
    pub name: String,
    /// Overrides the runtime that the cgroup path suggests: `cri-o`, `containerd`, ...
    pub runtime: String,
    pub image: String,
    pub image_id: String,
    pub image_repository: String,
    pub image_tag: String,
    pub image_digest: String,
    pub privileged: Option<bool>,
    pub host_pid: Option<bool>,
    pub host_network: Option<bool>,
    pub host_ipc: Option<bool>,
    pub mounts: Vec<Mount>,
    /// ns since the epoch.
    pub start_ts: Option<u64>,
    pub ip: String,
    pub cni_json: String,
    pub healthcheck: String,
    pub liveness_probe: String,
    pub readiness_probe: String,
    pub labels: Vec<(String, String)>,
    pub pod: Option<Pod>,
}

/// One mount of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    pub source: String,
    pub dest: String,
    pub mode: String,
    pub rdwr: bool,
    pub propagation: String,
}

/// The Kubernetes pod of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub full_sandbox_id: String,
    pub ip: String,
    pub cni_json: String,
    pub labels: Vec<(String, String)>,
}

impl Runtime {
    pub const ALL: [Runtime; RUNTIMES] = [
        Runtime::Podman,
        Runtime::Docker,
        Runtime::Cri,
        Runtime::Containerd,
        Runtime::Lxc,
        Runtime::LibvirtLxc,
        Runtime::Bpm,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Runtime::Podman => "podman",
            Runtime::Docker => "docker",
            Runtime::Cri => "cri",
            Runtime::Containerd => "containerd",
            Runtime::Lxc => "lxc",
            Runtime::LibvirtLxc => "libvirt-lxc",
            Runtime::Bpm => "bpm",
        }
    }
}

impl Default for Containers {
    fn default() -> Self {
        Containers::new(&Runtime::ALL, false)
    }
}

impl Containers {
    /// Recognises the containers of `runtimes` only. Any two folders look like a container of containerd, whose ids may be
    /// words; unless `any_controller` is enough, two controllers have to agree, as they do for what runc started.
    pub fn new(runtimes: &[Runtime], any_controller: bool) -> Self {
        let enabled = Runtime::ALL.map(|r| runtimes.contains(&r));
        Containers { enabled, any_controller, known: HashMap::default(), sweep_at: SWEEP_FIRST }
    }

    /// The short id of the container that `cgroups` (`subsys=path` items, NUL-separated) belong to; empty = host.
    /// Remembers the container.
    pub fn identify(&mut self, cgroups: &[u8]) -> Str {
        let Some((runtime, full_id)) = self.matched(cgroups) else { return Str::default() };
        let short = full_id.get(..SHORT_ID_BYTES).unwrap_or(full_id);
        if let Some((id, _)) = self.known.get_key_value(short) {
            return Str::clone(id);
        }
        self.sweep();
        let id = Str::from(short);
        self.known.insert(Str::clone(&id), Container { full_id: full_id.into(), runtime, info: None, asked: 0 });
        id
    }

    pub fn lookup(&self, id: &[u8]) -> Option<&Container> {
        self.known.get(id)
    }

    /// Attaches metadata to the container with the full or short id `id`, which becomes known if it was not.
    pub fn supply(&mut self, id: &[u8], runtime: Runtime, info: ContainerInfo) {
        let short = id.get(..SHORT_ID_BYTES).unwrap_or(id);
        let fresh = || Container { full_id: id.into(), runtime, info: None, asked: 0 };
        self.known.entry(Str::from(short)).or_insert_with(fresh).info = Some(Box::new(info));
    }

    /// Drops the metadata of a container that is gone; the id stays as long as threads have it.
    pub fn forget(&mut self, id: &[u8]) {
        if let Some(container) = self.known.get_mut(id) {
            container.info = None;
        }
    }

    /// The full id of the container `id` when somebody should be asked about it once more.
    pub(crate) fn next_question(&mut self, id: &[u8]) -> Option<Box<[u8]>> {
        let container = self.known.get_mut(id).filter(|c| c.info.is_none() && c.asked < QUESTIONS)?;
        container.asked += 1;
        Some(container.full_id.clone())
    }

    /// Keeps the answer to a question about the container `id`.
    pub(crate) fn answer(&mut self, id: &[u8], info: ContainerInfo) {
        if let Some(container) = self.known.get_mut(id) {
            container.info = Some(Box::new(info));
        }
    }

    fn matched<'c>(&self, cgroups: &'c [u8]) -> Option<(Runtime, &'c [u8])> {
        items(cgroups).find_map(|item| {
            let at = memchr::memchr(b'=', item)?;
            let path = item.get(at + 1..)?;
            let enabled = Runtime::ALL.into_iter().zip(self.enabled).filter(|(_, on)| *on);
            let found = enabled.into_iter().find_map(|(runtime, _)| Some((runtime, id_in(runtime, path)?)))?;
            let is_doubtful = found.0 == Runtime::Containerd && !self.any_controller;
            let agree = || items(cgroups).filter(|other| other.ends_with(path)).count();
            (!is_doubtful || agree() > 1 || items(cgroups).count() == 1).then_some(found)
        })
    }

    /// Removes containers that no thread and no event names, whenever their number has doubled. What was asked about can
    /// be asked again.
    fn sweep(&mut self) {
        if self.known.len() >= self.sweep_at {
            self.known.retain(|id, c| (c.info.is_some() && c.asked == 0) || std::sync::Arc::strong_count(id) > 1);
            self.sweep_at = (self.known.len() * 2).max(SWEEP_FIRST);
        }
    }
}

/// The id in cgroup path `path` if it is one of `runtime`.
fn id_in(runtime: Runtime, path: &[u8]) -> Option<&[u8]> {
    match runtime {
        Runtime::Podman => between_any(path, PODMAN),
        Runtime::Docker => between_any(path, DOCKER),
        Runtime::Cri => between_any(path, CRI),
        Runtime::Containerd => containerd_id(path),
        Runtime::Lxc => LXC.iter().find_map(|prefix| component_after(path, prefix)),
        Runtime::LibvirtLxc => libvirt_id(path),
        Runtime::Bpm => cut(after(path, b"bpm-")?, b".scope").filter(|id| !id.is_empty()),
    }
}

fn between_any<'p>(path: &'p [u8], layouts: &[(&[u8], &[u8])]) -> Option<&'p [u8]> {
    layouts.iter().find_map(|(prefix, suffix)| hex_id_between(path, prefix, suffix))
}

/// The 64 hexadecimal digits between the last `prefix` and the last `suffix` (empty = the end).
fn hex_id_between<'p>(path: &'p [u8], prefix: &[u8], suffix: &[u8]) -> Option<&'p [u8]> {
    let start = memchr::memmem::rfind(path, prefix)? + prefix.len();
    let end = if suffix.is_empty() { path.len() } else { memchr::memmem::rfind(path, suffix)? };
    let id = path.get(start..end)?;
    (id.len() == FULL_ID_BYTES && id.iter().all(u8::is_ascii_hexdigit)).then_some(id)
}

/// `/<namespace>/<id>`, where neither is a unit of systemd and the namespace is not a directory of somebody else.
fn containerd_id(path: &[u8]) -> Option<&[u8]> {
    let mut parts = path.strip_prefix(b"/")?.split(|b| *b == b'/');
    let (namespace, id) = (parts.next()?, parts.next()?);
    let is_unit = |part: &[u8]| UNITS.iter().any(|unit| part.ends_with(unit));
    let is_foreign = namespace.is_empty() || NOT_CONTAINERD.contains(&namespace);
    let fits = !is_foreign && (1..=FULL_ID_BYTES).contains(&id.len());
    (parts.next().is_none() && fits && !is_unit(namespace) && !is_unit(id)).then_some(id)
}

fn libvirt_id(path: &[u8]) -> Option<&[u8]> {
    if let Some(head) = cut(path, b".libvirt-lxc") {
        return head.rsplit(|b| *b == b'/').next().filter(|id| !id.is_empty());
    }
    let scope = after(path, b"-lxc\\x2").and_then(|rest| cut(rest, b".scope"));
    scope.filter(|id| !id.is_empty()).or_else(|| component_after(path, b"/libvirt/lxc/"))
}

/// The path component that follows `prefix`.
fn component_after<'p>(path: &'p [u8], prefix: &[u8]) -> Option<&'p [u8]> {
    after(path, prefix)?.split(|b| *b == b'/').next().filter(|id| !id.is_empty())
}

fn after<'p>(path: &'p [u8], prefix: &[u8]) -> Option<&'p [u8]> {
    path.get(memchr::memmem::find(path, prefix)? + prefix.len()..)
}

fn cut<'p>(path: &'p [u8], suffix: &[u8]) -> Option<&'p [u8]> {
    path.get(..memchr::memmem::find(path, suffix)?)
}

const RUNTIMES: usize = 7;
const FULL_ID_BYTES: usize = 64;
/// How much of the id users see.
const SHORT_ID_BYTES: usize = 12;
/// Containers that may gather before the first sweep.
const SWEEP_FIRST: usize = 1024;
/// Processes of a container at which somebody is asked what it is.
const QUESTIONS: u8 = 4;
/// Top directories of other runtimes and of the kubelet.
const NOT_CONTAINERD: &[&[u8]] = &[b"docker", b"kubepods", b"lxc", b"lxc.payload", b"libvirt", b"machine"];
const UNITS: &[&[u8]] = &[b".service", b".slice", b".scope"];
const PODMAN: &[(&[u8], &[u8])] =
    &[(b"/libpod-", b".scope"), (b"/libpod-", b".scope/container"), (b"/libpod-", b""), (b"/libpod-payload-", b"")];
const DOCKER: &[(&[u8], &[u8])] = &[(b"/", b""), (b"/docker-", b".scope")];
const CRI: &[(&[u8], &[u8])] = &[
    (b"/", b""),
    (b"/crio-", b""),
    (b"/cri-containerd-", b".scope"),
    (b"/crio-", b".scope"),
    (b":cri-containerd:", b""),
    (b"/docker-", b".scope"),
    (b"/nerdctl-", b".scope"),
];
const LXC: &[&[u8]] = &[b"/lxc/", b"/lxc.payload/", b"/lxc.payload."];

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "697956520d891b5cb0e215093970c733549a3f745f52263c05b37f8a488994f3";

    fn check(path: &str, expect: Option<(Runtime, &str)>) {
        let containers = Containers::default();
        let cgroups = format!("cpuset=/\0cpu={path}\0memory={path}\0");
        let got = containers.matched(cgroups.as_bytes());
        assert_eq!(got, expect.map(|(r, id)| (r, id.as_bytes())), "{path}");
    }

    #[test]
    fn recognises_the_layouts_of_all_runtimes() {
        check(&format!("/machine.slice/libpod-{ID}.scope"), Some((Runtime::Podman, ID)));
        check(&format!("/machine.slice/libpod-{ID}.scope/container"), Some((Runtime::Podman, ID)));
        check(&format!("/user.slice/libpod-payload-{ID}"), Some((Runtime::Podman, ID)));
        check(&format!("/docker/{ID}"), Some((Runtime::Docker, ID)));
        check(&format!("/system.slice/docker-{ID}.scope"), Some((Runtime::Docker, ID)));
        check(&format!("/kubepods.slice/cri-containerd-{ID}.scope"), Some((Runtime::Cri, ID)));
        check(&format!("/kubepods.slice/crio-{ID}.scope"), Some((Runtime::Cri, ID)));
        check(&format!("/system.slice/x.service:cri-containerd:{ID}"), Some((Runtime::Cri, ID)));
        check("/default/my_box", Some((Runtime::Containerd, "my_box")));
        check("/lxc/web", Some((Runtime::Lxc, "web")));
        check("/lxc/web/init.scope", Some((Runtime::Lxc, "web")));
        check("/lxc.payload.web", Some((Runtime::Lxc, "web")));
        check("/machine/c1.libvirt-lxc", Some((Runtime::LibvirtLxc, "c1")));
        check("/machine.slice/c1.libvirt-lxc/x", Some((Runtime::LibvirtLxc, "c1")));
        check("/system.slice/bpm-job.scope", Some((Runtime::Bpm, "job")));
    }

    #[test]
    fn the_host_is_no_container() {
        for path in [
            "/",
            "/init.scope",
            "/user.slice/user-1000.slice",
            "/system.slice/ssh.service",
            "",
            "/docker/short/x",
            "/kubepods/besteffort",
        ] {
            check(path, None);
        }
        check("/a/b/zz7956520d891b5cb0e215093970c733549a3f745f52263c05b37f8a488994f3", None);
    }

    #[test]
    fn two_folders_in_one_controller_are_no_container() {
        let one = b"cpuset=/\0cpu=/\0memory=/process_api/3ebaf868e6d23bdf\0";
        let all = b"cpuset=/default/web\0cpu=/default/web\0cpuacct=/\0";
        let id = |any, cgroups: &[u8]| Containers::new(&Runtime::ALL, any).identify(cgroups).to_vec();
        assert_eq!((id(false, one).as_slice(), id(false, all).as_slice()), (&b""[..], &b"web"[..]));
        assert_eq!((id(true, one).as_slice(), id(true, all).as_slice()), (&b"3ebaf868e6d2"[..], &b"web"[..]));
    }

    #[test]
    fn a_container_is_remembered_and_can_be_described() {
        let mut containers = Containers::default();
        let id = containers.identify(format!("cpu=/docker/{ID}\0").as_bytes());
        assert_eq!(&*id, b"697956520d89");
        assert_eq!(containers.next_question(&id).as_deref(), Some(ID.as_bytes()));
        containers.supply(
            ID.as_bytes(),
            Runtime::Docker,
            ContainerInfo { name: "web".into(), ..ContainerInfo::default() },
        );
        let known = containers.lookup(&id).expect("known");
        assert_eq!((&*known.full_id, known.info.as_ref().map(|i| i.name.as_str())), (ID.as_bytes(), Some("web")));
        assert_eq!(containers.next_question(&id), None);
        containers.forget(&id);
        let asked = (0..9).filter(|_| containers.next_question(&id).is_some()).count();
        assert_eq!(asked + 1, usize::from(QUESTIONS), "nobody is asked for ever");
    }

    #[test]
    fn runtimes_can_be_switched_off_and_unused_ids_go() {
        let mut none = Containers::new(&[], false);
        assert!(none.identify(format!("cpu=/docker/{ID}\0").as_bytes()).is_empty());
        let mut all = Containers::default();
        for n in 0..SWEEP_FIRST * 3 {
            all.identify(format!("cpu=/ns/box{n}\0").as_bytes());
        }
        assert!(all.known.len() <= SWEEP_FIRST);
    }

    #[test]
    fn answers_about_gone_containers_go_too() {
        let mut containers = Containers::default();
        for n in 0..SWEEP_FIRST * 3 {
            let id = containers.identify(format!("cpu=/ns/box{n}\0").as_bytes());
            assert!(containers.next_question(&id).is_some());
            containers.answer(&id, ContainerInfo::default());
        }
        assert!(containers.known.len() <= SWEEP_FIRST);
    }
}
