//! Judging what happens on this machine now: the sensor's events come in, alerts go out, until somebody asks to stop.
//! One thread drains the rings and judges; outputs, reloading, metrics and the web server have their own. Between ring
//! and verdict nothing is copied, and nothing in here may wait for anybody but the kernel.

use crate::blindness::{self, Needs};
use crate::config::{Config, Kind};
use crate::drops::{DROP_MANAGER_ERROR, DropMonitor, Totals};
use crate::internal::Internal;
use crate::judge::{Judge, Verdict};
use crate::log::Log;
use crate::metrics::{Collector, Facts, Kernel};
use crate::names::Resolver;
use crate::options::Options;
use crate::outputs::{Outputs, Setup};
use crate::pidfile::Pidfile;
use crate::prepare::Prepared;
use crate::recording::{Recorder, Triggered};
use crate::reload::{Fresh, News, Reloader, Watched};
use crate::replay::{Report, RunError, drop_note, engine_options, wants_colour};
use crate::signals::Signals;
use crate::{needs, now_ns, processes, sd, syscalls};
use engine::Engine;
use event::Event;
use rules::Priority;
use sensor::{Heard, Sensor};
use std::time::{Duration, Instant};

/// Watches until a signal, the time limit or the end of all outputs.
///
/// # Errors
/// No output works, a file cannot be written, or the kernel does not let us see anything.
pub fn run(prepared: Prepared, options: &Options, (log, signals): (&Log, &Signals)) -> Result<Report, RunError> {
    let setup = Setup { ident: "falco", lossless: false, colour: wants_colour(&prepared.config) };
    let outputs = Outputs::start(&prepared.config, setup, log)?;
    let _pidfile = options.pidfile.as_deref().map(Pidfile::write).transpose().map_err(RunError::Pidfile)?;
    let mut sensor = match prepared.config.kind {
        Kind::NoDriver => None,
        _ => Some(open(&prepared, log)?),
    };
    let mut live = Live::start(prepared, options, log, (sensor.as_mut(), outputs))?;
    if let Some(sensor) = &mut sensor {
        sensor.started();
    }
    live.announce(sensor.as_ref());
    sd::ready("watching");
    let end = live.watch(sensor, signals);
    sd::stopping();
    let mut report = live.finish(options);
    report.fault = (end == End::DropManager).then(|| DROP_MANAGER_ERROR.to_owned());
    Ok(report)
}

/// Why watching ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stop,
    DropManager,
}

struct Live<'a> {
    judge: Judge,
    log: &'a Log,
    config: Config,
    recorder: Option<Recorder>,
    triggered: Option<Triggered>,
    drops: DropMonitor,
    reloader: Reloader,
    names: Resolver,
    metrics: Collector,
    silent_since: Instant,
    last_event_ts: u64,
    started: Instant,
    max_time: Option<Duration>,
    stats: sensor::Stats,
    next_check: Instant,
}

impl<'a> Live<'a> {
    fn start(
        prepared: Prepared,
        options: &Options,
        log: &'a Log,
        (sensor, outputs): (Option<&mut Sensor>, Outputs),
    ) -> Result<Self, RunError> {
        let boot_ns = sensor.as_deref().map_or(0, Sensor::boot_ns);
        let snapshot = processes::snapshot(sensor, boot_ns, log);
        let recorder = options.record.as_deref().map(|path| Recorder::create(path, &snapshot)).transpose();
        let recorder = recorder.map_err(RunError::Record)?;
        let triggered = Triggered::new(prepared.config.capture.clone());
        let mut engine_options = engine_options(&prepared);
        engine_options.limits.own_pid = i64::from(std::process::id());
        engine_options.hostname.get_or_insert_with(|| prepared.hostname.clone());
        let mut engine = Engine::new(engine_options);
        engine.seed(snapshot);
        engine.set_proc_source(Box::new(processes::Lookup::new(boot_ns, prepared.config.containers())));
        let metrics = Collector::start(&prepared.config, Facts::of(&prepared), true, log)?;
        Ok(Live {
            recorder,
            triggered,
            drops: DropMonitor::new(prepared.config.drops.clone()),
            names: Resolver::start(prepared.program.host_names()),
            reloader: Reloader::start(Watched::of(&prepared), options, log),
            metrics,
            silent_since: Instant::now(),
            last_event_ts: 0,
            started: Instant::now(),
            max_time: options.max_seconds.map(Duration::from_secs),
            stats: sensor::Stats::default(),
            next_check: Instant::now(),
            judge: Judge::new(Verdict::new(&prepared), engine, outputs),
            config: prepared.config,
            log,
        })
    }

    /// What is being watched, in one line.
    fn announce(&self, sensor: Option<&Sensor>) {
        let rules = self.judge.rules().enabled().count();
        match sensor {
            Some(sensor) => {
                let calls = sensor.options().selected.len();
                self.log.info(&format!("Watching: {rules} rules, {calls} system calls (Ctrl-C ends it)"));
            }
            None => self.log.info("Opening 'syscall' source with no driver"),
        }
    }

    fn watch(&mut self, mut sensor: Option<Sensor>, signals: &Signals) -> End {
        loop {
            let taken = match &mut sensor {
                Some(sensor) => sensor.poll_all(|heard| match heard {
                    Heard::Event(event) => self.event(&event),
                    Heard::Task(task) => self.judge.engine.meet(&task),
                }),
                None => 0,
            };
            if sensor.is_some() {
                self.count_silence(taken);
            }
            if let Some(end) = self.look_around(sensor.as_mut(), signals) {
                self.read_counters(sensor.as_ref());
                return end;
            }
            match &mut sensor {
                Some(sensor) => sensor.rest(taken),
                None => std::thread::sleep(CHECK_EVERY),
            }
        }
    }

    fn read_counters(&mut self, sensor: Option<&Sensor>) {
        match sensor.map(Sensor::stats) {
            Some(Ok(stats)) => self.stats = stats,
            Some(Err(error)) => self.log.warning(&format!("counters of the sensor: {error}")),
            None => {}
        }
    }

    #[inline]
    fn event(&mut self, event: &Event<'_>) {
        self.last_event_ts = event.ts;
        self.judge.event(event);
        if let Some(recorder) = &mut self.recorder {
            recorder.live_event(event, &self.judge.engine, self.log);
        }
        if let Some(triggered) = &mut self.triggered {
            let judge = &self.judge;
            let full = triggered.event(event, judge.matched(), judge.rules(), &judge.engine, self.log);
            if let Some(alert) = full {
                self.judge.internal(&alert, event.ts);
            }
        }
    }

    /// Everything between two batches: signals, reload, and once in a while losses, metrics and time.
    fn look_around(&mut self, mut sensor: Option<&mut Sensor>, signals: &Signals) -> Option<End> {
        if let Some(signal) = signals.stop() {
            self.log.info(&format!("{signal} received, exiting..."));
            return Some(End::Stop);
        }
        if signals.take_reopen() {
            self.log.info("SIGUSR1 received, reopening outputs...");
            self.judge.desk.outputs.reopen();
        }
        if signals.take_reload() {
            self.log.info("SIGHUP received, reloading...");
            self.reloader.request();
        }
        if let Some(news) = self.reloader.news() {
            self.take_news(news, sensor.as_deref_mut());
        }
        let now = Instant::now();
        if now < self.next_check {
            return None;
        }
        self.next_check = now + CHECK_EVERY;
        self.check(sensor.as_deref(), now)
    }

    fn check(&mut self, sensor: Option<&Sensor>, now: Instant) -> Option<End> {
        if self.judge.desk.noise.is_due(now_ns()) {
            self.judge.tell_held_back(now_ns(), now_ns());
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.settle(now, self.log);
        }
        if self.judge.desk.outputs.all_closed() {
            self.log.error("no output has a reader any more, stopping");
            return Some(End::Stop);
        }
        if let Some(addresses) = self.names.news() {
            self.judge.know_addresses(addresses);
        }
        let wants_metrics = self.metrics.is_due();
        if wants_metrics || self.drops.is_due(now_ns()) {
            self.read_counters(sensor);
        }
        if wants_metrics {
            self.metrics.collect(&self.judge, Some(Kernel { stats: &self.stats, sensor }));
        }
        let is_over = self.max_time.is_some_and(|max| now.duration_since(self.started) >= max);
        self.check_losses().or(is_over.then_some(End::Stop))
    }

    fn check_losses(&mut self) -> Option<End> {
        let ts = now_ns();
        if !self.drops.is_due(ts) {
            return None;
        }
        let totals = Totals { events: self.stats.total(sensor::Counter::Events), drops: self.stats.drops() };
        let loss = self.drops.check(ts, totals)?;
        let ends = loss.act(&loss.alert(Some(&self.stats)), &self.judge, (ts, self.log));
        ends.then_some(End::DropManager)
    }

    /// A timeout is a stretch of [`TIMEOUT`] without events, however often the rings were looked at meanwhile.
    fn count_silence(&mut self, taken: usize) {
        if taken > 0 {
            self.silent_since = Instant::now();
            return;
        }
        let most = self.config.max_consecutive_timeouts;
        if self.silent_since.elapsed() > TIMEOUT * most {
            self.silent_since = Instant::now();
            self.judge.internal(&silence_alert(most, self.last_event_ts), now_ns());
        }
    }

    fn take_news(&mut self, news: News, sensor: Option<&mut Sensor>) {
        match news {
            News::Failed(text) => {
                self.log.error(&format!("reload aborted, the old rules stay: {text}"));
                self.judge.internal(&failed_reload(&text), now_ns());
            }
            News::Ready(fresh) => {
                let begin = Instant::now();
                let prepared_within = fresh.prepared_within;
                sd::reloading();
                self.swap(*fresh, sensor);
                let swapped_within = begin.elapsed();
                self.metrics.count_reload(prepared_within, swapped_within);
                self.log.info(&format!(
                    "rules and configuration reloaded (compiled within {} ms beside the old ones, swapped within {} microseconds)",
                    prepared_within.as_millis(),
                    swapped_within.as_micros()
                ));
                sd::ready("watching");
            }
        }
    }

    fn swap(&mut self, fresh: Fresh, sensor: Option<&mut Sensor>) {
        match sensor.map(|sensor| sensor.select(&fresh.selected)) {
            Some(Ok(blind)) => blindness::report(&blind, &fresh.needs, self.log),
            Some(Err(error)) => self.log.error(&format!("system calls for the new rules: {error}")),
            None => {}
        }
        let old = std::mem::replace(&mut self.config, fresh.config);
        if self.config.capture != old.capture {
            if let Some(triggered) = self.triggered.take() {
                triggered.end(self.log);
            }
            self.triggered = Triggered::new(self.config.capture.clone());
        }
        self.drops.reconfigure(self.config.drops.clone());
        self.metrics.reloaded(fresh.facts, self.config.metrics.as_ref(), self.log);
        self.names = Resolver::start(fresh.verdict.host_names());
        self.reloader.retire(self.judge.swap(fresh.verdict, fresh.outputs));
        self.log.reconfigure(self.config.log, self.config.style.iso_time, "falco", &self.config.syslog_socket);
    }

    fn finish(mut self, options: &Options) -> Report {
        self.judge.tell_held_back(u64::MAX, now_ns());
        if let Some(recorder) = self.recorder.take() {
            recorder.finish(self.log);
        }
        if let Some(triggered) = self.triggered.take() {
            triggered.end(self.log);
        }
        let mut report = Report { readers_gone: self.judge.desk.outputs.all_closed(), ..Report::default() };
        if self.judge.engine.events() > 0 {
            report.statistics = self.judge.desk.stats.summary(self.judge.rules());
        }
        report.notes.push(drop_note(&self.drops));
        if options.verbose {
            let (events, drops) = (self.stats.total(sensor::Counter::Events), self.stats.drops());
            report.notes.push(format!("Driver Events:{events}\nDriver Drops:{drops}"));
        }
        report.notes.extend(self.reloader.unseen_losses());
        report.notes.extend(self.judge.into_outputs().finish(FINISH_PATIENCE));
        report
    }
}

/// Selects system calls, opens the sensor and tells what it will not see.
fn open(prepared: &Prepared, log: &Log) -> Result<Sensor, RunError> {
    needs::check(log).map_err(RunError::Needs)?;
    let config = &prepared.config;
    let needs = Needs::of(prepared);
    let selection = syscalls::select(prepared.program.needed_syscalls(), &config.syscalls);
    warn_about(&selection, &needs, log);
    if let Ok(version) = std::fs::read_to_string("/proc/version") {
        log.info(&format!("System info: {}", version.trim()));
    }
    let names = syscalls::names(&selection.selected).join(", ");
    log.sensor(Priority::Debug, &format!("system calls: {names}"));
    let ring = config.sensor.ring_bytes;
    log.info(&format!("The chosen syscall buffer dimension is: {ring} bytes ({} MBs)", ring >> 20));
    log.info("Opening event source 'syscall'");
    log.info("Opening 'syscall' source with modern BPF probe.");
    log.info(&format!("One ring buffer every '{}' CPUs.", config.sensor.cpus_per_ring));
    let options = sensor::Options {
        selected: selection.selected,
        buffer_bytes: u32::try_from(ring).unwrap_or(u32::MAX),
        cpus_per_buffer: u16::try_from(config.sensor.cpus_per_ring).unwrap_or(u16::MAX),
        drop_failed: config.sensor.drop_failed_exit,
        snaplen: if config.snaplen == 0 { 80 } else { u16::try_from(config.snaplen).unwrap_or(u16::MAX) },
        iterators: !config.sensor.disable_iterators,
        ..sensor::Options::default()
    };
    let (sensor, blind) = Sensor::open(options)?;
    blindness::report(&blind, &needs, log);
    Ok(sensor)
}

fn warn_about(selection: &syscalls::Selection, needs: &Needs, log: &Log) {
    for (what, names) in [("positive", &selection.unknown_positive), ("negative", &selection.unknown_negative)] {
        if !names.is_empty() {
            log.warning(&format!(
                "Invalid ({what}) syscall names: warning (base_syscalls override): {}",
                names.join(", ")
            ));
        }
    }
    if !selection.missing.is_empty() {
        log.warning(&format!(
            "Loaded rules match syscalls that are not activated (e.g. were removed via config settings such as no -A flag or \
             negative base_syscalls elements) or unsupported with current configuration: warning (unsupported-evttype): {}",
            syscalls::names(&selection.missing).join(", ")
        ));
        blindness::report_unselected(&selection.missing, needs, log);
    }
}

fn silence_alert(count: u32, last_event_ts: u64) -> Internal {
    let rule = "Falco internal: timeouts notification";
    let last = if last_event_ts == 0 { "none".to_owned() } else { last_event_ts.to_string() };
    Internal::new(rule, Priority::Debug, format!("{rule}. {count} consecutive timeouts without event."))
        .field("last_event_time", last)
}

fn failed_reload(text: &str) -> Internal {
    Internal::new(
        "Falco internal: hot restart failure",
        Priority::Critical,
        format!("Falco internal: hot restart failure: {text}"),
    )
}

/// What the re-created system's consumer waits before it says that nothing came.
const TIMEOUT: Duration = Duration::from_millis(30);
/// Between two looks at losses, metrics and the time limit.
const CHECK_EVERY: Duration = Duration::from_millis(20);
/// How long outputs may take to deliver what is left.
const FINISH_PATIENCE: Duration = Duration::from_secs(3);
