//! Numbers about the watching itself: engine, sensor, outputs and the machine come in; snapshots go out as alert, as JSON
//! lines in a file and as Prometheus text. They are collected between two batches of events, when an interval is over or
//! somebody asked; writing and serving happen on other threads.

mod facts;
mod resources;
mod sample;

pub use facts::Facts;
pub use sample::{Number, Sample};

use crate::config::{Config, Metrics as MetricsConfig};
use crate::internal::{Internal, sorted_line};
use crate::judge::Judge;
use crate::log::Log;
use crate::web::{Pages, Server, WebError};
use crossbeam_channel::{Sender, bounded};
use rules::Priority;
use sensor::Sensor;
use serde_json::{Map, Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Collects and hands out snapshots; owns the web server.
pub struct Collector {
    config: Option<MetricsConfig>,
    facts: Facts,
    board: Arc<Board>,
    next: Instant,
    samples: u64,
    reloads: Reloads,
    previous: Previous,
    cpu: resources::CpuClock,
    file: Option<Sender<String>>,
    serves_metrics: bool,
    _server: Option<Server>,
}

/// The kernel half of a run.
#[derive(Clone, Copy)]
pub struct Kernel<'a> {
    pub stats: &'a sensor::Stats,
    /// `None` when no driver is used.
    pub sensor: Option<&'a Sensor>,
}

/// How often rules were replaced, and what the last time took.
#[derive(Debug, Clone, Copy, Default)]
struct Reloads {
    count: u64,
    prepared_within: Duration,
    swapped_within: Duration,
}

/// What rates are computed from.
#[derive(Debug, Clone, Copy, Default)]
struct Previous {
    at: Option<Instant>,
    events: u64,
    kernel_events: u64,
    drops: u64,
}

/// Where the event loop leaves Prometheus text for the web server.
struct Board {
    wanted: AtomicBool,
    text: Mutex<String>,
    fresh: Condvar,
    offers_metrics: AtomicBool,
}

impl Collector {
    /// Starts the writer of the metrics file and, where `serves`, the web server, as configured.
    ///
    /// # Errors
    /// The web server cannot run.
    pub fn start(config: &Config, facts: Facts, serves: bool, log: &Log) -> Result<Self, WebError> {
        let web = config.web.as_ref().filter(|_| serves);
        let offers_metrics = config.metrics.is_some() && web.is_some_and(|web| web.prometheus);
        let board = Arc::new(Board {
            wanted: AtomicBool::new(false),
            text: Mutex::new(String::new()),
            fresh: Condvar::new(),
            offers_metrics: AtomicBool::new(offers_metrics),
        });
        let server = web.map(|web| {
            let scheme = if web.certificate.is_some() { "https" } else { "http" };
            log.info(&format!(
                "Starting health webserver with threadiness {}, listening on {scheme}://{}:{}",
                web.threads, web.address, web.port
            ));
            Server::start(web, board.clone())
        });
        let mut collector = Collector {
            config: None,
            facts,
            board,
            next: Instant::now(),
            samples: 0,
            reloads: Reloads::default(),
            previous: Previous::default(),
            cpu: resources::CpuClock::default(),
            file: None,
            serves_metrics: web.is_some_and(|web| web.prometheus),
            _server: server.transpose()?,
        };
        collector.configure(config.metrics.as_ref(), log);
        Ok(collector)
    }

    fn configure(&mut self, config: Option<&MetricsConfig>, log: &Log) {
        if self.config.as_ref() == config {
            return;
        }
        if let Some(metrics) = config {
            let (text, ms) = (&metrics.interval_text, metrics.interval_ms);
            log.info(&format!("Setting metrics interval to {text}, equivalent to {ms} (ms)"));
        }
        self.file = config.and_then(|metrics| metrics.file.as_deref()).map(|path| writer(path, log));
        self.board.offers_metrics.store(config.is_some() && self.serves_metrics, Ordering::Release);
        self.config = config.cloned();
        self.next = Instant::now();
    }

    /// Whether a snapshot is wanted now.
    #[inline]
    pub fn is_due(&self) -> bool {
        self.config.is_some() && (self.board.wanted.load(Ordering::Acquire) || Instant::now() >= self.next)
    }

    /// Takes a snapshot and hands it to everybody who wants one.
    pub fn collect(&mut self, judge: &Judge, kernel: Option<Kernel<'_>>) {
        let Some(config) = self.config.clone() else { return };
        let asked = self.board.wanted.swap(false, Ordering::AcqRel);
        let sample = self.sample(&config, judge, kernel);
        if self.board.offers_metrics.load(Ordering::Acquire) {
            self.board.publish(sample.prometheus());
        }
        let now = Instant::now();
        if asked && now < self.next {
            return;
        }
        self.next = now + Duration::from_millis(config.interval_ms);
        self.samples += 1;
        let fields = sample.fields(config.include_empty);
        if config.as_rule {
            let mut alert =
                Internal::new("Falco internal: metrics snapshot", Priority::Informational, "Falco metrics snapshot");
            alert.fields.clone_from(&fields);
            judge.internal(&alert, crate::now_ns());
        }
        if let Some(file) = &self.file {
            // A writer that cannot keep up misses snapshots; each holds totals, so nothing is lost for good.
            let _ = file.try_send(line(fields, self.samples));
        }
    }

    /// Another configuration is in force.
    pub fn reloaded(&mut self, facts: Facts, config: Option<&MetricsConfig>, log: &Log) {
        self.facts = facts.reloaded_from(&self.facts);
        self.configure(config, log);
    }

    /// Rules were replaced.
    pub fn count_reload(&mut self, prepared_within: Duration, swapped_within: Duration) {
        self.reloads = Reloads { count: self.reloads.count + 1, prepared_within, swapped_within };
    }

    fn sample(&mut self, config: &MetricsConfig, judge: &Judge, kernel: Option<Kernel<'_>>) -> Sample {
        let mut sample = Sample::default();
        let engine = &judge.engine;
        self.facts.add_to(&mut sample);
        sample.counter("falco.outputs_queue_num_drops", judge.desk.outputs.queue_drops());
        for counters in judge.desk.outputs.counters() {
            let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            sample.counter(&format!("falco.outputs.{}.delivered", counters.name), count(&counters.delivered));
            sample.counter(&format!("falco.outputs.{}.undelivered", counters.name), count(&counters.undelivered));
            sample.counter(&format!("falco.outputs.{}.retries", counters.name), count(&counters.retries));
        }
        sample.counter("falco.alerts_held_back", judge.desk.noise.suppressed);
        sample.counter("falco.alerts_not_compared", judge.desk.noise.overflowed);
        self.reloads.add_to(&mut sample);
        self.rates(&mut sample, engine.events(), kernel.map(|kernel| kernel.stats));
        if config.rules {
            rule_counters(&mut sample, judge);
        }
        if config.resources {
            resources::add_to(&mut sample, &mut self.cpu, config.memory_in_mb);
        }
        if config.state {
            for (name, value) in engine.metrics() {
                match name {
                    "n_threads" | "n_fds" => sample.level(&format!("falco.{name}"), value),
                    _ => sample.counter(&format!("falco.{name}"), value),
                }
            }
        }
        let Some(kernel) = kernel else { return sample };
        if config.kernel {
            kernel_counters(&mut sample, kernel.stats, config.kernel_per_cpu);
        }
        if config.programs {
            program_runs(&mut sample, kernel.sensor);
        }
        if config.kernel && config.iterators {
            iterator_counters(&mut sample, &kernel.stats.iterated);
        }
        sample
    }

    fn rates(&mut self, sample: &mut Sample, events: u64, stats: Option<&sensor::Stats>) {
        let now = Instant::now();
        let seconds = self.previous.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64());
        let rate = |new: u64, old: u64| if seconds > 0.0 { new.saturating_sub(old) as f64 / seconds } else { 0.0 };
        let (seen, drops) = stats.map_or((0, 0), |stats| (stats.total(sensor::Counter::Events), stats.drops()));
        sample.counter("falco.num_evts", events);
        sample.gauge("falco.num_evts_prev", Number::Count(self.previous.events));
        sample.gauge("falco.evts_rate_sec", Number::Real(rate(events, self.previous.events)));
        if stats.is_some() {
            sample.gauge("scap.n_evts_prev", Number::Count(self.previous.kernel_events));
            sample.gauge("scap.evts_rate_sec", Number::Real(rate(seen, self.previous.kernel_events)));
            sample.gauge("scap.n_drops_prev", Number::Count(self.previous.drops));
            sample.gauge("scap.evts_drop_rate_sec", Number::Real(rate(drops, self.previous.drops)));
        }
        self.previous = Previous { at: Some(now), events, kernel_events: seen, drops };
    }
}

impl Reloads {
    fn add_to(self, sample: &mut Sample) {
        sample.counter("falco.n_reloads", self.count);
        for (name, time) in [("compile", self.prepared_within), ("swap", self.swapped_within)] {
            sample.field(&format!("falco.reload_{name}_ns"), u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
            let series = format!("falcosecurity_falco_reload_{name}_seconds");
            sample.series_gauge(&series, Number::Real(time.as_secs_f64()));
        }
    }
}

impl Board {
    fn publish(&self, text: String) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = text;
        self.fresh.notify_all();
    }
}

impl Pages for Board {
    fn versions(&self) -> String {
        crate::versions::json().to_string()
    }

    /// Asks the event loop for fresh numbers and waits a moment for them; the last ones must do otherwise.
    fn metrics(&self) -> Option<String> {
        if !self.offers_metrics.load(Ordering::Acquire) {
            return None;
        }
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        self.wanted.store(true, Ordering::Release);
        let still_wanted = |_: &mut String| self.wanted.load(Ordering::Acquire);
        let waited = self.fresh.wait_timeout_while(text, PATIENCE, still_wanted);
        let (text, _) = waited.unwrap_or_else(PoisonError::into_inner);
        Some(text.clone())
    }
}

fn rule_counters(sample: &mut Sample, judge: &Judge) {
    let stats = &judge.desk.stats;
    sample.field("falco.rules.matches_total", stats.total());
    for rule in judge.rules().rules() {
        let count = stats.of(rule.id);
        sample.field(&format!("falco.rules.{}", sanitised(&rule.name)), count);
        if count > 0 {
            let mut labels = vec![
                ("priority".to_owned(), (rule.priority as u8).to_string()),
                ("rule_name".to_owned(), rule.name.clone()),
                ("source".to_owned(), rule.source.clone()),
            ];
            labels.extend(rule.tags.iter().map(|tag| (format!("tag_{}", sanitised(tag)), "true".to_owned())));
            sample.labelled("falcosecurity_falco_rules_matches_total", "counter", labels, count);
        }
    }
}

fn iterator_counters(sample: &mut Sample, told: &sensor::Iterated) {
    sample.counter("scap.n_evts_task", told.tasks);
    sample.counter("scap.n_evts_task_file", told.files);
    sample.counter("scap.n_drops_task", told.damaged_tasks);
    sample.counter("scap.n_drops_task_file", told.damaged_files);
}

fn kernel_counters(sample: &mut Sample, stats: &sensor::Stats, per_cpu: bool) {
    use sensor::Counter;
    sample.text("scap.engine_name", "modern_bpf");
    sample.info("falcosecurity_scap_engine_name_info", &[("engine_name", "modern_bpf"), ("evt_source", "syscall")]);
    let events = stats.total(Counter::Events);
    sample.counter("scap.n_evts", events);
    sample.counter("scap.n_drops", stats.drops());
    let share = if events == 0 { 0.0 } else { stats.drops() as f64 * 100.0 / events as f64 };
    sample.gauge("scap.n_drops_perc", Number::Real(share));
    sample.counter("scap.n_decode_errors", stats.decode_errors);
    sample.counter("scap.n_drops_page_faults", 0); // a read that faults never costs an event
    for counter in Counter::ALL.into_iter().filter(|counter| *counter != Counter::Events) {
        let (name, value) = (counter.name(), stats.total(counter));
        match drop_labels(name) {
            Some((drop, dir)) => {
                sample.field(&format!("scap.{name}"), value);
                let labels = vec![("dir".to_owned(), dir.to_owned()), ("drop".to_owned(), drop.to_owned())];
                sample.labelled("falcosecurity_scap_n_drops_buffer_total", "counter", labels, value);
            }
            None if name == "n_drops_buffer_total" => sample.field("scap.n_drops_buffer_total", value),
            None => sample.counter(&format!("scap.{name}"), value),
        }
    }
    if !per_cpu {
        return;
    }
    for (cpu, counters) in stats.per_cpu.iter().enumerate() {
        let seen = counters.first().copied().unwrap_or(0);
        for (name, value) in [("n_evts_cpu", seen), ("n_drops_cpu", stats.cpu_drops(cpu))] {
            sample.field(&format!("scap.{name}_{cpu}"), value);
            let labels = vec![("cpu".to_owned(), cpu.to_string())];
            sample.labelled(&format!("falcosecurity_scap_{name}_total"), "counter", labels, value);
        }
    }
}

fn program_runs(sample: &mut Sample, sensor: Option<&Sensor>) {
    for (name, runs, nanos) in sensor.map(Sensor::program_runs).unwrap_or_default() {
        sample.counter(&format!("scap.{name}.run_cnt"), runs);
        sample.counter(&format!("scap.{name}.run_time_ns"), nanos);
        sample.gauge(&format!("scap.{name}.avg_time_ns"), Number::Count(nanos / runs.max(1)));
    }
}

/// `n_drops_buffer_open_exit` -> (`open`, `exit`).
fn drop_labels(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("n_drops_buffer_")?.rsplit_once('_')
}

/// Letters, digits, `_` and `:`; anything else becomes one `_`, none at the end.
fn sanitised(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    out.trim_end_matches('_').to_owned()
}

fn line(fields: Map<String, Value>, sample: u64) -> String {
    let mut pairs: Vec<_> = fields.into_iter().collect();
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
    let fields: Map<String, Value> = pairs.into_iter().collect();
    let mut object = Map::new();
    object.insert("output_fields".into(), Value::Object(fields));
    object.insert("sample".into(), json!(sample));
    sorted_line(object) + "\n"
}

/// A thread that appends lines to the metrics file.
fn writer(path: &Path, log: &Log) -> Sender<String> {
    let (lines, incoming) = bounded::<String>(16);
    let (path, log): (PathBuf, Log) = (path.to_owned(), log.clone());
    let write = move || {
        for line in incoming {
            let file = OpenOptions::new().append(true).create(true).open(&path);
            if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
                log.error(&format!("metrics file `{}`: {error}", path.display()));
            }
        }
    };
    // Without the thread the channel is closed and every snapshot is refused.
    let _ = std::thread::Builder::new().name("metrics-file".into()).spawn(write);
    lines
}

const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe() {
        assert_eq!(sanitised("Read sensitive file (untrusted)"), "Read_sensitive_file_untrusted");
        assert_eq!(drop_labels("n_drops_buffer_clone_fork_exit"), Some(("clone_fork", "exit")));
        assert_eq!(drop_labels("n_drops"), None);
    }
}
