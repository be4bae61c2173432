//! What `cover` writes and reads besides reports: profiles for LLVM's tools (which read them back), sums, pins, live reading,
//! differences to a commit; and what it says of files that are not what they should be.

use crate::home::{ARGS, Home, ORDERS, said, this};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn llvm_reads_back_what_is_exported() {
    let Some(home) = Home::build() else { return };
    home.run(&[], &format!("{},guard,3 {},hot,2 exit=0", home.object("guard"), home.object("golden")));
    assert!(home.cover(&["export", "-o", "all.proftext"]).status().expect("export").success());
    let mut readers = 0;
    for llvm in ["14", "15", "16", "17", "18", "19", "20", "21", "22"] {
        let tool = format!("llvm-profdata-{llvm}");
        if !Command::new(&tool).arg("--version").output().is_ok_and(|o| o.status.success()) {
            continue;
        }
        readers += 1;
        let wanted = counters_read(&home, &tool, "all.proftext");
        assert!(wanted.iter().any(|f| f.starts_with("guard\n") && f.contains("\n3")), "{wanted:?}");
        for format in ["profraw", "profdata"] {
            let file = format!("all.{format}");
            let done = home.cover(&["export", "--to", format, "--llvm", llvm, "-o", &file]).output().expect("export");
            assert!(done.status.success(), "{tool}, {format}: {}", said(&done));
            assert_eq!(counters_read(&home, &tool, &file), wanted, "{tool}, {format}");
        }
    }
    assert!(home.cover(&["gen"]).status().expect("gen").success());
    if Command::new("llvm-profdata").arg("--version").output().is_ok_and(|o| o.status.success()) {
        let text = counters_read(&home, "llvm-profdata", "all.proftext");
        assert_eq!(counters_read(&home, "llvm-profdata", "hawkbell.profraw"), text);
    }
    println!("{readers} versions of llvm-profdata read the same from text, raw and indexed profiles");

    let without = home.cover(&["export", "--to", "profdata"]).env("PATH", "/nowhere").output().expect("export");
    assert_eq!(without.status.code(), Some(1));
    assert!(said(&without).contains("llvm-profdata: not found") && said(&without).contains("proftext"));
}

/// Functions that ran with their counters, as an LLVM tool understood a profile. Indexed profiles leave out the others.
fn counters_read(home: &Home, tool: &str, file: &str) -> BTreeSet<String> {
    let read = Command::new(tool).args(["merge", "-text", "-o", "-", file]).current_dir(home.0.path()).output();
    let read = read.expect("run the tool");
    assert!(read.status.success(), "{tool} {file}: {}", said(&read));
    let text = String::from_utf8_lossy(&read.stdout).into_owned();
    text.split("\n\n").map(|f| f.trim().to_owned()).filter(|f| ran(f)).collect()
}

fn ran(function: &str) -> bool {
    function.split_once("# Counter Values:").is_some_and(|(_, values)| values.lines().any(|v| !["", "0"].contains(&v)))
}

#[test]
fn profiles_add_up() {
    let Some(home) = Home::build() else { return };
    let guard = home.object("guard");
    home.run(&["-o", "a"], &format!("{guard},guard,3 exit=0"));
    home.run(&["-o", "b"], &format!("{guard},guard,4 {},hot,1 exit=0", home.object("golden")));
    assert!(home.cover(&["merge", "a", "b"]).status().expect("merge").success());
    assert_eq!(home.entries(), [("guard".to_owned(), 7), ("hot".to_owned(), 1)]);
}

#[test]
fn pins_keep_counters_across_runs() {
    let Some(home) = Home::build() else { return };
    let bpffs = testkit::netns::Bpffs::mount();
    let pins = bpffs.path.join("state").display().to_string();
    for times in [2, 3] {
        home.run(&["--pin", &pins], &format!("{},guard,{times} exit=0", home.object("guard")));
    }
    let tag = home.tag("guard");
    for (pin, times) in [(tag.clone(), 2), (format!("{tag}-2"), 3)] {
        let map = load::Map::open_pinned(&Path::new(&pins).join(&pin)).expect("a pinned map");
        assert!(
            home.cover(&["collect", "--map", &map.id().expect("an id").to_string()])
                .status()
                .expect("collect")
                .success()
        );
        assert_eq!(home.entries(), [("guard".to_owned(), times)], "{pin}");
    }
    let elsewhere = home
        .cover(&["run", "--pin", "plain", "--"])
        .arg(this())
        .args(ARGS.split(' '))
        .env(ORDERS, format!("{},guard,1 exit=0", home.object("guard")))
        .output()
        .expect("run");
    assert!(said(&elsewhere).contains("--pin takes a directory on a bpffs"), "{}", said(&elsewhere));
}

#[test]
fn live_counters_are_watched() {
    let Some(home) = Home::build() else { return };
    let mut loader = home.loaded(11);
    let mut watch = home.cover(&["collect", "--watch", "1"]).stdout(Stdio::piped()).spawn().expect("collect");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(watch.stdout.take().expect("its output")));
    for _ in 0..2 {
        let line = lines.next().expect("a line").expect("text");
        assert!(line.contains("counters hit"), "{line}");
    }
    watch.kill().and_then(|()| watch.wait()).expect("stop watching");
    loader.kill().and_then(|()| loader.wait()).expect("stop the loader");
    assert!(home.entries().contains(&("guard".to_owned(), 11)), "the profile is written each time");
}

#[test]
fn only_changed_lines_are_reported() {
    let Some(home) = Home::build() else { return };
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"];
        let done = Command::new("git").args(identity).args(args).current_dir(home.0.path()).output();
        done.is_ok_and(|o| o.status.success())
    };
    let source = home.0.path().join("guard.bpf.c");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/covered/guard.bpf.c"), &source)
        .expect("a copy");
    if !(git(&["init"]) && git(&["add", "guard.bpf.c"]) && git(&["commit", "-m", "before"])) {
        return println!("skipped: needs git");
    }
    let text = fs::read_to_string(&source).expect("the source");
    fs::write(&source, text.replace("ip[9] == 6 &&", "ip[9] == 6 && ip[8] != 1 &&")).expect("a change");
    home.compile("guard", &source, "-DX");
    home.run(&[], &format!("{},guard,1 exit=0", home.object("guard")));
    let out = home.cover(&["out", "-f", "lcov", "--diff", "main", "-o", "changed"]).output().expect("out");
    assert!(out.status.success(), "{}", said(&out));
    let lcov = fs::read_to_string(home.0.path().join("changed")).expect("a report");
    let changed = 1 + text.lines().position(|l| l.contains("ip[9] == 6")).expect("the line");
    let lines: Vec<_> = lcov.lines().filter(|l| l.starts_with("DA:")).collect();
    assert_eq!(lines, [format!("DA:{changed},0")], "{lcov}");
    let strange = home.cover(&["report", "--diff", "no-such-branch"]).output().expect("report");
    assert_eq!(strange.status.code(), Some(1));
    assert!(said(&strange).contains("no-such-branch"), "{}", said(&strange));
}

#[test]
fn what_is_not_as_it_should_be_is_named() {
    let Some(home) = Home::build() else { return };
    home.run(&["-o", "good.cover"], &format!("{},guard,1 exit=0", home.object("guard")));
    let read = |name: &str| fs::read(home.0.path().join(name)).expect("a file");
    let write = |name: &str, bytes: &[u8]| fs::write(home.0.path().join(name), bytes).expect("write");
    let (sidecar, profile) = (read("guard.bpf.covobj"), read("good.cover"));
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x10;
        bytes
    };
    write("flipped.cover", &flipped(&profile, profile.len() / 2));
    write("cut.cover", &profile[..profile.len() - 9]);
    write("text.cover", b"TN:\nSF:guard.bpf.c\n");
    write("empty", b"");
    write("cut.covobj", &sidecar[..sidecar.len() / 3]);
    write("foreign.o", &fs::read("/proc/self/exe").expect("this program"));
    fs::create_dir(home.0.path().join("apart")).expect("a directory");
    write("apart/flipped.covobj", &flipped(&sidecar, sidecar.len() / 2));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/covered/guard.bpf.c").display().to_string();
    let cc = ["cc", "-target", "bpf", "-c", &source, "-o", "again.o"];
    let elsewhere: &[(&str, &str)] = &[("XDG_STATE_HOME", "/nowhere")];
    let cases: &[Case] = &[
        (&["split", "foreign.o", "-o", "x"], &[], 1, "not for eBPF"),
        (&["split", "empty", "-o", "x"], &[], 1, "cut short"),
        (&["split", "cut.covobj", "-o", "x"], &[], 1, "object `cut.covobj`"),
        (&["split", "nothing", "-o", "x"], &[], 1, "no such file"),
        (&["report", "flipped.cover"], &[], 1, "its seal is broken"),
        (&["report", "cut.cover"], &[], 1, "its seal is broken"),
        (&["report", "text.cover"], &[], 1, "not a coverage profile"),
        (&["report", "nothing"], &[], 1, "profile `nothing`: no such file"),
        (&["merge", "good.cover", "flipped.cover"], &[], 1, "profile `flipped.cover`"),
        (&["report", "../good.cover", "--object", "flipped.covobj"], elsewhere, 1, "none is its own"),
        (
            &["report", "../good.cover", "--object", "nothing.covobj"],
            elsewhere,
            1,
            "sidecar `nothing.covobj`: no such file",
        ),
        (&["report", "good.cover", "--fail-under", "beauty=3"], &[], 1, "there are functions, lines"),
        (&["report", "good.cover", "--fail-under", "lines=300"], &[], 1, "write it as lines=90"),
        (&cc, &[("HAWKBELL_CLANG", "clang-1")], 1, "run `clang-1`: no such file"),
        (&cc, &[("PATH", "/nowhere")], 1, "clang 13 or newer: not found on the PATH"),
        (&["cc", "-target", "bpf", "-c", "nothing.c", "-o", "x"], &[], 1, "nothing.c"),
        (&["check", "foreign.o"], &[], 1, "foreign"),
        (&["check", "empty"], &[], 1, "empty"),
    ];
    for (args, environment, code, wanted) in cases {
        let mut command = home.cover(args);
        if *environment == elsewhere {
            command.current_dir(home.0.path().join("apart"));
        }
        let done = command.envs(environment.iter().copied()).output().expect("cover");
        let said = said(&done).to_lowercase();
        assert!(done.status.code() == Some(*code) && said.contains(&wanted.to_lowercase()), "{args:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("os error"), "{said}");
    }

    // An object without counters still loads; a source that is gone leaves a report that says so.
    let plain = home.cover(&["split", "/dev/stdin", "-o", "x"]).stdin(Stdio::null()).output().expect("split");
    assert_eq!(plain.status.code(), Some(1));
    let copy = home.0.path().join("gone.bpf.c");
    fs::copy(&source, &copy).expect("a copy");
    home.compile("gone", &copy, "-DX");
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    fs::File::options().append(true).open(&copy).and_then(|f| f.set_modified(later)).expect("a change");
    home.run(&[], &format!("{},guard,1 exit=0", home.object("gone")));
    let out = home.cover(&["show"]).output().expect("show");
    assert!(said(&out).contains("changed since it was built"), "{}", said(&out));
    fs::remove_file(&copy).expect("remove it");
    let out = home.cover(&["out", "-f", "html"]).output().expect("out");
    assert!(out.status.success() && said(&out).contains("gone.bpf.c`: not found"), "{}", said(&out));
}

/// Arguments, environment, exit status, words.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32, &'a str);

#[test]
fn without_privilege_the_cause_is_named() {
    let Some(home) = Home::build() else { return };
    for (args, code, wanted) in [
        (&["ls"][..], 1, "CAP_SYS_ADMIN"),
        (&["collect"], 1, "CAP_SYS_ADMIN"),
        (&["check", "guard.bpf.o"], 1, "CAP_BPF"),
        (&["cost", "guard.bpf.o", "guard.bpf.o"], 1, "CAP_BPF"),
        (&["run", "--", "true"], 0, "CAP_BPF"),
    ] {
        let done = std::thread::scope(|scope| {
            let confined = scope.spawn(|| {
                testkit::confine::apply("drop-caps=all").expect("fewer rights");
                home.cover(args).output().expect("cover")
            });
            confined.join().expect("a run")
        });
        assert!(done.status.code() == Some(code) && said(&done).contains(wanted), "{args:?}: {}", said(&done));
    }
}
