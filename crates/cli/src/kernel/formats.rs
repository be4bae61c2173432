//! The answers of a check in the forms that people and machines read: text, JSON, JUnit, SARIF. In: rows and object reports; out,
//! strings and JSON values. Nothing is decided here.

use super::loaded::Loaded;
use super::output::Json;
use features::{Answer, ObjectReport, Report, Row, Verdict};
use std::fmt::Write;

/// Everything that a check found.
pub struct Checked {
    pub report: Report,
    pub objects: Vec<Object>,
    /// The kernel release that was asked.
    pub of: String,
}

/// One object.
pub struct Object {
    pub path: String,
    /// The answers, or why the object could not be understood.
    pub report: Result<ObjectReport, String>,
    pub loaded: Option<Loaded>,
}

/// One line of trouble: rule, subject, text, remedy, place.
struct Trouble {
    id: String,
    subject: String,
    text: String,
    fix: Option<String>,
    place: Option<String>,
}

impl Object {
    pub fn is_ok(&self) -> bool {
        let fine = self.report.as_ref().is_ok_and(|r| r.verdict == Verdict::Loads);
        fine && self.loaded.as_ref().is_none_or(|loaded| loaded.ok)
    }

    fn troubles(&self) -> Vec<Trouble> {
        let plain = |id: &str, subject: &str, text: &str| Trouble {
            id: id.into(),
            subject: format!("{}: {subject}", self.path),
            text: text.into(),
            fix: None,
            place: Some(self.path.clone()),
        };
        let mut all = match &self.report {
            Err(why) => vec![plain("object", "object", why)],
            Ok(report) => self.found(report),
        };
        for refusal in self.loaded.iter().flat_map(|loaded| &loaded.refused) {
            let place = refusal.source.clone().unwrap_or_else(|| self.path.clone());
            all.push(Trouble {
                place: Some(place),
                ..plain("load", &format!("program `{}`", refusal.program), &refusal.reason)
            });
        }
        all.extend(self.loaded.iter().filter_map(|l| l.error.as_deref()).map(|why| plain("load", "object", why)));
        all
    }

    fn found(&self, report: &ObjectReport) -> Vec<Trouble> {
        let failing = Report { rows: report.rows.clone() };
        let mut all: Vec<Trouble> =
            failing.failures().filter(|row| counts(row)).map(|row| trouble(row, Some(&self.path))).collect();
        for access in report.accesses.iter().filter(|a| matches!(a.verdict, "missing" | "malformed" | "unknown")) {
            all.push(Trouble {
                id: "co-re".into(),
                subject: format!("{}: program `{}`: access {}", self.path, access.program, access.access),
                text: access.reason.clone().unwrap_or_default(),
                fix: Some("guard it with bpf_core_field_exists, or use a ___flavour of the type".into()),
                place: access.source.clone().or_else(|| Some(self.path.clone())),
            });
        }
        for finding in report.findings.iter().filter(|f| f.severity == diag::Severity::Error) {
            all.push(Trouble {
                id: finding.id.clone(),
                subject: format!("{}: {}", self.path, finding.subject),
                text: finding.reason.clone(),
                fix: finding.help.clone(),
                place: Some(self.path.clone()),
            });
        }
        all
    }

    fn json(&self) -> Json {
        let report = match &self.report {
            Ok(report) => ("report", serde_json::to_value(report).unwrap_or_default().into()),
            Err(why) => ("error", why.as_str().into()),
        };
        let mut pairs = vec![("path".to_owned(), self.path.as_str().into()), ("ok".to_owned(), self.is_ok().into())];
        pairs.push((report.0.to_owned(), report.1));
        if let Some(loaded) = &self.loaded {
            pairs.push(("loaded".into(), serde_json::to_value(loaded).unwrap_or_default().into()));
        }
        Json::Object(pairs)
    }

    fn text(&self) -> String {
        let mut out = format!("{}: {}\n", self.path, self.word());
        let Ok(report) = &self.report else { return out };
        // Writing to a String cannot fail.
        for row in &report.rows {
            let note = row.answer.reason().map(|r| format!(": {r}")).unwrap_or_default();
            let mark = if row.optional && !row.answer.is_supported() { "warn" } else { row.answer.word() };
            let _ = writeln!(out, "  {mark:<7} {}{note}", row.requirement);
        }
        for access in &report.accesses {
            let note = access.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
            let place = access.source.as_ref().map(|s| format!(" ({s})")).unwrap_or_default();
            let place = access.module.as_ref().map(|m| format!("{place}, types of module {m}")).unwrap_or(place);
            let _ =
                writeln!(out, "  {:<7} access {} in `{}`{place}{note}", access.verdict, access.access, access.program);
        }
        for finding in &report.findings {
            let _ = writeln!(out, "  {}: {}: {}", finding.severity, finding.subject, finding.reason);
        }
        out
    }

    fn word(&self) -> String {
        let fixed = match self.report.as_ref().map(|r| r.verdict) {
            Ok(Verdict::Loads) => "should load here",
            Ok(Verdict::Unknown) => "cannot tell whether it loads here",
            Ok(Verdict::Fails) => "does not load here",
            Err(why) => return format!("not understood: {why}"),
        };
        match self.loaded.as_ref().map(|loaded| loaded.ok) {
            Some(true) => format!("{fixed}; the kernel loaded it"),
            Some(false) => format!("{fixed}; the kernel refused it"),
            None => fixed.to_owned(),
        }
    }
}

impl Checked {
    pub fn is_ok(&self) -> bool {
        self.report.is_ok() && self.objects.iter().all(Object::is_ok)
    }

    fn troubles(&self) -> Vec<Trouble> {
        let rows = self.report.failures().map(|row| trouble(row, None));
        rows.chain(self.objects.iter().flat_map(Object::troubles)).collect()
    }

    pub fn stdout(&self) -> String {
        let mut out: String = self.objects.iter().map(Object::text).collect();
        for row in self.report.rows.iter().filter(|row| row.optional && !row.answer.is_supported()) {
            let reason = row.answer.reason().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(out, "WARN: {} - {reason}", row.requirement);
        }
        if self.is_ok() {
            out.push_str("OK: all requirements satisfied\n");
        }
        out
    }

    pub fn stderr(&self) -> String {
        let line = |t: &Trouble| match &t.fix {
            Some(fix) => format!("FAIL: {} - {}; {fix}\n", t.subject, t.text),
            None => format!("FAIL: {} - {}\n", t.subject, t.text),
        };
        self.troubles().iter().map(line).collect()
    }

    pub fn json(&self) -> Json {
        let mut pairs = Vec::new();
        if let Some(first) = self.report.failures().next() {
            pairs.push(("feature".to_owned(), first.requirement.as_str().into()));
            pairs.push(("reason".to_owned(), first.answer.reason().map(ToString::to_string).into()));
        }
        pairs.push(("ok".to_owned(), self.is_ok().into()));
        pairs.push(("kernel".to_owned(), self.of.as_str().into()));
        pairs.push(("requirements".to_owned(), serde_json::to_value(&self.report.rows).unwrap_or_default().into()));
        pairs.push(("objects".to_owned(), Json::Array(self.objects.iter().map(Object::json).collect())));
        Json::Object(pairs)
    }

    /// One test case per requirement and object.
    pub fn junit(&self) -> String {
        let mut cases: Vec<(String, Option<String>)> =
            self.report.rows.iter().map(|row| (row.requirement.clone(), failure_of(row))).collect();
        cases.extend(self.objects.iter().map(|object| {
            let said: Vec<String> =
                object.troubles().into_iter().map(|t| format!("{}: {}", t.subject, t.text)).collect();
            (object.path.clone(), (!object.is_ok()).then(|| said.join("\n")))
        }));
        let failed = cases.iter().filter(|(_, failure)| failure.is_some()).count();
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"hawkbell check\" tests=\"{}\" failures=\"{failed}\">\n",
            cases.len()
        );
        for (name, failure) in cases {
            let _ = match failure {
                None => writeln!(out, "  <testcase classname=\"kernel\" name=\"{}\"/>", xml(&name)),
                Some(text) => writeln!(
                    out,
                    "  <testcase classname=\"kernel\" name=\"{}\"><failure message=\"{}\"/></testcase>",
                    xml(&name),
                    xml(&text)
                ),
            };
        }
        out.push_str("</testsuite>\n");
        out
    }

    /// SARIF 2.1.0, one result per failing requirement.
    pub fn sarif(&self) -> Json {
        let result = |t: &Trouble| {
            let text = t.fix.as_ref().map_or(t.text.clone(), |fix| format!("{}; {fix}", t.text));
            let mut pairs = vec![
                ("ruleId".to_owned(), t.id.as_str().into()),
                ("level".to_owned(), "error".into()),
                ("message".to_owned(), Json::object([("text", format!("{}: {text}", t.subject).into())])),
            ];
            pairs.extend(t.place.as_deref().map(|place| ("locations".to_owned(), Json::Array(vec![location(place)]))));
            Json::Object(pairs)
        };
        let driver = Json::object([("name", "hawkbell check".into()), ("version", env!("CARGO_PKG_VERSION").into())]);
        let run = Json::object([
            ("tool", Json::object([("driver", driver)])),
            ("results", Json::Array(self.troubles().iter().map(result).collect())),
        ]);
        Json::object([
            ("$schema", "https://json.schemastore.org/sarif-2.1.0.json".into()),
            ("version", "2.1.0".into()),
            ("runs", Json::Array(vec![run])),
        ])
    }
}

fn location(place: &str) -> Json {
    let (file, line) = match place.rsplit_once(':').map(|(file, line)| (file, line.parse::<u32>())) {
        Some((file, Ok(line))) => (file, Some(line)),
        _ => (place, None),
    };
    let mut physical = vec![("artifactLocation".to_owned(), Json::object([("uri", file.into())]))];
    physical.extend(line.map(|line| ("region".to_owned(), Json::object([("startLine", line.into())]))));
    Json::object([("physicalLocation", Json::Object(physical))])
}

fn trouble(row: &Row, path: Option<&str>) -> Trouble {
    let reason = row.answer.reason();
    let subject = path.map_or_else(|| row.requirement.clone(), |path| format!("{path}: {}", row.requirement));
    Trouble {
        id: reason.map_or("ok", |r| r.cause.id()).to_owned(),
        subject,
        text: reason.map(|r| r.text.clone()).unwrap_or_default(),
        fix: reason.and_then(|r| r.fix.clone()),
        place: path.map(ToOwned::to_owned),
    }
}

/// A helper that only a whole load can try is no trouble.
fn counts(row: &Row) -> bool {
    !matches!(&row.answer, Answer::Unknown(reason) if reason.cause == features::Cause::Inconclusive)
}

fn failure_of(row: &Row) -> Option<String> {
    (!row.optional && !row.answer.is_supported())
        .then(|| row.answer.reason().map(ToString::to_string).unwrap_or_default())
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\n', "&#10;")
}
