//! Alerts about the system itself: drops, time-outs, metrics, a failed reload. They have no event, and no tags.

use super::json::write_json_string;
use super::print::iso_utc;
use crate::ruleset::Priority;
use serde_json::Value;
use std::collections::BTreeMap;

/// An alert of source `internal`.
#[derive(Clone, PartialEq, Debug)]
pub struct InternalAlert {
    pub rule: String,
    pub priority: Priority,
    pub message: String,
    /// Strings keep their quotes in both forms.
    pub fields: BTreeMap<String, Value>,
    /// ns since the epoch.
    pub ts: u64,
}

impl InternalAlert {
    /// One line of text. `local_time` is `HH:MM:SS.nnnnnnnnn` in the zone of the user.
    pub fn text(&self, local_time: &str) -> String {
        let fields: Vec<_> = self.fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{local_time}: {} {} ({})", self.priority, self.message, fields.join(" "))
    }

    /// One JSON object on one line, keys in alphabetical order.
    pub fn json(&self, local_time: &str, hostname: &str) -> String {
        let mut out = String::from("{");
        let fields = serde_json::to_string(&self.fields).unwrap_or_default();
        for (key, value) in [("hostname", hostname), ("output", &self.text(local_time))] {
            push(key, value, &mut out);
        }
        out.push_str("\"output_fields\":");
        out.push_str(&fields);
        out.push(',');
        let time = format!("{}Z", iso_utc(self.ts));
        for (key, value) in
            [("priority", self.priority.as_str()), ("rule", &self.rule), ("source", "internal"), ("time", &time)]
        {
            push(key, value, &mut out);
        }
        out.pop();
        out.push('}');
        out
    }
}

fn push(key: &str, value: &str, out: &mut String) {
    write_json_string(key.as_bytes(), out);
    out.push(':');
    write_json_string(value.as_bytes(), out);
    out.push(',');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_alike_in_both_forms() {
        let alert = InternalAlert {
            rule: "Falco internal: timeouts notification".into(),
            priority: Priority::Debug,
            message: "3 consecutive timeouts without event.".into(),
            fields: [("last_event_time".to_owned(), Value::from("none"))].into(),
            ts: 0,
        };
        let text = "10:00:00.000000000: Debug 3 consecutive timeouts without event. (last_event_time=\"none\")";
        assert_eq!(alert.text("10:00:00.000000000"), text);
        let json: Value = serde_json::from_str(&alert.json("10:00:00.000000000", "h")).expect("JSON");
        assert_eq!(json["output"], text);
        assert_eq!(json["output_fields"]["last_event_time"], "none");
        assert_eq!(json["time"], "1970-01-01T00:00:00.000000000Z");
    }
}
