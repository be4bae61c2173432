//! From the merged tree to decided values: a tree comes in, a `Config` goes out. Every error text is the one users of
//! falco.yaml know; nothing here opens a file.

use super::node::Data;
use super::read::{Reader, bool_of};
use super::sections::{
    Capture, Drops, FileOutput, HttpOutput, Metrics, Noise, Plugin, ProgramOutput, Selection, Sensor, Syscalls,
    Threads, WebServer,
};
use super::{Config, ConfigError, Kind, Loaded, Log, Node, Style, duration, keys, value_error};
use rules::{AppendOutput, Matching, Priority};
use std::path::{Path, PathBuf};

/// Decides every value.
pub fn read(loaded: Loaded) -> Result<Config, ConfigError> {
    let tree = loaded.tree;
    let r = Reader(&tree);
    let mut warnings = loaded.odd_options;
    let config = Config {
        watch_files: r.bool("watch_config_files"),
        rules_files: rules_files(r, &mut warnings)?,
        selections: selections(r)?,
        kind: kind(r, &mut warnings)?,
        capture_file: path(r, "engine.replay.capture_file"),
        sensor: sensor(r),
        capture: capture(r)?,
        load_plugins: tree.get("load_plugins").map(|_| r.strings("load_plugins")),
        plugins: plugins(r)?,
        style: style(r),
        priority: priority(r, "priority", "Unknown priority")?,
        matching: matching(r)?,
        queue_capacity: queue_capacity(r),
        buffered: r.bool("buffered_outputs"),
        append_output: append_output(r, &mut warnings),
        static_fields: static_fields(&tree),
        stdout: r.bool("stdout_output.enabled"),
        syslog: r.bool("syslog_output.enabled"),
        syslog_socket: PathBuf::from(r.string("syslog_output.socket")),
        file: file_output(r)?,
        program: program_output(r)?,
        http: http_output(r)?,
        output_timeout_ms: r.u64("output_timeout"),
        web: web_server(r)?,
        log: log(r)?,
        max_consecutive_timeouts: timeouts(r)?,
        drops: drops(r)?,
        metrics: metrics(r)?,
        syscalls: syscalls(r),
        threads: threads(r),
        snaplen: r.u32("falco_libs.snaplen"),
        noise: noise(r)?,
        notes: without_effect(r),
        warnings: Vec::new(),
        files: loaded.files,
        directories: loaded.directories,
        tree: tree.clone(),
    };
    Ok(Config { warnings, ..config })
}

fn path(r: Reader<'_>, key: &str) -> Option<PathBuf> {
    Some(r.string(key)).filter(|text| !text.is_empty()).map(PathBuf::from)
}

fn rules_files(r: Reader<'_>, warnings: &mut Vec<String>) -> Result<Vec<PathBuf>, ConfigError> {
    let old = ["rules_file", "rule_files"].into_iter().find(|key| r.is_set(key));
    let key = match (r.is_set("rules_files"), old) {
        (true, Some(old)) => {
            let text = format!("Error reading config file: both 'rules_files' and '{old}' keys set");
            return Err(value_error(r, old, text));
        }
        (false, Some(old)) => {
            warnings.push(format!("Using deprecated config key '{old}' ({}): use 'rules_files'", r.place(old)));
            old
        }
        _ => "rules_files",
    };
    Ok(r.strings(key).into_iter().map(PathBuf::from).filter(|path| path.exists()).collect())
}

fn selections(r: Reader<'_>) -> Result<Vec<Selection>, ConfigError> {
    let mut selections = Vec::new();
    for entry in r.0.get("rules").map(Node::elements).unwrap_or_default() {
        for (operation, what) in entry.entries() {
            let enable = match operation.as_str() {
                "enable" => true,
                "disable" => false,
                other => {
                    let text =
                        format!("Config error: unknown operation `{other}` in 'rules'--must be one of enable, disable");
                    return Err(ConfigError::Value { text, place: what.place.clone() });
                }
            };
            let text_of = |key: &str| what.get(key).and_then(Node::text).map(str::to_owned);
            selections.push(Selection { enable, rule: text_of("rule"), tag: text_of("tag") });
        }
    }
    Ok(selections)
}

fn kind(r: Reader<'_>, warnings: &mut Vec<String>) -> Result<Kind, ConfigError> {
    let name = r.string("engine.kind");
    let kind = match name.as_str() {
        "modern_ebpf" => Kind::Live,
        "kmod" => {
            warnings.push("engine.kind 'kmod': there is no kernel module here, eBPF programs are used instead".into());
            Kind::Live
        }
        "replay" => Kind::Replay,
        "nodriver" => Kind::NoDriver,
        _ => return Err(value_error(r, "engine.kind", format!("engine.kind '{name}' is not a valid kind."))),
    };
    if kind == Kind::Replay && path(r, "engine.replay.capture_file").is_none() {
        let text = "Error reading config file: engine.kind is 'replay' but no engine.replay.capture_file specified.";
        return Err(value_error(r, "engine.kind", text.into()));
    }
    Ok(kind)
}

fn sensor(r: Reader<'_>) -> Sensor {
    let of_kind = if r.string("engine.kind") == "kmod" { "engine.kmod" } else { "engine.modern_ebpf" };
    let preset = r.u32(&format!("{of_kind}.buf_size_preset")).clamp(1, 10);
    Sensor {
        cpus_per_ring: r.u32("engine.modern_ebpf.cpus_for_each_buffer"),
        ring_bytes: MIB << (preset - 1),
        drop_failed_exit: r.bool(&format!("{of_kind}.drop_failed_exit")),
        disable_iterators: r.bool("engine.modern_ebpf.disable_iterators"),
    }
}

/// Keys that are set to ask for what is not there, so that nobody waits for it.
fn without_effect(r: Reader<'_>) -> Vec<String> {
    let asks = |(key, content, why): &(&str, &str, &str)| {
        (r.is_set(key) && r.string(key) != *content).then(|| format!("{key} has no effect: {why}"))
    };
    keys::WITHOUT_EFFECT.iter().filter_map(asks).collect()
}

fn capture(r: Reader<'_>) -> Result<Capture, ConfigError> {
    let mode = r.string("capture.mode");
    if !matches!(mode.as_str(), "rules" | "all_rules") {
        return Err(value_error(r, "capture.mode", format!("capture.mode '{mode}' is not a valid mode.")));
    }
    Ok(Capture {
        enabled: r.bool("capture.enabled"),
        path_prefix: r.string("capture.path_prefix"),
        all_rules: mode == "all_rules",
        default_duration_ms: r.u32("capture.default_duration"),
        max_file_size_mb: r.u64("capture.max_file_size_mb"),
    })
}

fn plugins(r: Reader<'_>) -> Result<Vec<Plugin>, ConfigError> {
    let mut plugins = Vec::new();
    for entry in r.0.get("plugins").map(Node::elements).unwrap_or_default() {
        let text = |key: &str| entry.get(key).and_then(Node::text).unwrap_or_default().to_owned();
        let init_config = match entry.get("init_config") {
            Some(node) if matches!(node.data, Data::Map(_)) => node.to_json().to_string(),
            _ => text("init_config"),
        };
        let library = library_path(&text("library_path")).ok_or_else(|| ConfigError::Value {
            text: format!("plugin `{}`: library_path must stay inside {PLUGIN_DIR}", text("name")),
            place: entry.place.clone(),
        })?;
        plugins.push(Plugin { name: text("name"), library, init_config, open_params: text("open_params") });
    }
    Ok(plugins)
}

/// Relative paths are taken below the plugin directory and may not leave it.
fn library_path(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let leaves = path.components().any(|part| matches!(part, std::path::Component::ParentDir));
    match path.is_absolute() {
        true => Some(path.to_owned()),
        false if leaves => None,
        false => Some(Path::new(PLUGIN_DIR).join(path)),
    }
}

fn style(r: Reader<'_>) -> Style {
    Style {
        json: r.bool("json_output"),
        json_output: r.bool("json_include_output_property"),
        json_message: r.bool("json_include_message_property"),
        json_fields: r.bool("json_include_output_fields_property"),
        json_tags: r.bool("json_include_tags_property"),
        iso_time: r.bool("time_format_iso_8601"),
        base64: r.bool("buffer_format_base64"),
    }
}

fn priority(r: Reader<'_>, key: &str, what: &str) -> Result<Priority, ConfigError> {
    let name = r.string(key);
    Priority::parse(&name).ok_or_else(|| {
        let names = Priority::ALL.map(|p| p.as_str().to_ascii_lowercase()).join(", ");
        value_error(r, key, format!("{what} \"{name}\"--must be one of {names}"))
    })
}

fn matching(r: Reader<'_>) -> Result<Matching, ConfigError> {
    match r.string("rule_matching").as_str() {
        "first" => Ok(Matching::First),
        "all" => Ok(Matching::All),
        other => {
            let text = format!("Unknown rule matching strategy \"{other}\"--must be one of first, all");
            Err(value_error(r, "rule_matching", text))
        }
    }
}

fn queue_capacity(r: Reader<'_>) -> usize {
    match usize::try_from(r.u64("outputs_queue.capacity")) {
        Ok(0) | Err(_) => DEFAULT_QUEUE,
        Ok(capacity) => capacity,
    }
}

fn append_output(r: Reader<'_>, warnings: &mut Vec<String>) -> Vec<AppendOutput> {
    let entries = r.0.get("append_output").map(Node::elements).unwrap_or_default();
    entries.iter().map(|entry| append_entry(entry, warnings)).collect()
}

fn append_entry(entry: &Node, warnings: &mut Vec<String>) -> AppendOutput {
    let text = |path: &str| entry.at(path).and_then(Node::text).map(str::to_owned);
    let tags = Reader(entry).strings("match.tags");
    if !tags.is_empty() && text("match.rule").is_some() {
        warnings.push(format!("append_output at {}: both rule and tags are given, both must match", entry.place));
    }
    let extra = entry.get("extra_fields").map(Node::elements).unwrap_or_default();
    AppendOutput {
        source: text("match.source"),
        rule: text("match.rule"),
        tags,
        extra_output: text("extra_output").unwrap_or_default(),
        suggested_output: text("suggested_output").and_then(|t| bool_of(&t)).unwrap_or(true),
        extra_fields: extra.iter().flat_map(extra_field).collect(),
    }
}

fn extra_field(node: &Node) -> Vec<(String, Option<String>)> {
    match node.text() {
        Some(field) => vec![(field.to_owned(), None)],
        None => {
            let pairs = node.entries().iter();
            pairs.filter_map(|(key, format)| Some((key.clone(), Some(format.text()?.to_owned())))).collect()
        }
    }
}

fn static_fields(tree: &Node) -> Vec<(String, String)> {
    let entries = tree.get("static_fields").map(Node::entries).unwrap_or_default();
    entries.iter().filter_map(|(key, value)| Some((key.clone(), value.text()?.to_owned()))).collect()
}

fn file_output(r: Reader<'_>) -> Result<Option<FileOutput>, ConfigError> {
    if !r.bool("file_output.enabled") {
        return Ok(None);
    }
    let filename = path(r, "file_output.filename").ok_or_else(|| {
        let text = "Error reading config file: file output enabled but no filename in configuration block";
        value_error(r, "file_output.enabled", text.into())
    })?;
    Ok(Some(FileOutput { filename, keep_alive: r.bool("file_output.keep_alive") }))
}

fn program_output(r: Reader<'_>) -> Result<Option<ProgramOutput>, ConfigError> {
    let program = r.string("program_output.program");
    match (r.bool("program_output.enabled"), program.is_empty()) {
        (false, _) => Ok(None),
        (true, true) => {
            let text = "Error reading config file: program output enabled but no program in configuration block";
            Err(value_error(r, "program_output.enabled", text.into()))
        }
        (true, false) => Ok(Some(ProgramOutput { program, keep_alive: r.bool("program_output.keep_alive") })),
    }
}

fn http_output(r: Reader<'_>) -> Result<Option<HttpOutput>, ConfigError> {
    if !r.bool("http_output.enabled") {
        return Ok(None);
    }
    let url = r.string("http_output.url").trim_matches(['"', '\'']).to_owned();
    if url.is_empty() {
        let text = "Error reading config file: http output enabled but no url in configuration block";
        return Err(value_error(r, "http_output.enabled", text.into()));
    }
    let client = || {
        let file = |key: &str| PathBuf::from(r.string(key));
        (file("http_output.client_cert"), file("http_output.client_key"))
    };
    Ok(Some(HttpOutput {
        url,
        user_agent: r.string("http_output.user_agent"),
        insecure: r.bool("http_output.insecure"),
        ca_cert: path(r, "http_output.ca_cert"),
        ca_bundle: path(r, "http_output.ca_bundle"),
        ca_path: PathBuf::from(r.string("http_output.ca_path")),
        client: r.bool("http_output.mtls").then(client),
        echo: r.bool("http_output.echo"),
        compress: r.bool("http_output.compress_uploads"),
        keep_alive: r.bool("http_output.keep_alive"),
        max_timeouts: r.u32("http_output.max_consecutive_timeouts"),
    }))
}

fn web_server(r: Reader<'_>) -> Result<Option<WebServer>, ConfigError> {
    if !r.bool("webserver.enabled") {
        return Ok(None);
    }
    let address = r.string("webserver.listen_address");
    let address = address.parse().map_err(|_| {
        let text =
            format!("Error reading config file: webserver listen address \"{address}\" is not a valid IP address");
        value_error(r, "webserver.listen_address", text)
    })?;
    Ok(Some(WebServer {
        threads: usize::try_from(r.u64("webserver.threadiness")).unwrap_or(0),
        address,
        port: u16::try_from(r.u64("webserver.listen_port")).unwrap_or(8765),
        health_path: r.string("webserver.k8s_healthz_endpoint"),
        prometheus: r.bool("webserver.prometheus_metrics_enabled"),
        certificate: r.bool("webserver.ssl_enabled").then(|| PathBuf::from(r.string("webserver.ssl_certificate"))),
    }))
}

fn log(r: Reader<'_>) -> Result<Log, ConfigError> {
    let libs = r.string("libs_logger.severity");
    let severity = match libs.as_str() {
        "fatal" => Some(Priority::Emergency),
        "trace" => Some(Priority::Debug),
        name => Priority::parse(name),
    };
    let severity = severity.ok_or_else(|| {
        let text = format!("Unknown libs_logger severity \"{libs}\"--must be one of fatal, critical, error, warning, notice, info, debug, trace");
        value_error(r, "libs_logger.severity", text)
    })?;
    Ok(Log {
        stderr: r.bool("log_stderr"),
        syslog: r.bool("log_syslog"),
        level: priority(r, "log_level", "Unknown log level")?,
        sensor: r.bool("libs_logger.enabled").then_some(severity),
    })
}

fn timeouts(r: Reader<'_>) -> Result<u32, ConfigError> {
    let key = "syscall_event_timeouts.max_consecutives";
    if r.string(key).parse() == Ok(0u32) {
        let text = "Error reading config file: the maximum consecutive timeouts without an event must be an unsigned integer > 0";
        return Err(value_error(r, key, text.into()));
    }
    Ok(r.u32(key))
}

fn drops(r: Reader<'_>) -> Result<Drops, ConfigError> {
    let actions = r.strings("syscall_event_drops.actions");
    let has = |name: &str| actions.iter().any(|action| action == name);
    let wrong = |text: String| value_error(r, "syscall_event_drops.actions", text);
    if let Some(unknown) = actions.iter().find(|a| !matches!(a.as_str(), "ignore" | "log" | "alert" | "exit")) {
        let text = format!("Error reading config file: syscall event drop action '{unknown}' is not available");
        return Err(wrong(text));
    }
    if has("ignore") && (has("log") || has("alert")) {
        let other = if has("log") { "log" } else { "alert" };
        let text = format!(
            "Error reading config file: syscall event drop action \"{other}\" does not make sense with the \"ignore\" action"
        );
        return Err(wrong(text));
    }
    let threshold = r.string("syscall_event_drops.threshold");
    if threshold.parse::<f64>().is_ok_and(|t| !(0.0..=1.0).contains(&t)) {
        let text =
            "Error reading config file: syscall event drops threshold must be a double in the range [0, 1]".into();
        return Err(value_error(r, "syscall_event_drops.threshold", text));
    }
    Ok(Drops {
        threshold: r.f64("syscall_event_drops.threshold"),
        log: has("log"),
        alert: has("alert"),
        exit: has("exit"),
        rate: r.f64("syscall_event_drops.rate"),
        max_burst: r.f64("syscall_event_drops.max_burst"),
        simulate: r.bool("syscall_event_drops.simulate_drops"),
    })
}

fn metrics(r: Reader<'_>) -> Result<Option<Metrics>, ConfigError> {
    if !r.bool("metrics.enabled") {
        return Ok(None);
    }
    let text = r.string("metrics.interval");
    let interval_ms = interval(r, &text)?;
    let file = path(r, "metrics.output_file");
    let as_rule = r.bool("metrics.output_rule");
    let prometheus = r.bool("webserver.enabled") && r.bool("webserver.prometheus_metrics_enabled");
    if !as_rule && file.is_none() && !prometheus {
        let text = "Metrics are enabled with no output configured. Please enable at least one output channel";
        return Err(value_error(r, "metrics.enabled", text.into()));
    }
    let on = |key: &str| r.bool(&format!("metrics.{key}"));
    Ok(Some(Metrics {
        interval_ms,
        interval_text: text,
        as_rule,
        file,
        rules: on("rules_counters_enabled"),
        resources: on("resource_utilization_enabled"),
        state: on("state_counters_enabled"),
        kernel: on("kernel_event_counters_enabled"),
        kernel_per_cpu: on("kernel_event_counters_per_cpu_enabled"),
        programs: on("libbpf_stats_enabled"),
        iterators: on("kernel_iter_event_counters_enabled"),
        memory_in_mb: on("convert_memory_to_mb"),
        include_empty: on("include_empty_values"),
    }))
}

fn interval(r: Reader<'_>, text: &str) -> Result<u64, ConfigError> {
    let wrong = |text: &str| Err(value_error(r, "metrics.interval", text.to_owned()));
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) {
        return wrong(
            "Metrics interval was passed as numeric value without Prometheus time unit. Please specify a time unit",
        );
    }
    match duration::parse_ms(text) {
        Some(ms) if ms >= MIN_INTERVAL_MS => Ok(ms),
        _ => wrong(&format!(
            "Metrics interval must have a minimum value of 100ms and reflect a Prometheus compliant time duration format: \
             https://prometheus.io/docs/prometheus/latest/querying/basics/#time-durations. Received: {text}"
        )),
    }
}

fn syscalls(r: Reader<'_>) -> Syscalls {
    Syscalls {
        custom: r.strings("base_syscalls.custom_set").into_iter().filter(|name| !name.is_empty()).collect(),
        repair: r.bool("base_syscalls.repair"),
        all: r.bool("base_syscalls.all"),
    }
}

fn threads(r: Reader<'_>) -> Threads {
    Threads {
        max: r.u32("falco_libs.thread_table_size"),
        purge_interval_s: r.u32("falco_libs.thread_table_auto_purging_interval_s"),
        purge_timeout_s: r.u32("falco_libs.thread_table_auto_purging_thread_timeout_s"),
    }
}

fn noise(r: Reader<'_>) -> Result<Vec<Noise>, ConfigError> {
    r.0.get("noise").map(Node::elements).unwrap_or_default().iter().map(noise_entry).collect()
}

fn noise_entry(entry: &Node) -> Result<Noise, ConfigError> {
    let text = |key: &str| entry.get(key).and_then(Node::text).map(str::to_owned);
    let wrong = |text: String| ConfigError::Value { text, place: entry.place.clone() };
    let window = text("window").unwrap_or_default();
    let window_ms = duration::parse_ms(&window)
        .filter(|ms| *ms > 0)
        .ok_or_else(|| wrong(format!("noise: window `{window}` is not a duration like 60s or 1h30m")))?;
    if text("rule").is_none() && text("tag").is_none() {
        return Err(wrong("noise: an entry needs a rule or a tag (`rule: \"*\"` stands for all)".into()));
    }
    let max_keys = text("max_keys").and_then(|t| t.parse().ok()).filter(|n| *n > 0).unwrap_or(10_000);
    Ok(Noise { rule: text("rule"), tag: text("tag"), window_ms, keys: Reader(entry).strings("keys"), max_keys })
}

const MIB: u64 = 1 << 20;
/// Alerts waiting per output when the configuration says 0, where the re-created system would grow without limit.
const DEFAULT_QUEUE: usize = 65_536;
const MIN_INTERVAL_MS: u64 = 100;
const PLUGIN_DIR: &str = "/usr/share/falco/plugins";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::Ty;

    fn config(options: &[&str]) -> Result<Config, String> {
        let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
        Config::load(None, &options).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let c = config(&[]).unwrap();
        assert_eq!((c.kind, c.sensor.ring_bytes, c.output_timeout_ms), (Kind::Live, 8 << 20, 2000));
        assert!(c.watch_files && !c.stdout && !c.has_output() && c.web.is_none() && c.metrics.is_none());
        assert_eq!(c.queue_capacity, DEFAULT_QUEUE);
    }

    /// Every key that the table offers decides something, or is named as deciding nothing.
    #[test]
    fn every_key_has_an_effect_or_is_named() {
        let before = decided(&[]);
        for key in keys::KEYS.iter().filter(|key| !key.path.contains("[]") && !key.path.starts_with("config_files")) {
            let option = match key.ty {
                Ty::Bool => format!("{}={}", key.path, if key.default == "true" { "no" } else { "YES" }),
                Ty::Uint(low, _) => format!("{}={}", key.path, low + 7),
                Ty::Float(..) => format!("{}=0.25", key.path),
                Ty::OneOf(names) => {
                    let other = names.iter().rev().find(|name| **name != key.default && **name != "informational");
                    format!("{}={}", key.path, other.unwrap_or(&""))
                }
                Ty::Texts if key.path.ends_with("actions") => format!("{}[]=exit", key.path),
                Ty::Texts => format!("{}[]=/", key.path),
                Ty::Objects(_) => format!("{}[]={}", key.path, object(key.path)),
                Ty::Map => format!("{}.some=thing", key.path),
                Ty::Text if key.path.ends_with("address") => format!("{}=127.0.0.9", key.path),
                Ty::Text if key.path.ends_with("interval") => format!("{}=77s", key.path),
                Ty::Text | Ty::Any => format!("{}=/other", key.path),
            };
            let is_named = keys::WITHOUT_EFFECT.iter().any(|(path, ..)| *path == key.path);
            assert_eq!(decided(&[&option]) == before, is_named, "{option}");
        }
    }

    /// What is decided with every section switched on.
    fn decided(more: &[&str]) -> String {
        let mut options = vec![
            "file_output.enabled=true",
            "file_output.filename=/f",
            "program_output.enabled=true",
            "program_output.program=p",
            "http_output.enabled=true",
            "http_output.url=https://h",
            "http_output.mtls=true",
            "webserver.enabled=true",
            "webserver.ssl_enabled=true",
            "webserver.prometheus_metrics_enabled=true",
            "metrics.enabled=true",
            "metrics.output_rule=true",
            "engine.replay.capture_file=/c",
            "log_stderr=true",
        ];
        if more.iter().any(|option| option.starts_with("engine.kmod")) {
            options.push("engine.kind=kmod");
        }
        // Switching a section on a second time changes nothing, so these are switched off instead.
        let more: Vec<String> = more
            .iter()
            .map(|option| match option.split_once('=') {
                Some((key, "YES")) if options.iter().any(|on| *on == format!("{key}=true")) => format!("{key}=no"),
                _ => (*option).to_owned(),
            })
            .collect();
        options.extend(more.iter().map(String::as_str));
        let config = config(&options).unwrap_or_else(|error| panic!("{more:?}: {error}"));
        assert_eq!(config.warnings.iter().filter(|w| w.contains("schema")).count(), 0, "{:?}", config.warnings);
        let tree = Node { data: Data::Null, place: config.tree.place.clone() };
        let comparable = Config { tree, warnings: Vec::new(), notes: Vec::new(), ..config };
        format!("{comparable:?}").replace("Kmod", "")
    }

    fn object(path: &str) -> &'static str {
        match path {
            "rules" => "{enable: {rule: x}}",
            "plugins" => "{name: x}",
            "noise" => "{rule: x, window: 1m}",
            _ => "{extra_output: x}",
        }
    }

    #[test]
    fn wrong_values_have_the_known_texts() {
        for (option, text) in [
            ("engine.kind=gvisor", "engine.kind 'gvisor' is not a valid kind."),
            (
                "priority=foo",
                "Unknown priority \"foo\"--must be one of emergency, alert, critical, error, warning, notice, informational, debug",
            ),
            ("rule_matching=some", "Unknown rule matching strategy \"some\"--must be one of first, all"),
            ("capture.mode=x", "capture.mode 'x' is not a valid mode."),
            ("file_output.enabled=true", "file output enabled but no filename"),
            ("syscall_event_drops.threshold=2", "range [0, 1]"),
        ] {
            let error = config(&[option]).unwrap_err();
            assert!(error.contains(text), "{option}: {error}");
        }
        assert!(
            config(&["metrics.enabled=true", "metrics.interval=5000", "metrics.output_rule=true"])
                .unwrap_err()
                .contains("without Prometheus time unit")
        );
        assert!(
            config(&["metrics.enabled=true", "metrics.interval=5ms", "metrics.output_rule=true"])
                .unwrap_err()
                .contains("minimum value of 100ms")
        );
        assert!(config(&["metrics.enabled=true", "metrics.interval=1s"]).unwrap_err().contains("no output configured"));
        assert!(
            config(&["syscall_event_drops.actions[]=ignore", "syscall_event_drops.actions[]=log"])
                .unwrap_err()
                .contains("does not make sense")
        );
    }

    #[test]
    fn noise_and_append_entries_are_read() {
        let c = config(&[
            "noise[]={rule: 'Read *', window: 1m, keys: [proc.name]}",
            "append_output[]={match: {tags: [a]}, extra_fields: [proc.pid, {x: '%proc.name'}]}",
        ])
        .unwrap();
        assert_eq!((c.noise[0].window_ms, c.noise[0].keys.len()), (60_000, 1));
        assert_eq!(
            c.append_output[0].extra_fields,
            [("proc.pid".to_owned(), None), ("x".to_owned(), Some("%proc.name".to_owned()))]
        );
        assert!(config(&["noise[]={rule: a}"]).is_err());
    }
}
