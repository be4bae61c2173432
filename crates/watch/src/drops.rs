//! Watching for lost events: the sensor's totals come in once a second of event time, actions go out, limited by a token
//! bucket. Loss is counted by the sensor in any case; this only decides when to speak up.

use crate::config::Drops as DropsConfig;
use crate::internal::Internal;
use crate::judge::Judge;
use crate::log::Log;
use rules::Priority;

/// Totals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub events: u64,
    pub drops: u64,
}

/// What to do about loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// In the last second.
    pub lost: u64,
    /// Since the start.
    pub totals: Totals,
    pub log: bool,
    pub alert: bool,
    pub exit: bool,
}

impl Report {
    /// The alert about it, with the sensor's counters where there is a sensor.
    pub fn alert(&self, stats: Option<&sensor::Stats>) -> Internal {
        let rule = "Falco internal: syscall event drop";
        let text = format!("{rule}. {} system calls dropped in last second.", self.lost);
        let mut alert = Internal::new(rule, Priority::Debug, text)
            .field("ebpf_enabled", if stats.is_some() { "1" } else { "0" })
            .field("n_drops", self.totals.drops.to_string())
            .field("n_drops_page_faults", "0");
        for counter in sensor::Counter::ALL {
            alert = alert.field(counter.name(), stats.map_or(0, |stats| stats.total(counter)).to_string());
        }
        alert.field("n_evts", self.totals.events.to_string())
    }

    /// Does what is configured about it; true when the run has to end.
    pub fn act(&self, alert: &Internal, judge: &Judge, (ts, log): (u64, &Log)) -> bool {
        if self.log {
            log.debug(&alert.text);
        }
        if self.alert {
            judge.internal(alert, ts);
        }
        if self.exit {
            log.critical(&alert.text);
        }
        self.exit
    }
}

/// Compares totals every second.
#[derive(Debug, Clone)]
pub struct DropMonitor {
    config: DropsConfig,
    next_check: u64,
    last: Totals,
    tokens: f64,
    tokens_at: u64,
    simulated: u64,
    /// How often loss was over the threshold, and how often that led to actions.
    pub occurrences: u64,
    pub actions: u64,
}

impl DropMonitor {
    pub fn new(config: DropsConfig) -> Self {
        let tokens = config.max_burst;
        DropMonitor {
            config: effective(config),
            next_check: 0,
            last: Totals::default(),
            tokens,
            tokens_at: 0,
            simulated: 0,
            occurrences: 0,
            actions: 0,
        }
    }

    /// Goes on with other thresholds and actions; what was counted stays.
    pub fn reconfigure(&mut self, config: DropsConfig) {
        self.tokens = self.tokens.min(config.max_burst);
        self.config = effective(config);
    }

    /// Whether a second of event time has passed, so that [`check`](Self::check) wants totals.
    #[inline]
    pub fn is_due(&self, ts: u64) -> bool {
        ts >= self.next_check
    }

    /// Compares `totals` at event time `ts` with those of a second ago.
    pub fn check(&mut self, ts: u64, mut totals: Totals) -> Option<Report> {
        let is_first = self.next_check == 0;
        self.next_check = ts.saturating_add(SECOND);
        if self.config.simulate {
            self.simulated += 1;
            totals.drops += self.simulated;
        }
        let events = totals.events.saturating_sub(self.last.events);
        let lost = totals.drops.saturating_sub(self.last.drops);
        self.last = totals;
        if is_first {
            self.tokens_at = ts;
            return None;
        }
        let share = if events == 0 { f64::INFINITY } else { lost as f64 / events as f64 };
        if lost == 0 || share <= self.config.threshold {
            return None;
        }
        self.occurrences += 1;
        let acts = self.config.log || self.config.alert || self.config.exit;
        if !acts || !self.claim(ts) {
            return None;
        }
        self.actions += 1;
        Some(Report { lost, totals, log: self.config.log, alert: self.config.alert, exit: self.config.exit })
    }

    fn claim(&mut self, ts: u64) -> bool {
        let seconds = ts.saturating_sub(self.tokens_at) as f64 / SECOND as f64;
        self.tokens_at = ts;
        self.tokens = (self.tokens + seconds * self.config.rate).min(self.config.max_burst);
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }
}

/// Simulated drops are told however few they are.
fn effective(config: DropsConfig) -> DropsConfig {
    if config.simulate { DropsConfig { threshold: 0.0, ..config } } else { config }
}

/// Why a run ends whose configured action about loss is `exit`.
pub const DROP_MANAGER_ERROR: &str = "Drop manager internal error: events were lost and the configured action is exit";
const SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(threshold: f64, rate: f64) -> DropMonitor {
        let (log, alert) = (true, true);
        DropMonitor::new(DropsConfig { threshold, log, alert, exit: false, rate, max_burst: 1.0, simulate: false })
    }

    #[test]
    fn speaks_up_above_the_threshold_and_within_the_bucket() {
        let mut m = monitor(0.1, 0.5);
        let at = |second: u64| 1_000 * SECOND + second * SECOND;
        assert!(m.is_due(at(0)));
        assert_eq!(m.check(at(0), Totals { events: 0, drops: 0 }), None);
        assert!(!m.is_due(at(0) + 1));
        assert_eq!(m.check(at(1), Totals { events: 100, drops: 10 }), None, "at the threshold");
        let report = m.check(at(2), Totals { events: 200, drops: 30 });
        assert_eq!(report.map(|r| r.lost), Some(20));
        assert_eq!(m.check(at(3), Totals { events: 300, drops: 60 }), None, "bucket is empty");
        assert!(m.check(at(4), Totals { events: 400, drops: 90 }).is_some(), "half a token a second");
        assert_eq!((m.occurrences, m.actions), (3, 2));
    }
}
