//! `hawkbell cover` end to end on the running kernel: objects built by `cover cc`, loaded by a loader of ours (this test
//! program, started again), counted, reported. Needs root and a clang; skips with a reason without them.

#![allow(clippy::print_stdout)] // a test says why it skips

mod files;
mod home;
mod loaders;

use home::{ARGS, Home, ORDERS, kill_self, said, terminate, this, wait_for};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

/// The loader: loads each object named, runs each as often as told, then ends as told. Does nothing as a test.
#[test]
fn loader() {
    let Ok(orders) = env::var(ORDERS) else { return };
    // From another thread, as the runtimes of some loaders do.
    std::thread::spawn(move || obey(&orders)).join().expect("orders are obeyed");
}

fn obey(orders: &str) {
    let (mut kept, mut last) = (Vec::new(), String::new());
    for order in orders.split(' ') {
        let fields: Vec<_> = order.split(',').collect();
        let [path, program, times] = fields[..] else {
            last = order.to_owned();
            continue;
        };
        let times: u32 = times.parse().expect("a number");
        kept.push(loaders::load_and_run(Path::new(path), program, times));
    }
    match last.split_once('=') {
        Some(("exit", code)) => std::process::exit(code.parse().expect("a code")),
        Some(("touch", path)) => {
            fs::write(path, "loaded").expect("say so");
            std::thread::sleep(Duration::from_secs(20));
        }
        Some(("sleep", millis)) => std::thread::sleep(Duration::from_millis(millis.parse().expect("a time"))),
        _ => kill_self(),
    }
}

#[test]
fn counters_outlive_loaders_however_they_end() {
    let Some(home) = Home::build() else { return };
    let guard = home.object("guard");
    let done = home.run(&[], &format!("{guard},guard,7 exit=3"));
    assert_eq!(done.code(), Some(3), "the command's own status");
    assert_eq!(home.entries(), [("guard".to_owned(), 7)]);

    assert_eq!(home.run(&[], &format!("{guard},guard,5 kill")).code(), Some(137), "killed by SIGKILL");
    assert_eq!(home.entries(), [("guard".to_owned(), 5)]);

    // The same object twice is one build with the sum; another object stays apart.
    let golden = home.object("golden");
    home.run(&["--append"], &format!("{guard},guard,1 {guard},guard,2 {golden},hot,4 exit=0"));
    assert_eq!(home.entries(), [("guard".to_owned(), 8), ("hot".to_owned(), 4)]);
}

#[test]
fn children_and_what_they_leave_running_are_held() {
    let Some(home) = Home::build() else { return };
    let orders = format!("{},guard,6 sleep=400", home.object("guard"));
    let script = format!("sh -c '{} {ARGS} >/dev/null &' ; exit 4", this().display());
    let status = home.cover(&["run", "--", "sh", "-c", &script]).env(ORDERS, &orders).status().expect("run");
    assert_eq!((status.code(), home.entries()), (Some(4), vec![("guard".to_owned(), 6)]));

    // The other way to hold: the map lives long enough to be seen in the list.
    let status = home.run(&["--hold", "watch"], &orders);
    assert_eq!((status.code(), home.entries()), (Some(0), vec![("guard".to_owned(), 6)]));
}

#[test]
fn tracing_holds_as_well() {
    let Some(home) = Home::build() else { return };
    let (guard, golden) = (home.object("guard"), home.object("golden"));
    let traced = ["--hold", "ptrace"];
    assert_eq!(home.run(&traced, &format!("{guard},guard,7 {golden},hot,2 exit=3")).code(), Some(3));
    assert_eq!(home.entries(), [("guard".to_owned(), 7), ("hot".to_owned(), 2)]);
    assert_eq!(home.run(&traced, &format!("{guard},guard,5 kill")).code(), Some(137), "killed by SIGKILL");
    assert_eq!(home.entries(), [("guard".to_owned(), 5)]);

    // A grandchild that outlives the command; a command that stops itself and is woken up.
    let script = format!(
        "sh -c '{} {ARGS} >/dev/null &' ; (sleep 0.1; kill -CONT $$) & kill -STOP $$; exit 4",
        this().display()
    );
    let mut run = home.cover(&["run", "--hold", "ptrace", "--", "sh", "-c", &script]);
    let status = run.env(ORDERS, format!("{guard},guard,6 sleep=300")).status().expect("run");
    assert_eq!((status.code(), home.entries()), (Some(4), vec![("guard".to_owned(), 6)]));
}

#[test]
fn where_notification_is_refused_processes_are_traced() {
    let Some(home) = Home::build() else { return };
    let orders = format!("{},guard,3 exit=5", home.object("guard"));
    let run = |words: &[&str]| {
        let mut run = home.cover(&["run"]);
        run.args(words).arg("--").arg(this()).args(ARGS.split(' ')).env(ORDERS, &orders);
        run.output().expect("cover run")
    };
    // seccomp(2) is missing: an old kernel, or a container that forbids it.
    let refused = std::thread::scope(|scope| {
        let refused = scope.spawn(|| {
            testkit::confine::apply("seccomp=seccomp:38").expect("a filter");
            run(&[])
        });
        refused.join().expect("a run")
    });
    assert!(said(&refused).contains("processes were followed by ptrace instead"), "{}", said(&refused));
    assert_eq!((refused.status.code(), home.entries()), (Some(5), vec![("guard".to_owned(), 3)]));

    // Another supervisor is there already, and answers creations before us: both see all.
    let nested =
        run(&["-o", "outer.cover", "--", env!("CARGO_BIN_EXE_hawkbell"), "cover", "run", "-o", "hawkbell.cover"]);
    assert!(said(&nested).contains("ptrace"), "{}", said(&nested));
    assert_eq!((nested.status.code(), home.entries()), (Some(5), vec![("guard".to_owned(), 3)]));
    assert!(home.cover(&["merge", "outer.cover"]).status().expect("merge").success());
    assert_eq!(home.entries(), [("guard".to_owned(), 3)]);
}

#[test]
fn signals_reach_the_command() {
    let Some(home) = Home::build() else { return };
    let scripts = [("trap 'exit 9' TERM; touch up; while :; do sleep 0.05; done", 9), ("touch up; exec sleep 20", 143)];
    for (hold, (script, code)) in ["notify", "ptrace"].into_iter().flat_map(|hold| scripts.map(|s| (hold, s))) {
        let mut run = home.cover(&["run", "--hold", hold, "--", "sh", "-c", script]);
        let mut run = run.stderr(Stdio::null()).spawn().expect("run");
        wait_for(&home.0.path().join("up"));
        terminate(&run);
        assert_eq!(run.wait().expect("an end").code(), Some(code), "{hold}: {script}");
        fs::remove_file(home.0.path().join("up")).expect("clean up");
    }
    let missing = home.cover(&["run", "--", "no-such-command"]).output().expect("run");
    assert_eq!(missing.status.code(), Some(127));
    assert!(said(&missing).contains("run `no-such-command`: no such file or directory"), "{}", said(&missing));
}

#[test]
fn running_programs_are_listed_collected_and_reset() {
    let Some(home) = Home::build() else { return };
    let mut loader = home.loaded(11);
    let tag = home.tag("guard");
    let list = home.cover(&["ls", "--json"]).output().expect("list");
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).expect("JSON");
    let ours = list.as_array().and_then(|l| l.iter().find(|m| m["tag"] == *tag)).expect("our map is listed").clone();
    let map = ours["id"].to_string();
    assert!(home.cover(&["collect", "--map", &map, "--reset"]).output().expect("collect").status.success());
    assert_eq!(home.entries(), [("guard".to_owned(), 11)]);
    assert!(home.cover(&["collect", "--map", &map]).output().expect("collect").status.success());
    assert_eq!(home.entries(), [("guard".to_owned(), 0)], "after the reset");
    loader.kill().and_then(|()| loader.wait()).expect("stop the loader");
}

#[test]
fn every_format_and_the_gate() {
    let Some(home) = Home::build() else { return };
    home.run(&[], &format!("{},guard,2 exit=0", home.object("guard")));
    for (format, file, wanted) in [
        ("html", "out_html/index.html", "guard.bpf.c"),
        ("json", "out.json", "llvm.coverage.json.export"),
        ("lcov", "out.lcov", "FNDA:2,guard"),
        ("cobertura", "out.xml", "filename="),
        ("text", "out.txt", "TOTAL"),
    ] {
        let out = home.cover(&["out", "-f", format]).output().expect("out");
        assert!(out.status.success(), "{format}: {}", said(&out));
        assert!(fs::read_to_string(home.0.path().join(file)).expect("a file").contains(wanted), "{format}");
    }
    let shown = home.cover(&["show"]).output().expect("show");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.lines().any(|l| l.contains("           2 | \tif (tcp + 4 > end)")), "{shown}");
    let gate = |limit| home.cover(&["report", "--fail-under", limit]).output().expect("report");
    assert!(gate("lines=1").status.success());
    let low = gate("lines=99,branches=99");
    assert_eq!(low.status.code(), Some(1));
    assert!(said(&low).contains("coverage is too low: lines"), "{}", said(&low));
}

#[test]
fn old_command_lines_work_under_the_old_name() {
    let Some(home) = Home::build() else { return };
    let old = home.0.path().join("bpfcov");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hawkbell"), &old).expect("a link");
    let script = home.0.path().join("app");
    fs::write(&script, format!("#!/bin/sh\nexec {} {ARGS}\n", this().display())).expect("a script");
    assert!(Command::new("chmod").arg("+x").arg(&script).status().is_ok_and(|s| s.success()));
    let bpfcov = |args: &[&str]| {
        let mut command = Command::new(&old);
        command.args(args).current_dir(home.0.path()).env("XDG_STATE_HOME", home.0.path());
        command.env(ORDERS, format!("{},guard,3 exit=5", home.object("guard"))).output().expect("bpfcov")
    };
    let code = |args: &[&str]| bpfcov(args).status.code();
    assert_eq!(code(&[]), Some(0), "help");
    assert_eq!((code(&["-?"]), code(&["--usage"]), code(&["nonsense"])), (Some(0), Some(0), Some(1)));
    assert_eq!(code(&["gen", "app"]), Some(1), "nothing was run yet");
    assert_eq!(code(&["-v3", "running", "--", "./app"]), Some(5), "the program's status, by a prefix of the word");
    assert_eq!(code(&["run", "./no-such-app"]), Some(1));
    assert_eq!(code(&["gen", "app"]), Some(0));
    assert!(home.0.path().join("app.profraw").exists());
    assert_eq!(code(&["out", "-f", "nonsense", "app.profraw"]), Some(1));
    assert_eq!(code(&["out", "--format=lc", "app.profraw"]), Some(0));
    let lcov = fs::read_to_string(home.0.path().join("out.lcov")).expect("a report");
    assert!(lcov.contains("FNDA:3,guard"), "{lcov}");
    assert_eq!((code(&["out", "app.profraw"]), home.0.path().join("out_html/index.html").exists()), (Some(0), true));
    assert_eq!((code(&["gen", "--unpin", "app"]), code(&["gen", "app"])), (Some(0), Some(1)));
}

#[test]
fn conditions_that_are_never_true_compile_with_every_clang() {
    let Some(home) = Home::build() else { return };
    let source = home.0.path().join("idle.bpf.c");
    fs::write(&source, IDLE).expect("write");
    for clang in ["clang-14", "clang-15", "clang-16", "clang-19"] {
        let args = ["cc", "-O2", "-g", "-target", "bpf", "-c", "idle.bpf.c", "-o", "idle.bpf.o"];
        let Ok(built) = home.cover(&args).env("HAWKBELL_CLANG", clang).output() else { continue };
        if said(&built).contains("no such file") {
            println!("skipped: no {clang}");
            continue;
        }
        assert!(built.status.success(), "{clang}: {}", said(&built));
        home.run(&[], &format!("{},guard,3 exit=0", home.object("idle")));
        assert_eq!(home.entries(), [("guard".to_owned(), 3)], "{clang}");
    }
}

#[test]
fn what_is_excluded_is_named_and_conditions_are_counted() {
    let Some(home) = Home::build() else { return };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/covered/guard.bpf.c");
    let report = |options: &[&str], clang: &str| {
        let built = home
            .cover(&["cc"])
            .args(options)
            .args(["-O2", "-g", "-target", "bpf", "-c"])
            .arg(&source)
            .args(["-o", "guard.bpf.o"])
            .env("HAWKBELL_CLANG", clang)
            .output()
            .expect("cover cc");
        if said(&built).contains("no such file") {
            println!("skipped: no {clang}");
            return None;
        }
        assert!(built.status.success(), "{options:?}, {clang}: {}", said(&built));
        home.run(&[], &format!("{},guard,2 exit=0", home.object("guard")));
        let report = home.cover(&["report"]).output().expect("report");
        Some(String::from_utf8_lossy(&report.stdout).into_owned() + &said(&report))
    };
    for clang in ["clang-14", "clang-16", "clang-19"] {
        let Some(text) = report(&["--exclude-function", "is_fragment"], clang) else { continue };
        assert!(text.contains("not measured: `is_fragment` (excluded when it was built)"), "{clang}: {text}");
        assert!(text.contains("(2/2)"), "{clang}: one function less: {text}");
        let text = report(&["--exclude-file", "*guard.bpf.c"], clang).expect("a report");
        assert!(
            text.contains("holds no counters") || text.contains("file excluded when it was built"),
            "{clang}: {text}"
        );
    }
    if let Some(text) = report(&["--mcdc"], "clang-19") {
        assert!(text.contains("CONDITIONS") && text.contains("(0/7)"), "{text}");
    }
}

#[test]
fn what_the_verifier_refuses_with_counters_is_fitted_and_named() {
    let Some(home) = Home::build() else { return };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../coverage/tests/data/golden");
    // More turns of the loop: fine for the verifier without counters, too much with them.
    let source =
        fs::read_to_string(golden.join("golden.bpf.c")).expect("the source").replace("i < 4; i++", "i < 10; i++");
    let (path, include) = (home.0.path().join("heavy.bpf.c"), format!("-I{}", golden.join("bpf").display()));
    fs::write(&path, source).expect("write");

    let args = ["cc", "--fit", "-O2", "-g", "-target", "bpf", &include, "-c", "heavy.bpf.c", "-o", "heavy.bpf.o"];
    let fitted = home.cover(&args).output().expect("cover cc");
    assert!(
        fitted.status.success() && said(&fitted).contains("is left out of counting: program `golden`"),
        "{}",
        said(&fitted)
    );
    assert!(home.cover(&["check", "heavy.bpf.o"]).status().expect("check").success());
    home.run(&[], &format!("{},hot,2 exit=0", home.object("heavy")));
    let report = home.cover(&["report"]).output().expect("report");
    let text = String::from_utf8_lossy(&report.stdout).into_owned();
    let function = text.split("not measured: `").nth(1).and_then(|t| t.split('`').next()).expect("its name").to_owned();
    for (format, file, wanted) in [
        ("html", "out_html/index.html", format!("<code>{function}</code>: program `golden`")),
        ("json", "out.json", format!("\"function\":\"{function}\"")),
        ("lcov", "out.lcov", format!("# not measured: {function} (program `golden`")),
        ("cobertura", "out.xml", format!("<!-- not measured: {function} (program `golden`")),
        ("text", "out.txt", format!("not measured: `{function}`")),
    ] {
        assert!(home.cover(&["out", "-f", format]).status().expect("out").success());
        let report = fs::read_to_string(home.0.path().join(file)).expect("a report");
        assert!(report.contains(&wanted), "{format}: {wanted}");
        assert!(
            !report.contains(&format!("FNDA:0,{function}")) && !report.contains(&format!(":{function}\"")),
            "{format}"
        );
    }
    let pages = fs::read_dir(home.0.path().join("out_html")).expect("pages").flatten().map(|e| e.path());
    let marked =
        pages.map(|p| fs::read_to_string(p).expect("a page")).filter(|page| page.contains("class=\"unmeasured\""));
    assert_eq!(marked.count(), 1, "the function is marked in its source");
    let cost = home.cover(&["cost", "--json", "heavy.bpf.o", "heavy.bpf.o"]).output().expect("cost");
    let cost: serde_json::Value = serde_json::from_slice(&cost.stdout).expect("JSON");
    let hot =
        cost["programs"].as_array().and_then(|p| p.iter().find(|p| p["program"] == "hot")).expect("a price").clone();
    assert!(
        hot["plain"]["instructions"].as_u64() > Some(1) && hot["plain"]["verified"] == hot["instrumented"]["verified"]
    );
}

#[test]
fn the_example_works_as_its_readme_says() {
    let Some(home) = Home::build() else { return };
    let idle = home.0.path().join("idle.bpf.c");
    fs::write(&idle, IDLE.replace("guard", "idle").replace("LICENSE", "LICENSE_TOO")).expect("write");
    home.compile("idle", &idle, "-DX");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/covered/try.sh");
    let namespace = "mount -t bpf bpf /sys/fs/bpf && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", namespace, "sh", env!("CARGO_BIN_EXE_hawkbell"), "cover", "run", "--"]);
    let run = command.arg(script).current_dir(home.0.path()).env("XDG_STATE_HOME", home.0.path()).output();
    let tools = Command::new("bpftool").arg("version").output().is_ok();
    let Some(run) = run.ok().filter(|r| tools && r.status.success()) else {
        println!("skipped: needs bpftool, unshare and a BPF file system");
        return;
    };
    assert!(!said(&run).contains("warning"), "{}", said(&run));
    assert_eq!(home.entries(), [("guard".to_owned(), 9)]);
    // What libbpf users generate from objects works as well, and objects can be linked: each has its own counters.
    let bpftool = |args: &[&str]| {
        let done = Command::new("bpftool").args(args).current_dir(home.0.path()).output().expect("bpftool");
        assert!(done.status.success(), "{args:?}: {}", said(&done));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    assert!(bpftool(&["gen", "skeleton", "guard.bpf.o"]).contains(&format!("data_c{}", home.tag("guard"))));
    bpftool(&["gen", "object", "linked.bpf.o", "guard.bpf.o", "idle.bpf.o"]);
    assert!(home.cover(&["check", "linked.bpf.o"]).status().expect("check").success());
}

const IDLE: &str = "#define SEC(name) __attribute__((section(name), used))
struct xdp_md { unsigned data, data_end; };
SEC(\"xdp\") int guard(struct xdp_md *c)
{
	int size = sizeof(int);
	return 1 + ((size > 7 && c->data) ? 5 : 1);
}
char LICENSE[] SEC(\"license\") = \"Dual BSD/GPL\";
";
