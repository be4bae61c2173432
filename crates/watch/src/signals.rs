//! Signals as flags: the kernel's signals come in on a thread of their own, flags that the event loop looks at go out.
//! They are blocked in every thread, so no handler runs anywhere and no system call is interrupted. A second request to
//! stop ends the process at once.

use nix::sys::signal::{SigSet, Signal};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// What was asked for since somebody last looked.
#[derive(Debug, Default)]
pub struct Signals {
    /// Number of the signal that asks to stop; 0 = none.
    stop: AtomicI32,
    reload: AtomicBool,
    reopen: AtomicBool,
}

impl Signals {
    /// Blocks the signals in this thread (and those it starts from now on) and starts the thread that receives them.
    ///
    /// # Errors
    /// The signals cannot be blocked or the thread cannot be started.
    pub fn listen() -> io::Result<Arc<Signals>> {
        let mask: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1].into_iter().collect();
        mask.thread_block()?;
        let signals = Arc::new(Signals::default());
        let flags = signals.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            while let Ok(signal) = mask.wait() {
                flags.note(signal);
            }
        })?;
        Ok(signals)
    }

    /// `SIGINT` or `SIGTERM` once one of them arrived.
    pub fn stop(&self) -> Option<&'static str> {
        match self.stop.load(Ordering::Acquire) {
            0 => None,
            number if number == Signal::SIGTERM as i32 => Some("SIGTERM"),
            _ => Some("SIGINT"),
        }
    }

    /// Whether a reload was asked for since the last call.
    pub fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::AcqRel)
    }

    /// Whether reopening the outputs was asked for since the last call.
    pub fn take_reopen(&self) -> bool {
        self.reopen.swap(false, Ordering::AcqRel)
    }

    fn note(&self, signal: Signal) {
        match signal {
            Signal::SIGHUP => self.reload.store(true, Ordering::Release),
            Signal::SIGUSR1 => self.reopen.store(true, Ordering::Release),
            _ if self.stop.swap(signal as i32, Ordering::AcqRel) != 0 => std::process::exit(128 + signal as i32),
            _ => {}
        }
    }
}
