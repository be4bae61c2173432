//! Messages about the run itself: a severity and a text come in, one line goes to standard error, syslog or both. A log
//! that cannot be written is no reason to stop, so failures end here. Alerts never come this way.

use crate::config::Log as LogConfig;
use crate::syslog::{Syslog, severity};
use jiff::Zoned;
use rules::Priority;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The level that shows errors and worse only.
pub const ERROR: Priority = Priority::Error;

/// Where messages go. Cheap to clone; shared by all threads.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    config: LogConfig,
    iso_time: bool,
    colour: bool,
    syslog: Option<Mutex<Syslog>>,
}

impl Log {
    pub fn new(config: LogConfig, iso_time: bool, ident: &str, socket: &Path) -> Self {
        let syslog = config.syslog.then(|| Mutex::new(Syslog::new(ident, socket)));
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Log(Arc::new(Inner { config, iso_time, colour, syslog }))
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
        if self.0.config.sensor.is_some_and(|least| priority <= least) {
            self.write(priority, &format!("[libs]: {text}"));
        }
    }

    fn write(&self, priority: Priority, text: &str) {
        if priority > self.0.config.level {
            return;
        }
        let text = &crate::without_numbers(text);
        if let Some(syslog) = &self.0.syslog
            && let Ok(mut syslog) = syslog.lock()
        {
            // There is nowhere left to report a log that does not work.
            let _ = syslog.send(severity(priority), text);
        }
        if self.0.config.stderr {
            self.to_stderr(priority, text);
        }
    }

    fn to_stderr(&self, priority: Priority, text: &str) {
        let now = Zoned::now();
        let format = if self.0.iso_time { "%Y-%m-%dT%H:%M:%S%z" } else { "%a %b %e %H:%M:%S %Y" };
        let (on, off) = match priority {
            p if !self.0.colour || p > Priority::Warning => ("", ""),
            Priority::Warning => ("\u{1b}[33m", "\u{1b}[0m"),
            _ => ("\u{1b}[31m", "\u{1b}[0m"),
        };
        let line = format!("{}: {on}{text}{off}\n", now.strftime(format));
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}
