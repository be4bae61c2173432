//! Alerts reach every kind of receiver: the built program replays a capture, real receivers take what arrives. Each test
//! makes its own receiver and waits for facts, never for time.

mod common;

use common::{lines_with, replay, run, wait_for};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Stdio;
use std::thread::JoinHandle;

#[test]
fn text_on_standard_output_has_the_known_form() {
    let dir = tempfile::tempdir().unwrap();
    let (out, err, code) = run(&mut replay(dir.path(), 2, &[]));
    let alerts = lines_with(&out, "Warning opened");
    assert_eq!(alerts.len(), 2, "{out}{err}");
    assert_eq!(alerts[0], "22:13:20.000000000: Warning opened /etc/shadow by cat container=host");
    assert!(out.ends_with(
        "Events detected: 2\nRule counts by severity:\n   WARNING: 2\nTriggered rules by rule name:\n   shadow: 2\n"
    ));
    assert_eq!(code, Some(0));
}

#[test]
fn json_lines_have_sorted_keys() {
    let dir = tempfile::tempdir().unwrap();
    let (out, _, _) = run(&mut replay(dir.path(), 1, &["json_output=true", "append_output={}"]));
    let line = out.lines().next().unwrap();
    let object: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(object["rule"], "shadow");
    assert_eq!(object["hostname"], "test-host");
    assert_eq!(object["time"], "2023-11-14T22:13:20.000000000Z");
    assert_eq!(object.to_string(), line, "keys sorted, no blanks");
}

#[test]
fn the_file_gets_every_line_in_both_modes() {
    let dir = tempfile::tempdir().unwrap();
    for keep_alive in ["true", "false"] {
        let path = dir.path().join(format!("alerts-{keep_alive}"));
        let file = format!("file_output.filename={}", path.display());
        let options = [
            "stdout_output.enabled=false",
            "file_output.enabled=true",
            &file,
            &format!("file_output.keep_alive={keep_alive}"),
        ];
        run(&mut replay(dir.path(), 700, &options));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 700, "keep_alive {keep_alive}");
    }
}

#[test]
fn an_unwritable_file_is_said_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["file_output.enabled=true", "file_output.filename=/no/such/directory/alerts"];
    let (_, err, code) = run(&mut replay(dir.path(), 1, &options));
    assert!(err.contains("error: file output: file `/no/such/directory/alerts`: No such file or directory\n"), "{err}");
    assert_eq!(code, Some(1));
}

#[test]
fn a_full_disk_is_named_and_counted_while_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (out, err, code) =
        run(&mut replay(dir.path(), 3, &["file_output.enabled=true", "file_output.filename=/dev/full"]));
    assert_eq!(lines_with(&out, "Warning opened").len(), 3);
    assert!(err.contains("file: file `/dev/full`: No space left on device"), "{err}");
    assert!(err.contains("output \"file\": 0 alerts delivered, 3 undeliverable"), "{err}");
    assert_eq!(code, Some(0));
}

#[test]
fn losses_are_told_also_where_no_log_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["file_output.enabled=true", "file_output.filename=/dev/full", "log_stderr=false"];
    let (_, err, _) = run(&mut replay(dir.path(), 3, &options));
    assert!(err.contains("output \"file\": 0 alerts delivered, 3 undeliverable"), "{err}");
    assert_eq!(lines_with(&err, "No space left on device").len(), 1, "once: {err}");
}

#[test]
fn a_program_that_cannot_be_started_has_delivered_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        ["program_output.enabled=true", "program_output.keep_alive=true", "program_output.program=/no/such/program"];
    let (_, err, _) = run(&mut replay(dir.path(), 3, &options));
    assert!(err.contains("output \"program\": 0 alerts delivered, 3 undeliverable"), "{err}");
}

#[test]
fn metrics_of_a_replay_are_told_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("metrics");
    let output = format!("metrics.output_file={}", file.display());
    let options = ["metrics.enabled=true", "metrics.interval=100ms", "metrics.output_rule=true", &output];
    let (out, err, _) = run(&mut replay(dir.path(), 3, &options));
    assert!(out.contains("Informational Falco metrics snapshot (evt.hostname=\"test-host\""), "{out}{err}");
    let written = std::fs::read_to_string(file).unwrap();
    assert!(written.starts_with("{\"output_fields\":{") && written.contains("\"sample\":1}"), "{written}");
}

#[test]
fn simulated_losses_act_in_a_replay_too() {
    let dir = tempfile::tempdir().unwrap();
    let options = |action: &'static str| {
        ["syscall_event_drops.simulate_drops=true", "syscall_event_drops.rate=10", action].map(str::to_owned)
    };
    let simulate = |action| {
        let options = options(action);
        // A millisecond lies between two events, a second between two looks.
        run(&mut replay(dir.path(), 2_500, &options.each_ref().map(String::as_str)))
    };
    let (out, err, code) = simulate("syscall_event_drops.actions=alert");
    assert!(out.contains("Debug Falco internal: syscall event drop. 1 system calls dropped in last second."), "{err}");
    assert_eq!(code, Some(0));
    let (_, err, code) = simulate("syscall_event_drops.actions=exit");
    assert!(err.contains("Drop manager internal error") && code == Some(1), "{err}");
}

#[test]
fn a_reader_that_leaves_ends_the_replay_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = replay(dir.path(), 20_000, &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("Warning opened"));
    assert_eq!(child.wait().unwrap().code(), Some(141));
}

#[test]
fn syslog_gets_the_priority_of_the_rule() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let server = UnixDatagram::bind(&path).unwrap();
    server.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    let socket = format!("syslog_output.socket={}", path.display());
    run(&mut replay(dir.path(), 2, &["syslog_output.enabled=true", &socket]));
    for _alert in 0..2 {
        let mut buffer = [0; 2048];
        let len = server.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
        assert!(
            text.starts_with("<12>") && text.contains(" falco: 22:13:20.0") && text.contains("opened /etc/shadow"),
            "{text}"
        );
    }
}

#[test]
fn a_program_gets_lines_once_or_each_time() {
    let dir = tempfile::tempdir().unwrap();
    for (keep_alive, starts) in [("true", 1), ("false", 3)] {
        let (all, count) =
            (dir.path().join(format!("all-{keep_alive}")), dir.path().join(format!("count-{keep_alive}")));
        let program = format!("program_output.program=echo x >> {}; cat >> {}", count.display(), all.display());
        let keep = format!("program_output.keep_alive={keep_alive}");
        run(&mut replay(dir.path(), 3, &["program_output.enabled=true", &program, &keep]));
        let lines = |path: &Path| std::fs::read_to_string(path).unwrap().lines().count();
        assert_eq!((lines(&all), lines(&count)), (3, starts), "keep_alive {keep_alive}");
    }
}

#[test]
fn a_program_that_does_not_read_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let release = dir.path().join("release");
    let program =
        format!("program_output.program=while [ ! -e {} ]; do sleep 0.05; done; cat > /dev/null", release.display());
    let file = format!("file_output.filename={}", dir.path().join("alerts").display());
    let options = [
        "program_output.enabled=true",
        &program,
        "program_output.keep_alive=true",
        "file_output.enabled=true",
        &file,
        "output_timeout=100",
    ];
    let mut child = replay(dir.path(), 3_000, &options).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let alerts = dir.path().join("alerts");
    wait_for("the file output to have everything", || {
        std::fs::read_to_string(&alerts).is_ok_and(|t| t.lines().count() == 3_000)
    });
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("\"program\" output timeout") {
        assert!(stderr.read_line(&mut log).unwrap() > 0, "ended without a word about the blocked output: {log}");
    }
    std::fs::write(&release, "").unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_left_behind_at_the_end_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (release, log) = (dir.path().join("release"), dir.path().join("log"));
    // The program outlives the run, so it must not hold the pipes that this test reads.
    let program = format!("program_output.program=while [ ! -e {} ]; do sleep 0.05; done", release.display());
    let options = ["program_output.enabled=true", &program, "program_output.keep_alive=true"];
    let mut command = replay(dir.path(), 3_000, &options);
    command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap());
    assert!(command.status().unwrap().success());
    std::fs::write(&release, "").unwrap();
    let log = std::fs::read_to_string(&log).unwrap();
    let line = lines_with(&log, "output \"program\": ")[0];
    let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let counted: usize = numbers.iter().rev().take(3).sum();
    assert_eq!(counted, 3_000, "delivered, undeliverable and dropped make all: {line}");
}

#[test]
fn http_posts_every_alert_and_keeps_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(200, 3);
    let url = format!("http_output.url={}", server.url);
    let options =
        ["http_output.enabled=true", &url, "http_output.keep_alive=true", "json_output=true", "http_output.echo=true"];
    let (out, err, _) = run(&mut replay(dir.path(), 3, &options));
    let requests = server.finish();
    assert_eq!(requests.len(), 3, "{err}");
    let first = &requests[0];
    assert!(
        first.head.starts_with("POST /in HTTP/1.1\r\n") && first.has("content-type: application/json"),
        "{}",
        first.head
    );
    assert!(first.has("user-agent: falcosecurity/falco"), "{}", first.head);
    assert!(first.body.starts_with(b"{\"hostname\":"));
    assert_eq!(requests.iter().map(|r| r.connection).max(), Some(0), "one connection for all");
    assert_eq!(lines_with(&out, "thank you").len(), 3, "echo");
}

#[test]
fn http_bodies_can_be_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(200, 1);
    let url = format!("http_output.url={}", server.url);
    run(&mut replay(dir.path(), 1, &["http_output.enabled=true", &url, "http_output.compress_uploads=true"]));
    let requests = server.finish();
    assert!(requests[0].has("content-encoding: gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&requests[0].body[..]).read_to_string(&mut text).unwrap();
    assert!(text.contains("Warning opened /etc/shadow"), "{text}");
}

#[test]
fn a_refused_alert_is_counted_and_the_rest_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(404, 2);
    let url = format!("http_output.url={}", server.url);
    let (_, err, code) = run(&mut replay(dir.path(), 2, &["http_output.enabled=true", &url]));
    assert_eq!(server.finish().len(), 2);
    assert!(
        err.contains("output \"http\": 0 alerts delivered, 2 undeliverable") && err.contains("answered 404"),
        "{err}"
    );
    assert_eq!(code, Some(0));
}

#[test]
fn a_dead_endpoint_is_retried_then_counted() {
    let dir = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http_output.url=http://127.0.0.1:{port}/");
    let (out, err, _) = run(&mut replay(dir.path(), 2, &["http_output.enabled=true", &url]));
    assert_eq!(lines_with(&out, "Warning opened").len(), 2);
    assert!(
        err.contains("output \"http\": 0 alerts delivered, 2 undeliverable") && err.contains("Connection refused"),
        "{err}"
    );
}

#[test]
fn no_output_at_all_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (_, err, code) = run(&mut replay(dir.path(), 1, &["stdout_output.enabled=false"]));
    assert!(
        err.contains("No output configured, please make sure at least one output is configured and enabled."),
        "{err}"
    );
    assert_eq!(code, Some(1));
}

/// One request as it arrived.
struct Request {
    connection: usize,
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn has(&self, header: &str) -> bool {
        self.head.to_ascii_lowercase().lines().any(|line| line == header)
    }
}

/// An HTTP server that answers `expected` requests with `status`.
struct Server {
    url: String,
    thread: JoinHandle<Vec<Request>>,
}

impl Server {
    fn start(status: u16, expected: usize) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut requests = Vec::new();
            for connection in 0.. {
                let (stream, _) = listener.accept().unwrap();
                while let Some((head, body)) = read_request(&stream) {
                    let mut answer = &stream;
                    write!(answer, "HTTP/1.1 {status} x\r\nContent-Length: 9\r\n\r\nthank you").unwrap();
                    requests.push(Request { connection, head, body });
                    if requests.len() == expected {
                        return requests;
                    }
                }
            }
            requests
        });
        Server { url, thread }
    }

    fn finish(self) -> Vec<Request> {
        self.thread.join().unwrap()
    }
}

fn read_request(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let mut body = Vec::new();
    match length {
        Some(length) => {
            body.resize(length, 0);
            reader.read_exact(&mut body).ok()?;
        }
        None => return None,
    }
    Some((head, body))
}
