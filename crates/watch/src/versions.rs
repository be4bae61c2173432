//! The versions this program answers for: its own, and those of the interfaces it re-creates, which rules, plugins and
//! captures ask about.

use crate::listing::SCHEMA_VERSION;
use rules::load::ENGINE_VERSION;
use serde_json::{Value, json};

/// The release whose behaviour is re-created.
pub const FALCO_VERSION: &str = "0.45.0";
/// Of the plugin interface.
pub const PLUGIN_API: &str = "3.12.0";
/// Of the interface between driver and daemon.
pub const DRIVER_API: &str = "10.1.0";
/// Of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `--version` with JSON output and `/versions` tell.
pub fn json() -> Value {
    let engine = ENGINE_VERSION.to_string();
    let minor = engine.split('.').nth(1).unwrap_or_default().to_owned();
    json!({
        "default_driver_version": VERSION,
        "driver_api_version": DRIVER_API,
        "driver_schema_version": SCHEMA_VERSION,
        "engine_version": minor,
        "engine_version_semver": engine,
        "falco_version": FALCO_VERSION,
        "hawkbell_version": VERSION,
        "libs_version": VERSION,
        "plugin_api_version": PLUGIN_API,
        "plugin_versions": {},
    })
}
