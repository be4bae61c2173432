//! Any text as a policy file: it is read, or refused with at least one finding. What was read has tables, and the
//! interpreter judges any frame by it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic::interpret::Interpreter;
use traffic::policy::Direction;
use traffic::policy::read::read;
use traffic::tables::{Surroundings, Tables};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    match read("fuzz", &text, &|_| Err(std::io::ErrorKind::NotFound.into())) {
        Err(findings) => assert!(!findings.is_empty()),
        Ok(policies) => {
            for policy in policies {
                let around =
                    Surroundings { generation: 1, pass_verdict: -1, trace: false, link_header: 14, coarse_clock: true };
                let _ = Tables::build(&policy, &around);
                Interpreter::new(&policy).judge(bytes, Direction::Out, 1);
            }
        }
    }
});
