//! Enter events that wait for the exit event of the same thread. In comes one event per thread, replacing what waited
//! before; out it goes once. Memory is bounded by number and bytes: when either limit is reached all are given up and
//! counted, because a stream in which so many calls never return is not a real one.

use event::wire::Event;
use std::collections::HashMap;

/// See the module.
#[derive(Default)]
pub struct Enters {
    by_tid: HashMap<i64, Vec<u8>>,
    /// Memory held by all of them.
    bytes: usize,
    /// The memory of one that is gone, for the next.
    spare: Vec<u8>,
    /// How many were given up.
    pub forgotten: u64,
}

impl Enters {
    pub fn store(&mut self, event: &Event<'_>) {
        if self.by_tid.len() >= MAX_ENTERS || self.bytes > MAX_BYTES {
            self.forgotten += self.by_tid.len() as u64;
            self.clear();
        }
        self.remove(event.tid);
        let mut kept = std::mem::take(&mut self.spare);
        kept.extend_from_slice(event.raw());
        self.bytes += kept.capacity();
        self.by_tid.insert(event.tid, kept);
    }

    /// What waits for `tid`.
    pub fn of(&self, tid: i64) -> Option<Event<'_>> {
        self.by_tid.get(&tid).and_then(|raw| Event::decode(raw, 0).ok())
    }

    /// The call of `tid` is over, or the thread.
    pub fn remove(&mut self, tid: i64) {
        let Some(mut gone) = self.by_tid.remove(&tid) else { return };
        self.bytes = self.bytes.saturating_sub(gone.capacity());
        if gone.capacity() <= MAX_SPARE_BYTES {
            gone.clear();
            self.spare = gone;
        }
    }

    pub fn clear(&mut self) {
        self.by_tid = HashMap::new();
        self.bytes = 0;
    }
}

/// More threads inside system calls at the same time than a real machine has.
const MAX_ENTERS: usize = 1 << 18;
const MAX_BYTES: usize = 64 << 20;
const MAX_SPARE_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use event::Kind;
    use event::wire::encode;

    fn event(tid: i64, bytes: usize) -> Vec<u8> {
        let mut raw = Vec::new();
        encode(&mut raw, 1, tid, Kind::SYSCALL_OPEN_E, &[&vec![b'x'; bytes]]);
        raw
    }

    #[test]
    fn memory_is_bounded_and_what_is_given_up_is_counted() {
        let mut enters = Enters::default();
        for tid in 0..5000 {
            let raw = event(tid, 60_000);
            enters.store(&Event::decode(&raw, 0).unwrap());
            assert!(enters.bytes < MAX_BYTES + 100_000);
        }
        assert!(enters.forgotten > 3000, "{}", enters.forgotten);
    }

    #[test]
    fn large_events_that_are_gone_leave_no_memory_behind() {
        let mut enters = Enters::default();
        for tid in 0..1000 {
            let (large, small) = (event(tid, 60_000), event(tid, 8));
            enters.store(&Event::decode(&large, 0).unwrap());
            enters.store(&Event::decode(&small, 0).unwrap());
        }
        assert!(enters.bytes < 1000 * MAX_SPARE_BYTES, "{}", enters.bytes);
        (0..1000).for_each(|tid| enters.remove(tid));
        assert_eq!((enters.bytes, enters.forgotten, enters.of(3).is_none()), (0, 0, true));
    }
}
