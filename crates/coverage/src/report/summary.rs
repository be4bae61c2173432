//! Totals of a file or of everything: functions, lines, regions, branches. A ratio of nothing is not 100 %: it is absent.

use super::{FileReport, Report};
use std::ops::AddAssign;

/// How many there are and how many of them ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ratio {
    pub covered: u64,
    pub total: u64,
}

impl Ratio {
    /// Percentage from 0 to 100; `None` when there is nothing to cover.
    pub fn percent(self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts of source lines are far below 2^52")]
        (self.total > 0).then(|| self.covered as f64 * 100.0 / self.total as f64)
    }
}

impl AddAssign for Ratio {
    fn add_assign(&mut self, other: Ratio) {
        self.covered += other.covered;
        self.total += other.total;
    }
}

/// The figures of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub functions: Ratio,
    pub lines: Ratio,
    pub regions: Ratio,
    pub branches: Ratio,
    /// Conditions that were shown to decide on their own, of all in decisions (MC/DC).
    pub conditions: Ratio,
}

impl Summary {
    pub fn of_file(file: &FileReport) -> Summary {
        let ratio = |covered: usize, total: usize| Ratio { covered: covered as u64, total: total as u64 };
        let live = || file.branches.iter().filter(|b| !b.folded);
        let sides = live().map(|b| usize::from(b.taken > 0) + usize::from(b.not_taken > 0)).sum();
        let conditions = || file.decisions.iter().flat_map(|d| &d.conditions);
        let regions = |f: fn(&super::FunctionReport) -> u32| file.functions.iter().map(|x| u64::from(f(x))).sum();
        Summary {
            functions: ratio(file.functions.iter().filter(|f| f.entries > 0).count(), file.functions.len()),
            lines: ratio(file.lines.values().filter(|c| **c > 0).count(), file.lines.len()),
            regions: Ratio { covered: regions(|f| f.regions_run), total: regions(|f| f.regions) },
            branches: ratio(sides, live().count() * 2),
            conditions: ratio(conditions().filter(|c| c.2).count(), conditions().count()),
        }
    }

    pub fn of(report: &Report) -> Summary {
        let mut sum = Summary::default();
        for file in report.files.values() {
            sum += Summary::of_file(file);
        }
        sum
    }

    /// The figures with their names, in the order in which reports show them.
    pub fn named(&self) -> [(&'static str, Ratio); 5] {
        [
            ("functions", self.functions),
            ("lines", self.lines),
            ("regions", self.regions),
            ("branches", self.branches),
            ("conditions", self.conditions),
        ]
    }

    /// The figures worth a column beside those of `total`: conditions only where there are any.
    pub fn columns(&self, total: &Summary) -> impl Iterator<Item = (&'static str, Ratio)> {
        let all = if total.conditions.total > 0 { 5 } else { 4 };
        self.named().into_iter().take(all)
    }
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Summary) {
        self.functions += other.functions;
        self.lines += other.lines;
        self.regions += other.regions;
        self.branches += other.branches;
        self.conditions += other.conditions;
    }
}
