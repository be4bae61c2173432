//! What a stream of events consisted of: events come in one by one, a table of kinds, processes and rules goes out at the
//! end. Counting by kind is one addition; processes are counted by name and bounded.

use crate::stats::Stats;
use engine::Engine;
use event::{Event, Kind};
use rules::RuleSet;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Counts for `--summary`.
#[derive(Debug, Default)]
pub struct Summary {
    kinds: Vec<u64>,
    processes: HashMap<Vec<u8>, u64>,
    /// Events of processes that found no room above.
    others: u64,
    first_ts: u64,
    last_ts: u64,
    events: u64,
}

impl Summary {
    /// Counts `event`, after the engine took it.
    pub fn event(&mut self, event: &Event<'_>, engine: &Engine) {
        let at = usize::from(event.kind.0);
        if self.kinds.len() <= at {
            self.kinds.resize(at + 1, 0);
        }
        if let Some(count) = self.kinds.get_mut(at) {
            *count += 1;
        }
        if self.events == 0 {
            self.first_ts = event.ts;
        }
        self.events += 1;
        self.last_ts = self.last_ts.max(event.ts);
        let comm = engine.state().thread(event.tid).map_or(&b"?"[..], |thread| &thread.comm);
        let has_room = self.processes.len() < MAX_PROCESSES;
        match self.processes.get_mut(comm) {
            Some(count) => *count += 1,
            None if has_room => {
                self.processes.insert(comm.to_vec(), 1);
            }
            None => self.others += 1,
        }
    }

    /// The text of `--summary`.
    pub fn text(&self, stats: &Stats, rules: &RuleSet) -> String {
        let seconds = self.last_ts.saturating_sub(self.first_ts) as f64 / 1e9;
        let mut text = format!("{} events within {seconds:.1} s\n\nEvents by type\n", self.events);
        table(&mut text, self.by_name(), self.events, usize::MAX);
        text.push_str("\nEvents by process\n");
        let mut processes: Vec<(String, u64)> =
            self.processes.iter().map(|(comm, count)| (String::from_utf8_lossy(comm).into_owned(), *count)).collect();
        if self.others > 0 {
            processes.push(("(others)".into(), self.others));
        }
        table(&mut text, processes, self.events, TOP);
        text.push_str("\nAlerts by rule\n");
        let alerts = rules.rules().iter().map(|rule| (rule.name.clone(), stats.of(rule.id))).filter(|(_, n)| *n > 0);
        table(&mut text, alerts.collect(), stats.total(), usize::MAX);
        text
    }

    fn by_name(&self) -> Vec<(String, u64)> {
        let mut names: HashMap<&str, u64> = HashMap::new();
        for (at, count) in self.kinds.iter().enumerate().filter(|(_, count)| **count > 0) {
            let kind = Kind(u16::try_from(at).unwrap_or(u16::MAX));
            *names.entry(kind.info().map_or("?", |info| info.name)).or_default() += count;
        }
        names.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
    }
}

/// The `top` largest rows, each with its share and a bar.
fn table(text: &mut String, mut rows: Vec<(String, u64)>, total: u64, top: usize) {
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let left_out = rows.len().saturating_sub(top);
    rows.truncate(top);
    let most = rows.first().map_or(1, |row| row.1).max(1);
    let width = rows.iter().map(|row| row.0.chars().count()).max().unwrap_or(0).min(50);
    for (name, count) in &rows {
        let bar = "█".repeat(usize::try_from(count * BAR_CELLS / most).unwrap_or(0));
        let share = *count as f64 * 100.0 / total.max(1) as f64;
        let _ = writeln!(text, "  {name:width$} {count:>10} {share:5.1} % {bar}");
    }
    if rows.is_empty() {
        text.push_str("  none\n");
    }
    if left_out > 0 {
        let _ = writeln!(text, "  and {left_out} more");
    }
}

const MAX_PROCESSES: usize = 10_000;
const TOP: usize = 20;
const BAR_CELLS: u64 = 30;
