//! A policy as the kernel program reads it: one blob of sorted tables and rows of bits, and the configuration that says
//! where they lie (`struct config` in bpf/policy.h). Comes in: a policy. Goes out: bytes, the same for equal policies, or
//! that they would not fit. Pure.

use crate::policy::ranges::{Number, Ranges};
use crate::policy::{Direction, Flow, Log, Policy, Verdict};
use std::collections::HashMap;

/// What is put into the kernel for one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// Value of the map `tables`.
    pub blob: Vec<u8>,
    /// Value of the global `config`.
    pub config: Vec<u8>,
    /// Rows of the map `counters`.
    pub counter_rows: u32,
}

/// What the loader decides, not the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surroundings {
    pub generation: u32,
    /// Returned for packets that pass.
    pub pass_verdict: i32,
    /// Return whole decisions, take time from the packets.
    pub trace: bool,
    /// Bytes before the network header: 14, or 0 on devices without link header.
    pub link_header: u32,
    pub coarse_clock: bool,
}

/// The policy has more than the tables can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    #[error("addresses and ports fall into more than {MAX_BOUNDS} stretches (merge CIDRs or split the policy)")]
    Bounds,
    #[error("rules overlap in more than {MAX_ROWS} ways (put addresses that share a verdict into one rule)")]
    Rows,
}

impl Tables {
    /// # Errors
    /// The policy does not fit.
    pub fn build(policy: &Policy, around: &Surroundings) -> Result<Tables, TooLarge> {
        let mut builder = Builder::new(policy);
        let tables = builder.finish(policy, around);
        builder.too_large.map_or(Ok(tables), Err)
    }
}

/// A flow and where it comes from.
struct Term {
    flow: Flow,
    rule: u16,
    verdict: Verdict,
    audited: bool,
}

struct Builder {
    terms: Vec<Term>,
    words: usize,
    blob: Vec<u8>,
    rows: Vec<Vec<u64>>,
    known: HashMap<Vec<u64>, u16>,
    config: Vec<u32>,
    too_large: Option<TooLarge>,
}

impl Builder {
    fn new(policy: &Policy) -> Self {
        let rules = policy.effective_rules();
        let mut terms = Vec::new();
        for (at, rule) in rules.into_iter().enumerate() {
            let number = u16::try_from(at).unwrap_or(u16::MAX);
            let term = |flow| Term { flow, rule: number, verdict: rule.verdict, audited: rule.audit };
            terms.extend(rule.flows.into_iter().map(term));
        }
        let words = terms.len().div_ceil(64).max(1);
        // the first word of the blob is zero: see FIND in policy.bpf.c
        Builder {
            terms,
            words,
            blob: vec![0; 8],
            rows: Vec::new(),
            known: HashMap::new(),
            config: Vec::new(),
            too_large: None,
        }
    }

    fn finish(&mut self, policy: &Policy, around: &Surroundings) -> Tables {
        self.addresses();
        self.transport();
        self.ethertypes();
        let protocols = self.protocols();
        let special = self.special_rows();
        let (rows, row_mask) = self.write_rows();
        let terms = self.write_terms();
        let words = u32::try_from(self.words).unwrap_or(u32::MAX);
        let row_shift = 3 + self.words.next_power_of_two().trailing_zeros();
        self.config.extend([words, row_shift, rows, row_mask, protocols]);
        self.config.extend(special);
        self.config.extend([
            terms,
            u32::from(policy.default == Verdict::Allow),
            u32::from(policy.malformed == Verdict::Allow),
            u32::from(policy.audit),
            u32::from(policy.state.enabled),
            u32::from(policy.state.recheck),
            around.generation,
            log_level(policy.log),
            around.pass_verdict.cast_unsigned(),
            u32::from(around.trace),
            around.link_header,
            u32::from(around.coarse_clock),
            0,
        ]);
        let counter_rows = FIRST_RULE_ROW + u32::try_from(policy.effective_rules().len()).unwrap_or(u32::MAX);
        let config = self.config.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Tables { blob: std::mem::take(&mut self.blob), config, counter_rows }
    }

    fn addresses(&mut self) {
        let source = |flow: &Flow| flow.from.is_some();
        let destination = |flow: &Flow| flow.to.is_some();
        self.search(source, |f| f.from.as_ref().map(|a| a.v4.as_slice()), write32);
        self.search(destination, |f| f.to.as_ref().map(|a| a.v4.as_slice()), write32);
        self.search(source, |f| f.from.as_ref().map(|a| a.v6.as_slice()), write128);
        self.search(destination, |f| f.to.as_ref().map(|a| a.v6.as_slice()), write128);
    }

    fn transport(&mut self) {
        self.search(|f| !f.source_ports.is_any(), |f| given(&f.source_ports), write16);
        self.search(
            |f| !f.ports.is_any() || !f.icmp.is_any(),
            |f| if f.icmp.is_any() { given(&f.ports) } else { Some(&[]) },
            write16,
        );
        let ports = |f: &Flow| !f.ports.is_any() || !f.source_ports.is_any();
        self.search(|f| !f.icmp.is_any(), |f| if ports(f) { Some(&[]) } else { given(&f.icmp) }, write16);
    }

    fn ethertypes(&mut self) {
        self.search(|_| true, |f| if f.wants_ip() { Some(&[]) } else { given(&f.ethertypes) }, write16);
    }

    /// One sorted table for one condition: `used` says which flows have it, `ranges` what they admit (`None`: anything).
    fn search<T: Number>(
        &mut self,
        used: impl Fn(&Flow) -> bool,
        ranges: impl Fn(&Flow) -> Option<&[(T, T)]>,
        write: fn(&mut Vec<u8>, T),
    ) {
        if !self.terms.iter().any(|t| used(&t.flow)) {
            self.config.extend([0, 0, 0, 0]);
            return;
        }
        let (bounds, rows) = self.intervals(&ranges);
        if bounds.len() > MAX_BOUNDS {
            self.too_large = Some(TooLarge::Bounds);
        }
        let steps = bounds.len().next_power_of_two().trailing_zeros();
        let keys = self.place();
        let last = bounds.last().copied().unwrap_or(T::MIN);
        for at in 0..1usize << steps {
            write(&mut self.blob, bounds.get(at).copied().unwrap_or(last));
        }
        let row_numbers = self.place();
        let last = rows.last().copied().unwrap_or(0);
        for at in 0..1usize << steps {
            write16(&mut self.blob, rows.get(at).copied().unwrap_or(last));
        }
        self.config.extend([1, steps, keys, row_numbers]);
    }

    /// Lower bounds of the stretches in which the same flows apply, and the row of each.
    fn intervals<T: Number>(&mut self, ranges: &impl Fn(&Flow) -> Option<&[(T, T)]>) -> (Vec<T>, Vec<u16>) {
        let mut always = vec![0u64; self.words];
        let mut changes: Vec<(T, usize)> = Vec::new();
        for (at, term) in self.terms.iter().enumerate() {
            match ranges(&term.flow) {
                None => flip(&mut always, at),
                Some(ranges) => {
                    for &(first, last) in ranges {
                        changes.push((first, at));
                        changes.extend(last.next().map(|after| (after, at)));
                    }
                }
            }
        }
        changes.sort_unstable();
        let (mut bounds, mut rows) = (vec![T::MIN], Vec::new());
        let mut bits = always;
        for (bound, term) in changes {
            if bounds.last() != Some(&bound) {
                rows.push(self.row(&bits));
                bounds.push(bound);
            }
            flip(&mut bits, term);
        }
        rows.push(self.row(&bits));
        merge_equal(&mut bounds, &mut rows);
        (bounds, rows)
    }

    fn protocols(&mut self) -> u32 {
        if self.terms.iter().all(|t| t.flow.protocols.is_any()) {
            return NOT_USED;
        }
        let rows: Vec<u16> =
            (0..=u8::MAX).map(|protocol| self.row_where(|t| t.flow.protocols.admits(protocol))).collect();
        let place = self.place();
        rows.into_iter().for_each(|row| write16(&mut self.blob, row));
        place
    }

    /// In the order of `struct config`: no_transport, ports_only, icmp_only, ip, direction[2], audited.
    fn special_rows(&mut self) -> [u32; 7] {
        let no_ports = |f: &Flow| f.ports.is_any() && f.source_ports.is_any();
        let row = |row: u16| u32::from(row);
        let directed = self.terms.iter().any(|t| t.flow.direction.is_some());
        let audited = self.terms.iter().any(|t| t.audited);
        let direction = |builder: &mut Self, wanted| {
            row(builder.row_where(|t| t.flow.direction.is_none_or(|direction| direction == wanted)))
        };
        [
            row(self.row_where(|t| no_ports(&t.flow) && t.flow.icmp.is_any())),
            row(self.row_where(|t| t.flow.icmp.is_any())),
            row(self.row_where(|t| no_ports(&t.flow))),
            row(self.row_where(|t| t.flow.ethertypes.is_any())),
            if directed { direction(self, Direction::In) } else { NOT_USED },
            if directed { direction(self, Direction::Out) } else { NOT_USED },
            if audited { row(self.row_where(|t| t.audited)) } else { NOT_USED },
        ]
    }

    fn row_where(&mut self, holds: impl Fn(&Term) -> bool) -> u16 {
        let mut bits = vec![0u64; self.words];
        for at in self.terms.iter().enumerate().filter(|(_, t)| holds(t)).map(|(at, _)| at) {
            flip(&mut bits, at);
        }
        self.row(&bits)
    }

    /// The number of a row with these bits; equal rows are kept once.
    fn row(&mut self, bits: &[u64]) -> u16 {
        if let Some(number) = self.known.get(bits) {
            return *number;
        }
        if self.rows.len() == MAX_ROWS {
            self.too_large = Some(TooLarge::Rows);
            return 0;
        }
        let number = u16::try_from(self.rows.len()).unwrap_or(u16::MAX);
        self.rows.push(bits.to_vec());
        self.known.insert(bits.to_vec(), number);
        number
    }

    fn write_rows(&mut self) -> (u32, u32) {
        let place = self.place();
        let count = self.rows.len().next_power_of_two();
        for at in 0..count {
            for word in 0..self.words.next_power_of_two() {
                let bits = self.rows.get(at).and_then(|row| row.get(word)).copied().unwrap_or(0);
                self.blob.extend(bits.to_ne_bytes());
            }
        }
        (place, u32::try_from(count - 1).unwrap_or(u32::MAX))
    }

    /// All slots are written: the program masks its index, and the verifier must see that it stays inside.
    fn write_terms(&mut self) -> u32 {
        let place = self.place();
        for at in 0..TERM_SLOTS {
            let term =
                self.terms.get(at).map_or(0, |t| t.rule | if t.verdict == Verdict::Allow { ALLOW_BIT } else { 0 });
            write16(&mut self.blob, term);
        }
        place
    }

    /// The end of the blob, on an 8-byte boundary.
    fn place(&mut self) -> u32 {
        self.blob.resize(self.blob.len().next_multiple_of(8), 0);
        u32::try_from(self.blob.len()).unwrap_or(u32::MAX)
    }
}

fn given<T: Number>(ranges: &Ranges<T>) -> Option<&[(T, T)]> {
    if ranges.is_any() { None } else { Some(ranges.as_slice()) }
}

fn flip(bits: &mut [u64], at: usize) {
    if let Some(word) = bits.get_mut(at / 64) {
        *word ^= 1 << (at % 64);
    }
}

fn merge_equal<T: Number>(bounds: &mut Vec<T>, rows: &mut Vec<u16>) {
    let mut kept: Vec<(T, u16)> = Vec::with_capacity(bounds.len());
    for pair in bounds.iter().copied().zip(rows.iter().copied()) {
        if kept.last().map(|(_, row)| *row) != Some(pair.1) {
            kept.push(pair);
        }
    }
    (*bounds, *rows) = kept.into_iter().unzip();
}

fn write16(blob: &mut Vec<u8>, value: u16) {
    blob.extend(value.to_ne_bytes());
}

fn write32(blob: &mut Vec<u8>, value: u32) {
    blob.extend(value.to_ne_bytes());
}

/// High half first: the program compares halves.
fn write128(blob: &mut Vec<u8>, value: u128) {
    let bytes = value.to_be_bytes();
    for half in bytes.chunks_exact(8) {
        let half: [u8; 8] = half.try_into().unwrap_or_default();
        blob.extend(u64::from_be_bytes(half).to_ne_bytes());
    }
}

fn log_level(log: Log) -> u32 {
    match log {
        Log::None => 0,
        Log::Denied => 1,
        Log::All => 2,
    }
}

/// Counter rows of the policy itself (`enum` in policy.h).
pub const FIRST_RULE_ROW: u32 = 4;
/// 2^`MAX_STEPS` in policy.bpf.c.
const MAX_BOUNDS: usize = 1 << 20;
/// Row numbers are 16 bits wide.
const MAX_ROWS: usize = 1 << 16;
const NOT_USED: u32 = u32::MAX;
const ALLOW_BIT: u16 = 0x8000;
/// `MAX_WORDS * 64` in policy.bpf.c.
const TERM_SLOTS: usize = crate::policy::MAX_FLOWS;
