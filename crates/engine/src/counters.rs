//! Named counters of the engine. In: one increment at the place where something is added, dropped, looked up or
//! evicted. Out: names and values for status and metrics. Nothing may be lost without one of these growing.

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Counter {
    /// Descriptor lookups that found an entry.
    NoncachedFdLookups,
    /// There is no cache before the tables: always 0. The name exists because dashboards ask for it.
    CachedFdLookups,
    FailedFdLookups,
    AddedFds,
    RemovedFds,
    StoredEvents,
    StoreEventDrops,
    RetrievedEvents,
    RetrieveEventDrops,
    NoncachedThreadLookups,
    /// Always 0, see above.
    CachedThreadLookups,
    FailedThreadLookups,
    AddedThreads,
    RemovedThreads,
    FullThreadTableDrops,
    FullFdTableDrops,
    Placeholders,
    ProcLookups,
    PurgedThreads,
    CutTexts,
}

/// Every counter with the name it carries in metrics.
pub const NAMES: [(Counter, &str); COUNT] = [
    (Counter::NoncachedFdLookups, "n_noncached_fd_lookups"),
    (Counter::CachedFdLookups, "n_cached_fd_lookups"),
    (Counter::FailedFdLookups, "n_failed_fd_lookups"),
    (Counter::AddedFds, "n_added_fds"),
    (Counter::RemovedFds, "n_removed_fds"),
    (Counter::StoredEvents, "n_stored_evts"),
    (Counter::StoreEventDrops, "n_store_evts_drops"),
    (Counter::RetrievedEvents, "n_retrieved_evts"),
    (Counter::RetrieveEventDrops, "n_retrieve_evts_drops"),
    (Counter::NoncachedThreadLookups, "n_noncached_thread_lookups"),
    (Counter::CachedThreadLookups, "n_cached_thread_lookups"),
    (Counter::FailedThreadLookups, "n_failed_thread_lookups"),
    (Counter::AddedThreads, "n_added_threads"),
    (Counter::RemovedThreads, "n_removed_threads"),
    (Counter::FullThreadTableDrops, "n_drops_full_threadtable"),
    (Counter::FullFdTableDrops, "n_drops_full_fdtable"),
    (Counter::Placeholders, "n_placeholder_threads"),
    (Counter::ProcLookups, "n_proc_lookups"),
    (Counter::PurgedThreads, "n_purged_threads"),
    (Counter::CutTexts, "n_cut_texts"),
];

const COUNT: usize = 20;

/// The values of all counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    values: [u64; COUNT],
}

impl Counters {
    #[inline]
    pub fn add(&mut self, counter: Counter, n: u64) {
        if let Some(value) = self.values.get_mut(counter as usize) {
            *value += n;
        }
    }

    #[inline]
    pub fn bump(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    pub fn value(&self, counter: Counter) -> u64 {
        self.values.get(counter as usize).copied().unwrap_or(0)
    }

    /// Names and values in the order of [`NAMES`].
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.iter().map(|(counter, name)| (*name, self.value(*counter)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_own_name_and_place() {
        for (at, (counter, _)) in NAMES.iter().enumerate() {
            assert_eq!(*counter as usize, at);
        }
        let mut counters = Counters::default();
        counters.bump(Counter::CutTexts);
        counters.add(Counter::AddedFds, 3);
        assert_eq!(
            counters.iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>(),
            [("n_added_fds", 3), ("n_cut_texts", 1)]
        );
    }
}
