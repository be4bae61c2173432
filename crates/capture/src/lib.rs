//! Reader and writer of capture files (`.scap`): a snapshot of the machine followed by events, plain or gzip.
//!
//! In come bytes of any version of the format and of any quality; out go a [`Snapshot`](event::snapshot::Snapshot) and
//! events of the current versions, because events of older versions are converted while they are read. Nothing here may
//! panic on foreign bytes, trust a length before the data has arrived, or drop anything without counting it.

#![forbid(unsafe_code)]

mod block;
mod convert;
mod enters;
mod error;
mod fdlist;
mod lists;
mod metadata;
mod proclist;
mod reader;
mod tables;
mod v1;
mod window;
mod writer;

pub use error::Error;
pub use reader::{Counters, Item, Reader, Record};
pub use writer::{Compression, Whole, Writer};
