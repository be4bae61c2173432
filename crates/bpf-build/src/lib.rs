//! bpf-build
