//! Opening the sensor: rings, settings, programs, hooks; changing the set of calls while it runs; polling.

use crate::hooks::{Blind, HOOKS, Hook, Place};
use crate::merge::Rings;
use crate::stats::{Iterated, Stats};
use crate::{Error, Existing, cpus, existing};
use event::snapshot::Proc;
use event::{Event, Sc};
use load::{Link, Loader, Map, Object, Refused, Ring};
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::time::Duration;

/// What to watch and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// System calls and pseudo codes (`Sc::SCHED_PROCESS_EXIT`, ...) whose events are wanted.
    pub selected: BTreeSet<Sc>,
    /// Also copy paths and addresses of open, creat, openat, openat2 and connect at entry, before another thread can
    /// change them; costs some 50 ns on every call of the machine.
    pub enter_copies: bool,
    /// Bytes of one ring: a power of two and whole pages.
    pub buffer_bytes: u32,
    /// CPUs that share a ring; 0 = all share one.
    pub cpus_per_buffer: u16,
    /// No exit events for calls that failed.
    pub drop_failed: bool,
    /// Bytes of input and output data kept with an event, at most 65535.
    pub snaplen: u16,
    /// Whether to load the iterators for [`Sensor::existing`].
    pub iterators: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            selected: BTreeSet::new(),
            enter_copies: true,
            buffer_bytes: 8 << 20,
            cpus_per_buffer: 1,
            drop_failed: false,
            snaplen: 80,
            iterators: true,
        }
    }
}

/// What comes out of the rings.
#[derive(Debug)]
pub enum Heard<'a> {
    Event(Event<'a>),
    /// Who acts for the first time; only before [`Sensor::started`].
    Task(Box<Proc>),
}

/// Programs in the kernel and the rings they write to. Dropping it detaches everything.
#[derive(Debug)]
pub struct Sensor {
    object: Object,
    links: Vec<(&'static str, Link)>,
    rings: Rings,
    selected: Map,
    counts: Map,
    options: Options,
    delivered: u64,
    decode_errors: u64,
    idle: Duration,
    boot_ns: u64,
    way: Way,
    /// Why an iterator is not there.
    no_iterator: Option<String>,
    iterated: Iterated,
}

impl Sensor {
    /// Loads and attaches. Goes out: the sensor, already recording, and what this kernel does not let it see.
    ///
    /// # Errors
    /// Only what leaves nothing to watch with: no privilege, no BTF, no memory for the rings, the hook refused that
    /// every system call comes through.
    ///
    /// Until [`Sensor::started`] is called, [`Sensor::poll_all`] also tells who acts for the first time.
    pub fn open(options: Options) -> Result<(Sensor, Vec<Blind>), Error> {
        Sensor::open_in(options, &ways())
    }

    /// The first way in which the kernel takes what is vital; of the last one, whatever it takes.
    fn open_in(options: Options, ways: &[Way]) -> Result<(Sensor, Vec<Blind>), Error> {
        check_buffer(options.buffer_bytes)?;
        let possible = cpus::possible()?;
        let buffers = make_rings(&options)?;
        let boot_ns = cpus::boot_ns();
        let mut blind: Vec<Blind> = Vec::new();
        let mut last: Option<(Object, Way, Option<String>)> = None;
        for way in ways {
            let (object, refused) = load(&options, *way, &possible, buffers.first().map(|b| &b.1), boot_ns)?;
            let vital = refused.iter().find(|r| is_vital(&r.program));
            match vital {
                Some(r) if ways.last() != Some(way) => blind.push(way.given_up(r)),
                _ => blind.extend(refused.iter().filter(|r| !is_iterator(&r.program)).map(of_refused)),
            }
            let taken = vital.is_none();
            let no_iterator = refused.iter().find(|r| is_iterator(&r.program)).map(ToString::to_string);
            last = Some((object, *way, no_iterator));
            if taken {
                break;
            }
        }
        let (object, way, no_iterator) = last.ok_or_else(|| Error::Blind("no way to attach".to_owned()))?;
        share_rings(&object.map("rings")?, &possible, &buffers)?;
        let fillers = object.map("fillers")?;
        for hook in HOOKS {
            if let (Place::Filler(slot), true) = (hook.place, object.has_program(hook.program)) {
                object.tail_call_target(&fillers, slot, hook.program)?;
            }
        }
        let mapped = buffers.iter().map(|(cpu, map)| map_ring(*cpu, map)).collect::<Result<_, _>>()?;
        let (selected, counts) = (object.map(".data.selected")?, object.map("counts")?);
        let wanted = options.selected.clone();
        let mut sensor = Sensor {
            object,
            links: Vec::new(),
            rings: Rings::new(mapped),
            selected,
            counts,
            options,
            delivered: 0,
            decode_errors: 0,
            idle: SHORTEST,
            boot_ns,
            way,
            no_iterator,
            iterated: Iterated::default(),
        };
        for hook in HOOKS.iter().filter(|h| h.place == Place::Start) {
            blind.extend(sensor.attach(hook));
        }
        blind.extend(sensor.select(&wanted)?);
        sensor.check_sight(&blind)?;
        Ok((sensor, blind))
    }

    /// Changes the set of calls while recording goes on: attaches and detaches hooks as needed. Goes out: hooks that
    /// could not be attached.
    ///
    /// # Errors
    /// The map of selected calls cannot be written.
    pub fn select(&mut self, wanted: &BTreeSet<Sc>) -> Result<Vec<Blind>, Error> {
        self.selected.update(&0u32.to_ne_bytes(), &bytes_per_call(wanted))?;
        let mut blind = Vec::new();
        for hook in HOOKS.iter().filter(|h| matches!(h.place, Place::Attach | Place::Enter)) {
            let attached = self.links.iter().any(|(p, _)| *p == hook.program);
            match (hook.wanted)(wanted) {
                true if !attached => blind.extend(self.attach(hook)),
                false => self.links.retain(|(p, _)| *p != hook.program),
                true => {}
            }
        }
        self.options.selected.clone_from(wanted);
        Ok(blind)
    }

    /// Every task and open file that exists now, as the iterators tell.
    ///
    /// # Errors
    /// The kernel has no such iterators or refused them, or [`Options::iterators`] is off.
    pub fn existing(&mut self) -> Result<Existing, Error> {
        if let Some(cause) = &self.no_iterator {
            return Err(Error::Iterators(cause.clone()));
        }
        let existing = Existing::read(&self.object, self.boot_ns)?;
        self.iterated = existing.counts;
        Ok(existing)
    }

    /// The look at existing processes is over: who acts is known, and told no more.
    pub fn started(&mut self) {
        let only_at_start = |program: &str| Hook::named(program).is_some_and(|h| h.place == Place::Start);
        self.links.retain(|(program, _)| !only_at_start(program));
    }

    /// Hands out what waits in the rings, oldest first, a bounded batch at a time. The count is of records taken.
    pub fn poll(&mut self, mut take: impl FnMut(Event<'_>)) -> usize {
        self.poll_all(|heard| {
            if let Heard::Event(event) = heard {
                take(event);
            }
        })
    }

    /// The same, and tasks as they were at the first event they had a part in, before that event. Descriptors are not
    /// among what is told, nor the command lines of ancestors.
    pub fn poll_all(&mut self, mut take: impl FnMut(Heard<'_>)) -> usize {
        let (errors, boot_ns) = (&mut self.decode_errors, self.boot_ns);
        let horizon = cpus::now_ns(boot_ns).saturating_sub(SETTLING_NS);
        let taken = self.rings.drain(BATCH, horizon, |bytes, cpu| match Event::decode(bytes, cpu) {
            Ok(event) => take(Heard::Event(event)),
            Err(_) => match existing::task(bytes, boot_ns) {
                Some(task) => take(Heard::Task(Box::new(task))),
                None => *errors += 1,
            },
        });
        self.delivered += taken as u64;
        taken
    }

    /// Sleeps between two polls: a moment while events come, longer and longer while none do. Not at all after a full
    /// batch or while a ring is half full.
    pub fn rest(&mut self, taken: usize) {
        let (waiting, size) = self.rings.fullest();
        if taken >= BATCH || waiting > size as u64 / 2 {
            return;
        }
        self.idle = if taken > 0 || waiting > 0 { SHORTEST } else { (self.idle * 2).min(LONGEST) };
        std::thread::sleep(self.idle);
    }

    /// The counters at this moment.
    ///
    /// # Errors
    /// The counter map cannot be read.
    pub fn stats(&self) -> Result<Stats, Error> {
        let cpus = self.counts.lookup_per_cpu(&0u32.to_ne_bytes())?.unwrap_or_default();
        let per_cpu = cpus.iter().map(|bytes| Stats::of_cpu(bytes)).collect();
        Ok(Stats { per_cpu, decode_errors: self.decode_errors, delivered: self.delivered, iterated: self.iterated })
    }

    /// Runs and nanoseconds of every attached program, which the kernel counts while `kernel.bpf_stats_enabled` is 1.
    pub fn program_runs(&self) -> Vec<(&'static str, u64, u64)> {
        let runs = |name: &'static str| {
            let program = self.object.program_fd(name).ok()?;
            let figures = load::live::figures(program.as_fd()).ok()?;
            Some((name, figures.runs, figures.run_nanos))
        };
        self.links.iter().filter_map(|(name, _)| runs(name)).collect()
    }

    /// What is being watched.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Wall clock of boot in ns, as added to the time of every event.
    pub fn boot_ns(&self) -> u64 {
        self.boot_ns
    }

    fn attach(&mut self, hook: &'static Hook) -> Option<Blind> {
        if !self.object.has_program(hook.program) {
            return None; // reported when it was refused
        }
        let attached = if self.way.raw {
            self.object.attach_raw_tracepoint(hook.program)
        } else {
            self.object.attach(hook.program)
        };
        match attached {
            Ok(link) => {
                self.links.push((hook.program, link));
                None
            }
            Err(e) => Some(Blind { program: hook.program.to_owned(), events: hook.events, cause: e.to_string() }),
        }
    }

    /// Without `sys_exit` and its plain filler a start would only pretend to watch.
    fn check_sight(&self, blind: &[Blind]) -> Result<(), Error> {
        match blind.iter().find(|b| is_vital(&b.program)) {
            Some(b) => Err(Error::Blind(b.cause.clone())),
            None => Ok(()),
        }
    }
}

/// How the programs reach the kernel's structures, and what kind of hook they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    /// Numbers can be given a type and followed by plain loads.
    casts: bool,
    /// Raw tracepoints instead of BTF ones.
    raw: bool,
}

impl Way {
    /// Says why this way was not taken; nothing stays unseen for it.
    fn given_up(self, refused: &Refused) -> Blind {
        let program = if self.casts { "typed loads" } else { "BTF tracepoints" };
        Blind { program: program.to_owned(), events: "nothing, another way was taken", cause: refused.to_string() }
    }
}

/// From the cheapest to the most modest. Typed loads need 6.4 (see docs/design/sensor.md).
fn ways() -> Vec<Way> {
    let all = [(true, false), (false, false), (false, true)].map(|(casts, raw)| Way { casts, raw });
    let casts = kernel_release() >= (6, 4);
    all.into_iter().filter(|way| casts || !way.casts).collect()
}

/// Without these a start would only pretend to watch.
fn is_vital(program: &str) -> bool {
    program == "sys_exit" || program == "fill_plain"
}

fn is_iterator(program: &str) -> bool {
    Hook::named(program).is_some_and(|h| h.place == Place::Iterator)
}

fn check_buffer(bytes: u32) -> Result<(), Error> {
    if bytes.is_power_of_two() && bytes >= 4096 {
        return Ok(());
    }
    Err(Error::BufferSize { bytes, suggestion: bytes.clamp(4096, 1 << 30).next_power_of_two() })
}

/// One ring for every `cpus_per_buffer` CPUs in use, with the first CPU of each.
fn make_rings(options: &Options) -> Result<Vec<(u16, Map)>, Error> {
    let online = cpus::online()?;
    let share = if options.cpus_per_buffer == 0 { online.len() } else { options.cpus_per_buffer.into() };
    let make = |cpus: &[u16]| {
        let first = cpus.first().copied().unwrap_or(0);
        Map::ring_buffer(&format!("ring_{first}"), options.buffer_bytes).map(|map| (first, map))
    };
    Ok(online.chunks(share.max(1)).map(make).collect::<Result<_, _>>()?)
}

/// Every possible CPU gets a ring: its own group's, or for CPUs that come later one of the existing ones.
fn share_rings(table: &Map, possible: &[u16], buffers: &[(u16, Map)]) -> Result<(), Error> {
    for cpu in possible {
        let own = buffers.iter().rev().find(|(first, _)| first <= cpu).or(buffers.first());
        if let Some((_, ring)) = own {
            table.update_fd(&u32::from(*cpu).to_ne_bytes(), ring.as_fd())?;
        }
    }
    Ok(())
}

fn map_ring(cpu: u16, map: &Map) -> Result<(u16, Ring), Error> {
    let ring = Ring::map(map.as_fd(), map.max_entries() as usize).map_err(|source| Error::Ring { cpu, source })?;
    Ok((cpu, ring))
}

fn load(
    options: &Options,
    way: Way,
    possible: &[u16],
    ring: Option<&Map>,
    boot_ns: u64,
) -> Result<(Object, Vec<Refused>), Error> {
    let cpus = u32::from(possible.last().copied().unwrap_or(0)) + 1;
    let online = u32::from(cpus::online()?.last().copied().unwrap_or(0)) + 1;
    let areas = cpus.min(online.max(SPARE_CPUS)) * AREAS;
    let mut loader = Loader::new("sensor", OBJECT)
        .global("boot_ns", &boot_ns.to_ne_bytes())
        .global("snaplen", &u32::from(options.snaplen).to_ne_bytes())
        .global("casts", &[u8::from(way.casts)])
        .global("raw", &[u8::from(way.raw)])
        .global("drop_failed", &[u8::from(options.drop_failed)])
        .global("snapshot_area", &areas.to_ne_bytes())
        .max_entries("scratches", areas + 1)
        .max_entries("rings", cpus);
    if let Some(ring) = ring {
        loader = loader.inner("rings", ring);
    }
    for hook in HOOKS.iter().filter(|h| h.place == Place::Enter) {
        loader = loader.autoload(hook.program, options.enter_copies);
    }
    for hook in HOOKS.iter().filter(|h| h.place == Place::Iterator) {
        loader = loader.autoload(hook.program, options.iterators);
    }
    if way.raw {
        loader = loader.raw_tracepoints();
    }
    Ok(loader.load_what_loads()?)
}

/// Major and minor of the running kernel; (0, 0) when its name does not begin with numbers.
fn kernel_release() -> (u32, u32) {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn of_refused(refused: &Refused) -> Blind {
    let events = Hook::named(&refused.program).map_or("events of this program", |h| h.events);
    Blind { program: refused.program.clone(), events, cause: refused.to_string() }
}

/// The table that the programs look at: one byte per system call number (bpf/sensor.h).
fn bytes_per_call(wanted: &BTreeSet<Sc>) -> [u8; CALLS] {
    let mut bytes = [0; CALLS];
    let only32 = ONLY_32.iter().filter_map(|(name, nr)| Sc::by_name(name).map(|sc| (sc, *nr)));
    let numbers = event::tables::syscalls().iter().map(|c| (c.sc, c.nr)).chain(only32);
    for (_, nr) in numbers.filter(|(sc, _)| wanted.contains(sc)) {
        mark(&mut bytes, nr.into(), WANTED);
    }
    for (nr_32, _) in IA32.iter().filter(|(_, nr)| bytes[usize::from(*nr)] & WANTED != 0).collect::<Vec<_>>() {
        mark(&mut bytes, (*nr_32).into(), WANTED_32);
    }
    // a 64-bit task that becomes a 32-bit one by exec ends the call as such, under the 64-bit number
    for sc in [Sc::EXECVE, Sc::EXECVEAT].iter().filter(|sc| wanted.contains(sc)) {
        let nr = event::tables::syscalls().iter().find(|c| c.sc == *sc).map_or(0, |c| c.nr);
        mark(&mut bytes, nr.into(), WANTED_32);
    }
    mark(&mut bytes, SOCKETCALL_32, WANTED_32);
    bytes
}

fn mark(bytes: &mut [u8; CALLS], nr: usize, bit: u8) {
    if let Some(byte) = bytes.get_mut(nr) {
        *byte |= bit;
    }
}

/// The objects of the sensor as they are compiled in, for looking at what the verifier makes of them.
pub fn objects() -> Vec<Loader<'static>> {
    vec![
        Loader::new("sensor", OBJECT)
            .max_entries("scratches", AREAS)
            .global("casts", &[u8::from(kernel_release() >= (6, 4))]),
    ]
}

static OBJECT: &[u8] = include!(concat!(env!("OUT_DIR"), "/sensor.bpf.rs"));

/// Some machines promise hundreds of CPUs that never come, and the areas of one take 420 KiB. A CPU that comes later
/// than these has none; what happens on it is counted as lost.
const SPARE_CPUS: u32 = 64;
/// As in bpf/sensor.h: hooks that may interrupt one another.
const AREAS: u32 = 3;
/// As in bpf/recipes.h.
const CALLS: usize = 512;
// ONLY_32 (names and numbers of tables/only32.csv) and IA32 (32-bit number, its number here)
include!(concat!(env!("OUT_DIR"), "/tables.rs"));
/// As in bpf/sensor.h.
const WANTED: u8 = 1;
const WANTED_32: u8 = 2;
/// socketcall(2), which stands for every socket call of 32-bit tasks.
const SOCKETCALL_32: usize = 102;
/// Records per poll; bounds how long a caller waits for its turn.
const BATCH: usize = 16384;
/// Longer than an event takes from its time stamp to its ring: only what is older is in order.
const SETTLING_NS: u64 = 100_000;
/// Sleep while events come and the longest one while none do: half of it is the median age of an event on a quiet
/// machine, and with 8 MiB per ring a drain every 5 ms loses nothing below 22 million 72-byte events a second and CPU.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(5);

#[cfg(test)]
#[allow(clippy::print_stdout)] // a skipped test says why
mod tests {
    use super::*;

    #[test]
    fn a_refused_program_leaves_the_others_and_says_why() {
        let (good, bad) = ("empty_exit", ["unsafe", "misplaced"]);
        let loader = crate::empty_programs().only([good, bad[0], bad[1]]);
        let (object, refused) = match loader.load_what_loads() {
            Ok(loaded) => loaded,
            Err(e) => return println!("skipped: {e}"),
        };
        if object.programs().is_empty() {
            return println!("skipped: no privilege: {refused:?}");
        }
        assert_eq!(object.programs(), [good]);
        let cause = |name: &str| refused.iter().find(|r| r.program == name).map(|r| r.cause);
        assert_eq!(
            (cause(bad[0]), cause(bad[1])),
            (Some(load::Cause::Verifier), Some(load::Cause::Missing)),
            "{refused:?}"
        );
        assert!(refused.iter().all(|r| r.to_string().starts_with("load program `")));
    }

    /// Sizes that both sides write down, as the loaded maps have them.
    #[test]
    fn both_sides_agree_on_sizes() {
        let object = match objects()[0].clone().only(["sys_exit"]).load() {
            Ok(object) => object,
            Err(e) => return println!("skipped: {e}"),
        };
        let value_bytes = |map: &str| object.map(map).expect("the map").value_bytes() as usize;
        assert_eq!(value_bytes(".data.selected"), CALLS);
        assert!(value_bytes("counts") >= crate::Counter::ALL.len() * 8);
        assert_eq!(object.map("scratches").expect("the map").max_entries(), AREAS);
        let slots = HOOKS.iter().filter(|h| matches!(h.place, Place::Filler(_))).count();
        assert_eq!(object.map("fillers").expect("the map").max_entries() as usize, slots);
    }

    #[test]
    fn every_program_has_a_hook_and_every_hook_a_program() {
        let programs: BTreeSet<String> =
            objects()[0].programs().expect("a BPF object").into_iter().map(|p| p.name).collect();
        let hooks: BTreeSet<String> = HOOKS.iter().map(|h| h.program.to_owned()).collect();
        assert_eq!(programs, hooks);
    }

    /// Each way on its own shows paths and files.
    #[test]
    fn every_way_shows_the_same() {
        for way in ways() {
            let options = Options { selected: BTreeSet::from([Sc::UNLINK, Sc::OPENAT]), ..Options::default() };
            let (mut sensor, blind) = match Sensor::open_in(options, &[way]) {
                Ok(opened) => opened,
                Err(e) => return println!("skipped: {e}"),
            };
            assert!(blind.is_empty(), "{way:?}: {blind:?}");
            let _ = std::fs::remove_file("/nonexistent/way");
            let _ = std::fs::File::open("/proc/self/comm");
            let (mut path, mut ino) = (Vec::new(), 0);
            let end = std::time::Instant::now() + Duration::from_secs(30);
            while path.is_empty() || ino == 0 {
                assert!(std::time::Instant::now() < end, "{way:?}: {:?}", sensor.stats());
                let taken = sensor.poll(|e| match e.kind {
                    event::Kind::SYSCALL_UNLINK_2_X if e.text(1) == Some(b"/nonexistent/way") => {
                        path = b"seen".to_vec();
                    }
                    event::Kind::SYSCALL_OPENAT_2_X if e.text(2) == Some(b"/proc/self/comm") => {
                        ino = e.u64(6).unwrap_or(0);
                    }
                    _ => {}
                });
                sensor.rest(taken);
            }
        }
    }

    #[test]
    fn a_buffer_that_the_kernel_refuses_is_refused_with_a_better_size() {
        assert!(check_buffer(8 << 20).is_ok());
        let error = check_buffer(5000).expect_err("no power of two");
        assert_eq!(error.to_string(), "buffer of 5000 bytes: not a power of two of whole pages (try 8192)");
    }

    #[test]
    fn selected_calls_have_their_byte() {
        let bytes = bytes_per_call(&BTreeSet::from([Sc::OPENAT, Sc::MMAP2, Sc::SCHED_SWITCH]));
        assert_eq!((bytes[257], bytes[500], bytes[0]), (WANTED, WANTED, 0));
        assert_eq!(
            (bytes[295], bytes[192], bytes[102]),
            (WANTED_32, WANTED_32, WANTED_32),
            "openat, mmap2, socketcall"
        );
        assert_eq!(bytes.iter().filter(|b| **b != 0).count(), 5);
    }
}
