//! The door to what events do not tell. In: ids that the engine met and does not know. Out: what /proc, or whatever
//! stands behind the trait, says about them. The live daemon implements it; replay and tests run without.

use crate::state::containers::ContainerInfo;
use event::snapshot::{Fd, Group, Proc, User};

/// Looks things up while events are processed: must not wait for the network or for other processes.
pub trait ProcSource: Send {
    /// The thread `tid` with its open files if it is a main thread; `None` when it is gone.
    fn process(&mut self, tid: i64) -> Option<Proc>;

    /// Whether the thread still exists.
    fn is_alive(&mut self, tid: i64) -> bool;

    /// One open file of a process, asked for descriptors received over a unix socket.
    fn fd(&mut self, pid: i64, fd: i64) -> Option<Fd> {
        let _ = (pid, fd);
        None
    }

    /// The whole environment of a process, asked when an event could not carry it.
    fn environment(&mut self, pid: i64) -> Option<Vec<u8>> {
        let _ = pid;
        None
    }

    /// Users and groups inside the container of a process, asked at the first process of a container.
    fn accounts(&mut self, pid: i64) -> Option<(Vec<User>, Vec<Group>)> {
        let _ = pid;
        None
    }

    /// What is known about the container with the id `full_id`, in which `pid` runs; asked at its first process, and again
    /// at a few later ones while the answer is `None`.
    fn container(&mut self, pid: i64, full_id: &[u8]) -> Option<ContainerInfo> {
        let _ = (pid, full_id);
        None
    }
}
