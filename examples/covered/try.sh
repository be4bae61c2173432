#!/bin/sh
# Loads guard.bpf.o, sends it a few packets with bpftool, and unloads it again. Needs root and a mounted BPF file system.
set -eu

pin=/sys/fs/bpf/hawkbell-guard-$$
packet=$(mktemp)
trap 'rm -f "$pin" "$packet"' EXIT

# send BYTES...: octal escapes of the first bytes, padded to 64
send() {
    { printf "$1"; head -c 64 /dev/zero; } | head -c 64 >"$packet"
    bpftool prog run pinned "$pin" data_in "$packet" repeat "${2:-1}"
}

bpftool prog load "${1:-guard.bpf.o}" "$pin"
ethernet='\377\377\377\377\377\377\0\0\0\0\0\1'
send "$ethernet\\206\\335" 3                                                       # IPv6
send "$ethernet\\10\\0\\105\\0\\0\\50\\0\\0\\0\\0\\100\\21\\0\\0" 5                # IPv4, UDP
send "$ethernet\\10\\0\\105\\0\\0\\50\\0\\0\\0\\0\\100\\6\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\27" # TCP to port 23
