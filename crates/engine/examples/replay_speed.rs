//! Measures detection on a recorded capture: reading alone, with state, with rules. In come a capture and rules files;
//! out come events, matches and the CPU time per event of each stage, as the minimum over several rounds.
//!
//! `cargo run --release -p engine --example replay_speed -- CAPTURE [RULES...] [-n ROUNDS] [-a]` (`-a` = all matching
//! rules instead of the first)

#![allow(clippy::print_stdout)]

use bumpalo::Bump;
use capture::{Item, Reader, Record};
use engine::{Engine, Options, is_judged};
use rules::{Loader, Matching, Program, Setup};
use std::error::Error;
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments = Arguments::parse()?;
    let program = match &arguments.rules[..] {
        [] => None,
        files => Some(load(files, arguments.matching)?),
    };
    let bytes = std::fs::read(&arguments.capture)?;
    arguments.report("read", || read_only(&bytes))?;
    arguments.report("read + state", || with_state(&bytes))?;
    if let Some(program) = &program {
        arguments.report("read + state + rules", || with_rules(&bytes, program))?;
    }
    Ok(())
}

struct Arguments {
    capture: String,
    rules: Vec<String>,
    rounds: u32,
    matching: Matching,
}

impl Arguments {
    fn parse() -> Outcome<Self> {
        let mut files = Vec::new();
        let (mut rounds, mut matching) = (5, Matching::First);
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "-n" => rounds = args.next().ok_or("-n needs a number")?.parse()?,
                "-a" => matching = Matching::All,
                _ => files.push(arg),
            }
        }
        let (capture, rules) = files.split_first().ok_or("which capture?")?;
        Ok(Arguments { capture: capture.clone(), rules: rules.to_vec(), rounds, matching })
    }

    fn report(&self, stage: &str, run: impl Fn() -> Outcome<Tally>) -> Outcome<()> {
        let mut best = Duration::MAX;
        let mut tally = Tally::default();
        for _ in 0..self.rounds.max(1) {
            let begin = cpu_time()?;
            tally = run()?;
            best = best.min(cpu_time()?.saturating_sub(begin));
        }
        let nanos = best.as_nanos() / u128::from(tally.events.max(1));
        println!("{stage:22} {:9} events {:6} matches {:8.1?} {nanos:5} ns/event", tally.events, tally.matches, best);
        Ok(())
    }
}

/// Time this thread ran, first number of schedstat (Documentation/scheduler/sched-stats.rst): unlike wall-clock time it
/// does not grow while others have the CPU.
fn cpu_time() -> Outcome<Duration> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos = text.split_whitespace().next().ok_or("an empty schedstat")?.parse()?;
    Ok(Duration::from_nanos(nanos))
}

#[derive(Default)]
struct Tally {
    events: u64,
    matches: u64,
}

fn load(files: &[String], matching: Matching) -> Outcome<Program> {
    let mut loader = Loader::new(Setup::builtin());
    for file in files {
        let result = loader.load(file, &std::fs::read_to_string(file)?);
        if !result.successful() {
            return Err(result.verbose().into());
        }
    }
    println!("{} rules", loader.rule_set().enabled().count());
    Ok(loader.rule_set().program(matching))
}

fn read_only(bytes: &[u8]) -> Outcome<Tally> {
    let mut events = 0;
    each(&mut Reader::open(bytes)?, |_| events += 1)?;
    Ok(Tally { events, matches: 0 })
}

fn with_state(bytes: &[u8]) -> Outcome<Tally> {
    let mut reader = Reader::open(bytes)?;
    let mut engine = Engine::new(Options::default());
    engine.seed(reader.take_snapshot());
    let mut events = 0;
    each(&mut reader, |record| {
        engine.begin(&record.event);
        events += 1;
    })?;
    Ok(Tally { events, matches: 0 })
}

fn with_rules(bytes: &[u8], program: &Program) -> Outcome<Tally> {
    let mut reader = Reader::open(bytes)?;
    let mut engine = Engine::new(Options::default());
    engine.seed(reader.take_snapshot());
    let source = program.source("syscall").ok_or("no rule for system calls")?;
    let (mut arena, mut matched, mut tally) = (Bump::new(), Vec::new(), Tally::default());
    each(&mut reader, |record| {
        engine.begin(&record.event);
        tally.events += 1;
        if !record.state_only && is_judged(record.event.kind) && program.wants(source, record.event.kind) {
            let context = engine.context(&record.event, "syscall");
            program.evaluate(source, record.event.kind, &context, &arena, &mut matched);
            tally.matches += matched.len() as u64;
            matched.clear();
            arena.reset();
        }
    })?;
    Ok(tally)
}

fn each(reader: &mut Reader<&[u8]>, mut see: impl FnMut(&Record<'_>)) -> Outcome<()> {
    while let Some(item) = reader.next()? {
        if let Item::Event(record) = item {
            see(&record);
        }
    }
    Ok(())
}
