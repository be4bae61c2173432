//! One source file with counts beside its lines: parts that did not run are marked, and below a line stand its conditions, those
//! of macros that it expands, its decisions, and why something was not measured. Text of any encoding and length is escaped.

use super::short;
use crate::report::{Branch, Decision, FileReport, Use, escape};
use crate::segments::Segment;
use crate::sidecar::Exclusion;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// What stands below lines besides conditions of their own.
pub struct Notes<'a> {
    pub left_out: BTreeMap<u32, &'a Exclusion>,
    pub links: &'a HashMap<&'a str, &'a str>,
}

pub fn listing(out: &mut String, file: &FileReport, text: &str, Notes { left_out, links }: &Notes<'_>) {
    let mut expanded: BTreeMap<u32, Vec<&Use>> = BTreeMap::new();
    for used in file.uses.iter().filter(|u| u.origin.is_some() && !u.branch.folded) {
        expanded.entry(used.branch.start.line).or_default().push(used);
    }
    let mut branches: BTreeMap<u32, Vec<&Branch>> = BTreeMap::new();
    for branch in file.branches.iter().filter(|b| !b.folded) {
        branches.entry(branch.start.line).or_default().push(branch);
    }
    let mut segments = file.segments.as_slice();
    let mut open: Option<Segment> = None;
    out.push_str("<table class=\"source\"><caption class=\"quiet\">Line, count, source</caption><tbody>");
    for (number, line) in (1u32..).zip(text.lines()) {
        let split = segments.iter().position(|s| s.at.line > number).unwrap_or(segments.len());
        let (here, later) = segments.split_at(split);
        segments = later;
        let here: Vec<_> = here.iter().filter(|s| s.at.line == number).copied().collect();
        let count = file.lines.get(&number);
        let class = match count {
            None if left_out.contains_key(&number) => " class=\"unmeasured\"",
            None => "",
            Some(0) => " class=\"miss\"",
            Some(_) => " class=\"hit\"",
        };
        let shown = count.map_or_else(String::new, |c| format!("<span title=\"{c}\">{}</span>", short(*c)));
        let _ = write!(
            out,
            "<tr{class} id=\"L{number}\"><td class=\"n\"><a href=\"#L{number}\">{number}</a></td><td class=\"c\">{shown}</td><td class=\"t\"><code>"
        );
        code(out, line, &here, open, count.is_some_and(|c| *c > 0));
        out.push_str("</code>");
        if let Some(left_out) = left_out.get(&number) {
            let _ = write!(out, "<span class=\"branch\">not measured: {}</span>", escape(&left_out.reason));
        }
        for branch in branches.get(&number).into_iter().flatten() {
            branch_note(out, branch, line);
        }
        for used in expanded.get(&number).into_iter().flatten() {
            expansion_note(out, used, links);
        }
        for decision in file.decisions.iter().filter(|d| d.start.line == number) {
            decision_note(out, decision);
        }
        out.push_str("</td></tr>");
        open = here.last().copied().or(open);
    }
    out.push_str("</tbody></table>");
}

/// One source line; within a line that ran, the parts that did not are marked.
fn code(out: &mut String, line: &str, here: &[Segment], before: Option<Segment>, line_ran: bool) {
    let missed = |s: &Segment| line_ran && s.has_count && s.count == 0 && !s.is_gap;
    let mut at = 0;
    let mut marked = before.as_ref().is_some_and(missed);
    let bounds = here.iter().map(|s| ((s.at.column as usize).saturating_sub(1), missed(s)));
    for (column, next_marked) in bounds.chain([(usize::MAX, false)]) {
        let end = floor_boundary(line, column.min(line.len())).max(at);
        let part = escape(&line[at..end]);
        let text = part.trim_start();
        if marked && !text.is_empty() {
            let indent = &part[..part.len() - text.len()];
            let _ = write!(out, "{indent}<mark>{text}</mark>");
        } else {
            out.push_str(&part);
        }
        (at, marked) = (end, next_marked);
    }
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn branch_note(out: &mut String, branch: &Branch, line: &str) {
    let (start, end) = (branch.start.column as usize, branch.end.column as usize);
    let condition = if branch.start.line == branch.end.line {
        line.get(start.saturating_sub(1)..end.saturating_sub(1))
    } else {
        None
    };
    let _ = write!(
        out,
        "<span class=\"branch\"><code>{}</code>{}</span>",
        escape(condition.unwrap_or("condition")),
        sides(branch)
    );
}

fn sides(branch: &Branch) -> String {
    let side = |count: u64, name: &str| {
        let class = if count > 0 { "hit" } else { "miss" };
        format!(" <span class=\"{class}\">{name} <b title=\"{count}\">{}</b></span>", short(count))
    };
    side(branch.taken, "true") + &side(branch.not_taken, "false")
}

/// A condition in a macro that the line expands, by this use of it alone.
fn expansion_note(out: &mut String, used: &Use, links: &HashMap<&str, &str>) {
    let Some((path, place)) = &used.origin else { return };
    let name = escape(path.rsplit('/').next().unwrap_or_default());
    let page = links.get(&**path).copied().unwrap_or_default();
    let _ = write!(
        out,
        "<span class=\"branch\">in macro <a href=\"{page}#L{}\">{name}:{0}</a>{}</span>",
        place.line,
        sides(&used.branch)
    );
}

fn decision_note(out: &mut String, decision: &Decision) {
    let shown = decision.conditions.iter().filter(|c| c.2).count();
    let class = if shown == decision.conditions.len() { "hit" } else { "miss" };
    let marks = decision.conditions.iter().enumerate().map(|(index, (_, _, covered))| {
        let (class, word) = if *covered { ("hit", "decides") } else { ("miss", "not shown") };
        format!(" <span class=\"{class}\">condition {} <b>{word}</b></span>", index + 1)
    });
    let _ = write!(
        out,
        "<span class=\"branch\">MC/DC <span class=\"{class}\"><b>{shown} of {}</b></span>{}</span>",
        decision.conditions.len(),
        marks.collect::<String>()
    );
}
