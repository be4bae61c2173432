#!/bin/sh
# Coverage of the shipped BPF programs by hawkbell itself: builds them with counters, runs the tests of their crates under
# `hawkbell cover run`, writes target/cover/html and target/cover/lcov.info, and fails below the floor.
# `coverage.sh [CRATE...]`; FLOOR=lines=90,branches=80 changes the floor. Needs root to load programs.
set -eu

floor=${FLOOR:-lines=90,branches=80}
out=$PWD/target/cover
[ $# -gt 0 ] || set -- traffic
as_root=
[ "$(id -u)" = 0 ] || as_root="sudo --preserve-env=PATH,HOME,CARGO_HOME,RUSTUP_HOME,HAWKBELL_BPF_COVERAGE,HAWKBELL_COVER_DIR,HAWKBELL_COVER_PATH,HAWKBELL_REQUIRE_ROOT"

cargo build --quiet --bin hawkbell
mkdir -p "$out"
# A copy: building the tests must not replace the program that counts.
cp "${CARGO_TARGET_DIR:-target}/debug/hawkbell" "$out/hawkbell"
export HAWKBELL_BPF_COVERAGE="$out/hawkbell" HAWKBELL_COVER_DIR="$out/sidecars" HAWKBELL_COVER_PATH="$out/sidecars"

profiles=
for crate; do
    if [ ! -f "crates/$crate/build.rs" ]; then
        echo "coverage: crate $crate has no BPF programs" >&2
        exit 1
    fi
    # Objects that cargo kept from another time have no sidecars here: build them again.
    [ -d "$out/sidecars" ] || touch "crates/$crate/build.rs"
    cargo test --quiet --package "$crate" --no-run
    $as_root "$out/hawkbell" cover run -o "$out/$crate.cover" -- cargo test --quiet --package "$crate"
    profiles="$profiles $out/$crate.cover"
done

# shellcheck disable=SC2086 # one word a profile
{
    "$out/hawkbell" cover out -f html -o "$out/html" --title "BPF programs of hawkbell" $profiles
    "$out/hawkbell" cover out -f lcov -o "$out/lcov.info" $profiles
    "$out/hawkbell" cover report --filter /bpf/ --fail-under "$floor" $profiles
}
