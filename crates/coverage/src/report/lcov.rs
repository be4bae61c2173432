//! LCOV tracefiles: one record per source file with functions, branches and lines, as `genhtml` and CI services read them.

use super::{FileReport, Report};
use std::fmt::Write as _;

/// Renders the report as an LCOV tracefile.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    for (path, file) in &report.files {
        let _ = writeln!(out, "SF:{path}");
        functions(&mut out, file);
        branches(&mut out, file);
        for (line, count) in &file.lines {
            let _ = writeln!(out, "DA:{line},{count}");
        }
        let hit = file.lines.values().filter(|c| **c > 0).count();
        let _ = writeln!(out, "LF:{}\nLH:{hit}\nend_of_record", file.lines.len());
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
    let hit = file.functions.iter().filter(|f| f.entries > 0).count();
    let _ = writeln!(out, "FNF:{}\nFNH:{hit}", file.functions.len());
}

fn branches(out: &mut String, file: &FileReport) {
    let mut block = (0, 0);
    for branch in file.branches.iter().filter(|b| !b.folded) {
        block = if block.0 == branch.start.line { (block.0, block.1 + 1) } else { (branch.start.line, 0) };
        let ran = branch.taken > 0 || branch.not_taken > 0;
        let shown = |count: u64| if ran { count.to_string() } else { "-".to_owned() };
        let _ = writeln!(out, "BRDA:{},{},0,{}", block.0, block.1, shown(branch.taken));
        let _ = writeln!(out, "BRDA:{},{},1,{}", block.0, block.1, shown(branch.not_taken));
    }
    let live = file.branches.iter().filter(|b| !b.folded);
    let found = live.clone().count() * 2;
    let hit: usize = live.map(|b| usize::from(b.taken > 0) + usize::from(b.not_taken > 0)).sum();
    let _ = writeln!(out, "BRF:{found}\nBRH:{hit}");
}
