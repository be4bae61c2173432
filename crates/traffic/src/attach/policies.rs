//! Policies on interfaces: applying (new or in place of an earlier version), listing, detaching. The state is the kernel's:
//! pinned links and filters, and the map `meta` of their programs. A process that dies at any point leaves the old version
//! or the new one: the swap of a link's program and the replacement of a filter are single steps in the kernel.

use super::meta::{CniAttachment, Meta, identity};
use super::programs::remove_empty_clsact;
use super::{Error, pins};
use crate::counters;
use crate::kernel::{FLOWS, LoadedPolicy, Purpose};
use crate::policy::{Direction, Policy};
use features::{Answer, Machine};
use load::tc::{Hook, Place as FilterPlace};
use load::{Link, LoadedProgram, Map};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// An interface of the thread's network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub interface: String,
    pub ifindex: i32,
    pub netns_inode: u64,
    /// 14, or 0 on devices without Ethernet header.
    pub link_header: u32,
}

/// How to attach.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// BPF file system to pin in, instead of the usual one.
    pub bpffs: Option<PathBuf>,
    /// Use this mechanism and no other.
    pub mechanism: Option<Mechanism>,
    /// `in` and `out` seen from the other end of the cable: policies of pods on the host's end.
    pub mirrored: bool,
    pub cni: Option<CniAttachment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    Tcx,
    Clsact,
}

/// One direction of one attached policy.
#[derive(Debug)]
pub struct Attached {
    pub direction: Direction,
    pub ifindex: i32,
    pub mechanism: Mechanism,
    pub program_id: u32,
    pub meta: Meta,
    program: LoadedProgram,
    holder: Holder,
}

#[derive(Debug)]
enum Holder {
    Pin(PathBuf),
    Filter(Hook, FilterPlace),
}

/// What `apply` did in one direction.
#[derive(Debug, Serialize)]
pub struct Attachment {
    pub direction: Direction,
    pub mechanism: Mechanism,
    /// Why this mechanism.
    pub reason: String,
    pub generation: u32,
    /// An earlier version was there and was replaced.
    pub replaced: bool,
    #[serde(skip)]
    previous: Option<OwnedFd>,
}

/// What `apply` did.
#[derive(Debug, Serialize)]
pub struct Applied {
    pub attachments: Vec<Attachment>,
    /// Directions of the earlier version that the new one lacks.
    pub detached: Vec<Direction>,
    /// These, until it is decided that the new version stays.
    #[serde(skip)]
    surplus: Vec<Attached>,
}

impl Applied {
    /// The new version stays: takes off what only the earlier one had.
    ///
    /// # Errors
    /// EPERM and the like.
    pub fn keep(&mut self) -> Result<(), Error> {
        self.surplus.drain(..).try_for_each(detach)
    }
}

impl Place {
    /// The interface called `interface` in the calling thread's namespace.
    ///
    /// # Errors
    /// There is none.
    pub fn here(interface: &str) -> Result<Place, Error> {
        let index = nix::net::if_::if_nametoindex(interface).map_err(|_| Error::NoInterface(interface.to_owned()))?;
        let ifindex = i32::try_from(index).map_err(|_| Error::NoInterface(interface.to_owned()))?;
        let netns_inode = load::netns::current_inode();
        let netns_inode = netns_inode.map_err(|error| Error::File {
            what: "read",
            path: "/proc/thread-self/ns/net".into(),
            error,
        })?;
        let link_header = if load::tc::device(ifindex)?.has_ethernet_header() { ETHERNET_HEADER } else { 0 };
        Ok(Place { interface: interface.to_owned(), ifindex, netns_inode, link_header })
    }

    fn hook(&self, direction: Direction) -> Hook {
        let direction = match direction {
            Direction::In => load::net::Direction::Ingress,
            Direction::Out => load::net::Direction::Egress,
        };
        Hook { ifindex: self.ifindex, direction }
    }
}

impl Attached {
    /// Counters of this version and what it carried over, by row.
    ///
    /// # Errors
    /// The maps cannot be read.
    pub fn counters(&self) -> Result<counters::Counters, Error> {
        Ok(counters::Counters::read(&self.program, &self.meta.rules)?)
    }

    /// A map of the attached program.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn map(&self, name: &str) -> Result<Map, Error> {
        Ok(self.program.map(name)?)
    }

    /// An update of the policy here was interrupted between its directions: they are of different versions, or one that
    /// the newest version has is missing. `all` is what [`list`] found.
    pub fn is_mixed(&self, all: &[Attached]) -> bool {
        let here = |a: &&Attached| {
            a.meta.policy == self.meta.policy
                && a.ifindex == self.ifindex
                && a.meta.netns_inode == self.meta.netns_inode
        };
        let newest = all.iter().filter(here).max_by_key(|a| a.meta.generation);
        all.iter().filter(here).any(|a| newest.is_some_and(|newest| newest.meta.generation != a.meta.generation))
            || newest.is_some_and(|newest| newest.meta.directions as usize > all.iter().filter(here).count())
    }

    /// The interface is gone; the pin is all that is left.
    pub fn is_stale(&self) -> bool {
        self.ifindex == 0
    }
}

/// Attaches a policy to an interface, or puts it in the place of its earlier version. Everything that can fail or takes
/// long comes before the first step that changes what packets meet, so that the directions follow each other at once.
///
/// # Errors
/// What the kernel refused; what was attached before is attached again.
pub fn apply(policy: &Policy, place: &Place, options: &Options) -> Result<Applied, Error> {
    let mut applied = apply_on_trial(policy, place, options)?;
    applied.keep()?;
    Ok(applied)
}

/// The same, but what only the earlier version had stays until [`Applied::keep`], so that [`rollback`] finds it.
///
/// # Errors
/// As [`apply`].
pub fn apply_on_trial(policy: &Policy, place: &Place, options: &Options) -> Result<Applied, Error> {
    let existing: Vec<Attached> = at_place(&policy.name, place, options)?;
    let generation = next_generation(&existing);
    let mut meta = Meta::of(policy, generation, &place.interface, place.netns_inode);
    meta.cni.clone_from(&options.cni);
    let flows = reusable_flows(&existing, policy);
    let loaded = LoadedPolicy::load(
        policy,
        &Purpose::Attach {
            generation,
            link_header: place.link_header,
            meta: &meta.to_bytes(),
            flows: flows.as_ref(),
            mirrored: options.mirrored,
        },
    )?;
    let attachments = carry_out(&jobs(policy, &loaded, place, &existing, options)?, options)?;
    carry_counters(&existing, &loaded, &meta.rules)?;
    let is_surplus = |old: &Attached| !attachments.iter().any(|now| now.direction == old.direction);
    let surplus: Vec<Attached> = existing.into_iter().filter(is_surplus).collect();
    let detached = surplus.iter().map(|old| old.direction).collect();
    Ok(Applied { attachments, detached, surplus })
}

/// One job per direction, with everything opened that it will need.
fn jobs<'a>(
    policy: &'a Policy,
    loaded: &'a LoadedPolicy,
    place: &'a Place,
    existing: &'a [Attached],
    options: &Options,
) -> Result<Vec<Job<'a>>, Error> {
    let job = |program: &Direction| {
        let direction = if options.mirrored { program.opposite() } else { *program };
        let old = existing.iter().find(|a| a.direction == direction);
        let link = match old.map(|a| &a.holder) {
            Some(Holder::Pin(path)) => Some(Link::open_pinned(path)?),
            _ => None,
        };
        let (generation, fd) = (next_generation(existing), loaded.program(*program)?);
        Ok(Job { policy: &policy.name, loaded, place, direction, program: *program, generation, old, fd, link })
    };
    policy.direction.each().iter().map(job).collect()
}

/// All or nothing, unless the process dies in between.
fn carry_out(jobs: &[Job<'_>], options: &Options) -> Result<Vec<Attachment>, Error> {
    let mut attachments = Vec::new();
    for job in jobs {
        match job.attach(options) {
            Ok(done) => attachments.push(done),
            Err(error) => {
                rollback(
                    Applied { attachments, detached: Vec::new(), surplus: Vec::new() },
                    job.policy,
                    job.place,
                    options,
                )?;
                return Err(error);
            }
        }
    }
    Ok(attachments)
}

fn next_generation(existing: &[Attached]) -> u32 {
    existing.iter().map(|a| a.meta.generation).max().unwrap_or(0) + 1
}

/// Puts the earlier version back, and detaches what had none.
///
/// # Errors
/// As [`apply`]; every direction is tried.
pub fn rollback(applied: Applied, policy: &str, place: &Place, options: &Options) -> Result<(), Error> {
    let mut live = at_place(policy, place, options)?;
    for attachment in applied.attachments {
        let Some(at) = live.iter().position(|a| a.direction == attachment.direction) else { continue };
        let current = live.swap_remove(at);
        match (attachment.previous, &current.holder) {
            (Some(program), Holder::Pin(path)) => Link::open_pinned(path)?.replace_with(program.as_fd())?,
            (Some(program), Holder::Filter(hook, filter)) => {
                hook.add_filter(program.as_fd(), &filter_name(policy), *filter, true)?;
            }
            (None, _) => detach(current)?,
        }
    }
    Ok(())
}

/// Everything of ours that can be found: all pins, and the filters of the thread's network namespace.
///
/// # Errors
/// Lists cannot be read. Pins and filters of others, and those that vanish meanwhile, are passed over.
pub fn list(bpffs: Option<&Path>) -> Result<Vec<Attached>, Error> {
    let mut all = Vec::new();
    if let Some(folder) = pins::existing_folder(bpffs) {
        let entries = std::fs::read_dir(&folder);
        let entries =
            entries.map_err(|error| Error::File { what: "list", path: folder.display().to_string(), error })?;
        all.extend(entries.flatten().filter_map(|entry| pinned(entry.path())));
    }
    for interface in nix::net::if_::if_nameindex().iter().flatten() {
        if let Ok(ifindex) = i32::try_from(interface.index()) {
            all.extend(filters_of(ifindex));
        }
    }
    all.sort_by_key(|a| (a.meta.policy.clone(), a.ifindex, a.direction));
    Ok(all)
}

/// Takes one direction off.
///
/// # Errors
/// EPERM and the like; what is gone already is no error.
pub fn detach(attached: Attached) -> Result<(), Error> {
    match attached.holder {
        Holder::Pin(path) => {
            let detached = Link::open_pinned(&path).and_then(|link| link.detach());
            std::fs::remove_file(&path).map_err(|error| Error::File {
                what: "remove pin",
                path: path.display().to_string(),
                error,
            })?;
            // a link whose interface is gone cannot be detached any more
            if attached.ifindex != 0 {
                detached?;
            }
            Ok(())
        }
        Holder::Filter(hook, place) => {
            hook.remove_filter(place)?;
            remove_empty_clsact(hook)
        }
    }
}

/// The directions in which the policy is attached to this interface.
fn at_place(policy: &str, place: &Place, options: &Options) -> Result<Vec<Attached>, Error> {
    let here =
        |a: &Attached| a.meta.policy == policy && a.meta.netns_inode == place.netns_inode && a.ifindex == place.ifindex;
    Ok(list(options.bpffs.as_deref())?.into_iter().filter(here).collect())
}

fn pinned(path: PathBuf) -> Option<Attached> {
    let info = Link::open_pinned(&path).ok()?.tcx().ok()??;
    let program = LoadedProgram::by_id(info.program_id).ok()?;
    let meta = meta_of(&program)?;
    let direction = if path.file_name()?.to_str()?.split('-').nth(2)? == "in" { Direction::In } else { Direction::Out };
    Some(Attached {
        direction,
        ifindex: i32::try_from(info.ifindex).ok()?,
        mechanism: Mechanism::Tcx,
        program_id: info.program_id,
        meta,
        program,
        holder: Holder::Pin(path),
    })
}

fn filters_of(ifindex: i32) -> Vec<Attached> {
    let directions = [(Direction::In, load::net::Direction::Ingress), (Direction::Out, load::net::Direction::Egress)];
    let mut found = Vec::new();
    for (direction, at) in directions {
        let hook = Hook { ifindex, direction: at };
        for filter in hook.filters().unwrap_or_default() {
            let ours = filter.name.as_deref().is_some_and(|name| name.starts_with(FILTER_PREFIX));
            let Some(program_id) = filter.program_id.filter(|_| ours) else { continue };
            let Ok(program) = LoadedProgram::by_id(program_id) else { continue };
            let Some(meta) = meta_of(&program) else { continue };
            let place = FilterPlace { priority: filter.priority, handle: filter.handle };
            let holder = Holder::Filter(hook, place);
            found.push(Attached {
                direction,
                ifindex,
                mechanism: Mechanism::Clsact,
                program_id,
                meta,
                program,
                holder,
            });
        }
    }
    found
}

fn meta_of(program: &LoadedProgram) -> Option<Meta> {
    let bytes = program.map("meta").ok()?.lookup(&[0; 4]).ok()??;
    Meta::from_bytes(&bytes)
}

/// Known flows survive an update when their table fits the new version.
fn reusable_flows(existing: &[Attached], policy: &Policy) -> Option<[Map; 2]> {
    let fits = |a: &&Attached| a.meta.stateful && policy.state.enabled && a.meta.capacity == policy.state.capacity;
    let program = &existing.iter().find(fits)?.program;
    let flows = [program.map(FLOWS[0]).ok()?, program.map(FLOWS[1]).ok()?];
    // an older hawkbell may have remembered other things
    flows.iter().all(|map| map.value_bytes() == FLOW_MEMORY_BYTES).then_some(flows)
}

/// Adds what the earlier version counted, rule by rule. Runs after the swap, when it counts no more.
fn carry_counters(existing: &[Attached], loaded: &LoadedPolicy, rules: &[String]) -> Result<(), Error> {
    let Some(old) = existing.first() else { return Ok(()) };
    let counted = old.counters()?;
    Ok(counted.carry_over(&loaded.map("carried")?, rules)?)
}

/// One direction to be attached.
struct Job<'a> {
    policy: &'a str,
    loaded: &'a LoadedPolicy,
    place: &'a Place,
    /// The hook.
    direction: Direction,
    /// Which program of the policy goes there: the other one when it is mirrored.
    program: Direction,
    generation: u32,
    old: Option<&'a Attached>,
    /// The new program.
    fd: OwnedFd,
    /// The link of the old version, when it has one.
    link: Option<Link>,
}

impl Job<'_> {
    fn attach(&self, options: &Options) -> Result<Attachment, Error> {
        let Some(old) = self.old else { return self.attach_new(options) };
        if options.mechanism.is_some_and(|wanted| wanted != old.mechanism) {
            let by = format!("{:?}", old.mechanism).to_lowercase();
            return Err(Error::Place(format!("policy `{}`: is attached by {by} (detach it first)", self.policy)));
        }
        let previous = old.program.as_fd().try_clone_to_owned().ok();
        match (&old.holder, &self.link) {
            (Holder::Filter(hook, place), _) => {
                hook.add_filter(self.fd.as_fd(), &filter_name(self.policy), *place, true)?;
                Ok(self.done(Mechanism::Clsact, "filter replaced in place", previous, true))
            }
            (Holder::Pin(_), Some(link)) => {
                link.replace_with(self.fd.as_fd())?;
                Ok(self.done(Mechanism::Tcx, "link updated in place", previous, true))
            }
            (Holder::Pin(path), None) => Err(Error::Place(format!("pin `{}`: is not open", path.display()))),
        }
    }

    fn attach_new(&self, options: &Options) -> Result<Attachment, Error> {
        let (folder, why_not) = match (options.mechanism, tcx_folder(options)) {
            (Some(Mechanism::Clsact), _) => (None, "asked for".to_owned()),
            (Some(Mechanism::Tcx), Err(why)) => return Err(Error::Place(format!("tcx: {why}"))),
            (_, Ok(folder)) => (Some(folder), String::new()),
            (None, Err(why)) => (None, why),
        };
        match folder {
            Some(folder) => self.attach_tcx(&folder),
            None => self.attach_clsact(&why_not),
        }
    }

    fn attach_tcx(&self, folder: &Path) -> Result<Attachment, Error> {
        let path = folder.join(identity(self.place.netns_inode, self.place.ifindex, self.direction, self.policy));
        // what lies there belongs to an interface that is gone, or `at_place` had found it
        let _ = std::fs::remove_file(&path);
        let mut link = self.loaded.attach_tcx(self.program, self.place.ifindex)?;
        link.pin(&path)?;
        Ok(self.done(Mechanism::Tcx, "the kernel has tcx and the link can be pinned", None, false))
    }

    fn attach_clsact(&self, why: &str) -> Result<Attachment, Error> {
        let hook = self.place.hook(self.direction);
        if hook.slot()?.as_deref() == Some("ingress") && hook.direction == load::net::Direction::Egress {
            return Err(Error::LegacyIngress { interface: self.place.interface.clone() });
        }
        hook.add_clsact()?;
        let place = FilterPlace { priority: POLICY_PRIORITY, handle: handle_of(self.policy) };
        hook.add_filter(self.fd.as_fd(), &filter_name(self.policy), place, false)?;
        Ok(self.done(Mechanism::Clsact, why, None, false))
    }

    fn done(&self, mechanism: Mechanism, reason: &str, previous: Option<OwnedFd>, replaced: bool) -> Attachment {
        let (direction, generation) = (self.direction, self.generation);
        Attachment { direction, mechanism, reason: reason.to_owned(), generation, replaced, previous }
    }
}

/// Where to pin tcx links, or why clsact it is.
fn tcx_folder(options: &Options) -> Result<PathBuf, String> {
    match Machine::here().attach("tcx") {
        Answer::Supported => pins::folder(options.bpffs.as_deref()),
        Answer::Unsupported(reason) | Answer::Unknown(reason) => Err(format!("no tcx: {}", reason.text)),
    }
}

fn filter_name(policy: &str) -> String {
    format!("{FILTER_PREFIX}{policy}")
}

/// Stable and never 0.
fn handle_of(policy: &str) -> u32 {
    let digest = Sha256::digest(policy);
    let bytes = digest.first_chunk().copied().unwrap_or([0; 4]);
    u32::from_ne_bytes(bytes) & 0x7fff_ffff | 1
}

const FILTER_PREFIX: &str = "hawkbell:";
const ETHERNET_HEADER: u32 = 14;
/// `struct flow_memory` in bpf/policy.h.
const FLOW_MEMORY_BYTES: u32 = 24;
/// Before what the kernel chooses for filters without a priority (49152 and down), behind explicit small ones.
const POLICY_PRIORITY: u16 = 20_000;
