//! Times as text. In: nanoseconds since the epoch and, for local times, a time zone that the caller chose. Out: text in
//! the per-event arena. It must never read the machine's clock or zone itself.

use super::text::{Text, format};
use bumpalo::Bump;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// Nanoseconds per second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// `HH:MM:SS.nnnnnnnnn` in `zone`.
pub(crate) fn clock<'a>(ts: u64, zone: &TimeZone, arena: &'a Bump) -> &'a [u8] {
    let t = local(ts, zone);
    format(arena, format_args!("{:02}:{:02}:{:02}.{:09}", t.hour(), t.minute(), t.second(), ts % SECOND))
}

/// `HH:MM:SS` in `zone`.
pub(crate) fn clock_seconds<'a>(ts: u64, zone: &TimeZone, arena: &'a Bump) -> &'a [u8] {
    let t = local(ts, zone);
    format(arena, format_args!("{:02}:{:02}:{:02}", t.hour(), t.minute(), t.second()))
}

/// `YYYY-MM-DD HH:MM:SS.nnnnnnnnn` in `zone`.
pub(crate) fn date_clock<'a>(ts: u64, zone: &TimeZone, arena: &'a Bump) -> &'a [u8] {
    let mut text = Text::new(arena);
    push_date_clock(&mut text, ts, zone);
    text.finish()
}

/// `YYYY-MM-DD HH:MM:SS` in `zone`.
pub(crate) fn date_clock_seconds<'a>(ts: u64, zone: &TimeZone, arena: &'a Bump) -> &'a [u8] {
    let text = date_clock(ts, zone, arena);
    text.get(..text.len().saturating_sub(NANOS_CHARS)).unwrap_or(text)
}

/// `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn+0000`, always UTC.
pub(crate) fn iso8601(ts: u64, arena: &Bump) -> &[u8] {
    let t = local(ts, &TimeZone::UTC);
    let (year, month, day) = (t.year(), t.month(), t.day());
    let (hour, minute, second, nanos) = (t.hour(), t.minute(), t.second(), ts % SECOND);
    format(arena, format_args!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}+0000"))
}

/// Appends `YYYY-MM-DD HH:MM:SS.nnnnnnnnn` in `zone`.
pub(crate) fn push_date_clock(out: &mut Text<'_>, ts: u64, zone: &TimeZone) {
    let t = local(ts, zone);
    let (year, month, day) = (t.year(), t.month(), t.day());
    let (hour, minute, second, nanos) = (t.hour(), t.minute(), t.second(), ts % SECOND);
    out.put(format_args!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{nanos:09}"));
}

/// The civil time of `ts`. A u64 of nanoseconds ends in the year 2554, well inside what the calendar can hold.
fn local(ts: u64, zone: &TimeZone) -> DateTime {
    let seconds = i64::try_from(ts / SECOND).unwrap_or(0);
    let timestamp = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let offset: Offset = zone.to_offset(timestamp);
    offset.to_datetime(timestamp)
}

/// `.nnnnnnnnn`
const NANOS_CHARS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const TS: u64 = 1_470_327_477_881_785_348;

    #[test]
    fn prints_all_forms() {
        let arena = Bump::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let east = TimeZone::fixed(Offset::constant(2));
        assert_eq!(text(clock(TS, &TimeZone::UTC, &arena)), "16:17:57.881785348");
        assert_eq!(text(clock_seconds(TS, &east, &arena)), "18:17:57");
        assert_eq!(text(date_clock(TS, &east, &arena)), "2016-08-04 18:17:57.881785348");
        assert_eq!(text(date_clock_seconds(TS, &TimeZone::UTC, &arena)), "2016-08-04 16:17:57");
        assert_eq!(text(iso8601(TS, &arena)), "2016-08-04T16:17:57.881785348+0000");
    }

    #[test]
    fn any_timestamp_prints() {
        let arena = Bump::new();
        assert!(date_clock(u64::MAX, &TimeZone::UTC, &arena).starts_with(b"2554-07-2"));
        assert!(date_clock(0, &TimeZone::UTC, &arena).starts_with(b"1970-01-01 00:00:00.000000000"));
    }
}
