//! What an attached policy has counted: per rule and for the policy's own reasons, summed over CPUs, with what earlier
//! versions counted under the same rule name. Comes in: the program. Goes out: numbers, and Prometheus text. The layout
//! is `struct counter` in bpf/policy.h.

use crate::tables::FIRST_RULE_ROW;
use load::{LoadedProgram, Map};
use serde::Serialize;
use std::fmt::Write;

/// One row: a rule, or one of the policy's own reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    pub name: String,
    /// Packets decided by this row.
    pub packets: u64,
    pub bytes: u64,
    /// Of `packets`: part of a flow that was known.
    pub established: u64,
    /// Packets an audited rule matched, or that an audited policy would have dropped.
    pub audited: u64,
    /// Packets dropped.
    pub denied: u64,
    /// Hit records that were over the rate or found no room.
    pub lost_hits: u64,
}

/// All rows of one attached policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Packets that no rule matched.
    pub default: Row,
    /// Packets that could not be read.
    pub malformed: Row,
    /// Later fragments of packets whose first fragment was not seen.
    pub fragment: Row,
    /// Flows remembered; `denied` counts those for which the table had no room.
    pub flows: Row,
    pub rules: Vec<Row>,
}

impl Counters {
    /// Reads the counters of a program whose rules have these names.
    ///
    /// # Errors
    /// The maps cannot be read.
    pub fn read(program: &LoadedProgram, rules: &[String]) -> Result<Counters, load::Error> {
        let (live, carried) = (program.map("counters")?, program.map("carried")?);
        let row = |at: u32, name: &str| read_row(&live, &carried, at, name);
        let rules = (FIRST_RULE_ROW..).zip(rules).map(|(at, name)| row(at, name));
        Ok(Counters {
            default: row(0, "default")?,
            malformed: row(1, "malformed")?,
            fragment: row(2, "fragment")?,
            flows: row(3, "flows")?,
            rules: rules.collect::<Result<_, _>>()?,
        })
    }

    /// Rules and reasons, in the order in which they are asked.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rules.iter().chain([&self.default, &self.malformed, &self.fragment])
    }

    /// Writes these numbers into the `carried` map of a new version with these rules; rules that are gone are dropped.
    ///
    /// # Errors
    /// The map cannot be written.
    pub fn carry_over(&self, carried: &Map, rules: &[String]) -> Result<(), load::Error> {
        let own = [&self.default, &self.malformed, &self.fragment, &self.flows];
        for (at, row) in (0u32..).zip(own) {
            carried.update(&at.to_ne_bytes(), &row_bytes(row))?;
        }
        for (at, name) in (FIRST_RULE_ROW..).zip(rules) {
            if let Some(row) = self.rules.iter().find(|row| row.name == *name) {
                carried.update(&at.to_ne_bytes(), &row_bytes(row))?;
            }
        }
        Ok(())
    }

    /// Appends Prometheus samples; `labels` are those of the attachment, `policy="web",interface="eth0"`.
    pub fn prometheus(&self, labels: &str, text: &mut String) {
        for row in self.rows() {
            let fields = [
                ("packets", row.packets),
                ("bytes", row.bytes),
                ("established_packets", row.established),
                ("audited_packets", row.audited),
                ("denied_packets", row.denied),
                ("lost_hits", row.lost_hits),
            ];
            for (name, value) in fields {
                let _ =
                    writeln!(text, "hawkbell_traffic_{name}_total{{{labels},rule=\"{}\"}} {value}", escaped(&row.name));
            }
        }
        let _ = writeln!(text, "hawkbell_traffic_flows_created_total{{{labels}}} {}", self.flows.packets);
        let _ = writeln!(text, "hawkbell_traffic_flows_refused_total{{{labels}}} {}", self.flows.denied);
    }
}

/// Puts the samples of [`Counters::prometheus`] under their `# HELP` and `# TYPE` lines, each metric together as the
/// format wants it.
pub fn exposition(samples: &str) -> String {
    let mut text = String::new();
    for line in PROMETHEUS_HEAD.lines() {
        let _ = writeln!(text, "{line}");
        let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()) else { continue };
        let is_of_it = |sample: &&str| sample.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'));
        samples.lines().filter(is_of_it).for_each(|sample| _ = writeln!(text, "{sample}"));
    }
    text
}

const PROMETHEUS_HEAD: &str = "\
# HELP hawkbell_traffic_packets_total Packets decided by a rule or by the policy itself.
# TYPE hawkbell_traffic_packets_total counter
# HELP hawkbell_traffic_bytes_total Bytes of these packets.
# TYPE hawkbell_traffic_bytes_total counter
# HELP hawkbell_traffic_established_packets_total Packets that passed as part of a known flow.
# TYPE hawkbell_traffic_established_packets_total counter
# HELP hawkbell_traffic_audited_packets_total Packets that would have been judged otherwise without audit mode.
# TYPE hawkbell_traffic_audited_packets_total counter
# HELP hawkbell_traffic_denied_packets_total Packets dropped.
# TYPE hawkbell_traffic_denied_packets_total counter
# HELP hawkbell_traffic_lost_hits_total Hit records over the rate or without room.
# TYPE hawkbell_traffic_lost_hits_total counter
# HELP hawkbell_traffic_flows_created_total Flows remembered.
# TYPE hawkbell_traffic_flows_created_total counter
# HELP hawkbell_traffic_flows_refused_total Flows for which the table had no room.
# TYPE hawkbell_traffic_flows_refused_total counter
";

/// A label value: backslash, quote and newline escaped.
pub fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn read_row(live: &Map, carried: &Map, at: u32, name: &str) -> Result<Row, load::Error> {
    let key = at.to_ne_bytes();
    let mut values = live.lookup_per_cpu(&key)?.unwrap_or_default();
    values.extend(carried.lookup(&key)?);
    let sum = |field: usize| values.iter().map(|value| word(value, field)).fold(0, u64::wrapping_add);
    Ok(Row {
        name: name.to_owned(),
        packets: sum(0),
        bytes: sum(1),
        established: sum(2),
        audited: sum(3),
        denied: sum(4),
        lost_hits: sum(5),
    })
}

fn row_bytes(row: &Row) -> Vec<u8> {
    let words = [row.packets, row.bytes, row.established, row.audited, row.denied, row.lost_hits, 0, 0];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn word(value: &[u8], field: usize) -> u64 {
    value.get(field * 8..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_metric_stand_together() {
        let counters = Counters {
            rules: vec![Row { name: "a\"b".to_owned(), packets: 3, ..Row::default() }],
            ..Counters::default()
        };
        let mut samples = String::new();
        counters.prometheus("policy=\"p\"", &mut samples);
        counters.prometheus("policy=\"q\"", &mut samples);
        let text = exposition(&samples);
        let at = |line: &str| text.lines().position(|l| l == line).unwrap_or_else(|| panic!("no {line}: {text}"));
        let first = at("# TYPE hawkbell_traffic_packets_total counter");
        assert_eq!(at("hawkbell_traffic_packets_total{policy=\"p\",rule=\"a\\\"b\"} 3"), first + 1);
        assert!(at("hawkbell_traffic_packets_total{policy=\"q\",rule=\"a\\\"b\"} 3") < first + 9);
        assert_eq!(text.lines().filter(|l| !l.starts_with('#')).count(), samples.lines().count());
    }
}
