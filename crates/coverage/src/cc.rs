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
        /// Where the loadable object belongs.
        object: PathBuf,
        /// The untouched output next to it: `X.o` -> `X.covobj`.
        sidecar: PathBuf,
    },
}

/// Plans the compilation that `args` ask for.
pub fn plan(args: &[OsString], options: &Options) -> Plan {
    let Some(command) = Command::read(args) else { return Plan::PassThrough };
    let sidecar = command.object.with_extension("covobj");
    let mut out = command.rest;
    out.extend(["-target".into(), OsString::from(TARGET)]);
    out.extend(flags(options));
    out.extend(["-o".into(), sidecar.clone().into_os_string()]);
    Plan::Instrument { args: out, object: command.object, sidecar }
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
        (for_bpf && compiles && input.is_some()).then_some(Command { rest, object })
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
        let Plan::Instrument { args, object, sidecar } = planned("-O2 -g -target bpf -c a.bpf.c -o out/a.bpf.o -I x")
        else {
            panic!("not instrumented")
        };
        let line: Vec<_> = args.iter().map(|a| a.to_string_lossy()).collect();
        assert_eq!(
            line.join(" "),
            "-O2 -g -c a.bpf.c -I x -target bpf-unknown-linux-gnu -fprofile-instr-generate -fcoverage-mapping -fprofile-update=atomic -o out/a.bpf.covobj"
        );
        assert_eq!((object.to_str(), sidecar.to_str()), (Some("out/a.bpf.o"), Some("out/a.bpf.covobj")));
        assert!(
            matches!(planned("--target=bpfel -c dir/b.c"), Plan::Instrument { object, .. } if object == Path::new("b.o"))
        );
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
