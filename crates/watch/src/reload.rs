//! Fresh rules and configuration without a restart: changes of files and requests come in, compiled rules that the event
//! loop only has to put in place go out. Reading and compiling happen on a thread of their own; what does not load is
//! reported and the old rules stay. Process and file state is never touched.

use crate::blindness::Needs;
use crate::config::Config;
use crate::judge::Verdict;
use crate::log::Log;
use crate::metrics::Facts;
use crate::options::Options;
use crate::outputs::{Outputs, Setup};
use crate::prepare::{configure, prepare, watched_paths};
use crate::replay::wants_colour;
use crate::syscalls;
use crossbeam_channel::{Receiver, Sender, unbounded};
use event::Sc;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// What the reloading thread found.
pub enum News {
    Ready(Box<Fresh>),
    Failed(String),
}

/// Everything a reload replaces, ready to be put in place.
pub struct Fresh {
    pub verdict: Verdict,
    pub config: Config,
    pub selected: BTreeSet<Sc>,
    pub needs: Needs,
    pub facts: Facts,
    /// `None` = outputs did not change.
    pub outputs: Option<Outputs>,
    /// Reading and compiling, beside what runs.
    pub prepared_within: Duration,
}

/// The event loop's side of the reloading thread.
pub struct Reloader {
    shared: Arc<Shared>,
    news: Receiver<News>,
    /// What was replaced goes back to the other thread, so that freeing it does not hold up events.
    retired: Sender<Retired>,
    /// Losses of replaced outputs that no log shows.
    unseen: Arc<Mutex<Vec<String>>>,
}

/// What was in force before.
pub struct Retired {
    pub verdict: Verdict,
    pub outputs: Option<Outputs>,
}

#[derive(Default)]
struct Shared {
    requested: AtomicBool,
    has_news: AtomicBool,
    stop: AtomicBool,
}

impl Reloader {
    /// Starts the thread that watches `files` and `directories` (when configured) and waits for requests.
    pub fn start(watched: Watched, options: &Options, log: &Log) -> Reloader {
        let shared = Arc::new(Shared::default());
        let ((news_in, news), (retired, retired_out)) = (unbounded(), unbounded());
        let unseen = Arc::new(Mutex::new(Vec::new()));
        let work = Work {
            shared: shared.clone(),
            unseen: unseen.clone(),
            news: news_in,
            retired: retired_out,
            watched,
            options: options.clone(),
            log: log.clone(),
            missing: Vec::new(),
        };
        if let Err(error) = std::thread::Builder::new().name("reload".into()).spawn(move || work.run()) {
            log.error(&format!("reload thread: {error}: rules cannot be reloaded"));
        }
        Reloader { shared, news, retired, unseen }
    }

    /// Asks for a reload.
    pub fn request(&self) {
        self.shared.requested.store(true, Ordering::Release);
    }

    /// What the thread found since the last call.
    #[inline]
    pub fn news(&self) -> Option<News> {
        if !self.shared.has_news.load(Ordering::Acquire) {
            return None;
        }
        let news = self.news.try_recv().ok();
        if self.news.is_empty() {
            self.shared.has_news.store(false, Ordering::Release);
        }
        news
    }

    /// Hands back what was replaced.
    pub fn retire(&self, old: Retired) {
        // Without the thread it is freed here.
        let _ = self.retired.send(old);
    }

    /// What outputs that were replaced lost, as far as no log shows it.
    pub fn unseen_losses(&self) -> Vec<String> {
        std::mem::take(&mut *self.unseen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

/// What a change of means a reload, and what the outputs were made from.
#[derive(Debug, Clone)]
pub struct Watched {
    pub files: Vec<PathBuf>,
    pub directories: Vec<PathBuf>,
    /// `watch_config_files`
    pub enabled: bool,
    read_at: SystemTime,
    outputs: String,
    fixed: String,
}

impl Watched {
    pub fn of(prepared: &crate::prepare::Prepared) -> Watched {
        let (files, directories) = watched_paths(prepared);
        Watched {
            files,
            directories,
            enabled: prepared.config.watch_files,
            read_at: prepared.read_at,
            outputs: output_key(&prepared.config),
            fixed: fixed_key(&prepared.config),
        }
    }
}

/// Equal for configurations whose outputs are the same.
fn output_key(config: &Config) -> String {
    format!(
        "{:?}",
        (
            (config.stdout, config.syslog, &config.syslog_socket, &config.file, &config.program, &config.http),
            (config.queue_capacity, config.buffered, config.output_timeout_ms, config.style.json),
        )
    )
}

/// Equal for configurations that differ only in what a reload can change.
fn fixed_key(config: &Config) -> String {
    format!("{:?}", (&config.web, config.sensor, config.snaplen, config.threads, config.kind))
}

struct Work {
    shared: Arc<Shared>,
    news: Sender<News>,
    retired: Receiver<Retired>,
    watched: Watched,
    options: Options,
    log: Log,
    unseen: Arc<Mutex<Vec<String>>>,
    /// Files that were not there when the watches were set.
    missing: Vec<PathBuf>,
}

impl Work {
    fn run(mut self) {
        let mut inotify = self.watch_files();
        let mut changed = (self.watched.enabled && self.changed_unseen()).then(Instant::now);
        while !self.shared.stop.load(Ordering::Acquire) {
            std::thread::sleep(TICK);
            self.free_retired();
            if inotify.as_ref().is_some_and(has_events) || self.missing.iter().any(|path| path.exists()) {
                self.missing.clear();
                changed = Some(Instant::now());
            }
            let is_quiet = changed.is_some_and(|at| at.elapsed() >= QUIET);
            if self.shared.requested.swap(false, Ordering::AcqRel) || is_quiet {
                changed = None;
                self.reload();
                // Editors replace files, so the watches have to be set on the new ones.
                inotify = self.watch_files();
            }
        }
    }

    /// Files that changed after they were read and before they were watched.
    fn changed_unseen(&self) -> bool {
        let modified = |path: &PathBuf| std::fs::metadata(path).and_then(|metadata| metadata.modified());
        self.watched.files.iter().any(|file| modified(file).map_or(true, |at| at > self.watched.read_at))
    }

    fn reload(&mut self) {
        let news = match self.fresh() {
            Ok(fresh) => News::Ready(Box::new(fresh)),
            Err(text) => News::Failed(text),
        };
        if self.news.send(news).is_ok() {
            self.shared.has_news.store(true, Ordering::Release);
        }
    }

    fn fresh(&mut self) -> Result<Fresh, String> {
        let begun = Instant::now();
        let config = configure(&self.options).map_err(|e| e.to_string())?;
        let prepared = prepare(&self.options, config, &self.log).map_err(|e| e.to_string())?;
        let watched = Watched::of(&prepared);
        let outputs = (watched.outputs != self.watched.outputs).then(|| {
            let colour = wants_colour(&prepared.config);
            let setup = Setup { ident: "falco", lossless: false, colour };
            Outputs::start(&prepared.config, setup, &self.log)
        });
        let outputs = outputs.transpose().map_err(|e| e.to_string())?;
        if watched.fixed != self.watched.fixed {
            self.log.warning("changes of engine, falco_libs and webserver take effect with the next start");
        }
        // Compared with what runs, not with what was read last.
        self.watched = Watched { fixed: std::mem::take(&mut self.watched.fixed), ..watched };
        let selection = syscalls::select(prepared.program.needed_syscalls(), &prepared.config.syscalls);
        Ok(Fresh {
            verdict: Verdict::new(&prepared),
            selected: selection.selected,
            needs: Needs::of(&prepared),
            facts: Facts::of(&prepared),
            outputs,
            prepared_within: begun.elapsed(),
            config: prepared.config,
        })
    }

    fn free_retired(&self) {
        while let Ok(old) = self.retired.try_recv() {
            if let Some(outputs) = old.outputs {
                let losses = outputs.finish(FINISH_PATIENCE);
                self.unseen.lock().unwrap_or_else(PoisonError::into_inner).extend(losses);
            }
            drop(old.verdict);
        }
    }

    fn watch_files(&mut self) -> Option<Inotify> {
        self.missing.clear();
        if !self.watched.enabled {
            return None;
        }
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        let inotify = inotify.map_err(|e| self.log.warning(&format!("watch files: {}", e.desc()))).ok()?;
        let on_file = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_DELETE_SELF;
        let on_directory = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVE;
        let files = self.watched.files.iter().map(|file| (file, on_file));
        for (path, flags) in files.chain(self.watched.directories.iter().map(|directory| (directory, on_directory))) {
            if let Err(error) = inotify.add_watch(path, flags) {
                self.missing.push(path.clone());
                self.log.warning(&format!("watch `{}` for changes: {}", path.display(), error.desc()));
            }
        }
        Some(inotify)
    }
}

fn has_events(inotify: &Inotify) -> bool {
    // Removing a watch is reported too and is no change.
    let is_change = |mask: AddWatchFlags| !mask.contains(AddWatchFlags::IN_IGNORED);
    inotify.read_events().is_ok_and(|events| events.iter().any(|event| is_change(event.mask)))
}

/// How often requests and changes are looked for.
const TICK: Duration = Duration::from_millis(20);
/// Silence after a change, so that a series of writes is one reload.
const QUIET: Duration = Duration::from_millis(100);
const FINISH_PATIENCE: Duration = Duration::from_secs(5);
