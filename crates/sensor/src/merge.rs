//! Several rings, one stream: always the oldest of the heads next. Positions are given back in batches, since every
//! store is a cache line that the producers have to fetch again.

use load::Ring;

/// The rings of all CPUs with the time of the next event of each.
#[derive(Debug)]
pub struct Rings {
    rings: Vec<(u16, Ring)>,
    heads: Vec<u64>,
    unpublished: Vec<u32>,
}

impl Rings {
    /// `rings` with the number of the first CPU that each serves.
    pub fn new(rings: Vec<(u16, Ring)>) -> Rings {
        let count = rings.len();
        Rings { rings, heads: vec![NONE; count], unpublished: vec![0; count] }
    }

    /// Hands out at most `limit` records, oldest first, and gives their space back. The count is of records handed out.
    /// Records younger than `horizon` wait: while they are written, an older one may still be on its way into a ring
    /// that was empty when this began.
    pub fn drain(&mut self, limit: usize, horizon: u64, mut take: impl FnMut(&[u8], u16)) -> usize {
        (0..self.rings.len()).for_each(|i| self.refresh(i));
        let mut taken = 0;
        while taken < limit {
            let Some((i, _)) =
                self.heads.iter().enumerate().min_by_key(|(_, ts)| **ts).filter(|(_, ts)| **ts <= horizon)
            else {
                break;
            };
            self.take_one(i, &mut take);
            taken += 1;
        }
        self.publish();
        taken
    }

    /// Bytes that wait in the fullest ring, and the size of that ring.
    pub fn fullest(&self) -> (u64, usize) {
        let fill = self.rings.iter().map(|(_, r)| (r.pending_bytes(), r.data_bytes()));
        fill.max().unwrap_or_default()
    }

    fn take_one(&mut self, i: usize, take: &mut impl FnMut(&[u8], u16)) {
        let Some((cpu, ring)) = self.rings.get_mut(i) else { return };
        if let Some(record) = ring.peek() {
            take(record, *cpu);
            ring.advance();
        }
        if let Some(count) = self.unpublished.get_mut(i) {
            *count += 1;
            if *count >= BATCH {
                ring.publish();
                *count = 0;
            }
        }
        self.refresh(i);
    }

    fn refresh(&mut self, i: usize) {
        if let (Some((_, ring)), Some(head)) = (self.rings.get_mut(i), self.heads.get_mut(i)) {
            *head = ring.peek().map_or(NONE, timestamp);
        }
    }

    fn publish(&mut self) {
        for ((_, ring), count) in self.rings.iter_mut().zip(&mut self.unpublished) {
            if std::mem::take(count) > 0 {
                ring.publish();
            }
        }
    }
}

/// Events begin with their time. A record too short to have one goes out at once and fails to decode.
fn timestamp(record: &[u8]) -> u64 {
    record.first_chunk().map_or(0, |ts| u64::from_le_bytes(*ts).min(NONE - 1))
}

/// No record waits.
const NONE: u64 = u64::MAX;
/// Records between two stores of a consumer position.
const BATCH: u32 = 256;
