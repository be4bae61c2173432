//! Alerts to the standard input of a program that `sh` runs, one line each. With `keep_alive` one program gets all lines
//! and is started again when it ends; without, every alert starts its own. A line counts as delivered once the program
//! has read it, not when the pipe has it. A program that does not read or does not end blocks only this output; at the
//! end of the run it is asked to end, then killed, and named.

use super::{Channel, Delivery, Ending, Message, Trouble};
use crate::config::ProgramOutput;
use crate::log::Log;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct ProgramChannel {
    config: ProgramOutput,
    child: Option<Running>,
    ending: Ending,
    log: Log,
}

impl ProgramChannel {
    pub fn new(config: &ProgramOutput, ending: Ending, log: &Log) -> Self {
        ProgramChannel { config: config.clone(), child: None, ending, log: log.clone() }
    }

    /// One program for all alerts.
    fn one_for_all(&mut self, batch: &VecDeque<Arc<Message>>) -> Delivery {
        let running = self.child.take().and_then(Running::if_alive);
        let mut running = match running.map_or_else(|| Running::start(&self.config.program), Ok) {
            Ok(running) => running,
            Err(error) => return self.trouble(0, &error.to_string()),
        };
        let mut bytes = Vec::new();
        let ends: Vec<usize> = batch.iter().map(|message| put(message, &mut bytes)).collect();
        let fed = running.feed(&bytes, &self.ending);
        let done = ends.iter().take_while(|end| **end <= fed.read_bytes).count();
        match fed.end {
            Fate::Reads => {
                self.child = Some(running);
                Delivery { done, trouble: None }
            }
            Fate::Ended(status) => self.trouble(done, &format!("ended before it had read all alerts ({status})")),
            Fate::Silent => {
                running.end(&self.config.program, &self.ending, &self.log);
                let text = format!("program `{}`: did not read all alerts", self.config.program);
                Delivery { done, trouble: Some(Trouble::Closed(text)) }
            }
        }
    }

    /// One program per alert.
    fn one_each(&mut self, batch: &VecDeque<Arc<Message>>) -> Delivery {
        for (done, message) in batch.iter().enumerate() {
            if let Err(error) = self.run_once(message) {
                return self.trouble(done, &error.to_string());
            }
        }
        Delivery { done: batch.len(), trouble: None }
    }

    fn run_once(&self, message: &Message) -> io::Result<()> {
        let mut running = Running::start(&self.config.program)?;
        let mut bytes = Vec::new();
        put(message, &mut bytes);
        running.write(&bytes, &self.ending);
        match running.end(&self.config.program, &self.ending, &self.log) {
            Some(status) => could_run(status),
            None => Err(io::Error::other("did not end")),
        }
    }

    fn trouble(&self, done: usize, cause: &str) -> Delivery {
        Delivery { done, trouble: Some(Trouble::Again(format!("program `{}`: {cause}", self.config.program))) }
    }
}

impl Channel for ProgramChannel {
    fn name(&self) -> &'static str {
        "program"
    }

    fn deliver(&mut self, batch: &VecDeque<Arc<Message>>) -> Delivery {
        if self.config.keep_alive { self.one_for_all(batch) } else { self.one_each(batch) }
    }

    fn reopen(&mut self) {
        self.close();
    }

    fn close(&mut self) {
        if let Some(running) = self.child.take() {
            running.end(&self.config.program, &self.ending, &self.log);
        }
    }
}

/// A program and when it was started. It leads a process group of its own, so that what `sh` starts can be reached too.
struct Running {
    child: Child,
    started: Instant,
}

/// How far a program came with what it was given.
struct Fed {
    read_bytes: usize,
    end: Fate,
}

enum Fate {
    Reads,
    Ended(ExitStatus),
    /// The run is over and it still has not read everything.
    Silent,
}

impl Running {
    fn start(program: &str) -> io::Result<Running> {
        let child = Command::new("sh").arg("-c").arg(program).stdin(Stdio::piped()).process_group(0).spawn()?;
        if let Some(stdin) = &child.stdin {
            fcntl_setfl(stdin, fcntl_getfl(stdin)? | OFlags::NONBLOCK)?;
        }
        Ok(Running { child, started: Instant::now() })
    }

    fn if_alive(mut self) -> Option<Running> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }

    /// Writes `bytes` and waits until they are read.
    fn feed(&mut self, bytes: &[u8], ending: &Ending) -> Fed {
        let written = self.write(bytes, ending);
        let mut pause = FIRST_PAUSE;
        loop {
            let unread = self.child.stdin.as_ref().map_or(0, unread_bytes);
            let read_bytes = written.saturating_sub(unread);
            if read_bytes == bytes.len() {
                return Fed { read_bytes, end: Fate::Reads };
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                // What it read just before it ended counts.
                let unread = self.child.stdin.as_ref().map_or(0, unread_bytes);
                return Fed { read_bytes: written.saturating_sub(unread), end: Fate::Ended(status) };
            }
            if self.is_overdue(ending) {
                return Fed { read_bytes, end: Fate::Silent };
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Writes as much of `bytes` as the program takes before it ends, or before the run has to. Returns how much.
    fn write(&mut self, bytes: &[u8], ending: &Ending) -> usize {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            let Some(stdin) = self.child.stdin.as_mut() else { return written };
            match stdin.write(rest) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.is_overdue(ending) {
                        return written;
                    }
                    std::thread::sleep(LAST_PAUSE);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return written,
            }
        }
        written
    }

    /// Whether the run is over and this program had its time.
    fn is_overdue(&self, ending: &Ending) -> bool {
        ending.since().is_some_and(|since| since.max(self.started).elapsed() >= END_PATIENCE)
    }

    /// Closes the program's input and waits for its end. One that goes on after the run is over, or much too long, is
    /// asked to end and then killed; `None` then.
    fn end(mut self, program: &str, ending: &Ending, log: &Log) -> Option<ExitStatus> {
        drop(self.child.stdin.take());
        let closed = Instant::now();
        let is_late = |running: &Running| running.is_overdue(ending) || closed.elapsed() >= MOST_PATIENCE;
        if let Some(status) = self.wait_until(is_late) {
            return Some(status);
        }
        let pid = self.child.id();
        let mut how = "was told to end";
        self.signal(Signal::TERM);
        let told = Instant::now();
        if self.wait_until(|_| told.elapsed() >= TERM_PATIENCE).is_none() {
            how = "was killed";
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
        log.warning(&format!("program `{program}`: process {pid} did not end after its input did and {how}"));
        None
    }

    fn wait_until(&mut self, is_late: impl Fn(&Running) -> bool) -> Option<ExitStatus> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.child.try_wait() {
                Ok(None) if is_late(self) => return None,
                Ok(None) => std::thread::sleep(pause),
                end => return end.ok().flatten(),
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    fn signal(&self, signal: Signal) {
        // Only while the leader has not been waited for is its number surely still ours.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }
}

/// Appends the line of `message`; returns where it ends.
fn put(message: &Message, bytes: &mut Vec<u8>) -> usize {
    bytes.extend_from_slice(message.line.as_bytes());
    bytes.push(b'\n');
    bytes.len()
}

/// Bytes in the pipe that nobody has read.
fn unread_bytes(stdin: &ChildStdin) -> usize {
    rustix::io::ioctl_fionread(stdin).map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// An error when the alert can have reached nobody: the shell could not start the program, or it was killed.
fn could_run(status: ExitStatus) -> io::Result<()> {
    match (status.code(), status.signal()) {
        (Some(126), _) => Err(io::Error::other("not executable (exit status 126)")),
        (Some(127), _) => Err(io::Error::other("command not found (exit status 127)")),
        (_, Some(signal)) => Err(io::Error::other(format!("killed by signal {signal}"))),
        _ => Ok(()),
    }
}

const FIRST_PAUSE: Duration = Duration::from_micros(20);
const LAST_PAUSE: Duration = Duration::from_millis(5);
/// What a program may take once the run is over.
const END_PATIENCE: Duration = Duration::from_millis(1500);
/// Between asking it to end and killing it.
const TERM_PATIENCE: Duration = Duration::from_millis(500);
/// What one that was started for a single alert may take in any case.
const MOST_PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Log as LogConfig;
    use rules::Priority;

    fn quiet() -> Log {
        let config = LogConfig { stderr: false, syslog: false, level: Priority::Debug, sensor: None };
        Log::new(config, false, "test", std::path::Path::new("/dev/null"))
    }

    fn channel(program: &str, keep_alive: bool) -> ProgramChannel {
        ProgramChannel::new(&ProgramOutput { program: program.into(), keep_alive }, Ending::default(), &quiet())
    }

    fn batch(lines: usize) -> VecDeque<Arc<Message>> {
        let line = Message { priority: Priority::Debug, rule: "r".into(), line: "alert".into() };
        (0..lines).map(|_| Arc::new(line.clone())).collect()
    }

    #[test]
    fn a_program_that_cannot_run_took_nothing() {
        for keep_alive in [false, true] {
            let missing = channel("/nonexistent/program 2>/dev/null", keep_alive).deliver(&batch(3));
            assert_eq!(missing.done, 0);
            assert!(matches!(missing.trouble, Some(Trouble::Again(text)) if text.contains("127")));
        }
        let read = channel("grep -q alert", false).deliver(&batch(1));
        assert!(read.done == 1 && read.trouble.is_none());
        let own_affair = channel("cat >/dev/null; exit 3", false).deliver(&batch(1));
        assert_eq!(own_affair.done, 1, "what a program says about itself is its own affair");
    }

    #[test]
    fn only_lines_that_were_read_count() {
        let mut two = channel("read a; read b; exit 4", true);
        let delivery = two.deliver(&batch(5));
        assert_eq!(delivery.done, 2);
        assert!(matches!(delivery.trouble, Some(Trouble::Again(text)) if text.contains("exit status: 4")));
        let delivery = two.deliver(&batch(1));
        assert_eq!(delivery.done, 1, "started again");
    }

    #[test]
    fn one_that_never_ends_is_killed() {
        let mut stubborn = channel("trap '' TERM; read a; while :; do sleep 0.1; done", true);
        assert_eq!(stubborn.deliver(&batch(1)).done, 1);
        let pid = stubborn.child.as_ref().map(|running| running.child.id()).unwrap_or_default();
        stubborn.ending.begin();
        stubborn.close();
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
