//! One snapshot of all numbers: names and values come in, JSON fields and Prometheus text go out. How a name of the JSON
//! form is called in Prometheus is decided here and nowhere else.

use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Count(u64),
    Real(f64),
}

/// Names and values of one moment.
#[derive(Debug, Default)]
pub struct Sample {
    fields: Vec<(String, Value)>,
    prometheus: Vec<Series>,
}

#[derive(Debug)]
struct Series {
    name: String,
    kind: &'static str,
    labels: Vec<(String, String)>,
    value: Number,
}

impl Sample {
    /// A number that only grows: `falco.n_evts` is `falcosecurity_falco_n_evts_total` in Prometheus.
    pub fn counter(&mut self, key: &str, value: u64) {
        self.field(key, value);
        self.labelled(&format!("{}_total", prometheus_name(key)), "counter", Vec::new(), value);
    }

    /// A count of what is there now: named like a counter, but it also goes down.
    pub fn level(&mut self, key: &str, value: u64) {
        self.field(key, value);
        self.labelled(&format!("{}_total", prometheus_name(key)), "gauge", Vec::new(), value);
    }

    /// A number that goes up and down.
    pub fn gauge(&mut self, key: &str, value: Number) {
        self.fields.push((key.to_owned(), value.to_json()));
        self.series(prometheus_name(key), "gauge", Vec::new(), value);
    }

    /// Only in the JSON form.
    pub fn field(&mut self, key: &str, value: u64) {
        self.fields.push((key.to_owned(), value.into()));
    }

    /// Only in the JSON form.
    pub fn real_field(&mut self, key: &str, value: f64) {
        self.fields.push((key.to_owned(), Number::Real(value).to_json()));
    }

    /// Text, only in the JSON form.
    pub fn text(&mut self, key: &str, value: &str) {
        self.fields.push((key.to_owned(), value.into()));
    }

    /// Only in Prometheus.
    pub fn labelled(&mut self, name: &str, kind: &'static str, labels: Vec<(String, String)>, value: u64) {
        self.series(name.to_owned(), kind, labels, Number::Count(value));
    }

    /// A gauge, only in Prometheus.
    pub fn series_gauge(&mut self, name: &str, value: Number) {
        self.series(name.to_owned(), "gauge", Vec::new(), value);
    }

    /// Text as labels of a gauge that is always 1.
    pub fn info(&mut self, name: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.series(name.to_owned(), "gauge", labels, Number::Count(1));
    }

    /// The JSON form; numbers that are zero only with `include_empty`.
    pub fn fields(&self, include_empty: bool) -> Map<String, Value> {
        let is_empty = |value: &Value| value.as_f64().is_some_and(|number| number == 0.0);
        self.fields.iter().filter(|(_, value)| include_empty || !is_empty(value)).cloned().collect()
    }

    /// The text format 0.0.4. Series of one name stand together.
    pub fn prometheus(&self) -> String {
        let mut text = String::with_capacity(self.prometheus.len() * 120);
        let mut told: Vec<&str> = Vec::new();
        for series in &self.prometheus {
            if told.contains(&series.name.as_str()) {
                continue;
            }
            told.push(&series.name);
            let name = &series.name;
            let _ = writeln!(text, "# HELP {name} https://falco.org/docs/metrics/\n# TYPE {name} {}", series.kind);
            for same in self.prometheus.iter().filter(|other| other.name == *name) {
                same.write(&mut text);
            }
        }
        text
    }

    fn series(&mut self, name: String, kind: &'static str, labels: Vec<(String, String)>, value: Number) {
        self.prometheus.push(Series { name, kind, labels, value });
    }
}

impl Series {
    fn write(&self, text: &mut String) {
        text.push_str(&self.name);
        if !self.labels.is_empty() {
            let labels: Vec<String> =
                self.labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
            let _ = write!(text, "{{{}}}", labels.join(","));
        }
        let _ = match self.value {
            Number::Count(count) => writeln!(text, " {count}"),
            Number::Real(real) => writeln!(text, " {real:.6}"),
        };
    }
}

impl Number {
    fn to_json(self) -> Value {
        match self {
            Number::Count(count) => count.into(),
            Number::Real(real) => json!((real * 1000.0).round() / 1000.0),
        }
    }
}

/// `falco.n_evts` -> `falcosecurity_falco_n_evts`.
fn prometheus_name(key: &str) -> String {
    let name = key.replace(['.', '-'], "_");
    format!("falcosecurity_{}", name.strip_suffix("_total").unwrap_or(&name))
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_hold_the_same_numbers() {
        let mut sample = Sample::default();
        sample.counter("scap.n_drops", 0);
        sample.counter("scap.n_evts", 7);
        sample.info("falcosecurity_falco_version_info", &[("version", "a\"b")]);
        assert_eq!(Value::Object(sample.fields(false)), json!({"scap.n_evts": 7}));
        assert_eq!(sample.fields(true).len(), 2);
        let text = sample.prometheus();
        assert!(
            text.contains("# TYPE falcosecurity_scap_n_evts_total counter\nfalcosecurity_scap_n_evts_total 7\n"),
            "{text}"
        );
        assert!(text.contains("falcosecurity_falco_version_info{version=\"a\\\"b\"} 1\n"), "{text}");
    }
}
