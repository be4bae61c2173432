//! Asking the kernel from a program of one's own: what it needs goes in, a sentence for each missing thing comes out. Run with
//! requirements as arguments, for example `cargo run -p features --example embed -- btf program:tracing/tp_btf`, or with
//! `--full` for a count of everything that the kernel answers.

#![allow(clippy::print_stdout, reason = "says what was skipped or answered")]

use features::{Machine, Requirement, Scope, Snapshot, check};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let machine = Machine::here();
    if words.iter().any(|word| word == "--full") {
        let snapshot = Snapshot::take(&machine, Scope::Full);
        let yes = snapshot.answers.values().filter(|answer| answer.is_supported()).count();
        println!("{}: {} of {} answers are yes", snapshot.context.release, yes, snapshot.answers.len());
        return;
    }
    let requirements: Result<Vec<Requirement>, _> = words.iter().map(|word| Requirement::parse(word)).collect();
    match requirements {
        Err(error) => println!("{error}"),
        Ok(requirements) => {
            let report = check(&machine, &requirements);
            for row in report.failures() {
                println!("{}: {}", row.requirement, row.answer.reason().map(ToString::to_string).unwrap_or_default());
            }
            println!("{}", if report.is_ok() { "everything is there" } else { "not ready" });
        }
    }
}
