//! Measures and prints the figures of `hawkbell cover`: splitting an object, holding counters of a command that makes many
//! other system calls, collecting live maps, an HTML report of 200 objects with 30,000 functions. Needs clang; root for
//! what touches the kernel. Run it as `cargo run --release -p coverage --example figures`.

#![allow(clippy::print_stdout)] // figures are its output

use coverage::collect;
use coverage::hold::{self, How};
use coverage::profile::Counters;
use coverage::report::{Builder, html};
use coverage::sidecar::Sidecar;
use coverage::split::split;
use load::Loader;
use std::error::Error;
use std::fmt::Write as _;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const OBJECTS: usize = 200;
const FUNCTIONS: usize = 150;
const CALLS: usize = 100_000;
const MAPS: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).is_some_and(|a| a == "calls") {
        for _ in 0..CALLS {
            std::hint::black_box(nix::unistd::getppid());
        }
        return Ok(());
    }
    let sidecar = compile()?;
    splitting(&sidecar)?;
    if load::Map::create(load::MapType::Array, "try", 4, 8, 1).is_err() {
        println!("holding and collecting: skipped, needs root");
    } else {
        counting()?;
        holding()?;
        collecting(&sidecar)?;
    }
    report(&sidecar)
}

fn splitting(sidecar: &[u8]) -> Result<(), Box<dyn Error>> {
    let best = best_of(10, || split(sidecar, None).map(drop))?;
    println!("split: {best:?} for an object of {} KiB with {FUNCTIONS} functions (at most 5 ms)", sidecar.len() >> 10);
    Ok(())
}

fn report(bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let (mut builder, mut spent) = (Builder::default(), Duration::ZERO);
    for object in 0..OBJECTS {
        let start = Instant::now();
        let mut sidecar = Sidecar::parse(bytes)?;
        spent += start.elapsed();
        // As if every object came from a source of its own.
        sidecar
            .maps
            .iter_mut()
            .for_each(|m| m.files.iter_mut().for_each(|f| *f = format!("/src/{object}.bpf.c").into()));
        let counters = (0..sidecar.counter_bytes as u64 / 8).collect();
        let bitmaps = vec![0; sidecar.bitmap_bytes];
        let counters = Counters { build: sidecar.build, counters, bitmaps, instances: 1 };
        let start = Instant::now();
        builder.add(&sidecar, &counters)?;
        spent += start.elapsed();
    }
    let source = source();
    let start = Instant::now();
    let pages = html::render(&builder.finish(), "figures", &|_| Some(source.clone()));
    spent += start.elapsed();
    let size: usize = pages.iter().map(|p| p.content.len()).sum();
    println!(
        "html: {spent:?} for {OBJECTS} objects, {} functions, {} MiB (at most 5 s)",
        OBJECTS * FUNCTIONS,
        size >> 20
    );
    Ok(())
}

/// What counters cost a program that is nearly all counted places, and small ones.
fn counting() -> Result<(), Box<dyn Error>> {
    let (plain, counted) = (object(LOOP, &[])?, split(&object(LOOP, COVERAGE)?, None)?.object);
    let (plain, counted) = (Loader::new("plain", &plain).load()?, Loader::new("counted", &counted).load()?);
    let nanos = |program: &str| -> Result<[f64; 2], Box<dyn Error>> {
        let mut best = [u32::MAX; 2];
        // Many short rounds: some of them nobody disturbs.
        for _ in 0..400 {
            for (best, object) in best.iter_mut().zip([&plain, &counted]) {
                let program = object.program_descriptor(program)?;
                *best = (*best).min(load::live::test_run(program.as_fd(), &[0; 64], 1_000)?.1);
            }
        }
        Ok(best.map(f64::from))
    };
    let ([bare, with], [small, small_with]) = (nanos("turns")?, nanos("small")?);
    let increment = (with - bare) / f64::from(TURNS);
    println!(
        "increment: {increment:.2} ns, atomic (at most 2.5 ns); this processor's own takes {:.2} ns now",
        locked_addition()
    );
    println!("small program: {small} -> {small_with} ns a run (at most +3 ns)");
    Ok(())
}

/// What one atomic addition costs here without any eBPF: nothing that counts exactly can take less.
fn locked_addition() -> f64 {
    let place = AtomicU64::new(0);
    let mut best = Duration::MAX;
    for _ in 0..400 {
        let start = Instant::now();
        for _ in 0..ADDITIONS {
            std::hint::black_box(&place).fetch_add(1, Ordering::Relaxed);
        }
        best = best.min(start.elapsed());
    }
    best.as_secs_f64() * 1e9 / f64::from(ADDITIONS)
}

fn holding() -> Result<(), Box<dyn Error>> {
    let this = std::env::current_exe()?;
    let command = || {
        let mut command = Command::new(&this);
        command.arg("calls").stdout(Stdio::null());
        command
    };
    let options = |how| hold::Options { how, end_with_command: false, waiting: || {} };
    let [mut plain, mut held, mut traced] = [Duration::MAX; 3];
    for _ in 0..15 {
        plain = plain.min(best_of(1, || command().status().map(drop))?);
        held = held.min(best_of(1, || hold::run(&mut command(), options(How::Notify)).map(drop))?);
        traced = traced.min(best_of(1, || hold::run(&mut command(), options(How::Trace)).map(drop))?);
    }
    let times = |time: Duration| time.as_secs_f64() / plain.as_secs_f64();
    println!("run: {CALLS} other system calls {held:?} held, {plain:?} plain: {:.2} times (at most 1.5)", times(held));
    println!("run --hold ptrace: {traced:?}: {:.2} times", times(traced));
    Ok(())
}

fn collecting(sidecar: &[u8]) -> Result<(), Box<dyn Error>> {
    let object = split(sidecar, None)?.object;
    let loader = Loader::new("figures", &object).only(["entry"]);
    let loaded = (0..MAPS).map(|_| loader.load()).collect::<Result<Vec<_>, _>>()?;
    let best = best_of(10, || collect::live().map(drop))?;
    let (found, _) = collect::live()?;
    println!("collect: {best:?} for {} maps (at most 20 ms)", found.len());
    drop(loaded);
    Ok(())
}

fn best_of<E>(times: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<Duration, E> {
    let mut best = Duration::MAX;
    for _ in 0..times {
        let start = Instant::now();
        work()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

fn source() -> String {
    let mut text =
        String::from("#define SEC(name) __attribute__((section(name), used))\nstruct context { int a, b, c; };\n");
    for index in 0..FUNCTIONS - 1 {
        let _ = writeln!(
            text,
            "__attribute__((noinline)) int f{index}(int a, int b)\n{{\n\tif (a > b && b != {index})\n\t\treturn a - b;\n\
             \tfor (int i = 0; i < 4; i++)\n\t\tb += a == i ? 1 : 2;\n\treturn a || b ? a : b;\n}}"
        );
    }
    text + "SEC(\"socket\") int entry(struct context *c)\n{\n\treturn f0(1, 2) + f1(2, 3);\n}\nchar LICENSE[] SEC(\"license\") = \"GPL\";\n"
}

fn compile() -> Result<Vec<u8>, Box<dyn Error>> {
    object(&source(), COVERAGE)
}

fn object(source: &str, flags: &[&str]) -> Result<Vec<u8>, Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let (input, output) = (home.path().join("figures.bpf.c"), home.path().join("figures.covobj"));
    std::fs::write(&input, source)?;
    let clang = std::env::var("HAWKBELL_CLANG").unwrap_or_else(|_| "clang".into());
    let mut command = Command::new(clang);
    command.args(["-target", "bpf-unknown-linux-gnu", "-O2", "-g", "-c"]).args(flags);
    if !command.arg(input).arg("-o").arg(&output).status()?.success() {
        return Err("clang failed".into());
    }
    Ok(std::fs::read(output)?)
}

const COVERAGE: &[&str] = &["-fprofile-instr-generate", "-fcoverage-mapping", "-fprofile-update=atomic"];
const TURNS: u32 = 512;
const ADDITIONS: u32 = 10_000;
/// Each turn of the loop is one counted place; the small program has two.
const LOOP: &str = "#define SEC(name) __attribute__((section(name), used))
struct context { int length; };
SEC(\"socket\") int turns(struct context *c)
{
	int sum = c->length;
	for (int i = 0; i < 512; i++)
		asm volatile(\"%0 += 1\" : \"+r\"(sum));
	return sum;
}
SEC(\"socket\") int small(struct context *c)
{
	if (c->length > 9)
		return 1;
	return 0;
}
char LICENSE[] SEC(\"license\") = \"GPL\";
";
