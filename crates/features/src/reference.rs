//! The reference page of every capability: in, the tables that the probes use; out, Markdown. A test compares the committed page
//! with it, so that the page cannot go stale.

use crate::program::SLEEPABLE;
use crate::{FEATURES, isa, link, program};
use elf::uapi;
use std::fmt::Write;

/// The whole page.
pub fn page() -> String {
    let mut out = String::from(HEAD);
    features(&mut out);
    programs(&mut out);
    shapes(&mut out);
    maps(&mut out);
    links(&mut out);
    abilities(&mut out);
    helpers(&mut out);
    out
}

// Writing to a String cannot fail, so the results below are dropped.

fn features(out: &mut String) {
    out.push_str(
        "\n## Features\n\n| name | what | since Linux | how it is decided | remedy |\n|---|---|---|---|---|\n",
    );
    for f in FEATURES {
        let _ = writeln!(out, "| `{}` | {} | {} | {} | {} |", f.name, f.title, f.since, cell(f.probed), cell(f.remedy));
    }
}

fn programs(out: &mut String) {
    out.push_str("\n## Program types (`program:NAME`)\n\nSupported when a program of the type loads in any of its ways.\n\n| name | number | since Linux | must be built in |\n|---|---|---|---|\n");
    for (id, (_, name, since)) in (1u32..).zip(uapi::PROGRAM_TYPES) {
        let option = program::shapes(id).next().map_or("", |shape| shape.option);
        let _ = writeln!(out, "| `program:{name}` | {id} | {since} | {option} |");
    }
}

fn shapes(out: &mut String) {
    out.push_str("\n## Ways to load a program\n\n| name | attach type | sleepable | since Linux | must be built in |\n|---|---|---|---|---|\n");
    for shape in program::SHAPES.iter().filter(|shape| shape.name.contains('/')) {
        let attach =
            uapi::attach_type(shape.attach_type).filter(|_| shape.attach_type != 0).map_or("", |(name, _)| name);
        let sleepable = if shape.flags & SLEEPABLE != 0 { "yes" } else { "" };
        let _ =
            writeln!(out, "| `program:{}` | {attach} | {sleepable} | {} | {} |", shape.name, shape.since, shape.option);
    }
}

fn maps(out: &mut String) {
    out.push_str("\n## Map types (`map:NAME`)\n\nSupported when a map of the type can be created.\n\n| name | number | since Linux |\n|---|---|---|\n");
    for (id, (_, name, since)) in (1u32..).zip(uapi::MAP_TYPES) {
        let _ = writeln!(out, "| `map:{name}` | {id} | {since} |");
    }
}

fn links(out: &mut String) {
    out.push_str("\n## Attach kinds (`attach:NAME`)\n\nAsked with a target that cannot exist, so nothing is attached; tracepoints with one that only tests fire.\n\n| name | program | since Linux | must be built in |\n|---|---|---|---|\n");
    for kind in link::KINDS {
        let _ = writeln!(out, "| `attach:{}` | `{}` | {} | {} |", kind.name, kind.shape, kind.since, kind.option);
    }
}

fn abilities(out: &mut String) {
    out.push_str("\n## Abilities (`ability:NAME`)\n\nSupported when the smallest program or BTF that needs it loads.\n\n| name | what | since Linux |\n|---|---|---|\n");
    for ability in isa::ABILITIES {
        let _ = writeln!(out, "| `ability:{}` | {} | {} |", ability.name, ability.title, ability.since);
    }
}

fn helpers(out: &mut String) {
    out.push_str("\n## Helpers (`helper:PROGRAM:NAME`)\n\nSupported when a program of the type may call it.\n\n| name | number | since Linux |\n|---|---|---|\n");
    for (id, (name, since)) in (1u32..).zip(uapi::HELPERS) {
        let _ = writeln!(out, "| `bpf_{name}` | {id} | {since} |");
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

const HEAD: &str = "# Kernel capabilities

Generated from the tables of the crate `features`; `cargo test -p features` fails when this page is stale, and
`HAWKBELL_BLESS=1 cargo test -p features` writes it anew.

Every name here can be given to `hawkbell check -r NAME`. Other requirements: `CONFIG_X` or `CONFIG_X=value`, `kernel>=5.10`,
`cap:CAP_BPF`, `mount:/sys/fs/bpf:bpf`, `kfunc:NAME`, `function:NAME`, `kprobe:NAME`, `raw_tracepoint:NAME`,
`tracepoint:CATEGORY/NAME`, `lsm:HOOK`, `iter:NAME`, `struct_ops:NAME`. `a|b` is met by either, `a&b` by both, `(a|b)&c`
needs brackets, `a?` is told but never fails.

Answers are `supported`, `unsupported` with a cause, or `unknown` with a cause. Causes: `too-old`, `compiled-out`, `absent`,
`not-enabled`, `not-mounted`, `missing-capability`, `user-namespace`, `seccomp`, `lockdown`, `policy`, `memlock`, `unreadable`,
`no-btf`, `object`, `inconclusive`, `not-recorded`.
";
