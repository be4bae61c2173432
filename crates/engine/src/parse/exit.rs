//! procexit: a thread ends. In: its exit event. Out: the row marked dead with the reaper of its children; it goes away
//! when the next event arrives. Remembers who ended a moment ago, so that a caller's late clone event does not bring a
//! child back that lived too shortly. The memory of ended threads never exceeds its ring.

use super::{After, Step};
use crate::state::{State, ThreadFlags};
use event::Event;
use std::collections::VecDeque;

pub(super) fn procexit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let tid = event.tid;
    step.recent.push(Ended { tid, ptid: state.thread(tid).map_or(-1, |t| t.ptid), ts: event.ts });
    let Some(thread) = state.thread_mut(tid) else { return };
    if let Some(reaper) = event.i64(REAPER_TID).filter(|r| *r > 0) {
        thread.reaper_tid = reaper;
    }
    thread.flags.set(ThreadFlags::CLOSED, true);
    state.mark_dead(tid);
    step.after = After::RemoveThread { tid };
}

const REAPER_TID: usize = 4;

/// Threads that ended lately.
#[derive(Debug, Default)]
pub(crate) struct RecentExits {
    ring: VecDeque<Ended>,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    tid: i64,
    ptid: i64,
    ts: u64,
}

impl RecentExits {
    fn push(&mut self, ended: Ended) {
        if self.ring.len() >= RING_LEN {
            self.ring.pop_front();
        }
        self.ring.push_back(ended);
    }

    /// Whether `tid`, a child of `ptid`, ended shortly before `now`.
    pub(crate) fn contains(&self, tid: i64, ptid: i64, now: u64) -> bool {
        let recent = |e: &&Ended| e.ts.saturating_add(RECENT_NS) >= now;
        self.ring.iter().rev().take_while(recent).any(|e| e.tid == tid && e.ptid == ptid)
    }
}

const RING_LEN: usize = 8192;
const RECENT_NS: u64 = 2_000_000_000;
