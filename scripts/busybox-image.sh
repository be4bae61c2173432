#!/bin/sh
# Writes a one-layer OCI image archive with a static busybox, for container tests without a registry:
# `busybox-image.sh OUT.tar`; import it with `ctr images import OUT.tar` as docker.io/library/hawkbell-test:latest.
set -eu

out=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

layer() {
    mkdir -p rootfs/bin rootfs/proc rootfs/sys rootfs/tmp rootfs/etc
    cp "$(command -v busybox)" rootfs/bin/busybox
    for applet in sh ls cat true sleep id cp touch nc ping wget; do ln -s busybox "rootfs/bin/$applet"; done
    echo 'root:x:0:0:root:/:/bin/sh' >rootfs/etc/passwd
    tar -C rootfs --owner=0 --group=0 --mtime=@0 --sort=name -cf layer.tar .
}

# blob FILE: stores FILE under its digest and prints the digest.
blob() {
    digest=$(sha256sum "$1" | cut -d' ' -f1)
    mkdir -p image/blobs/sha256
    cp "$1" "image/blobs/sha256/$digest"
    echo "$digest"
}

layer
layer_digest=$(blob layer.tar)
cat >config.json <<JSON
{"architecture":"$(uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')","os":"linux","config":{"Cmd":["/bin/sh"],"Env":["PATH=/bin"]},
"rootfs":{"type":"layers","diff_ids":["sha256:$layer_digest"]}}
JSON
config_digest=$(blob config.json)
cat >manifest.json <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config_digest","size":$(stat -c %s config.json)},
"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:$layer_digest","size":$(stat -c %s layer.tar)}]}
JSON
manifest_digest=$(blob manifest.json)
echo '{"imageLayoutVersion":"1.0.0"}' >image/oci-layout
cat >image/index.json <<JSON
{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$manifest_digest",
"size":$(stat -c %s manifest.json),"annotations":{"io.containerd.image.name":"docker.io/library/hawkbell-test:latest",
"org.opencontainers.image.ref.name":"latest"}}]}
JSON
tar -C image -cf "$out" .
