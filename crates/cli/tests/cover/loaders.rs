//! Every loader that people use takes what `cover cc` builds: bpftool (libbpf), libbpf-rs, aya and cilium/ebpf load the same
//! objects, of every clang present, and the counters show what each of them ran.

use crate::home::{ARGS, Home, ORDERS, said, this};
use libbpf_rs::MapCore;
use std::any::Any;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::Command;

/// Loads an object with the library that the environment names and runs a program of it; loaded as long as the value lives.
pub fn load_and_run(path: &Path, program: &str, times: u32) -> Box<dyn Any> {
    let bytes = fs::read(path).expect("an object");
    match std::env::var(LIBRARY).as_deref() {
        Ok("aya") => {
            let mut object = aya::Ebpf::load(&bytes).expect("aya loads it");
            let loaded: &mut aya::programs::Xdp =
                object.program_mut(program).expect("the program").try_into().expect("an XDP program");
            loaded.load().expect("aya loads the program");
            run(loaded.fd().expect("a descriptor").as_fd(), times);
            Box::new(object)
        }
        Ok("libbpf-rs") => {
            let mut open = libbpf_rs::ObjectBuilder::default();
            let object = open.open_memory(&bytes).and_then(libbpf_rs::OpenObject::load).expect("libbpf-rs loads it");
            let loaded = object.progs().find(|p| p.name() == program).expect("the program");
            run(loaded.as_fd(), times);
            assert!(object.maps().any(|m| m.name().to_string_lossy().starts_with(".data.c")), "the counter map");
            Box::new(object)
        }
        _ => {
            let object = load::Loader::new("loaded", &bytes).load().expect("it loads");
            (0..times).for_each(|_| drop(object.test_run(program, &[0; 64]).expect("it runs")));
            Box::new(object)
        }
    }
}

fn run(program: BorrowedFd<'_>, times: u32) {
    load::live::test_run(program, &[0; 64], times).expect("it runs");
}

#[test]
fn every_loader_loads_what_every_clang_builds() {
    let Some(home) = Home::build() else { return };
    let cilium = cilium_loader(&home);
    let mut built = 0;
    for clang in CLANGS {
        let args = ["cc", "-O2", "-g", "-target", "bpf", "-c", "guard.bpf.c", "-o", "guard.bpf.o"];
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/covered/guard.bpf.c");
        fs::copy(source, home.0.path().join("guard.bpf.c")).expect("the source");
        let done = home.cover(&args).env("HAWKBELL_CLANG", clang).output().expect("cover cc");
        if said(&done).contains("no such file") {
            continue;
        }
        assert!(done.status.success(), "{clang}: {}", said(&done));
        built += 1;
        for library in ["libbpf-rs", "aya"] {
            let mut run = home.cover(&["run", "--"]);
            run.arg(this()).args(ARGS.split(' ')).env(LIBRARY, library);
            let run = run.env(ORDERS, format!("{},guard,3 exit=0", home.object("guard"))).output().expect("run");
            assert!(run.status.success(), "{clang}, {library}: {}", said(&run));
            assert_eq!(home.entries(), [("guard".to_owned(), 3)], "{clang}, {library}");
        }
        with_bpftool(&home, clang);
        if let Some(loader) = &cilium {
            // Debian's version knows no `.data.*` sections.
            let split = ["split", "guard.bpf.covobj", "-o", "plain.bpf.o", "--section", ".data"];
            assert!(home.cover(&split).status().expect("split").success());
            let run = home.cover(&["run", "--", loader, "plain.bpf.o", "guard", "4"]).output().expect("run");
            assert!(run.status.success(), "{clang}, cilium/ebpf: {}", said(&run));
            assert_eq!(home.entries(), [("guard".to_owned(), 4)], "{clang}, cilium/ebpf");
        }
    }
    println!("objects of {built} clangs load everywhere");
    assert!(built > 0, "no clang");
}

#[test]
fn programs_in_cpp_and_rust_count_too() {
    let Some(home) = Home::build() else { return };
    fs::write(home.0.path().join("p.cpp"), CPP).expect("write");
    let built = home.cover(&["cc", "-O2", "-g", "-target", "bpf", "-c", "p.cpp", "-o", "cpp.bpf.o"]).output();
    assert!(built.as_ref().is_ok_and(|o| o.status.success()), "{built:?}");
    counts(&home, "cpp");

    // rustc writes the same sections; without a linker for eBPF, clang assembles what it compiled.
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rust_program.rs");
    let assembly = home.0.path().join("rusty.s");
    let flags =
        "--edition 2024 --crate-type lib --target bpfel-unknown-none -O -g -C panic=abort -C instrument-coverage";
    let mut rustc = Command::new("rustc");
    rustc.args(flags.split(' ')).args(["-Z", "no-profiler-runtime", "--emit", "asm", "-o"]).args([&assembly, &source]);
    let compiled = rustc.env("RUSTC_BOOTSTRAP", "1").output().expect("run rustc");
    let mut assemble = Command::new("clang-19");
    assemble.args(["-target", "bpf", "-c", "rusty.s", "-o", "rusty.bpf.covobj"]).current_dir(home.0.path());
    if !compiled.status.success() || !assemble.status().is_ok_and(|s| s.success()) {
        return println!("skipped: Rust for eBPF needs this rustc and clang 19: {}", said(&compiled));
    }
    let split = ["split", "rusty.bpf.covobj", "-o", "rusty.bpf.o"];
    assert!(home.cover(&split).status().expect("split").success());
    counts(&home, "rusty");
}

fn counts(home: &Home, program: &str) {
    home.run(&[], &format!("{},{program},3 exit=0", home.object(program)));
    assert!(home.cover(&["out", "-f", "lcov"]).status().expect("out").success());
    let lcov = fs::read_to_string(home.0.path().join("out.lcov")).expect("a report");
    assert!(lcov.contains(&format!("FNDA:3,{program}\n")), "{lcov}");
}

const CPP: &str = "#define SEC(name) __attribute__((section(name), used))
struct context { unsigned data, data_end; };
template <unsigned verdict> static unsigned choose(const context &c) { return c.data_end ? verdict : 1; }
extern \"C\" SEC(\"xdp\") int cpp(context *c) { return choose<2>(*c); }
char LICENSE[] SEC(\"license\") = \"GPL\";
";

/// Loads, runs and unloads as a shell script would.
fn with_bpftool(home: &Home, clang: &str) {
    if !Command::new("bpftool").arg("version").output().is_ok_and(|o| o.status.success()) {
        return println!("skipped: no bpftool");
    }
    let bpffs = testkit::netns::Bpffs::mount();
    let (pin, packet) = (bpffs.path.join("guard"), home.0.path().join("packet"));
    fs::write(&packet, [0; 64]).expect("a packet");
    let (pin, packet) = (pin.display(), packet.display());
    let script = format!(
        "bpftool prog load guard.bpf.o {pin} && bpftool prog run pinned {pin} data_in {packet} repeat 5 && rm {pin}"
    );
    let run = home.cover(&["run", "--", "sh", "-c", &script]).output().expect("run");
    assert!(run.status.success(), "{clang}, bpftool: {}", said(&run));
    assert_eq!(home.entries(), [("guard".to_owned(), 5)], "{clang}, bpftool");
}

/// A loader in Go on Debian's package of cilium/ebpf; `None`, with the reason said, without it.
fn cilium_loader(home: &Home) -> Option<String> {
    const PACKAGES: &str = "/usr/share/gocode";
    if !Path::new(PACKAGES).join("src/github.com/cilium/ebpf").is_dir() {
        println!("skipped: cilium/ebpf needs the packages golang-go and golang-github-cilium-ebpf-dev");
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cilium_loader.go");
    let program = home.0.path().join("cilium-loader").display().to_string();
    let mut build = Command::new("go");
    build.args(["build", "-o", &program]).arg(source).env("GO111MODULE", "off").env("GOPATH", PACKAGES);
    // The home of whoever runs the tests stays as it is.
    let built = build.env("GOCACHE", home.0.path().join("go-cache")).output().expect("run go");
    assert!(built.status.success(), "{}", said(&built));
    Some(program)
}

const CLANGS: [&str; 5] = ["clang-14", "clang-15", "clang-16", "clang-19", "clang-22"];
const LIBRARY: &str = "HAWKBELL_TEST_LIBRARY";
