//! The consumer side of a BPF ring buffer map: three shared mappings, read without copying. Records stay in place
//! until the consumer position is published, so a batch costs one store that the producers have to see.
//! Layout and protocol: `kernel/bpf/ringbuf.c` and the libbpf consumer, Linux 5.8 and later. A record is an 8-byte
//! header (u32 length with BUSY and DISCARD bits, u32 page offset) and its bytes, rounded up to 8.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::{io, ptr};

/// One mapped ring buffer. Only one consumer may exist per map: the kernel keeps a single consumer position.
#[derive(Debug)]
pub struct Ring {
    /// One page, writable: the consumer position.
    consumer: *mut u8,
    /// One page with the producer position, then the data twice in a row, read-only.
    producer: *mut u8,
    data_bytes: usize,
    page_bytes: usize,
    /// Where this consumer reads next; ahead of the published position within a batch.
    position: u64,
    /// The producer position as last seen.
    seen: u64,
}

// SAFETY: the mappings belong to this value alone and are valid in every thread of the process.
unsafe impl Send for Ring {}

impl Ring {
    /// Maps the ring buffer map behind `map`, whose `max_entries` is `data_bytes` (a power of two, whole pages).
    ///
    /// # Errors
    /// The errno of mmap(2): EPERM when the descriptor is not a writable ring buffer map.
    pub fn map(map: BorrowedFd<'_>, data_bytes: usize) -> io::Result<Ring> {
        // SAFETY: sysconf only reads.
        let page_bytes = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let consumer = map_shared(map, page_bytes, libc::PROT_READ | libc::PROT_WRITE, 0)?;
        let both = page_bytes + 2 * data_bytes;
        let producer =
            map_shared(map, both, libc::PROT_READ, page_bytes).inspect_err(|_| unmap(consumer, page_bytes))?;
        let mut ring = Ring { consumer, producer, data_bytes, page_bytes, position: 0, seen: 0 };
        ring.position = ring.consumer_position().load(Ordering::Acquire);
        Ok(ring)
    }

    /// The next committed record, or `None` when there is none yet. Discarded records are passed over.
    #[inline]
    pub fn peek(&mut self) -> Option<&[u8]> {
        loop {
            if self.position >= self.seen {
                self.seen = self.producer_position().load(Ordering::Acquire);
                if self.position >= self.seen {
                    return None;
                }
            }
            let at = self.offset();
            let header = self.header(at).load(Ordering::Acquire);
            if header & BUSY != 0 {
                return None;
            }
            if header & DISCARD == 0 {
                return Some(self.bytes(at + HEADER_BYTES, (header & LENGTH) as usize));
            }
            self.position += record_bytes(header);
        }
    }

    /// Steps over the record that [`Ring::peek`] showed; without effect when there is none.
    #[inline]
    pub fn advance(&mut self) {
        if self.position < self.seen {
            let header = self.header(self.offset()).load(Ordering::Relaxed);
            if header & BUSY == 0 {
                self.position += record_bytes(header);
            }
        }
    }

    /// Gives the space of everything stepped over back to the producers.
    pub fn publish(&mut self) {
        self.consumer_position().store(self.position, Ordering::Release);
    }

    /// Bytes between the consumer and the producers.
    pub fn pending_bytes(&self) -> u64 {
        self.producer_position().load(Ordering::Acquire).saturating_sub(self.position)
    }

    pub fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    fn offset(&self) -> usize {
        // data_bytes is a power of two, so the masked position fits usize
        usize::try_from(self.position & (self.data_bytes as u64 - 1)).unwrap_or(0)
    }

    fn consumer_position(&self) -> &AtomicU64 {
        // SAFETY: the first 8 bytes of the consumer page, which is mapped and aligned as long as self lives.
        unsafe { AtomicU64::from_ptr(self.consumer.cast()) }
    }

    fn producer_position(&self) -> &AtomicU64 {
        // SAFETY: the first 8 bytes of the producer page; only loads are done on this read-only mapping.
        unsafe { AtomicU64::from_ptr(self.producer.cast()) }
    }

    fn header(&self, at: usize) -> &AtomicU32 {
        // SAFETY: `at` is below data_bytes and a multiple of 8 (records are rounded up to 8 by the kernel).
        unsafe { AtomicU32::from_ptr(self.producer.add(self.page_bytes + at).cast()) }
    }

    fn bytes(&self, at: usize, len: usize) -> &[u8] {
        let len = len.min(self.data_bytes);
        // SAFETY: the data is mapped twice in a row, so `at` + len (each at most data_bytes) stays inside; a committed
        // record is not written again before the consumer position passes it, which needs `&mut self`.
        unsafe { std::slice::from_raw_parts(self.producer.add(self.page_bytes + at), len) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        unmap(self.consumer, self.page_bytes);
        unmap(self.producer, self.page_bytes + 2 * self.data_bytes);
    }
}

fn record_bytes(header: u32) -> u64 {
    (u64::from(header & LENGTH) + HEADER_BYTES as u64).next_multiple_of(8)
}

fn map_shared(map: BorrowedFd<'_>, len: usize, prot: i32, offset: usize) -> io::Result<*mut u8> {
    let offset = libc::off_t::try_from(offset).unwrap_or(0);
    // SAFETY: a new mapping at an address of the kernel's choice; the pointer is only used within `len`.
    let address = unsafe { libc::mmap(ptr::null_mut(), len, prot, libc::MAP_SHARED, map.as_raw_fd(), offset) };
    if address == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(address.cast()) }
}

fn unmap(address: *mut u8, len: usize) {
    // SAFETY: exactly a mapping made by map_shared; nothing refers to it any more.
    unsafe { libc::munmap(address.cast(), len) };
}

/// `BPF_RINGBUF_BUSY_BIT`: reserved, not yet committed.
const BUSY: u32 = 1 << 31;
/// `BPF_RINGBUF_DISCARD_BIT`.
const DISCARD: u32 = 1 << 30;
const LENGTH: u32 = DISCARD - 1;
/// `BPF_RINGBUF_HDR_SZ`.
const HEADER_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_up_to_eight() {
        assert_eq!(record_bytes(1), 16);
        assert_eq!(record_bytes(8), 16);
        assert_eq!(record_bytes(9 | DISCARD), 24);
    }

    #[test]
    fn what_is_no_ring_buffer_is_an_error() {
        let file = std::fs::File::open("/proc/self/status").expect("a file");
        let error = Ring::map(std::os::fd::AsFd::as_fd(&file), 4096).expect_err("not a map");
        assert!(error.raw_os_error().is_some());
    }
}
