# Words of the live rule tests. Every case runs as root in its own session, mount, network and IPC namespace; $SCRATCH
# is an empty tmpfs and the working directory. Nothing a case does outlives it.

# cow DIR: what follows may write below DIR; the writes land in memory and vanish with the case.
cow() {
    key=$(printf %s "$1" | tr / _)
    mkdir -p "$SCRATCH/.cow/$key/upper" "$SCRATCH/.cow/$key/work"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$SCRATCH/.cow/$key/upper,workdir=$SCRATCH/.cow/$key/work" "$1"
}

# blank DIR: an empty file system in the place of DIR.
blank() { mount -t tmpfs none "$1"; }

# impostor NAME: a shell called NAME in the working directory.
impostor() { cp /bin/sh "$SCRATCH/$1"; }

# in_container COMMAND...: runs it in control groups as a container runtime would name them, of its own in every case:
# another one that ends takes its groups away.
in_container() {
    id=4a0d6be3c1f24e07a55d7f2b9e1c8a364a0d6be3c1f24e07a55d7f2b$(printf %08x $$)
    groups=""
    for top in /sys/fs/cgroup/memory /sys/fs/cgroup/cpuset /sys/fs/cgroup/cpu /sys/fs/cgroup/blkio /sys/fs/cgroup; do
        [ -e "$top/cgroup.procs" ] || continue
        mkdir -p "$top/docker/$id"
        [ ! -e "$top/docker/$id/cpuset.cpus" ] || {
            for knob in cpuset.cpus cpuset.mems; do
                cat "$top/$knob" >"$top/docker/$knob"
                cat "$top/$knob" >"$top/docker/$id/$knob"
            done
        } 2>/dev/null || true
        groups="$groups $top/docker/$id"
    done
    sh -c 'groups=$1; shift; for g in $groups; do echo $$ >$g/cgroup.procs; done; exec "$@"' sh "$groups" "$@"
    for g in $groups; do rmdir "$g" && rmdir "${g%/*}"; done 2>/dev/null || true
}

# network: an address of another machine that swallows what is sent to it. Only inside this network namespace.
network() {
    ip link set lo up
    ip link add outside0 type veth peer name outside1
    ip addr add 198.51.100.1/24 dev outside0
    ip addr add 169.254.169.1/24 dev outside0
    ip link set outside0 up
    ip link set outside1 up
}

# tcp_connect ADDRESS PORT: a connection attempt by perl that does not wait for an answer.
tcp_connect() {
    perl -MSocket -MFcntl -e 'socket(my $s, PF_INET, SOCK_STREAM, 0) or die; fcntl($s, F_SETFL, O_NONBLOCK);
        connect($s, sockaddr_in($ARGV[1], inet_aton($ARGV[0])));' "$1" "$2"
}
