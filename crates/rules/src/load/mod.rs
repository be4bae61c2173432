//! Rule files: text in, a load result and the compiled rules out. Files are loaded one after the other into one
//! collection; each load compiles everything collected so far. No file is opened here.

mod appended;
mod collector;
mod compile;
mod context;
mod decode;
mod describe;
mod exceptions;
mod fault;
mod indent;
mod item;
mod lists;
mod macros;
mod reader;
mod report;
mod schema;
mod setup;
mod warnings;
mod yaml;

pub use context::{Context, Location};
pub use report::{ErrorCode, Issue, LoadResult, WarningCode};
pub use schema::{SchemaStatus, schema};
pub use setup::{AppendOutput, ENGINE_VERSION, Provider, Setup};
pub use yaml::Mark;

use crate::ruleset::RuleSet;
use collector::Collector;
use compile::Compiled;
use fault::{Fault, Outcome, Report};
use reader::Reader;
use report::ErrorCode as Code;
use std::collections::HashMap;
use std::sync::Arc;

/// Loads rule files one after the other into one collection.
#[derive(Clone, Debug)]
pub struct Loader {
    setup: Setup,
    contents: HashMap<String, Arc<str>>,
    collector: Collector,
    compiled: Compiled,
    rule_set: RuleSet,
}

impl Loader {
    pub fn new(setup: Setup) -> Self {
        Loader {
            setup,
            contents: HashMap::new(),
            collector: Collector::default(),
            compiled: Compiled::default(),
            rule_set: RuleSet::default(),
        }
    }

    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Adds one file and compiles everything collected so far. After a failure the rules of the last success remain.
    pub fn load(&mut self, name: &str, content: &str) -> LoadResult {
        self.contents.insert(name.to_owned(), content.into());
        let result = LoadResult { name: name.to_owned(), ..LoadResult::default() };
        let mut report = Report { result, contents: &self.contents };
        let outcome = read(name, content, (&self.setup, &mut self.collector), &mut report)
            .and_then(|()| compile::compile(&self.collector, &self.setup, &mut report));
        match outcome {
            Ok(compiled) => {
                let rules = compiled.rules.iter().map(|r| r.rule.clone()).collect();
                self.rule_set = RuleSet::new(rules, Arc::clone(&self.setup.catalogue), self.setup.min_priority);
                self.compiled = compiled;
            }
            Err(fault) => report.fail(*fault),
        }
        report.result
    }

    /// Checks `required_plugin_versions` once all files are loaded.
    ///
    /// # Errors
    /// The text of the first requirement that is not met; fatal to the caller and more important than any load result.
    pub fn check_providers(&self) -> Result<(), String> {
        self.collector.requirements.iter().try_for_each(|requirement| self.setup.meets(requirement))
    }

    /// The rules of the last successful load, enabled as the files and the priority threshold say.
    pub fn rule_set(&self) -> &RuleSet {
        &self.rule_set
    }
}

fn read(
    name: &str,
    content: &str,
    (setup, collector): (&Setup, &mut Collector),
    report: &mut Report<'_>,
) -> Outcome<()> {
    let file = Context::file(name);
    let (documents, error) = yaml::parse(content);
    if error.is_none() {
        documents.iter().filter(|d| !d.is_null()).for_each(|d| report.result.schema.add(d));
    }
    if let Some(error) = error {
        return Fault::of(Code::YamlParse, error.message, &file.at(error.mark));
    }
    let mut reader = Reader { setup, collector, report };
    documents.iter().try_for_each(|document| reader.document(document, &file))
}
