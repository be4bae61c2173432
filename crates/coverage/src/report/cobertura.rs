//! Cobertura XML: what CI services show beside merge requests. One package per directory, one class per file.

use super::summary::{Ratio, Summary};
use super::{FileReport, Report, escape};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Renders the report. `timestamp` is in seconds since the epoch.
pub fn render(report: &Report, timestamp: u64) -> String {
    let mut packages: BTreeMap<&str, Vec<(&str, &FileReport)>> = BTreeMap::new();
    for (path, file) in &report.files {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        packages.entry(directory).or_default().push((name, file));
    }
    let total = Summary::of(report);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<coverage line-rate=\"{}\" branch-rate=\"{}\" lines-covered=\"{}\" lines-valid=\"{}\" branches-covered=\"{}\" \
         branches-valid=\"{}\" complexity=\"0\" version=\"1\" timestamp=\"{timestamp}\">\n<sources><source>.</source></sources>\n<packages>",
        rate(total.lines),
        rate(total.branches),
        total.lines.covered,
        total.lines.total,
        total.branches.covered,
        total.branches.total
    );
    for left_out in &report.unmeasured {
        // Two hyphens would end a comment.
        let said = format!("{} ({})", left_out.function, left_out.reason).replace("--", "- -");
        let _ = writeln!(out, "<!-- not measured: {} -->", escape(&said));
    }
    for (directory, files) in packages {
        package(&mut out, directory, &files);
    }
    out + "</packages>\n</coverage>\n"
}

fn package(out: &mut String, directory: &str, files: &[(&str, &FileReport)]) {
    let mut sum = Summary::default();
    files.iter().for_each(|(_, file)| sum += Summary::of_file(file));
    let _ = writeln!(
        out,
        "<package name=\"{}\" line-rate=\"{}\" branch-rate=\"{}\" complexity=\"0\"><classes>",
        escape(directory),
        rate(sum.lines),
        rate(sum.branches)
    );
    for (name, file) in files {
        let own = Summary::of_file(file);
        let path = if directory.is_empty() { (*name).to_owned() } else { format!("{directory}/{name}") };
        let _ = writeln!(
            out,
            "<class name=\"{}\" filename=\"{}\" line-rate=\"{}\" branch-rate=\"{}\" complexity=\"0\"><methods/><lines>",
            escape(name),
            escape(&path),
            rate(own.lines),
            rate(own.branches)
        );
        lines(out, file);
        out.push_str("</lines></class>\n");
    }
    out.push_str("</classes></package>\n");
}

fn lines(out: &mut String, file: &FileReport) {
    let mut branches: BTreeMap<u32, Ratio> = BTreeMap::new();
    for branch in file.uses.iter().map(|u| &u.branch).filter(|b| !b.folded) {
        let sides = Ratio { covered: branch.sides_run() as u64, total: 2 };
        *branches.entry(branch.start.line).or_default() += sides;
    }
    for (number, count) in &file.lines {
        match branches.get(number) {
            None => {
                let _ = writeln!(out, "<line number=\"{number}\" hits=\"{count}\"/>");
            }
            Some(r) => {
                let percent = r.covered * 100 / r.total.max(1);
                let _ = writeln!(
                    out,
                    "<line number=\"{number}\" hits=\"{count}\" branch=\"true\" condition-coverage=\"{percent}% ({}/{})\"/>",
                    r.covered, r.total
                );
            }
        }
    }
}

fn rate(ratio: Ratio) -> String {
    format!("{:.4}", ratio.percent().unwrap_or(100.0) / 100.0)
}
