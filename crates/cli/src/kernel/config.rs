//! The `config` command: in, option names or none; out, their values. Without names, the options that the reference shows;
//! without a readable configuration, every place that was tried and what helps.

use super::args::Parsed;
use super::output::{Envelope, Json, Output};
use super::{Style, report};
use features::Machine;
use features::kconfig::{Config, NotFound};

pub fn run(style: Style<'_>, parsed: &Parsed) -> Output {
    let machine = Machine::here();
    match machine.config() {
        Ok(config) => show(style, parsed, config),
        Err(missing) => Envelope::runtime(&parsed.path(style.program), unavailable(missing)).output(),
    }
}

fn show(style: Style<'_>, parsed: &Parsed, config: &Config) -> Output {
    let asked = style.native && !parsed.operands.is_empty();
    let rows = if asked {
        parsed.operands.iter().map(|name| row(config, name)).collect()
    } else {
        report::config_rows(config)
    };
    if parsed.is_on("json") {
        let mut pairs: Vec<(String, Json)> = rows.into_iter().map(|(key, value)| (key, value.into())).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        return Output::ok(style.json(&Json::Object(pairs)));
    }
    Output::ok(rows.iter().map(|(key, value)| format!("{:<23}{value}\n", format!("{key}:"))).collect::<String>())
}

fn row(config: &Config, name: &str) -> (String, String) {
    let key = if name.starts_with("CONFIG_") { name.to_owned() } else { format!("CONFIG_{name}") };
    let value = config.value(&key).unwrap_or("not set").to_owned();
    (key, value)
}

fn unavailable(missing: &NotFound) -> String {
    let tried: Vec<String> = missing.tried.iter().map(|(path, why)| format!("{path} ({why})")).collect();
    format!(
        "kernel config not available; tried {}; enable CONFIG_IKCONFIG_PROC, install the kernel package or headers that match the running kernel, or run as root",
        tried.join(", ")
    )
}
