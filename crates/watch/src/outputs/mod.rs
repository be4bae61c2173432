//! Where alerts go. One message comes in; every enabled output has it in its own bounded queue, and its own thread
//! delivers it with retries. A slow or dead output therefore never holds up the others or the event loop. What a queue had
//! no room for, and what could not be delivered, is counted per output and named at the end.

mod file;
mod http;
mod lines;
mod program;
mod stdout;
mod syslog;
mod worker;

pub use worker::Counters;

use crate::config::Config;
use crate::log::Log;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rules::Priority;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use worker::{Job, Worker};

/// One alert, ready to be written.
#[derive(Debug, Clone)]
pub struct Message {
    pub priority: Priority,
    pub rule: String,
    /// Text or JSON, one line without the newline.
    pub line: String,
}

/// A place that alerts are delivered to. Used by one thread.
pub(crate) trait Channel: Send {
    fn name(&self) -> &'static str;

    /// Delivers messages from the front of `batch`. What was not delivered is offered again.
    fn deliver(&mut self, batch: &VecDeque<Arc<Message>>) -> Delivery;

    /// The first message of the batch is given up and will not be offered again.
    fn give_up(&mut self) {}

    /// Closes and opens again, as after a log rotation.
    fn reopen(&mut self) {}

    /// Called when no more messages come.
    fn close(&mut self) {}
}

/// How far a delivery came.
pub(crate) struct Delivery {
    /// Messages delivered from the front of the batch.
    pub done: usize,
    pub trouble: Option<Trouble>,
}

/// Why a message was not delivered.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// Trying again may help.
    Again(String),
    /// As `Again`, because nobody answered in time.
    Timeout(String),
    /// This message will never be delivered, others may.
    Refused(String),
    /// Nothing will ever be delivered: the reader of a pipe is gone.
    Closed(String),
}

/// Since when the run is over, for channels that wait for somebody else.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending(Arc<OnceLock<Instant>>);

impl Ending {
    fn begin(&self) {
        let _ = self.0.set(Instant::now());
    }

    fn since(&self) -> Option<Instant> {
        self.0.get().copied()
    }
}

/// Why outputs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("No output configured, please make sure at least one output is configured and enabled.")]
    None,
    #[error("{output} output: {cause}")]
    Output { output: &'static str, cause: String },
}

/// All enabled outputs.
pub struct Outputs {
    queues: Vec<Queue>,
    log: Log,
    /// Waits for room instead of dropping: for captures, which can wait.
    lossless: bool,
    started: Instant,
    ending: Ending,
}

struct Queue {
    jobs: Sender<Job>,
    /// Only for counting what was left behind; the worker has its own end.
    waiting: Receiver<Job>,
    counters: Arc<Counters>,
    told_full: AtomicBool,
}

/// How outputs are set up.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// Name in syslog messages.
    pub ident: &'a str,
    /// Wait for room in a queue instead of dropping.
    pub lossless: bool,
    /// Colour alerts on standard output by priority.
    pub colour: bool,
}

impl Outputs {
    /// Starts every output that `config` enables.
    ///
    /// # Errors
    /// No output is enabled, or one cannot work: an unwritable file, an unreadable certificate.
    pub fn start(config: &Config, setup: Setup<'_>, log: &Log) -> Result<Outputs, SetupError> {
        let ending = Ending::default();
        let channels = channels(config, setup, (&ending, log))?;
        if channels.is_empty() {
            return Err(SetupError::None);
        }
        let started = Instant::now();
        let queues: Vec<Queue> =
            channels.into_iter().map(|channel| start_queue(channel, config, log, started)).collect();
        let outputs = Outputs { queues, log: log.clone(), lossless: setup.lossless, started, ending };
        outputs.start_watchdog(config.output_timeout_ms);
        Ok(outputs)
    }

    /// Hands `message` to every output. Never blocks unless set up lossless.
    pub fn send(&self, message: Message) {
        let message = Arc::new(message);
        for queue in &self.queues {
            queue.send(Job::Alert(message.clone()), self.lossless, &self.log);
        }
    }

    /// Tells every output to close and open again.
    pub fn reopen(&self) {
        for queue in &self.queues {
            queue.counters.reopen.store(true, Ordering::Release);
            // A full queue is being worked on and will see the flag.
            let _ = queue.jobs.try_send(Job::Wake);
        }
    }

    pub fn counters(&self) -> impl Iterator<Item = &Counters> {
        self.queues.iter().map(|queue| &*queue.counters)
    }

    /// Alerts that found a full queue, over all outputs.
    pub fn queue_drops(&self) -> u64 {
        self.counters().map(|counters| counters.queue_full.load(Ordering::Relaxed)).sum()
    }

    /// Whether every output has lost its reader for good.
    pub fn all_closed(&self) -> bool {
        self.counters().all(|counters| counters.closed.load(Ordering::Acquire))
    }

    /// Lets every output finish within `patience`, then names what was not delivered. Returns what a person reading
    /// standard error would not see of that, because the log does not go there.
    #[must_use]
    pub fn finish(self, patience: Duration) -> Vec<String> {
        self.ending.begin();
        let deadline = Instant::now() + patience;
        let (log, queues) = (self.log, self.queues);
        let left: Vec<(Arc<Counters>, Receiver<Job>)> =
            queues.into_iter().map(|queue| (queue.counters, queue.waiting)).collect();
        let mut unseen = Vec::new();
        for (counters, waiting) in left {
            while !counters.finished.load(Ordering::Acquire) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            if let Some(losses) = counters.losses(waiting.len() as u64) {
                log.warning(&losses);
                if !log.shows(Priority::Warning) {
                    unseen.push(crate::without_numbers(&losses));
                }
            }
        }
        unseen
    }

    /// Reports an output that has been busy with one delivery for longer than `timeout_ms`.
    fn start_watchdog(&self, timeout_ms: u64) {
        let watched: Vec<Arc<Counters>> = self.queues.iter().map(|queue| queue.counters.clone()).collect();
        let (log, started) = (self.log.clone(), self.started);
        let watch = move || {
            let mut told: Vec<u64> = vec![0; watched.len()];
            while !watched.iter().all(|counters| counters.finished.load(Ordering::Acquire)) {
                std::thread::sleep(Duration::from_millis((timeout_ms / 4).clamp(10, 500)));
                let now = elapsed_ms(started);
                for (counters, told) in watched.iter().zip(&mut told) {
                    let since = counters.busy_since_ms.load(Ordering::Acquire);
                    if since > 0 && now.saturating_sub(since) > timeout_ms && *told != since {
                        *told = since;
                        log.critical(&format!(
                            "\"{}\" output timeout, this output is blocked (the others go on)",
                            counters.name
                        ));
                    }
                }
            }
        };
        spawn("out-watchdog", watch);
    }
}

impl Queue {
    fn send(&self, job: Job, lossless: bool, log: &Log) {
        if self.counters.closed.load(Ordering::Acquire) {
            self.counters.undelivered.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if lossless {
            // Fails only when the worker has ended, which counts what it left behind.
            let _ = self.jobs.send(job);
            return;
        }
        if let Err(TrySendError::Full(_)) = self.jobs.try_send(job) {
            self.counters.queue_full.fetch_add(1, Ordering::Relaxed);
            if !self.told_full.swap(true, Ordering::Relaxed) {
                log.error(&format!(
                    "Outputs queue out of memory. Drop event and continue on ... (output \"{}\", counted in outputs_queue_num_drops)",
                    self.counters.name
                ));
            }
        }
    }
}

fn channels(
    config: &Config,
    setup: Setup<'_>,
    (ending, log): (&Ending, &Log),
) -> Result<Vec<Box<dyn Channel>>, SetupError> {
    let mut channels: Vec<Box<dyn Channel>> = Vec::new();
    let wrong = |output: &'static str| move |cause: String| SetupError::Output { output, cause };
    if let Some(file) = &config.file {
        channels.push(Box::new(file::FileChannel::open(file).map_err(wrong("file"))?));
    }
    if config.stdout {
        channels.push(Box::new(stdout::StdoutChannel::new(setup.colour, log)));
    }
    if config.syslog {
        channels.push(Box::new(syslog::SyslogChannel::new(setup.ident, &config.syslog_socket)));
    }
    if let Some(program) = &config.program {
        channels.push(Box::new(program::ProgramChannel::new(program, ending.clone(), log)));
    }
    if let Some(http) = &config.http {
        let channel = http::HttpChannel::new(http, config.style.json).map_err(wrong("http"))?;
        channels.push(Box::new(channel));
    }
    Ok(channels)
}

fn start_queue(channel: Box<dyn Channel>, config: &Config, log: &Log, started: Instant) -> Queue {
    let (jobs, incoming) = bounded(config.queue_capacity.max(1));
    let retries = config.http.as_ref().map_or(DEFAULT_RETRIES, |http| http.max_timeouts);
    let (name, waiting) = (channel.name(), incoming.clone());
    let counters = Arc::new(Counters::new(name));
    let worker = Worker {
        channel,
        incoming,
        counters: counters.clone(),
        log: log.clone(),
        started,
        timeout_retries: retries,
        buffered: config.buffered && matches!(name, "stdout" | "file" | "program"),
    };
    spawn(&format!("out-{name}"), move || worker.run());
    Queue { jobs, waiting, counters, told_full: AtomicBool::new(false) }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    // Without threads nothing can be delivered; the queues then fill up and say so.
    let _ = std::thread::Builder::new().name(name.to_owned()).spawn(work);
}

/// Milliseconds since `started`, at least 1 so that 0 can mean "idle".
pub(crate) fn elapsed_ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
}

const DEFAULT_RETRIES: u32 = 5;
