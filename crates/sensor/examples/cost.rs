//! Loads every program of the sensor on its own and prints how much work that was for the verifier, and for a refused
//! one what it said last: `cargo run -p sensor --example cost [PROGRAM...]`. Needs root.

#![allow(clippy::print_stdout)]

use std::time::Instant;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for object in sensor::objects() {
        for program in object.programs().expect("a BPF object") {
            if !wanted.is_empty() && !wanted.contains(&program.name) {
                continue;
            }
            let start = Instant::now();
            let one = object.clone().only([&program.name]);
            let outcome = match one.clone().statistics().load() {
                Ok(object) => object.verifier_log().trim().replace('\n', "; "),
                Err(_) => refusal(&one), // once more, for the whole log
            };
            println!("{:>8.1} ms  {:24} {outcome}", start.elapsed().as_secs_f64() * 1e3, program.name);
        }
    }
}

fn refusal(one: &load::Loader<'_>) -> String {
    match one.load() {
        Ok(_) => "loads without statistics only".to_owned(),
        Err(load::Error::Refused(r)) => {
            let tail: Vec<&str> = r.log.lines().rev().take(40).collect();
            format!("{r}\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
        }
        Err(e) => e.to_string(),
    }
}
