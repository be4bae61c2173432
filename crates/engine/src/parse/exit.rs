//! procexit: a thread ends. In: its exit event. Out: the row marked dead with the reaper of its children; it goes away
//! when the next event arrives. Remembers who ended a moment ago, so that a caller's late clone event does not bring a
//! child back that lived too shortly. The memory of ended threads never exceeds its ring.

use super::{After, Step};
use crate::state::{State, ThreadFlags};
use event::Event;
use hashbrown::HashMap;
use std::collections::VecDeque;

pub(super) fn procexit(state: &mut State, event: &Event<'_>, step: &mut Step<'_>) {
    let tid = event.tid;
    let (pid, ptid) = state.thread(tid).map_or((-1, -1), |t| (t.pid, t.ptid));
    step.recent.push(tid, Ended { pid, ptid, ts: event.ts });
    let Some(thread) = state.thread_mut(tid) else { return };
    if let Some(reaper) = event.i64(REAPER_TID).filter(|r| *r > 0) {
        thread.reaper_tid = reaper;
    }
    thread.flags.set(ThreadFlags::CLOSED, true);
    state.mark_dead(tid);
    step.after = After::RemoveThread { tid };
}

const REAPER_TID: usize = 4;

/// Threads that ended lately, by id.
#[derive(Debug, Default)]
pub(crate) struct RecentExits {
    ended: HashMap<i64, Ended, foldhash::fast::RandomState>,
    /// In the order in which they ended.
    ring: VecDeque<(i64, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    pid: i64,
    ptid: i64,
    ts: u64,
}

impl RecentExits {
    fn push(&mut self, tid: i64, ended: Ended) {
        if self.ring.len() >= RING_LEN
            && let Some((old, ts)) = self.ring.pop_front()
            && self.ended.get(&old).is_some_and(|e| e.ts == ts)
        {
            self.ended.remove(&old);
        }
        self.ring.push_back((tid, ended.ts));
        self.ended.insert(tid, ended);
    }

    /// Whether `tid`, a child of thread `caller` or another thread of its process `pid`, ended shortly before `now`.
    pub(crate) fn is_child(&self, tid: i64, (caller, pid): (i64, i64), now: u64) -> bool {
        let related = |e: &&Ended| e.ptid == caller || e.ptid == pid || e.pid == pid;
        self.recent(tid, now).filter(related).is_some()
    }

    /// Whether an event of `tid` with time `ts` comes late: the thread had ended by then.
    pub(crate) fn is_late(&self, tid: i64, ts: u64) -> bool {
        self.recent(tid, ts).is_some_and(|e| e.ts >= ts)
    }

    fn recent(&self, tid: i64, now: u64) -> Option<&Ended> {
        self.ended.get(&tid).filter(|e| e.ts.saturating_add(RECENT_NS) >= now)
    }
}

const RING_LEN: usize = 8192;
const RECENT_NS: u64 = 2_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_who_ended_and_forgets_the_oldest() {
        let mut exits = RecentExits::default();
        exits.push(5, Ended { pid: 4, ptid: 1, ts: 100 });
        assert!(exits.is_child(5, (9, 4), 200), "a thread of the caller's process");
        assert!(exits.is_child(5, (1, 1), 200), "a child of the caller");
        assert!(!exits.is_child(5, (9, 9), 200), "somebody else's");
        assert!(!exits.is_child(5, (1, 1), 101 + RECENT_NS));
        assert!(exits.is_late(5, 99) && !exits.is_late(5, 101) && !exits.is_late(6, 99));
        for tid in 0..20_000 {
            exits.push(tid, Ended { pid: tid, ptid: 1, ts: 200 });
        }
        assert_eq!((exits.ring.len(), exits.ended.len()), (RING_LEN, RING_LEN));
    }
}
