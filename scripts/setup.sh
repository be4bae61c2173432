#!/bin/sh
# Installs the system packages that hawkbell needs and that are missing: `setup.sh build` for building and running,
# `setup.sh test` for the tests as well, `setup.sh kernels` for booting other kernels. Debian and Ubuntu; elsewhere it names
# what is missing. Asks for nothing.
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
# Not every release has all of these; a test that misses one says so and is skipped.
OPTIONAL_TEST_PACKAGES="
clang-14: coverage as this compiler writes it
clang-15: coverage as this compiler writes it
clang-16: coverage as this compiler writes it
clang-19: coverage as this compiler writes it, MC/DC
llvm-14: reads the profiles for its clang
llvm-15: reads the profiles for its clang
llvm-16: reads the profiles for its clang
llvm-19: judges our coverage reports
golang-go: builds a loader with cilium/ebpf
golang-github-cilium-ebpf-dev: loads instrumented objects
chromium: clicks through the HTML report
containernetworking-plugins: real pods beside ours
nftables: measured beside our packet programs
"
KERNEL_PACKAGES="
qemu-system-x86: boots other kernels in emulation
xz-utils: unpacks their modules
"

missing() {
    printf '%s\n' "$1" | while IFS=: read -r package why; do
        [ -n "$package" ] || continue
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package:$why"
    done
}

# Those lines whose package the configured sources have; the others are named.
available() {
    while IFS=: read -r package why; do
        if apt-cache show --no-all-versions "$package" >/dev/null 2>&1; then
            echo "$package:$why"
        else
            echo "Not to be had here: $package (${why# })" >&2
        fi
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

# The packages of some lines, none of them or several.
install() {
    [ -n "$1" ] || return 0
    echo "Installing missing system packages:"
    printf '%s\n' "$1" | sed 's/^/  /'
    packages=$(printf '%s\n' "$1" | cut -d: -f1)
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq &&
        # shellcheck disable=SC2086 # one word a package
        as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null
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
    ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 || as_root apt-get update -qq
    install "$(missing "$wanted")"
    [ "${1:-build}" = test ] || return 0
    install "$(missing "$OPTIONAL_TEST_PACKAGES" | available)" ||
        echo "Some could not be installed: tests that need them say so and are skipped." >&2
}

main "$@"
