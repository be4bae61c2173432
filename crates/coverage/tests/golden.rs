//! The same C natively and in the kernel, on the same packets: every counter of every function must be equal, for each
//! clang present. Two CPUs that count at the same time lose nothing. Skips, with a reason, without clang or privilege.

#![allow(clippy::print_stdout)] // a test says why it skips

mod support;

use coverage::profile::Counters;
use coverage::sidecar::Sidecar;
use coverage::split::{Split, split};
use load::{Loader, Map, Object};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use support::{CLANGS, compile, data, may_load, runs};

const PACKETS: usize = 20_000;

#[test]
fn native_and_kernel_count_the_same() {
    if !may_load() {
        return;
    }
    let home = tempfile::tempdir().expect("a scratch directory");
    let packets = packets();
    let file: Vec<u8> = packets.iter().flat_map(|p| [&(p.len() as u16).to_le_bytes()[..], p].concat()).collect();
    fs::write(home.path().join("packets"), file).expect("write packets");
    let mut compared = 0;
    for (clang, flags) in CLANGS.iter().filter(|c| runs(c)).flat_map(|c| [(c, &[][..]), (c, &PLAIN[..])]) {
        let native = native(clang, home.path());
        let (sidecar, split) = build(clang, flags, home.path());
        let object = object(&split);
        for packet in &packets {
            object.test_run("golden", packet).expect("a test run");
        }
        assert_eq!(counted(&sidecar, &object), native, "{clang} {flags:?}");
        compared += 1;
    }
    println!("{compared} builds count like native code on {PACKETS} packets");
    assert!(compared > 0, "no clang");
}

#[test]
fn two_cpus_lose_nothing() {
    if !may_load() {
        return;
    }
    let Some(clang) = CLANGS.iter().rev().find(|c| runs(c)) else { return println!("skipped: no clang") };
    let home = tempfile::tempdir().expect("a scratch directory");
    let (sidecar, split) = build(clang, &[], home.path());
    let object = object(&split);
    let program = object.program_descriptor("hot").expect("a program");
    std::thread::scope(|scope| {
        for cpu in 0..2 {
            let program = program.as_fd();
            scope.spawn(move || {
                let mut cpus = CpuSet::new();
                let _ = cpus.set(cpu);
                // On a machine with one CPU the two take turns.
                let _ = sched_setaffinity(Pid::from_raw(0), &cpus);
                load::live::test_run(program, &[0; 64], 5_000_000).expect("test runs");
            });
        }
    });
    let counted = counted(&sidecar, &object);
    assert_eq!(counted.get(&coverage::sidecar::name_ref("hot")).map(|(_, c)| c.clone()), Some(vec![10_000_000]));
}

type Counts = BTreeMap<u64, (u64, Vec<u64>)>;

fn counted(sidecar: &Sidecar, object: &Object) -> Counts {
    let maps = object.maps().expect("maps");
    let value = |m: &Map| m.lookup(&[0; 4]).ok().flatten().and_then(|v| Counters::from_map_value(&v));
    let counters = maps.iter().find_map(value).expect("a counter map");
    counters.check(sidecar).expect("counters of this sidecar");
    sidecar.functions.iter().map(|f| (f.name_ref, (f.hash, counters.of(f).to_vec()))).collect()
}

fn object(split: &Split) -> Object {
    // Vectors of this size begin at a multiple of 16, which is what object parsers need.
    Loader::new("golden", &split.object).load().expect("the split object loads")
}

fn build(clang: &str, flags: &[&str], home: &Path) -> (Sidecar, Split) {
    let source = data("golden/golden.bpf.c");
    let include = format!("-I{}", data("golden/bpf").display());
    let object = home.join("golden.covobj");
    compile(clang, &source, &object, &[&[&*include, "-fprofile-update=atomic"], flags].concat());
    let bytes = fs::read(object).expect("an object");
    (Sidecar::parse(&bytes).expect("a sidecar"), split(&bytes, None).expect("a split"))
}

fn native(clang: &str, home: &Path) -> Counts {
    let major: u32 = clang.rsplit('-').next().and_then(|v| v.parse().ok()).unwrap_or(0);
    let record = format!("-DRECORD_BYTES={}", if major >= 18 { 64 } else { 48 });
    let include = format!("-I{}", data("golden/native").display());
    let (object, program) = (home.join("native.o"), home.join("native"));
    let ran = |command: &mut Command| assert!(command.status().is_ok_and(|s| s.success()), "{command:?}");
    ran(Command::new(clang)
        .args(["-O1", "-fprofile-instr-generate", "-fcoverage-mapping", "-fno-pie", "-c", &include])
        .args([&data("golden/golden.bpf.c"), Path::new("-o"), &object]));
    ran(Command::new(clang).args(["-O1", "-no-pie", "-fno-pie", &include, &record]).args([
        &data("golden/native/main.c"),
        &object,
        Path::new("-o"),
        &program,
    ]));
    let output = Command::new(program).arg(home.join("packets")).output().expect("the native run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(counts).collect()
}

fn counts(line: &str) -> (u64, (u64, Vec<u64>)) {
    let mut numbers = line.split(' ').map(|n| n.parse::<u64>().expect("a number"));
    let (name, hash) = (numbers.next().expect("a name"), numbers.next().expect("a hash"));
    (name, (hash, numbers.collect()))
}

/// From 14 bytes (what XDP takes at least) up; bytes that the program looks for are frequent.
fn packets() -> Vec<Vec<u8>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let favourites = [0, 1, 6, 7, 9, 17, 58, 59, 150, 0xff];
    let byte = |r: u64| if r & 0x300 == 0 { favourites[(r >> 10) as usize % 10] } else { (r & 0xff) as u8 };
    let mut packet = || {
        let length = if random() % 10 == 0 { 14 + random() % 34 } else { 48 + random() % 60 };
        (0..length).map(|_| byte(random())).collect()
    };
    (0..PACKETS).map(|_| packet()).collect()
}

const PLAIN: [&str; 3] = ["-fprofile-update=single", "-mllvm", "-disable-licm-promotion"];
