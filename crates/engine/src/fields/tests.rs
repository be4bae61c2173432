//! Fields seen through small sequences of events. Each test seeds a machine, pushes a few events and compares what
//! fields say about the last one. Values are compared as text: numbers in decimal, lists in brackets.

use crate::state::containers::{ContainerInfo, Pod, Runtime};
use crate::{Engine, Options};
use bumpalo::Bump;
use event::snapshot::{Fd, FdDetail, FdType, Group, Interface, L4, Proc, Snapshot, User};
use event::wire::encode;
use event::{Catalogue, Event, FieldArg, FieldRef, FieldSource, Kind, Value};
use jiff::tz::{Offset, TimeZone};
use std::net::{IpAddr, Ipv4Addr};

/// First timestamp of every sequence.
const TS: u64 = 1_470_327_477_881_785_348;
const BOX_ID: &str = "697956520d891b5cb0e215093970c733549a3f745f52263c05b37f8a488994f3";

#[test]
fn numbers_and_times_of_an_event() {
    let mut machine = Machine::new();
    machine.around().zone = TimeZone::fixed(Offset::constant(2));
    machine.push(Kind::SYSCALL_CLOSE_X, &[&res(0), &fd(3)]);
    machine.push(Kind::SYSCALL_CLOSE_X, &[&res(-9), &fd(77)]);
    machine.check(&[
        ("evt.num", "2"),
        ("evt.time", "18:17:57.881785349"),
        ("evt.time.s", "18:17:57"),
        ("evt.time.iso8601", "2016-08-04T16:17:57.881785349+0000"),
        ("evt.datetime", "2016-08-04 18:17:57.881785349"),
        ("evt.rawtime", "1470327477881785349"),
        ("evt.rawtime.ns", "881785349"),
        ("evt.reltime", "1"),
        ("evt.deltatime", "0"),
        ("evt.around[1470327477000000000]", "1470327477881785349"),
        ("evt.type", "close"),
        ("evt.type.is.close", "1"),
        ("evt.type.is.open", "0"),
        ("syscall.type", "close"),
        ("evt.dir", "<"),
        ("evt.source", "syscall"),
        ("evt.hostname", "hawk"),
        ("evt.is_async", "false"),
        ("evt.asynctype", ABSENT),
        ("evt.pluginname", ABSENT),
        ("evt.latency.human", "0ns"),
        ("util.cnt", "1"),
        ("util.cnt", "2"),
    ]);
}

#[test]
fn a_delta_counts_from_the_event_that_was_asked_about() {
    let mut machine = Machine::new();
    machine.push(Kind::SYSCALL_CLOSE_X, &[&res(0), &fd(3)]);
    machine.check(&[("evt.deltatime", "0")]);
    for _ in 0..3 {
        machine.push(Kind::SYSCALL_CLOSE_X, &[&res(0), &fd(3)]);
    }
    machine.check(&[
        ("evt.deltatime", "3"),
        ("evt.deltatime", "3"),
        ("evt.deltatime.s", "0"),
        ("evt.deltatime.ns", "0"),
    ]);
}

#[test]
fn results_print_by_name() {
    let mut machine = Machine::new();
    machine.push(Kind::SYSCALL_CLOSE_X, &[&res(-9), &fd(77)]);
    machine.check(&[
        ("evt.res", "EBADF"),
        ("evt.rawres", "-9"),
        ("evt.failed", "true"),
        ("evt.count.error", "1"),
        ("evt.count.error.other", "1"),
        ("evt.count.error.file", ABSENT),
        ("evt.args", "res=-9(EBADF) fd=77"),
        ("evt.arg.res", "EBADF"),
        ("evt.arg[1]", "77"),
        ("evt.arg[2]", ABSENT),
        ("evt.rawarg.fd", "77"),
        ("evt.arg.flags", ABSENT),
    ]);
    machine.push(Kind::SCHEDSWITCH_6_E, &[&res(7), &[0; 8], &[0; 8], &[0; 4], &[0; 4], &[0; 4]]);
    machine.check(&[("evt.res", ABSENT), ("evt.rawres", ABSENT), ("evt.failed", ABSENT), ("evt.count.exit", ABSENT)]);
}

#[test]
fn empty_parameters_print_as_such() {
    let mut machine = Machine::new();
    machine.push(Kind::SOCKET_CONNECT_X, &[&res(-2), b"", &fd(3), b""]);
    machine.check(&[
        ("evt.args", "res=-2(ENOENT) tuple=NULL fd=3(<f>/etc/passwd) addr=<NA>"),
        ("evt.arg.tuple", "NULL"),
        ("evt.arg.addr", "<NA>"),
        ("evt.rawarg.addr", ABSENT),
    ]);
}

#[test]
fn an_opened_file_has_names_and_paths() {
    let mut machine = Machine::new();
    let (flags, mode, dev) = (16646u32.to_le_bytes(), 0o755u32.to_le_bytes(), 0xfe00u32.to_le_bytes());
    let open: &[&[u8]] = &[&fd(5), &fd(-100), b"sub/../a\xff.sh\0", &flags, &mode, &dev, &[9, 0, 0, 0, 0, 0, 0, 0]];
    machine.push(Kind::SYSCALL_OPENAT_2_X, open);
    machine.check(&[
        ("fd.num", "5"),
        ("fd.type", "file"),
        ("fd.typechar", "f"),
        ("fd.name", "/home/ann/a\u{fffd}.sh"),
        ("fd.directory", "/home/ann"),
        ("fd.filename", "a\u{fffd}.sh"),
        ("fd.dev", "65024"),
        ("fd.dev.major", "254"),
        ("fd.dev.minor", "0"),
        ("fd.ino", "9"),
        ("fd.ip", ABSENT),
        ("fd.sockfamily", ABSENT),
        ("fd.l4proto", "<NA>"),
        ("fd.containername", ":/home/ann/a\u{fffd}.sh"),
        ("fd.uid", "205"),
        ("fd.types[5]", "[file]"),
        ("fs.path.name", "/home/ann/a\u{fffd}.sh"),
        ("fs.path.nameraw", "sub/../a\u{fffd}.sh"),
        ("fs.path.source", ABSENT),
        ("evt.abspath", "/home/ann/a\u{fffd}.sh"),
        ("evt.arg.name", "/home/ann/a\u{fffd}.sh"),
        ("evt.arg.flags", "O_TRUNC|O_CREAT|O_WRONLY|O_F_CREATED"),
        ("evt.rawarg.flags", "16646"),
        ("evt.arg.mode", "0755"),
        ("evt.is_open_write", "true"),
        ("evt.is_open_read", "false"),
        ("evt.is_open_exec", "true"),
        ("evt.is_open_create", "true"),
        ("evt.category", "file"),
    ]);
}

#[test]
fn a_failed_open_is_named_by_what_it_asked_for() {
    let mut machine = Machine::new();
    let open: &[&[u8]] = &[&fd(-2), &fd(-100), b"//etc//shadow\0", &[1, 0, 0, 0], &[0; 4], b"", b""];
    machine.push(Kind::SYSCALL_OPENAT_2_X, open);
    machine.check(&[
        ("fd.num", "-1"),
        ("fd.type", ABSENT),
        ("fd.typechar", "f"),
        ("fd.name", "/etc/shadow"),
        ("fd.nameraw", "/etc/shadow"),
        ("fd.directory", "/etc"),
        ("fd.filename", ABSENT),
        ("evt.arg.fd", "ENOENT"),
        ("evt.count.error.file", "1"),
    ]);
}

#[test]
fn other_events_have_no_descriptor() {
    let mut machine = Machine::new();
    machine.push(Kind::SYSCALL_MKDIR_2_X, &[&res(0), b"/tmp/d\0", &0o777u32.to_le_bytes()]);
    machine.check(&[
        ("fd.num", ABSENT),
        ("fd.name", ABSENT),
        ("fd.types", ABSENT),
        ("fs.path.name", "/tmp/d"),
        ("evt.arg.mode", "1FF"),
    ]);
    machine.push(Kind::SYSCALL_MKDIR_2_X, &[&res(-17), b"/tmp/d\0", &0o777u32.to_le_bytes()]);
    machine.check(&[("fs.path.name", ABSENT), ("evt.res", "EEXIST")]);
}

#[test]
fn two_paths_of_one_call() {
    let mut machine = Machine::new();
    machine.push(Kind::SYSCALL_LINKAT_2_X, &[&res(0), &fd(-100), b"old\0", &fd(4), b"new\0", &[0; 4]]);
    machine.check(&[
        ("fs.path.source", "/srv/new"),
        ("fs.path.sourceraw", "new"),
        ("fs.path.target", "/home/ann/old"),
        ("evt.abspath.src", "/home/ann/old"),
        ("evt.abspath.dst", "/srv/new"),
        ("evt.arg.newpath", "/srv/new"),
        ("evt.arg.newdir", "<d>/srv"),
    ]);
    machine.push(Kind::SYSCALL_SYMLINKAT_X, &[&res(0), b"to\0", &fd(-100), b"ln\0"]);
    machine.check(&[("fs.path.source", "/home/ann/ln"), ("fs.path.target", "<UNKNOWN>to")]);
}

#[test]
fn ends_of_a_connection() {
    let mut machine = Machine::new();
    machine.push(Kind::SYSCALL_FSTAT_X, &[&res(0), &fd(6)]);
    machine.check(&[
        ("fd.type", "ipv4"),
        ("fd.cip", "10.0.0.5"),
        ("fd.sip", "1.2.3.4"),
        ("fd.lip", "10.0.0.5"),
        ("fd.rip", "1.2.3.4"),
        ("fd.cport", "4000"),
        ("fd.rport", "443"),
        ("fd.sproto", "443"),
        ("fd.l4proto", "tcp"),
        ("fd.sockfamily", "ip"),
        ("fd.is_server", "false"),
        ("fd.cnet", "10.0.0.5"),
        ("evt.arg.fd", "<4t>10.0.0.5:4000->1.2.3.4:443"),
        ("fd.sip.name", ABSENT),
    ]);
    assert_eq!(machine.candidates("fd.ip"), ["10.0.0.5", "1.2.3.4"]);
    assert_eq!(machine.candidates("fd.net"), ["10.0.0.5", "1.2.3.4"]);
    assert_eq!(machine.candidates("fd.port"), ["4000", "443"]);
    assert_eq!(machine.candidates("fd.sip.name"), ["1.2.3.4"]);
    machine.around().addresses.insert((*b"example.org").into(), vec![IpAddr::V4(Ipv4Addr::new(1, 2, 3, 4))]);
    machine.check(&[("fd.sip.name", "example.org"), ("fd.cip.name", ABSENT)]);
    assert_eq!(machine.candidates("fd.sip.name"), ["example.org"]);
}

#[test]
fn only_connections_have_services() {
    let mut machine = Machine::new();
    machine.push(Kind::SOCKET_SOCKET_X, &[&fd(9), &2u32.to_le_bytes(), &1u32.to_le_bytes(), &[0; 4], &[0; 4]]);
    machine.check(&[("fd.cproto", ABSENT), ("fd.sproto", ABSENT)]);
    machine.push(Kind::SOCKET_BIND_X, &[&res(0), &[2, 127, 0, 0, 1, 80, 0], &fd(9)]);
    machine.check(&[
        ("fd.sport", "80"),
        ("fd.cport", ABSENT),
        ("fd.cproto", ""),
        ("fd.sproto", ""),
        ("fd.lproto", ABSENT),
    ]);
    machine.push(Kind::SYSCALL_FSTAT_X, &[&res(0), &fd(6)]);
    machine.check(&[("fd.cproto", "4000"), ("fd.lproto", "4000"), ("fd.sproto", "443"), ("fd.rproto", "443")]);
}

#[test]
fn a_poll_list_names_its_descriptors() {
    let mut machine = Machine::new();
    let mut list = vec![2, 0];
    for (number, flags) in [(6i64, 0x204u16), (99, 1)] {
        list.extend_from_slice(&number.to_le_bytes());
        list.extend_from_slice(&flags.to_le_bytes());
    }
    machine.push(Kind::SYSCALL_POLL_X, &[&res(1), &list, &[0; 8]]);
    machine.check(&[
        ("evt.arg.fds", "6:4204 99:x1"),
        ("fdlist.nums", "6,99"),
        ("fdlist.names", "10.0.0.5:4000->1.2.3.4:443"),
        ("fdlist.cips", "10.0.0.5"),
        ("fdlist.sports", "443"),
        ("evt.is_wait", "true"),
        ("evt.category", "wait"),
    ]);
}

#[test]
fn a_process_and_its_parents() {
    let mut machine = Machine::new();
    machine.push(Kind::SYSCALL_CLOSE_X, &[&res(0), &fd(77)]);
    machine.check(&[
        ("proc.name", "vi"),
        ("proc.exe", "/bin/vi"),
        ("proc.cmdline", "vi -R /etc/passwd"),
        ("proc.exeline", "/bin/vi -R /etc/passwd"),
        ("proc.args", "-R /etc/passwd"),
        ("proc.args[1]", "/etc/passwd"),
        ("proc.args[9]", ""),
        ("proc.cmdnargs", "2"),
        ("proc.cmdlenargs", "13"),
        ("proc.env[TERM]", "xterm"),
        ("proc.env[NONE]", ""),
        ("proc.env", "HOME=/home/ann TERM= xterm"),
        ("proc.cwd", "/home/ann/"),
        ("proc.pid", "20"),
        ("proc.ppid", "10"),
        ("proc.pname", "bash"),
        ("proc.aname", "bash systemd"),
        ("proc.aname[0]", "vi"),
        ("proc.aname[1]", "bash"),
        ("proc.aname[2]", "systemd"),
        ("proc.aname[3]", ABSENT),
        ("proc.apid", "20"),
        ("proc.apid[2]", "1"),
        ("proc.aargs", "-l "),
        ("proc.aenv[SHELL]", "/bin/bash"),
        ("proc.sname", "bash"),
        ("proc.loginshellid", "10"),
        ("proc.is_sid_leader", "false"),
        ("proc.duration", ABSENT),
        ("proc.stdin.type", ABSENT),
        ("proc.fdopencount", "3"),
        ("proc.fdusage", "30"),
        ("thread.cap_effective", "CAP_CHOWN CAP_SYS_ADMIN"),
        ("thread.cgroup.cpu", "/user.slice"),
        ("thread.cgroups", "cpu=/user.slice blkio=/"),
        ("thread.tid", "20"),
        ("thread.nametid", "vi20"),
        ("thread.ismain", "true"),
        ("proc.nthreads", "1"),
        ("user.uid", "1000"),
        ("user.name", "ann"),
        ("user.shell", "/bin/bash"),
        ("user.loginuid", "-1"),
        ("user.loginname", "<NA>"),
        ("group.name", "staff"),
    ]);
    assert_eq!(machine.candidates("proc.aname"), ["bash", "systemd"]);
    assert_eq!(machine.candidates("proc.apid"), ["10", "1"]);
    assert_eq!(machine.candidates("proc.aenv[SHELL]"), ["/bin/bash"]);
}

#[test]
fn a_thread_nobody_knows_has_values_too() {
    let mut machine = Machine::new();
    machine.push_by(4711, Kind::SYSCALL_CLOSE_X, &[&res(0), &fd(3)]);
    machine.check(&[
        ("proc.name", "<NA>"),
        ("proc.cmdline", "<NA>"),
        ("proc.exeline", "<NA> "),
        ("proc.exepath", ""),
        ("proc.pid", "-1"),
        ("proc.ppid", ABSENT),
        ("proc.vpid", ABSENT),
        ("proc.aname[0]", ABSENT),
        ("proc.cwd", "./"),
        ("proc.sid", "-1"),
        ("user.uid", "4294967295"),
        ("user.name", "<NA>"),
        ("thread.tid", "4711"),
    ]);
    machine.push_by(4712, Kind::SCHEDSWITCH_6_E, &[&res(7), &[0; 8], &[0; 8], &[0; 4], &[0; 4], &[0; 4]]);
    machine.check(&[("proc.name", ABSENT), ("user.uid", ABSENT), ("thread.tid", "4712")]);
}

#[test]
fn containers_are_told_by_cgroup_and_described_later() {
    let mut machine = Machine::new();
    machine.push_by(30, Kind::SYSCALL_CLOSE_X, &[&res(0), &fd(77)]);
    machine.check(&[
        ("container.id", "697956520d89"),
        ("container.full_id", BOX_ID),
        ("container.type", "docker"),
        ("container.name", ABSENT),
        ("container.start_ts", "5"),
        ("k8s.pod.name", ABSENT),
        ("user.name", "root"),
        ("fd.containername", "697956520d89:"),
    ]);
    let pod = Pod { name: "web-1".into(), namespace: "shop".into(), ..Pod::default() };
    let info = ContainerInfo { name: "web".into(), privileged: Some(true), pod: Some(pod), ..ContainerInfo::default() };
    machine.engine.state_mut().containers.supply(BOX_ID.as_bytes(), Runtime::Docker, info);
    machine.check(&[
        ("container.name", "web"),
        ("container.privileged", "true"),
        ("container.image", ABSENT),
        ("k8s.pod.name", "web-1"),
        ("k8s.ns.name", "shop"),
        ("k8s.rc.name", ABSENT),
    ]);
    machine.push(Kind::SYSCALL_CLOSE_X, &[&res(0), &fd(77)]);
    machine.check(&[("container.id", "host"), ("container.name", "host"), ("container.full_id", ABSENT)]);
}

#[test]
fn generic_and_asynchronous_events_have_names() {
    let mut machine = Machine::new();
    let madvise = event::Sc::by_name("madvise").expect("a known call").0;
    machine.push(Kind::GENERIC_X, &[&madvise.to_le_bytes(), &28u16.to_le_bytes()]);
    machine.check(&[("evt.type", "madvise"), ("syscall.type", "madvise"), ("evt.args", ""), ("evt.arg[0]", "madvise")]);
    machine.push(Kind::GENERIC_X, &[&0u16.to_le_bytes(), &221u16.to_le_bytes()]);
    machine.check(&[("evt.type", "fadvise64"), ("evt.arg[0]", "unknown")]);
    machine.push(Kind::ASYNCEVENT_E, &[&[0; 4], b"container\0", b"{}"]);
    machine.check(&[
        ("evt.type", "container"),
        ("evt.is_async", "true"),
        ("evt.asynctype", "container"),
        ("syscall.type", ABSENT),
        ("proc.name", ABSENT),
    ]);
}

#[test]
fn dynamic_parameters_show_their_variant() {
    let mut machine = Machine::new();
    let mut data = vec![0];
    data.extend_from_slice(&0x5560_3554_a280u64.to_le_bytes());
    machine.push(Kind::SYSCALL_PTRACE_X, &[&res(0), &[1, 9], &data, &11u16.to_le_bytes(), &res(10)]);
    machine.check(&[
        ("evt.args", "res=0 addr=9(SIGKILL) data=55603554A280 request=11(PTRACE_ATTACH) pid=10(bash)"),
        ("evt.rawarg.data", "93871699960448"),
        ("evt.buffer", ABSENT),
    ]);
}

#[test]
fn static_fields_have_configured_values() {
    let mut machine = Machine::new();
    let template = machine.catalogue.iter().next().expect("a field").clone();
    let id = machine.catalogue.add(event::FieldInfo { name: "static.site".into(), ..template });
    machine.around().set_static(id, "attic");
    machine.push(Kind::SYSCALL_CLOSE_X, &[&res(0), &fd(77)]);
    machine.check(&[("static.site", "attic")]);
}

#[test]
fn no_field_panics_on_cut_parameters() {
    let mut machine = Machine::new();
    let arg = |info: &event::FieldInfo| info.arg_required.then_some(FieldArg::Index(1));
    let all = machine.catalogue.iter().map(|f| FieldRef { id: f.id, arg: arg(f), text: f.name.clone() });
    let all: Vec<_> = all.collect();
    for info in event::tables::events() {
        for bytes in [&b""[..], b"\x02", &[0xff; 8], &[1; 40]] {
            let params: Vec<_> = info.params.iter().map(|_| bytes).collect();
            machine.push(info.kind, &params);
            machine.see(|context, arena| {
                all.iter().filter_map(|field| context.extract(field, arena)).for_each(|value| drop(text(value)));
            });
        }
    }
}

/// An engine with three processes of one user and one container, and the last event pushed into it.
struct Machine {
    engine: Engine,
    catalogue: Catalogue,
    last: Vec<u8>,
    ts: u64,
}

/// What [`Machine::value`] says of a field without value.
const ABSENT: &str = "(absent)";

impl Machine {
    fn new() -> Self {
        let mut engine = Engine::new(Options { hostname: Some("hawk".into()), ..Options::default() });
        engine.seed(snapshot());
        Machine { engine, catalogue: Catalogue::builtin(), last: Vec::new(), ts: TS }
    }

    fn around(&mut self) -> &mut super::Surroundings {
        &mut self.engine.around
    }

    fn push(&mut self, kind: Kind, params: &[&[u8]]) {
        self.push_by(20, kind, params);
    }

    fn push_by(&mut self, tid: i64, kind: Kind, params: &[&[u8]]) {
        self.last.clear();
        encode(&mut self.last, self.ts, tid, kind, params);
        self.ts += 1;
        self.engine.begin(&Event::decode(&self.last, 0).expect("a good event"));
    }

    #[track_caller]
    fn check(&self, expected: &[(&str, &str)]) {
        for (field, expect) in expected {
            assert_eq!(self.value(field), *expect, "{field}");
        }
    }

    fn value(&self, field: &str) -> String {
        let field = self.field(field);
        self.see(|context, arena| context.extract(&field, arena).map_or(ABSENT.to_owned(), text))
    }

    fn candidates(&self, field: &str) -> Vec<String> {
        let field = self.field(field);
        self.see(|context, arena| context.candidates(&field, arena).iter().map(|v| text(*v)).collect())
    }

    /// Shows the last event in its context.
    fn see<T>(&self, look: impl FnOnce(&crate::Context<'_>, &Bump) -> T) -> T {
        let (arena, event) = (Bump::new(), Event::decode(&self.last, 0).expect("a good event"));
        look(&self.engine.context(&event, "syscall"), &arena)
    }

    fn field(&self, spelled: &str) -> FieldRef {
        let known = |name: &str| self.catalogue.find(name, "syscall").map(|f| f.id);
        let (name, arg) = match spelled.split_once('[') {
            Some((name, arg)) => (name, Some(arg.trim_end_matches(']'))),
            None if known(spelled).is_some() => (spelled, None),
            None => spelled.rsplit_once('.').map(|(name, arg)| (name, Some(arg))).expect("a field"),
        };
        let arg = arg.map(|a| a.parse().map_or_else(|_| FieldArg::Key(a.to_owned()), FieldArg::Index));
        FieldRef { id: known(name).expect("a field"), arg, text: spelled.to_owned() }
    }
}

fn text(value: Value<'_>) -> String {
    match value {
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Uint(n) => n.to_string(),
        Value::Double(n) => n.to_string(),
        Value::Str(text) => String::from_utf8(text.to_vec()).expect("text leaves the engine as UTF-8"),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Ip(ip) => ip.to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(|i| text(*i)).collect::<Vec<_>>().join(",")),
    }
}

fn res(value: i64) -> [u8; 8] {
    value.to_le_bytes()
}

fn fd(number: i64) -> [u8; 8] {
    number.to_le_bytes()
}

fn snapshot() -> Snapshot {
    let user = |uid, name: &[u8]| User {
        uid,
        gid: uid,
        name: name.to_vec(),
        homedir: [b"/home/", name].concat(),
        shell: b"/bin/bash".to_vec(),
    };
    let ip = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    let mut snapshot = Snapshot {
        procs: vec![process(1, 0, "systemd"), process(10, 1, "bash"), process(20, 10, "vi"), process(30, 1, "nginx")],
        users: vec![user(1000, b"ann")],
        groups: vec![Group { gid: 1000, name: b"staff".to_vec() }],
        interfaces: vec![Interface {
            name: b"eth0".to_vec(),
            addr: ip(5),
            netmask: ip(0),
            broadcast: ip(255),
            linkspeed: 0,
        }],
        ..Snapshot::default()
    };
    let [_, bash, vi, nginx] = &mut snapshot.procs[..] else { panic!("four processes") };
    bash.args = b"-l\0".to_vec();
    bash.env = b"SHELL=/bin/bash\0".to_vec();
    vi.args = b"-R\0/etc/passwd\0".to_vec();
    vi.env = b"HOME=/home/ann\0TERM= xterm\0".to_vec();
    vi.cap_effective = 1 | 1 << 21;
    vi.cgroups = b"cpu=/user.slice\0io=/\0".to_vec();
    vi.sid = 10;
    vi.fds = open_files();
    (nginx.uid, nginx.pidns_init_start_ts) = (0, 5);
    nginx.cgroups = format!("cpu=/docker/{BOX_ID}\0").into_bytes();
    snapshot
}

fn process(pid: i64, ptid: i64, name: &str) -> Proc {
    Proc {
        tid: pid,
        pid,
        ptid,
        sid: pid,
        vtid: pid,
        vpid: pid,
        comm: name.into(),
        exe: format!("/bin/{name}").into_bytes(),
        exepath: format!("/usr/bin/{name}").into_bytes(),
        cwd: b"/home/ann".to_vec(),
        uid: 1000,
        gid: 1000,
        fdlimit: 10,
        ..Proc::default()
    }
}

fn open_files() -> Vec<Fd> {
    let file = |fd, ty, name: &[u8]| Fd { fd, ino: 1, ty, detail: FdDetail::Named(name.to_vec()) };
    let (client, server) = (Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::new(1, 2, 3, 4));
    let flow = FdDetail::Socket { sip: client.into(), sport: 4000, dip: server.into(), dport: 443, l4: L4::Tcp };
    vec![
        file(3, FdType::File, b"/etc/passwd"),
        file(4, FdType::Directory, b"/srv"),
        Fd { fd: 6, ino: 2, ty: FdType::Ipv4Sock, detail: flow },
    ]
}
