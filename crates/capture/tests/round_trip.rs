//! What is written reads back the same: snapshots and events made here, and every recorded capture after its events
//! became current ones. Also several sections, several gzip members and what the counters say.

mod common;

use capture::{Compression, Reader, Writer};
use common::{full_snapshot, read, some_events, write};
use event::Kind;
use event::snapshot::Snapshot;

#[test]
fn one_of_everything() {
    for compression in [Compression::Plain, Compression::Gzip] {
        let bytes = write(&full_snapshot(), &some_events(), compression);
        let contents = read(&bytes);
        assert_eq!(contents.snapshots, [full_snapshot()]);
        assert_eq!(contents.events, some_events());
        assert!(contents.errors.is_empty(), "{:?}", contents.errors);
    }
}

#[test]
fn recorded_captures() {
    for path in common::corpus() {
        let name = path.file_name().unwrap().display();
        let first = read(&std::fs::read(&path).unwrap());
        assert!(first.errors.is_empty() && !first.events.is_empty(), "{name}: {:?}", first.errors);
        let second = read(&write(&first.snapshots[0], &first.events, Compression::Plain));
        assert_eq!(first.snapshots, second.snapshots, "{name}");
        assert!(first.events == second.events, "{name}: events differ");
    }
}

#[test]
fn large_snapshots_span_several_blocks() {
    let mut snapshot = full_snapshot();
    let proc = snapshot.procs[0].clone();
    snapshot.procs = (0..10_000).map(|tid| event::snapshot::Proc { tid, ..proc.clone() }).collect();
    let contents = read(&write(&snapshot, &some_events(), Compression::Gzip));
    assert!(contents.snapshots == [snapshot]);
}

#[test]
fn sections_begin_anew() {
    for members in [false, true] {
        let mut bytes = write(&full_snapshot(), &some_events(), Compression::Gzip);
        let other = Snapshot { procs: Vec::new(), ..full_snapshot() };
        let second = write(&other, &some_events(), Compression::Gzip);
        if members {
            bytes.extend(second); // two gzip members
        } else {
            let mut writer = Writer::new(Vec::new(), Compression::Plain, &full_snapshot()).unwrap();
            let append = |writer: &mut Writer<Vec<u8>>| {
                for e in some_events() {
                    writer.event(&event::Event::decode(&e.raw, e.cpu).unwrap(), e.state_only).unwrap();
                }
            };
            append(&mut writer);
            writer.section(&other).unwrap();
            append(&mut writer);
            bytes = writer.finish().unwrap();
        }
        let contents = read(&bytes);
        assert_eq!(contents.snapshots, [full_snapshot(), other]);
        assert_eq!(contents.events.len(), 2 * some_events().len());
        assert!(contents.errors.is_empty(), "{:?}", contents.errors);
    }
}

#[test]
fn what_follows_the_last_gzip_member_is_left_alone() {
    let mut bytes = write(&full_snapshot(), &some_events(), Compression::Gzip);
    bytes.extend(b"no gzip");
    let contents = read(&bytes);
    assert_eq!(contents.events.len(), some_events().len());
    assert!(contents.errors.is_empty(), "{:?}", contents.errors);
}

#[test]
fn texts_that_readers_refuse_are_clipped_and_counted() {
    let mut snapshot = full_snapshot();
    snapshot.procs[0].exepath = vec![b'a'; 2000];
    snapshot.procs[0].env = vec![b'e'; 70_000];
    let mut writer = Writer::new(Vec::new(), Compression::Plain, &snapshot).unwrap();
    let event = &some_events()[0];
    writer.event(&event::Event::decode(&event.raw, 0).unwrap(), false).unwrap();
    assert_eq!(writer.clipped_texts(), 2);
    let contents = read(&writer.finish().unwrap());
    let proc = &contents.snapshots[0].procs[0];
    assert_eq!((proc.exepath.len(), proc.env.len()), (1024, 4096));
}

#[test]
fn an_event_too_long_for_its_block_is_refused() {
    let long = common::owned(0, Kind::SYSCALL_OPEN_X, &[&[0; 40_000], &[0; 40_000]]);
    let mut writer = Writer::new(Vec::new(), Compression::Plain, &Snapshot::default()).unwrap();
    let error = writer.event(&event::Event::decode(&long.raw, 0).unwrap(), false).unwrap_err();
    assert!(error.to_string().starts_with("event `PPME_SYSCALL_OPEN_X` has 80"), "{error}");
}

#[test]
fn progress_and_counters() {
    let bytes = write(&full_snapshot(), &some_events(), Compression::Gzip);
    let mut reader = Reader::open(&bytes[..]).unwrap();
    assert_eq!(reader.take_snapshot(), full_snapshot());
    while reader.next().unwrap().is_some() {}
    assert_eq!(reader.input_bytes(), bytes.len() as u64);
    assert_eq!((reader.counters().events, reader.counters().converted, reader.counters().sections), (4, 0, 1));
}

/// Takes so many bytes and no more, like a disk.
struct Disk {
    bytes: Vec<u8>,
    capacity: usize,
}

impl std::io::Write for &mut Disk {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = self.capacity - self.bytes.len();
        if room == 0 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(room);
        self.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_fills_up_holds_a_whole_capture() {
    for compression in [Compression::Plain, Compression::Gzip] {
        let mut disk = Disk { bytes: Vec::new(), capacity: 300_001 };
        let noise = (0..1000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<u8>>();
        let long = common::owned(0, Kind::SYSCALL_WRITE_X, &[&[0; 8], &noise, &[0; 8], &[0; 4]]);
        let event = event::Event::decode(&long.raw, 0).unwrap();
        let mut writer = Writer::new(&mut disk, compression, &full_snapshot()).unwrap();
        let mut tries = 0;
        while writer.event(&event, false).is_ok() {
            tries += 1;
            assert!(tries < 100_000, "the disk never fills");
        }
        let whole = writer.whole();
        drop(writer);
        assert!(whole.events > 0 && whole.events <= tries, "{compression:?}: {whole:?} after {tries} events");
        let contents = read(&disk.bytes[..usize::try_from(whole.bytes).unwrap()]);
        assert!(contents.errors.is_empty(), "{compression:?}: {:?}", contents.errors);
        assert_eq!(contents.events.len() as u64, whole.events);
        let mut full = Disk { bytes: Vec::new(), capacity: 100 };
        assert!(Writer::new(&mut full, compression, &full_snapshot()).is_err(), "known at once");
    }
}
