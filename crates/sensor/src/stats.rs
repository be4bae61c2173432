//! Counters: what the programs saw and what was lost, by cause. The order is that of `enum counter` in bpf/sensor.h.

/// One counter of the kernel side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Seen, dropped ones included.
    Events,
    /// No room in the ring; the following ones say for which events, where a category exists.
    DropsBuffer,
    CloneForkExit,
    ExecveExit,
    ConnectEnter,
    ConnectExit,
    OpenEnter,
    OpenExit,
    DirFileExit,
    OtherInterestExit,
    CloseExit,
    ProcExit,
    /// Larger than an event may be.
    DropsEventSize,
    /// The program that fills this family of events was refused at the start.
    DropsNoProgram,
    /// No scratch area: a CPU beyond those that the kernel called possible.
    DropsScratch,
}

impl Counter {
    /// Every counter in the order of the kernel side.
    pub const ALL: [Counter; 15] = [
        Counter::Events,
        Counter::DropsBuffer,
        Counter::CloneForkExit,
        Counter::ExecveExit,
        Counter::ConnectEnter,
        Counter::ConnectExit,
        Counter::OpenEnter,
        Counter::OpenExit,
        Counter::DirFileExit,
        Counter::OtherInterestExit,
        Counter::CloseExit,
        Counter::ProcExit,
        Counter::DropsEventSize,
        Counter::DropsNoProgram,
        Counter::DropsScratch,
    ];

    /// Name in status and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Counter::Events => "n_evts",
            Counter::DropsBuffer => "n_drops_buffer_total",
            Counter::CloneForkExit => "n_drops_buffer_clone_fork_exit",
            Counter::ExecveExit => "n_drops_buffer_execve_exit",
            Counter::ConnectEnter => "n_drops_buffer_connect_enter",
            Counter::ConnectExit => "n_drops_buffer_connect_exit",
            Counter::OpenEnter => "n_drops_buffer_open_enter",
            Counter::OpenExit => "n_drops_buffer_open_exit",
            Counter::DirFileExit => "n_drops_buffer_dir_file_exit",
            Counter::OtherInterestExit => "n_drops_buffer_other_interest_exit",
            Counter::CloseExit => "n_drops_buffer_close_exit",
            Counter::ProcExit => "n_drops_buffer_proc_exit",
            Counter::DropsEventSize => "n_drops_scratch_map",
            Counter::DropsNoProgram => "n_drops_no_program",
            Counter::DropsScratch => "n_drops_bug",
        }
    }
}

/// All counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Per possible CPU, indexed by [`Counter`].
    pub per_cpu: Vec<[u64; Counter::ALL.len()]>,
    /// Records from the rings that were no events of the table.
    pub decode_errors: u64,
    /// Events handed out so far.
    pub delivered: u64,
    pub iterated: Iterated,
}

/// What the iterators told of at the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Iterated {
    pub tasks: u64,
    pub files: u64,
    /// Records of each that were none.
    pub damaged_tasks: u64,
    pub damaged_files: u64,
}

impl Stats {
    /// Sum over all CPUs.
    pub fn total(&self, counter: Counter) -> u64 {
        self.per_cpu.iter().map(|c| c[counter as usize]).sum()
    }

    /// Everything lost on one CPU.
    pub fn cpu_drops(&self, cpu: usize) -> u64 {
        let lost = |c: &[u64; Counter::ALL.len()]| CAUSES.iter().map(|d| c[*d as usize]).sum();
        self.per_cpu.get(cpu).map_or(0, lost)
    }

    /// Everything lost.
    pub fn drops(&self) -> u64 {
        CAUSES.iter().map(|c| self.total(*c)).sum()
    }

    pub(crate) fn of_cpu(bytes: &[u8]) -> [u64; Counter::ALL.len()] {
        let mut counters = [0; Counter::ALL.len()];
        for (counter, raw) in counters.iter_mut().zip(bytes.chunks_exact(8)) {
            *counter = u64::from_ne_bytes(raw.try_into().unwrap_or_default());
        }
        counters
    }
}

/// Each lost event is in exactly one of these.
const CAUSES: [Counter; 4] =
    [Counter::DropsBuffer, Counter::DropsEventSize, Counter::DropsNoProgram, Counter::DropsScratch];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_counts_once() {
        let mut cpu = [0; Counter::ALL.len()];
        cpu[Counter::Events as usize] = 10;
        cpu[Counter::DropsBuffer as usize] = 3;
        cpu[Counter::OpenExit as usize] = 2;
        let stats = Stats { per_cpu: vec![cpu, cpu], ..Stats::default() };
        assert_eq!(
            (stats.total(Counter::Events), stats.drops(), stats.cpu_drops(1), stats.cpu_drops(9)),
            (20, 6, 3, 0)
        );
    }

    #[test]
    fn the_order_is_that_of_the_kernel_side() {
        assert!(Counter::ALL.iter().enumerate().all(|(i, c)| *c as usize == i));
    }
}
