//! The thread behind one output: jobs come in from its queue, batches go to its channel. Troubles that may pass are
//! retried with growing pauses; while an output is down every alert gets one attempt, so that the queue keeps moving.
//! Every alert ends up in exactly one counter.

use super::{Channel, Delivery, Message, Trouble, elapsed_ms};
use crate::log::Log;
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a queue carries.
pub(crate) enum Job {
    Alert(Arc<Message>),
    /// Look at the flags.
    Wake,
}

/// What happened to the alerts of one output.
#[derive(Debug)]
pub struct Counters {
    pub name: &'static str,
    pub delivered: AtomicU64,
    /// Found the queue full.
    pub queue_full: AtomicU64,
    /// Given up after retries, refused, or left behind at the end.
    pub undelivered: AtomicU64,
    pub retries: AtomicU64,
    /// Taken from the queue, neither delivered nor given up.
    pending: AtomicU64,
    pub(super) reopen: AtomicBool,
    pub(super) closed: AtomicBool,
    pub(super) finished: AtomicBool,
    /// When the delivery in progress began; 0 = idle.
    pub(super) busy_since_ms: AtomicU64,
    last_trouble: Mutex<String>,
}

impl Counters {
    pub(super) fn new(name: &'static str) -> Self {
        Counters {
            name,
            delivered: AtomicU64::new(0),
            queue_full: AtomicU64::new(0),
            undelivered: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            reopen: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            busy_since_ms: AtomicU64::new(0),
            last_trouble: Mutex::new(String::new()),
        }
    }

    /// What was lost, with the last cause; `None` when nothing was. `waiting` alerts were still in the queue.
    pub(super) fn losses(&self, waiting: u64) -> Option<String> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let stuck = if load(&self.busy_since_ms) > 0 { load(&self.pending) } else { 0 };
        let (full, lost) = (load(&self.queue_full), load(&self.undelivered) + stuck + waiting);
        if full + lost == 0 {
            return None;
        }
        let cause = self.last_trouble.lock().map(|text| text.clone()).unwrap_or_default();
        let cause = if cause.is_empty() { String::new() } else { format!(" (last cause: {cause})") };
        Some(format!(
            "output \"{}\": {} alerts delivered, {lost} undeliverable, {full} dropped because its queue was full{cause}",
            self.name,
            load(&self.delivered)
        ))
    }
}

pub(crate) struct Worker {
    pub channel: Box<dyn Channel>,
    pub incoming: Receiver<Job>,
    pub counters: Arc<Counters>,
    pub log: Log,
    pub started: Instant,
    /// How often an alert is tried again after a timeout.
    pub timeout_retries: u32,
    /// Collect lines for up to a second before writing.
    pub buffered: bool,
}

impl Worker {
    pub fn run(mut self) {
        let mut batch = VecDeque::with_capacity(BATCH);
        let mut down = false;
        while self.fill(&mut batch) {
            self.deliver_all(&mut batch, &mut down);
        }
        self.deliver_all(&mut batch, &mut down);
        self.channel.close();
        self.counters.finished.store(true, Ordering::Release);
    }

    /// Waits for alerts and takes what is there. `false` when no more will come.
    fn fill(&mut self, batch: &mut VecDeque<Arc<Message>>) -> bool {
        match self.incoming.recv() {
            Ok(Job::Alert(message)) => batch.push_back(message),
            Ok(Job::Wake) => {}
            Err(_) => return false,
        }
        if self.counters.reopen.swap(false, Ordering::AcqRel) {
            self.channel.reopen();
        }
        let alive = if self.buffered { self.collect(batch) } else { self.take_waiting(batch) };
        self.counters.pending.store(batch.len() as u64, Ordering::Release);
        alive
    }

    fn take_waiting(&self, batch: &mut VecDeque<Arc<Message>>) -> bool {
        while batch.len() < BATCH {
            match self.incoming.try_recv() {
                Ok(Job::Alert(message)) => batch.push_back(message),
                Ok(Job::Wake) | Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    fn collect(&self, batch: &mut VecDeque<Arc<Message>>) -> bool {
        let deadline = Instant::now() + BUFFER_TIME;
        while batch.len() < BATCH {
            match self.incoming.recv_deadline(deadline) {
                Ok(Job::Alert(message)) => batch.push_back(message),
                Ok(Job::Wake) | Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    fn deliver_all(&mut self, batch: &mut VecDeque<Arc<Message>>, down: &mut bool) {
        if self.counters.closed.load(Ordering::Acquire) {
            self.count_undelivered(batch);
        }
        let mut attempts = 0;
        while !batch.is_empty() {
            self.counters.busy_since_ms.store(elapsed_ms(self.started), Ordering::Release);
            let Delivery { done, trouble } = self.channel.deliver(batch);
            batch.drain(..done.min(batch.len()));
            self.counters.delivered.fetch_add(done as u64, Ordering::Relaxed);
            self.counters.pending.store(batch.len() as u64, Ordering::Release);
            if done > 0 {
                attempts = 0;
                self.recovered(down);
            }
            if let Some(trouble) = trouble {
                self.face(&trouble, batch, &mut attempts, down);
            }
        }
        self.counters.busy_since_ms.store(0, Ordering::Release);
    }

    /// Waits and returns for another attempt, or gives up on the first alert (or on all).
    fn face(&mut self, trouble: &Trouble, batch: &mut VecDeque<Arc<Message>>, attempts: &mut u32, down: &mut bool) {
        let (text, limit) = match trouble {
            Trouble::Closed(text) => return self.give_up_for_good(text, batch),
            Trouble::Again(text) => (text, MAX_ATTEMPTS),
            Trouble::Timeout(text) => (text, self.timeout_retries),
            Trouble::Refused(text) => (text, 0),
        };
        let is_new = self.remember(text);
        if *attempts < limit && !*down {
            *attempts += 1;
            self.counters.retries.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(FIRST_PAUSE * 2u32.saturating_pow(*attempts - 1).min(16));
            return;
        }
        if !*down && (is_new || limit > 0) {
            self.log.error(&format!("{}: {text}", self.counters.name));
        }
        *down = limit > 0;
        *attempts = 0;
        self.channel.give_up();
        batch.pop_front();
        self.counters.undelivered.fetch_add(1, Ordering::Relaxed);
    }

    fn give_up_for_good(&mut self, text: &str, batch: &mut VecDeque<Arc<Message>>) {
        self.remember(text);
        if !self.counters.closed.swap(true, Ordering::AcqRel) {
            self.log.error(&format!("{}: {text}: no more alerts can be delivered here", self.counters.name));
        }
        self.count_undelivered(batch);
    }

    fn count_undelivered(&self, batch: &mut VecDeque<Arc<Message>>) {
        self.counters.undelivered.fetch_add(batch.len() as u64, Ordering::Relaxed);
        batch.clear();
    }

    fn recovered(&self, down: &mut bool) {
        if std::mem::take(down) {
            let lost = self.counters.undelivered.load(Ordering::Relaxed);
            self.log.info(&format!("{}: alerts are delivered again ({lost} were not)", self.counters.name));
        }
    }

    /// Keeps the cause for the end; whether it is another one than before.
    fn remember(&self, text: &str) -> bool {
        let Ok(mut last) = self.counters.last_trouble.lock() else { return true };
        let is_new = *last != text;
        text.clone_into(&mut last);
        is_new
    }
}

/// Alerts handed to a channel at once.
const BATCH: usize = 256;
const BUFFER_TIME: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Attempts after the first one: 0.1 + 0.2 + 0.4 + 0.8 + 1.6 seconds of patience.
const MAX_ATTEMPTS: u32 = 5;
