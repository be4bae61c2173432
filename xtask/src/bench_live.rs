//! Figures of watching a running machine: how soon the first event is seen, how late an alert is, what storms cost and lose,
//! and what a reload under load takes. Drives the built program from outside and makes every storm itself, as a child process
//! of bounded length. Nothing here can fail the run: wall clocks are information.

#![allow(clippy::print_stdout, reason = "figures are what this prints")]

use super::bench::{heading, program, row, shared};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Every figure of a built program; says so and passes where the kernel does not let us watch.
pub fn run() -> Result<()> {
    heading("watching a running machine (wall clocks need a quiet one)");
    let dir = std::env::temp_dir().join(format!("hawkbell-bench-live-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let done = figures(&dir);
    fs::remove_dir_all(&dir)?;
    match done {
        Err(cause) => {
            println!("  not measured: {cause:#}");
            Ok(())
        }
        done => done,
    }
}

fn figures(dir: &Path) -> Result<()> {
    starts(dir)?;
    latency(dir)?;
    for storm in STORMS {
        loss(dir, storm)?;
    }
    reload(dir)
}

/// One child that makes a bounded number of calls.
struct Storm {
    /// Word for [`storm`] and label.
    kind: &'static str,
    count: u32,
    processes: u32,
    /// What the reference lost of the same.
    reference: &'static str,
}

const STORMS: &[Storm] = &[
    Storm { kind: "open-close", count: 300_000, processes: 1, reference: "0 lost, 2.0 us/event" },
    Storm { kind: "failing-open", count: 300_000, processes: 1, reference: "15 % lost" },
    Storm { kind: "duplicate-close", count: 1_000_000, processes: 1, reference: "33 % lost" },
    Storm { kind: "mixed", count: 20_000, processes: 2, reference: "1.1 % lost, 59 MB" },
];

/// Makes `count` calls of a kind: what a child of the benchmark does.
pub fn storm(kind: &str, count: u32) -> Result<()> {
    let file = File::open("/dev/null")?;
    for i in 0..count {
        match kind {
            "open-close" => drop(File::open("/dev/null")?),
            "failing-open" => drop(File::open("/nonexistent/file")),
            "duplicate-close" => drop(file.try_clone()?),
            "mixed" => mixed(i)?,
            other => bail!("unknown storm `{other}`"),
        }
    }
    Ok(())
}

/// Mostly opens, now and then a refused connection, rarely a program.
fn mixed(i: u32) -> Result<()> {
    drop(File::open("/dev/null")?);
    if i.is_multiple_of(4) {
        drop(TcpStream::connect(("127.0.0.1", 1)));
    }
    if i.is_multiple_of(100) {
        Command::new("/bin/true").status()?;
    }
    Ok(())
}

/// From the start of the program to the time of the first event that it judged, and to the alert about it.
fn starts(dir: &Path) -> Result<()> {
    let (mut seen, mut told, mut spent) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begin = (now(), Instant::now());
        let watch = Watch::start(dir, &[])?;
        let (alert, at) = watch.touch_until_seen()?;
        let behind = alert.rsplit('@').next().and_then(|rest| rest.split_whitespace().next());
        let event_ns: u128 = behind.and_then(|ns| ns.parse().ok()).with_context(|| format!("time of `{alert}`"))?;
        seen.push((event_ns.saturating_sub(begin.0)) as f64 / 1e6);
        told.push(at.duration_since(begin.1).as_secs_f64() * 1e3);
        spent.push(watch.cpu_seconds() * 1e3);
    }
    row("start to first event", &format!("{:.0} ms", median(&mut seen)), "at most 500 ms", "2900 ms");
    row("CPU until then", &format!("{:.0} ms", median(&mut spent)), "-", "2600 ms");
    row("start to first alert", &format!("{:.0} ms", median(&mut told)), "-", "-");
    Ok(())
}

/// From the call to the line on standard output, on an otherwise idle watcher.
fn latency(dir: &Path) -> Result<()> {
    let watch = Watch::start(dir, &[])?;
    watch.touch_until_seen()?;
    let mut late = Vec::new();
    for i in 0..ALERTS {
        std::thread::sleep(Duration::from_micros(1000 + u64::from(i) * 7919 % 5000)); // off the consumer's beat
        let begin = Instant::now();
        touch(dir, &format!("bait{i}"));
        let (_, at) = watch.line(&format!("bait{i} "))?;
        late.push(at.duration_since(begin).as_secs_f64() * 1e3);
    }
    let middle = median(&mut late);
    let measured = format!("{middle:.1} ms, p95 {:.1}, max {:.1}", at(&late, 0.95), at(&late, 1.0));
    row("alert latency, median", &measured, "at most 5 ms", "2.3 ms, p95 15, max 29");
    Ok(())
}

/// What a storm loses and costs.
fn loss(dir: &Path, storm: &Storm) -> Result<()> {
    let alone = run_storm(storm)?;
    let watch = Watch::start(dir, &[])?;
    watch.touch_until_seen()?;
    let before = watch.cpu_seconds();
    let watched = run_storm(storm)?;
    std::thread::sleep(SETTLE);
    let (cpu, peak) = (watch.cpu_seconds() - before, watch.peak_mb());
    let (events, drops) = watch.finish()?;
    let share = drops as f64 * 100.0 / events.max(1) as f64;
    let name = format!("storm: {} x {} {}", storm.processes, storm.count, storm.kind);
    row(&name, &format!("{drops} of {events} lost ({share:.1} %)"), "0 lost", storm.reference);
    let per_event = cpu * 1e6 / events.max(1) as f64;
    row("", &format!("{per_event:.2} us CPU per event"), "below the reference", "2.0 us");
    row("", &format!("peak {peak:.0} MB"), "at most 64 MB", "59 MB");
    row("", &format!("storm {:.2} s, alone {:.2} s", watched.as_secs_f64(), alone.as_secs_f64()), "-", "-");
    Ok(())
}

/// Other rules while a storm runs: from the signal to their being in force, and what is lost.
fn reload(dir: &Path) -> Result<()> {
    let watch = Watch::start(dir, &["-o", "watch_config_files=false"])?;
    watch.touch_until_seen()?;
    let storm = Storm { kind: "mixed", count: 60_000, processes: 2, reference: "" };
    let children = spawn_storm(&storm)?;
    let mut swaps = Vec::new();
    for _ in 0..ROUNDS {
        std::thread::sleep(Duration::from_millis(200));
        let begin = Instant::now();
        watch.signal("HUP")?;
        let (_, at) = watch.log_line("rules and configuration reloaded")?;
        swaps.push(at.duration_since(begin).as_secs_f64() * 1e3);
    }
    wait(children)?;
    let (events, drops) = watch.finish()?;
    let measured = format!("{:.0} ms, {drops} of {events} lost", median(&mut swaps));
    row("reload under load", &measured, "at most 100 ms, 0 lost", "all state lost");
    Ok(())
}

/// A watcher with the public stable rules, where they are at hand, and one rule for the bait.
struct Watch {
    child: Child,
    out: Receiver<(String, Instant)>,
    log: Receiver<(String, Instant)>,
    dir: PathBuf,
}

impl Watch {
    fn start(dir: &Path, more: &[&str]) -> Result<Watch> {
        let bait = dir.join("bait.yaml");
        fs::write(&bait, rule(dir))?;
        let stable = shared("rules/official/falco_rules.yaml");
        let mut command = Command::new(program("hawkbell"));
        command.args(["watch", "-v", "-r"]).args([stable].iter().filter(|p| p.exists())).arg("-r").arg(bait).args(more);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let out = lines(child.stdout.take().context("standard output")?);
        let log = lines(child.stderr.take().context("standard error")?);
        Ok(Watch { child, out, log, dir: dir.to_owned() })
    }

    /// Opens the bait once a millisecond until there is an alert.
    fn touch_until_seen(&self) -> Result<(String, Instant)> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            touch(&self.dir, "bait");
            if let Ok((line, at)) = self.out.recv_timeout(Duration::from_millis(1))
                && line.contains("bait ")
            {
                while self.out.recv_timeout(SETTLE / 10).is_ok() {}
                return Ok((line, at));
            }
        }
        bail!("no alert: {}", self.log.try_iter().map(|(line, _)| line).collect::<Vec<_>>().join("\n"))
    }

    fn line(&self, part: &str) -> Result<(String, Instant)> {
        find(&self.out, part)
    }

    fn log_line(&self, part: &str) -> Result<(String, Instant)> {
        find(&self.log, part)
    }

    fn signal(&self, name: &str) -> Result<()> {
        super::run(Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()))
    }

    /// Time on a CPU so far, of every thread (schedstat counts nanoseconds; the ticks of `stat` miss short turns).
    fn cpu_seconds(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let nanos = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        nanos.sum::<f64>() / 1e9
    }

    fn peak_mb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    }

    /// Stops it; how many events it saw and how many it lost.
    fn finish(mut self) -> Result<(u64, u64)> {
        self.signal("INT")?;
        self.child.wait()?;
        let said: Vec<String> = self.out.iter().chain(self.log.iter()).map(|(line, _)| line).collect();
        let number = |name: &str| {
            let found = said.iter().find_map(|line| line.trim().strip_prefix(name)?.trim().parse::<u64>().ok());
            found.with_context(|| format!("no `{name}` in what the program said"))
        };
        Ok((number("Driver Events:")?, number("Driver Drops:")?))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rule(dir: &Path) -> String {
    format!(
        "- rule: bait\n  desc: d\n  condition: evt.type in (open, openat) and fd.name startswith {}/bait\n  \
         output: \"%fd.name @%evt.rawtime\"\n  priority: WARNING\n",
        dir.display()
    )
}

/// Lines with the moment of their arrival.
fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<(String, Instant)> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if send.send((line, Instant::now())).is_err() {
                break;
            }
        }
    });
    receive
}

fn find(lines: &Receiver<(String, Instant)>, part: &str) -> Result<(String, Instant)> {
    loop {
        let (line, at) = lines.recv_timeout(PATIENCE).with_context(|| format!("no line with `{part}`"))?;
        if line.contains(part) {
            return Ok((line, at));
        }
    }
}

/// A name that does not exist: the attempt is what is seen.
fn touch(dir: &Path, name: &str) {
    let _ = File::open(dir.join(name));
}

fn run_storm(storm: &Storm) -> Result<Duration> {
    let begin = Instant::now();
    wait(spawn_storm(storm)?)?;
    Ok(begin.elapsed())
}

fn spawn_storm(storm: &Storm) -> Result<Vec<Child>> {
    let spawn = |_| {
        let mut command = Command::new(std::env::current_exe()?);
        Ok(command.args(["storm", storm.kind, &storm.count.to_string()]).spawn()?)
    };
    (0..storm.processes).map(spawn).collect()
}

fn wait(children: Vec<Child>) -> Result<()> {
    for mut child in children {
        let status = child.wait()?;
        if !status.success() {
            bail!("a storm ended with {status}");
        }
    }
    Ok(())
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Sorts.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    at(values, 0.5)
}

/// The value below which a `share` of the sorted ones lies.
fn at(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}

const ROUNDS: usize = 5;
const ALERTS: u32 = 200;
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than the consumer sleeps.
const SETTLE: Duration = Duration::from_millis(200);
