//! Which CPUs the machine has: lists such as `0-3,8` below /sys/devices/system/cpu, parsed; and the clock of the events.

use crate::Error;
use rustix::time::{ClockId, clock_gettime};

/// CPU numbers that may ever be used; per-CPU tables are indexed by them.
pub fn possible() -> Result<Vec<u16>, Error> {
    list("/sys/devices/system/cpu/possible")
}

/// CPU numbers in use now.
pub fn online() -> Result<Vec<u16>, Error> {
    list("/sys/devices/system/cpu/online")
}

/// Wall clock of boot in ns: events carry it plus the time since boot. Of several readings the one counts that took
/// the least time, so that a pause between the two clocks does not shift every event.
pub fn boot_ns() -> u64 {
    let sample = || {
        let before = nanos(ClockId::Boottime);
        let wall = nanos(ClockId::Realtime);
        let after = nanos(ClockId::Boottime);
        (after - before, wall - (before + after) / 2)
    };
    let best = (0..SAMPLES).map(|_| sample()).min_by_key(|(took, _)| *took);
    best.map_or(0, |(_, boot)| u64::try_from(boot).unwrap_or(0))
}

/// The time that an event written now would carry.
pub fn now_ns(boot_ns: u64) -> u64 {
    boot_ns.saturating_add(u64::try_from(nanos(ClockId::Boottime)).unwrap_or(0))
}

fn nanos(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn list(path: &'static str) -> Result<Vec<u16>, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path, source })?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Vec<u16> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<u16>().ok()?..=last.trim().parse::<u16>().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

const SAMPLES: usize = 16;

#[cfg(test)]
mod tests {
    #[test]
    fn lists_of_ranges() {
        assert_eq!(super::parse("0-2,8\n"), [0, 1, 2, 8]);
        assert_eq!(super::parse("0\n"), [0]);
        assert_eq!(super::parse("\n"), [0u16; 0]);
    }

    #[test]
    fn boot_lies_in_the_past_but_after_the_epoch() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos();
        let boot = u128::from(super::boot_ns());
        assert!(boot > 1_500_000_000_000_000_000 && boot < now);
    }
}
