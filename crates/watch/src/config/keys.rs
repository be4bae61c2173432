//! Every configuration key in one table: path, type, default and meaning. Reading, the JSON schema, schema warnings and
//! the reference page all come from these rows. `[]` in a path stands for the elements of a list.

use std::fmt;

/// One configuration key.
#[derive(Debug)]
pub struct Key {
    pub path: &'static str,
    pub ty: Ty,
    /// As it would be written; empty for lists, maps and keys without a value.
    pub default: &'static str,
    pub help: &'static str,
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ty {
    Bool,
    /// A number from .0 to .1.
    Uint(u64, u64),
    Float(f64, f64),
    Text,
    OneOf(&'static [&'static str]),
    /// Scalars; one scalar counts as a list of one.
    Texts,
    /// Elements are described by the rows below `path[]`, or are scalars where `.0` is true.
    Objects(bool),
    /// Any keys with scalar values.
    Map,
    /// Text, or any tree (becomes JSON).
    Any,
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ty::Bool => f.write_str("boolean"),
            Ty::Uint(0, _) => f.write_str("number"),
            Ty::Uint(low, high) if *high <= u64::from(u16::MAX) => write!(f, "{low} to {high}"),
            Ty::Uint(low, _) => write!(f, "number from {low}"),
            Ty::Float(low, high) if *high < f64::MAX => write!(f, "{low} to {high}"),
            Ty::Float(..) => f.write_str("real number"),
            Ty::Text => f.write_str("text"),
            Ty::OneOf(names) => f.write_str(&names.join(", ")),
            Ty::Texts => f.write_str("list of texts"),
            Ty::Objects(_) => f.write_str("list"),
            Ty::Map => f.write_str("map"),
            Ty::Any => f.write_str("text or map"),
        }
    }
}

const fn key(path: &'static str, ty: Ty, default: &'static str, help: &'static str) -> Key {
    Key { path, ty, default, help }
}

/// The row of `path`.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

pub const PRIORITIES: &[&str] =
    &["emergency", "alert", "critical", "error", "warning", "notice", "informational", "info", "debug"];
pub const ENGINE_KINDS: &[&str] = &["kmod", "modern_ebpf", "replay", "nodriver"];
const LOG_LEVELS: &[&str] = &["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];
const LIBS_SEVERITIES: &[&str] = &["fatal", "critical", "error", "warning", "notice", "info", "debug", "trace"];
const STRATEGIES: &[&str] = &["append", "override", "add-only"];
const U32: Ty = Ty::Uint(0, u32::MAX as u64);
const U64: Ty = Ty::Uint(0, i64::MAX as u64);
const PRESET: Ty = Ty::Uint(1, 10);

/// All keys, in the order of the reference page.
#[rustfmt::skip]
pub static KEYS: &[Key] = &[
    key("config_files", Ty::Objects(true), "", "more configuration files or directories, merged in order"),
    key("config_files[].path", Ty::Text, "", "file or directory"),
    key("config_files[].strategy", Ty::OneOf(STRATEGIES), "append", "what happens to keys that exist already"),
    key("watch_config_files", Ty::Bool, "true", "reload when a rules or configuration file changes"),
    key("rules_files", Ty::Texts, "", "rules files and directories, loaded in order"),
    key("rules_file", Ty::Texts, "", "old name of rules_files"),
    key("rule_files", Ty::Texts, "", "other name of rules_files"),
    key("rules", Ty::Objects(false), "", "rules to enable or disable, applied in order"),
    key("rules[].enable.rule", Ty::Text, "", "rule name, `*` matches anything"),
    key("rules[].enable.tag", Ty::Text, "", "tag, matched exactly"),
    key("rules[].disable.rule", Ty::Text, "", "rule name, `*` matches anything"),
    key("rules[].disable.tag", Ty::Text, "", "tag, matched exactly"),
    key("engine.kind", Ty::OneOf(ENGINE_KINDS), "modern_ebpf", "where events come from"),
    key("engine.kmod.buf_size_preset", PRESET, "4", "ring size with engine.kind kmod: 1 MiB doubled for every step above 1"),
    key("engine.kmod.drop_failed_exit", Ty::Bool, "false", "leave out system calls that failed, with engine.kind kmod"),
    key("engine.modern_ebpf.cpus_for_each_buffer", U32, "2", "CPUs that share one ring buffer"),
    key("engine.modern_ebpf.buf_size_preset", PRESET, "4", "ring size: 1 MiB doubled for every step above 1"),
    key("engine.modern_ebpf.drop_failed_exit", Ty::Bool, "false", "leave out system calls that failed"),
    key("engine.modern_ebpf.disable_iterators", Ty::Bool, "false", "read existing processes from /proc, not by BPF iterators"),
    key("engine.replay.capture_file", Ty::Text, "", "capture file to read events from"),
    key("capture.enabled", Ty::Bool, "false", "record events when a rule asks for it"),
    key("capture.path_prefix", Ty::Text, "/tmp/falco", "start of the names of recorded files"),
    key("capture.mode", Ty::OneOf(&["rules", "all_rules"]), "rules", "which rules start a recording"),
    key("capture.default_duration", U32, "5000", "milliseconds recorded after a match"),
    key("capture.max_file_size_mb", U64, "0", "size at which a recording ends, 0 = no limit"),
    key("load_plugins", Ty::Texts, "", "plugins to load, in order; unset = all"),
    key("plugins", Ty::Objects(false), "", "known plugins"),
    key("plugins[].name", Ty::Text, "", "name used by load_plugins"),
    key("plugins[].library_path", Ty::Text, "", "shared object"),
    key("plugins[].init_config", Ty::Any, "", "configuration handed to the plugin"),
    key("plugins[].open_params", Ty::Text, "", "what the plugin shall open"),
    key("plugins_hostinfo", Ty::Bool, "true", "kept for compatibility: no plugins are loaded"),
    key("time_format_iso_8601", Ty::Bool, "false", "times as 2026-11-22T09:30:00.123456789+0000"),
    key("buffer_format_base64", Ty::Bool, "false", "print buffers as base64"),
    key("priority", Ty::OneOf(PRIORITIES), "debug", "least severe priority to load"),
    key("json_output", Ty::Bool, "false", "alerts as JSON, one object per line"),
    key("json_include_output_property", Ty::Bool, "true", "key `output`: the whole text"),
    key("json_include_message_property", Ty::Bool, "false", "key `message`: the text without time and priority"),
    key("json_include_output_fields_property", Ty::Bool, "true", "key `output_fields`"),
    key("json_include_tags_property", Ty::Bool, "true", "key `tags`"),
    key("buffered_outputs", Ty::Bool, "false", "collect lines before writing them"),
    key("rule_matching", Ty::OneOf(&["first", "all"]), "first", "stop at the first matching rule or report all"),
    key("outputs_queue.capacity", U64, "0", "alerts that may wait per output, 0 = 65536"),
    key("append_output", Ty::Objects(false), "", "what to add to outputs"),
    key("append_output[].match.source", Ty::Text, "", "event source of the rule"),
    key("append_output[].match.tags", Ty::Texts, "", "tags the rule must have"),
    key("append_output[].match.rule", Ty::Text, "", "name of the rule"),
    key("append_output[].extra_output", Ty::Text, "", "format text appended to the output"),
    key("append_output[].extra_fields", Ty::Objects(true), "", "fields added to output_fields"),
    key("append_output[].suggested_output", Ty::Bool, "true", "add the fields that event sources suggest"),
    key("static_fields", Ty::Map, "", "constants, readable as static.NAME"),
    key("stdout_output.enabled", Ty::Bool, "false", "alerts on standard output"),
    key("syslog_output.enabled", Ty::Bool, "false", "alerts to syslog"),
    key("syslog_output.socket", Ty::Text, "/dev/log", "socket that syslog listens on"),
    key("file_output.enabled", Ty::Bool, "false", "alerts to a file"),
    key("file_output.keep_alive", Ty::Bool, "false", "keep the file open"),
    key("file_output.filename", Ty::Text, "", "file that alerts are appended to"),
    key("program_output.enabled", Ty::Bool, "false", "alerts to the standard input of a program"),
    key("program_output.keep_alive", Ty::Bool, "false", "start the program once"),
    key("program_output.program", Ty::Text, "", "command line for sh"),
    key("http_output.enabled", Ty::Bool, "false", "alerts by HTTP POST"),
    key("http_output.url", Ty::Text, "", "where to"),
    key("http_output.user_agent", Ty::Text, "falcosecurity/falco", "User-Agent header"),
    key("http_output.insecure", Ty::Bool, "false", "do not verify the server's certificate"),
    key("http_output.ca_cert", Ty::Text, "", "file with the CA certificate"),
    key("http_output.ca_bundle", Ty::Text, "", "file with several CA certificates"),
    key("http_output.ca_path", Ty::Text, "/etc/ssl/certs", "directory with CA certificates"),
    key("http_output.mtls", Ty::Bool, "false", "present a client certificate"),
    key("http_output.client_cert", Ty::Text, "/etc/ssl/certs/client.crt", "client certificate"),
    key("http_output.client_key", Ty::Text, "/etc/ssl/certs/client.key", "its private key"),
    key("http_output.echo", Ty::Bool, "false", "print the server's answers"),
    key("http_output.compress_uploads", Ty::Bool, "false", "send bodies compressed"),
    key("http_output.keep_alive", Ty::Bool, "false", "keep the connection open"),
    key("http_output.max_consecutive_timeouts", U32, "5", "how often an alert is tried again"),
    key("webserver.enabled", Ty::Bool, "false", "serve health, versions and metrics"),
    key("webserver.threadiness", U32, "0", "most connections served at a time, 0 = number of CPUs"),
    key("webserver.listen_port", Ty::Uint(1, 65535), "8765", "port"),
    key("webserver.listen_address", Ty::Text, "0.0.0.0", "IP address"),
    key("webserver.k8s_healthz_endpoint", Ty::Text, "/healthz", "path of the health answer"),
    key("webserver.prometheus_metrics_enabled", Ty::Bool, "false", "serve /metrics"),
    key("webserver.ssl_enabled", Ty::Bool, "false", "HTTPS"),
    key("webserver.ssl_certificate", Ty::Text, "/etc/falco/falco.pem", "certificate and key in one file"),
    key("log_stderr", Ty::Bool, "false", "log to standard error"),
    key("log_syslog", Ty::Bool, "true", "log to syslog"),
    key("log_level", Ty::OneOf(LOG_LEVELS), "info", "least severe message to log"),
    key("libs_logger.enabled", Ty::Bool, "true", "messages of the sensor"),
    key("libs_logger.severity", Ty::OneOf(LIBS_SEVERITIES), "info", "least severe message of the sensor"),
    key("output_timeout", U32, "2000", "milliseconds after which a blocked output is reported"),
    key("syscall_event_timeouts.max_consecutives", Ty::Uint(1, u32::MAX as u64), "1000", "empty polls until the timeouts alert"),
    key("syscall_event_drops.threshold", Ty::Float(0.0, 1.0), "0.1", "share of lost events that calls for actions"),
    key("syscall_event_drops.actions", Ty::Texts, "", "ignore, log, alert, exit"),
    key("syscall_event_drops.rate", Ty::Float(0.0, f64::MAX), "0.03333", "actions per second in the long run"),
    key("syscall_event_drops.max_burst", Ty::Float(0.0, f64::MAX), "1", "actions in a row"),
    key("syscall_event_drops.simulate_drops", Ty::Bool, "false", "for testing: pretend to lose events"),
    key("metrics.enabled", Ty::Bool, "false", "collect metrics"),
    key("metrics.interval", Ty::Text, "1h", "time between snapshots: 1y2w3d4h5m6s7ms"),
    key("metrics.output_rule", Ty::Bool, "false", "snapshots as alerts"),
    key("metrics.output_file", Ty::Text, "", "snapshots as JSON lines in a file"),
    key("metrics.rules_counters_enabled", Ty::Bool, "true", "matches by rule"),
    key("metrics.resource_utilization_enabled", Ty::Bool, "true", "CPU and memory"),
    key("metrics.state_counters_enabled", Ty::Bool, "true", "process and file tables"),
    key("metrics.kernel_event_counters_enabled", Ty::Bool, "true", "events and losses in the kernel"),
    key("metrics.kernel_event_counters_per_cpu_enabled", Ty::Bool, "true", "the same by CPU"),
    key("metrics.libbpf_stats_enabled", Ty::Bool, "true", "run time of the BPF programs"),
    key("metrics.plugins_metrics_enabled", Ty::Bool, "true", "kept for compatibility: no plugins are loaded"),
    key("metrics.kernel_iter_event_counters_enabled", Ty::Bool, "true", "what the BPF iterators told of at the start (with kernel_event_counters_enabled)"),
    key("metrics.jemalloc_stats_enabled", Ty::Bool, "true", "kept for compatibility"),
    key("metrics.convert_memory_to_mb", Ty::Bool, "true", "memory in MB instead of KB"),
    key("metrics.include_empty_values", Ty::Bool, "false", "counters that are zero too"),
    key("base_syscalls.custom_set", Ty::Texts, "", "system calls to observe besides those of the rules; `!name` leaves one out"),
    key("base_syscalls.repair", Ty::Bool, "false", "only what rules and a correct state need"),
    key("base_syscalls.all", Ty::Bool, "false", "observe high-volume calls too"),
    key("falco_libs.thread_table_size", U32, "262144", "most threads known at a time"),
    key("falco_libs.thread_table_auto_purging_interval_s", U32, "300", "seconds between sweeps of the thread table"),
    key("falco_libs.thread_table_auto_purging_thread_timeout_s", U32, "300", "seconds after which a silent thread is checked"),
    key("falco_libs.snaplen", U32, "0", "bytes kept of buffers, 0 = 80"),
    key("noise", Ty::Objects(false), "", "repeated alerts to hold back (always counted and summarised)"),
    key("noise[].rule", Ty::Text, "", "rule name, `*` matches anything"),
    key("noise[].tag", Ty::Text, "", "tag, matched exactly"),
    key("noise[].window", Ty::Text, "", "how long after an alert the same one is held back: 1h30m, 60s"),
    key("noise[].keys", Ty::Texts, "", "output fields that make two alerts the same; none = the rule alone"),
    key("noise[].max_keys", U32, "10000", "different alerts remembered at a time"),
];

/// Keys that decide nothing here: path, the value that asks for nothing, and why there is nothing.
pub const WITHOUT_EFFECT: &[(&str, &str, &str)] = &[
    ("plugins_hostinfo", "false", "no plugins are loaded"),
    ("metrics.plugins_metrics_enabled", "false", "no plugins are loaded"),
    ("metrics.jemalloc_stats_enabled", "false", "another allocator is used"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_unique_and_defaults_fit_their_types() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..index].iter().all(|other| other.path != key.path), "{} twice", key.path);
            match key.ty {
                Ty::Bool => assert!(matches!(key.default, "true" | "false"), "{}", key.path),
                Ty::Uint(low, high) => assert!((low..=high).contains(&key.default.parse().unwrap()), "{}", key.path),
                Ty::Float(..) => assert!(key.default.parse::<f64>().is_ok(), "{}", key.path),
                Ty::OneOf(names) => assert!(key.default.is_empty() || names.contains(&key.default), "{}", key.path),
                _ => {}
            }
        }
    }
}
