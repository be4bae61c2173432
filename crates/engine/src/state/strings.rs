//! Shared byte strings. In: names, arguments, environments and paths as events carry them. Out: reference-counted
//! slices that threads and open files share, so that a fork copies pointers and eleven thousand shells keep one
//! environment. The interner must never grow without bound: what nobody holds any more is swept out.

use hashbrown::HashSet;
use std::sync::Arc;

/// A shared, immutable byte string.
pub type Str = Arc<[u8]>;

/// Gives equal strings one allocation.
#[derive(Debug)]
pub struct Interner {
    known: HashSet<Str, foldhash::fast::RandomState>,
    empty: Str,
    sweep_at: usize,
}

impl Default for Interner {
    fn default() -> Self {
        Interner { known: HashSet::default(), empty: Arc::from(&b""[..]), sweep_at: SWEEP_FIRST }
    }
}

impl Interner {
    /// The shared string with these bytes.
    pub fn intern(&mut self, bytes: &[u8]) -> Str {
        if bytes.is_empty() {
            return Arc::clone(&self.empty);
        }
        if let Some(known) = self.known.get(bytes) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_at {
            self.sweep();
        }
        let fresh: Str = Arc::from(bytes);
        self.known.insert(Arc::clone(&fresh));
        fresh
    }

    /// `current` when it already has these bytes, else the interned string.
    pub fn renew(&mut self, current: &Str, bytes: &[u8]) -> Str {
        if **current == *bytes { Arc::clone(current) } else { self.intern(bytes) }
    }

    /// Strings held at the moment, including ones that only wait for the next sweep.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn sweep(&mut self) {
        self.known.retain(|s| Arc::strong_count(s) > 1);
        self.sweep_at = (self.known.len() * 2).max(SWEEP_FIRST);
    }
}

/// Strings that may gather before the first sweep; later sweeps come whenever the number has doubled.
const SWEEP_FIRST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_share_one_allocation() {
        let mut interner = Interner::default();
        let (a, b) = (interner.intern(b"bash"), interner.intern(b"bash"));
        assert!(Arc::ptr_eq(&a, &b));
        assert_eq!(interner.len(), 1);
    }

    #[test]
    fn unused_strings_are_swept() {
        let mut interner = Interner::default();
        let kept = interner.intern(b"kept");
        for n in 0..SWEEP_FIRST * 4 {
            interner.intern(n.to_string().as_bytes());
        }
        assert!(interner.len() <= SWEEP_FIRST);
        assert!(Arc::ptr_eq(&kept, &interner.intern(b"kept")));
    }
}
