//! `cover cc`: runs the user's clang with coverage and splits what comes out, so that `CLANG="hawkbell cover cc"` is all that
//! a build needs. What is not a compilation for eBPF goes to clang unchanged. Exit status is clang's.

use super::collect::warn;
use super::cost::{load_what_loads, reason};
use super::sidecars::remember;
use crate::exit::{Exit, Failure, Outcome};
use anyhow::{Context, Result, anyhow, bail};
use coverage::cc::{Counting, Options, Plan, ThroughText, is_idle_load_failure, plan, without_idle_loads};
use coverage::fit::hottest_function;
use coverage::hold::words;
use coverage::sidecar::{Exclusion, Sidecar, with_exclusions};
use load::Cause;
use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::{env, fs};

pub fn run(args: &[OsString]) -> Outcome {
    if args.first().is_some_and(|a| a == "--help" || a == "-h") {
        std::io::stdout().write_all(HELP.as_bytes())?;
        return Ok(Exit::OK);
    }
    let (mut wrapper, clang_args) = Wrapper::read(args)?;
    let clang = clang(wrapper.counting)?;
    loop {
        let list = wrapper.write_profile_list(&clang)?;
        let options = Options { counting: wrapper.counting, profile_list: list.as_ref().map(|l| l.path.clone()) };
        let (args, through_text, object, sidecar) = match plan(&clang_args, &options) {
            Plan::PassThrough => return Ok(exit_of(execute(&clang, &clang_args)?)),
            Plan::Instrument { args, through_text, object, sidecar } => (args, through_text, object, sidecar),
        };
        let status = instrument(&clang, &args, &through_text)?;
        if !status.success() {
            return Ok(exit_of(status));
        }
        let kept = finish(&object, &sidecar, &wrapper)?;
        let Some(left_out) = wrapper.fit.then(|| to_leave_out(&object, &kept)).transpose()?.flatten() else {
            return Ok(Exit::OK);
        };
        if wrapper.left_out.iter().any(|e| e.function == left_out.function) {
            let text = format!(
                "object `{}`: refused even without counters in `{}`: {}",
                object.display(),
                left_out.function,
                left_out.reason
            );
            return Err(Failure::message(text));
        }
        warn(&format!("`{}` is left out of counting: {}", left_out.function, left_out.reason));
        wrapper.left_out.push(left_out);
    }
}

/// The function to go without counters next, so that the verifier takes the object; `None` when it takes it all.
fn to_leave_out(object: &Path, sidecar: &Path) -> Result<Option<Exclusion>, Failure> {
    let (_, refused) = load_what_loads(object)?;
    let Some(refused) = refused.iter().find(|r| r.cause == Cause::Verifier) else { return Ok(None) };
    let bytes = fs::read(sidecar).with_context(|| format!("sidecar `{}`", sidecar.display()))?;
    let hottest = match Sidecar::parse(&bytes) {
        Ok(sidecar) => hottest_function(&sidecar, &refused.log),
        Err(_) => None,
    };
    let function = hottest.unwrap_or_else(|| refused.program.clone());
    Ok(Some(Exclusion { function, reason: format!("program `{}`: {}", refused.program, reason(refused)) }))
}

/// Compiles; once more, another way, where the backend of an old clang gives up. clang's words go through unless they are
/// about that.
fn instrument(clang: &OsStr, args: &[OsString], again: &ThroughText) -> Result<ExitStatus> {
    let mut command = Command::new(clang);
    command.args(args).stdin(Stdio::inherit()).stdout(Stdio::inherit());
    if std::io::stderr().is_terminal() {
        command.arg("-fcolor-diagnostics");
    }
    let output = command.output().with_context(|| format!("run `{}`", clang.to_string_lossy()))?;
    if output.status.success() || !is_idle_load_failure(&String::from_utf8_lossy(&output.stderr)) {
        std::io::stderr().write_all(&output.stderr)?;
        return Ok(output.status);
    }
    let status = execute(clang, &again.to_text)?;
    if !status.success() {
        return Ok(status);
    }
    let path = &again.text;
    let text = fs::read_to_string(path).with_context(|| format!("intermediate code `{}`", path.display()))?;
    fs::write(path, without_idle_loads(&text)).with_context(|| format!("intermediate code `{}`", path.display()))?;
    let status = execute(clang, &again.from_text)?;
    fs::remove_file(path)?;
    Ok(status)
}

/// Turns clang's output into the loadable object and the sidecar, and says where the sidecar lies.
fn finish(object: &Path, sidecar: &Path, wrapper: &Wrapper) -> Result<PathBuf> {
    let bytes = fs::read(sidecar).with_context(|| format!("object `{}`", sidecar.display()))?;
    let bytes = with_exclusions(bytes, &wrapper.exclusions());
    fs::write(sidecar, &bytes).with_context(|| format!("sidecar `{}`", sidecar.display()))?;
    let split = coverage::split::split(&bytes, wrapper.section.as_deref())
        .with_context(|| format!("object `{}`", sidecar.display()))?;
    fs::write(object, &split.object).with_context(|| format!("object `{}`", object.display()))?;
    let place = match &wrapper.sidecar_dir {
        Some(directory) => {
            fs::create_dir_all(directory).with_context(|| format!("directory `{}`", directory.display()))?;
            let place = directory.join(format!("{}.covobj", split.build.tag()));
            fs::copy(sidecar, &place).with_context(|| format!("sidecar `{}`", place.display()))?;
            fs::remove_file(sidecar)?;
            place
        }
        None => sidecar.to_owned(),
    };
    remember(split.build, &place);
    Ok(place)
}

/// Our own options; they stand before clang's.
#[derive(Default)]
struct Wrapper {
    counting: Counting,
    sidecar_dir: Option<PathBuf>,
    section: Option<String>,
    excluded_files: Vec<String>,
    excluded_functions: Vec<String>,
    /// Leave out functions until the verifier takes the object.
    fit: bool,
    left_out: Vec<Exclusion>,
}

impl Wrapper {
    fn read(args: &[OsString]) -> Result<(Wrapper, Vec<OsString>)> {
        let mut wrapper =
            Wrapper { sidecar_dir: env::var_os("HAWKBELL_COVER_DIR").map(PathBuf::from), ..Wrapper::default() };
        if let Some(counters) = env::var_os("HAWKBELL_COVER_COUNTERS") {
            wrapper.counting = counting(&counters)?;
        }
        let mut rest = args.iter();
        while let Some(arg) = rest.as_slice().first() {
            let value = rest.as_slice().get(1).cloned();
            let value = || value.with_context(|| format!("option `{}`: needs a value", arg.to_string_lossy()));
            match arg.to_str() {
                Some("--fit") => wrapper.fit = true,
                Some("--mcdc") => wrapper.counting = Counting::Mcdc,
                Some("--counters") => wrapper.counting = counting(&value()?)?,
                Some("--sidecar-dir") => wrapper.sidecar_dir = Some(value()?.into()),
                Some("--section") => wrapper.section = Some(value()?.to_string_lossy().into_owned()),
                Some("--exclude-file") => wrapper.excluded_files.push(value()?.to_string_lossy().into_owned()),
                Some("--exclude-function") => wrapper.excluded_functions.push(value()?.to_string_lossy().into_owned()),
                Some("--") => {
                    rest.next();
                    break;
                }
                _ => break,
            }
            rest.nth(usize::from(arg != "--mcdc" && arg != "--fit"));
        }
        Ok((wrapper, rest.cloned().collect()))
    }

    /// What goes without counters, and why.
    fn exclusions(&self) -> Vec<Exclusion> {
        let asked = |name: &String| Exclusion { function: name.clone(), reason: "excluded when it was built".into() };
        let files =
            |glob: &String| Exclusion { function: glob.clone(), reason: "file excluded when it was built".into() };
        let functions = self.excluded_functions.iter().map(asked).chain(self.left_out.iter().cloned());
        functions.chain(self.excluded_files.iter().map(files)).collect()
    }

    /// clang's list of what not to instrument, in the words of its version.
    fn write_profile_list(&self, clang: &OsStr) -> Result<Option<TemporaryFile>> {
        if self.exclusions().is_empty() {
            return Ok(None);
        }
        let modern = major_version(clang)?.is_none_or(|major| major >= FIRST_WITH_CATEGORIES);
        let mut text = String::from(if modern { "[clang]\ndefault:allow\n" } else { "" });
        let old_and_new = |old: &str, new: &str, name: &str| {
            if modern { format!("{new}:{name}=skip\n") } else { format!("!{old}:{name}\n") }
        };
        self.excluded_files.iter().for_each(|f| text += &old_and_new("src", "source", f));
        let functions = self.excluded_functions.iter().chain(self.left_out.iter().map(|e| &e.function));
        functions.for_each(|f| text += &old_and_new("fun", "function", f));
        TemporaryFile::with(&text).map(Some)
    }
}

fn counting(name: &OsStr) -> Result<Counting> {
    match name.to_str() {
        Some("atomic") => Ok(Counting::Atomic),
        Some("fast" | "plain") => Ok(Counting::Plain),
        Some("mcdc") => Ok(Counting::Mcdc),
        _ => bail!("counters `{}`: there are atomic, fast and mcdc", name.to_string_lossy()),
    }
}

/// A file that goes away with the value.
struct TemporaryFile {
    path: PathBuf,
}

impl TemporaryFile {
    fn with(text: &str) -> Result<TemporaryFile> {
        let path = env::temp_dir().join(format!("hawkbell-profile-list-{}", std::process::id()));
        fs::write(&path, text).with_context(|| format!("file `{}`", path.display()))?;
        Ok(TemporaryFile { path })
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The user's clang, or the newest one that can do what is asked for.
fn clang(counting: Counting) -> Result<OsString, Failure> {
    let oldest = if counting == Counting::Mcdc { FIRST_WITH_MCDC } else { FIRST_CLANG };
    let known = env::var_os("HAWKBELL_CLANG");
    let versions = (oldest..=NEWEST_CLANG).rev().map(|v| format!("clang-{v}"));
    let candidates =
        std::iter::once("clang".to_owned()).chain(versions).filter(|name| on_path(name)).map(OsString::from);
    let candidates = known.is_none().then_some(candidates).into_iter().flatten();
    let help = || format!("install clang {oldest} or newer, or name it in HAWKBELL_CLANG");
    for clang in known.clone().into_iter().chain(candidates) {
        match major_version(&clang).map_err(|error| Failure::new(error).help(help()))? {
            Some(major) if major < oldest && known.is_some() => {
                let text = format!("`{}`: version {major} is too old", clang.to_string_lossy());
                return Err(Failure::message(text).help(help()));
            }
            Some(major) if major < oldest => {}
            _ => return Ok(clang),
        }
    }
    Err(Failure::message(format!("clang {oldest} or newer: not found on the PATH")).help(help()))
}

fn on_path(name: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

fn major_version(clang: &OsStr) -> Result<Option<u32>> {
    let output = Command::new(clang)
        .arg("--version")
        .output()
        .map_err(|error| anyhow!("run `{}`: {}", clang.to_string_lossy(), words(&error)))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split("version ").nth(1).and_then(|v| v.split('.').next());
    Ok(version.and_then(|v| v.parse().ok()))
}

fn execute(clang: &OsStr, args: &[OsString]) -> Result<ExitStatus> {
    Command::new(clang).args(args).status().with_context(|| format!("run `{}`", clang.to_string_lossy()))
}

fn exit_of(status: ExitStatus) -> Exit {
    Exit(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

const FIRST_CLANG: u32 = 13;
const FIRST_WITH_MCDC: u32 = 18;
const NEWEST_CLANG: u32 = 22;
/// Since clang 16 profile lists name categories.
const FIRST_WITH_CATEGORIES: u32 = 16;

const HELP: &str = "\
Compile for eBPF like clang, with coverage

Usage: hawkbell cover cc [OPTIONS] [--] CLANG ARGUMENTS

Where a build calls clang, let it call this: CLANG=\"hawkbell cover cc\" make. The object at -o loads like any other;
its sidecar X.covobj, beside it, explains the counters to `cover report`. Everything that is not the compilation of
one file for a BPF target goes to clang unchanged.

Options:
  --counters KIND          atomic (exact, the default), fast (loses updates when two CPUs meet), mcdc
  --mcdc                   the same as --counters mcdc: also count conditions (clang 18 or newer)
  --sidecar-dir DIR        collect sidecars there as TAG.covobj
  --section NAME           name of the counter section: .data for loaders that know no .data.* (cilium/ebpf before 0.17)
  --fit                    load the object (needs root) and leave out functions until the verifier takes all programs
  --exclude-file GLOB      do not instrument files that match
  --exclude-function NAME  do not instrument this function

Environment: HAWKBELL_CLANG the clang to run, HAWKBELL_COVER_DIR as --sidecar-dir, HAWKBELL_COVER_COUNTERS as --counters

Example:
  hawkbell cover cc -O2 -g -target bpf -c filter.bpf.c -o filter.bpf.o
";
