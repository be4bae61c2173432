//! Accesses to types that only a module has: a made-up kernel and module (split BTF) against an object compiled here. Needs clang
//! with the BPF target, which building needs as well.

#![allow(clippy::print_stdout, reason = "says what was skipped or answered")]

use features::{Machine, Verdict, check_object};
use host::Root;
use std::path::Path;
use std::process::Command;

const SOURCE: &str = r#"
struct mod_priv { int count; int gone; } __attribute__((preserve_access_index));
struct mod_none { int a; } __attribute__((preserve_access_index));
struct task_struct { int pid; } __attribute__((preserve_access_index));
__attribute__((section("raw_tp"), used)) int run(void **ctx) {
    struct mod_priv *priv = ctx[0];
    struct task_struct *task = ctx[1];
    int sum = 0;
    ((int (*)(void *, unsigned, const void *))113)(&sum, 4, &priv->count);
    ((int (*)(void *, unsigned, const void *))113)(&sum, 4, &task->pid);
#ifdef BROKEN
    ((int (*)(void *, unsigned, const void *))113)(&sum, 4, &priv->gone);
#endif
    return sum + __builtin_preserve_type_info(*(struct mod_priv *)0, 0) + __builtin_preserve_type_info(*(struct mod_none *)0, 0);
}
char _license[] __attribute__((section("license"), used)) = "GPL";
"#;

fn object(dir: &Path, define: &str) -> Option<Vec<u8>> {
    let (source, object) = (dir.join("a.bpf.c"), dir.join("a.bpf.o"));
    std::fs::write(&source, SOURCE).unwrap();
    let compiled = Command::new("clang")
        .args(["-O2", "-g", "-target", "bpf", "-w", "-c", define])
        .arg(&source)
        .arg("-o")
        .arg(&object)
        .output()
        .ok()?;
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    std::fs::read(object).ok()
}

fn btf(types: &[u32], strings: &[u8]) -> Vec<u8> {
    let bytes = (types.len() * 4) as u32;
    let head = [24, 0, bytes, bytes, strings.len() as u32];
    let mut out: Vec<u8> = 0xeb9fu16.to_ne_bytes().to_vec();
    out.extend([1, 0]);
    out.extend(head.iter().chain(types).flat_map(|word| word.to_ne_bytes()));
    out.extend(strings);
    out
}

/// A kernel that knows `struct task_struct { int pid; }` and a module on it with `struct mod_priv { int count; }`.
fn machine(dir: &Path) -> Machine {
    const STRUCT_OF_ONE: u32 = 4 << 24 | 1;
    let names = b"\0int\0task_struct\0pid\0";
    let kernel = btf(&[1, 1 << 24, 4, 0x0100_0020, 5, STRUCT_OF_ONE, 4, 17, 1, 0], names);
    let own = names.len() as u32;
    let module = btf(&[own + 1, STRUCT_OF_ONE, 4, own + 10, 1, 0], b"\0mod_priv\0count\0");
    let place = dir.join("sys/kernel/btf");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("vmlinux"), kernel).unwrap();
    std::fs::write(place.join("mod"), module).unwrap();
    Machine::at(Root::new(dir))
}

#[test]
fn types_of_modules_are_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let Some(bytes) = object(dir.path(), "-DFINE") else {
        println!("skipped: clang cannot be started");
        return;
    };
    let report = check_object(&machine(dir.path()), &bytes).unwrap();
    let rows: Vec<_> =
        report.accesses.iter().map(|row| (row.access.as_str(), row.verdict, row.module.as_deref())).collect();
    assert_eq!(
        rows,
        [
            ("mod_priv.count", "resolved", Some("mod")),
            ("task_struct.pid", "resolved", None),
            ("mod_priv", "present", Some("mod")),
            ("mod_none", "absent", None),
        ]
    );
}

#[test]
fn a_field_that_a_module_lacks_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(bytes) = object(dir.path(), "-DBROKEN") else {
        println!("skipped: clang cannot be started");
        return;
    };
    let report = check_object(&machine(dir.path()), &bytes).unwrap();
    let missing: Vec<_> = report.accesses.iter().filter(|row| row.verdict == "missing").collect();
    assert_eq!(missing.len(), 1);
    assert_eq!((missing[0].access.as_str(), missing[0].module.as_deref()), ("mod_priv.gone", Some("mod")));
    assert_eq!(report.verdict, Verdict::Fails);
}
