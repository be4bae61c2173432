//! What rule files are loaded against: fields, event sources, providers, and what configuration adds.

use super::item::Requirement;
use crate::ruleset::Priority;
use crate::version::Version;
use event::Catalogue;
use std::sync::Arc;

/// A loaded plugin, or something built in that answers for one, as far as rule files can require it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Provider {
    pub name: String,
    pub version: Version,
    /// The event source it opens, if any.
    pub source: Option<String>,
    /// Sources for which it provides fields.
    pub field_sources: Vec<String>,
    /// Names of the asynchronous events it may send.
    pub async_events: Vec<String>,
}

/// One entry of `append_output` in the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AppendOutput {
    pub source: Option<String>,
    pub rule: Option<String>,
    pub tags: Vec<String>,
    pub extra_output: String,
    /// Append `name=%field` for every suggested field.
    pub suggested_output: bool,
    /// (field text, `None`) adds the field's typed value; (key, `Some(format)`) adds formatted text.
    pub extra_fields: Vec<(String, Option<String>)>,
}

/// What rule files are loaded against.
#[derive(Clone, Debug)]
pub struct Setup {
    pub catalogue: Arc<Catalogue>,
    /// Known event sources; `syscall` first.
    pub sources: Vec<String>,
    pub engine_version: Version,
    pub providers: Vec<Provider>,
    pub append_output: Vec<AppendOutput>,
    /// Rules less urgent than this are never enabled by loading.
    pub min_priority: Priority,
}

/// The version of the rule language that this crate implements.
pub const ENGINE_VERSION: Version = Version::new(0, 63, 0);

/// The version of the `container` plugin whose fields are built in.
const CONTAINER_VERSION: Version = Version::new(0, 7, 1);

impl Setup {
    /// The built-in fields, source `syscall` and the built-in provider `container`; nothing appended, every priority.
    pub fn builtin() -> Self {
        Setup {
            catalogue: Arc::new(Catalogue::builtin()),
            sources: vec!["syscall".to_owned()],
            engine_version: ENGINE_VERSION,
            providers: vec![Provider {
                name: "container".to_owned(),
                version: CONTAINER_VERSION,
                source: None,
                field_sources: vec!["syscall".to_owned()],
                async_events: vec!["container".to_owned(), "container_removed".to_owned()],
            }],
            append_output: Vec::new(),
            min_priority: Priority::Debug,
        }
    }

    pub(crate) fn is_async_event(&self, name: &str) -> bool {
        self.providers.iter().any(|p| p.async_events.iter().any(|e| e == name))
    }

    /// The first alternative that is loaded decides.
    pub(crate) fn meets(&self, requirement: &Requirement) -> Result<(), String> {
        for (name, required) in &requirement.alternatives {
            let Some(provider) = self.providers.iter().find(|p| p.name == *name) else { continue };
            let version = provider.version;
            if version.serves(*required) {
                return Ok(());
            }
            return Err(format!(
                "Plugin '{name}' version '{version}' is not compatible with required plugin version '{required}'"
            ));
        }
        let names: Vec<_> = requirement.alternatives.iter().map(|(name, v)| format!("{name} (>= {v})")).collect();
        Err(format!("Plugin requirement not satisfied, must load one of: {}", names.join(", ")))
    }
}
