//! A real load of an object: maps created, verifier run, nothing attached, everything closed again. In: its bytes; out, whether it
//! loads, and for each refused program the loader's cause and the end of the verifier's log.

use serde::Serialize;
use std::path::Path;

/// What the kernel said.
#[derive(Debug, Clone, Serialize)]
pub struct Loaded {
    pub ok: bool,
    pub refused: Vec<Refusal>,
    /// Why nothing could be loaded at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One program that the kernel did not take.
#[derive(Debug, Clone, Serialize)]
pub struct Refusal {
    pub program: String,
    pub reason: String,
    /// `file:line` of the instruction that the verifier stopped at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

pub fn load(path: &Path, bytes: &[u8]) -> Loaded {
    let name = path.file_stem().map_or_else(|| "object".into(), |stem| stem.to_string_lossy().into_owned());
    match load::Loader::new(&name, bytes).load_what_loads() {
        Ok((object, _)) if object.programs().is_empty() && object.maps().is_ok_and(|maps| maps.is_empty()) => {
            Loaded { ok: false, refused: Vec::new(), error: Some("the object has nothing to load".into()) }
        }
        Ok((_object, refused)) => {
            let refused: Vec<Refusal> = refused.iter().map(refusal).collect();
            Loaded { ok: refused.is_empty(), refused, error: None }
        }
        Err(error) => Loaded { ok: false, refused: Vec::new(), error: Some(error.to_string()) },
    }
}

fn refusal(refused: &load::Refused) -> Refusal {
    Refusal { program: refused.program.clone(), reason: refused.to_string(), source: last_source(&refused.log) }
}

/// The verifier prints `; source text @ file.c:12` before the instructions of a line.
fn last_source(log: &str) -> Option<String> {
    let line = log.lines().rev().find(|line| line.starts_with(';') && line.contains(" @ "))?;
    line.rsplit_once(" @ ").map(|(_, place)| place.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_source_line_of_a_log() {
        let log = "0: R1=ctx()\n; int a = 1; @ x.bpf.c:4\n0: (b7) r0 = 0\n; return b; @ x.bpf.c:9\n1: (95) exit\nR0 !read_ok\n";
        assert_eq!(super::last_source(log).as_deref(), Some("x.bpf.c:9"));
        assert_eq!(super::last_source("processed 0 insns"), None);
    }
}
