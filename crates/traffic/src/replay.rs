//! Recorded frames through a policy: the kernel's program and the interpreter judge each frame, and must agree. Comes in:
//! a policy and frames in order. Goes out: decisions, and flows with what became of them. Without permission to use the
//! kernel the interpreter judges alone, and the result says so.

use crate::hits::end;
use crate::interpret::{Decision, Interpreter};
use crate::kernel::{Error, LoadedPolicy, Purpose};
use crate::packet::{self, Packet, Transport};
use crate::policy::{Direction, Policy, protocols};
use std::collections::HashMap;

/// A policy that judges frames.
#[derive(Debug)]
pub struct Judge {
    interpreter: Interpreter,
    kernel: Option<LoadedPolicy>,
    /// Why the kernel does not judge.
    pub without_kernel: Option<String>,
    /// Frames that the kernel does not run and the interpreter judged alone.
    pub refused_by_kernel: u64,
    /// Frames that the kernel judged anew because its tables had no room for all flows or fragments of the capture.
    pub forgotten: u64,
    rules: Vec<String>,
    /// Flows and fragments of which the kernel is sure to know all.
    sure_of: (usize, usize),
    clock_nanos: u64,
}

/// What a frame was, in words: the same for all frames of a flow in one direction.
pub type FlowName = String;

impl Judge {
    /// # Errors
    /// The policy does not fit, or the kernel refused for other reasons than missing permission.
    pub fn new(policy: &Policy) -> Result<Judge, Error> {
        let (kernel, without_kernel) = match LoadedPolicy::load(policy, &Purpose::Judge) {
            Ok(loaded) => (Some(loaded), None),
            Err(error) if matches!(error.errno(), Some(EPERM | EACCES)) => (None, Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let rules = policy.effective_rules().into_iter().map(|r| r.name).collect();
        Ok(Judge {
            interpreter: Interpreter::new(policy),
            kernel,
            without_kernel,
            refused_by_kernel: 0,
            forgotten: 0,
            rules,
            // tables with a free list per CPU evict before they are full
            sure_of: (policy.state.capacity as usize / 4, FRAGMENTS / 4),
            clock_nanos: 0,
        })
    }

    /// Judges the next frame.
    ///
    /// # Errors
    /// The kernel and the interpreter disagree, which is a defect of one of them.
    pub fn judge(&mut self, frame: &[u8], direction: Direction, time_nanos: u64) -> Result<Decision, Disagreement> {
        // frames of a capture are not always in order; a clock that goes back has no meaning for memory
        self.clock_nanos = self.clock_nanos.max(time_nanos);
        let expected = self.interpreter.judge(frame, direction, self.clock_nanos);
        let Some(kernel) = &self.kernel else { return Ok(expected) };
        match kernel.judge(frame, direction, self.clock_nanos) {
            Ok(decision) if decision == expected => Ok(decision),
            Ok(decision) if self.is_overfull() => {
                self.forgotten += 1;
                Ok(decision)
            }
            Ok(decision) => Err(Disagreement { kernel: decision, interpreter: expected }),
            Err(_) => {
                self.refused_by_kernel += 1;
                Ok(expected)
            }
        }
    }

    /// The interpreter never forgets, the kernel has to.
    fn is_overfull(&self) -> bool {
        let (flows, fragments) = self.interpreter.remembered();
        flows > self.sure_of.0 || fragments > self.sure_of.1
    }

    /// Name of the rule that decided.
    pub fn rule(&self, at: Option<usize>) -> Option<&str> {
        self.rules.get(at?).map(String::as_str)
    }
}

/// Two verdicts on one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the kernel's program says {kernel:?}, the interpreter {interpreter:?}; please report this with the frame")]
pub struct Disagreement {
    pub kernel: Decision,
    pub interpreter: Decision,
}

/// Names the flow of a frame.
pub fn flow_name(frame: &[u8]) -> FlowName {
    match packet::read(frame) {
        Err(why) => format!("unreadable ({why:?})").to_lowercase(),
        Ok(Packet::Other(kind)) => format!("ethertype {kind:#06x}"),
        Ok(Packet::Ip(ip)) => {
            let protocol = protocols::name(ip.protocol);
            match ip.transport {
                Transport::Ports { source, destination, .. } => {
                    format!("{protocol} {} -> {}", end(ip.source, source), end(ip.destination, destination))
                }
                Transport::Icmp { kind, .. } => {
                    format!("{protocol} {} -> {} type {}/{}", ip.source, ip.destination, kind >> 8, kind & 0xff)
                }
                Transport::None => format!("{protocol} {} -> {}", ip.source, ip.destination),
            }
        }
    }
}

/// Packets of one flow that met the same fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub flow: FlowName,
    pub direction: Direction,
    pub decision: Decision,
    pub packets: u64,
    pub bytes: u64,
    /// Number of the first one, from 1.
    pub first: u64,
}

/// Decisions collected by flow, in the order of their first packets.
#[derive(Debug, Default)]
pub struct Groups {
    index: HashMap<(FlowName, Direction, Decision), usize>,
    groups: Vec<Group>,
}

impl Groups {
    pub fn add(&mut self, frame: &[u8], direction: Direction, decision: Decision, number: u64) {
        let flow = flow_name(frame);
        let at = *self.index.entry((flow.clone(), direction, decision)).or_insert_with(|| {
            self.groups.push(Group { flow, direction, decision, packets: 0, bytes: 0, first: number });
            self.groups.len() - 1
        });
        if let Some(group) = self.groups.get_mut(at) {
            group.packets += 1;
            group.bytes += frame.len() as u64;
        }
    }

    pub fn into_vec(self) -> Vec<Group> {
        self.groups
    }
}

/// Entries of the map `fragments` in bpf/policy.bpf.c.
const FRAGMENTS: usize = 4096;
const EPERM: i32 = 1;
const EACCES: i32 = 13;
