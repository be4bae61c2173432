//! Writing events to capture files: everything (`--record`), or from the moment a rule matches until its time is over.
//! Events come in as they were judged, capture files go out. A recording that fails says so once and stops; watching goes
//! on without it, and what is left of the file is a capture or nothing.

use crate::config::Capture as CaptureConfig;
use crate::internal::Internal;
use crate::log::Log;
use capture::{Compression, Writer};
use engine::Engine;
use engine::state::Str;
use event::snapshot::Snapshot;
use event::{Event, Kind};
use rules::{Priority, RuleId, RuleSet};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// All events into one file.
pub struct Recorder {
    path: PathBuf,
    writer: Option<Writer<File>>,
    pub events: u64,
    /// Events that no capture block can hold.
    pub too_large: u64,
    settled: Instant,
    described: Described,
}

impl Recorder {
    /// Creates `path`, compressed when it ends in `.gz`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(path: &Path, snapshot: &Snapshot) -> Result<Recorder, String> {
        let compression = match path.extension() {
            Some(extension) if extension == "gz" => Compression::Gzip,
            _ => Compression::Plain,
        };
        let writer = create(path, compression, snapshot)?;
        let (path, settled) = (path.to_owned(), Instant::now());
        let described = Described::default();
        Ok(Recorder { path, writer: Some(writer), events: 0, too_large: 0, settled, described })
    }

    /// Appends an event that was judged live, after what is known about its container.
    pub fn live_event(&mut self, event: &Event<'_>, engine: &Engine, log: &Log) {
        if let Some(description) = self.described.lacking(engine, event.ts)
            && let Ok(description) = Event::decode(&description, event.cpu)
        {
            self.event(&description, true, log);
        }
        self.event(event, false, log);
    }

    /// Appends one event.
    pub fn event(&mut self, event: &Event<'_>, state_only: bool, log: &Log) {
        let Some(writer) = &mut self.writer else { return };
        match writer.event(event, state_only) {
            Ok(()) => self.events += 1,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.too_large += 1,
            Err(error) => self.give_up(&error, log),
        }
    }

    /// Once a second: what was recorded so far survives a crash.
    pub fn settle(&mut self, now: Instant, log: &Log) {
        if now.duration_since(self.settled) < SETTLE_EVERY {
            return;
        }
        self.settled = now;
        self.settle_now(log);
    }

    fn settle_now(&mut self, log: &Log) {
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.settle()
        {
            self.give_up(&error, log);
        }
    }

    /// A new section: a capture that is being replayed started anew.
    pub fn section(&mut self, snapshot: &Snapshot, log: &Log) {
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.settle().and_then(|()| writer.section(snapshot))
        {
            self.give_up(&error, log);
        }
    }

    /// Completes the file.
    pub fn finish(mut self, log: &Log) {
        if self.too_large > 0 {
            log.warning(&format!(
                "recording `{}`: {} events are missing: too large for a capture",
                self.path.display(),
                self.too_large
            ));
        }
        self.settle_now(log);
        if self.writer.is_some() {
            log.info(&format!("Recorded {} events to {}", self.events, self.path.display()));
        }
    }

    fn give_up(&mut self, error: &io::Error, log: &Log) {
        if let Some(writer) = self.writer.take() {
            log.error(&salvage(&self.path, writer, error));
        }
    }
}

/// The containers that a capture describes.
#[derive(Default)]
struct Described(HashSet<Str>);

impl Described {
    /// The event that describes the container of the last event, when the capture lacks it.
    fn lacking(&mut self, engine: &Engine, ts: u64) -> Option<Vec<u8>> {
        let (id, container) = engine.described_container()?;
        if !self.0.insert(Str::clone(id)) {
            return None;
        }
        let json = format!("{}\0", engine::container_json(container));
        let mut bytes = Vec::new();
        let params: [&[u8]; 3] = [&NO_PLUGIN, b"container\0", json.as_bytes()];
        event::wire::encode(&mut bytes, ts, -1, Kind::ASYNCEVENT_E, &params);
        Some(bytes)
    }
}

/// A new capture at `path`; nothing is left there when it cannot be begun.
fn create(path: &Path, compression: Compression, snapshot: &Snapshot) -> Result<Writer<File>, String> {
    let wrong = |error: &io::Error| format!("recording `{}`: {error}", path.display());
    let file = File::create(path).map_err(|error| wrong(&error))?;
    Writer::new(file, compression, snapshot).map_err(|error| {
        remove(path);
        wrong(&error)
    })
}

/// Cuts the file at `path`, whose writing failed, to the capture that is whole, and tells what is left.
fn salvage(path: &Path, writer: Writer<File>, error: &io::Error) -> String {
    let whole = writer.whole();
    drop(writer);
    let cut = || File::options().write(true).open(path).and_then(|file| file.set_len(whole.bytes));
    let left = match whole.events {
        0 => {
            remove(path);
            "nothing was kept".to_owned()
        }
        events => match cut() {
            Ok(()) => format!("the first {events} events are kept, the file is complete with them"),
            Err(error) => format!("the first {events} events are whole, but not what follows them: {error}"),
        },
    };
    format!("recording `{}`: {error}: recording ended, {left}", path.display())
}

/// Only files: a device or a pipe is not ours.
fn remove(path: &Path) {
    if path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
        // It is empty or of no use; one that stays says so to every reader.
        let _ = std::fs::remove_file(path);
    }
}

/// Recordings that rules start.
pub struct Triggered {
    config: CaptureConfig,
    open: Option<Open>,
    /// Recordings that could not be begun.
    failed: u64,
}

struct Open {
    writer: Writer<File>,
    path: PathBuf,
    deadline: u64,
    described: Described,
}

impl Triggered {
    pub fn new(config: CaptureConfig) -> Option<Self> {
        config.enabled.then_some(Triggered { config, open: None, failed: 0 })
    }

    /// Starts or prolongs a recording when `matched` asks for it, and appends `event` to the open one. Returns the alert
    /// about a full file.
    pub fn event(
        &mut self,
        event: &Event<'_>,
        matched: &[RuleId],
        rules: &RuleSet,
        engine: &Engine,
        log: &Log,
    ) -> Option<Internal> {
        if let Some(duration_ms) = self.asked_for(matched, rules) {
            let deadline = event.ts.saturating_add(u64::from(duration_ms) * NS_PER_MS);
            match &mut self.open {
                Some(open) => open.deadline = open.deadline.max(deadline),
                None => self.begin(event.ts, deadline, engine, log),
            }
        }
        if self.open.as_ref().is_some_and(|open| event.ts > open.deadline) {
            self.finish(log);
        }
        self.describe(event, engine);
        self.append(event, log)
    }

    /// Completes the open recording, and tells how many there should be besides.
    pub fn end(mut self, log: &Log) {
        self.finish(log);
        if self.failed > 0 {
            log.warning(&format!("{} recordings that rules asked for could not be begun", self.failed));
        }
    }

    /// Completes the open recording; returns its size.
    fn finish(&mut self, log: &Log) -> u64 {
        let Some(mut open) = self.open.take() else { return 0 };
        match open.writer.settle() {
            Ok(()) => open.writer.whole().bytes,
            Err(error) => {
                let kept = open.writer.whole().bytes;
                log.error(&salvage(&open.path, open.writer, &error));
                kept
            }
        }
    }

    /// The longest duration that a matched rule asks for.
    fn asked_for(&self, matched: &[RuleId], rules: &RuleSet) -> Option<u32> {
        let wanted = matched.iter().filter_map(|id| rules.rule(*id)).filter(|r| r.capture || self.config.all_rules);
        wanted
            .map(|r| if r.capture_duration_ms == 0 { self.config.default_duration_ms } else { r.capture_duration_ms })
            .max()
    }

    fn begin(&mut self, ts: u64, deadline: u64, engine: &Engine, log: &Log) {
        let path = PathBuf::from(format!("{}_{ts:020}_{:020}.scap", self.config.path_prefix, engine.events()));
        let snapshot = engine.state().snapshot();
        match create(&path, Compression::Gzip, &snapshot) {
            Ok(writer) => self.open = Some(Open { writer, path, deadline, described: Described::default() }),
            Err(error) => {
                self.failed += 1;
                if self.failed == 1 {
                    log.error(&format!("{error} (capture.path_prefix; further failures are counted)"));
                }
            }
        }
    }

    /// A description that cannot be written is no loss that the event itself would not show.
    fn describe(&mut self, event: &Event<'_>, engine: &Engine) {
        if let Some(open) = &mut self.open
            && let Some(description) = open.described.lacking(engine, event.ts)
            && let Ok(description) = Event::decode(&description, event.cpu)
        {
            let _ = open.writer.event(&description, true);
        }
    }

    fn append(&mut self, event: &Event<'_>, log: &Log) -> Option<Internal> {
        let open = self.open.as_mut()?;
        if let Err(error) = open.writer.event(event, false)
            && error.kind() != io::ErrorKind::InvalidInput
        {
            if let Some(open) = self.open.take() {
                log.error(&salvage(&open.path, open.writer, &error));
            }
            return None;
        }
        let limit = self.config.max_file_size_mb.saturating_mul(MIB);
        if limit == 0 || open.writer.output_bytes() < limit {
            return None;
        }
        Some(full(self.config.max_file_size_mb, self.finish(log)))
    }
}

fn full(max_mb: u64, written: u64) -> Internal {
    let rule = "Falco internal: capture size limit reached";
    Internal::new(rule, Priority::Informational, rule).field("max_file_size_mb", max_mb).field("written_bytes", written)
}

const SETTLE_EVERY: Duration = Duration::from_secs(1);
/// Id of a plugin that sources nothing.
const NO_PLUGIN: [u8; 4] = [0; 4];
const NS_PER_MS: u64 = 1_000_000;
const MIB: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Log as Level;
    use capture::{Item, Reader};
    use engine::ProcSource;
    use engine::state::ContainerInfo;
    use event::snapshot::Proc;

    struct Docker;

    impl ProcSource for Docker {
        fn process(&mut self, _: i64) -> Option<Proc> {
            None
        }

        fn is_alive(&mut self, _: i64) -> bool {
            true
        }

        fn container(&mut self, _: i64, _: &[u8]) -> Option<ContainerInfo> {
            Some(ContainerInfo { name: "web".to_owned(), ..ContainerInfo::default() })
        }
    }

    #[test]
    fn a_recording_describes_the_containers_in_it_once() {
        let process = Proc { tid: 7, pid: 7, cgroups: b"cpu=/default/web\0".to_vec(), ..Proc::default() };
        let snapshot = Snapshot { procs: vec![process], ..Snapshot::default() };
        let mut engine = Engine::default();
        engine.seed(snapshot.clone());
        engine.set_proc_source(Box::new(Docker));
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.scap");
        let quiet = Level { stderr: false, syslog: false, level: Priority::Error, sensor: None };
        let log = Log::new(quiet, false, "test", Path::new("/dev/null"));
        let mut recorder = Recorder::create(&path, &snapshot).expect("begun");
        let mut bytes = Vec::new();
        let params: [&[u8]; 2] = [&0i64.to_le_bytes(), &3i64.to_le_bytes()];
        event::wire::encode(&mut bytes, 5, 7, Kind::SYSCALL_CLOSE_X, &params);
        let close = Event::decode(&bytes, 0).expect("an event");
        for _ in 0..2 {
            engine.begin(&close);
            recorder.live_event(&close, &engine, &log);
        }
        recorder.finish(&log);

        let mut reader = Reader::open(File::open(&path).expect("the capture")).expect("a capture");
        let mut replayed = Engine::default();
        replayed.seed(reader.take_snapshot());
        let mut seen = Vec::new();
        while let Some(item) = reader.next().expect("a good capture") {
            if let Item::Event(record) = item {
                replayed.begin(&record.event);
                seen.push((record.event.kind, record.state_only));
            }
        }
        let expect = [(Kind::ASYNCEVENT_E, true), (Kind::SYSCALL_CLOSE_X, false), (Kind::SYSCALL_CLOSE_X, false)];
        assert_eq!(seen, expect);
        let name = replayed.described_container().and_then(|(_, c)| Some(c.info.as_ref()?.name.clone()));
        assert_eq!(name.as_deref(), Some("web"));
    }
}
