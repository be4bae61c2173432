//! Rewrites a capture of any version in the current one. In come two file names and, for an uncompressed copy, `-p`; out
//! goes the copy and how long it took.

#![allow(clippy::print_stdout)]

use capture::{Compression, Item, Reader, Writer};
use std::fs::File;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let compression = if args.iter().any(|a| a == "-p") { Compression::Plain } else { Compression::Gzip };
    let mut files = args.iter().filter(|a| *a != "-p");
    let (from, to) = files.next().zip(files.next()).ok_or("from which capture, to which?")?;
    let begin = Instant::now();
    let mut reader = Reader::open(File::open(from)?)?;
    let mut writer = Writer::new(File::create(to)?, compression, &reader.take_snapshot())?;
    let mut events = 0u64;
    while let Some(item) = reader.next()? {
        match item {
            Item::Event(record) => writer.event(&record.event, record.state_only)?,
            Item::Section(snapshot) => writer.section(snapshot)?,
        }
        events += 1;
    }
    let clipped = writer.clipped_texts();
    let bytes = writer.finish()?.metadata()?.len();
    let nanos = begin.elapsed().as_nanos() / u128::from(events.max(1));
    println!("{events} events, {bytes} bytes, {clipped} texts clipped, {nanos} ns each");
    Ok(())
}
