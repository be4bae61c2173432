//! The CNI plugin `hawkbell-cni` (and the name `traffico-cni`): environment and standard input come in, one JSON document
//! and an exit status go out. A binary of its own because container runtimes call it, often and with root's rights.
//! Nothing is written to standard output but the answer.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use traffic::cni::{self, Environment};

fn main() -> ExitCode {
    let reply = cni::run(&environment(), || {
        let mut input = Vec::new();
        // an unreadable input counts as an empty one, which the plugin reports
        let _ = std::io::stdin().read_to_end(&mut input);
        input
    });
    match std::io::stdout().write_all(reply.text.as_bytes()) {
        Ok(()) => ExitCode::from(reply.status),
        Err(_) => ExitCode::FAILURE,
    }
}

fn environment() -> Environment {
    let called = std::env::args_os().next().unwrap_or_default();
    let variable = |name: &str| std::env::var(name).ok();
    let named = |name: &str| variable(name).filter(|value| !value.is_empty());
    Environment {
        command: variable("CNI_COMMAND"),
        container_id: named("CNI_CONTAINERID"),
        netns: named("CNI_NETNS"),
        ifname: named("CNI_IFNAME"),
        lenient: Path::new(&called).file_name().is_some_and(|name| name == "traffico-cni"),
        bpffs: named("HAWKBELL_BPFFS").map(PathBuf::from),
    }
}
