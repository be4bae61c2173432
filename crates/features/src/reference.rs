//! The reference page of every capability: in, the tables that the probes use; out, Markdown. A test compares the committed page
//! with it, so that the page cannot go stale.

use crate::program::{SLEEPABLE, Shape};
use crate::{FEATURES, isa, link, map, program};
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
    out.push_str("\n## Program types (`program:NAME`)\n\n| name | number | since Linux | how it is decided | remedy |\n|---|---|---|---|---|\n");
    for (id, (_, name, since)) in (1u32..).zip(uapi::PROGRAM_TYPES) {
        let option = program::shapes(id).next().map_or("", |shape| shape.option);
        let ways = program::shapes(id).count();
        let how = if ways > 1 { "one of its ways to load (below) is taken" } else { probed_by(id) };
        let _ = writeln!(out, "| `program:{name}` | {id} | {since} | {how} | {} |", remedy(since, option));
    }
}

fn shapes(out: &mut String) {
    out.push_str("\n## Ways to load a program (`program:NAME`, for one hook `program:NAME:HOOK`)\n\nA program `r0 = 0; exit` is loaded with this attach type and, where one is named, for this kernel function or type; it is\nclosed at once and never attached.\n\n| name | attach type | may sleep | tried for | since Linux | remedy |\n|---|---|---|---|---|---|\n");
    for shape in program::SHAPES.iter().filter(|shape| shape.name.contains('/')) {
        let attach =
            uapi::attach_type(shape.attach_type).filter(|_| shape.attach_type != 0).map_or("", |(name, _)| name);
        let sleepable = if shape.flags & SLEEPABLE != 0 { "yes" } else { "" };
        let _ = writeln!(
            out,
            "| `program:{}` | {attach} | {sleepable} | {} | {} | {} |",
            shape.name,
            target(shape),
            shape.since,
            remedy(shape.since, shape.option)
        );
    }
}

fn maps(out: &mut String) {
    out.push_str("\n## Map types (`map:NAME`)\n\nA map of one entry is created and closed at once; where a map, type or file system must be referred to, the refusal of a\nreference that cannot exist is the proof.\n\n| name | number | since Linux | remedy |\n|---|---|---|---|\n");
    for (id, (_, name, since)) in (1u32..).zip(uapi::MAP_TYPES) {
        let _ = writeln!(out, "| `map:{name}` | {id} | {since} | {} |", remedy(since, map::option(id)));
    }
}

fn links(out: &mut String) {
    out.push_str("\n## Attach kinds (`attach:NAME`)\n\nAsked with a target that cannot exist, so nothing is attached; tracepoints with one that only tests fire.\n\n| name | program | since Linux | how it is decided | remedy |\n|---|---|---|---|---|\n");
    for kind in link::KINDS {
        let _ = writeln!(
            out,
            "| `attach:{}` | `{}` | {} | {} | {} |",
            kind.name,
            kind.shape,
            kind.since,
            kind.probed(),
            remedy(kind.since, kind.option)
        );
    }
}

fn abilities(out: &mut String) {
    out.push_str("\n## Abilities (`ability:NAME`)\n\n| name | what | since Linux | how it is decided | remedy |\n|---|---|---|---|---|\n");
    for ability in isa::ABILITIES {
        let _ = writeln!(
            out,
            "| `ability:{}` | {} | {} | {} | {} |",
            ability.name,
            ability.title,
            ability.since,
            ability.probed(),
            remedy(ability.since, "")
        );
    }
}

fn helpers(out: &mut String) {
    out.push_str("\n## Helpers (`helper:PROGRAM:NAME`)\n\nPROGRAM is a program type or a way to load one. A program that calls the helper with whatever is in its registers is given to\nthe verifier: it looks for the helper before it looks at the arguments, so what it complains of tells. Never loaded when the\nkernel would write into its log (lockdown). Where no program type has a helper: a newer kernel, or the option that the helper\nbelongs to.\n\n| name | number | since Linux |\n|---|---|---|\n");
    for (id, (name, since)) in (1u32..).zip(uapi::HELPERS) {
        let _ = writeln!(out, "| `bpf_{name}` | {id} | {since} |");
    }
}

/// A release with an option to build with.
fn remedy(since: &str, option: &str) -> String {
    match option {
        "" => format!("Linux {since} or later"),
        option => format!("Linux {since} or later with {option}=y"),
    }
}

fn target(shape: &Shape) -> String {
    match (shape.program_type, shape.target) {
        (_, "") => String::new(),
        (27, target) => format!("`struct {target}`, its first member that takes a program"),
        (_, target) => format!("`{target}`"),
    }
}

fn probed_by(program_type: u32) -> &'static str {
    match program_type {
        28 => "a program that replaces a function of a small XDP program loads",
        _ => "a program `r0 = 0; exit` loads",
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
