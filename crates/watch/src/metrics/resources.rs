//! What this process and the machine use: files of /proc come in, entries of a snapshot go out. A file that is missing
//! leaves its entry out.

use super::sample::{Number, Sample};
use std::fs;
use std::time::Instant;

/// Two readings of CPU clocks, for shares between snapshots.
#[derive(Debug, Default)]
pub struct CpuClock {
    own: Option<(Instant, f64)>,
    /// Busy and total ticks of the machine.
    host: Option<(u64, u64)>,
}

/// Adds everything that /proc tells.
pub fn add_to(sample: &mut Sample, cpu: &mut CpuClock, memory_in_mb: bool) {
    let own = cpu.own_percent();
    sample.real_field("falco.cpu_usage_perc", own);
    sample.series_gauge("falcosecurity_falco_cpu_usage_ratio", Number::Real(own / 100.0));
    if let Some(host) = cpu.host_percent() {
        sample.real_field("falco.host_cpu_usage_perc", host);
        sample.series_gauge("falcosecurity_falco_host_cpu_usage_ratio", Number::Real(host / 100.0));
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let used = kb(&meminfo, "MemTotal:").zip(kb(&meminfo, "MemAvailable:")).map(|(all, free)| all.saturating_sub(free));
    for (name, value) in [
        ("memory_rss", kb(&status, "VmRSS:")),
        ("memory_vsz", kb(&status, "VmSize:")),
        ("memory_pss", kb(&rollup, "Pss:")),
        ("container_memory_used", container_memory_kb()),
        ("host_memory_used", used),
    ] {
        if let Some(value) = value {
            memory(sample, name, value, memory_in_mb);
        }
    }
    counts(sample);
}

impl CpuClock {
    /// Share of one CPU since the last call (since the start of the process at first).
    fn own_percent(&mut self) -> f64 {
        let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF);
        let seconds = usage.map_or(0.0, |usage| seconds(usage.user_time()) + seconds(usage.system_time()));
        let now = Instant::now();
        let last = self.own.replace((now, seconds));
        let Some((at, before)) = last else { return 0.0 };
        let elapsed = now.duration_since(at).as_secs_f64();
        if elapsed > 0.0 { (seconds - before) * 100.0 / elapsed } else { 0.0 }
    }

    fn host_percent(&mut self) -> Option<f64> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let ticks: Vec<u64> = stat.lines().next()?.split_whitespace().skip(1).filter_map(|t| t.parse().ok()).collect();
        let total: u64 = ticks.iter().take(8).sum();
        let idle = ticks.get(3).copied().unwrap_or(0) + ticks.get(4).copied().unwrap_or(0);
        let busy = total.saturating_sub(idle);
        let (last_busy, last_total) = self.host.replace((busy, total)).unwrap_or_default();
        let span = total.saturating_sub(last_total);
        (span > 0).then(|| busy.saturating_sub(last_busy) as f64 * 100.0 / span as f64)
    }
}

fn seconds(time: nix::sys::time::TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

fn memory(sample: &mut Sample, name: &str, kilobytes: u64, in_mb: bool) {
    match in_mb {
        true => sample.real_field(&format!("falco.{name}_mb"), kilobytes as f64 / 1024.0),
        false => sample.field(&format!("falco.{name}_kb"), kilobytes),
    }
    sample.series_gauge(&format!("falcosecurity_falco_{name}_bytes"), Number::Count(kilobytes * 1024));
}

/// The number behind `key` in a file of `key: number kB` lines.
fn kb(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
}

fn container_memory_kb() -> Option<u64> {
    let bytes = fs::read_to_string("/sys/fs/cgroup/memory.current")
        .or_else(|_| fs::read_to_string("/sys/fs/cgroup/memory/memory.usage_in_bytes"));
    bytes.ok()?.trim().parse::<u64>().ok().map(|bytes| bytes / 1024)
}

fn counts(sample: &mut Sample) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let running = stat.lines().find_map(|line| line.strip_prefix("procs_running ")?.trim().parse::<u64>().ok());
    let files = fs::read_to_string("/proc/sys/fs/file-nr").unwrap_or_default();
    let open = files.split_whitespace().next().and_then(|text| text.parse::<u64>().ok());
    for (name, value) in [("host_procs_running", running), ("host_open_fds", open)] {
        if let Some(value) = value {
            sample.field(&format!("falco.{name}"), value);
            sample.series_gauge(&format!("falcosecurity_falco_{name}_total"), Number::Count(value));
        }
    }
}
