#!/bin/sh
# Harmless suspicious actions in a scratch directory, one a second: a running `hawkbell watch` answers each with an
# alert. Works on copies and in namespaces of its own; leaves nothing behind.
set -eu

scratch=$(mktemp -d /tmp/hawkbell-demo.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

step() {
    printf '%s\n' "$1"
    sleep 1
}

step "1. a web server starts a shell"
cp /bin/sh nginx
./nginx -c '/bin/sh -c true; true'

step "2. the password hashes are read by a program that authenticates nobody"
cat /etc/shadow >/dev/null 2>&1 || true

step "3. a program is dropped into a temporary directory and run at once"
cp /bin/true dropped
# Deep enough below make, which does such things all day and is therefore not suspected.
sh -c 'sh -c "sh -c ./dropped; true"; true'

step "4. a private key is copied"
mkdir .ssh
echo "not a key" >.ssh/id_ed25519
cat .ssh/id_ed25519 >/dev/null

step "5. a file is made set-user-id"
chmod 4755 dropped

step "6. the shell history disappears"
echo ls >.bash_history
rm .bash_history

if command -v unshare >/dev/null 2>&1 && command -v ip >/dev/null 2>&1 && command -v bash >/dev/null 2>&1; then
    step "7. a shell talks to another machine (in a network namespace without one)"
    unshare --net sh -c 'ip link add near type veth peer name far && ip addr add 198.51.100.1/24 dev near &&
        ip link set near up && ip link set far up && timeout 0.3 bash -c "exec 3<>/dev/udp/198.51.100.2/4444"' 2>/dev/null || true
fi

echo "done: the alerts are in the other terminal"
