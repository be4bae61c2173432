//! Captures that are cut, damaged, from the future, or made to exhaust memory: everything before the fault is delivered,
//! the error says where, and nothing panics whatever the bytes are.

mod common;

use capture::{Compression, Error};
use common::{full_snapshot, read, some_events, write};
use proptest::prelude::*;

fn good() -> Vec<u8> {
    write(&full_snapshot(), &some_events(), Compression::Plain)
}

/// Different enough that a compressed capture is not tiny.
fn many_events() -> Vec<common::OwnedEvent> {
    let event = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    (0..8000).map(|n| common::owned(0, event::Kind::SYSCALL_CLOSE_X, &[&event(n), &event(n + 1)])).collect()
}

#[test]
fn every_cut_delivers_what_came_before() {
    let bytes = good();
    let whole = read(&bytes);
    for end in 0..bytes.len() {
        if (2000..bytes.len() - 600).contains(&end) && end % 997 != 0 {
            continue; // the large payload
        }
        let part = read(&bytes[..end]);
        assert!(whole.events.starts_with(&part.events), "cut at {end}");
        match &part.errors[..] {
            [] => assert!(!part.events.is_empty(), "cut at {end} between two events"),
            [Error::Truncated { at, events }] => {
                assert!(*at <= end as u64 && *events == part.events.len() as u64, "cut at {end}: {at}, {events}");
            }
            [Error::NoEvents | Error::NotACapture(_)] => assert!(part.events.is_empty(), "cut at {end}"),
            other => panic!("cut at {end}: {other:?}"),
        }
    }
}

#[test]
fn a_cut_gzip_stream_delivers_what_came_before() {
    let bytes = write(&full_snapshot(), &many_events(), Compression::Gzip);
    let part = read(&bytes[..bytes.len() / 2]);
    assert!(part.events.len() > 1000, "{} events", part.events.len());
    assert!(matches!(&part.errors[..], [Error::Truncated { .. }]), "{:?}", part.errors);
}

#[test]
fn damaged_gzip_data_is_told_from_a_cut() {
    let mut bytes = write(&full_snapshot(), &many_events(), Compression::Gzip);
    let end = bytes.len();
    bytes[end - 8] ^= 0xff; // checksum
    let contents = read(&bytes);
    assert_eq!(contents.events.len(), 8000);
    assert!(matches!(&contents.errors[..], [Error::Input { .. }]), "{:?}", contents.errors);
}

#[test]
fn what_is_no_capture_says_so() {
    let message = |bytes: &[u8]| read(bytes).errors.first().map(ToString::to_string).unwrap_or_default();
    assert_eq!(message(b""), "not a capture file: it is empty");
    assert_eq!(message(b"hello\n"), "not a capture file: it is shorter than a section header");
    assert_eq!(message(b"#!/bin/sh\necho"), "not a capture file: it does not begin with a section header");
    let mut future = good();
    future[12] = 2;
    assert!(message(&future).starts_with("capture format 2.2 is newer than 1.x"), "{}", message(&future));
    let mut swapped = good();
    swapped[8..12].reverse();
    assert_eq!(message(&swapped), "not a capture file: it was recorded on a big-endian machine");
    let tables_only = write(&full_snapshot(), &[], Compression::Plain);
    assert_eq!(message(&tables_only), "no events in capture");
}

#[test]
fn one_bad_event_does_not_end_the_capture() {
    let mut bytes = good();
    let event = &some_events()[0].raw;
    let at = bytes.windows(event.len()).position(|w| w == event).unwrap();
    bytes[at + 16] ^= 1; // its length
    let contents = read(&bytes);
    assert_eq!(contents.events, some_events()[1..]);
    assert!(matches!(&contents.errors[..], [e @ Error::BadEvent { .. }] if e.concerns_one_event()));
}

#[test]
fn unknown_blocks_and_events_are_skipped_and_counted() {
    let mut bytes = write(&full_snapshot(), &some_events(), Compression::Plain);
    for (ty, body) in [(0x7777u32, &[1u8; 8][..]), (0x216, &future_event()[..])] {
        let bytes_total = u32::try_from(body.len() + 12).unwrap();
        bytes.extend(ty.to_le_bytes());
        bytes.extend(bytes_total.to_le_bytes());
        bytes.extend(body);
        bytes.extend(bytes_total.to_le_bytes());
    }
    let mut reader = capture::Reader::open(&bytes[..]).unwrap();
    while reader.next().unwrap().is_some() {}
    assert_eq!((reader.counters().unknown_blocks, reader.counters().unknown_events), (1, 1));
}

/// CPU number and an event of a kind that does not exist yet, padded.
fn future_event() -> Vec<u8> {
    let mut body = vec![0u8; 28];
    body[18] = 26;
    body[22..24].copy_from_slice(&9999u16.to_le_bytes());
    body
}

#[test]
fn lengths_that_lie_cost_no_memory() {
    let mut bytes = good();
    // the machine block claims 4 GiB, then the data ends
    bytes[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(&read(&bytes).errors[..], [Error::Damaged { .. } | Error::Truncated { .. }]));
    // an event block claims more than any event has
    let mut bytes = good();
    bytes.extend(0x216u32.to_le_bytes());
    bytes.extend(0x0fff_fff0u32.to_le_bytes());
    bytes.resize(bytes.len() + 1000, 0);
    assert!(matches!(&read(&bytes).errors[..], [Error::Damaged { what: "an event block is too long", .. }]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(!read(&bytes).errors.is_empty());
    }

    #[test]
    fn arbitrary_bytes_behind_a_good_header_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let mut all = good()[..28].to_vec();
        all.extend(bytes);
        prop_assert!(!read(&all).errors.is_empty());
    }

    #[test]
    fn changed_bytes_never_panic(changes in proptest::collection::vec((0usize..3500, any::<u8>()), 1..8)) {
        let mut bytes = good();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let contents = read(&bytes);
        prop_assert!(contents.events.len() <= some_events().len());
    }

    #[test]
    fn changed_recordings_never_panic(
        file in 0usize..16, changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
    ) {
        let small: Vec<_> = RECORDINGS.iter().filter(|bytes| bytes.len() < 50_000).collect();
        if let Some(original) = small.get(file % small.len().max(1)) {
            let mut bytes = original.to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let contents = read(&bytes);
            prop_assert!(contents.events.len() <= 100_000);
        }
    }
}

static RECORDINGS: std::sync::LazyLock<Vec<Vec<u8>>> =
    std::sync::LazyLock::new(|| common::corpus().iter().map(|path| std::fs::read(path).unwrap()).collect());

/// One of everything the format ever had, made by hand; whatever byte is changed or missing, reading ends.
#[test]
fn seeds_of_the_fuzz_target_read_and_break_without_a_panic() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/capture_read");
    let mut count = 0;
    for path in std::fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = std::fs::read(&path).unwrap();
        let contents = read(&bytes);
        assert!(contents.snapshots.len() * contents.events.len() > 0, "{}: {:?}", path.display(), contents.errors);
        for at in 0..bytes.len() {
            read(&bytes[..at]);
            let mut changed = bytes.clone();
            changed[at] ^= 0xff;
            read(&changed);
        }
        count += 1;
    }
    assert!(count >= 12, "{count} seeds");
}
