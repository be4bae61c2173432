//! Path joining against recorded vectors: every line `[base, name, result]` must come out byte for byte. The vectors
//! are not part of the project; without them the test says so and passes.

#![allow(clippy::print_stdout)]

mod common;

use common::tell;
use engine::state::path::join;

#[test]
fn joins_like_the_recorded_vectors() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/spec/tables/path_join_vectors.jsonl");
    let Ok(text) = std::fs::read_to_string(file) else {
        println!("skipped: no recorded path vectors");
        return;
    };
    let mut wrong = Vec::new();
    for line in text.lines() {
        let vector: [String; 3] = serde_json::from_str(line).expect("a vector");
        let [base, name, expected] = vector.map(|s| bytes(&s));
        let joined = join(&base, &name);
        if joined != expected {
            wrong.push(format!("{line} gave {:?}", String::from_utf8_lossy(&joined)));
        }
    }
    let all = text.lines().count();
    tell(&format!("{} of {all} joined paths agree", all - wrong.len()));
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

/// The vectors write one byte per character.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect()
}
