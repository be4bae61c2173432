//! Cases as text: a YAML list comes in, cases with encoded events go out, or an error with its place. See
//! `hawkbell rules test --help` for an example.

use super::encode;
use crate::config::{Node, Place};
use event::snapshot::Proc;
use std::path::{Path, PathBuf};

/// One case.
#[derive(Debug, Clone, Default)]
pub struct Case {
    pub name: String,
    pub processes: Vec<Proc>,
    /// Encoded events.
    pub events: Vec<Vec<u8>>,
    /// Instead of synthetic events.
    pub capture: Option<PathBuf>,
    /// Rules that must fire.
    pub alerts: Vec<String>,
    /// Rules that must not fire.
    pub silent: Vec<String>,
    /// No rule but `alerts` may fire.
    pub is_exact: bool,
}

/// Why a file of cases cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error("cases `{path}`: {cause}")]
    Read { path: String, cause: std::io::Error },
    #[error(transparent)]
    Yaml(#[from] crate::config::node::ParseError),
    /// Nothing in it would ever fail.
    #[error("cases `{path}`: no case in it (a case begins with `- test: what it shows`)")]
    Empty { path: String },
    #[error("{place}: {reason}")]
    Case { place: Place, reason: String },
}

/// Reads the cases of a file. Paths in it are relative to it.
///
/// # Errors
/// See [`CaseError`].
pub fn read(path: &Path) -> Result<Vec<Case>, CaseError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|cause| CaseError::Read { path: name.clone(), cause })?;
    let base = path.parent().unwrap_or(Path::new("."));
    let cases: Vec<Case> =
        Node::parse(&name, &text)?.elements().iter().map(|node| case(node, base)).collect::<Result<_, _>>()?;
    if cases.is_empty() { Err(CaseError::Empty { path: name }) } else { Ok(cases) }
}

fn case(node: &Node, base: &Path) -> Result<Case, CaseError> {
    let wrong = |node: &Node, reason: String| CaseError::Case { place: node.place.clone(), reason };
    if let Some((key, value)) = node.entries().iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
        return Err(wrong(value, format!("unknown key `{key}`: a case has {}", KEYS.join(", "))));
    }
    let name = text(node, "test").ok_or_else(|| wrong(node, "a case needs a name: `test: what it shows`".into()))?;
    let list = |key: &str| node.get(key).map(Node::elements).unwrap_or_default();
    let processes = list("processes").iter().map(|p| process(p).map_err(|reason| wrong(p, reason)));
    let mut clock = encode::Clock::default();
    let events = list("events").iter().map(|e| encode::event(e, &mut clock).map_err(|reason| wrong(e, reason)));
    let names = |key: &str| list(key).iter().filter_map(Node::text).map(str::to_owned).collect();
    let case = Case {
        name: name.to_owned(),
        processes: processes.collect::<Result<_, _>>()?,
        events: events.collect::<Result<_, _>>()?,
        capture: text(node, "capture").map(|path| base.join(path)),
        alerts: names("alerts"),
        silent: names("silent"),
        is_exact: node.get("alerts").is_some() && node.get("silent").is_none(),
    };
    if case.events.is_empty() == case.capture.is_none() {
        return Err(wrong(node, "a case needs either events or a capture".into()));
    }
    Ok(case)
}

fn text<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    node.get(key).and_then(Node::text)
}

/// A process as it was before the first event.
fn process(node: &Node) -> Result<Proc, String> {
    let mut proc = Proc { args: Vec::new(), uid: 0, gid: 0, ..Proc::default() };
    for (key, value) in node.entries() {
        let number = || value.text().and_then(encode::number).ok_or_else(|| format!("`{key}` must be a number"));
        let bytes = || value.text().unwrap_or_default().as_bytes().to_vec();
        match key.as_str() {
            "pid" => {
                (proc.pid, proc.tid, proc.vpid, proc.vtid) = {
                    let n = number()?;
                    (n, n, n, n)
                }
            }
            "tid" => {
                (proc.tid, proc.vtid) = {
                    let n = number()?;
                    (n, n)
                }
            }
            "parent" => proc.ptid = number()?,
            "vpid" => proc.vpid = number()?,
            "sid" => proc.sid = number()?,
            "pgid" => proc.pgid = number()?,
            "name" => proc.comm = bytes(),
            "exe" => proc.exe = bytes(),
            "exepath" => proc.exepath = bytes(),
            "cwd" => proc.cwd = bytes(),
            "args" => proc.args = encode::strings(value),
            "env" => proc.env = encode::strings(value),
            "cgroups" => proc.cgroups = encode::strings(value),
            "uid" => proc.uid = u32::try_from(number()?).map_err(|_| "`uid` is too large")?,
            "gid" => proc.gid = u32::try_from(number()?).map_err(|_| "`gid` is too large")?,
            "loginuid" => proc.loginuid = u32::try_from(number()?).map_err(|_| "`loginuid` is too large")?,
            "tty" => proc.tty = u32::try_from(number()?).map_err(|_| "`tty` is too large")?,
            _ => return Err(format!("unknown key `{key}`: a process has {PROCESS_KEYS}")),
        }
    }
    if proc.pid < 0 {
        return Err("a process needs a pid".into());
    }
    if proc.exepath.is_empty() {
        proc.exepath.clone_from(&proc.exe);
    }
    Ok(proc)
}

const KEYS: &[&str] = &["test", "processes", "events", "capture", "alerts", "silent"];
const PROCESS_KEYS: &str =
    "pid, tid, parent, vpid, sid, pgid, name, exe, exepath, cwd, args, env, cgroups, uid, gid, loginuid, tty";

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Event, Kind};

    fn read_text(text: &str) -> Result<Vec<Case>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cases.yaml");
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn a_case_becomes_events() {
        let cases = read_text(
            "- test: reads\n  processes: [{pid: 7, name: cat, exe: /bin/cat, args: [/etc/shadow]}]\n  events:\n  \
             - {event: openat, pid: 7, fd: 3, name: /etc/shadow, flags: O_RDONLY|O_CLOEXEC}\n  alerts: [A]\n",
        )
        .unwrap();
        let event = Event::decode(&cases[0].events[0], 0).unwrap();
        assert_eq!((event.kind, event.tid, event.i64(0)), (Kind::SYSCALL_OPENAT_2_X, 7, Some(3)));
        assert_eq!(event.text(2), Some(&b"/etc/shadow"[..]));
        assert!(cases[0].is_exact);
    }

    #[test]
    fn a_file_without_cases_is_a_mistake() {
        for text in ["", "[]", "# nothing yet\n", "cases: {}"] {
            let error = read_text(text).unwrap_err();
            assert!(error.contains("cases.yaml`: no case in it"), "{error}");
        }
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, want) in [
            ("- {test: a, alert: []}", "unknown key `alert`"),
            ("- {test: a}", "either events or a capture"),
            ("- test: a\n  events: [{event: nonsense, pid: 1}]", "no event is called `nonsense`"),
            ("- test: a\n  events: [{event: open, pid: 1, colour: 2}]", "no parameter `colour`"),
            ("- test: a\n  events: [{event: open, pid: 1, flags: O_WRONG}]", "`O_WRONG`"),
            ("- test: a\n  processes: [{name: x}]\n  events: [{event: open, pid: 1}]", "needs a pid"),
        ] {
            let error = read_text(text).unwrap_err();
            assert!(error.contains(want) && error.contains("cases.yaml:"), "{error}");
        }
    }
}
