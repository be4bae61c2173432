#!/bin/sh
# Installs the system packages that hawkbell needs and that are missing: `setup.sh build` for building and running,
# `setup.sh test` for the tests as well. Debian and Ubuntu; elsewhere it names what is missing. Asks for nothing.
set -eu

# package: what for
BUILD_PACKAGES="
clang: compiles the eBPF programs
libelf-dev: libbpf reads ELF objects with it
zlib1g-dev: libelf needs it
gcc: builds libbpf and links
make: builds libbpf
libc6-dev: C headers
"
TEST_PACKAGES="
iproute2: network namespaces and veth pairs
procps: process listing in live tests
perl-base: makes single system calls in live tests
bpftool: second opinion on what is loaded
containerd: real containers
runc: real containers
busybox-static: the image of the test containers
openssl: certificates for the TLS tests
time: CPU time and memory of measured commands
valgrind: instruction counts of measured commands
"
KERNEL_PACKAGES="
qemu-system-x86: boots other kernels in emulation
"

missing() {
    printf '%s\n' "$1" | while IFS=: read -r package why; do
        [ -n "$package" ] || continue
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package:$why"
    done
}

check_rust() {
    if ! command -v cargo >/dev/null 2>&1; then
        echo "hawkbell is built with Rust, and cargo is not on the PATH: install it from https://rustup.rs" >&2
        exit 1
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

main() {
    check_rust
    wanted=$BUILD_PACKAGES
    [ "${1:-build}" != test ] || wanted="$wanted$TEST_PACKAGES"
    [ "${1:-build}" != kernels ] || wanted="$wanted$KERNEL_PACKAGES"
    if ! command -v dpkg-query >/dev/null 2>&1; then
        command -v clang >/dev/null 2>&1 && return 0
        echo "not a Debian system: install these by hand, then run again:$wanted" >&2
        exit 1
    fi
    lacking=$(missing "$wanted")
    [ -n "$lacking" ] || return 0
    echo "Installing missing system packages:"
    printf '%s\n' "$lacking" | sed 's/^/  /'
    packages=$(printf '%s\n' "$lacking" | cut -d: -f1)
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq
    # shellcheck disable=SC2086 # one word a package
    as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null
}

main "$@"
