//! One policy in the kernel. Comes in: a policy and what it is for. Goes out: programs for its directions with their maps,
//! decisions on single frames. The layout of everything read and written is bpf/policy.h.

use super::{Error, KernelVersion};
use crate::interpret::{Decision, Reason};
use crate::policy::{Direction, Policy, Verdict};
use crate::tables::{Surroundings, Tables};
use load::{AttachType, Link, Loader, Map, Object, PacketInput};
use std::os::fd::OwnedFd;

/// A policy whose programs are loaded but not attached.
#[derive(Debug)]
pub struct LoadedPolicy {
    object: Object,
    audit: bool,
}

/// What the programs answer for packets that pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassVerdict {
    /// Leave the packet to later filters (TCX_NEXT, TC_ACT_UNSPEC).
    Next,
    /// End classification (TCX_PASS, TC_ACT_OK).
    Final,
}

/// What a policy is loaded for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// Judging packets of an interface.
    Attach {
        generation: u32,
        /// Bytes before the network header: 14, or 0 on devices without link header.
        link_header: u32,
        /// What `list` and `plan` find with the program.
        meta: &'a [u8],
        /// Flows of the version it replaces.
        flows: Option<&'a [Map; 2]>,
        /// The programs go to the hooks of the opposite direction.
        mirrored: bool,
    },
    /// Running single frames and saying why.
    Judge,
}

impl LoadedPolicy {
    /// # Errors
    /// The kernel refused, or the policy is too large.
    pub fn load(policy: &Policy, purpose: &Purpose<'_>) -> Result<LoadedPolicy, Error> {
        let around = surroundings(policy, purpose);
        let tables = Tables::build(policy, &around).map_err(|e| Error::TooLarge(policy.name.clone(), e))?;
        let directions = if around.trace { &[Direction::In, Direction::Out] } else { policy.direction.each() };
        // their memory is taken at once, and making it is half of what attaching costs
        let flows_kept = if policy.state.enabled { policy.state.capacity } else { 1 };
        let mut loader = Loader::new("hawkbell", OBJECT)
            .global("config", &tables.config)
            .value_bytes("tables", bytes(tables.blob.len()))
            .max_entries("counters", tables.counter_rows)
            .max_entries("carried", tables.counter_rows)
            .max_entries(FLOWS[0], flows_kept)
            .max_entries(FLOWS[1], flows_kept)
            .only(directions.iter().map(|d| program_name(*d)));
        let mirrored = matches!(purpose, Purpose::Attach { mirrored: true, .. });
        for direction in directions {
            let hook = if mirrored { direction.opposite() } else { *direction };
            loader = loader.attach_type(program_name(*direction), attach_type(hook));
        }
        let mut meta: &[u8] = &[0; 8];
        if let Purpose::Attach { meta: given, flows, .. } = purpose {
            meta = given;
            if let Some(flows) = flows {
                loader = loader.reuse(FLOWS[0], &flows[0]).reuse(FLOWS[1], &flows[1]);
            }
        }
        let object = loader.value_bytes("meta", bytes(meta.len())).load()?;
        object.map("tables")?.update(&[0; 4], &tables.blob)?;
        object.map("meta")?.update(&[0; 4], meta)?;
        Ok(LoadedPolicy { object, audit: policy.audit })
    }

    /// Judges a frame, in [`Purpose::Judge`]; `now_nanos` is the time the memory of flows goes by.
    ///
    /// # Errors
    /// EINVAL for frames that the kernel does not run (shorter than their own headers).
    pub fn judge(&self, frame: &[u8], direction: Direction, now_nanos: u64) -> Result<Decision, Error> {
        let input = PacketInput { frame, tstamp: now_nanos, repeat: 1 };
        let run = self.object.run_packet(program_name(direction), &input)?;
        Ok(decision(run.value, self.audit))
    }

    /// Mean nanoseconds of `repeat` runs on a frame.
    ///
    /// # Errors
    /// As [`LoadedPolicy::judge`].
    pub fn time(&self, frame: &[u8], direction: Direction, repeat: u32) -> Result<u64, Error> {
        let input = PacketInput { frame, tstamp: 0, repeat };
        Ok(self.object.run_packet(program_name(direction), &input)?.nanos)
    }

    /// Attaches the program for a direction to its tcx hook, in front of others.
    ///
    /// # Errors
    /// EINVAL on kernels without tcx.
    pub fn attach_tcx(&self, direction: Direction, ifindex: i32) -> Result<Link, Error> {
        Ok(self.object.attach_tcx(program_name(direction), ifindex, true)?)
    }

    /// The program for a direction.
    ///
    /// # Errors
    /// The policy does not go that way.
    pub fn program(&self, direction: Direction) -> Result<OwnedFd, Error> {
        Ok(self.object.program_fd(program_name(direction))?)
    }

    /// A map of the policy, by its name in bpf/policy.bpf.c.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn map(&self, name: &str) -> Result<Map, Error> {
        Ok(self.object.map(name)?)
    }
}

/// Name of the program for a direction, also as the kernel shows it.
pub fn program_name(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "hawkbell_in",
        Direction::Out => "hawkbell_out",
    }
}

fn attach_type(direction: Direction) -> AttachType {
    match direction {
        Direction::In => AttachType::TcxIngress,
        Direction::Out => AttachType::TcxEgress,
    }
}

fn surroundings(policy: &Policy, purpose: &Purpose<'_>) -> Surroundings {
    let (generation, link_header, trace) = match purpose {
        Purpose::Attach { generation, link_header, .. } => (*generation, *link_header, false),
        Purpose::Judge => (0, ETHERNET_HEADER, true),
    };
    let pass_verdict = if policy.last_word { PassVerdict::Final } else { PassVerdict::Next };
    Surroundings {
        generation,
        pass_verdict: if pass_verdict == PassVerdict::Final { TC_ACT_OK } else { TC_ACT_UNSPEC },
        trace,
        link_header,
        coarse_clock: KernelVersion::running() >= COARSE_CLOCK_SINCE,
    }
}

/// Takes the answer of a tracing program apart (`trace_of` in policy.bpf.c).
fn decision(answer: u32, audit: bool) -> Decision {
    let verdict = if answer & 1 == 1 { Verdict::Allow } else { Verdict::Deny };
    let reason = Reason::ALL.get((answer >> 1 & 7) as usize).copied().unwrap_or(Reason::Malformed);
    let index = |plus_one: u32| usize::try_from(plus_one).ok().and_then(|n| n.checked_sub(1));
    Decision {
        verdict,
        passes: audit || verdict == Verdict::Allow,
        reason,
        rule: index(answer >> 4 & 0xfff),
        audited: index(answer >> 16),
    }
}

fn bytes(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The maps of known flows, IPv4 and IPv6.
pub const FLOWS: [&str; 2] = ["flows4", "flows6"];
static OBJECT: &[u8] = include!(concat!(env!("OUT_DIR"), "/policy.bpf.rs"));
const ETHERNET_HEADER: u32 = 14;
const TC_ACT_OK: i32 = 0;
const TC_ACT_UNSPEC: i32 = -1;
/// bpf_ktime_get_coarse_ns.
const COARSE_CLOCK_SINCE: KernelVersion = KernelVersion(5, 11);
