//! The processes of a run: how the command ended, orphans that come to us, and signals. What a terminal sends reaches the
//! whole group by itself; what was sent to us alone is passed on. Never ends a process on its own account.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Child;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Exited(i32),
    Signalled(i32),
}

/// What came in since the last look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happening {
    Nothing,
    /// Somebody wants an end, and the command has none any more that it could be told.
    Interrupted,
}

/// The command and what it started, as far as it is ours to reap.
pub struct Children {
    signals: SignalFd,
    before: SigSet,
    command: Option<Pid>,
    end: Option<End>,
}

impl Children {
    /// Takes signals over for the time of the run. Orphans of the command become our children, so that they are reaped
    /// also where the first process of a container does not; so the caller must not have other children meanwhile.
    pub fn prepare() -> io::Result<Children> {
        let before = SigSet::thread_get_mask()?;
        let mask = handled();
        mask.thread_block()?;
        nix::sys::prctl::set_child_subreaper(true)?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Children { signals, before, command: None, end: None })
    }

    /// The signals that a new process gets back.
    pub fn signals(&self) -> SigSet {
        handled().into_iter().filter(|signal| !self.before.contains(*signal)).collect()
    }

    pub fn follow(&mut self, child: &Child) {
        self.command = i32::try_from(child.id()).ok().map(Pid::from_raw);
    }

    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// How the command ended; as if it had exited with 0 when nobody could tell.
    pub fn end(&self) -> End {
        self.end.unwrap_or(End::Exited(0))
    }

    /// Passes signals on and reaps.
    pub fn happenings(&mut self) -> io::Result<Happening> {
        let happening = self.pass_signals()?;
        self.reap()?;
        Ok(happening)
    }

    /// Passes signals on. Somebody else reaps, and tells of ends.
    pub fn pass_signals(&mut self) -> io::Result<Happening> {
        let mut happening = Happening::Nothing;
        while let Some(info) = self.signals.read_signal()? {
            let signal = i32::try_from(info.ssi_signo).ok().and_then(|n| Signal::try_from(n).ok());
            match (signal, self.command) {
                (Some(Signal::SIGCHLD) | None, _) => {}
                (Some(_), _) if self.end.is_some() => happening = Happening::Interrupted,
                // The command has had it already: the terminal tells its whole foreground group.
                (Some(_), _) if info.ssi_code == SI_KERNEL => {}
                (Some(signal), Some(command)) => {
                    // It may have ended just now.
                    let _ = kill(command, signal);
                }
                (Some(_), None) => {}
            }
        }
        Ok(happening)
    }

    /// Process `pid` was reaped.
    pub fn ended(&mut self, pid: Pid, end: End) {
        if Some(pid) == self.command {
            self.end = Some(end);
        }
    }

    /// Waits for a signal, such as the one that tells of an end.
    pub fn wait(&self, timeout_ms: u16) -> io::Result<()> {
        match poll(&mut [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)], PollTimeout::from(timeout_ms)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The filter may be gone a moment before its last process can be reaped.
    pub fn wait_for_end(&mut self) -> io::Result<()> {
        while self.end.is_none() {
            self.wait(REAP_MS)?;
            self.reap()?;
        }
        Ok(())
    }

    fn reap(&mut self) -> io::Result<()> {
        loop {
            let (pid, end) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, End::Exited(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, End::Signalled(signal as i32)),
                Ok(WaitStatus::StillAlive) => return Ok(()),
                Ok(_) => continue,
                Err(Errno::ECHILD) => {
                    self.end = self.end.or(Some(End::Exited(0)));
                    return Ok(());
                }
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            self.ended(pid, end);
        }
    }
}

impl AsFd for Children {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
        let _ = nix::sys::prctl::set_child_subreaper(false);
    }
}

/// What is passed on, and the news of children.
fn handled() -> SigSet {
    use Signal::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2].into_iter().collect()
}

/// `SI_KERNEL` of asm-generic/siginfo.h: not sent by a process.
const SI_KERNEL: i32 = 0x80;
const REAP_MS: u16 = 10;
