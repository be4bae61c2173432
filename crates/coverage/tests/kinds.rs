//! Programs of every kind that the running kernel takes count, whatever calls them: test runs, tracepoints of all three kinds,
//! an iterator. Built by every clang present; skips, with a reason, without one or without privilege. fentry and LSM programs
//! are tried by `cargo xtask kernels`.

#![allow(clippy::print_stdout)] // a test says why it skips

mod support;

use coverage::profile::Counters;
use coverage::sidecar::{Sidecar, name_ref};
use coverage::split::split;
use load::{Iter, Loader, Map};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::fs;
use support::{CLANGS, compile, data, may_load, runs};

#[test]
fn every_kind_of_program_counts() {
    if !may_load() {
        return;
    }
    // For this thread alone, where nobody has mounted it: tracepoints are looked up there.
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    mount(none, "/", none, private, none).expect("private mounts");
    mount(Some("tracefs"), "/sys/kernel/tracing", Some("tracefs"), MsFlags::empty(), none).expect("tracefs");
    let home = tempfile::tempdir().expect("a scratch directory");
    let path = home.path().join("kinds.covobj");
    for clang in CLANGS.iter().filter(|c| runs(c)) {
        compile(clang, &data("kinds.bpf.c"), &path, &["-fprofile-update=atomic"]);
        let bytes = fs::read(&path).expect("an object");
        let (sidecar, split) = (Sidecar::parse(&bytes).expect("a sidecar"), split(&bytes, None).expect("a split"));
        let object = Loader::new("kinds", &split.object).load().expect("the kernel takes it");
        for program in ["on_packet", "on_frame"] {
            object.test_run(program, &[0; 64]).expect("a test run");
        }
        let links = ["on_raw", "on_btf", "on_tracepoint", "on_task"].map(|p| object.attach(p).expect("it attaches"));
        std::io::copy(&mut Iter::start(&links[3]).expect("an iterator"), &mut std::io::sink()).expect("all tasks");
        drop(links);

        let maps = object.maps().expect("maps");
        let value = |m: &Map| m.lookup(&[0; 4]).ok().flatten().and_then(|v| Counters::from_map_value(&v));
        let counters = maps.iter().find_map(value).expect("a counter map");
        for program in ["on_packet", "on_frame", "on_raw", "on_btf", "on_tracepoint", "on_task", "kinds.bpf.c:counted"]
        {
            let function = sidecar.functions.iter().find(|f| f.name_ref == name_ref(program)).expect("the function");
            let entered = counters.of(function)[0];
            assert!(entered > 0, "{clang}: {program} ran");
        }
    }
}
