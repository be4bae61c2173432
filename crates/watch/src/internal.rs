//! Alerts about the watching itself: lost events, silence, metrics, a failed reload, a full recording. A name, a text and
//! fields come in, a message in the configured style goes out. They have no tags and always the short local time.

use crate::config::Style;
use crate::outputs::Message;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use rules::Priority;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// An alert about the watching itself.
#[derive(Debug, Clone)]
pub struct Internal {
    pub rule: &'static str,
    pub priority: Priority,
    pub text: String,
    /// Sorted by key.
    pub fields: Map<String, Value>,
}

impl Internal {
    pub fn new(rule: &'static str, priority: Priority, text: impl Into<String>) -> Self {
        Internal { rule, priority, text: text.into(), fields: Map::new() }
    }

    #[must_use]
    pub fn field(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(key.to_owned(), value.into());
        self
    }

    /// The message at time `ts` (ns since the epoch) in `style`.
    pub fn message(&self, ts: u64, style: &Style, hostname: &str) -> Message {
        let text = self.line(ts);
        let line = if style.json { self.json(ts, text, style, hostname) } else { text };
        Message { priority: self.priority, rule: self.rule.to_owned(), line }
    }

    fn line(&self, ts: u64) -> String {
        let time = zoned(ts).strftime("%H:%M:%S.%9f").to_string();
        let mut line = format!("{time}: {} {}", self.priority, self.text);
        if !self.fields.is_empty() {
            let pairs: Vec<String> = self.sorted().map(|(key, value)| format!("{key}={value}")).collect();
            let _ = write!(line, " ({})", pairs.join(" "));
        }
        line
    }

    fn json(&self, ts: u64, output: String, style: &Style, hostname: &str) -> String {
        let time = timestamp(ts).strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string();
        let mut object = Map::new();
        object.insert("hostname".into(), hostname.into());
        if style.json_output {
            object.insert("output".into(), output.into());
        }
        if style.json_message {
            object.insert("message".into(), self.text.clone().into());
        }
        if style.json_fields {
            object.insert("output_fields".into(), self.sorted().map(|(k, v)| (k.clone(), v.clone())).collect());
        }
        object.insert("priority".into(), self.priority.as_str().into());
        object.insert("rule".into(), self.rule.into());
        object.insert("source".into(), "internal".into());
        object.insert("time".into(), time.into());
        sorted_line(object)
    }

    fn sorted(&self) -> impl Iterator<Item = (&String, &Value)> {
        let mut pairs: Vec<_> = self.fields.iter().collect();
        pairs.sort_by_key(|(key, _)| key.as_str());
        pairs.into_iter()
    }
}

/// `object` on one line with its keys in order.
pub(crate) fn sorted_line(object: Map<String, Value>) -> String {
    let mut pairs: Vec<_> = object.into_iter().collect();
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
    json!(pairs.into_iter().collect::<Map<String, Value>>()).to_string()
}

fn timestamp(ts: u64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(ts)).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn zoned(ts: u64) -> Zoned {
    timestamp(ts).to_zoned(TimeZone::system())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(json: bool) -> Style {
        Style {
            json,
            json_output: true,
            json_message: false,
            json_fields: true,
            json_tags: true,
            iso_time: true,
            base64: false,
        }
    }

    #[test]
    fn fields_are_sorted_and_strings_keep_quotes() {
        let alert = Internal::new("Falco internal: syscall event drop", Priority::Debug, "lost")
            .field("n_evts", "12")
            .field("n_drops", 3);
        let line = alert.message(1_470_327_477_881_785_348, &style(false), "h").line;
        assert!(line.ends_with(": Debug lost (n_drops=3 n_evts=\"12\")") && line.contains(".881785348"), "{line}");
        let json = alert.message(1_470_327_477_881_785_348, &style(true), "h").line;
        assert!(json.starts_with("{\"hostname\":\"h\",\"output\":"), "{json}");
        assert!(json.ends_with("\"output_fields\":{\"n_drops\":3,\"n_evts\":\"12\"},\"priority\":\"Debug\",\"rule\":\"Falco internal: syscall event drop\",\"source\":\"internal\",\"time\":\"2016-08-04T16:17:57.881785348Z\"}"), "{json}");
    }
}
