//! `probe` and `check` under our own name: every finding at once, objects, requirement files, saved reports. In: a parsed command
//! line; out, text or JSON. The reference's words for success and failure are kept on the same streams with the same status.

use super::args::Parsed;
use super::formats::{self, Checked};
use super::output::{Envelope, Json, Output};
use super::overview::Paper;
use super::{Style, requirements_file};
use features::inventory::{Scope, Snapshot};
use features::{Answer, Machine, Requirement};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// `hawkbell probe`.
pub fn probe(style: Style<'_>, parsed: &Parsed) -> Output {
    let fail = |message: String| Envelope::runtime(&parsed.path(style.program), message).output();
    if let Some(first) = parsed.text("diff") {
        let second =
            parsed.operands.first().map(String::as_str).or_else(|| parsed.texts("diff").nth(1).filter(|s| *s != first));
        return match second {
            Some(second) => diff(style, parsed, first, second).unwrap_or_else(fail),
            None => fail("--diff needs two saved reports: probe --diff a.json b.json".into()),
        };
    }
    let save = parsed.text("save");
    let scope = if parsed.is_on("full") || save.is_some() { Scope::Full } else { Scope::Usual };
    let snapshot = Snapshot::take(&Machine::here(), scope);
    if let Some(path) = save
        && let Err(message) = write_report(path, &snapshot)
    {
        return fail(message);
    }
    if wants_json(parsed) {
        Output::ok(style.json(&snapshot))
    } else {
        Output::ok(super::overview::text(&snapshot, Paper::of(style)))
    }
}

fn write_report(path: &str, snapshot: &Snapshot) -> Result<(), String> {
    let text = serde_json::to_string_pretty(snapshot).map_err(|error| format!("report `{path}`: {error}"))?;
    std::fs::write(path, text + "\n").map_err(|error| format!("report `{path}`: {}", words(&error)))
}

fn read_report(path: &str) -> Result<Snapshot, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("report `{path}`: {}", words(&error)))?;
    let report: Snapshot = serde_json::from_str(&text).map_err(|error| format!("report `{path}`: {error}"))?;
    if report.format == features::inventory::FORMAT {
        return Ok(report);
    }
    Err(format!(
        "report `{path}`: format {} is not {}; save it again with `hawkbell probe --save`",
        report.format,
        features::inventory::FORMAT
    ))
}

fn diff(style: Style<'_>, parsed: &Parsed, first: &str, second: &str) -> Result<Output, String> {
    let (a, b) = (read_report(first)?, read_report(second)?);
    let rows = a.differences(&b);
    let word = |answer: Option<&Answer>| answer.map_or("not recorded", Answer::word);
    if wants_json(parsed) {
        let row = |(key, a, b): &(&str, Option<&Answer>, Option<&Answer>)| {
            Json::object([("requirement", (*key).into()), ("first", word(*a).into()), ("second", word(*b).into())])
        };
        return Ok(Output::ok(
            style.json(&Json::object([("differences", Json::Array(rows.iter().map(row).collect()))])),
        ));
    }
    let mut out = format!("{} -> {}\n", a.context.release, b.context.release);
    for (key, a, b) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {key}: {} -> {}", word(a), word(b));
    }
    Ok(Output::ok(out))
}

/// `hawkbell check`.
pub fn check(style: Style<'_>, parsed: &Parsed) -> Output {
    let path = parsed.path(style.program);
    match gather(parsed) {
        Err(message) => Envelope::runtime(&path, message).output(),
        Ok((requirements, objects)) if requirements.is_empty() && objects.is_empty() => nothing_asked(parsed, path),
        Ok((requirements, objects)) => match answer(parsed, &requirements, &objects) {
            Ok(checked) => tell(style, parsed, &checked),
            Err(message) => Envelope::runtime(&path, message).output(),
        },
    }
}

fn nothing_asked(parsed: &Parsed, path: String) -> Output {
    if parsed.require.is_some() || parsed.text("requirements").is_some() || parsed.text("elf").is_some() {
        return Envelope::runtime(&path, "no features specified").output();
    }
    Envelope {
        error: "missing_required_flag",
        status: 10,
        message: "required flag(s) \"require\" not set (or give --requirements or --elf)".into(),
        flag: Some("require".into()),
        command: Some(path),
        ..Envelope::default()
    }
    .output()
}

type Asked = (Vec<Requirement>, Vec<PathBuf>);

fn gather(parsed: &Parsed) -> Result<Asked, String> {
    let mut requirements = parsed.require.clone().unwrap_or_default();
    let mut objects = Vec::new();
    for word in &parsed.operands {
        requirements.push(Requirement::parse(word).map_err(|error| error.to_string())?);
    }
    for file in parsed.texts("requirements") {
        let (more, elf) = requirements_file::read(Path::new(file))?;
        requirements.extend(more);
        objects.extend(elf);
    }
    objects.extend(parsed.texts("elf").map(PathBuf::from));
    Ok((requirements, objects.iter().map(|path| expand(path)).collect::<Result<Vec<_>, _>>()?.concat()))
}

/// A directory stands for the objects in it.
fn expand(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries =
        std::fs::read_dir(path).map_err(|error| format!("directory `{}`: {}", path.display(), words(&error)))?;
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "o")).collect();
    found.sort();
    if found.is_empty() { Err(format!("directory `{}`: has no .o file", path.display())) } else { Ok(found) }
}

fn answer(parsed: &Parsed, requirements: &[Requirement], objects: &[PathBuf]) -> Result<Checked, String> {
    if let Some(path) = parsed.text("against") {
        let snapshot = read_report(path)?;
        let mut all = requirements.to_vec();
        for object in objects {
            let bytes = read_object(object)?;
            let spec = elf_requirements(&bytes).map_err(|why| format!("object `{}`: {why}", object.display()))?;
            all.extend(spec);
        }
        return Ok(Checked {
            report: features::check(&snapshot, &all),
            objects: Vec::new(),
            of: snapshot.context.release,
        });
    }
    let machine = Machine::here();
    let report = features::check(&machine, requirements);
    let checked: Result<Vec<_>, String> =
        objects.iter().map(|path| object(&machine, path, parsed.is_on("load"))).collect();
    Ok(Checked { report, objects: checked?, of: machine.release.clone() })
}

fn elf_requirements(bytes: &[u8]) -> Result<Vec<Requirement>, String> {
    features::object::all_requirements(bytes).map_err(|error| error.to_string())
}

fn read_object(path: &Path) -> Result<Vec<u8>, String> {
    let said = |error: std::io::Error| format!("object `{}`: {}", path.display(), words(&error));
    let bytes = std::fs::metadata(path).map_err(said)?.len();
    if bytes > MOST_OBJECT_BYTES {
        return Err(format!(
            "object `{}`: {bytes} bytes are more than any BPF object has (limit {MOST_OBJECT_BYTES})",
            path.display()
        ));
    }
    std::fs::read(path).map_err(said)
}

fn object(machine: &Machine, path: &Path, load: bool) -> Result<formats::Object, String> {
    let bytes = read_object(path)?;
    let report = features::check_object(machine, &bytes).map_err(|error| error.to_string());
    let loaded = load.then(|| super::loaded::load(path, &bytes));
    Ok(formats::Object { path: path.display().to_string(), report, loaded })
}

fn tell(style: Style<'_>, parsed: &Parsed, checked: &Checked) -> Output {
    let status = u8::from(!checked.is_ok());
    let format = parsed.text("format").unwrap_or(if wants_json(parsed) { "json" } else { "text" });
    match format {
        "json" => Output { stdout: style.json(&checked.json()), status, ..Output::default() },
        "junit" => Output { stdout: checked.junit(), status, ..Output::default() },
        "sarif" => Output { stdout: style.json(&checked.sarif()), status, ..Output::default() },
        _ => Output { stdout: checked.stdout(), stderr: checked.stderr(), status },
    }
}

fn wants_json(parsed: &Parsed) -> bool {
    parsed.is_on("json") || parsed.text("format") == Some("json")
}

/// The words of an I/O error.
pub fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    let bare = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = bare.chars();
    letters.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

const MOST_OBJECT_BYTES: u64 = 64 << 20;
