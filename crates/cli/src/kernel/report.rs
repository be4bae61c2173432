//! The reference's reports: in, a [`Machine`]; out, its `probe` and `config` output as text and JSON, field for field. An unknown
//! answer prints as `no` with its reason as error, because this form has only yes and no.

use super::output::Json;
use features::kconfig;
use features::legacy::{self, Preempt};
use features::{Answer, Machine};
use std::fmt::Write;

/// One line of the report.
struct Field {
    label: &'static str,
    key: &'static str,
    answer: Answer,
}

/// Everything the report shows.
pub struct Probe {
    release: String,
    fields: Vec<Field>,
    lsms: Option<Vec<String>>,
    jit_limit_bytes: i64,
    spectre: [String; 2],
    preempt: Preempt,
    /// The five options with their numbers; `None` without a readable configuration.
    options: Option<Vec<(&'static str, &'static str, u8)>>,
}

impl Probe {
    pub fn of(machine: &Machine) -> Self {
        let config = machine.config().ok();
        let number =
            |(name, key): &(&'static str, &'static str)| Some((*name, *key, legacy::config_number(config?, name)));
        Probe {
            release: machine.release.clone(),
            fields: FIELDS.iter().map(|(label, key, probe)| Field { label, key, answer: probe(machine) }).collect(),
            lsms: machine.lsms().ok().map(|lsms| lsms.names.clone()),
            jit_limit_bytes: legacy::jit_limit_bytes(machine),
            spectre: ["spectre_v1", "spectre_v2"].map(|name| legacy::mitigation(machine, name)),
            preempt: config.map_or(Preempt::Unknown, legacy::preempt_mode),
            options: OPTIONS.iter().map(number).collect(),
        }
    }

    pub fn text(&self) -> String {
        let mut out = format!("Kernel: {}\n", self.release);
        for (head, keys) in SECTIONS {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "\n{head}:");
            for key in *keys {
                self.fields
                    .iter()
                    .filter(|f| f.key == *key)
                    .for_each(|f| _ = writeln!(out, "  {}: {}", f.label, yes_no(&f.answer)));
            }
            self.extra(head, &mut out);
        }
        self.tail(&mut out);
        out
    }

    fn extra(&self, head: &str, out: &mut String) {
        match head {
            "Security Subsystems" => {
                let names = self.lsms.as_ref().filter(|names| !names.is_empty());
                names.into_iter().for_each(|names| _ = writeln!(out, "  Active LSMs: {}", names.join(", ")));
            }
            "JIT" if self.jit_limit_bytes > 0 => _ = writeln!(out, "  Memory limit: {} bytes", self.jit_limit_bytes),
            "JIT" => out.push_str("  Memory limit: unknown\n"),
            _ => {}
        }
    }

    fn tail(&self, out: &mut String) {
        let [v1, v2] = &self.spectre;
        if !v1.is_empty() || !v2.is_empty() {
            let _ = write!(out, "\nCPU Mitigations:\n  Spectre v1: {v1}\n  Spectre v2: {v2}\n");
        }
        let Some(options) = &self.options else { return };
        out.push_str("\nKernel Config:\n");
        for (name, _, number) in options {
            let _ = writeln!(out, "  CONFIG_{name}: {}", ["not set", "m", "y"][*number as usize % 3]);
        }
        let sleepable = matches!(self.preempt, Preempt::Full | Preempt::Dynamic);
        let _ = writeln!(out, "  Preemption model: {}", self.preempt.name());
        let _ = writeln!(out, "  Sleepable BPF: {}", if sleepable { "yes" } else { self.sleepable() });
    }

    /// The kernel does not need preemption for sleepable programs; the load decides.
    fn sleepable(&self) -> &'static str {
        let answer = self.fields.iter().find(|f| f.key == SLEEPABLE).map(|f| &f.answer);
        if answer.is_some_and(Answer::is_supported) { "yes" } else { "no" }
    }

    pub fn json(&self) -> Json {
        let mut pairs = Vec::new();
        for key in ORDER {
            pairs.push(((*key).to_owned(), self.value(key)));
        }
        Json::Object(pairs)
    }

    fn value(&self, key: &str) -> Json {
        match key {
            "ActiveLSMs" => self.lsms.clone().into(),
            "JITLimit" => self.jit_limit_bytes.into(),
            "JITAlwaysOn" => self.option("BPF_JIT_ALWAYS_ON").into(),
            "SpectreV1" => self.spectre[0].as_str().into(),
            "SpectreV2" => self.spectre[1].as_str().into(),
            "PreemptMode" => (self.preempt as u8).into(),
            "KernelConfig" => self.kernel_config(),
            "KernelVersion" => self.release.as_str().into(),
            _ => self.fields.iter().find(|f| f.key == key).map_or(().into(), |f| result(&f.answer)),
        }
    }

    fn option(&self, name: &str) -> u8 {
        let options = self.options.iter().flatten();
        options.filter(|(known, _, _)| *known == name).map(|(_, _, number)| *number).next().unwrap_or(0)
    }

    fn kernel_config(&self) -> Json {
        let Some(options) = &self.options else { return ().into() };
        let mut pairs: Vec<(String, Json)> =
            options.iter().map(|(_, key, n)| ((*key).to_owned(), (*n).into())).collect();
        pairs.push(("Preempt".into(), (self.preempt as u8).into()));
        Json::Object(pairs)
    }
}

/// `CONFIG_X` with `y`, `m` or `not set`, for the options that the `config` command shows.
pub fn config_rows(config: &kconfig::Config) -> Vec<(String, String)> {
    CONFIG_ROWS
        .iter()
        .map(|name| {
            (
                format!("CONFIG_{name}"),
                ["not set", "m", "y"][legacy::config_number(config, name) as usize % 3].to_owned(),
            )
        })
        .collect()
}

fn yes_no(answer: &Answer) -> String {
    match error(answer) {
        Some(error) => format!("{} (error: {error})", if answer.is_supported() { "yes" } else { "no" }),
        None => if answer.is_supported() { "yes" } else { "no" }.to_owned(),
    }
}

fn result(answer: &Answer) -> Json {
    Json::object([("Supported", answer.is_supported().into()), ("Error", error(answer).into())])
}

/// Only a probe that was refused or could not be made has an error; a plain no has none.
fn error(answer: &Answer) -> Option<String> {
    use features::Cause::{MissingCapability, NotMounted, Policy, Seccomp, Unreadable};
    match answer {
        Answer::Supported => None,
        Answer::Unknown(reason) => Some(format!("cannot tell: {}", reason.text)),
        Answer::Unsupported(reason) if matches!(reason.cause, Policy | Seccomp | NotMounted | Unreadable) => {
            Some(reason.text.clone())
        }
        Answer::Unsupported(reason) if reason.cause == MissingCapability && reason.errno.is_some() => {
            Some(reason.text.clone())
        }
        Answer::Unsupported(_) => None,
    }
}

type Row = (&'static str, &'static str, fn(&Machine) -> Answer);

/// Label, JSON key, probe.
const FIELDS: &[Row] = &[
    ("bpf()", "BPFSyscall", |m| legacy::named(m, "bpf-syscall")),
    ("perf_event_open()", "PerfEventOpen", |m| legacy::named(m, "perf-event-open")),
    ("LSM", "LSMProgramType", legacy::lsm_program_type),
    ("kprobe", "Kprobe", |m| legacy::named(m, "kprobe")),
    ("kprobe.multi", "KprobeMulti", |m| legacy::named(m, "kprobe-multi")),
    ("tracepoint", "Tracepoint", |m| legacy::named(m, "tracepoint")),
    ("fentry", "Fentry", |m| legacy::named(m, "fentry")),
    ("BTF", "BTF", |m| legacy::named(m, "btf")),
    ("BPF LSM enabled", "BPFLSMEnabled", |m| legacy::named(m, "bpf-lsm")),
    ("IMA enabled", "IMAEnabled", |m| legacy::named(m, "ima")),
    ("IMA directory", "IMADirectory", legacy::ima_directory),
    ("IMA any measurement active", "IMAAnyMeasurementActive", |m| legacy::named(m, "ima-any-measurement-active")),
    ("CAP_BPF", "HasCapBPF", |m| legacy::named(m, "cap-bpf")),
    ("CAP_SYS_ADMIN", "HasCapSysAdmin", |m| legacy::named(m, "cap-sys-admin")),
    ("CAP_PERFMON", "HasCapPerfmon", |m| legacy::named(m, "cap-perfmon")),
    ("Unprivileged BPF disabled", "UnprivilegedBPFDisabled", |m| legacy::named(m, "unprivileged-bpf-disabled")),
    ("tracefs", "TraceFS", |m| legacy::named(m, "trace-fs")),
    ("debugfs", "DebugFS", |m| legacy::file_system(m, "/sys/kernel/debug", "debugfs")),
    ("securityfs", "SecurityFS", |m| legacy::file_system(m, "/sys/kernel/security", "securityfs")),
    ("bpffs", "BPFFS", |m| legacy::named(m, "bpf-fs")),
    ("Enabled", "JITEnabled", |m| legacy::named(m, "jit-enabled")),
    ("Hardened", "JITHardened", |m| legacy::named(m, "jit-hardened")),
    ("Kallsyms", "JITKallsyms", legacy::jit_kallsyms),
    ("Initial user namespace", "InInitUserNS", |m| legacy::named(m, "init-user-ns")),
    ("Initial PID namespace", "InInitPIDNS", Machine::initial_pid_namespace),
    ("BPF stats enabled", "BPFStatsEnabled", |m| legacy::named(m, "bpf-stats-enabled")),
    ("", SLEEPABLE, |m| legacy::named(m, "sleepable-bpf")),
];
const SLEEPABLE: &str = "sleepable";

const SECTIONS: &[(&str, &[&str])] = &[
    ("Syscalls", &["BPFSyscall", "PerfEventOpen"]),
    ("Program Types", &["LSMProgramType", "Kprobe", "KprobeMulti", "Tracepoint", "Fentry"]),
    ("Core", &["BTF"]),
    ("Security Subsystems", &["BPFLSMEnabled", "IMAEnabled", "IMADirectory", "IMAAnyMeasurementActive"]),
    ("Capabilities", &["HasCapBPF", "HasCapSysAdmin", "HasCapPerfmon", "UnprivilegedBPFDisabled", "BPFStatsEnabled"]),
    ("Filesystems", &["TraceFS", "DebugFS", "SecurityFS", "BPFFS"]),
    ("JIT", &["JITEnabled", "JITHardened", "JITKallsyms"]),
    ("Namespaces", &["InInitUserNS", "InInitPIDNS"]),
];

const ORDER: &[&str] = &[
    "BPFSyscall",
    "PerfEventOpen",
    "LSMProgramType",
    "Kprobe",
    "KprobeMulti",
    "Tracepoint",
    "Fentry",
    "BTF",
    "BPFLSMEnabled",
    "ActiveLSMs",
    "IMAEnabled",
    "IMADirectory",
    "IMAAnyMeasurementActive",
    "HasCapBPF",
    "HasCapSysAdmin",
    "HasCapPerfmon",
    "UnprivilegedBPFDisabled",
    "TraceFS",
    "DebugFS",
    "SecurityFS",
    "BPFFS",
    "JITEnabled",
    "JITHardened",
    "JITKallsyms",
    "JITLimit",
    "JITAlwaysOn",
    "SpectreV1",
    "SpectreV2",
    "PreemptMode",
    "InInitUserNS",
    "InInitPIDNS",
    "BPFStatsEnabled",
    "KernelConfig",
    "KernelVersion",
];

/// Option and JSON key.
const OPTIONS: &[(&str, &str)] = &[
    ("BPF_LSM", "BPFLSM"),
    ("IMA", "IMA"),
    ("DEBUG_INFO_BTF", "BTF"),
    ("FPROBE", "KprobeMulti"),
    ("BPF_JIT_ALWAYS_ON", "JITAlwaysOn"),
];
const CONFIG_ROWS: &[&str] = &["BPF_LSM", "IMA", "DEBUG_INFO_BTF", "FPROBE"];
