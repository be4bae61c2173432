//! For the terminal: a table of files with their figures, and sources with counts beside them. Plain text; colour is up to
//! the caller, who gets the kind of each line.

use super::summary::{Ratio, Summary};
use super::{FileReport, Report};
use std::fmt::Write as _;

/// One row per file and a total, columns aligned.
pub fn table(report: &Report) -> String {
    let mut rows: Vec<(String, Summary)> =
        report.files.iter().map(|(path, file)| (path.to_string(), Summary::of_file(file))).collect();
    rows.push(("TOTAL".into(), Summary::of(report)));
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max("FILE".len());
    let mut out = format!("{:width$}", "FILE");
    let total = Summary::of(report);
    for (heading, _) in total.columns(&total) {
        let _ = write!(out, "  {:>20}", heading.to_uppercase());
    }
    out.push('\n');
    for (name, summary) in rows {
        let _ = write!(out, "{name:width$}");
        for (_, ratio) in summary.columns(&total) {
            let _ = write!(out, "  {:>20}", cell(ratio));
        }
        out.push('\n');
    }
    for left_out in &report.unmeasured {
        let _ = writeln!(out, "not measured: `{}` ({})", left_out.function, left_out.reason);
    }
    out
}

fn cell(ratio: Ratio) -> String {
    ratio.percent().map_or_else(|| "-".into(), |p| format!("{p:.1}% ({}/{})", ratio.covered, ratio.total))
}

/// What a line of [`listing`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    Plain,
    Ran,
    Missed,
}

/// Number, count and text of every source line.
pub fn listing<'a>(file: &'a FileReport, source: &'a str) -> impl Iterator<Item = (LineKind, String)> + 'a {
    (1u32..).zip(source.lines()).map(|(number, text)| {
        let count = file.lines.get(&number);
        let kind = match count {
            None => LineKind::Plain,
            Some(0) => LineKind::Missed,
            Some(_) => LineKind::Ran,
        };
        let shown = count.map_or_else(String::new, u64::to_string);
        (kind, format!("{number:>5} |{shown:>12} | {text}"))
    })
}
