//! Any bytes as a capture file: reading ends, in events and at most one fatal error, and nothing panics. What is read
//! can be written and reads back the same.

#![no_main]

use capture::{Compression, Item, Reader, Writer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = Reader::open(bytes) else { return };
    let Ok(mut writer) = Writer::new(Vec::new(), Compression::Plain, reader.snapshot()) else { return };
    let mut written = 0u64;
    loop {
        match reader.next() {
            Ok(Some(Item::Event(record))) => {
                written += u64::from(writer.event(&record.event, record.state_only).is_ok());
            }
            Ok(Some(Item::Section(_))) => {}
            Ok(None) => break,
            Err(error) if error.concerns_one_event() => {}
            Err(_) => break,
        }
    }
    let Ok(again) = writer.finish() else { return };
    let mut reader = Reader::open(&again[..]).expect("what was written reads");
    let mut read = 0u64;
    while let Ok(Some(_)) = reader.next() {
        read += 1;
    }
    assert_eq!(read, written);
});
