//! BPF objects: any bytes become a specification or an error, and everything reachable from it can be asked. Must never happen:
//! a panic, an overflow, a walk without end.

#![no_main]

use elf::Spec;
use elf::core_relo::{Candidates, names, resolve};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(spec) = Spec::parse(data) else { return };
    let _ = (spec.program_types(), spec.map_types(), spec.helpers());
    for program in &spec.programs {
        let _ = spec.source_line(program, u32::MAX);
    }
    if let Some(btf) = &spec.btf {
        let accesses: Vec<_> = spec.programs.iter().flat_map(|p| p.accesses.iter().copied()).take(64).collect();
        let candidates = Candidates::find(btf, &names(btf, &accesses));
        for access in &accesses {
            let _ = resolve(btf, btf, &candidates, access);
        }
    }
});
