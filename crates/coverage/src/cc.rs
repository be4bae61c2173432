//! A clang command line -> the command that compiles the same with coverage, and what to do with its output. Pure: running
//! clang, splitting and storing is the caller's business. What does not compile C for eBPF passes through untouched.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How counters are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Counting {
    /// Exact on any number of CPUs; one atomic add per counted place.
    #[default]
    Atomic,
    /// Plain adds: faster, but updates get lost when two CPUs run the same program.
    Plain,
    /// Plain adds plus condition bitmaps (MC/DC), which clang cannot combine with atomic ones. Needs clang 18.
    Mcdc,
}

/// What the wrapper was asked for besides the compiler's own arguments.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub counting: Counting,
    /// Names of functions and globs of files to leave out, through clang's `-fprofile-list`.
    pub profile_list: Option<PathBuf>,
}

/// What to do for one command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Not a compilation of one eBPF object: run clang as it is.
    PassThrough,
    Instrument {
        /// Arguments for clang, writing to `sidecar`.
        args: Vec<OsString>,
        /// What to do when the backend of clang 14 or 15 gives up: see [`ThroughText`].
        through_text: ThroughText,
        /// Where the loadable object belongs.
        object: PathBuf,
        /// The untouched output next to it: `X.o` -> `X.covobj`.
        sidecar: PathBuf,
    },
}

/// The same compilation in two steps, with the intermediate code as text between them. clang 14 and 15 turn an atomic
/// addition of a constant 0 (a condition that is never true) into an atomic load, which their backend cannot compile;
/// [`without_idle_loads`] takes it out of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThroughText {
    pub text: PathBuf,
    pub to_text: Vec<OsString>,
    pub from_text: Vec<OsString>,
}

/// Whether what clang said is the failure that [`ThroughText`] gets around.
pub fn is_idle_load_failure(said: &str) -> bool {
    said.contains("Cannot select") && said.contains("AtomicLoad")
}

/// Intermediate code in which atomic loads of counters, whose results nobody uses, do nothing. Counts are as exact as ever.
pub fn without_idle_loads(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        match line.split_once(" = load atomic i64, ").filter(|(_, load)| load.contains("@__profc_")) {
            // The number of the value must stay taken: values are numbered without gaps.
            Some((value, _)) => out.extend([value, " = add i64 0, 0"]),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// Plans the compilation that `args` ask for.
pub fn plan(args: &[OsString], options: &Options) -> Plan {
    let Some(command) = Command::read(args) else { return Plan::PassThrough };
    let sidecar = command.object.with_extension("covobj");
    let text = command.object.with_extension("ll");
    let mut common = command.rest;
    common.extend(command.dependency_target);
    common.extend(["-target".into(), OsString::from(TARGET), "-fno-crash-diagnostics".into()]);
    common.extend(flags(options));
    let output = |path: &Path| ["-o".into(), path.to_owned().into_os_string()];
    let through_text = ThroughText {
        to_text: common.iter().cloned().chain(["-S".into(), "-emit-llvm".into()]).chain(output(&text)).collect(),
        from_text: from_text(&common, &text).into_iter().chain(output(&sidecar)).collect(),
        text,
    };
    let args = common.into_iter().chain(output(&sidecar)).collect();
    Plan::Instrument { args, through_text, object: command.object, sidecar }
}

/// Code generation only: everything else is in the text already.
fn from_text(common: &[OsString], text: &Path) -> Vec<OsString> {
    let keeps = |arg: &&OsString| ["-m", "-O"].iter().any(|p| arg.to_string_lossy().starts_with(p)) && *arg != "-mllvm";
    let mut args: Vec<OsString> = common.iter().filter(keeps).cloned().collect();
    args.extend(["-target", TARGET, "-c", "-Xclang", "-disable-llvm-passes", "-x", "ir"].map(OsString::from));
    args.push(text.to_owned().into_os_string());
    args
}

/// The flags that instrument.
pub fn flags(options: &Options) -> Vec<OsString> {
    let mut flags: Vec<OsString> = vec!["-fprofile-instr-generate".into(), "-fcoverage-mapping".into()];
    let more: &[&str] = match options.counting {
        Counting::Atomic => &["-fprofile-update=atomic"],
        // Without the second flag clang keeps the counter in a register across loops, which the verifier pays for.
        Counting::Plain => &["-mllvm", "-disable-licm-promotion"],
        Counting::Mcdc => &["-fcoverage-mcdc", "-mllvm", "-disable-licm-promotion"],
    };
    flags.extend(more.iter().map(OsString::from));
    if let Some(list) = &options.profile_list {
        let mut flag = OsString::from("-fprofile-list=");
        flag.push(list);
        flags.push(flag);
    }
    flags
}

struct Command {
    /// Everything but output and target.
    rest: Vec<OsString>,
    object: PathBuf,
    /// Dependency files name what clang writes, which is the sidecar, unless told otherwise.
    dependency_target: Vec<OsString>,
}

impl Command {
    /// `None` for anything but the compilation of one file for a BPF target.
    fn read(args: &[OsString]) -> Option<Command> {
        let (mut rest, mut object, mut input) = (Vec::new(), None, None);
        let (mut for_bpf, mut compiles) = (false, false);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let text = arg.to_string_lossy();
            match &*text {
                "-o" => object = Some(PathBuf::from(args.next()?)),
                "-target" | "--target" => for_bpf = is_bpf(&args.next()?.to_string_lossy()),
                "-E" | "-S" | "-M" | "-MM" | "-fsyntax-only" | "-emit-llvm" => return None,
                _ if text.starts_with("--target=") => for_bpf = is_bpf(&text["--target=".len()..]),
                _ => {
                    compiles |= text == "-c";
                    let is_source = !text.starts_with('-') && has_extension(&text, &["c", "cc", "cpp", "C"]);
                    input = if is_source { Some(PathBuf::from(arg)) } else { input };
                    rest.push(arg.clone());
                }
            }
        }
        let default = || input.as_deref().and_then(Path::file_stem).map(|stem| Path::new(stem).with_extension("o"));
        let object = object.or_else(default)?;
        let has = |names: &[&str]| rest.iter().any(|a| names.iter().any(|n| a == *n));
        let mut dependency_target = Vec::new();
        if has(&["-MD", "-MMD"]) && !has(&["-MT", "-MQ"]) {
            dependency_target.extend(["-MQ".into(), object.clone().into_os_string()]);
        }
        (for_bpf && compiles && input.is_some()).then_some(Command { rest, object, dependency_target })
    }
}

fn is_bpf(target: &str) -> bool {
    ["bpf", "bpfel"].contains(&target.split('-').next().unwrap_or_default())
}

fn has_extension(path: &str, extensions: &[&str]) -> bool {
    Path::new(path).extension().is_some_and(|e| extensions.iter().any(|x| e == *x))
}

/// With an operating system in the triple, clang emits no registration code, which the BPF backend could not compile.
const TARGET: &str = "bpf-unknown-linux-gnu";

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(line: &str) -> Plan {
        plan(&line.split(' ').map(OsString::from).collect::<Vec<_>>(), &Options::default())
    }

    #[test]
    fn compilations_for_bpf_are_instrumented() {
        let Plan::Instrument { args, object, sidecar, .. } =
            planned("-O2 -g -target bpf -c a.bpf.c -o out/a.bpf.o -I x")
        else {
            panic!("not instrumented")
        };
        let line: Vec<_> = args.iter().map(|a| a.to_string_lossy()).collect();
        assert_eq!(
            line.join(" "),
            "-O2 -g -c a.bpf.c -I x -target bpf-unknown-linux-gnu -fno-crash-diagnostics -fprofile-instr-generate -fcoverage-mapping -fprofile-update=atomic -o out/a.bpf.covobj"
        );
        assert_eq!((object.to_str(), sidecar.to_str()), (Some("out/a.bpf.o"), Some("out/a.bpf.covobj")));
        assert!(
            matches!(planned("--target=bpfel -c dir/b.c"), Plan::Instrument { object, .. } if object == Path::new("b.o"))
        );
    }

    #[test]
    fn dependency_files_name_the_object_and_the_second_way_keeps_code_generation() {
        let Plan::Instrument { args, through_text, .. } = planned("-MMD -O2 -g -mcpu=v3 -target bpf -c a.c -o b.o")
        else {
            panic!("not instrumented")
        };
        assert!(args.windows(2).any(|w| w == ["-MQ", "b.o"]), "{args:?}");
        let line: Vec<_> = through_text.from_text.iter().map(|a| a.to_string_lossy()).collect();
        assert!(line.join(" ").starts_with("-O2 -mcpu=v3 -target bpf-unknown-linux-gnu -c"), "{line:?}");
    }

    #[test]
    fn idle_loads_of_counters_vanish_and_nothing_else() {
        let text = "  %3 = load atomic i64, i64* @__profc_f monotonic\n  %4 = load atomic i64, i64* %p monotonic\n";
        assert_eq!(without_idle_loads(text), "  %3 = add i64 0, 0\n  %4 = load atomic i64, i64* %p monotonic\n");
    }

    #[test]
    fn everything_else_passes_through() {
        for line in
            ["--version", "-c a.c -o a.o", "-target bpf -E a.c", "-target bpf a.o", "-target x86_64-linux-gnu -c a.c"]
        {
            assert_eq!(planned(line), Plan::PassThrough, "{line}");
        }
    }
}
