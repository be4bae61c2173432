//! LCOV tracefiles: one record per source file with functions, branches and lines, as `genhtml` and CI services read them.

use super::summary::{Ratio, Summary};
use super::{FileReport, Report};
use std::fmt::Write as _;

/// Renders the report as an LCOV tracefile. What was not measured is in no record; comments name it.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    for left_out in &report.unmeasured {
        let _ = writeln!(out, "# not measured: {} ({})", left_out.function, left_out.reason);
    }
    for (path, file) in &report.files {
        let _ = writeln!(out, "SF:{path}");
        let figures = Summary::of_file(file);
        functions(&mut out, file);
        found_and_hit(&mut out, "FN", figures.functions);
        for (line, count) in &file.lines {
            let _ = writeln!(out, "DA:{line},{count}");
        }
        branches(&mut out, file);
        found_and_hit(&mut out, "BR", figures.branches);
        found_and_hit(&mut out, "L", figures.lines);
        out.push_str("end_of_record\n");
    }
    out
}

fn functions(out: &mut String, file: &FileReport) {
    for function in &file.functions {
        let _ = writeln!(out, "FN:{},{}", function.start.line, function.name);
    }
    for function in &file.functions {
        let _ = writeln!(out, "FNDA:{},{}", function.entries, function.name);
    }
}

fn found_and_hit(out: &mut String, what: &str, figure: Ratio) {
    let _ = writeln!(out, "{what}F:{}\n{what}H:{}", figure.total, figure.covered);
}

fn branches(out: &mut String, file: &FileReport) {
    let (mut line, mut pair) = (0, 0);
    for branch in file.uses.iter().map(|u| &u.branch).filter(|b| !b.folded) {
        pair = if line == branch.start.line { pair + 1 } else { 0 };
        line = branch.start.line;
        let shown = |count: u64| if branch.sides_run() > 0 { count.to_string() } else { "-".to_owned() };
        let _ = writeln!(out, "BRDA:{line},{pair},{},{}", pair * 2, shown(branch.taken));
        let _ = writeln!(out, "BRDA:{line},{pair},{},{}", pair * 2 + 1, shown(branch.not_taken));
    }
}
