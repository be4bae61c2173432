#!/bin/sh
# Installs what `cargo build --release` built: both binaries, man pages, completions and the service, below $DESTDIR$PREFIX
# (/usr by default, because the service file names /usr/bin). Nothing is enabled or started.
set -eu

cd "$(dirname "$0")/.."
prefix=${DESTDIR:-}${PREFIX:-/usr}
built=${CARGO_TARGET_DIR:-target}/release

install -D -m 755 "$built/hawkbell" "$prefix/bin/hawkbell"
install -D -m 755 "$built/hawkbell-cni" "$prefix/lib/cni/hawkbell-cni"
install -D -m 644 packaging/hawkbell.service "$prefix/lib/systemd/system/hawkbell.service"
"$built/hawkbell" man "$prefix/share/man/man1"

complete() {
    mkdir -p "$prefix/share/$2"
    "$built/hawkbell" completions "$1" >"$prefix/share/$2/$3"
}
complete bash bash-completion/completions hawkbell
complete zsh zsh/site-functions _hawkbell
complete fish fish/vendor_completions.d hawkbell.fish

echo "Installed below $prefix. As a service: systemctl enable --now hawkbell"
echo "As falco, kfeatures, traffico or bpfcov: ln -s hawkbell $prefix/bin/falco"
