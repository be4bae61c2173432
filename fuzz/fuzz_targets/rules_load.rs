//! Any text as a rules file: loading ends in a result, whose texts and JSON can be made, and nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rules::{Loader, Matching, Setup};

fuzz_target!(|text: &str| {
    let mut loader = Loader::new(Setup::builtin());
    let result = loader.load("rules.yaml", text);
    assert!(!result.verbose().is_empty() && !result.summary().is_empty());
    assert!(result.to_json().is_object());
    let _ = loader.check_providers();
    let _ = loader.rule_set().program(Matching::All);
});
