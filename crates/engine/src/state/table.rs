//! Rows come and go: adding and removing threads, their groups, their children and reapers. In: rows made by the
//! parsers. Out: a table in which every group knows its threads and every parent its children. The table never holds
//! more rows than its limit, and removing a row never leaves its id behind in a group or in a list of children.

use super::{Counter, State, Thread, ThreadFlags, ThreadGroup};
use crate::parse::Step;
use event::snapshot::Proc;

impl State {
    /// Adds `thread`, replacing a row of the same id. `false` when the table is full; the sensor's own threads always
    /// fit.
    pub(crate) fn add_thread(&mut self, thread: Thread) -> bool {
        let known = self.threads.contains_key(&thread.tid);
        if known {
            self.remove_thread_now(thread.tid);
        } else if self.threads.len() >= self.limits.threads && thread.pid != self.limits.own_pid {
            self.counters.bump(Counter::FullThreadTableDrops);
            return false;
        }
        let tid = thread.tid;
        self.fd_count += thread.fds.len();
        self.threads.insert(tid, Box::new(thread));
        self.counters.bump(Counter::AddedThreads);
        self.link(tid);
        true
    }

    /// Puts the thread into its group and below its parent.
    pub(crate) fn link(&mut self, tid: i64) {
        self.join_group(tid);
        self.join_parent(tid);
    }

    fn join_group(&mut self, tid: i64) {
        let Some(thread) = self.threads.get(&tid).filter(|t| !t.is_invalid()) else { return };
        let group = self.groups.entry(thread.pid).or_default();
        group.reaper |= thread.pid == 1 || thread.vpid == 1;
        if group.tids.contains(&tid) {
            return;
        }
        group.alive += u32::from(!thread.dead);
        let at = if thread.is_main() { 0 } else { group.tids.len() };
        group.tids.insert(at, tid);
    }

    fn join_parent(&mut self, tid: i64) {
        let Some(ptid) = self.threads.get(&tid).filter(|t| !t.is_invalid() && t.tid != 1).map(|t| t.ptid) else {
            return;
        };
        if ptid == tid {
            return;
        }
        if let Some(parent) = self.threads.get_mut(&ptid).filter(|p| !p.is_invalid() && !p.children.contains(&tid)) {
            parent.children.push(tid);
        }
    }

    /// The thread `tid`; an unknown one is looked up where possible and otherwise becomes a placeholder, so that nobody
    /// looks again. `None` when the table is full, or when the event comes late and the thread had ended already.
    pub(crate) fn find_or_invent(&mut self, tid: i64, step: &mut Step<'_>) -> Option<&Thread> {
        if !self.threads.contains_key(&tid) {
            self.counters.bump(Counter::FailedThreadLookups);
            if step.recent.is_late(tid, step.ts) {
                return None;
            }
            if !self.look_up(tid, step) {
                self.invent(tid);
            }
        }
        self.thread(tid)
    }

    fn look_up(&mut self, tid: i64, step: &mut Step<'_>) -> bool {
        let Some(source) = &mut step.source else { return false };
        let asked = self.counters.value(Counter::ProcLookups);
        if tid <= 0 || self.limits.proc_lookups.is_some_and(|limit| asked >= limit) {
            return false;
        }
        self.counters.bump(Counter::ProcLookups);
        let Some(found) = source.process(tid) else { return false };
        if found.tid != found.pid && !self.threads.contains_key(&found.pid) {
            self.counters.bump(Counter::ProcLookups);
            if let Some(main) = source.process(found.pid) {
                self.take_in(&main);
            }
        }
        self.take_in(&found)
    }

    /// Adds a thread found late, and puts it between its parent and its children.
    pub(crate) fn take_in(&mut self, found: &Proc) -> bool {
        let added = self.seed_proc(found);
        self.adopt(found.tid);
        added
    }

    /// A thread found late takes in the children that were there before it.
    fn adopt(&mut self, tid: i64) {
        let children: Vec<i64> = self.threads.values().filter(|t| t.ptid == tid).map(|t| t.tid).collect();
        children.into_iter().for_each(|child| self.join_parent(child));
    }

    fn invent(&mut self, tid: i64) {
        let mut thread = Thread::new(tid);
        let unknown = self.strings.intern(b"<NA>");
        thread.comm = unknown.clone();
        thread.exe = unknown.clone();
        thread.cmdline = unknown;
        thread.cmdline_comm_len = 4;
        self.counters.bump(Counter::Placeholders);
        self.add_thread(thread);
    }

    pub(crate) fn set_reaper(&mut self, tid: i64, reaper: bool) {
        let Some(pid) = self.thread(tid).map(|t| t.pid) else { return };
        if let Some(group) = self.groups.get_mut(&pid) {
            group.reaper = reaper;
        }
    }

    /// Takes note that a thread ended: its row stays until [`State::remove_thread`].
    pub(crate) fn mark_dead(&mut self, tid: i64) {
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        if thread.dead {
            return;
        }
        thread.dead = true;
        if let Some(group) = self.groups.get_mut(&thread.pid)
            && group.tids.contains(&tid)
        {
            group.alive = group.alive.saturating_sub(1);
        }
    }

    /// The thread lives on after all (it executed another program).
    pub(crate) fn revive(&mut self, tid: i64) {
        let Some(thread) = self.threads.get_mut(&tid).filter(|t| t.dead) else { return };
        thread.dead = false;
        if let Some(group) = self.groups.get_mut(&thread.pid) {
            group.alive += 1;
        }
    }

    /// Removes an ended thread: its children get their reaper, a main thread stays while others of its group live, and
    /// the last thread takes the main thread and the group along.
    pub(crate) fn remove_thread(&mut self, tid: i64) {
        let Some((pid, is_main)) = self.threads.get(&tid).map(|t| (t.pid, t.is_main())) else { return };
        self.mark_dead(tid);
        self.reparent_children(tid);
        let alive = self.groups.get(&pid).map_or(0, |g| g.alive);
        if is_main && alive > 0 {
            return;
        }
        self.erase(tid);
        if alive == 0 && !is_main && self.threads.get(&pid).is_some_and(|main| main.dead) {
            self.reparent_children(pid);
            self.erase(pid);
        }
    }

    /// Removes a row at once, whatever the rest of its group does; its children keep their parent link only as an id.
    pub(crate) fn remove_thread_now(&mut self, tid: i64) {
        self.mark_dead(tid);
        self.reparent_children(tid);
        self.erase(tid);
    }

    fn erase(&mut self, tid: i64) {
        let Some(thread) = self.threads.remove(&tid) else { return };
        self.counters.bump(Counter::RemovedThreads);
        self.fd_count = self.fd_count.saturating_sub(thread.fds.len());
        if let Some(parent) = self.threads.get_mut(&thread.ptid)
            && let Some(at) = parent.children.iter().position(|c| *c == tid)
        {
            parent.children.swap_remove(at);
        }
        self.leave_group(&thread);
    }

    /// Takes a thread out of its group; the last one takes the group along.
    pub(crate) fn leave_group(&mut self, thread: &Thread) {
        let Some(group) = self.groups.get_mut(&thread.pid) else { return };
        let Some(at) = group.tids.iter().position(|t| *t == thread.tid) else { return };
        group.tids.remove(at);
        group.alive = group.alive.saturating_sub(u32::from(!thread.dead));
        if group.tids.is_empty() {
            self.groups.remove(&thread.pid);
        }
    }

    fn reparent_children(&mut self, tid: i64) {
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        if thread.children.is_empty() {
            return;
        }
        let children = std::mem::take(&mut thread.children);
        let known = thread.reaper_tid;
        let reaper = if known > 0 && self.threads.contains_key(&known) { known } else { self.find_reaper(tid) };
        self.hand_over(&children, reaper);
    }

    fn hand_over(&mut self, children: &[i64], reaper: i64) {
        for child in children {
            if let Some(child) = self.threads.get_mut(child) {
                child.ptid = reaper;
            }
        }
        let Some(new_parent) = self.threads.get_mut(&reaper) else { return };
        new_parent.children.extend_from_slice(children);
        if let Some(group) = self.groups.get_mut(&new_parent.pid) {
            group.reaper = true;
        }
    }

    /// Who takes over the children of `tid`: another live thread of its group, else the nearest ancestor in a group
    /// that reaps and still lives. 0 = nobody known. Ancestors beyond the border of a pid namespace do not count.
    fn find_reaper(&self, tid: i64) -> i64 {
        let Some(dying) = self.threads.get(&tid) else { return 0 };
        if let Some(other) = self.groups.get(&dying.pid).and_then(|g| self.live_member(g, tid)) {
            return other;
        }
        let namespaced = dying.in_pidns();
        let mut at = dying.ptid;
        for _ in 0..MAX_REAPER_STEPS {
            let Some(ancestor) = self.threads.get(&at).filter(|a| !a.is_invalid() && a.in_pidns() == namespaced) else {
                return 0;
            };
            if let Some(group) = self.groups.get(&ancestor.pid).filter(|g| g.reaper && g.alive > 0)
                && let Some(reaper) = self.live_member(group, tid)
            {
                return reaper;
            }
            at = ancestor.ptid;
        }
        0
    }

    fn live_member(&self, group: &ThreadGroup, except: i64) -> Option<i64> {
        group.tids.iter().copied().find(|t| *t != except && self.threads.get(t).is_some_and(|t| !t.dead))
    }

    /// Removes every thread of `pid` but `keep`: what a successful execve does to its process.
    pub(crate) fn remove_siblings(&mut self, pid: i64, keep: i64) {
        let Some(group) = self.groups.get(&pid).filter(|g| g.tids.len() > 1) else { return };
        for tid in group.tids.clone() {
            if tid != keep {
                self.remove_thread_now(tid);
            }
        }
    }

    /// Removes threads that did nothing since `before` and for which `alive` says no. Returns how many went.
    pub(crate) fn purge(&mut self, before: u64, mut alive: impl FnMut(i64) -> bool) -> u64 {
        let idle: Vec<i64> = self.threads.values().filter(|t| t.lastaccess_ts < before).map(|t| t.tid).collect();
        let mut removed = 0;
        for tid in idle {
            if self.threads.contains_key(&tid) && !alive(tid) {
                self.remove_thread(tid);
                removed += 1;
            }
        }
        self.counters.add(Counter::PurgedThreads, removed);
        removed
    }

    /// Marks the main thread of a process that starts without `CLONE_THREAD`.
    pub(crate) fn mark_main(thread: &mut Thread) {
        thread.flags.set(ThreadFlags::IS_MAIN_THREAD, true);
        thread.flags.set(ThreadFlags::CLONE_FILES, false);
    }
}

/// More ancestors than any sane tree has; ends walks over looping parent links.
const MAX_REAPER_STEPS: usize = 1024;
