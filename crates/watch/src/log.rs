//! Messages about the run itself: a severity and a text come in, one line goes to standard error, syslog or both. A log
//! that cannot be written is no reason to stop, so failures end here. Alerts never come this way.

use crate::config::Log as LogConfig;
use crate::syslog::{Syslog, severity};
use jiff::Zoned;
use rules::Priority;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};

/// The level that shows errors and worse only.
pub const ERROR: Priority = Priority::Error;

/// Where messages go. Cheap to clone; shared by all threads.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

/// Something drawn on the terminal, which has to step aside while lines are written there.
pub trait Screen: Send + Sync {
    fn aside(&self, write: &mut dyn FnMut());
}

struct Inner {
    settings: RwLock<Settings>,
    colour: bool,
    screen: OnceLock<Box<dyn Screen>>,
}

/// What a reload may change.
struct Settings {
    config: LogConfig,
    iso_time: bool,
    syslog: Option<Mutex<Syslog>>,
}

impl Log {
    pub fn new(config: LogConfig, iso_time: bool, ident: &str, socket: &Path) -> Self {
        let settings = RwLock::new(Settings::new(config, iso_time, ident, socket));
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Log(Arc::new(Inner { settings, colour, screen: OnceLock::new() }))
    }

    /// Goes on with other settings.
    pub fn reconfigure(&self, config: LogConfig, iso_time: bool, ident: &str, socket: &Path) {
        let settings = Settings::new(config, iso_time, ident, socket);
        *self.0.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// From now on `screen` steps aside for every line. Only the first screen counts.
    pub fn share(&self, screen: Box<dyn Screen>) {
        let _ = self.0.screen.set(screen);
    }

    /// Runs `write`, which writes to the terminal, with whatever is drawn there out of the way.
    pub fn aside(&self, write: &mut dyn FnMut()) {
        match self.0.screen.get() {
            Some(screen) => screen.aside(write),
            None => write(),
        }
    }

    /// Whether messages of `priority` reach standard error.
    pub fn shows(&self, priority: Priority) -> bool {
        let config = self.settings().config;
        config.stderr && priority <= config.level
    }

    pub fn info(&self, text: &str) {
        self.write(Priority::Informational, text);
    }

    pub fn warning(&self, text: &str) {
        self.write(Priority::Warning, text);
    }

    pub fn error(&self, text: &str) {
        self.write(Priority::Error, text);
    }

    pub fn critical(&self, text: &str) {
        self.write(Priority::Critical, text);
    }

    pub fn debug(&self, text: &str) {
        self.write(Priority::Debug, text);
    }

    /// A message of the sensor or another part below the daemon.
    pub fn sensor(&self, priority: Priority, text: &str) {
        let least = self.settings().config.sensor;
        if least.is_some_and(|least| priority <= least) {
            self.write(priority, &format!("[libs]: {text}"));
        }
    }

    fn write(&self, priority: Priority, text: &str) {
        let settings = self.settings();
        if priority > settings.config.level {
            return;
        }
        let text = &crate::without_numbers(text);
        if let Some(syslog) = &settings.syslog
            && let Ok(mut syslog) = syslog.lock()
        {
            // There is nowhere left to report a log that does not work.
            let _ = syslog.send(severity(priority), text);
        }
        if settings.config.stderr {
            self.to_stderr(priority, text, settings.iso_time);
        }
    }

    fn to_stderr(&self, priority: Priority, text: &str, iso_time: bool) {
        let now = Zoned::now();
        let format = if iso_time { "%Y-%m-%dT%H:%M:%S%z" } else { "%a %b %e %H:%M:%S %Y" };
        let (on, off) = match priority {
            p if !self.0.colour || p > Priority::Warning => ("", ""),
            Priority::Warning => ("\u{1b}[33m", "\u{1b}[0m"),
            _ => ("\u{1b}[31m", "\u{1b}[0m"),
        };
        let line = format!("{}: {on}{text}{off}\n", now.strftime(format));
        self.aside(&mut || {
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        });
    }

    fn settings(&self) -> RwLockReadGuard<'_, Settings> {
        self.0.settings.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settings {
    fn new(config: LogConfig, iso_time: bool, ident: &str, socket: &Path) -> Self {
        let syslog = config.syslog.then(|| Mutex::new(Syslog::new(ident, socket)));
        Settings { config, iso_time, syslog }
    }
}
