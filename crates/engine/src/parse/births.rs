//! Children that only their own event may create, as they were when their parent forked. In: what the parent's event
//! lets a child inherit. Out: that, when the child's event arrives, by which time the parent may have closed
//! descriptors or changed its directory. Never holds more than its ring, nor anything older than it may be.

use crate::state::Thread;
use std::collections::VecDeque;

/// Children that were announced and did not report yet.
#[derive(Debug, Default)]
pub(crate) struct Births {
    ring: VecDeque<Birth>,
}

#[derive(Debug)]
struct Birth {
    /// Process that the child will name as its parent.
    parent: i64,
    /// Child's id as its parent sees it.
    child: i64,
    ts: u64,
    inherited: Box<Thread>,
}

impl Births {
    pub(crate) fn announce(&mut self, parent: i64, child: i64, ts: u64, inherited: Thread) {
        while self.ring.front().is_some_and(|b| self.ring.len() >= RING_LEN || is_old(b, ts)) {
            self.ring.pop_front();
        }
        self.ring.push_back(Birth { parent, child, ts, inherited: Box::new(inherited) });
    }

    /// What the child of `parent` with one of `ids` (on the host, in its namespace) inherits.
    pub(crate) fn take(&mut self, parent: i64, ids: (i64, i64), now: u64) -> Option<Box<Thread>> {
        let is_it = |b: &Birth| b.parent == parent && (b.child == ids.0 || b.child == ids.1) && !is_old(b, now);
        let at = self.ring.iter().rposition(is_it)?;
        self.ring.remove(at).map(|b| b.inherited)
    }
}

fn is_old(birth: &Birth, now: u64) -> bool {
    birth.ts.saturating_add(LIFETIME_NS) < now
}

const RING_LEN: usize = 256;
const LIFETIME_NS: u64 = 2_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_birth_is_taken_once_and_not_too_late() {
        let mut births = Births::default();
        births.announce(10, 7, 100, Thread::new(7));
        births.announce(10, 8, 100, Thread::new(8));
        assert!(births.take(11, (500, 7), 200).is_none());
        assert_eq!(births.take(10, (500, 7), 200).map(|t| t.tid), Some(7));
        assert!(births.take(10, (500, 7), 200).is_none());
        assert!(births.take(10, (8, 1), 100 + LIFETIME_NS + 1).is_none());
    }

    #[test]
    fn no_more_births_than_the_ring_holds() {
        let mut births = Births::default();
        for child in 0..1000 {
            births.announce(10, child, 100, Thread::new(child));
        }
        assert_eq!(births.ring.len(), RING_LEN);
        assert!(births.take(10, (0, 0), 100).is_none());
        assert!(births.take(10, (999, 0), 100).is_some());
    }
}
