//! Restricting a report to changed lines: a unified diff comes in, the lines that its new side adds or changes come out.

use super::FileReport;
use std::collections::{BTreeSet, HashMap};

/// Changed lines per absolute path; `top` is the directory that the diff's paths start from.
pub fn changed_lines(diff: &str, top: &str) -> HashMap<String, BTreeSet<u32>> {
    let mut changed: HashMap<String, BTreeSet<u32>> = HashMap::new();
    let mut current = None;
    for line in diff.lines() {
        if let Some(path) = line.strip_prefix("+++ ") {
            current = path.strip_prefix("b/").map(|p| format!("{top}/{p}"));
        } else if let (Some(path), Some(range)) = (&current, line.strip_prefix("@@ ").and_then(new_side)) {
            changed.entry(path.clone()).or_default().extend(range);
        }
    }
    changed
}

/// Leaves only lines, branches and functions that begin on one of `lines`.
pub fn restrict(file: &mut FileReport, lines: &BTreeSet<u32>) {
    file.lines.retain(|line, _| lines.contains(line));
    file.own_lines.retain(|line| lines.contains(line));
    file.branches.retain(|b| lines.contains(&b.start.line));
    file.uses.retain(|u| lines.contains(&u.branch.start.line));
    file.decisions.retain(|d| lines.contains(&d.start.line));
    file.functions.retain(|f| lines.contains(&f.start.line));
}

/// `-3,2 +5,4 @@` -> 5..9.
fn new_side(hunk: &str) -> Option<std::ops::Range<u32>> {
    let side = hunk.split(' ').find_map(|part| part.strip_prefix('+'))?;
    let (start, count) = side.split_once(',').unwrap_or((side, "1"));
    let (start, count): (u32, u32) = (start.parse().ok()?, count.parse().ok()?);
    Some(start..start.saturating_add(count))
}

#[cfg(test)]
mod tests {
    #[test]
    fn hunks_name_the_lines_of_the_new_side() {
        let diff = "diff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -3,2 +5,2 @@ int f()\n+a\n+b\n@@ -9 +12 @@\n+c\n@@ -20,3 +22,0 @@\n";
        let changed = super::changed_lines(diff, "/p");
        assert_eq!(changed["/p/x.c"].iter().copied().collect::<Vec<_>>(), [5, 6, 12]);
    }
}
