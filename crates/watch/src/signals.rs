//! Signals as flags: the kernel's signals come in on a thread of their own, flags that the event loop looks at go out.
//! They are blocked in every thread, so no handler runs anywhere and no system call is interrupted. A second request to
//! stop ends the process at once, but one request sent twice (`timeout`, `sudo` and service managers signal the process
//! and its group) must never cut short what is still being written.

use nix::sys::signal::{SigSet, Signal};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

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
            let mut asked = None;
            while let Ok(signal) = mask.wait() {
                if flags.note(signal) && is_second(&mut asked, Instant::now()) {
                    std::process::exit(128 + signal as i32);
                }
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

    /// Sets the flag of `signal`; true when it asks to stop.
    fn note(&self, signal: Signal) -> bool {
        match signal {
            Signal::SIGHUP => self.reload.store(true, Ordering::Release),
            Signal::SIGUSR1 => self.reopen.store(true, Ordering::Release),
            _ => {
                // The first one names the reason.
                let _ = self.stop.compare_exchange(0, signal as i32, Ordering::AcqRel, Ordering::Acquire);
                return true;
            }
        }
        false
    }
}

/// Whether a request to stop at `now` is a second one, rather than the first (remembered in `asked`) once more.
fn is_second(asked: &mut Option<Instant>, now: Instant) -> bool {
    now.saturating_duration_since(*asked.get_or_insert(now)) >= SAME_REQUEST
}

/// Requests to stop closer than this are one request that was delivered more than once.
const SAME_REQUEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_names_the_reason() {
        let signals = Signals::default();
        assert_eq!(signals.stop(), None);
        assert!(!signals.note(Signal::SIGHUP));
        assert!(signals.note(Signal::SIGTERM));
        assert!(signals.note(Signal::SIGINT));
        assert_eq!(signals.stop(), Some("SIGTERM"));
        assert!(signals.take_reload());
    }

    #[test]
    fn a_request_delivered_twice_is_one() {
        let (mut asked, begin) = (None, Instant::now());
        assert!(!is_second(&mut asked, begin));
        assert!(!is_second(&mut asked, begin + SAME_REQUEST / 2));
        assert!(is_second(&mut asked, begin + SAME_REQUEST));
    }
}
