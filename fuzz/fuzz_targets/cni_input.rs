//! Any bytes as the input of the CNI plugin: there is always an answer, and an answer that is not empty is JSON. ADD is
//! left out where it could find an interface to attach to.

#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic::cni::json::Json;
use traffic::cni::{Environment, run};

fuzz_target!(|bytes: &[u8]| {
    for command in ["VERSION", "ADD"] {
        if command == "ADD" && bytes.windows(12).any(|w| w == b"\"interfaces\"") {
            continue;
        }
        let environment = Environment { command: Some(command.to_owned()), ..Environment::default() };
        let reply = run(&environment, || bytes.to_vec());
        assert!(reply.text.is_empty() || Json::parse(reply.text.as_bytes()).is_some());
    }
});
