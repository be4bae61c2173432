//! Totals of a file or of everything: functions, lines, regions, branches. A ratio of nothing is not 100 %: it is absent.

use super::{FileReport, FunctionReport, Report, Use};
use crate::mapping::Position;
use std::collections::BTreeMap;
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
        let conditions = || file.decisions.iter().flat_map(|d| &d.conditions);
        let ran = |line: &&u32| file.lines.get(line).is_some_and(|count| *count > 0);
        // The same function of a header, compiled into several objects, is one function.
        let functions = || file.functions.chunk_by(|a, b| a.start == b.start);
        let most = |f: fn(&FunctionReport) -> u32| {
            functions().map(|copies| u64::from(copies.iter().map(f).max().unwrap_or(0))).sum()
        };
        Summary {
            functions: ratio(functions().filter(|c| c.iter().any(|f| f.entries > 0)).count(), functions().count()),
            lines: ratio(file.own_lines.iter().filter(ran).count(), file.own_lines.len()),
            regions: Ratio { covered: most(|f| f.regions_run), total: most(|f| f.regions) },
            branches: branches(&file.uses),
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

/// Of functions that begin in one place (copies of a header's function, products of a macro) the one that ran most counts.
fn branches(uses: &[Use]) -> Ratio {
    let mut functions: BTreeMap<(Position, &str), Ratio> = BTreeMap::new();
    for Use { function: (start, name), branch, .. } in uses.iter().filter(|u| !u.branch.folded) {
        let sides = Ratio { covered: branch.sides_run() as u64, total: 2 };
        *functions.entry((*start, name)).or_default() += sides;
    }
    let mut places: BTreeMap<Position, Ratio> = BTreeMap::new();
    for ((start, _), ratio) in functions {
        let most = places.entry(start).or_default();
        *most = Ratio { covered: most.covered.max(ratio.covered), total: most.total.max(ratio.total) };
    }
    let mut sum = Ratio::default();
    places.into_values().for_each(|ratio| sum += ratio);
    sum
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
