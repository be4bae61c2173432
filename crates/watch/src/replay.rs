//! Judging a capture: a file of recorded events comes in, alerts go out as if the events happened now, as fast as they
//! can be read. A cut or damaged capture yields everything before the fault, then the error; an event that cannot be
//! read is left out, and the run ends with an error. Outputs are waited for, so nothing is lost.

use crate::config::Config;
use crate::drops::{DROP_MANAGER_ERROR, DropMonitor, Totals};
use crate::judge::{Judge, Verdict};
use crate::log::Log;
use crate::metrics::{Collector, Facts};
use crate::names::Resolver;
use crate::options::Options;
use crate::outputs::{Outputs, Setup, SetupError};
use crate::prepare::Prepared;
use crate::recording::{Recorder, Triggered};
use crate::signals::Signals;
use crate::summary::Summary;
use crate::web::WebError;
use capture::{Item, Reader, Record};
use engine::Engine;
use event::snapshot::Snapshot;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::time::Duration;

/// What a finished run has to say.
#[derive(Debug, Default)]
pub struct Report {
    /// Statistics for standard output.
    pub statistics: String,
    /// Lines for standard error.
    pub notes: Vec<String>,
    /// Every reader of the alerts went away.
    pub readers_gone: bool,
    /// Why the run ended early, although what came before counts.
    pub fault: Option<String>,
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("capture `{path}`: {cause}")]
    Open { path: String, cause: io::Error },
    #[error("capture `{path}`: {cause}")]
    Capture { path: String, cause: capture::Error },
    #[error(transparent)]
    Outputs(#[from] SetupError),
    #[error("{0}")]
    Record(String),
    #[error("{0}")]
    Pidfile(String),
    #[error(transparent)]
    Web(#[from] WebError),
    #[error(transparent)]
    Sensor(#[from] sensor::Error),
    /// What the kernel or this process lacks, in lines.
    #[error("{0}")]
    Needs(String),
    #[error("{0}")]
    Other(String),
}

/// Progress of a replay: bytes read so far, bytes in all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Reads `path` to its end, or until asked to stop.
///
/// # Errors
/// The file is no capture or outputs cannot be set up. A fault in the middle is part of the report.
pub fn run(
    path: &Path,
    prepared: &Prepared,
    options: &Options,
    (log, signals): (&Log, &Signals),
    progress: Progress<'_>,
) -> Result<Report, RunError> {
    let name = || path.display().to_string();
    let (input, size) = open(path).map_err(|cause| RunError::Open { path: name(), cause })?;
    let mut reader = Reader::open(input).map_err(|cause| RunError::Capture { path: name(), cause })?;
    log.info(&format!("Replaying events from the capture file: {}", path.display()));
    let mut run = Run::start(prepared, options, log, reader.take_snapshot())?;
    let end = run.read(&mut reader, signals, &mut |read| progress(read, size));
    let mut report = run.finish(options);
    let in_capture = |fault: String| format!("capture `{}`: {fault}", path.display());
    report.fault = match end {
        End::DropManager => Some(DROP_MANAGER_ERROR.to_owned()),
        End::Fault(fault) => Some(in_capture(fault)),
        _ => report.fault.take().map(in_capture),
    };
    tell_gaps(&reader, &mut report);
    Ok(report)
}

/// The capture at `path`, or on standard input for `-`, and how long it is: 0 = unknown.
pub(crate) fn open(path: &Path) -> io::Result<(Box<dyn Read>, u64)> {
    if path == Path::new(STANDARD_INPUT) {
        return Ok((Box::new(io::stdin().lock()), 0));
    }
    let file = File::open(path)?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    Ok((Box::new(file), size))
}

/// A replay under way.
struct Run<'a> {
    judge: Judge,
    log: &'a Log,
    recorder: Option<Recorder>,
    triggered: Option<Triggered>,
    summary: Option<Summary>,
    drops: DropMonitor,
    metrics: Collector,
    max_ns: Option<u64>,
    first_ts: u64,
    last_ts: u64,
    bad_events: u64,
    /// What was wrong with the first of them.
    first_bad: String,
}

#[derive(Debug, PartialEq)]
enum End {
    File,
    Limit,
    Signal,
    ReadersGone,
    DropManager,
    Fault(String),
}

impl<'a> Run<'a> {
    fn start(prepared: &Prepared, options: &Options, log: &'a Log, snapshot: Snapshot) -> Result<Self, RunError> {
        let setup = Setup { ident: "falco", lossless: true, colour: wants_colour(&prepared.config) };
        let outputs = Outputs::start(&prepared.config, setup, log)?;
        let recorder = options.record.as_deref().map(|path| Recorder::create(path, &snapshot)).transpose();
        let triggered = Triggered::new(prepared.config.capture.clone());
        let mut engine = Engine::new(engine_options(prepared));
        engine.seed(snapshot);
        let mut judge = Judge::new(Verdict::new(prepared), engine, outputs);
        if let Some(addresses) = Resolver::start(prepared.program.host_names()).first(NAMES_PATIENCE) {
            judge.know_addresses(addresses);
        }
        Ok(Run {
            judge,
            log,
            recorder: recorder.map_err(RunError::Record)?,
            triggered,
            summary: options.summary.then(Summary::default),
            drops: DropMonitor::new(prepared.config.drops.clone()),
            metrics: Collector::start(&prepared.config, Facts::of(prepared), false, log)?,
            max_ns: options.max_seconds.map(|seconds| seconds.saturating_mul(1_000_000_000)),
            first_ts: 0,
            last_ts: 0,
            bad_events: 0,
            first_bad: String::new(),
        })
    }

    fn read(&mut self, reader: &mut Reader<Box<dyn Read>>, signals: &Signals, progress: &mut dyn FnMut(u64)) -> End {
        let mut until_check = 1;
        loop {
            until_check -= 1;
            if until_check == 0 {
                until_check = CHECK_EVERY;
                progress(reader.input_bytes());
                if self.metrics.is_due() {
                    self.metrics.collect(&self.judge, None);
                }
                if signals.stop().is_some() {
                    return End::Signal;
                }
                if self.judge.desk.outputs.all_closed() {
                    return End::ReadersGone;
                }
            }
            match reader.next() {
                Ok(Some(Item::Event(record))) if self.is_over(record.event.ts) => return End::Limit,
                Ok(Some(Item::Event(record))) => {
                    if self.event(&record) {
                        return End::DropManager;
                    }
                }
                Ok(Some(Item::Section(snapshot))) => self.section(snapshot),
                Ok(None) => return End::File,
                Err(error) if error.concerns_one_event() => self.bad_event(&error),
                Err(error) => return End::Fault(error.to_string()),
            }
        }
    }

    /// Judges one event; true when the run has to end.
    #[inline]
    fn event(&mut self, record: &Record<'_>) -> bool {
        let event = &record.event;
        self.last_ts = event.ts;
        if record.state_only {
            self.judge.state_only(event);
        } else {
            self.judge.event(event);
        }
        if let Some(summary) = &mut self.summary {
            summary.event(event, &self.judge.engine);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.event(event, record.state_only, self.log);
        }
        if self.triggered.is_some() {
            self.trigger(record);
        }
        self.drops.is_due(event.ts) && self.check_losses(event.ts)
    }

    /// A capture loses nothing, but the configuration may simulate it.
    fn check_losses(&mut self, ts: u64) -> bool {
        let events = self.judge.engine.events();
        let loss = self.drops.check(ts, Totals { events, drops: 0 });
        loss.is_some_and(|loss| loss.act(&loss.alert(None), &self.judge, (ts, self.log)))
    }

    fn trigger(&mut self, record: &Record<'_>) {
        let Some(triggered) = &mut self.triggered else { return };
        let judge = &self.judge;
        let full = triggered.event(&record.event, judge.matched(), judge.rules(), &judge.engine, self.log);
        if let Some(alert) = full {
            self.judge.internal(&alert, record.event.ts);
        }
    }

    fn section(&mut self, snapshot: &Snapshot) {
        self.judge.engine.seed(snapshot.clone());
        if let Some(recorder) = &mut self.recorder {
            recorder.section(snapshot, self.log);
        }
    }

    fn is_over(&mut self, ts: u64) -> bool {
        if self.first_ts == 0 {
            self.first_ts = ts;
        }
        self.max_ns.is_some_and(|max| ts.saturating_sub(self.first_ts) >= max)
    }

    fn bad_event(&mut self, error: &capture::Error) {
        self.bad_events += 1;
        if self.bad_events == 1 {
            self.first_bad = error.to_string();
        }
    }

    fn finish(mut self, options: &Options) -> Report {
        self.judge.tell_held_back(u64::MAX, self.last_ts);
        if let Some(recorder) = self.recorder.take() {
            recorder.finish(self.log);
        }
        if let Some(triggered) = self.triggered.take() {
            triggered.end(self.log);
        }
        let mut report = Report::default();
        if let Some(summary) = &self.summary {
            report.statistics = summary.text(&self.judge.desk.stats, self.judge.rules()) + "\n";
        }
        if self.judge.engine.events() > 0 {
            report.statistics += &self.judge.desk.stats.summary(self.judge.rules());
        }
        report.notes.push(drop_note(&self.drops));
        if options.verbose {
            report.notes.push(format!("Driver Events:{}\nDriver Drops:0", self.judge.engine.events()));
        }
        if self.bad_events > 0 {
            report.fault = Some(format!("{} events could not be read, the first: {}", self.bad_events, self.first_bad));
        }
        report.readers_gone = self.judge.desk.outputs.all_closed();
        report.notes.extend(self.judge.into_outputs().finish(FINISH_PATIENCE));
        report
    }
}

/// Alerts are coloured for a person who chose nothing else: no configuration file, standard output is a terminal.
pub(crate) fn wants_colour(config: &Config) -> bool {
    config.files.is_empty() && std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// What is printed about lost events at the end of a run.
pub(crate) fn drop_note(drops: &DropMonitor) -> String {
    format!(
        "Syscall event drop monitoring:\n   - event drop detected: {} occurrences\n   - num times actions taken: {}",
        drops.occurrences, drops.actions
    )
}

/// Limits and times of the engine as configured.
pub(crate) fn engine_options(prepared: &Prepared) -> engine::Options {
    let threads = prepared.config.threads;
    let mut options = engine::Options::default();
    options.limits.threads = usize::try_from(threads.max).unwrap_or(usize::MAX);
    options.purge_interval_nanos = u64::from(threads.purge_interval_s) * 1_000_000_000;
    options.thread_timeout_nanos = u64::from(threads.purge_timeout_s) * 1_000_000_000;
    options.hostname = std::env::var("FALCO_HOSTNAME").ok();
    let containers = prepared.config.containers();
    (options.runtimes, options.any_controller) = (containers.runtimes, containers.any_controller);
    options
}

fn tell_gaps(reader: &Reader<Box<dyn Read>>, report: &mut Report) {
    let counters = reader.counters();
    for (count, what) in [
        (counters.unknown_events, "events of unknown kinds"),
        (counters.unknown_blocks, "blocks of unknown types"),
        (counters.forgotten_enters, "enter events without their exit"),
    ] {
        if count > 0 {
            report.notes.push(format!("capture: {count} {what} left out"));
        }
    }
}

/// The path that stands for standard input.
pub(crate) const STANDARD_INPUT: &str = "-";
/// Events between two looks at signals and progress.
const CHECK_EVERY: u32 = 4096;
/// How long name servers may take before the first event.
const NAMES_PATIENCE: Duration = Duration::from_secs(3);
/// How long outputs may take to deliver what is left.
const FINISH_PATIENCE: Duration = Duration::from_secs(5);
