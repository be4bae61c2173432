//! Regions of one file -> segments (where the count changes) -> a count per line, exactly as llvm-cov derives them.
//! Regions may nest and repeat (the same header in several functions); the sweep keeps a stack of the open ones.

use crate::mapping::Position;
use std::collections::BTreeMap;

/// What the sweep needs to know of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    pub start: Position,
    pub end: Position,
    pub kind: SpanKind,
    pub count: u64,
}

/// In the order in which spans of equal extent take precedence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SpanKind {
    Code,
    Expansion,
    Skipped,
    Gap,
}

/// From here on the count is `count`, until the next segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    pub at: Position,
    pub count: u64,
    /// Whether there is a count at all.
    pub has_count: bool,
    /// Whether a region starts here, rather than an enclosing one going on.
    pub is_entry: bool,
    pub is_gap: bool,
}

/// Segments of one file, in the order of the source.
pub fn segments(mut spans: Vec<Span>) -> Vec<Segment> {
    spans.sort_by_key(|s| (s.start, std::cmp::Reverse(s.end), s.kind));
    let spans = merge_equal(spans);
    let mut sweep = Sweep::default();
    for (index, span) in spans.iter().enumerate() {
        sweep.open(*span, spans.get(index + 1));
    }
    if !sweep.active.is_empty() {
        sweep.complete(None, 0);
    }
    sweep.segments
}

/// Spans of the same extent and kind are one: their counts add up. Of different kinds only the first survives.
fn merge_equal(spans: Vec<Span>) -> Vec<Span> {
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if (last.start, last.end) == (span.start, span.end) => {
                if last.kind == span.kind {
                    last.count = last.count.saturating_add(span.count);
                }
            }
            _ => merged.push(span),
        }
    }
    merged
}

#[derive(Default)]
struct Sweep {
    segments: Vec<Segment>,
    active: Vec<Span>,
}

impl Sweep {
    fn open(&mut self, span: Span, next: Option<&Span>) {
        let at = span.start;
        let (open, done): (Vec<_>, Vec<_>) = self.active.iter().partition(|a| a.end > at);
        let first_done = open.len();
        let finished = !done.is_empty();
        self.active = open.into_iter().chain(done).collect();
        if finished {
            self.complete(Some(at), first_done);
        }
        let is_entry = span.kind != SpanKind::Gap;
        if at == span.end {
            let skipped = next.is_none() || span.kind == SpanKind::Skipped;
            let around = self.active.last().copied();
            self.emit(around.unwrap_or(span), at, is_entry, skipped);
            if let (true, Some(around)) = (skipped, around) {
                self.emit(around, at, false, false);
            }
            return;
        }
        if next.is_none_or(|n| n.start != at) {
            self.emit(span, at, is_entry, false);
        }
        self.active.push(span);
    }

    /// Closes the active spans from `first` on, at the latest at `until`: where one ends, the next outer one goes on.
    fn complete(&mut self, until: Option<Position>, first: usize) {
        self.active[first..].sort_by_key(|s| s.end);
        for index in first + 1..self.active.len() {
            let end = self.active[index - 1].end;
            if until == Some(end) {
                break;
            }
            let mut outer = self.active[index];
            if end == outer.end {
                continue;
            }
            if let Some(last) = self.active[index + 1..].iter().rev().find(|s| s.end == outer.end) {
                outer = *last;
            }
            self.emit(outer, end, false, false);
        }
        if let Some(last) = self.active.last().copied() {
            if first > 0 && until != Some(last.end) {
                self.emit(self.active[first - 1], last.end, false, false);
            } else if first == 0 && until != Some(last.end) {
                self.emit(last, last.end, false, true);
            }
        }
        self.active.truncate(first);
    }

    fn emit(&mut self, span: Span, at: Position, is_entry: bool, skipped: bool) {
        let has_count = !skipped && span.kind != SpanKind::Skipped;
        if let (Some(last), false, false) = (self.segments.last(), is_entry, skipped)
            && last.has_count == has_count
            && last.count == span.count
            && !last.is_entry
        {
            return;
        }
        let count = if has_count { span.count } else { 0 };
        let is_gap = has_count && span.kind == SpanKind::Gap;
        self.segments.push(Segment { at, count, has_count, is_entry, is_gap });
    }
}

/// Counts of the lines that have one.
pub fn lines(segments: &[Segment]) -> BTreeMap<u32, u64> {
    let mut counts = BTreeMap::new();
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else { return counts };
    let mut rest = segments;
    let mut wrapped: Option<Segment> = None;
    for line in first.at.line..=last.at.line {
        let split = rest.iter().position(|s| s.at.line != line).unwrap_or(rest.len());
        let (here, later) = rest.split_at(split);
        rest = later;
        if let Some(count) = line_count(wrapped, here) {
            counts.insert(line, count);
        }
        // Between two segments nothing changes: jump over the middle of a long run without counts.
        wrapped = here.last().copied().or(wrapped);
    }
    counts
}

fn line_count(wrapped: Option<Segment>, here: &[Segment]) -> Option<u64> {
    let starts = here.iter().filter(|s| s.has_count && s.is_entry && !s.is_gap);
    let starts_skipped = here.first().is_some_and(|s| !s.has_count && s.is_entry);
    let counted = wrapped.is_some_and(|w| w.has_count) || starts.clone().next().is_some();
    let mapped = (!starts_skipped && counted) || here.iter().any(|s| s.is_entry && s.has_count);
    mapped.then(|| starts.map(|s| s.count).chain(wrapped.map(|w| w.count)).max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: (u32, u32), to: (u32, u32), count: u64) -> Span {
        let at = |(line, column)| Position { line, column };
        Span { start: at(from), end: at(to), kind: SpanKind::Code, count }
    }

    #[test]
    fn an_inner_region_has_its_own_count_and_the_outer_one_goes_on() {
        let counts = lines(&segments(vec![span((1, 1), (5, 2), 10), span((2, 9), (3, 4), 3)]));
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(1, 10), (2, 10), (3, 3), (4, 10), (5, 10)]);
    }

    #[test]
    fn the_same_region_in_two_functions_adds_up() {
        let counts = lines(&segments(vec![span((1, 1), (2, 2), 4), span((1, 1), (2, 2), 5)]));
        assert_eq!(counts.get(&1), Some(&9));
    }

    #[test]
    fn nothing_comes_from_nothing() {
        assert!(lines(&segments(Vec::new())).is_empty());
    }
}
