//! HTML: an index of all files and objects with sortable figures and a page per file with counts beside the source. One folder without
//! outside references, readable without JavaScript, by keyboard and by screen readers, light and dark. Sources are asked
//! for through a closure; a missing one still gets its page.

use super::summary::{Ratio, Summary};
use super::{Branch, Decision, FileReport, Report, escape};
use crate::segments::Segment;
use crate::sidecar::Exclusion;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// One file of the report's folder.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    pub name: String,
    pub content: String,
}

/// Renders the whole folder. `source` yields the text of a path, `None` when it cannot be read.
pub fn render(report: &Report, title: &str, source: &dyn Fn(&str) -> Option<String>) -> Vec<Page> {
    let prefix = common_prefix(report.files.keys().map(|p| &**p));
    let names: Vec<_> = report.files.keys().enumerate().map(|(i, path)| page_name(i, path)).collect();
    let mut pages = vec![Page { name: "index.html".into(), content: index(report, title, &names, prefix) }];
    for ((path, file), name) in report.files.iter().zip(&names) {
        let text = source(path);
        let content = file_page(&path[prefix..], file, report, (title, text.as_deref()));
        pages.push(Page { name: name.clone(), content });
    }
    pages.push(Page { name: "style.css".into(), content: STYLE.into() });
    pages.push(Page { name: "sort.js".into(), content: SORT.into() });
    pages
}

fn page_name(index: usize, path: &str) -> String {
    let stem: String = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("{index:04}-{stem}.html")
}

/// Length of the directory that all paths share.
fn common_prefix<'a>(mut paths: impl Iterator<Item = &'a str>) -> usize {
    let Some(first) = paths.next() else { return 0 };
    let shared = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let length = paths.fold(first.len(), |length, path| length.min(shared(first, path)));
    // The root alone says nothing: then paths stay whole.
    first.get(..length).and_then(|p| p.rfind('/')).filter(|slash| *slash > 0).map_or(0, |slash| slash + 1)
}

fn index(report: &Report, title: &str, names: &[String], prefix: usize) -> String {
    let mut out = head(title, "Coverage", true);
    let total = Summary::of(report);
    let _ = write!(out, "<main><h1>{}</h1>{}", escape(title), cards(&total));
    out.push_str(&not_measured(report.unmeasured.iter()));
    let files = report.files.iter().zip(names).map(|((path, file), name)| {
        let (directory, file_name) = path[prefix..].rsplit_once('/').map_or(("", &path[prefix..]), |(d, f)| (d, f));
        let directory =
            if directory.is_empty() { String::new() } else { format!("<span>{}/</span>", escape(directory)) };
        let head = format!("<a href=\"{name}\">{directory}<b>{}</b></a>", escape(file_name));
        (head, Summary::of_file(file))
    });
    table(&mut out, "files", "Files", &total, files);
    let objects = report.objects.iter().map(|object| {
        let loads = if object.loads == 1 { String::new() } else { format!(", {} loads", object.loads) };
        (format!("<b>{}</b> <span>{}{loads}</span>", escape(&object.source), object.build.tag()), object.summary)
    });
    table(&mut out, "objects", "Objects", &total, objects);
    out.push_str("</main>");
    finish(out)
}

/// A sortable table: what a row is about, and its figures.
fn table(out: &mut String, id: &str, title: &str, total: &Summary, rows: impl Iterator<Item = (String, Summary)>) {
    let _ = write!(
        out,
        "<section aria-labelledby=\"{id}-title\"><h2 id=\"{id}-title\">{title}</h2><div class=\"scroll\"><table class=\"files\" \
         id=\"{id}\"><caption class=\"quiet\">Select a heading to sort</caption><thead><tr>"
    );
    let first = title.trim_end_matches('s');
    let headings = std::iter::once(first).chain(total.columns(total).map(|(name, _)| name));
    for (column, heading) in headings.enumerate() {
        let sorted = if column == 0 { " aria-sort=\"ascending\"" } else { "" };
        let _ = write!(out, "<th scope=\"col\"{sorted}><button type=\"button\">{heading}</button></th>");
    }
    out.push_str("</tr></thead><tbody>");
    for (head, summary) in rows {
        let _ = write!(out, "<tr><th scope=\"row\">{head}</th>");
        summary.columns(total).for_each(|(_, ratio)| out.push_str(&figure(ratio)));
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div></section>");
}

fn not_measured<'a>(left_out: impl Iterator<Item = &'a Exclusion>) -> String {
    let item = |e: &Exclusion| format!("<li><code>{}</code>: {}</li>", escape(&e.function), escape(&e.reason));
    let items: String = left_out.map(item).collect();
    if items.is_empty() {
        return items;
    }
    format!("<div class=\"notice\">Not measured, and in no figure:<ul>{items}</ul></div>")
}

fn cards(summary: &Summary) -> String {
    let mut out = String::from("<dl class=\"cards\">");
    for (name, ratio) in summary.columns(summary) {
        let percent = ratio.percent().map_or_else(|| "–".into(), |p| format!("{p:.1} %"));
        let _ = write!(
            out,
            "<div class=\"{}\"><dt>{name}</dt><dd><b>{percent}</b> <span>{} of {}</span></dd></div>",
            grade(ratio),
            ratio.covered,
            ratio.total
        );
    }
    out + "</dl>"
}

/// A table cell with a bar; the sort key is the percentage, what has nothing to cover sorts last.
fn figure(ratio: Ratio) -> String {
    let Some(percent) = ratio.percent() else { return "<td data-key=\"-1\" class=\"none\">–</td>".into() };
    format!(
        "<td data-key=\"{percent:.4}\" class=\"{}\"><span class=\"bar\" style=\"--p:{percent:.1}%\"></span>\
         <span class=\"percent\">{percent:.1} %</span> <span class=\"of\">{}/{}</span></td>",
        grade(ratio),
        ratio.covered,
        ratio.total
    )
}

fn grade(ratio: Ratio) -> &'static str {
    match ratio.percent() {
        None => "none",
        Some(p) if p >= 90.0 => "good",
        Some(p) if p >= 70.0 => "fair",
        Some(_) => "poor",
    }
}

fn file_page(path: &str, file: &FileReport, report: &Report, (title, source): (&str, Option<&str>)) -> String {
    let mut out = head(title, path, false);
    let _ = write!(out, "<nav><a href=\"index.html\">{}</a></nav><main><h1>{}</h1>", escape(title), escape(path));
    out.push_str(&cards(&Summary::of_file(file)));
    let left_out = source.map(|text| definitions(text, file, &report.unmeasured)).unwrap_or_default();
    out.push_str(&not_measured(left_out.values().copied()));
    lines_not_run(&mut out, file);
    functions(&mut out, file);
    match source {
        Some(text) => listing(&mut out, file, text, &left_out),
        None => {
            out.push_str("<p class=\"notice\">The source was not found; the counts are complete. Point at it with <code>--map OLD=NEW</code>.</p>");
            let blank = "\n".repeat(file.lines.keys().next_back().map_or(0, |l| *l as usize));
            listing(&mut out, file, &blank, &left_out);
        }
    }
    out.push_str("</main>");
    finish(out)
}

/// Lines on which functions that were left out seem to begin. Their object knows nothing of them any more, so this goes by
/// the text: the name before a parenthesis, on a line without a count that does not end a statement.
fn definitions<'a>(text: &str, file: &FileReport, left_out: &'a BTreeSet<Exclusion>) -> BTreeMap<u32, &'a Exclusion> {
    let begins = |line: &str, name: &str| {
        let line = line.trim();
        let at = line.find(name).filter(|at| line[at + name.len()..].trim_start().starts_with('('));
        let apart = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        !line.ends_with(';') && !line.starts_with(['*', '/', '#']) && at.is_some_and(apart)
    };
    let mut found = BTreeMap::new();
    for (number, line) in (1u32..).zip(text.lines()).filter(|(number, _)| !file.lines.contains_key(number)) {
        found.extend(left_out.iter().find(|e| begins(line, &e.function)).map(|e| (number, e)));
    }
    found
}

/// Links to the runs of lines that did not run.
fn lines_not_run(out: &mut String, file: &FileReport) {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    let mut last = None;
    for (line, count) in &file.lines {
        match (count, last, runs.last_mut()) {
            (0, Some(0), Some((_, end))) => *end = *line,
            (0, ..) => runs.push((*line, *line)),
            _ => {}
        }
        last = Some(*count);
    }
    if runs.is_empty() {
        return;
    }
    out.push_str("<nav class=\"missed\" aria-label=\"Lines that did not run\">Not run:");
    for (start, end) in runs.iter().take(MAX_LINKS) {
        let shown = if start == end { start.to_string() } else { format!("{start}–{end}") };
        let _ = write!(out, " <a href=\"#L{start}\">{shown}</a>");
    }
    if let Some(more) = runs.len().checked_sub(MAX_LINKS).filter(|more| *more > 0) {
        let _ = write!(out, " and {more} more");
    }
    out.push_str("</nav>");
}

fn functions(out: &mut String, file: &FileReport) {
    if file.functions.is_empty() {
        return;
    }
    out.push_str("<details class=\"functions\"><summary>Functions</summary><div class=\"scroll\"><table><thead><tr><th scope=\"col\">Function</th><th scope=\"col\">Entered</th><th scope=\"col\">Regions run</th></tr></thead><tbody>");
    for function in &file.functions {
        let class = if function.entries > 0 { "good" } else { "poor" };
        let note = if function.lost_updates { " <em>lower bound: updates were lost</em>" } else { "" };
        let _ = write!(
            out,
            "<tr class=\"{class}\"><th scope=\"row\"><a href=\"#L{}\">{}</a>{note}</th><td>{}</td><td>{} of {}</td></tr>",
            function.start.line,
            escape(readable(&function.name)),
            function.entries,
            function.regions_run,
            function.regions
        );
    }
    out.push_str("</tbody></table></div></details>");
}

/// `file.c:____hook` is how a macro-made program is recorded; people know it as `hook`.
fn readable(name: &str) -> &str {
    let name = name.rsplit([':', ';']).next().unwrap_or(name);
    name.strip_prefix("____").unwrap_or(name)
}

fn listing(out: &mut String, file: &FileReport, text: &str, left_out: &BTreeMap<u32, &Exclusion>) {
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
    let side = |count: u64, name: &str| {
        let class = if count > 0 { "hit" } else { "miss" };
        format!("<span class=\"{class}\">{name} <b title=\"{count}\">{}</b></span>", short(count))
    };
    let _ = write!(
        out,
        "<span class=\"branch\"><code>{}</code> {} {}</span>",
        escape(condition.unwrap_or("condition")),
        side(branch.taken, "true"),
        side(branch.not_taken, "false")
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

/// 1234 -> 1.23k, so that a column of counts stays narrow; the full number is in the title.
fn short(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let scaled = |unit: u64| count as f64 / unit as f64;
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{:.2}k", scaled(1_000)),
        1_000_000..1_000_000_000 => format!("{:.2}M", scaled(1_000_000)),
        _ => format!("{:.2}G", scaled(1_000_000_000)),
    }
}

fn head(title: &str, page: &str, sortable: bool) -> String {
    let script = if sortable { "<script src=\"sort.js\" defer></script>" } else { "" };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{} · {}</title><link rel=\"stylesheet\" href=\"style.css\">{script}</head><body>",
        escape(page),
        escape(title)
    )
}

fn finish(mut out: String) -> String {
    out.push_str("<footer>Counted in the kernel by <code>hawkbell cover</code></footer></body></html>\n");
    out
}

const MAX_LINKS: usize = 60;
const STYLE: &str = include_str!("html/style.css");
const SORT: &str = include_str!("html/sort.js");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_narrow_and_text_is_escaped() {
        assert_eq!([short(7), short(1234), short(5_000_000)], ["7", "1.23k", "5.00M"]);
        assert_eq!(escape("a<b & \"c\""), "a&lt;b &amp; &quot;c&quot;");
        assert_eq!(common_prefix(["/a/b/x.c", "/a/b/y.c", "/a/c.h"].into_iter()), 3);
        assert_eq!(common_prefix(["/a/b/x.c", "/c/y.c"].into_iter()), 0);
        assert_eq!(readable("tc.bpf.c:____hook"), "hook");
    }
}
