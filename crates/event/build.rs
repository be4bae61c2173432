//! Turns the CSV tables below `tables/` into static Rust arrays. One row is the one place where an event, a parameter,
//! a flag, a system call or a field is defined.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

type Row = Vec<String>;

fn main() {
    println!("cargo::rerun-if-changed=tables");
    let mut out = String::new();
    flag_tables(&mut out);
    events(&mut out);
    syscalls(&mut out);
    fields(&mut out);
    let dir = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&dir).join("tables.rs"), out).expect("write the generated tables");
}

fn rows(name: &str) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(format!("tables/{name}.csv")).expect("open a table");
    reader.records().map(|r| r.expect("a well-formed row").iter().map(str::to_owned).collect()).collect()
}

fn flag_tables(out: &mut String) {
    let mut tables: Vec<(String, Vec<(String, i64)>)> = Vec::new();
    for row in rows("flag_tables") {
        let value = row[2].parse().expect("a flag value");
        match tables.iter_mut().find(|(name, _)| *name == row[0]) {
            Some((_, entries)) => entries.push((row[1].clone(), value)),
            None => tables.push((row[0].clone(), vec![(row[1].clone(), value)])),
        }
    }
    for (name, entries) in &tables {
        if let Some(name) = name.strip_suffix("(dynamic)") {
            let variants: Vec<_> =
                entries.iter().map(|(e, _)| format!("ParamType::{}", variant(e.trim_start_matches(':')))).collect();
            let id = name.to_uppercase();
            writeln!(out, "static {id}: Domain = Domain::Variants(&[{}]);", variants.join(", ")).unwrap();
        } else {
            let entries: Vec<_> = entries.iter().map(|(n, v)| format!("Flag {{ name: {n:?}, value: {v} }}")).collect();
            let id = name.to_uppercase();
            writeln!(
                out,
                "static {id}: Domain = Domain::Flags(FlagTable {{ name: {name:?}, flags: &[{}] }});",
                entries.join(", ")
            )
            .unwrap();
        }
    }
    let named: Vec<_> = tables
        .iter()
        .map(|(n, _)| n.trim_end_matches("(dynamic)"))
        .map(|n| format!("({n:?}, &{})", n.to_uppercase()))
        .collect();
    writeln!(out, "pub(crate) static DOMAINS: &[(&str, &Domain)] = &[{}];", named.join(", ")).unwrap();
}

/// `FLAGS32` -> `Flags32`, `CHARBUF_PAIR_ARRAY` -> `CharbufPairArray`.
fn variant(ty: &str) -> String {
    ty.split('_').map(|part| format!("{}{}", &part[..1], part[1..].to_lowercase())).collect()
}

fn events(out: &mut String) {
    let mut consts = String::new();
    writeln!(out, "pub(crate) static EVENTS: &[EventInfo] = &[").unwrap();
    for row in rows("events") {
        let [id, symbol, dir, name, category, flags, _, params] = &row[..] else {
            panic!("an event row has 8 columns")
        };
        let (category, origin) = category.rsplit_once('|').unwrap_or((category, ""));
        let category = category.rsplit('|').next().unwrap_or(category); // `unknown|wait|SYSCALL` is `wait`
        let flags: Vec<_> = flags.split_whitespace().map(|f| format!("EventFlags::{f}.0")).collect();
        let flags = if flags.is_empty() { "0".to_owned() } else { flags.join(" | ") };
        let params: Vec<_> = params.split_whitespace().map(param).collect();
        let short = symbol.trim_start_matches("PPME_");
        writeln!(
            out,
            "EventInfo {{ kind: Kind({id}), symbol: {symbol:?}, is_enter: {}, name: {name:?}, category: {category:?}, \
             origin: {origin:?}, flags: EventFlags({flags}), params: &[{}] }},",
            dir == ">",
            params.join(", ")
        )
        .unwrap();
        writeln!(consts, "pub const {short}: Kind = Kind({id});").unwrap();
    }
    writeln!(out, "];\n#[allow(missing_docs)]\nimpl Kind {{ {consts} }}").unwrap();
}

fn param(text: &str) -> String {
    let parts: Vec<_> = text.split(':').collect();
    let dirfd = parts.get(3).and_then(|d| d.strip_prefix("dirfd_param="));
    let domain = parts.get(3).filter(|_| dirfd.is_none());
    let domain = domain.map_or("None".to_owned(), |d| format!("Some(&{})", d.to_uppercase()));
    let dirfd = dirfd.map_or("None".to_owned(), |d| format!("Some({d})"));
    format!(
        "ParamInfo {{ name: {:?}, ty: ParamType::{}, base: Base::{}, domain: {domain}, dirfd: {dirfd} }}",
        parts[0],
        variant(parts[1]),
        variant(&parts[2].to_uppercase())
    )
}

fn syscalls(out: &mut String) {
    let mut consts = String::new();
    writeln!(out, "pub(crate) static SYSCALL_NAMES: &[&str] = &[").unwrap();
    let mut next = 0u16;
    for row in rows("ppm_sc") {
        let code: u16 = row[0].parse().expect("a system call code");
        for _ in next..code {
            writeln!(out, "\"\",").unwrap(); // a retired code
        }
        next = code + 1;
        writeln!(out, "{:?},", row[1].to_lowercase()).unwrap();
        writeln!(consts, "pub const {}: Sc = Sc({});", row[1].to_uppercase(), row[0]).unwrap();
    }
    writeln!(out, "];\n#[allow(missing_docs)]\nimpl Sc {{ {consts} }}").unwrap();
    writeln!(out, "pub(crate) static X86_64: &[SyscallInfo] = &[").unwrap();
    for row in rows("syscalls") {
        let generic = row[5].contains("GENERIC");
        let exit = if generic { "GENERIC_X" } else { row[4].trim_start_matches("PPME_") };
        let class = ["NEVER_DROP", "ALWAYS_DROP"].into_iter().find(|c| row[5].contains(c));
        let class = match class {
            Some("NEVER_DROP") => "Sampling::Never",
            Some(_) => "Sampling::Always",
            None if generic => "Sampling::Always",
            None => "Sampling::Sampled",
        };
        writeln!(out, "SyscallInfo {{ nr: {}, sc: Sc({}), exit: Kind::{exit}, sampling: {class} }},", row[0], row[2])
            .unwrap();
    }
    writeln!(out, "];").unwrap();
}

fn fields(out: &mut String) {
    writeln!(out, "pub(crate) static FIELDS: &[FieldRow] = &[").unwrap();
    for row in rows("fields") {
        let [class, name, ty, arg, list, deprecated, flags, print, provider, meaning] = &row[..] else {
            panic!("a field row has 10 columns")
        };
        writeln!(
            out,
            "FieldRow {{ class: {:?}, name: {name:?}, ty: ParamType::{}, arg: {arg:?}, is_list: {}, deprecated: {}, \
             flags: {flags:?}, print: {print:?}, is_plugin: {}, meaning: {meaning:?} }},",
            class.trim_end_matches(" (plugin)"),
            variant(ty),
            list == "yes",
            deprecated == "yes",
            provider != "libsinsp",
        )
        .unwrap();
    }
    writeln!(out, "];").unwrap();
}
