//! Hands the BPF headers that libbpf exports to the build scripts of the crates that depend on this one: they see
//! `DEP_HAWKBELL_LOAD_INCLUDE`. Nothing else happens here.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    match std::env::var("DEP_BPF_INCLUDE") {
        Ok(folder) => println!("cargo::metadata=include={folder}"),
        Err(_) => println!("cargo::warning=libbpf-sys exports no headers; BPF objects need bpf/bpf_helpers.h"),
    }
}
