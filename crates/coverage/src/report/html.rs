//! HTML: an index of all files and objects with sortable figures and a page per file with counts beside the source. One folder without
//! outside references, readable without JavaScript, by keyboard and by screen readers, light and dark. Sources are asked
//! for through a closure; a missing one still gets its page.

mod listing;

use super::summary::{Ratio, Summary};
use super::{FileReport, Report, escape};
use crate::sidecar::Exclusion;
use listing::{Notes, listing};
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    let links = report.files.keys().map(|path| &**path).zip(names.iter().map(String::as_str)).collect();
    let around = Around { report, title, links };
    for ((path, file), name) in report.files.iter().zip(&names) {
        let text = source(path);
        let content = file_page(&path[prefix..], file, &around, text.as_deref());
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

/// What a page tells beyond its own file.
struct Around<'a> {
    report: &'a Report,
    title: &'a str,
    /// Page names by path.
    links: HashMap<&'a str, &'a str>,
}

fn file_page(path: &str, file: &FileReport, around: &Around<'_>, source: Option<&str>) -> String {
    let title = around.title;
    let mut out = head(title, path, false);
    let _ = write!(out, "<nav><a href=\"index.html\">{}</a></nav><main><h1>{}</h1>", escape(title), escape(path));
    out.push_str(&cards(&Summary::of_file(file)));
    let left_out = source.map(|text| definitions(text, file, &around.report.unmeasured)).unwrap_or_default();
    out.push_str(&not_measured(left_out.values().copied()));
    lines_not_run(&mut out, file);
    functions(&mut out, file);
    match source {
        Some(text) => listing(&mut out, file, text, &Notes { left_out, links: &around.links }),
        None => {
            out.push_str("<p class=\"notice\">The source was not found; the counts are complete. Point at it with <code>--map OLD=NEW</code>.</p>");
            let blank = "\n".repeat(file.lines.keys().next_back().map_or(0, |l| *l as usize));
            listing(&mut out, file, &blank, &Notes { left_out, links: &around.links });
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
