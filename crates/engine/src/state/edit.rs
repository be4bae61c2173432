//! Changes that parsers make to one thread or one process: text, working directory, open files. In: bytes of an event.
//! Out: rows with shared strings. Text longer than its limit is cut and counted, a full descriptor table refuses and
//! counts.

use super::{Counter, FdEntry, State, Str, Thread, ThreadFlags, path};
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

impl State {
    /// The thread `tid` for changing.
    #[inline]
    pub(crate) fn thread_mut(&mut self, tid: i64) -> Option<&mut Thread> {
        self.threads.get_mut(&tid).map(|t| &mut **t)
    }

    /// A copy for reading while the table changes: text and descriptors are shared, children and the stored enter event
    /// are left out.
    pub(crate) fn copy_of(&mut self, tid: i64) -> Option<Thread> {
        let thread = self.thread_mut(tid)?;
        let (children, enter) = (std::mem::take(&mut thread.children), std::mem::take(&mut thread.enter));
        let copy = thread.clone();
        (thread.children, thread.enter) = (children, enter);
        Some(copy)
    }

    /// Takes a row out for changing; [`State::put_thread`] brings it back. Its groups and links stay.
    pub(crate) fn take_thread(&mut self, tid: i64) -> Option<Box<Thread>> {
        self.threads.remove(&tid)
    }

    pub(crate) fn put_thread(&mut self, thread: Box<Thread>) {
        self.threads.insert(thread.tid, thread);
    }

    /// The id of the thread that keeps what `tid`'s process shares.
    pub(crate) fn main_tid(&self, tid: i64) -> Option<i64> {
        let thread = self.thread(tid)?;
        self.main_thread(thread).map(|main| main.tid)
    }

    /// The main thread of `tid`'s process for changing.
    pub(crate) fn main_mut(&mut self, tid: i64) -> Option<&mut Thread> {
        let main = self.main_tid(tid)?;
        self.thread_mut(main)
    }

    /// The id of the thread that keeps the descriptors which `tid` uses.
    pub(crate) fn fd_owner(&self, tid: i64) -> Option<i64> {
        let thread = self.thread(tid)?;
        if thread.flags.has(ThreadFlags::CLONE_FILES) { self.main_tid(tid) } else { Some(tid) }
    }

    /// A descriptor of `tid`'s process for changing.
    pub(crate) fn fd_mut(&mut self, tid: i64, fd: i64) -> Option<&mut FdEntry> {
        let owner = self.fd_owner(tid)?;
        self.thread_mut(owner)?.fds.lookup_mut(fd)
    }

    /// The descriptors that `tid` uses.
    pub(crate) fn fds_by_tid(&self, tid: i64) -> Option<&super::FdTable> {
        self.fds_of(self.thread(tid)?)
    }

    pub(crate) fn add_fd(&mut self, tid: i64, fd: i64, entry: FdEntry) {
        self.add_shared_fd(tid, fd, Arc::new(entry));
    }

    pub(crate) fn add_shared_fd(&mut self, tid: i64, fd: i64, entry: Arc<FdEntry>) {
        let limit = self.limits.fds;
        let Some(owner) = self.fd_owner(tid) else { return };
        let Some(thread) = self.thread_mut(owner).filter(|_| fd >= 0) else { return };
        match thread.fds.insert(fd, entry, limit) {
            Ok(old) => {
                self.fd_count += usize::from(old.is_none());
                self.counters.bump(Counter::AddedFds);
            }
            Err(_) => self.counters.bump(Counter::FullFdTableDrops),
        }
    }

    pub(crate) fn remove_fd(&mut self, tid: i64, fd: i64) {
        let Some(owner) = self.fd_owner(tid) else { return };
        if self.thread_mut(owner).and_then(|t| t.fds.remove(fd)).is_some() {
            self.fd_count = self.fd_count.saturating_sub(1);
            self.counters.bump(Counter::RemovedFds);
        }
    }

    /// Removes the descriptors of `tid`'s process for which `gone` holds.
    pub(crate) fn remove_fds(&mut self, tid: i64, mut gone: impl FnMut(i64, &FdEntry) -> bool) {
        let Some(owner) = self.fd_owner(tid) else { return };
        let removed = self.thread_mut(owner).map_or(0, |t| t.fds.retain(|fd, entry| !gone(fd, entry)));
        self.fd_count = self.fd_count.saturating_sub(removed);
        self.counters.add(Counter::RemovedFds, removed as u64);
    }

    /// Changes the working directory of `tid`'s process as `chdir(path)` does.
    pub(crate) fn set_cwd(&mut self, tid: i64, dir: &[u8]) {
        let Some(main) = self.main_tid(tid).and_then(|t| self.thread(t)) else { return };
        let mut cwd = path::join(&main.cwd, dir);
        if cwd.last() != Some(&b'/') {
            cwd.push(b'/');
        }
        let cwd = self.strings.intern(&cwd);
        if let Some(main) = self.main_mut(tid) {
            main.cwd = cwd;
        }
    }

    /// The shared string of `text`, cut to `limit` bytes.
    pub(crate) fn text(&mut self, text: &[u8], limit: usize) -> Str {
        let cut = text.get(..limit).unwrap_or(text);
        if cut.len() < text.len() {
            self.counters.bump(Counter::CutTexts);
        }
        self.strings.intern(cut)
    }

    /// Sets name and arguments together with the command line made of them.
    pub(crate) fn set_command(&mut self, thread: &mut Thread, comm: &[u8], args: &[u8]) {
        thread.comm = self.strings.renew(&thread.comm, comm);
        if *thread.args != *args || thread.cmdline_comm() != comm || thread.cmdline.is_empty() {
            thread.args = self.text(args, self.limits.args_bytes);
            let mut line = std::mem::take(&mut self.scratch);
            line.clear();
            line.extend_from_slice(comm);
            for arg in thread.args() {
                line.push(b' ');
                line.extend_from_slice(arg);
            }
            thread.cmdline = self.strings.intern(&line);
            self.scratch = line;
        }
        thread.cmdline_comm_len = u32::try_from(comm.len()).unwrap_or(u32::MAX);
    }

    /// Sets the cgroups from `subsys=path` items and the container that they name.
    pub(crate) fn set_cgroups(&mut self, thread: &mut Thread, raw: &[u8]) {
        let mut list = std::mem::take(&mut self.scratch);
        normalise_cgroups(raw, &mut list);
        if *thread.cgroups != *list {
            thread.cgroups = self.strings.intern(&list);
            thread.container_id = self.containers.identify(&thread.cgroups);
        }
        self.scratch = list;
    }

    /// One thread of each container that is not the host.
    pub(crate) fn threads_in_containers(&self) -> Vec<i64> {
        let inside = self.threads.iter().filter(|(_, thread)| !thread.container_id.is_empty());
        let one_each: HashMap<&Str, i64> = inside.map(|(tid, thread)| (&thread.container_id, *tid)).collect();
        one_each.into_values().collect()
    }

    /// Drops the accounts of containers in which no thread is left.
    pub(crate) fn forget_gone_containers(&mut self) {
        let used: HashSet<Str> = self.threads.values().map(|t| t.container_id.clone()).collect();
        self.accounts.sweep(|id| used.contains(id));
    }

    /// The name of an open file: `name` as seen from `dir`.
    pub(crate) fn joined(&mut self, dir: &[u8], name: &[u8]) -> Str {
        path::join_into(&mut self.scratch, dir, name);
        Str::from(self.scratch.as_slice())
    }
}

/// Items up to the first one without `=`, with the subsystem names that rules use.
fn normalise_cgroups(raw: &[u8], out: &mut Vec<u8>) {
    out.clear();
    for item in super::thread::items(raw) {
        let Some(at) = memchr::memchr(b'=', item) else { return };
        out.extend_from_slice(subsystem(&item[..at]));
        out.extend_from_slice(&item[at..]);
        out.push(0);
    }
}

fn subsystem(name: &[u8]) -> &[u8] {
    let name = name.strip_suffix(b"_cgroup").unwrap_or(name);
    match name {
        b"perf" => b"perf_event",
        b"mem" => b"memory",
        b"io" => b"blkio",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_names_are_normalised() {
        let mut out = Vec::new();
        normalise_cgroups(b"cpu_cgroup=/a\0io=/b=c\0mem_cgroup=/\0perf=/x\0broken\0cpuset=/y\0", &mut out);
        assert_eq!(out, b"cpu=/a\0blkio=/b=c\0memory=/\0perf_event=/x\0");
    }

    #[test]
    fn the_command_line_keeps_the_name_it_was_made_with() {
        let mut state = State::default();
        let mut thread = Thread::new(1);
        state.set_command(&mut thread, b"ls", b"-l\0\0/tmp\0");
        assert_eq!(&*thread.cmdline, b"ls -l  /tmp");
        assert_eq!(thread.args_joined(), b"-l  /tmp");
        assert_eq!(thread.args().count(), 3);
        thread.comm = state.text(b"other", 16);
        assert_eq!(&*thread.cmdline, b"ls -l  /tmp");
        state.set_command(&mut thread, b"sh", b"");
        assert_eq!((&*thread.cmdline, thread.args_joined()), (&b"sh"[..], &b""[..]));
    }
}
