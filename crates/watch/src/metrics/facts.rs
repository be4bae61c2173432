//! What does not change between two reloads: versions, machine, the files that were loaded and their hashes. Prepared
//! rules come in, entries of every snapshot go out.

use super::sample::{Number, Sample};
use crate::now_ns;
use crate::prepare::Prepared;
use crate::versions::{FALCO_VERSION, VERSION};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Names and hashes, and when it all began.
#[derive(Debug, Clone)]
pub struct Facts {
    hostname: String,
    kernel_release: String,
    boot_ts: u64,
    cpus: u64,
    start_ts: u64,
    reload_ts: u64,
    /// File name and hash.
    rules: Vec<(String, String)>,
    configs: Vec<(String, String)>,
    addresses: Vec<(String, &'static str, String)>,
}

impl Facts {
    pub fn of(prepared: &Prepared) -> Facts {
        let now = now_ns();
        let rules = prepared.texts.files.iter().map(|file| (file.name.clone(), hash(file.text.as_bytes())));
        let configs = prepared.config.files.iter().map(|file| {
            let text = std::fs::read(&file.path).unwrap_or_default();
            (file.path.display().to_string(), hash(&text))
        });
        let uname = nix::sys::utsname::uname().ok();
        Facts {
            hostname: prepared.hostname.clone(),
            kernel_release: uname.map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default(),
            boot_ts: boot_ts(now),
            cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
            start_ts: now,
            reload_ts: now,
            rules: rules.collect(),
            configs: configs.collect(),
            addresses: addresses(),
        }
    }

    /// These facts replace older ones: the start stays.
    pub fn reloaded_from(mut self, older: &Facts) -> Facts {
        self.start_ts = older.start_ts;
        self.boot_ts = older.boot_ts;
        self
    }

    pub fn add_to(&self, sample: &mut Sample) {
        let now = now_ns();
        let seconds = now.saturating_sub(self.start_ts) / 1_000_000_000;
        sample.field("evt.time", now);
        sample.text("evt.hostname", &self.hostname);
        sample.text("evt.source", "syscall");
        sample.text("falco.version", FALCO_VERSION);
        sample.text("falco.hawkbell_version", VERSION);
        sample.text("falco.kernel_release", &self.kernel_release);
        let versions = [("version", FALCO_VERSION), ("hawkbell_version", VERSION)];
        sample.info("falcosecurity_falco_version_info", &versions);
        sample.info("falcosecurity_falco_kernel_release_info", &[("kernel_release", &self.kernel_release)]);
        sample.info("falcosecurity_evt_hostname_info", &[("hostname", &self.hostname)]);
        for (key, prometheus, value) in [
            ("falco.start_ts", "falco_start_timestamp_nanoseconds", self.start_ts),
            ("falco.reload_ts", "falco_reload_timestamp_nanoseconds", self.reload_ts),
            ("falco.host_boot_ts", "falco_host_boot_timestamp_nanoseconds", self.boot_ts),
            ("falco.host_num_cpus", "falco_host_num_cpus_total", self.cpus),
            ("falco.duration_sec", "falco_duration_seconds_total", seconds),
        ] {
            sample.field(key, value);
            sample.series_gauge(&format!("falcosecurity_{prometheus}"), Number::Count(value));
        }
        self.add_files(sample);
    }

    fn add_files(&self, sample: &mut Sample) {
        for (kind, plural, files) in [("rules", "rules", &self.rules), ("config", "config", &self.configs)] {
            for (path, sha256) in files {
                let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
                let stem = Path::new(path).file_stem().unwrap_or_default().to_string_lossy();
                sample.text(&format!("falco.sha256_{kind}_file.{stem}"), sha256);
                let series = format!("falcosecurity_falco_sha256_{plural}_files_info");
                sample.info(&series, &[("file_name", &name), ("sha256", sha256)]);
            }
        }
        for (interface, family, list) in &self.addresses {
            sample.text(&format!("falco.host_netinfo.interfaces.{interface}.protocols.{family}.addresses"), list);
        }
        sample.info("falcosecurity_falco_host_ifinfo_json_info", &[("host_ifinfo_json", &self.interfaces_json())]);
    }

    /// Addresses of this machine as one JSON text: interface, then family, then the list.
    fn interfaces_json(&self) -> String {
        let mut interfaces: Map<String, Value> = Map::new();
        for (interface, family, list) in &self.addresses {
            let families = interfaces.entry(interface.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(families) = families {
                families.insert((*family).to_owned(), list.as_str().into());
            }
        }
        Value::Object(interfaces).to_string()
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Wall clock minus time since boot.
fn boot_ts(now: u64) -> u64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds: f64 = uptime.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    now.saturating_sub((seconds * 1e9) as u64)
}

/// Addresses per interface and family, comma-separated.
fn addresses() -> Vec<(String, &'static str, String)> {
    let mut found: Vec<(String, &'static str, String)> = Vec::new();
    for entry in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let Some(address) = entry.address else { continue };
        let (family, text) = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(v4), _) => ("ipv4", v4.ip().to_string()),
            (_, Some(v6)) => ("ipv6", v6.ip().to_string()),
            _ => continue,
        };
        match found.iter_mut().find(|(name, known, _)| *name == entry.interface_name && *known == family) {
            Some((_, _, list)) => {
                list.push(',');
                list.push_str(&text);
            }
            None => found.push((entry.interface_name, family, text)),
        }
    }
    found
}
