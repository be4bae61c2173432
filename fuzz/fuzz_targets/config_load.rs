//! Any text as a configuration file and as an option: an answer or an error, bounded memory, no panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use watch::config::{Config, Node, schema};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (option, file) = text.split_once('\0').unwrap_or(("", &text));
    let options: Vec<String> = (!option.is_empty()).then(|| option.to_owned()).into_iter().collect();
    let _ = Config::from_text("fuzz", file, &options);
    if let Ok(node) = Node::parse("fuzz", file) {
        let _ = schema::misfit(&node);
    }
});
