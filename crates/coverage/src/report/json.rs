//! JSON in the shape of `llvm-cov export`, which dashboards and scripts already read: per file segments, branches and a
//! summary, then functions, then totals.

use super::summary::{Ratio, Summary};
use super::{Branch, FileReport, ObjectReport, Report};
use serde_json::{Value, json};

/// Renders the report; counts are exact integers.
pub fn render(report: &Report) -> Value {
    let files: Vec<_> = report.files.iter().map(|(path, file)| file_value(path, file)).collect();
    let functions: Vec<_> = report
        .files
        .iter()
        .flat_map(|(path, file)| file.functions.iter().map(move |f| (path, f)))
        .map(|(path, f)| json!({"name": f.name, "count": f.entries, "filenames": [&**path], "line": f.start.line}))
        .collect();
    json!({
        "type": "llvm.coverage.json.export",
        "version": "2.0.1",
        "objects": report.objects.iter().map(object).collect::<Vec<_>>(),
        "unmeasured": report.unmeasured.iter().map(|e| json!({"function": e.function, "reason": e.reason})).collect::<Vec<_>>(),
        "data": [{"files": files, "functions": functions, "totals": summary(&Summary::of(report))}],
    })
}

fn object(object: &ObjectReport) -> Value {
    let (source, tag) = (&object.source, object.build.tag());
    json!({"source": source, "tag": tag, "loads": object.loads, "summary": summary(&object.summary)})
}

fn file_value(path: &str, file: &FileReport) -> Value {
    let segments: Vec<_> = file
        .segments
        .iter()
        .map(|s| json!([s.at.line, s.at.column, s.count, s.has_count, s.is_entry, s.is_gap]))
        .collect();
    let branches: Vec<_> = file.branches.iter().filter(|b| !b.folded).map(branch).collect();
    json!({"filename": path, "segments": segments, "branches": branches, "summary": summary(&Summary::of_file(file))})
}

fn branch(branch: &Branch) -> Value {
    let (start, end) = (branch.start, branch.end);
    json!([start.line, start.column, end.line, end.column, branch.taken, branch.not_taken])
}

fn summary(summary: &Summary) -> Value {
    let ratio = |r: Ratio| json!({"count": r.total, "covered": r.covered, "notcovered": r.total - r.covered, "percent": r.percent().unwrap_or(0.0)});
    let name = |name: &str| if name == "conditions" { "mcdc".to_owned() } else { name.to_owned() };
    summary.named().into_iter().map(|(n, r)| (name(n), ratio(r))).collect::<serde_json::Map<_, _>>().into()
}
