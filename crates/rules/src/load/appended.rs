//! What configuration appends to a rule's output: texts, suggested fields, and extra fields of JSON alerts.

use super::item::RuleItem;
use super::{AppendOutput, Setup};
use crate::output::{FormatError, OutputFormat};
use crate::ruleset::ExtraField;

/// Compiles `output` with everything that applies to `rule`.
pub fn compile(output: &str, rule: &RuleItem, setup: &Setup) -> Result<(OutputFormat, Vec<ExtraField>), FormatError> {
    let text = text(output, rule, setup);
    let entries = setup.append_output.iter().filter(|e| applies(e, rule));
    let extra_fields = entries
        .flat_map(|e| &e.extra_fields)
        .map(|(key, format)| extra_field(key, format.as_deref(), rule, setup))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((OutputFormat::compile(&text, &rule.source, &setup.catalogue)?, extra_fields))
}

/// `output` with the texts of all entries that apply.
pub fn text(output: &str, rule: &RuleItem, setup: &Setup) -> String {
    let mut text = output.to_owned();
    for entry in setup.append_output.iter().filter(|e| applies(e, rule)) {
        if !entry.extra_output.is_empty() {
            text.push(' ');
            text.push_str(&entry.extra_output);
        }
        if entry.suggested_output {
            append_suggested(&mut text, rule, setup);
        }
    }
    text
}

fn applies(entry: &AppendOutput, rule: &RuleItem) -> bool {
    entry.source.as_ref().is_none_or(|s| *s == rule.source)
        && entry.rule.as_ref().is_none_or(|r| *r == rule.name)
        && entry.tags.iter().all(|tag| rule.tags.contains(tag))
}

fn append_suggested(text: &mut String, rule: &RuleItem, setup: &Setup) {
    for field in setup.catalogue.iter().filter(|f| f.suggested && f.exists_for(&rule.source)) {
        text.push_str(&format!(" {}=%{}", field.name.replace('.', "_"), field.name));
    }
}

fn extra_field(key: &str, format: Option<&str>, rule: &RuleItem, setup: &Setup) -> Result<ExtraField, FormatError> {
    let text = format.map_or_else(|| format!("%{key}"), str::to_owned);
    let compiled = OutputFormat::compile(&text, &rule.source, &setup.catalogue)?;
    Ok(ExtraField { key: key.to_owned(), format: compiled, as_text: format.is_some() })
}
