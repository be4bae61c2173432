//! How reading, collecting and compiling report: the first fault stops a file, notes pile up.

use super::context::{Context, SNIPPET_WIDTH};
use super::report::{ErrorCode, Issue, LoadResult, WarningCode};
use std::collections::HashMap;
use std::sync::Arc;

/// The error that stops a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub code: ErrorCode,
    pub message: String,
    pub context: Context,
}

pub type Outcome<T> = Result<T, Box<Fault>>;

impl Fault {
    pub fn of<T>(code: ErrorCode, message: impl Into<String>, context: &Context) -> Outcome<T> {
        Err(Box::new(Fault { code, message: message.into(), context: context.clone() }))
    }

    /// The file has not the structure of a rules file.
    pub fn structure<T>(message: impl Into<String>, context: &Context) -> Outcome<T> {
        Fault::of(ErrorCode::YamlValidate, message, context)
    }

    /// The objects do not fit together.
    pub fn objects<T>(message: impl Into<String>, context: &Context) -> Outcome<T> {
        Fault::of(ErrorCode::Validate, message, context)
    }
}

/// Collects what one file gives. Knows the texts of all files, for snippets.
#[derive(Debug)]
pub struct Report<'l> {
    pub result: LoadResult,
    pub contents: &'l HashMap<String, Arc<str>>,
}

impl Report<'_> {
    pub fn warn(&mut self, code: WarningCode, message: impl Into<String>, context: &Context) {
        self.push(code, message.into(), context, None);
    }

    pub fn warn_deprecated_field(&mut self, field: &str, message: String, context: &Context) {
        self.push(WarningCode::DeprecatedItem, message, context, Some(field.to_owned()));
    }

    fn push(&mut self, code: WarningCode, message: String, context: &Context, deprecated_field: Option<String>) {
        let snippet = context.snippet(self.contents, SNIPPET_WIDTH);
        self.result.warnings.push(Issue { code, message, context: context.clone(), snippet, deprecated_field });
    }

    pub fn fail(&mut self, fault: Fault) {
        let snippet = fault.context.snippet(self.contents, SNIPPET_WIDTH);
        let Fault { code, message, context } = fault;
        self.result.errors.push(Issue { code, message, context, snippet, deprecated_field: None });
    }
}
