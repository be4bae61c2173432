//! CNI commands carried out: a request and the runtime's environment come in, attachments on the right device go out.
//! A veth is filtered on the host's end; a device that was moved or made inside the pod is filtered inside.

use super::json::Json;
use super::request::{self, Failure, Request, What, identity, network_identity};
use super::{Environment, INVALID_CONFIG, INVALID_ENVIRONMENT, NOT_ATTACHED, NOT_AVAILABLE};
use crate::attach::{self, CniAttachment, FilterPlace, Hook, HookDirection, Options, Place, ProgramAttachment, netns};
use crate::chain::{Selection, Stage};
use crate::describe;
use crate::input::Input;
use crate::kernel::LoadedPrograms;
use crate::policy::{Direction, Policy};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Runs one command other than VERSION; the text is what goes to standard output.
pub fn run(environment: &Environment, command: &str, config: &Json) -> Result<String, Failure> {
    match command {
        "ADD" => add(environment, config),
        "CHECK" => check(environment, config).map(|()| String::new()),
        "DEL" => delete(environment, config).map(|()| String::new()),
        "GC" => collect_garbage(environment, config).map(|()| String::new()),
        _ => status().map(|()| String::new()),
    }
}

fn add(environment: &Environment, config: &Json) -> Result<String, Failure> {
    let refuse = |message: &str| Failure::new(INVALID_CONFIG, message);
    request::check_keys(config)?;
    let previous = config.get("prevResult").ok_or_else(|| refuse("Could not find prevResult in JSON"))?;
    let device = Device::find(environment, previous)?;
    let request = request::parse(config)?;
    let pod = Pod::of(environment, &request.network);
    device.inside(|place| attach(environment, &pod, place, &device, &request))?;
    Ok(previous.to_text())
}

/// The interface to filter.
struct Device {
    /// The namespace to go to, when it is not this one.
    netns: Option<PathBuf>,
    name: String,
    /// The host's end of the pod's cable: directions are the other way round.
    mirrored: bool,
}

/// Whose interface it is.
struct Pod {
    container_id: String,
    ifname: String,
    identity: String,
}

impl Pod {
    fn of(environment: &Environment, network: &str) -> Pod {
        let container_id = environment.container_id.clone().unwrap_or_default();
        let ifname = environment.ifname.clone().unwrap_or_default();
        let identity = identity(network, &container_id, &ifname);
        Pod { container_id, ifname, identity }
    }

    fn filter_name(&self, what: &What) -> String {
        format!("{FILTER_PREFIX}{}:{}", self.identity, what.name())
    }

    fn policy_name(&self, policy: &Policy) -> String {
        format!("{}-cni-{}", policy.name, self.identity)
    }
}

impl Device {
    /// From the pod's namespace and interface name; without them, from the first interface of the previous result.
    fn find(environment: &Environment, previous: &Json) -> Result<Device, Failure> {
        let refuse = |message: &str| Failure::new(INVALID_CONFIG, message);
        let interfaces = previous.get("interfaces").and_then(Json::as_array);
        let interfaces = interfaces.ok_or_else(|| refuse("Failed to get interfaces"))?;
        let first = interfaces.first().ok_or_else(|| refuse("Failed to get default interface"))?;
        let name = first.get("name").and_then(Json::as_text).ok_or_else(|| refuse("Failed to get ifname"))?;
        match Device::of_pod(environment) {
            Ok(Some(device)) => return Ok(device),
            Err(failure) if !environment.lenient => return Err(failure),
            _ => {}
        }
        nix::net::if_::if_nametoindex(name).map_err(|_| refuse("Failed to retrieve ifindex").details(name))?;
        Ok(Device { netns: None, name: name.to_owned(), mirrored: true })
    }

    /// `None` when the runtime does not say which pod it is about.
    fn of_pod(environment: &Environment) -> Result<Option<Device>, Failure> {
        let (Some(netns), Some(ifname)) = (&environment.netns, &environment.ifname) else { return Ok(None) };
        let refuse = |details: String| Failure::new(INVALID_ENVIRONMENT, "Invalid pod interface").details(details);
        let path = Path::new(netns);
        let inside = netns::run(path, || Place::here(ifname).and_then(|place| Ok(attach::device(place.ifindex)?)));
        let inside = inside.map_err(|e| refuse(format!("CNI_NETNS `{netns}`: {e}")))?;
        let device = inside.map_err(|e| refuse(e.to_string()))?;
        let is_cable = device.kind.as_deref() == Some("veth");
        let host_end = device.lower.filter(|_| is_cable).and_then(|index| attach::device(index).ok());
        if let Some(host_end) = host_end.filter(|end| end.kind.as_deref() == Some("veth")) {
            return Ok(Some(Device { netns: None, name: host_end.name, mirrored: true }));
        }
        Ok(Some(Device { netns: Some(path.to_owned()), name: ifname.clone(), mirrored: false }))
    }

    fn inside<T: Send>(&self, work: impl FnOnce(&Place) -> Result<T, Failure> + Send) -> Result<T, Failure> {
        let here = || work(&Place::here(&self.name).map_err(|e| failed(&e))?);
        match &self.netns {
            None => here(),
            Some(path) => {
                netns::run(path, here).unwrap_or_else(|e| Err(Failure::new(INVALID_ENVIRONMENT, &e.to_string())))
            }
        }
    }

    fn hook(&self, place: &Place, direction: Direction) -> Hook {
        let seen = if self.mirrored { direction.opposite() } else { direction };
        let direction = match seen {
            Direction::In => HookDirection::Ingress,
            Direction::Out => HookDirection::Egress,
        };
        Hook { ifindex: place.ifindex, direction }
    }
}

fn failed(error: &attach::Error) -> Failure {
    Failure::new(INVALID_CONFIG, "Failed to attach BPF program").details(error.to_string())
}

fn attach(
    environment: &Environment,
    pod: &Pod,
    place: &Place,
    device: &Device,
    request: &Request,
) -> Result<(), Failure> {
    match &request.what {
        What::Programs(selection, user) => {
            let loaded = LoadedPrograms::load_with(user.as_ref(), selection, !environment.lenient, TC_ACT_UNSPEC);
            let loaded = loaded.map_err(|e| failed(&e.into()))?.named(&pod.filter_name(&request.what));
            let hook = device.hook(place, request.direction);
            let attached = ProgramAttachment::attach(&loaded, &device.name, hook, Some(pod_place(pod, &request.what)));
            attached.map(drop).map_err(|e| failed(&e))
        }
        What::Policy(policy) => {
            let mut policy = (**policy).clone();
            policy.name = pod.policy_name(&policy);
            let cni = CniAttachment { container_id: pod.container_id.clone(), ifname: pod.ifname.clone() };
            let options = Options { mirrored: device.mirrored, cni: Some(cni), ..options(environment) };
            attach::apply(&policy, place, &options).map(drop).map_err(|e| failed(&e))
        }
    }
}

fn options(environment: &Environment) -> Options {
    Options { bpffs: environment.bpffs.clone(), ..Options::default() }
}

/// A place of its own for each pod interface and program, so that a repeated ADD takes over its own filter.
fn pod_place(pod: &Pod, what: &What) -> FilterPlace {
    let digest = Sha256::digest(pod.filter_name(what));
    let handle = u32::from_ne_bytes(digest.first_chunk().copied().unwrap_or([0; 4]));
    FilterPlace { priority: PROGRAM_PRIORITY, handle: handle & 0x7fff_ffff | 1 }
}

fn check(environment: &Environment, config: &Json) -> Result<(), Failure> {
    request::check_keys(config)?;
    let request = request::parse(config)?;
    let pod = Pod::of(environment, &request.network);
    let empty = Json::Object(Vec::new());
    let device = Device::find(environment, config.get("prevResult").unwrap_or(&empty))?;
    device.inside(|place| {
        let missing = |details: String| Failure::new(NOT_ATTACHED, "Not attached").details(details);
        match &request.what {
            What::Programs(..) => {
                let filters = device.hook(place, request.direction).filters().map_err(|e| missing(e.to_string()))?;
                let name = pod.filter_name(&request.what);
                let found = filters.iter().any(|f| f.name.as_deref() == Some(&name));
                found
                    .then_some(())
                    .ok_or_else(|| missing(format!("interface `{}` has no filter `{name}`", device.name)))
            }
            What::Policy(policy) => check_policy(environment, &pod, policy, place),
        }
    })
}

fn check_policy(environment: &Environment, pod: &Pod, policy: &Policy, place: &Place) -> Result<(), Failure> {
    let missing = |details: String| Failure::new(NOT_ATTACHED, "Not attached").details(details);
    let name = pod.policy_name(policy);
    let all = attach::list(environment.bpffs.as_deref()).map_err(|e| missing(e.to_string()))?;
    let here: Vec<_> = all.iter().filter(|a| a.meta.policy == name && a.ifindex == place.ifindex).collect();
    if here.len() < policy.direction.each().len() {
        return Err(missing(format!(
            "policy `{name}` is not on interface `{}` in all its directions",
            place.interface
        )));
    }
    if here.iter().any(|a| a.meta.digest != describe::digest(policy)) {
        return Err(missing(format!("policy `{name}` on interface `{}` is another version", place.interface)));
    }
    Ok(())
}

/// Removes what is there; whatever is gone already is fine.
fn delete(environment: &Environment, config: &Json) -> Result<(), Failure> {
    let network = config.get("name").and_then(Json::as_text).unwrap_or_default();
    let pod = Pod::of(environment, network);
    let empty = Json::Object(Vec::new());
    if let Ok(device) = Device::find(environment, config.get("prevResult").unwrap_or(&empty)) {
        let _ = device.inside(|place| {
            remove_filters(place.ifindex, |identity| identity == pod.identity);
            Ok(())
        });
    }
    detach_policies(environment, |name| name.ends_with(&format!("-cni-{}", pod.identity)))
}

/// Removes filters of ours on one interface whose pod is meant, and the qdisc with the last of them.
fn remove_filters(ifindex: i32, is_meant: impl Fn(&str) -> bool) {
    for direction in [HookDirection::Ingress, HookDirection::Egress] {
        let hook = Hook { ifindex, direction };
        let mut removed = false;
        for filter in hook.filters().unwrap_or_default() {
            let name = filter.name.unwrap_or_default();
            let identity = name.strip_prefix(FILTER_PREFIX).and_then(|rest| rest.split(':').next());
            if identity.is_some_and(&is_meant) {
                removed |= hook.remove_filter(FilterPlace { priority: filter.priority, handle: filter.handle }).is_ok();
            }
        }
        if removed {
            let _ = attach::remove_empty_clsact(hook);
        }
    }
}

fn detach_policies(environment: &Environment, is_meant: impl Fn(&str) -> bool) -> Result<(), Failure> {
    let refuse =
        |e: &attach::Error| Failure::new(INVALID_CONFIG, "Failed to detach BPF program").details(e.to_string());
    let all = attach::list(environment.bpffs.as_deref()).map_err(|e| refuse(&e))?;
    for attached in all.into_iter().filter(|a| a.meta.cni.is_some() && is_meant(&a.meta.policy)) {
        attach::detach(attached).map_err(|e| refuse(&e))?;
    }
    Ok(())
}

/// Removes what belongs to no attachment that the runtime still knows, and what is left of interfaces that are gone.
fn collect_garbage(environment: &Environment, config: &Json) -> Result<(), Failure> {
    let network = config.get("name").and_then(Json::as_text).unwrap_or_default();
    let attachments = config.get("cni.dev/valid-attachments").and_then(Json::as_array);
    let attachments =
        attachments.ok_or_else(|| Failure::new(INVALID_CONFIG, "Missing field 'cni.dev/valid-attachments'"))?;
    let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_text).unwrap_or_default().to_owned();
    let valid: HashSet<String> =
        attachments.iter().map(|a| identity(network, &text(a, "containerID"), &text(a, "ifname"))).collect();
    let refuse =
        |e: &attach::Error| Failure::new(INVALID_CONFIG, "Failed to detach BPF program").details(e.to_string());
    for attached in attach::list(environment.bpffs.as_deref()).map_err(|e| refuse(&e))? {
        let Some(cni) = &attached.meta.cni else { continue };
        let identity = identity(network, &cni.container_id, &cni.ifname);
        // another network's attachments have another identity in their name
        let of_this_network = attached.meta.policy.ends_with(&format!("-cni-{identity}"));
        if of_this_network && (!valid.contains(&identity) || attached.is_stale()) {
            attach::detach(attached).map_err(|e| refuse(&e))?;
        }
    }
    let of_network = network_identity(network);
    for interface in nix::net::if_::if_nameindex().iter().flatten() {
        if let Ok(ifindex) = i32::try_from(interface.index()) {
            remove_filters(ifindex, |identity| identity.starts_with(&of_network) && !valid.contains(identity));
        }
    }
    Ok(())
}

/// Whether programs can be loaded at all.
fn status() -> Result<(), Failure> {
    let Some(program) = crate::catalogue::find("nop") else { return Ok(()) };
    let nop = Selection::Single(Stage { program, input: Input::None });
    let refuse = |e: crate::kernel::Error| {
        Failure::new(NOT_AVAILABLE, "The plugin is not available").details(format!("programs cannot be loaded: {e}"))
    };
    LoadedPrograms::load(&nop, true, TC_ACT_UNSPEC).map(drop).map_err(refuse)
}

const FILTER_PREFIX: &str = "hawkbell-cni:";
/// Behind policies (20,000), before what the kernel chooses for filters without a priority.
const PROGRAM_PRIORITY: u16 = 20_001;
const TC_ACT_UNSPEC: i32 = -1;
