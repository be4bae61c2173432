//! Sidecars + counters -> what ran, file by file. A report is plain data, the same whatever renders it; renderers are in
//! the modules below and are pure functions from a report to text.

pub mod cobertura;
pub mod diff;
pub mod html;
pub mod json;
pub mod lcov;
pub mod summary;
pub mod text;
mod uses;

use self::summary::Summary;
use crate::Error;
use crate::count::{Counted, RegionCount, count, main_file};
use crate::layout::BuildId;
use crate::mapping::{Condition, Counter, FunctionMap, Position, Region, RegionKind};
use crate::mcdc::{self, evaluate};
use crate::profile::Counters;
use crate::segments::{Segment, Span, SpanKind, lines, segments};
use crate::sidecar::{Exclusion, Sidecar};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Coverage of all sources that went into it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// By path.
    pub files: BTreeMap<Rc<str>, FileReport>,
    /// The objects whose counters these are.
    pub objects: Vec<ObjectReport>,
    /// Functions that were left out of counting: neither covered nor uncovered, and in no figure.
    pub unmeasured: BTreeSet<Exclusion>,
}

/// Coverage by the loads of one object alone.
#[derive(Clone, Debug)]
pub struct ObjectReport {
    /// The source that it was compiled from.
    pub source: String,
    pub build: BuildId,
    /// How many loads were summed up.
    pub loads: u64,
    pub summary: Summary,
}

/// Coverage of one source file.
#[derive(Clone, Debug, Default)]
pub struct FileReport {
    pub lines: BTreeMap<u32, u64>,
    pub segments: Vec<Segment>,
    /// In the order of their first lines.
    pub functions: Vec<FunctionReport>,
    /// Conditions where they stand: one in a macro stands in the macro, once for all of its uses.
    pub branches: Vec<Branch>,
    /// Conditions as functions use them: one in a macro is there for each use, on the line of the use. What figures count,
    /// as in llvm-cov.
    pub uses: Vec<Use>,
    /// Decisions of several conditions, where the object was built with MC/DC.
    pub decisions: Vec<Decision>,
    /// Lines that belong to functions of this file; the others with a count belong to macros, and are in no figure.
    pub own_lines: BTreeSet<u32>,
}

#[derive(Clone, Debug)]
pub struct FunctionReport {
    /// As clang recorded it, `file.c:name` for static functions.
    pub name: String,
    pub start: Position,
    pub entries: u64,
    /// Code regions, and how many of them ran.
    pub regions: u32,
    pub regions_run: u32,
    /// Updates were lost (non-atomic counters on several CPUs): its counts are lower bounds.
    pub lost_updates: bool,
}

/// One condition with how often it was true and false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    pub start: Position,
    pub end: Position,
    pub taken: u64,
    pub not_taken: u64,
    /// The compiler decided it: neither side can be counted.
    pub folded: bool,
    pub condition: Option<Condition>,
}

impl Branch {
    /// How many of its two sides were taken.
    pub fn sides_run(&self) -> usize {
        usize::from(self.taken > 0) + usize::from(self.not_taken > 0)
    }

    fn add(&mut self, other: &Branch) {
        self.taken = self.taken.saturating_add(other.taken);
        self.not_taken = self.not_taken.saturating_add(other.not_taken);
        self.folded &= other.folded;
    }
}

/// A condition in a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The function: where it begins and its name, because a macro may make several in one place.
    pub function: (Position, Rc<str>),
    /// The condition's number in the function.
    pub index: usize,
    /// Begins on the line that leads to it.
    pub branch: Branch,
    /// File and place of one that stands in a macro.
    pub origin: Option<(Rc<str>, Position)>,
}

/// One decision of several conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub start: Position,
    pub end: Position,
    /// Where each condition begins and ends, and whether it was shown to decide on its own; without those that the
    /// compiler decided.
    pub conditions: Vec<(Position, Position, bool)>,
}

/// Collects objects, then turns them into a [`Report`].
#[derive(Debug, Default)]
pub struct Builder {
    spans: BTreeMap<Rc<str>, Vec<Span>>,
    files: BTreeMap<Rc<str>, FileReport>,
    objects: Vec<ObjectReport>,
    unmeasured: BTreeSet<Exclusion>,
}

impl Builder {
    /// Adds the functions of one object. Functions that were compiled but never emitted count as not run.
    ///
    /// # Errors
    /// The counters belong to another build.
    pub fn add(&mut self, sidecar: &Sidecar, counters: &Counters) -> Result<(), Error> {
        counters.check(sidecar)?;
        let mut alone = Builder::default();
        alone.add_functions(sidecar, counters);
        let (source, summary) = (sidecar.source.clone(), Summary::of(&alone.finish()));
        let object = ObjectReport { source, build: sidecar.build, loads: counters.instances, summary };
        self.objects.push(object);
        self.unmeasured.extend(sidecar.exclusions.iter().cloned());
        self.add_functions(sidecar, counters);
        Ok(())
    }

    fn add_functions(&mut self, sidecar: &Sidecar, counters: &Counters) {
        for map in &sidecar.maps {
            let function = sidecar.function(map.name_ref, map.hash);
            let counted = count(map, function.map_or(&[], |f| counters.of(f)));
            let name = sidecar.name(map.name_ref).map_or_else(|| format!("{:016x}", map.name_ref), str::to_owned);
            self.add_function(name, map, &counted);
            if let Some(function) = function.filter(|f| f.bitmap_bytes > 0) {
                self.add_decisions(map, &evaluate(map, counters.bitmap_of(function), function.bitmap_numbering));
            }
        }
    }

    fn add_decisions(&mut self, map: &FunctionMap, decisions: &[mcdc::Decision]) {
        for decision in decisions {
            let region = &map.regions[decision.region];
            let Some(path) = map.files.get(region.file as usize) else { continue };
            let place = |r: &Region| (r.start, r.end);
            let conditions = decision.conditions.iter().filter(|c| !c.folded).map(|c| {
                let (start, end) = place(&map.regions[c.region]);
                (start, end, c.covered)
            });
            let (start, end) = place(region);
            let decision = Decision { start, end, conditions: conditions.collect() };
            self.files.entry(path.clone()).or_default().decisions.push(decision);
        }
    }

    pub fn finish(mut self) -> Report {
        for (path, spans) in self.spans {
            let file = self.files.entry(path).or_default();
            file.segments = segments(spans);
            file.lines = lines(&file.segments);
            merge_repeats(file);
        }
        self.objects.sort_by(|a, b| (&a.source, a.build).cmp(&(&b.source, b.build)));
        Report { files: self.files, objects: self.objects, unmeasured: self.unmeasured }
    }

    fn add_function(&mut self, name: String, map: &FunctionMap, counted: &Counted) {
        let main = main_file(map);
        for (region, value) in map.regions.iter().zip(&counted.regions) {
            let Some(path) = map.files.get(region.file as usize) else { continue };
            self.spans.entry(path.clone()).or_default().extend(span(region, *value));
            if let Some(branch) = branch(region, *value) {
                self.files.entry(path.clone()).or_default().branches.push(branch);
            }
        }
        let body = map.regions.iter().find(|r| r.file == main && span_kind(r.kind).is_some());
        let (Some(body), Some(path)) = (body, map.files.get(main as usize)) else { return };
        let code = map.regions.iter().zip(&counted.regions).filter(|(r, _)| matches!(r.kind, RegionKind::Code(_)));
        let regions = u32::try_from(code.clone().count()).unwrap_or(u32::MAX);
        let regions_run = u32::try_from(code.filter(|(_, c)| c.count > 0).count()).unwrap_or(u32::MAX);
        let (start, entries, lost_updates) = (body.start, counted.entries, counted.lost_updates);
        let used_by: (Position, Rc<str>) = (start, name.as_str().into());
        let function = FunctionReport { name, start, entries, regions, regions_run, lost_updates };
        let file = self.files.entry(path.clone()).or_default();
        file.functions.push(function);
        file.own_lines.extend(lines(&segments(spans_of(map, counted, main))).into_keys());
        let uses = uses::of(map, counted, main).into_iter().enumerate();
        file.uses.extend(uses.map(|(index, (branch, origin))| Use {
            function: used_by.clone(),
            index,
            branch,
            origin,
        }));
    }
}

fn span(region: &Region, value: RegionCount) -> Option<Span> {
    Some(Span { start: region.start, end: region.end, kind: span_kind(region.kind)?, count: value.count })
}

fn spans_of(map: &FunctionMap, counted: &Counted, file: u32) -> Vec<Span> {
    let here = map.regions.iter().zip(&counted.regions).filter(|(region, _)| region.file == file);
    here.filter_map(|(region, value)| span(region, *value)).collect()
}

fn branch(region: &Region, value: RegionCount) -> Option<Branch> {
    let RegionKind::Branch { taken, not_taken, condition } = region.kind else { return None };
    let folded = taken == not_taken && taken == Counter::Zero && value == RegionCount::default();
    let (start, end) = (region.start, region.end);
    Some(Branch { start, end, taken: value.count, not_taken: value.not_taken, folded, condition })
}

/// What several objects share (functions of a header), or several uses of a macro, is one place in the source: its counts add
/// up, and it ran if it ran anywhere.
fn merge_repeats(file: &mut FileReport) {
    file.functions.sort_by(|a, b| (a.start, &a.name).cmp(&(b.start, &b.name)));
    file.functions.dedup_by(|next, kept| {
        let same = (next.start, &next.name) == (kept.start, &kept.name);
        if same {
            kept.entries = kept.entries.saturating_add(next.entries);
            kept.regions = kept.regions.max(next.regions);
            kept.regions_run = kept.regions_run.max(next.regions_run);
            kept.lost_updates |= next.lost_updates;
        }
        same
    });
    file.branches.sort_by_key(|b| (b.start, b.end));
    file.branches.dedup_by(|next, kept| {
        let same = (next.start, next.end) == (kept.start, kept.end);
        if same {
            kept.add(next);
        }
        same
    });
    fn place(u: &Use) -> (&(Position, Rc<str>), usize, Position, Position) {
        (&u.function, u.index, u.branch.start, u.branch.end)
    }
    file.uses.sort_by(|a, b| place(a).cmp(&place(b)));
    file.uses.dedup_by(|next, kept| {
        let same = place(next) == place(kept);
        if same {
            kept.branch.add(&next.branch);
        }
        same
    });
    file.uses.sort_by_key(|u| (u.branch.start.line, u.branch.start.column));
    file.decisions.sort_by_key(|d| (d.start, d.end));
    file.decisions.dedup_by(|next, kept| {
        let same = (next.start, next.end, next.conditions.len()) == (kept.start, kept.end, kept.conditions.len());
        if same {
            kept.conditions.iter_mut().zip(&next.conditions).for_each(|(k, n)| k.2 |= n.2);
        }
        same
    });
}

/// Text as it may stand in HTML and XML, between tags or in a quoted attribute.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn span_kind(kind: RegionKind) -> Option<SpanKind> {
    match kind {
        RegionKind::Code(_) => Some(SpanKind::Code),
        RegionKind::Expansion(_) => Some(SpanKind::Expansion),
        RegionKind::Skipped => Some(SpanKind::Skipped),
        RegionKind::Gap(_) => Some(SpanKind::Gap),
        RegionKind::Branch { .. } | RegionKind::Decision { .. } => None,
    }
}
