//! Durations as configuration writes them: `1y2w3d4h5m6s7ms` comes in, milliseconds go out. Units appear in this order,
//! each at most once; a bare number is no duration because nobody could tell its unit.

/// Milliseconds of `text`; `None` when it is no such duration.
pub fn parse_ms(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    for (unit, ms) in UNITS {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let is_unit = tail.strip_prefix(unit).filter(|after| *unit != "m" || !after.starts_with('s'));
        if let (false, Some(after)) = (number.is_empty(), is_unit) {
            total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*ms)?)?;
            rest = after;
        }
    }
    rest.is_empty().then_some(total)
}

const UNITS: &[(&str, u64)] = &[
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units_in_order() {
        let check = |text: &str, want: Option<u64>| assert_eq!(parse_ms(text), want, "{text}");
        check("1h", Some(3_600_000));
        check("1h30m", Some(5_400_000));
        check("100ms", Some(100));
        check("1s5ms", Some(1_005));
        check("2w1d", Some(15 * 24 * 3_600_000));
        check("5000", None);
        check("5m1h", None);
        check("", None);
        check("99999999999999999999y", None);
    }
}
